"""A client that can send anything: the attacker's, and everybody else's in a laboratory."""

from __future__ import annotations

import asyncio
import io
import json as json_module
import re
import threading
from collections.abc import Callable, Coroutine, Iterable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, unquote, urlencode, urlsplit

from bylaw.bearer import Family

Pairs = list[tuple[str, str]]


@dataclass(slots=True)
class Reply:
    """What came back."""

    status: int
    headers: Pairs
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode("utf-8", "replace")

    def json(self) -> Any:
        """The body as JSON. Raises ValueError when it is not."""
        return json_module.loads(self.body)

    def all(self, name: str) -> list[str]:
        """Every value of a header field."""
        return [value for key, value in self.headers if key.lower() == name.lower()]

    def header(self, name: str) -> str:
        """The header field's value, empty when absent."""
        return next(iter(self.all(name)), "")

    @property
    def code(self) -> str:
        """The reason's code of a problem, else empty."""
        try:
            return str(self.json().get("code", ""))
        except (ValueError, AttributeError):
            return ""

    def __str__(self) -> str:
        return f"{self.status} {self.code}".strip()


@dataclass(slots=True)
class Sent:
    """What is sent, as the server would see it.

    `chunks`, where there are any, are the body: in pieces, and of a length that nobody announced.
    """

    method: str
    path: str
    query: str
    headers: Pairs
    body: bytes
    scheme: str
    peer: str
    chunks: tuple[bytes, ...] = ()

    def names(self, header: str) -> bool:
        """Whether the header is among those that were written out."""
        return any(name.lower() == header for name, _ in self.headers)


Transport = Callable[[Sent], Reply]
"""Brings what is sent to an application and its answer back."""


class WsgiTransport:
    """Calls a WSGI application in process."""

    def __init__(self, application: Callable[..., Iterable[bytes]]) -> None:
        self._application = application

    def __call__(self, sent: Sent) -> Reply:
        started: list[Any] = []
        host = next((v for k, v in sent.headers if k.lower() == "host"), "localhost")
        environ: dict[str, Any] = {
            "REQUEST_METHOD": sent.method,
            "SCRIPT_NAME": "",
            "PATH_INFO": unquote(sent.path, "latin-1"),
            "QUERY_STRING": sent.query,
            "SERVER_NAME": host.partition(":")[0],
            "SERVER_PORT": "443",
            "SERVER_PROTOCOL": "HTTP/1.1",
            "REMOTE_ADDR": sent.peer,
            "wsgi.version": (1, 0),
            "wsgi.url_scheme": sent.scheme,
            "wsgi.input": io.BytesIO(b"".join(sent.chunks) or sent.body),
            "wsgi.errors": io.StringIO(),
            "wsgi.multithread": True,
            "wsgi.multiprocess": False,
            "wsgi.run_once": False,
        }
        if sent.chunks:  # as a server does that has undone the chunking
            environ |= {"HTTP_TRANSFER_ENCODING": "chunked", "wsgi.input_terminated": True}
        elif not sent.names("content-length"):
            environ["CONTENT_LENGTH"] = str(len(sent.body)) if sent.body else ""
        for name, value in sent.headers:
            key = name.upper().replace("-", "_")
            key = key if key in ("CONTENT_TYPE", "CONTENT_LENGTH") else f"HTTP_{key}"
            joined = environ.get(key)
            glue = "; " if key == "HTTP_COOKIE" else ","
            environ[key] = value if not joined else f"{joined}{glue}{value}"

        def start_response(status: str, headers: Pairs, exc_info: Any = None) -> Any:
            started[:] = [int(status[:3]), headers]
            return lambda data: None

        chunks = self._application(environ, start_response)
        try:
            body = b"".join(chunks)
        finally:
            if hasattr(chunks, "close"):
                chunks.close()
        return Reply(started[0], list(started[1]), body)

    def close(self) -> None:
        """Nothing is kept open."""


class AsgiTransport:
    """Calls an ASGI application in process, on an event loop of its own thread."""

    def __init__(self, application: Callable[..., Coroutine[Any, Any, None]]) -> None:
        self._application = application
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._events: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._startup()

    def _run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(60)

    def _startup(self) -> None:
        """Run the application's lifespan, as a server would. Raises RuntimeError when it fails."""
        answers: asyncio.Queue[dict[str, Any]] = asyncio.Queue()

        async def run() -> dict[str, Any]:
            scope = {"type": "lifespan", "asgi": {"version": "3.0"}, "state": {}}
            task = asyncio.ensure_future(self._application(scope, self._events.get, answers.put))
            self._lifespan = task
            await self._events.put({"type": "lifespan.startup"})
            answer = asyncio.ensure_future(answers.get())
            await asyncio.wait({task, answer}, return_when=asyncio.FIRST_COMPLETED)
            return answer.result() if answer.done() else {"type": "lifespan.startup.complete"}

        message = self._run(run())
        if message["type"] == "lifespan.startup.failed":
            self.close()
            raise RuntimeError(message.get("message", "the application did not start"))

    def __call__(self, sent: Sent) -> Reply:
        return self._run(self.request(sent))  # type: ignore[no-any-return]

    def together(self, many: Iterable[Sent]) -> list[Reply]:
        """All of them at once, each in a task of the one event loop."""

        async def gather() -> list[Reply]:
            return list(await asyncio.gather(*(self.request(sent) for sent in many)))

        return self._run(gather())  # type: ignore[no-any-return]

    def handshake(self, sent: Sent) -> Reply:
        """Ask for a WebSocket: 101 when it was accepted, else the status of the refusal."""
        return self._run(self._handshake(sent))  # type: ignore[no-any-return]

    async def _handshake(self, sent: Sent) -> Reply:
        scope = self._scope(sent) | {
            "type": "websocket",
            "scheme": "wss" if sent.scheme == "https" else "ws",
            "subprotocols": [],
        }
        del scope["method"]
        waiting = [{"type": "websocket.connect"}]
        # A server answers a close before the acceptance with 403 (ASGI, websocket.close).
        reply = Reply(403, [], b"")

        async def receive() -> dict[str, Any]:
            if waiting:
                return waiting.pop()
            return {"type": "websocket.disconnect", "code": 1000}

        async def send(message: dict[str, Any]) -> None:
            if message["type"] == "websocket.accept":
                reply.status = 101
                reply.headers = _text(message.get("headers", []))
            elif message["type"] == "websocket.send":
                reply.body += message.get("bytes") or message.get("text", "").encode()

        await self._application(scope, receive, send)
        return reply

    def _scope(self, sent: Sent) -> dict[str, Any]:
        host = next((v for k, v in sent.headers if k.lower() == "host"), "localhost")
        headers = [(k.lower().encode("latin-1"), v.encode("latin-1")) for k, v in sent.headers]
        if sent.chunks:
            headers.append((b"transfer-encoding", b"chunked"))
        elif sent.body and not sent.names("content-length"):
            headers.append((b"content-length", str(len(sent.body)).encode()))
        return {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": sent.method,
            "scheme": sent.scheme,
            "path": unquote(sent.path, "utf-8", "replace"),
            "raw_path": sent.path.encode("latin-1"),
            "query_string": sent.query.encode("latin-1"),
            "root_path": "",
            "client": (sent.peer, 50000),
            "server": (host, 443),
            "state": {},
            "headers": headers,
        }

    async def request(self, sent: Sent) -> Reply:
        """The same from a task of this loop."""
        scope = self._scope(sent)
        chunks = sent.chunks or (sent.body,)
        messages = [{"type": "http.request", "body": chunk, "more_body": True} for chunk in chunks]
        messages[-1]["more_body"] = False
        messages.reverse()
        gone = asyncio.Event()
        reply = Reply(0, [], b"")

        async def receive() -> dict[str, Any]:
            if messages:
                return messages.pop()
            await gone.wait()
            return {"type": "http.disconnect"}

        async def send(message: dict[str, Any]) -> None:
            if message["type"] == "http.response.start":
                reply.status = message["status"]
                reply.headers = _text(message.get("headers", []))
            elif message["type"] == "http.response.body":
                reply.body += message.get("body", b"")

        await self._application(scope, receive, send)
        gone.set()
        return reply

    def close(self) -> None:
        async def stop() -> None:
            await self._events.put({"type": "lifespan.shutdown"})
            await asyncio.wait({self._lifespan}, timeout=5)

        self._run(stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)
        self._loop.close()


def _text(headers: Iterable[tuple[bytes, bytes]]) -> Pairs:
    return [(name.decode("latin-1"), value.decode("latin-1")) for name, value in headers]


_TOKEN = re.compile(r'<input type="hidden" name="([^"]+)" value="([^"]+)"')


@dataclass(slots=True)
class Client:
    """Somebody with a cookie jar at an address.

    `send` sends exactly what it is told (and the jar's cookies); `act` sends as this site's own page
    would: with Origin, Sec-Fetch-Site and the session's token.
    """

    transport: Transport
    origin: str
    token_page: str
    token_header: str
    peer: str = "198.51.100.7"
    cookies: dict[str, str] = field(default_factory=dict)
    scheme: str = "https"
    email: str = ""
    password: str = ""
    access_token: str = field(default="", repr=False)
    """With which whoever this is signs in, where the policy has people sign in by tokens."""
    id: str = ""
    bearer: str = field(default="", repr=False)
    """What is sent in the Authorization field on the paths of `bearing` (see `Laboratory.bear`)."""
    bearing: Family = field(default_factory=lambda: Family(()))

    def send(
        self,
        method: str,
        target: str,
        *,
        headers: Iterable[tuple[str, str]] = (),
        json: Any = None,
        form: Any = None,
        body: bytes = b"",
        chunks: tuple[bytes, ...] = (),
        cookies: bool = True,
        keep: bool = True,
    ) -> Reply:
        """Send one request. `json` and `form` set body and content type; `keep` stores cookies."""
        reply = self.transport(
            self.prepared(
                method,
                target,
                headers=headers,
                json=json,
                form=form,
                body=body,
                chunks=chunks,
                cookies=cookies,
            )
        )
        if keep:
            self._keep(reply)
        return reply

    def prepared(
        self,
        method: str,
        target: str,
        *,
        headers: Iterable[tuple[str, str]] = (),
        json: Any = None,
        form: Any = None,
        body: bytes = b"",
        chunks: tuple[bytes, ...] = (),
        cookies: bool = True,
    ) -> Sent:
        """What `send` would send, to be sent later or together with others."""
        headers = list(headers)
        pairs = [("Host", urlsplit(self.origin).netloc), ("User-Agent", "laboratory"), *headers]
        named = {key.lower() for key, _ in headers}
        if "host" in named:
            del pairs[0]
        if json is not None:
            body = json_module.dumps(json).encode()
            kind = "application/json"
        elif form is not None:
            body = urlencode(form, doseq=True).encode()
            kind = "application/x-www-form-urlencoded"
        else:
            kind = ""
        if kind and "content-type" not in named:
            pairs.append(("Content-Type", kind))
        if cookies and self.cookies and "cookie" not in named:
            pairs.append(("Cookie", "; ".join(f"{k}={v}" for k, v in self.cookies.items())))
        path, _, query = target.partition("?")
        if self.bearer and self.bearing.covers(path) and "authorization" not in named:
            pairs.append(("Authorization", f"Bearer {self.bearer}"))
        path = quote(path, safe="/%:;,@!$&'()*+=~-._")
        return Sent(method, path, query, pairs, body, self.scheme, self.peer, chunks)

    def _keep(self, reply: Reply) -> None:
        for cookie in reply.all("set-cookie"):
            pair, *attributes = cookie.split(";")
            name, _, value = pair.partition("=")
            gone = any(a.strip().lower() == "max-age=0" for a in attributes)
            if gone or not value:
                self.cookies.pop(name.strip(), None)
            else:
                self.cookies[name.strip()] = value.strip()

    def get(self, target: str, **how: Any) -> Reply:
        """GET, as a program does."""
        return self.send("GET", target, **how)

    def page(self, target: str) -> Reply:
        """GET, as a browser shows a page."""
        return self.send("GET", target, headers=[("Accept", "text/html")])

    @property
    def from_here(self) -> Pairs:
        """What a browser says of a request that a page of this site sends."""
        return [("Origin", self.origin), ("Sec-Fetch-Site", "same-origin")]

    def token(self) -> str:
        """A token of this client's session (or visit), as a page has it."""
        for _, value in _TOKEN.findall(self.page(self.token_page).text):
            return str(value)
        raise LookupError(f"no token on {self.token_page}")

    def act(self, method: str, target: str, **how: Any) -> Reply:
        """Send as a script of this site: its origin, and the token in the header."""
        extra = how.pop("headers", [])
        headers = [*self.from_here, (self.token_header, self.token()), *extra]
        return self.send(method, target, headers=headers, **how)
