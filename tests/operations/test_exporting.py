"""What leaves in bulk is on record: who, what, how many rows, by which filter, and whether all of it left."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from itertools import islice
from typing import Any

import pytest
from sqlalchemy.exc import OperationalError
from starlette.requests import ClientDisconnect

from bylaw.errors import MisuseError
from bylaw.house import House
from bylaw.operations import exporting
from bylaw.reasons import Refused
from bylaw.verify.laboratory import Laboratory
from tests.operations.test_accounts import records

LONG = 30_000
"""Rows that do not fit into one piece."""


def rows(number: int, closed: list[str] | None = None) -> Iterator[tuple[object, ...]]:
    try:
        for each in range(number):
            yield each, f"note {each}"
    finally:
        if closed is not None:
            closed.append("closed")


def recorded(house: House) -> dict[str, Any]:
    [record] = records(house, action="export")
    return {
        "outcome": record["outcome"],
        "about": (record["entity_type"], record["entity_id"]),
        **{name: change["new"] for name, change in record["changes"].items()},
    }


@pytest.mark.requirement("S1-111")
@pytest.mark.parametrize("form", list(exporting.FORMATS))
def test_an_export_is_on_record_before_its_end_has_left(house: House, form: str) -> None:
    """Whoever has the whole file is in the log: the last piece waits for the record."""
    made = exporting.export(house, "notes", ["id", "text"], rows(LONG), form=form, filtered="q=note\n")
    first = next(made)
    assert (bool(first), records(house, action="export")) == (True, [])
    rest = list(made)
    assert rest
    assert recorded(house) == {
        "outcome": "success",
        "about": ("export", "notes"),
        "format": form,
        "rows": LONG,
        "complete": True,
        "filter": "q=note?",
    }
    made.close()
    assert len(records(house, action="export")) == 1


@pytest.mark.requirement("S1-111")
def test_an_export_that_breaks_off_is_on_record(house: House) -> None:
    """Somebody closes the browser in the middle: what had left until then is known, and the rows are let
    go of."""
    closed: list[str] = []
    made = exporting.export(house, "notes", ["id", "text"], rows(LONG, closed))
    next(made)
    made.close()
    found = recorded(house)
    assert (found["outcome"], found["complete"], closed) == ("failure", False, ["closed"])
    assert 0 < found["rows"] < LONG


@pytest.mark.requirement("S1-111")
def test_an_export_whose_rows_fail_is_on_record(house: House) -> None:
    """The database goes away after the first piece."""

    def failing() -> Iterator[tuple[object, ...]]:
        yield from rows(LONG)
        raise LookupError("gone")

    made = exporting.export(house, "notes", ["id", "text"], failing())
    with pytest.raises(LookupError):
        list(made)
    assert recorded(house)["complete"] is False


@pytest.mark.requirement("S1-111")
def test_nothing_leaves_without_a_record(house: House) -> None:
    """The log cannot be written: a small export does not leave at all, a large one not whole."""
    house.store.engine.dispose()
    with house.store.transaction() as connection:
        connection.exec_driver_sql("ALTER TABLE audit_log RENAME TO audit_away")
    made = exporting.export(house, "notes", ["id", "text"], rows(3))
    with pytest.raises(
        OperationalError if house.store.engine.name == "sqlite" else Exception, match="audit_log"
    ):
        next(made)


def test_a_name_and_a_format_are_what_they_should_be(house: House) -> None:
    """The name becomes a header's: it is the application's own. The format may be a visitor's."""
    with pytest.raises(MisuseError, match="letters"):
        exporting.export(house, 'a"\r\nX: 1', [], ())
    with pytest.raises(Refused) as refused:
        exporting.export(house, "notes", [], (), form="exe")
    assert (refused.value.status, refused.value.fields) == (422, {"format": "csv, xlsx"})


@pytest.mark.requirement("S1-111")
def test_the_record_says_who_asked(laboratory: Laboratory) -> None:
    """Through a framework the export is a download that nobody stores, and the record has the person and the
    request's id, though the rows are walked when the view has long returned."""
    editor = laboratory.client("editor")
    editor.act("POST", "/api/papers", json={"text": "größer"})
    reply = editor.get("/api/papers/export")
    assert reply.body.startswith("\ufeffid,text\r\n".encode())
    assert "größer" in reply.text
    assert reply.header("Content-Disposition").startswith('attachment; filename="papers-')
    assert reply.all("cache-control") == ["no-store"]
    [record] = laboratory.audit(action="export")
    assert (record["user_id"], record["entity_id"]) == (editor.id, "papers")
    assert record["request_id"] == reply.header("x-request-id")
    assert record["changes"]["rows"]["new"] == 1


def test_asking_for_the_head_gives_out_nothing(flask_laboratory: Laboratory) -> None:
    """HEAD walks no row, and the record says that nothing left."""
    editor = flask_laboratory.client("editor")
    reply = editor.send("HEAD", "/api/papers/export")
    assert (reply.status, reply.body) == (200, b"")
    [record] = flask_laboratory.audit(action="export")
    assert (record["outcome"], record["changes"]["rows"]["new"]) == ("failure", 0)


@pytest.mark.requirement("S1-111")
def test_a_browser_that_goes_away_is_on_record(laboratory: Laboratory) -> None:
    """The server closes what it was sending, after one piece or before any."""
    app: Any = laboratory.app
    bylaw = app.extensions["bylaw"] if hasattr(app, "extensions") else app.state.bylaw
    for pieces in (1, 0):
        if hasattr(app, "extensions"):
            with app.test_request_context():
                response = bylaw.export("notes", ["id", "text"], rows(LONG))
                assert len(list(islice(response.response, pieces))) == pieces
                response.close()
        else:
            asyncio.run(_gone(bylaw.export("notes", ["id", "text"], rows(LONG)), pieces))
    found = laboratory.audit(action="export")
    assert [each["outcome"] for each in found] == ["failure", "failure"]
    assert sorted(bool(each["changes"]["rows"]["new"]) for each in found) == [False, True]


async def _gone(response: Any, pieces: int) -> None:
    """The client goes away when so many pieces have arrived."""
    arrived = 0

    async def send(message: dict[str, Any]) -> None:
        nonlocal arrived
        if arrived == pieces:
            raise OSError("gone")
        arrived += bool(message.get("body"))

    async def receive() -> dict[str, Any]:
        await asyncio.sleep(60)
        raise AssertionError("nobody speaks")

    scope = {"type": "http", "asgi": {"spec_version": "2.4"}}
    with pytest.raises(ClientDisconnect):
        await response(scope, receive, send)
