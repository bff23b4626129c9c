"""Answers in pieces: not gathered, not begun twice, not cut in half by an error before they begin."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from typing import Any

import pytest

from bylaw.adapters import asgi, wsgi
from bylaw.exchange import current
from bylaw.reasons import Refused
from bylaw.routes import Taking
from bylaw.site import identity
from bylaw.verify.client import Sent
from bylaw.verify.laboratory import Laboratory
from tests.applications.notes import MISSING

BLOCK = ("x-content-type-options", "x-frame-options", "content-security-policy", "x-request-id")
PLAIN = [("Content-Type", "text/plain")]
FORM = '--b\r\nContent-Disposition: form-data; name="csrf_token"\r\n\r\n{}\r\n--b\r\n'


class Server:
    """What a WSGI server sees: the order of events, and nothing made up."""

    def __init__(self, laboratory: Laboratory, application: Any, **environ: Any) -> None:
        self.events: list[str] = []
        self.headers: list[tuple[str, str]] = []
        self.environ = {
            "REQUEST_METHOD": "GET",
            "PATH_INFO": "/x",
            "SCRIPT_NAME": "",
            "QUERY_STRING": "",
            "wsgi.url_scheme": "https",
            "REMOTE_ADDR": "1.2.3.4",
            "HTTP_HOST": "app.lab",
            **environ,
        }
        gated: Any = laboratory.gated
        with laboratory.instead(application):
            self.body = gated(self.environ, self._start)

    def _start(self, status: str, headers: Any, exc_info: Any = None) -> Any:
        self.events.append(status)
        self.headers = headers
        return lambda data: self.events.append(f"write {data!r}")


@pytest.mark.requirement("S3-065")
def test_wsgi_streams_as_it_is_made(wsgi_laboratory: Laboratory) -> None:
    """A report of a million lines: the first leaves before the second is made."""
    made: list[int] = []

    def application(environ: dict[str, Any], start_response: Any) -> Iterator[bytes]:
        environ[wsgi.EXCHANGE].permitted = True
        start_response("200 OK", list(PLAIN))
        for number in range(3):
            made.append(number)
            yield b"%d" % number

    server = Server(wsgi_laboratory, application)
    pieces = iter(server.body)
    assert (next(pieces), made) == (b"0", [0])
    assert (next(pieces), made) == (b"1", [0, 1])
    assert list(pieces) == [b"2"]
    assert server.events == ["200 OK"]
    for name in BLOCK:
        assert name in {key.lower() for key, _ in server.headers}


def test_wsgi_closes_what_it_did_not_send(wsgi_laboratory: Laboratory) -> None:
    """The browser goes away in the middle: the application's iterator is closed, once."""
    closed: list[bool] = []

    class Pieces:
        def __iter__(self) -> Pieces:
            return self

        def __next__(self) -> bytes:
            return b"x"

        def close(self) -> None:
            closed.append(True)

    def application(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        environ[wsgi.EXCHANGE].permitted = True
        start_response("200 OK", list(PLAIN))
        return Pieces()

    server = Server(wsgi_laboratory, application)
    next(iter(server.body))
    server.body.close()
    assert closed == [True]


@pytest.mark.requirement("S3-052", "S3-053", "C-36")
@pytest.mark.parametrize("when", ["at once", "after start", "at the first piece", "refused"])
def test_wsgi_answers_whole_what_fails_before_it_began(wsgi_laboratory: Laboratory, when: str) -> None:
    """An error before the first byte: one whole answer, with headers, and no half of another."""

    def application(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        environ[wsgi.EXCHANGE].permitted = True
        if when == "at once":
            raise RuntimeError("canary")
        if when == "refused":
            raise Refused(MISSING)
        start_response("200 OK", list(PLAIN))
        if when == "after start":
            raise RuntimeError("canary")
        return failing()

    def failing() -> Iterator[bytes]:
        if when:
            raise RuntimeError("canary")
        yield b""

    server = Server(wsgi_laboratory, application)
    body = b"".join(server.body)
    expected = "404 Not Found" if when == "refused" else "500 Internal Server Error"
    assert server.events == [expected]
    assert b"canary" not in body
    for name in BLOCK:
        assert name in {key.lower() for key, _ in server.headers}


def test_wsgi_cuts_what_fails_in_the_middle(wsgi_laboratory: Laboratory) -> None:
    """An error in the middle of a stream: raised to the server, which cuts the connection."""

    def application(environ: dict[str, Any], start_response: Any) -> Iterator[bytes]:
        environ[wsgi.EXCHANGE].permitted = True
        start_response("200 OK", list(PLAIN))
        yield b"half"
        raise RuntimeError("canary")

    server = Server(wsgi_laboratory, application)
    pieces = iter(server.body)
    assert next(pieces) == b"half"
    with pytest.raises(RuntimeError):
        next(pieces)
    assert server.events == ["200 OK"]


def test_wsgi_lets_an_application_change_its_mind(wsgi_laboratory: Laboratory) -> None:
    """start_response again, with exc_info, before anything has left: the second one counts."""

    def application(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        environ[wsgi.EXCHANGE].permitted = True
        start_response("200 OK", [("X-First", "1")])
        try:
            raise RuntimeError("canary")
        except RuntimeError as error:
            start_response("409 Conflict", list(PLAIN), (type(error), error, None))
        return [b"changed"]

    server = Server(wsgi_laboratory, application)
    assert b"".join(server.body) == b"changed"
    assert server.events == ["409 Conflict"]
    assert "x-first" not in {key.lower() for key, _ in server.headers}


def test_wsgi_takes_what_is_written(wsgi_laboratory: Laboratory) -> None:
    """The old way of PEP 3333, `write`: its bytes come first."""

    def application(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        environ[wsgi.EXCHANGE].permitted = True
        write = start_response("200 OK", list(PLAIN))
        write(b"written, ")
        return [b"returned"]

    server = Server(wsgi_laboratory, application)
    assert b"".join(server.body) == b"written, returned"


@pytest.mark.parametrize("answer", [None, [], "no start"])
def test_wsgi_says_what_an_application_did_wrong(wsgi_laboratory: Laboratory, answer: Any) -> None:
    """An application that answers without a status: a clean 500, not a broken connection."""

    def application(environ: dict[str, Any], start_response: Any) -> Any:
        environ[wsgi.EXCHANGE].permitted = True
        return answer

    server = Server(wsgi_laboratory, application)
    b"".join(server.body)
    assert server.events == ["500 Internal Server Error"]


@pytest.mark.requirement("S1-113")
def test_a_stream_knows_whom_it_is_for(wsgi_laboratory: Laboratory) -> None:
    """What is made while a stream leaves is made for whoever asked, and for nobody after it."""
    alice = wsgi_laboratory.client("editor")

    def application(environ: dict[str, Any], start_response: Any) -> Iterator[bytes]:
        environ[wsgi.EXCHANGE].permitted = True
        start_response("200 OK", list(PLAIN))
        for _ in range(3):
            yield identity().id.encode() + b";"

    with wsgi_laboratory.instead(application):
        reply = alice.get("/x")
    assert reply.text == f"{alice.id};" * 3
    assert current() is None


def scope_of(laboratory: Laboratory, method: str = "GET") -> dict[str, Any]:
    transport: Any = laboratory.transport
    scope: dict[str, Any] = transport._scope(
        Sent(method, "/x", "", [("Host", "app.lab")], b"", "https", "1.2.3.4")
    )
    return scope


def drive(laboratory: Laboratory, application: Any, receive: Any = None) -> list[dict[str, Any]]:
    """What an ASGI server is sent, in order."""
    seen: list[dict[str, Any]] = []

    async def send(message: dict[str, Any]) -> None:
        seen.append(dict(message))

    async def nothing() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    with laboratory.instead(application):
        asyncio.run(laboratory.gated(scope_of(laboratory), receive or nothing, send))
    return seen


@pytest.mark.requirement("S3-065")
def test_asgi_streams_as_it_is_made(asgi_laboratory: Laboratory) -> None:
    """The same for ASGI: each piece is with the server before the next one is made."""
    seen: list[str] = []

    async def application(scope: Any, receive: Any, send: Any) -> None:
        scope[asgi.EXCHANGE].permitted = True
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for number in range(3):
            seen.append(f"made {number}")
            await send({"type": "http.response.body", "body": b"%d" % number, "more_body": number < 2})

    async def send(message: dict[str, Any]) -> None:
        seen.append(message["type"].rpartition(".")[2])

    async def receive() -> dict[str, Any]:
        return {"type": "http.disconnect"}

    with asgi_laboratory.instead(application):
        asyncio.run(asgi_laboratory.gated(scope_of(asgi_laboratory), receive, send))
    assert seen == ["start", "made 0", "body", "made 1", "body", "made 2", "body"]


@pytest.mark.requirement("S3-052", "S3-053", "C-36")
@pytest.mark.parametrize("error", [RuntimeError("canary"), Refused(MISSING), KeyError("canary")])
def test_asgi_answers_whole_what_fails_before_it_began(asgi_laboratory: Laboratory, error: Exception) -> None:
    """An error before the start of the answer: one whole answer with its headers."""

    async def application(scope: Any, receive: Any, send: Any) -> None:
        scope[asgi.EXCHANGE].permitted = True
        raise error

    start, body = drive(asgi_laboratory, application)
    assert start["status"] == (404 if isinstance(error, Refused) else 500)
    assert b"canary" not in body["body"]
    assert {name.encode() for name in BLOCK} <= {name for name, _ in start["headers"]}


def test_asgi_cuts_what_fails_in_the_middle(asgi_laboratory: Laboratory) -> None:
    """An error after the start: raised to the server, and no second start."""

    async def application(scope: Any, receive: Any, send: Any) -> None:
        scope[asgi.EXCHANGE].permitted = True
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"half", "more_body": True})
        raise RuntimeError("canary")

    with pytest.raises(RuntimeError):
        drive(asgi_laboratory, application)


def test_asgi_hands_over_a_disconnect(asgi_laboratory: Laboratory) -> None:
    """The browser has gone: the application is told, also where the gate had looked at the body."""
    told: list[str] = []

    async def application(scope: Any, receive: Any, send: Any) -> None:
        scope[asgi.EXCHANGE].permitted = True
        told.extend([(await receive())["type"], (await receive())["type"]])
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    client = asgi_laboratory.client("editor")
    token = client.token()
    messages: list[dict[str, Any]] = [
        {"type": "http.request", "body": FORM.format(token).encode(), "more_body": True},
        {"type": "http.disconnect"},
        {"type": "http.disconnect"},
    ]

    async def receive() -> dict[str, Any]:
        return messages.pop(0)

    async def send(message: dict[str, Any]) -> None:
        """The server has nobody to send it to."""

    transport: Any = asgi_laboratory.transport
    scope = transport._scope(
        client.prepared(
            "POST", "/x", headers=[*client.from_here, ("Content-Type", "multipart/form-data; boundary=b")]
        )
    )
    # Where files are taken: any other form is looked through first, and half of one reaches no application.
    with asgi_laboratory.reading(Taking(frozenset({"file"}))), asgi_laboratory.instead(application):
        asyncio.run(asgi_laboratory.gated(scope, receive, send))
    assert told == ["http.request", "http.disconnect"]


@pytest.mark.parametrize("path", ["/auth/api_login", "/auth/login"])
def test_asgi_answers_a_form_that_broke_off(asgi_laboratory: Laboratory, path: str) -> None:
    """The browser goes away while it sends a form: nothing is read from half of it."""
    visitor = asgi_laboratory.visitor()
    messages: list[dict[str, Any]] = [
        {"type": "http.request", "body": b'{"email":"a@b.co",', "more_body": True},
        {"type": "http.disconnect"},
        {"type": "http.disconnect"},
    ]
    seen: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return messages.pop(0)

    async def send(message: dict[str, Any]) -> None:
        seen.append(dict(message))

    transport: Any = asgi_laboratory.transport
    scope = transport._scope(
        visitor.prepared("POST", path, headers=[*visitor.from_here, ("Content-Type", "application/json")])
    )
    asyncio.run(asgi_laboratory.gated(scope, receive, send))
    assert 400 <= seen[0]["status"] < 500
