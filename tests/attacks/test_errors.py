"""Errors: whatever an application raises, and dependencies that are gone."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from concurrent.futures import CancelledError
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import event
from sqlalchemy.exc import OperationalError

from bylaw.verify.laboratory import Laboratory

CANARY = "canary-postgres://u:pw@db"


class Unspeakable(Exception):
    """Raises when it is asked what it says."""

    def __str__(self) -> str:
        raise ValueError(CANARY)


def raised() -> list[BaseException]:
    inner = ValueError(CANARY)
    outer = RuntimeError("outer")
    outer.__cause__ = inner
    return [
        RuntimeError(CANARY),
        outer,
        ExceptionGroup(CANARY, [inner]),
        KeyError(CANARY),
        Unspeakable(),
        RecursionError(CANARY),
        MemoryError(CANARY),
        AssertionError(CANARY),
        UnicodeEncodeError("ascii", CANARY, 0, 1, CANARY),
        StopIteration(CANARY),
        OperationalError(f"SELECT {CANARY}", {}, Exception(CANARY)),
        NotImplementedError(CANARY),
        TimeoutError(CANARY),
        ConnectionResetError(CANARY),
        PermissionError(13, CANARY),
    ]


@pytest.mark.requirement("S3-052", "S3-053", "S3-054", "S3-055")
@pytest.mark.parametrize("error", raised(), ids=lambda error: type(error).__name__)
def test_a184_whatever_is_raised_is_answered_alike(laboratory: Laboratory, error: Exception) -> None:
    """An error with a secret in it: one fixed answer to everybody, the story in the log."""
    people = {"nobody": laboratory.visitor(), "root": laboratory.administrator()}
    if isinstance(error, StopIteration) and not laboratory.is_wsgi:
        error = RuntimeError(CANARY)  # a coroutine cannot raise it (PEP 479)
    for client in people.values():
        for accept in ("application/json", "text/html", "*/*"):
            with laboratory.raising(error):
                reply = client.send("GET", "/x", headers=[("Accept", accept)])
            # A database that is gone is not the application's fault: 503, come back later.
            assert reply.status == (503 if isinstance(error, OperationalError) else 500)
            assert CANARY not in reply.text + str(reply.headers)
            assert type(error).__name__ not in reply.text
            assert reply.header("x-request-id") in laboratory.logs.text
    if not isinstance(error, Unspeakable):
        assert CANARY.replace(":pw@", ":•••@") in laboratory.logs.text or "outer" in laboratory.logs.text
    assert CANARY not in laboratory.logs.text


@pytest.mark.requirement("S3-053", "C-23")
def test_a184_both_frameworks_say_it_alike(benches: dict[str, Any]) -> None:
    """The same error in Flask and in FastAPI: the same body but for the request's id."""
    bodies = []
    for name in ("flask", "fastapi"):
        with benches[name].laboratory() as laboratory:
            reply = laboratory.visitor().get("/broken")
            body = reply.json()
            assert body.pop("instance") == f"urn:request:{reply.header('x-request-id')}"
            bodies.append((reply.status, body, reply.header("content-type")))
    assert bodies[0] == bodies[1]
    assert set(bodies[0][1]) == {"type", "title", "status", "code", "detail"}
    assert bodies[0][1]["detail"] == "Internal server error"


@pytest.mark.requirement("S3-055")
@pytest.mark.parametrize("status", [500, 501, 502, 503, 504, 599])
def test_a184_an_applications_own_page_for_an_error_is_withheld(laboratory: Laboratory, status: int) -> None:
    """The application answers a 5xx with a page of its own, full of its inside."""
    with laboratory.answering(status, [("Content-Type", "text/html")], CANARY.encode()):
        reply = laboratory.visitor().get("/x")
    assert reply.status == status
    assert CANARY not in reply.text


@contextmanager
def database_gone(laboratory: Laboratory) -> Iterator[None]:
    """Every statement fails, as when the database has gone away."""

    def fail(connection: Any, cursor: Any, statement: str, parameters: Any, *rest: Any) -> None:
        raise OperationalError(statement, parameters, Exception(CANARY))

    engine = laboratory.site.house.store.engine
    event.listen(engine, "before_cursor_execute", fail)
    try:
        yield
    finally:
        event.remove(engine, "before_cursor_execute", fail)


@pytest.mark.requirement("S3-052", "S3-053")
@pytest.mark.parametrize("accept", ["application/json", "text/html"])
def test_a184_without_its_database_nobody_is_let_in_and_nothing_is_told(
    laboratory: Laboratory, accept: str
) -> None:
    """The database goes away in the middle of the day: no trace, no statement, nobody signed in."""
    alice, stranger = laboratory.ordinary(), laboratory.visitor()
    known = laboratory.ordinary()
    assert laboratory.whoami(known).status == 200
    token = alice.token()
    laboratory.site.house.store.memory.clear()
    headers = [("Accept", accept)]
    with database_gone(laboratory):
        replies = [
            alice.send("GET", laboratory.api("me"), headers=headers),
            alice.send("GET", "/api/papers", headers=headers),
            alice.send(
                "POST",
                "/api/papers",
                json={"text": "x"},
                headers=[*headers, *alice.from_here, ("X-CSRF-Token", token)],
            ),
            stranger.send(
                "POST",
                laboratory.api("sign_in"),
                json={"email": "a@b.co", "password": "x"},
                headers=[*headers, *stranger.from_here],
            ),
            stranger.send(
                "POST",
                laboratory.api("sign_up"),
                headers=[*headers, *stranger.from_here],
                json={"email": "a@b.co", "password": "another long password"},
            ),
        ]
        page = stranger.page(laboratory.url("sign_in"))
    for reply in replies:
        assert reply.status in (401, 500, 503), reply
        assert CANARY not in reply.text
        assert "select" not in reply.text.lower()
        assert reply.header("x-content-type-options") == "nosniff"
    assert {reply.status for reply in replies[:3]} == {503}
    assert page.status == 200  # whoever needs no database is served
    assert laboratory.whoami(alice).status == 200


@pytest.mark.requirement("S3-053")
def test_a184_a_record_that_cannot_be_written_does_not_open_the_door(
    laboratory: Laboratory,
) -> None:
    """A refusal stays a refusal where it cannot be recorded."""
    alice = laboratory.ordinary()
    assert laboratory.whoami(alice).status == 200
    with database_gone(laboratory):
        reply = alice.get(laboratory.api("users"))
    assert reply.status in (403, 503), reply


@pytest.mark.requirement("S3-053")
def test_a184_mail_that_is_not_taken_is_kept_and_not_told(laboratory: Laboratory) -> None:
    """The mail server is down: signing up under a taken address is answered as ever."""
    alice = laboratory.ordinary()
    visitor = laboratory.visitor()

    def down(message: object) -> None:
        raise OSError(CANARY)

    laboratory.site.house.mailer, before = down, laboratory.site.house.mailer
    reply = visitor.send(
        "POST",
        laboratory.api("sign_up"),
        headers=visitor.from_here,
        json={"email": alice.email, "password": "another long password"},
    )
    assert reply.status == 202
    assert CANARY not in reply.text
    assert laboratory.mail() == []
    laboratory.site.house.mailer = before
    laboratory.clock.advance(86400)  # it is tried again, and not at once
    assert [m["To"] for m in laboratory.mail()][:1] == [alice.email]


@pytest.mark.requirement("S3-055")
def test_a188_no_page_of_a_framework_is_shown(laboratory: Laboratory) -> None:
    """404, 405 and 400 of Werkzeug and Starlette: bylaw's words, whatever was asked for."""
    visitor = laboratory.visitor()
    for method, path in (("GET", "/nothing"), ("DELETE", "/"), ("GET", "/api/papers/x"), ("FOO", "/nothing")):
        for accept in ("text/html", "application/json", "", "text/plain", "image/*"):
            reply = visitor.send(method, path, headers=[("Accept", accept), *visitor.from_here])
            assert reply.status in (401, 404, 405), (method, path, reply)
            if reply.status != 401:
                assert "errors." in reply.text
            kind = reply.header("content-type").partition(";")[0]
            assert kind == ("text/html" if accept == "text/html" else "application/problem+json")


def test_a184_a_cancelled_request_leaves_the_process_alive(benches: dict[str, Any]) -> None:
    """A view is cancelled in the middle: the next request is answered."""
    with benches["fastapi"].laboratory() as laboratory:

        async def cancelled(scope: Any, receive: Any, send: Any) -> None:
            raise asyncio.CancelledError

        with laboratory.instead(cancelled), pytest.raises(CancelledError):
            laboratory.visitor().get("/x")
        assert laboratory.visitor().get("/").status == 200
