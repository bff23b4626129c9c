"""ASGI 3: the gate around any ASGI application.

The pure path runs on the event loop. Where a step must wait, what is left of the path is taken to a
worker thread once; the loop never hashes and never waits for a database.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from types import GeneratorType
from typing import Any

from bylaw.controls import errors
from bylaw.controls.sessions import long_exchanges
from bylaw.errors import PolicyError
from bylaw.exchange import (
    ALLOW,
    Answer,
    Block,
    Exchange,
    Forwarded,
    Meter,
    Peek,
    RawHead,
    RawHeaders,
    Read,
    Refuse,
    enter,
    leave,
)
from bylaw.identity import AccessRule
from bylaw.reasons import Reason, Refused
from bylaw.site import Site

Message = MutableMapping[str, Any]
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

EXCHANGE = "bylaw.exchange"
"""The scope's key under which an application finds its exchange."""
_DONE = object()
_BODY = "http.response.body"
_CLOSE = {"type": "websocket.close", "code": 1008}
"""Policy violation (RFC 6455 section 7.4.1); before the handshake is accepted it becomes 403."""


class Gated:
    """`application`, behind the gate of `site`: `application = Gated(application, Site("bylaw.toml"))`.

    Who may call what stands in the policy, by path (`[[access.routes]]`); the application finds whoever
    asks by `bylaw.site.identity()`.
    """

    def __init__(
        self, application: Application, site: Site, prepare: Callable[[bool], None] | None = None
    ) -> None:
        self.application = application
        self.site = site
        self._prepare = prepare or self._open
        self._prepared = False
        # More than the hash pool has places: a sign-in that waits must not keep out a look-up.
        self._workers = ThreadPoolExecutor(site.house.hashes.places + 8, thread_name_prefix="bylaw-worker")

    # What a framework's `Bylaw` offers as well: commands and laboratories take either.

    @property
    def gated(self) -> Gated:
        return self

    def ready(self) -> None:
        """Refuse to start where the policy cannot be kept. Raises PolicyError with every problem."""
        self._prepare(False)

    def routes(self) -> Iterator[tuple[str, str, AccessRule]]:
        """Every (method, path, access rule) of the application, as the policy has them."""
        return self.site.rules.routes()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._lifespan(scope, receive, send)
            return
        if not self._prepared:
            await self.off_loop(self._prepare, True)
            self._prepared = True
        exchange = _exchange(scope)
        token = enter(exchange)
        body = _Body(receive)
        try:
            verdict = self.site.gate.enter(exchange)
            if type(verdict) is GeneratorType:
                verdict = await self.drive(verdict, body)
            if verdict is ALLOW:
                await self._serve(exchange, scope, body, send)
            elif isinstance(verdict, Refuse | Answer):
                await self._answer(exchange, verdict, _cutting(send, scope, verdict))
            else:
                raise TypeError(verdict)
        finally:
            leave(token)

    async def _lifespan(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse to start where the policy cannot be kept: before the application starts, and once
        more after, since starting may have added routes."""
        try:
            await self.off_loop(self._prepare, False)
        except PolicyError as error:
            await receive()
            await send({"type": "lifespan.startup.failed", "message": str(error)})
            return

        async def started(message: Message) -> None:
            if message["type"] == "lifespan.startup.complete":
                try:
                    await self.off_loop(self._prepare, True)
                    self._prepared = True
                except PolicyError as error:
                    message = {"type": "lifespan.startup.failed", "message": str(error)}
            await send(message)

        await self.application(scope, receive, started)

    def _open(self, last: bool) -> None:
        self.site.open()
        if last:
            self.site.routed()

    async def drive(self, path: Any, body: _Body | None = None) -> Any:
        """Drive a path of the gate: on the loop until something must wait, then in a thread.

        Without a `body`, for a path that reads none.
        """
        body = body or _Body(_nothing)
        given: Any = None
        blocking = False
        while True:
            if blocking:
                need = await self.off_loop(_advance, path, given)
                if isinstance(need, tuple):
                    return need[1]
            else:
                try:
                    need = path.send(given)
                except StopIteration as done:
                    return done.value
            match need:
                case Block():
                    blocking, given = True, None
                case Peek(limit):
                    given = await body.peek(limit)
                case Read(limit):
                    given = await body.read(limit)

    async def off_loop(self, work: Callable[..., Any], *args: Any) -> Any:
        context = copy_context()
        return await asyncio.get_running_loop().run_in_executor(
            self._workers, lambda: context.run(work, *args)
        )

    async def _serve(self, exchange: Exchange, scope: Scope, body: _Body, send: Send) -> None:
        """Let the application answer; its head departs when it starts to."""
        scope[EXCHANGE] = exchange
        if exchange.forwarded is not None:
            _forward(scope, exchange.forwarded)
        if exchange.websocket:
            await self._converse(exchange, scope, body.receive, send)
            return
        receive = body.receive if exchange.meter is None else _metered(body.receive, exchange.meter)
        if exchange.meter is not None:
            send = _cutting(send, scope, exchange.meter)
        gate = self.site.gate
        started = withheld = finished = False

        def sent(message: Message) -> Awaitable[None]:
            # No coroutine of its own: what it returns is the server's, which is awaited all the same.
            nonlocal started, withheld, finished
            if message["type"] == "http.response.start":
                refuse = gate.withheld(exchange, message["status"])
                if refuse is None:
                    head = RawHead(message["status"], list(message.get("headers", ())))
                    gate.depart(exchange, head)
                    if head.torn:
                        refuse = Refuse(errors.INTERNAL)
                    else:
                        message["headers"] = head.pairs
                started = True
                if refuse is not None:
                    withheld = True
                    return self._answer(exchange, refuse, send)
            if withheld:
                return _dropped()
            finished = started and not message.get("more_body", message["type"] != _BODY)
            return send(message)

        try:
            await self.application(scope, receive, sent)
        except Refused as refused:
            if started:
                raise
            verdict = await self.off_loop(gate.refused, exchange, refused)
            await self._answer(exchange, verdict, send)
        except Exception as error:
            refuse = gate.failed(exchange, error)
            if not started:
                await self._answer(exchange, refuse, send)
            elif not (withheld or finished):
                raise  # too late for another answer: the server cuts the connection

    async def _converse(self, exchange: Exchange, scope: Scope, receive: Receive, send: Send) -> None:
        """A WebSocket: opened only by a declared route, and closed when its session has ended.

        What is said is checked against memory, which the revocation feed keeps true; only a session
        that memory no longer holds is asked of the database.
        """
        closed = False

        async def stands() -> bool:
            nonlocal closed
            if not closed and not long_exchanges.remembered(self.site.house, exchange):
                closed = not await self.off_loop(long_exchanges.stands, self.site.house, exchange)
                if closed:
                    await send(dict(_CLOSE))
            return not closed

        async def received() -> Message:
            message = await receive()
            if message["type"] == "websocket.receive":
                if not await stands():
                    return {"type": "websocket.disconnect", "code": 1008}
                long_exchanges.used(self.site.house, exchange)
            return message

        async def sent(message: Message) -> None:
            nonlocal closed
            if not closed and not exchange.permitted and message["type"] != "websocket.close":
                closed = True
                await send(dict(_CLOSE))
            if not closed and (message["type"] == "websocket.close" or await stands()):
                await send(message)

        await self.application(scope, received, sent)

    async def _answer(self, exchange: Exchange, verdict: Refuse | Answer, send: Send) -> None:
        if exchange.websocket:
            await send(dict(_CLOSE))
            return
        response = self.site.gate.response(exchange, verdict)
        await send(
            {
                "type": "http.response.start",
                "status": response.status,
                "headers": [
                    (name.lower().encode("latin-1"), value.encode("latin-1"))
                    for name, value in response.headers
                ],
            }
        )
        body = b"" if exchange.method == "HEAD" else response.body
        await send({"type": "http.response.body", "body": body})


def _left(reason: Reason) -> bool:
    """Whether there is more of a refused body than anybody should wait for: too much, or a file."""
    return reason.control == "uploads" or (reason.control == "body" and reason.status == 413)


def _cutting(send: Send, scope: Scope, decided: Refuse | Answer | Meter) -> Send:
    """`send`, which has the server close the connection when a body was refused: it would read the rest of
    it, however much that is, to come to the next request (RFC 9112 section 9.6; HTTP/2 needs no word)."""
    if not scope.get("http_version", "1.1").startswith("1"):
        return send

    def cut(message: Message) -> Awaitable[None]:
        if message["type"] == "http.response.start":
            refused = decided if isinstance(decided, Refuse | Answer) else decided.refused
            if isinstance(refused, Refuse) and _left(refused.reason):
                message["headers"] = [*message["headers"], (b"connection", b"close")]
        return send(message)

    return cut


async def _dropped() -> None:
    """What follows an answer that did not leave."""


async def _given(message: Message) -> Message:
    return message


async def _nothing() -> Message:
    return {"type": "http.disconnect"}


def _advance(path: Any, given: Any) -> Any:
    """One advance of the path in a worker; a StopIteration cannot cross a future."""
    try:
        return path.send(given)
    except StopIteration as done:
        return (_DONE, done.value)


def _exchange(scope: Scope) -> Exchange:
    client = scope.get("client")
    websocket = scope["type"] == "websocket"
    # In the order of its arguments: by name the call takes half a microsecond longer.
    return Exchange(
        "GET" if websocket else scope["method"],
        _path(scope),
        RawHeaders(scope["headers"]),
        scope.get("scheme", "http"),
        scope.get("query_string", b"").decode("latin-1"),
        client[0] if client else "",
        websocket,
    )


def _forward(scope: Scope, forwarded: Forwarded) -> None:
    """Have the application see the request as the client sent it, and no word of anybody in between."""
    kept = [pair for pair in scope["headers"] if pair[0] not in forwarded.drop.raw]
    if forwarded.client is not None:
        scope["client"] = (forwarded.client, 0)  # the port was the proxy's
    if forwarded.scheme is not None:
        secure = forwarded.scheme == "https"
        scope["scheme"] = ("wss" if secure else "ws") if scope["type"] == "websocket" else forwarded.scheme
    if forwarded.host is not None:
        kept = [pair for pair in kept if pair[0] != b"host"]
        kept.append((b"host", forwarded.host.encode("latin-1")))
        name, _, port = forwarded.host.rpartition(":")
        default = 443 if scope["scheme"] in ("https", "wss") else 80
        scope["server"] = (name, int(port)) if port.isdecimal() else (forwarded.host, default)
    scope["headers"] = kept


def _metered(receive: Receive, meter: Meter) -> Receive:
    """`receive`, with a meter that looks at what comes."""

    async def received() -> Message:
        message = await receive()
        if message["type"] == "http.request":
            if message.get("body"):
                meter.take(message["body"])
            if not message.get("more_body", False):
                meter.take(b"")
        return message

    return received


def _path(scope: Scope) -> str:
    """The path below the application's own mount point, as its framework routes it."""
    path: str = scope["path"]
    root: str = scope.get("root_path", "")
    if root and path.startswith(root) and path[len(root) :][:1] in ("", "/"):
        return path[len(root) :] or "/"
    return path


class _Body:
    """The request's body: what the gate has read of it is received again by the application."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._held: deque[Message] = deque()

    def receive(self) -> Awaitable[Message]:
        return _given(self._held.popleft()) if self._held else self._receive()

    async def peek(self, limit: int) -> tuple[bytes, bool]:
        """The beginning of the body, and whether that was all of it."""
        if not self._held:
            self._held.append(await self._receive())
        first = self._held[0]
        if first["type"] == "http.request" and not first.get("more_body", False):
            body: bytes = first.get("body", b"")  # as most are: nothing to put together
            return body[:limit], len(body) <= limit
        held = bytearray()  # not bytes: a body sent byte by byte would be copied each time
        whole = False
        messages: list[Message] = []
        while not whole and len(held) < limit:
            message = await self.receive()
            messages.append(message)
            if message["type"] != "http.request":
                break
            held += message.get("body", b"")
            whole = not message.get("more_body", False)
        self._held.extendleft(reversed(messages))
        return bytes(held[:limit]), whole and len(held) <= limit

    async def read(self, limit: int) -> bytes | None:
        body, whole = await self.peek(limit + 1)
        return body if whole and len(body) <= limit else None
