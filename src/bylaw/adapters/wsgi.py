"""WSGI (PEP 3333): the gate around any WSGI application."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from typing import Any
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from bylaw.controls import errors
from bylaw.exchange import (
    ALLOW,
    Answer,
    Block,
    EnvironHeaders,
    Exchange,
    Peek,
    Read,
    Refuse,
    TextHead,
    enter,
    leave,
)
from bylaw.reasons import Refused
from bylaw.site import Site

EXCHANGE = "bylaw.exchange"
"""The environ's key under which an application finds its exchange."""


class Gated:
    """`application`, behind the gate of `site`."""

    def __init__(
        self, application: WSGIApplication, site: Site, prepare: Callable[[], None] | None = None
    ) -> None:
        self.application = application
        self.site = site
        self._prepare = prepare or site.open
        self._prepared = False

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        if not self._prepared:
            self._prepare()
            self._prepared = True
        exchange = _exchange(environ)
        token = enter(exchange)
        try:
            verdict = drive(self.site.gate.enter(exchange), environ)
            if verdict is ALLOW:
                return self._serve(exchange, environ, start_response)
            if isinstance(verdict, Refuse | Answer):
                return self._answer(exchange, verdict, start_response)
            raise TypeError(verdict)
        finally:
            leave(token)

    def _serve(
        self, exchange: Exchange, environ: WSGIEnvironment, start_response: StartResponse
    ) -> Iterable[bytes]:
        """Let the application answer; its head departs when it starts to."""
        environ[EXCHANGE] = exchange
        gate = self.site.gate
        withheld: Refuse | None = None
        begun = False

        def started(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
            nonlocal withheld, begun
            begun = True
            code = int(status[:3])
            withheld = gate.withheld(exchange, code)
            if withheld is not None:
                return _swallow
            head = TextHead(code, headers)
            gate.depart(exchange, head)
            if head.torn:
                withheld = Refuse(errors.INTERNAL)
                return _swallow
            if exc_info is not None:
                return start_response(status, head.pairs, exc_info)
            return start_response(status, head.pairs)

        try:
            body = self.application(environ, started)
            if not begun:
                body = _Begun(body)
        except Refused as refused:
            return self._answer(exchange, gate.refused(exchange, refused), start_response)
        except Exception as error:
            return self._answer(exchange, errors.failed(exchange, error), start_response)
        if withheld is not None:
            if hasattr(body, "close"):
                body.close()
            return self._answer(exchange, withheld, start_response)
        return body

    def _answer(
        self, exchange: Exchange, verdict: Refuse | Answer, start_response: StartResponse
    ) -> Iterable[bytes]:
        response = self.site.gate.response(exchange, verdict)
        start_response(f"{response.status} {_PHRASES.get(response.status, 'Status')}",
                       response.headers)
        return [] if exchange.method == "HEAD" else [response.body]


class _Begun:
    """The body of an application that starts when it is first asked for a piece (a generator)."""

    def __init__(self, body: Iterable[bytes]) -> None:
        self._body = body
        pieces = iter(body)
        self._pieces = chain([next(pieces, b"")], pieces)

    def __iter__(self) -> Iterator[bytes]:
        return self._pieces

    def close(self) -> None:
        if hasattr(self._body, "close"):
            self._body.close()


def drive(path: Any, environ: WSGIEnvironment) -> Any:
    """Drive a path of the gate; what it needs is had at once, since this thread may wait."""
    given: Any = None
    try:
        while True:
            match path.send(given):
                case Block():
                    given = None
                case Peek(limit):
                    given = _peek(environ, limit)
                case Read(limit):
                    given = _read(environ, limit)
    except StopIteration as done:
        return done.value


_PHRASES = {200: "OK", 201: "Created", 202: "Accepted", 303: "See Other", 400: "Bad Request",
            401: "Unauthorized", 403: "Forbidden", 404: "Not Found", 405: "Method Not Allowed",
            409: "Conflict", 413: "Content Too Large", 415: "Unsupported Media Type",
            422: "Unprocessable Content", 500: "Internal Server Error",
            503: "Service Unavailable"}


def _exchange(environ: WSGIEnvironment) -> Exchange:
    path = environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", "")
    if not path.isascii():
        # PEP 3333 hands over bytes as latin-1; what is not UTF-8 stays as it is and matches nothing.
        path = path.encode("latin-1").decode("utf-8", "replace")
    return Exchange(
        method=environ["REQUEST_METHOD"],
        path=path or "/",
        headers=EnvironHeaders(environ),
        scheme=environ.get("wsgi.url_scheme", "http"),
        query=environ.get("QUERY_STRING", ""),
        peer=environ.get("REMOTE_ADDR", ""),
    )


def _length(environ: WSGIEnvironment) -> int | None:
    """The body's length; None where the server gives a body of unknown length (chunked)."""
    text = environ.get("CONTENT_LENGTH") or ""
    if text.isascii() and text.isdigit():
        return int(text)
    return None if environ.get("HTTP_TRANSFER_ENCODING") else 0


def _peek(environ: WSGIEnvironment, limit: int) -> tuple[bytes, bool]:
    """The body's beginning, put back for whoever reads it next."""
    stream = environ["wsgi.input"]
    length = _length(environ)
    wanted = limit if length is None else min(limit, length)
    start = b""
    # A server's stream may give less than it was asked for; only an empty read is the end.
    while len(start) < wanted and (piece := stream.read(wanted - len(start))):
        start += piece
    environ["wsgi.input"] = _Rejoined(start, stream)
    return start, len(start) == length if length is not None else len(start) < limit


def _read(environ: WSGIEnvironment, limit: int) -> bytes | None:
    length = _length(environ)
    if length is not None and length > limit:
        return None
    body = environ["wsgi.input"].read(limit + 1 if length is None else length)
    return None if len(body) > limit else body


class _Rejoined(io.RawIOBase):
    """A stream with its beginning, which has been read already, in front of it again."""

    def __init__(self, start: bytes, rest: Any) -> None:
        self._start = start
        self._rest = rest

    def readable(self) -> bool:
        return True

    def read(self, size: int | None = -1) -> bytes:
        if size is None or size < 0:
            start, self._start = self._start, b""
            return start + bytes(self._rest.read())
        start, self._start = self._start[:size], self._start[size:]
        if len(start) < size:
            start += self._rest.read(size - len(start))
        return start

    def readinto(self, buffer: Any) -> int:
        data = self.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def readline(self, size: int | None = -1) -> bytes:
        line = bytearray()
        while (size is None or size < 0 or len(line) < size) and (byte := self.read(1)):
            line += byte
            if byte == b"\n":
                break
        return bytes(line)


def _swallow(data: bytes) -> None:
    """What the application writes of an answer that is withheld."""
