"""The gate without a framework: around three lines of WSGI, three lines of ASGI, and nothing.

What gets past the gate here changes something, whatever it is: a vector that says "nothing has
changed" says that the application was never called.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import unquote

from bylaw.adapters import asgi, wsgi
from bylaw.exchange import (
    Allow,
    Answer,
    Block,
    Exchange,
    PairHeaders,
    Peek,
    Read,
    Refuse,
    TextHead,
    enter,
    leave,
)
from bylaw.identity import PUBLIC, AccessRule
from bylaw.site import Site
from bylaw.verify.client import Reply, Sent

POLICY = Path(__file__).parent / "bylaw.toml"
PLAIN = ("Content-Type", "text/plain; charset=utf-8")


class Bare:
    """A policy at work around an application of three lines."""

    def __init__(self, policy: Path = POLICY) -> None:
        self.site = Site(policy)
        self.changes = 0
        self.gated: Any = None
        self.state = SimpleNamespace(bylaw=self, notes=self)

    def ready(self) -> None:
        self.site.open()

    def routes(self) -> Iterator[tuple[str, str, AccessRule]]:
        yield "POST", "/", PUBLIC


class BareWsgi(Bare):
    """Around WSGI."""

    def __init__(self) -> None:
        super().__init__()
        self.gated = wsgi.Gated(self._application, self.site)
        self.wsgi_app = self.gated

    def _application(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        environ[wsgi.EXCHANGE].permitted = True
        self.changes += 1
        start_response("200 OK", [PLAIN])
        return [b"passed"]


class BareAsgi(Bare):
    """Around ASGI."""

    def __init__(self) -> None:
        super().__init__()
        self.gated = asgi.Gated(self._application, self.site)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await self.gated(scope, receive, send)

    async def _application(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await receive()
            await send({"type": "lifespan.startup.complete"})
            await receive()
            await send({"type": "lifespan.shutdown.complete"})
            return
        scope[asgi.EXCHANGE].permitted = True
        self.changes += 1
        await send(
            {
                "type": "http.response.start",
                "status": 200,
                "headers": [tuple(text.encode() for text in PLAIN)],
            }
        )
        await send({"type": "http.response.body", "body": b"passed"})


class Core(Bare):
    """Around nothing: the exchange is built here, and the gate is driven by hand."""

    def __call__(self, sent: Sent) -> Reply:
        pairs = list(sent.headers)
        if sent.chunks:
            pairs.append(("Transfer-Encoding", "chunked"))
        elif sent.body and not sent.names("content-length"):
            pairs.append(("Content-Length", str(len(sent.body))))
        exchange = Exchange(
            method=sent.method,
            path=unquote(sent.path, "utf-8", "replace"),
            headers=PairHeaders(pairs),
            scheme=sent.scheme,
            query=sent.query,
            peer=sent.peer,
        )
        token = enter(exchange)
        try:
            return self._reply(exchange, b"".join(sent.chunks) or sent.body)
        finally:
            leave(token)

    def _reply(self, exchange: Exchange, body: bytes) -> Reply:
        verdict = driven(self.site.gate.deciding(exchange), body)
        match verdict:
            case Allow():
                exchange.permitted = True
                self.changes += 1
                head = TextHead(200, [PLAIN])
                self.site.gate.depart(exchange, head)
                return Reply(200, head.pairs, b"passed")
            case Refuse() | Answer():
                response = self.site.gate.response(exchange, verdict)
                body = b"" if exchange.method == "HEAD" else response.body
                return Reply(response.status, response.headers, body)
            case _:
                raise TypeError(verdict)


def driven(path: Any, body: bytes) -> Any:
    """The verdict of a path of the gate, which is given whatever it needs."""
    given: Any = None
    try:
        while True:
            match path.send(given):
                case Block():
                    given = None
                case Peek(limit):
                    given = body[:limit], len(body) <= limit
                case Read(limit):
                    given = body if len(body) <= limit else None
    except StopIteration as done:
        return done.value


def transport(core: Callable[[Sent], Reply]) -> Callable[[Sent], Reply]:
    """How the core is called: as it is."""
    return core
