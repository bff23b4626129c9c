"""Tables that cost, that lie about how they are written, and somebody else's import, in both frameworks."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import func, select

from bylaw.controls import imports
from bylaw.operations.imports import desk
from bylaw.verify.client import Client, Reply
from bylaw.verify.laboratory import Bench, Laboratory
from tests.applications import parts
from tests.applications.stacks import FRAMEWORKS, hurry

_B = "table"


@pytest.fixture(scope="module", params=FRAMEWORKS)
def site(request: pytest.FixtureRequest, benches: dict[str, Bench]) -> Iterator[Laboratory]:
    """One laboratory for each framework, where nobody works unless asked to."""
    with benches[request.param].laboratory() as laboratory:
        hurry(laboratory)
        parts.prepare(laboratory.site.house.store.engine)
        desk.of(laboratory.site.house).by_hand = True
        yield laboratory


def upload(client: Client, data: bytes, name: str = "parts.csv", kind: str = "text/csv") -> Reply:
    head = f'--{_B}\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n'
    body = f"{head}Content-Type: {kind}\r\n\r\n".encode() + data + f"\r\n--{_B}--\r\n".encode()
    headers = [("Content-Type", f"multipart/form-data; boundary={_B}"), ("Accept", "application/json")]
    return client.act("POST", "/import", body=body, headers=headers)


def act(site: Laboratory, client: Client, number: str, **given: Any) -> Reply:
    reply = client.act("POST", f"{site.api('imports')}/{number}", json=given)
    site.site.imports.work()
    return reply


def told(site: Laboratory, client: Client, number: str) -> dict[str, Any]:
    found: dict[str, Any] = client.get(f"{site.api('imports')}/{number}").json()
    return found


def count(site: Laboratory) -> int:
    with site.site.house.store.reading() as connection:
        return int(connection.execute(select(func.count()).select_from(parts.parts)).scalar_one())


def imported(site: Laboratory, client: Client, data: bytes, mode: str = "all") -> dict[str, Any]:
    number = upload(client, data).json()["id"]
    assert act(site, client, number, action="start", mode=mode).status == 200
    return told(site, client, number)


HOG = {
    "one field of nine megabytes": b"number,name,quantity\nA-1," + b"x" * 9_000_000 + b",1\n",
    "an unclosed quote": b'number,name,quantity\nA-1,"never closed,1\n' + b"A-2,b,1\n" * 200_000,
    "a hundred thousand columns": b"number,name,quantity" + b",c" * 100_000 + b"\nA-1,a,1\n",
    "five hundred thousand rows": b"number,name,quantity\n" + b"A-1\n" * 500_000,
    "a NUL in a cell": b"number,name,quantity\nA-1,a\x00b,1\n",
}


@pytest.mark.requirement("S1-088")
@pytest.mark.parametrize("what", HOG)
def test_a162_a_table_that_costs_is_ended_with_its_row(site: Laboratory, what: str) -> None:
    """A162: whatever a table does to take memory and time, it is ended within seconds, it is said where, and
    of all rows none is imported."""
    with site.under(imports.Settings, rows=20_000):
        client = site.client("manager")
        began, before = time.process_time(), count(site)
        reply = upload(client, HOG[what])
        if reply.status == 200:
            number = reply.json()["id"]
            assert act(site, client, number, action="start", mode="all").status == 200
            found = told(site, client, number)
            assert found["state"] == "open"
            assert "ow 20,001" in found["because"] or found["errors"], found
            assert act(site, client, number, action="discard").status == 200
        else:
            assert reply.status in (413, 422), reply
            assert reply.json()["detail"], reply.text
    assert time.process_time() - began < 8
    assert count(site) == before


@pytest.mark.requirement("S1-088")
def test_a162_headings_that_come_twice_stand_for_one_field(site: Laboratory) -> None:
    """A162: of two columns with one name one is taken, and the form says so; taking both is refused."""
    client = site.client("manager")
    number = upload(client, b"number,name,quantity,quantity\nA-7,a,1,2\n").json()["id"]
    assert told(site, client, number)["columns"] == ["number", "name", "quantity", ""]
    both = ["number", "name", "quantity", "quantity"]
    reply = act(site, client, number, action="choose", column=both)
    assert (reply.status, reply.code) == (422, "imports.columns")
    assert (
        reply.json()["errors"] == {"column-4": "Quantity is already taken from quantity"}
        or "taken" in reply.text
    )


@pytest.mark.requirement("S1-088", "C-29")
def test_a163_somebody_elses_import_is_not_there(site: Laboratory) -> None:
    """A163: bob asks for alice's import by its id, its errors, their CSV, and tries to start it: 404, as for
    an id that is nobody's, and nothing of her rows in any answer."""
    alice, bob = site.client("manager"), site.client("manager")
    number = upload(alice, b"number,name,quantity\nS-1,canary-of-alice,x\n").json()["id"]
    act(site, alice, number, action="check")
    assert "canary-of-alice" in alice.page(f"{site.url('imports')}/{number}").text
    assert alice.page(f"{site.url('import_download')}/{number}").status == 200
    paths = [
        f"{site.url('imports')}/{number}",
        f"{site.api('imports')}/{number}",
        f"{site.url('import_errors')}/{number}",
        f"{site.api('imports')}/rows/{number}",
        f"{site.url('import_download')}/{number}",
    ]
    for path in paths:
        theirs, nobodys = bob.get(path), bob.get(path.replace(number, "A" * 22))
        assert (theirs.status, theirs.code) == (404, nobodys.code) == (404, "imports.unknown")
        assert "canary" not in theirs.text
    for action in ("check", "start", "cancel", "discard", "read", "choose"):
        assert act(site, bob, number, action=action).status == 404
    assert number not in bob.get(site.api("imports")).text
    assert told(site, alice, number)["state"] == "open"


TEXT = "number,name,quantity\r\nE-{n},<script>alert(1)</script> '); DROP TABLE parts;-- é,1\n"


@pytest.mark.requirement("S1-088")
@pytest.mark.parametrize(
    ("n", "encoding"), [(1, "utf-8-sig"), (2, "utf-16"), (3, "utf-8"), (4, "cp1252")], ids=str
)
def test_a165_cells_are_text_whatever_they_look_like(site: Laboratory, n: int, encoding: str) -> None:
    """A165: the same row in each encoding is stored as it was meant, once decoded, with its meta characters;
    pages show them escaped."""
    client = site.client("manager")
    text = TEXT.replace("{n}", str(n))
    found = imported(site, client, text.encode(encoding))
    assert (found["state"], found["created"]) == ("done", 1)
    with site.site.house.store.reading() as connection:
        row = connection.execute(select(parts.parts).where(parts.parts.c.number == f"E-{n}")).one()
    assert row.name == "<script>alert(1)</script> '); DROP TABLE parts;-- é"
    other = upload(client, text.replace(",1\n", ",x\n").encode(encoding)).json()["id"]
    act(site, client, other, action="check")
    page = client.page(f"{site.url('imports')}/{other}").text
    assert "<script>alert(1)" not in page
    assert "&lt;script&gt;alert(1)" in page


@pytest.mark.requirement("S1-088")
@pytest.mark.parametrize(
    "data",
    [b"number,name,quantity\nU-1,\xff\xfe\xfa\x81\x8d,1\n", b"\xff\xfen", b"\xfe\xff\x00n\xd8\x00\x00,"],
    ids=str,
)
def test_a165_what_no_encoding_says_is_refused(site: Laboratory, data: bytes) -> None:
    """A165: bytes that are text in no encoding are refused; nothing is mended or guessed."""
    client = site.client("manager")
    before = count(site)
    reply = upload(client, data)
    assert (reply.status in (415, 422), count(site)) == (True, before), reply.text


@pytest.mark.requirement("S1-088")
def test_a165_utf_7_is_text_of_ascii(site: Laboratory) -> None:
    """A165: what would be markup in UTF-7 stays the letters that it is."""
    client = site.client("manager")
    found = imported(site, client, b"number,name,quantity\nU-7,+ADw-script+AD4-,1\n")
    assert found["state"] == "done"
    with site.site.house.store.reading() as connection:
        row = connection.execute(select(parts.parts).where(parts.parts.c.number == "U-7")).one()
    assert row.name == "+ADw-script+AD4-"
