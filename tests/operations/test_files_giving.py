"""Giving files out: which part, under which name, with which fields, and never what was changed since."""

from __future__ import annotations

import email.message
import random
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from hypothesis import given as cases
from hypothesis import strategies as st
from sqlalchemy import update

from bylaw.controls.uploads import names
from bylaw.house import House
from bylaw.identity import Identity
from bylaw.operations.files import Files, Sending, StoredFile, giving, headers, ranges, reading
from bylaw.operations.files.keeping import storage_of
from bylaw.reasons import Refused
from bylaw.storage import Unstored
from bylaw.storage.local import Directory
from bylaw.store.tables import files as table
from tests.content import making
from tests.operations import filing
from tests.operations.filing import SUBJECT, kept, person, records

TEN = b"id,n\n1,2\n3,4\n"


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with filing.house(tmp_path_factory.mktemp("giving")) as made:
        yield made


@pytest.fixture(scope="module")
def ann(house: House) -> Identity:
    return person(house)


@pytest.fixture(scope="module")
def table_of_ten(house: House, ann: Identity) -> StoredFile:
    return kept(house, ann, content=TEN, name="Stückliste.csv", media_type="text/csv")


def asked(house: House, file: StoredFile, method: str = "GET", **fields: str) -> tuple[Sending, bytes]:
    sent = {name.replace("_", "-"): value for name, value in fields.items()}
    sending = Files(house).download(file.id, SUBJECT, method=method, headers=sent)
    return sending, b"".join(sending.pieces)


def field(sending: Sending, name: str) -> str | None:
    found = [value for key, value in sending.headers if key.lower() == name]
    assert len(found) < 2
    return found[0] if found else None


# What every answer bears


@pytest.mark.requirement("S2-077", "S2-078")
def test_a_file_is_an_attachment_in_a_sandbox(house: House, table_of_ten: StoredFile) -> None:
    """A page that somebody smuggled in, opened from its link, would run as this site: it is saved instead,
    of the type that it was examined as, and could do nothing if it were opened."""
    sending, content = asked(house, table_of_ten)
    assert (sending.status, content) == (200, TEN)
    assert field(sending, "content-type") == "text/csv"
    assert field(sending, "content-disposition") == (
        "attachment; filename=\"Stuckliste.csv\"; filename*=UTF-8''St%C3%BCckliste.csv"
    )
    assert field(sending, "x-content-type-options") == "nosniff"
    assert field(sending, "content-security-policy") == "sandbox; default-src 'none'"
    assert field(sending, "cross-origin-resource-policy") == "same-origin"
    assert field(sending, "cache-control") == "private, no-store"
    assert field(sending, "content-length") == str(len(TEN))
    assert records(house, "sensitive_read")[-1]["entity_id"] == table_of_ten.id


def test_head_says_what_get_would_send(house: House, table_of_ten: StoredFile) -> None:
    """HEAD has the same fields and no body, and counts as no download."""
    before = len(records(house))
    sending, content = asked(house, table_of_ten, "HEAD")
    assert (sending.status, content) == (200, b"")
    assert sending.headers == asked(house, table_of_ten)[0].headers
    assert len(records(house)) == before + 1


# Ranges and conditions (RFC 9110)


@pytest.mark.parametrize(
    ("wanted", "status", "content"),
    [
        ("bytes=0-0", 206, TEN[:1]),
        ("bytes=3-5", 206, TEN[3:6]),
        ("bytes=3-", 206, TEN[3:]),
        ("bytes=-4", 206, TEN[-4:]),
        ("bytes=-999", 206, TEN),
        ("BYTES= 3-5 ", 206, TEN[3:6]),
        ("bytes=0-999999999999999999", 206, TEN),
        ("bytes=999-", 416, b""),
        (f"bytes={len(TEN)}-", 416, b""),
        ("bytes=-0", 416, b""),
        ("bytes=5-3", 200, TEN),
        ("bytes=-", 200, TEN),
        ("bytes=", 200, TEN),
        ("bytes=a-b", 200, TEN),
        ("bytes=+1-2", 200, TEN),
        ("bytes=1-2,4-5", 200, TEN),
        ("bytes=" + ",".join(["0-"] * 500), 200, TEN),
        ("items=0-1", 200, TEN),
        ("bytes=٣-٤", 200, TEN),
        ("bytes=0-" + "9" * 5000, 200, TEN),
        ("bytes 0-1", 200, TEN),
        ("", 200, TEN),
    ],
)
def test_ranges(house: House, table_of_ten: StoredFile, wanted: str, status: int, content: bytes) -> None:
    """One range is answered with that part; many small ones, which would cost far more than the file, with
    the whole; what lies beyond the end is told."""
    sending, got = asked(house, table_of_ten, range=wanted)
    assert (sending.status, got) == (status, content)
    if status == 206:
        start = TEN.index(content)
        assert field(sending, "content-range") == f"bytes {start}-{start + len(content) - 1}/{len(TEN)}"
        assert field(sending, "content-length") == str(len(content))
    assert (field(sending, "content-range") == f"bytes */{len(TEN)}") == (status == 416)


@pytest.mark.parametrize(
    ("method", "fields", "status"),
    [
        ("GET", {"if-none-match": "{tag}"}, 304),
        ("HEAD", {"if-none-match": "{tag}"}, 304),
        ("GET", {"if-none-match": 'W/"x,y", W/{tag}'}, 304),
        ("GET", {"if-none-match": "*"}, 304),
        ("GET", {"if-none-match": '"other"'}, 200),
        ("GET", {"if-match": '"other"'}, 412),
        ("GET", {"if-match": "W/{tag}"}, 412),
        ("GET", {"if-match": "{tag}", "range": "bytes=0-1"}, 206),
        ("GET", {"if-range": "{tag}", "range": "bytes=0-1"}, 206),
        ("GET", {"if-range": "W/{tag}", "range": "bytes=0-1"}, 200),
        ("GET", {"if-range": '"other"', "range": "bytes=0-1"}, 200),
        ("GET", {"if-range": "Sat, 21 Nov 2026 10:00:00 GMT", "range": "bytes=0-1"}, 200),
        ("GET", {"if-none-match": "{tag}", "range": "bytes=999-"}, 304),
        ("HEAD", {"range": "bytes=0-1"}, 200),
        ("POST", {"range": "bytes=0-1"}, 200),
    ],
)
def test_conditions(
    house: House, table_of_ten: StoredFile, method: str, fields: Mapping[str, str], status: int
) -> None:
    """A download that is taken up again never joins parts of two files; who has a file already is told so."""
    sent = {name: value.replace("{tag}", headers.tag(table_of_ten)) for name, value in fields.items()}
    sending, _ = asked(house, table_of_ten, method, **sent)
    assert sending.status == status
    assert field(sending, "etag") == headers.tag(table_of_ten)


def test_a_field_that_came_twice_is_not_chosen_from() -> None:
    """Two Range fields: two programs would read two ranges, so it is the whole."""
    values = {"range": ["bytes=0-1", "bytes=5-6"]}
    assert ranges.part("GET", lambda name: values.get(name, []), 10, '"t"') == ranges.Part(200, 0, 10)


@cases(st.text(max_size=40), st.integers(1, 2**70))
def test_no_range_leads_outside(sent: str, size: int) -> None:
    """Whatever a Range field says, what is sent lies within the file."""
    for text in (sent, "bytes=" + sent, f"bytes={size - 1}-{size}"):
        found = ranges.part("GET", lambda name, text=text: [text] if name == "range" else [], size, '"t"')
        assert found.status in (200, 206, 416)
        if found.status != 416:
            assert 0 <= found.start < found.end <= size


# Names


@cases(st.text())
def test_a_name_stays_one_parameter(text: str) -> None:
    """Whatever a file is called, its name ends no quoted string and no line, and arrives at clients of
    today."""
    for name in (text, names.cleaned(text)):
        value = headers.disposition(name)
        assert value.isascii()
        assert value.isprintable()
        message = email.message.Message()
        message["Content-Disposition"] = value
        assert {k for k, _ in message.get_params(header="content-disposition") or []} <= {
            "attachment",
            "filename",
            "filename*",
        }
        if "filename*=UTF-8''" in value:
            assert (
                unquote(value.partition("filename*=UTF-8''")[2]) == name.encode("utf-8", "replace").decode()
            )
            assert "%" not in value.partition("filename*")[0]
        else:
            assert value == f'attachment; filename="{name}"'


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("report.pdf", 'attachment; filename="report.pdf"'),
        ('a".html', "attachment; filename=\"a_.html\"; filename*=UTF-8''a%22.html"),
        ("100%.pdf", "attachment; filename=\"100_.pdf\"; filename*=UTF-8''100%25.pdf"),
        ("図面.png", "attachment; filename=\"file.png\"; filename*=UTF-8''%E5%9B%B3%E9%9D%A2.png"),
        ("a\r\nSet-Cookie: x=1.pdf", None),
    ],
)
def test_names_of_some_kinds(name: str, shown: str | None) -> None:
    """RFC 6266: ASCII for old clients, everything else encoded."""
    value = headers.disposition(name)
    assert value == shown if shown else "\r" not in value and "\n" not in value


# What was changed: see also tests/storage/test_given_out.py


def test_what_is_changed_while_it_is_sent_breaks_off(house: House, ann: Identity) -> None:
    """A file is changed between the first piece and the last: the answer ends without its last piece, so that
    nobody takes it for complete."""
    content = making.png(200, 200, before=making.chunk(b"teXt", bytes(600_000)))
    file = kept(house, ann, content=content)
    sending = Files(house).download(file.id, SUBJECT, method="GET", headers={})
    first = next(sending.pieces)
    storage: Any = storage_of(house)
    with (storage.path / file.id[:2] / file.id).open("r+b") as changed:
        changed.seek(500_000)
        changed.write(b"other")
    with pytest.raises(reading.Altered, match=file.id):
        while first:
            first = next(sending.pieces)
    sending.pieces.close()


def test_what_is_known_to_be_intact_is_not_read_twice(
    house: House, ann: Identity, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first download compares the digest; the next ones, of a file that has not been touched, read the
    part alone that they send."""
    file = kept(house, ann, content=TEN, name="a.csv", media_type="text/csv")
    monkeypatch.setattr("bylaw.storage.local._SETTLED", -1e12)
    compared = []
    once = reading.compare
    monkeypatch.setattr(reading, "compare", lambda *a: compared.append(a) or once(*a))
    for _ in range(3):
        assert asked(house, file, range="bytes=0-1")[1] == TEN[:2]
    assert len(compared) == 1


def test_a_download_lets_go_of_its_file(house: House, table_of_ten: StoredFile) -> None:
    """A client that goes away after the head leaves no file open."""
    sending = Files(house).download(table_of_ten.id, SUBJECT, method="GET", headers={})
    sending.pieces.close()
    assert list(sending.pieces) == []


def test_what_cannot_be_recorded_is_not_given_out(
    house: House, table_of_ten: StoredFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The database goes away between finding a file and recording its download: nobody gets it unseen, and
    the file is let go of."""

    def away(*_: object, **__: object) -> None:
        raise ConnectionError

    opened: list[Any] = []
    once = giving.opened
    monkeypatch.setattr(giving, "opened", lambda *a: opened.append(once(*a)) or opened[-1])
    monkeypatch.setattr(giving.audit, "record", away)
    with pytest.raises(ConnectionError):
        asked(house, table_of_ten)
    assert opened[0].stream.closed


class Away(Directory):
    """A storage that answers once, and then no more."""

    def open(self, name: str, start: int = 0, end: int | None = None) -> Any:
        raise Unstored("the S3 store said SlowDown")


class Swapping(Directory):
    """A storage in which something else is put in a file's place between comparing it and reading it."""

    def open(self, name: str, start: int = 0, end: int | None = None) -> Any:
        found = super().open(name, start, end)
        found.stamp += str(random.random())
        return found


@pytest.mark.parametrize(("storage", "reason"), [(Away, "uploads.unstored"), (Swapping, "uploads.damaged")])
def test_a_storage_that_fails_meanwhile(
    house: House, table_of_ten: StoredFile, monkeypatch: pytest.MonkeyPatch, storage: Any, reason: str
) -> None:
    """Away it is a 503 to come again for; with other bytes than were compared, nothing of them is sent."""
    place: Any = storage_of(house)
    monkeypatch.setattr(house, "storage", storage(place.path))
    for call in (Files(house).download, Files(house).open):
        with pytest.raises(Refused) as error:
            call(table_of_ten.id, SUBJECT)
        assert error.value.reason.code == reason


# States


@pytest.mark.requirement("S1-095", "S2-075")
@pytest.mark.parametrize(
    ("state", "reason", "status"),
    [
        ("held", "uploads.held", 423),
        ("refused", "uploads.withdrawn", 410),
        ("erased", "uploads.unknown", 404),
    ],
)
def test_what_is_not_clean_is_given_to_nobody(
    house: House, ann: Identity, state: str, reason: str, status: int
) -> None:
    """A file that no scanner has looked at, or in which one found something: neither the file, nor a part,
    nor its picture; whoever may see the subject sees what happened."""
    file = kept(house, ann, subject=f"lot:{status}")
    with house.store.transaction() as connection:
        connection.execute(update(table).where(table.c.id == file.id).values(state=state))
    for call in (Files(house).download, Files(house).thumbnail, Files(house).open):
        with pytest.raises(Refused) as error:
            call(file.id, f"lot:{status}")
        assert (error.value.reason.code, error.value.status) == (reason, status)
    assert [each.state for each in Files(house).of(f"lot:{status}")] == ([state] if state != "erased" else [])


def test_no_storage_no_file(
    house: House, ann: Identity, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The disk is full, or away: 503 and a word when to come again, and no row."""
    (tmp_path / "file").write_text("")
    monkeypatch.setattr(house, "storage", Directory(tmp_path / "file" / "below"))
    with pytest.raises(Refused) as error:
        kept(house, ann, subject="lot:503")
    assert (error.value.reason.code, error.value.status) == ("uploads.unstored", 503)
    assert Files(house).of("lot:503") == []
