"""Applications of a few lines that a laboratory puts behind the gate, in both interfaces, and what stands in
for a network and a database that are not there."""

from __future__ import annotations

import hashlib
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy.exc import OperationalError

from bylaw.ports import Received

_PIECE: Final = 64 * 1024


def answering(
    wsgi: bool,
    *,
    status: int = 200,
    headers: list[tuple[str, str]] | None = None,
    body: bytes = b"",
    error: Exception | None = None,
) -> Callable[..., Any]:
    """An application of a few lines that answers the same to everybody."""

    def wsgi_stub(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
        environ["bylaw.exchange"].permitted = True
        if error is not None:
            raise error
        start_response(f"{status} Stub", list(headers or [("Content-Type", "text/plain")]))
        return [body]

    async def asgi_stub(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        scope["bylaw.exchange"].permitted = True
        if error is not None:
            raise error
        pairs = headers or [("Content-Type", "text/plain")]
        await send(
            {
                "type": "http.response.start",
                "status": status,
                "headers": [(k.lower().encode("latin-1"), v.encode("latin-1")) for k, v in pairs],
            }
        )
        await send({"type": "http.response.body", "body": body})

    return wsgi_stub if wsgi else asgi_stub


class Reader:
    """The application behind the gate: it reads all that it is given, and says what that was."""

    def __init__(self, *, wsgi: bool) -> None:
        self.calls = 0
        self.read = 0
        self.application: Any = self._wsgi if wsgi else self._asgi

    def _wsgi(self, environ: dict[str, Any], start_response: Any) -> list[bytes]:
        environ["bylaw.exchange"].permitted = True
        self.calls += 1
        length = environ.get("CONTENT_LENGTH")
        left = int(length) if length else sys.maxsize if environ.get("wsgi.input_terminated") else 0
        seen = hashlib.sha256()
        while left > 0 and (piece := environ["wsgi.input"].read(min(left, _PIECE))):
            left -= len(piece)
            self.read += len(piece)
            seen.update(piece)
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [seen.hexdigest().encode()]

    async def _asgi(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        scope["bylaw.exchange"].permitted = True
        self.calls += 1
        seen, more = hashlib.sha256(), True
        while more:
            message = await receive()
            more = message.get("more_body", False)
            self.read += len(message.get("body", b""))
            seen.update(message.get("body", b""))
        headers = [(b"content-type", b"text/plain")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": seen.hexdigest().encode()})


@dataclass(frozen=True, slots=True)
class Seen:
    """A request as the application saw it."""

    client: str
    scheme: str
    host: str
    names: frozenset[str]
    """The names of its header fields, in lower case."""


def witness(seen: list[Seen], *, wsgi: bool) -> Callable[..., Any]:
    """An application that appends what it was told of each request to `seen`."""

    def as_wsgi(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        environ["bylaw.exchange"].permitted = True
        names = {key[5:].lower().replace("_", "-") for key in environ if key.startswith("HTTP_")}
        host = environ.get("HTTP_HOST", "")
        seen.append(Seen(environ["REMOTE_ADDR"], environ["wsgi.url_scheme"], host, frozenset(names)))
        start_response("200 Seen", [("Content-Type", "text/plain")])
        return [b"seen"]

    async def as_asgi(scope: Any, receive: Any, send: Any) -> None:
        scope["bylaw.exchange"].permitted = True
        held = {name.decode(): value.decode("latin-1") for name, value in scope["headers"]}
        seen.append(Seen(scope["client"][0], scope["scheme"], held.get("host", ""), frozenset(held)))
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"seen"})

    return as_wsgi if wsgi else as_asgi


_RANGE: Final = re.compile(r"/[0-9A-F]{5}$")


class Unreachable:
    """A database that does not answer, in the place of an engine."""

    def __getattr__(self, name: str) -> Any:
        raise OperationalError(name, None, ConnectionError("a probe took it away"))


def offline(method: str, url: str, /, **how: Any) -> Received:
    """A network with nobody in it: a laboratory asks no real server. A service for leaked passwords knows of
    none, so that an application whose policy asks one can be attacked like any other."""
    if method == "GET" and _RANGE.search(url):
        return Received(200, "text/plain", b"".join(b"%035X:0\r\n" % number for number in range(800)))
    raise OSError("a laboratory has no network")
