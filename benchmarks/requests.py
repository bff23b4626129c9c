"""Prepared requests, and the least that a server does to make an application answer one."""

from __future__ import annotations

import io
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Final

from benchmarks.premises import HOST, ORIGIN

BROWSER: Final = (
    ("host", HOST),
    ("user-agent", "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"),
    ("accept", "application/json"),
    ("accept-language", "en-GB,en;q=0.7,de;q=0.3"),
    ("accept-encoding", "gzip, deflate, br"),
    ("referer", f"{ORIGIN}/list"),
    ("sec-fetch-dest", "empty"),
    ("sec-fetch-mode", "cors"),
    ("sec-fetch-site", "same-origin"),
)
"""What a browser says when a script of the site itself fetches something."""
PROXY: Final = (("x-forwarded-for", "198.51.100.7"), ("x-forwarded-proto", "https"))
"""What a proxy adds that has taken the request over HTTPS."""
BODY: Final = b'{"name": "bolt", "count": 250}'


@dataclass(frozen=True, slots=True)
class Sent:
    """A request, as it would come over the wire."""

    method: str
    expected: int
    headers: tuple[tuple[str, str], ...]
    body: bytes = b""


def get(cookie: str) -> Sent:
    """A read of somebody signed in."""
    return carrying("GET", [("cookie", cookie)])


def post(cookie: str, token: str) -> Sent:
    """A change by somebody signed in, with the token of the page it is sent from."""
    return carrying("POST", [("cookie", cookie), ("x-csrf-token", token)])


def carrying(method: str, carried: list[tuple[str, str]]) -> Sent:
    """A read or a change with these fields besides what a browser sends."""
    if method == "GET":
        return Sent("GET", 200, (*BROWSER, *carried))
    about = (
        ("origin", ORIGIN),
        ("content-type", "application/json"),
        ("content-length", str(len(BODY))),
    )
    return Sent("POST", 201, (*BROWSER, *about, *carried), BODY)


def wsgi(application: Callable[..., Any], sent: Sent) -> Callable[[], None]:
    """Something that makes a WSGI application answer `sent` once. It raises when the status is another."""
    prepared: dict[str, Any] = {
        "REQUEST_METHOD": sent.method,
        "SCRIPT_NAME": "",
        "PATH_INFO": "/items",
        "QUERY_STRING": "",
        "SERVER_NAME": HOST,
        "SERVER_PORT": "443",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "198.51.100.7",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "https",
        "wsgi.errors": io.StringIO(),
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }
    for name, value in sent.headers:
        key = name.upper().replace("-", "_")
        prepared[key if key in ("CONTENT_TYPE", "CONTENT_LENGTH") else f"HTTP_{key}"] = value
    expected, body = str(sent.expected), sent.body

    def once() -> None:
        environ = prepared.copy()
        environ["wsgi.input"] = io.BytesIO(body)
        said = ""

        def start_response(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
            nonlocal said
            said = status

        answer = application(environ, start_response)
        b"".join(answer)
        if hasattr(answer, "close"):
            answer.close()
        if not said.startswith(expected):
            raise RuntimeError(f"{sent.method}: {said}, not {expected}")

    return once


def asgi(
    application: Callable[..., Any], sent: Sent, *, piece: int = 0
) -> Callable[[], Coroutine[Any, Any, None]]:
    """The same for an ASGI application; to be awaited on a running loop. The body comes in pieces of so many
    bytes, or as a whole."""
    prepared: dict[str, Any] = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": sent.method,
        "scheme": "https",
        "path": "/items",
        "raw_path": b"/items",
        "query_string": b"",
        "root_path": "",
        "client": ("198.51.100.7", 50000),
        "server": (HOST, 443),
    }
    pairs = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in sent.headers]
    bodies = [sent.body[at : at + piece] for at in range(0, len(sent.body), piece)] if piece else [sent.body]
    messages = [
        {"type": "http.request", "body": body, "more_body": number < len(bodies)}
        for number, body in enumerate(bodies, 1)
    ] or [{"type": "http.request", "body": b"", "more_body": False}]
    expected = sent.expected

    async def once() -> None:
        left = iter(messages)

        async def receive() -> dict[str, Any]:
            return next(left, messages[-1])

        scope = prepared.copy()
        scope["headers"] = pairs.copy()
        scope["state"] = {}
        said = 0

        async def send(message: dict[str, Any]) -> None:
            nonlocal said
            if message["type"] == "http.response.start":
                said = message["status"]

        await application(scope, receive, send)
        if said != expected:
            raise RuntimeError(f"{sent.method}: {said}, not {expected}")

    return once
