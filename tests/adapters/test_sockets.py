"""WebSockets, the lifespan, and bytes that only a real connection can carry."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Annotated, Any

import pytest
from fastapi import FastAPI, WebSocket

from bylaw.adapters import asgi
from bylaw.errors import PolicyError, Problem
from bylaw.fastapi import Bylaw, Identity, Permit, Public
from bylaw.verify.client import Client, Reply
from bylaw.verify.laboratory import Bench, Laboratory
from bylaw.verify.target import Target
from tests.applications.bare import POLICY


def with_sockets() -> FastAPI:
    app = FastAPI()
    Bylaw(app, POLICY)

    @app.websocket("/open")
    async def everybody(
        socket: WebSocket, who: Annotated[Identity, Public("a stream for everybody")]
    ) -> None:
        await socket.accept()
        await socket.send_text(who.id)
        await socket.close()

    @app.websocket("/notes")
    async def readers(socket: WebSocket, who: Annotated[Identity, Permit("note:read")]) -> None:
        await socket.accept()
        await socket.send_text(who.id)
        await socket.close()

    @app.websocket("/report")
    async def managers(socket: WebSocket, who: Annotated[Identity, Permit("report:read")]) -> None:
        await socket.accept()
        await socket.close()

    @app.websocket("/talk")
    async def talk(socket: WebSocket, who: Annotated[Identity, Permit("note:read")]) -> None:
        await socket.accept()
        async for text in socket.iter_text():
            await socket.send_text(f"{who.id} said {text}")

    return app


@pytest.fixture(scope="module")
def sockets() -> Iterator[Bench]:
    bench = Bench(Target("sockets", with_sockets))
    yield bench
    bench.close()


@pytest.fixture
def talking(sockets: Bench) -> Iterator[Laboratory]:
    """An application with three WebSockets behind the gate."""
    with sockets.laboratory() as made:
        yield made


def shake(laboratory: Laboratory, client: Client, path: str, **how: Any) -> Reply:
    transport: Any = laboratory.transport
    reply: Reply = transport.handshake(client.prepared("GET", path, **how))
    return reply


@pytest.mark.requirement("S1-030", "S1-033")
def test_a_socket_opens_for_whoever_may(talking: Laboratory) -> None:
    """Her own page opens it for her; a stranger and the wrong role get 403 before it is open."""
    alice = talking.client("user")
    here = alice.from_here
    opened = shake(talking, alice, "/notes", headers=here)
    assert (opened.status, opened.text) == (101, alice.id)
    assert shake(talking, alice, "/report", headers=here).status == 403
    assert shake(talking, talking.visitor(), "/notes", headers=here).status == 403
    assert shake(talking, talking.visitor(), "/open", headers=here).status == 101
    assert shake(talking, alice, "/nothing", headers=here).status == 403


@pytest.mark.requirement("S1-038")
@pytest.mark.parametrize(
    "headers",
    [
        [("Origin", "https://evil.test")],
        [("Origin", "https://evil.test"), ("Sec-Fetch-Site", "same-origin")],
        [("Origin", "null")],
        [("Origin", "http://app.lab")],
        [("Origin", "https://sub.app.lab")],
        [("Sec-Fetch-Site", "cross-site")],
        [("Sec-Fetch-Site", "same-site")],
        [("Origin", "https://app.lab"), ("Origin", "https://evil.test")],
    ],
)
def test_no_foreign_page_opens_a_socket(talking: Laboratory, headers: list[tuple[str, str]]) -> None:
    """Cross-site WebSocket hijacking: no preflight stands before a handshake, only this check."""
    alice = talking.client("user")
    for path in ("/notes", "/open", "/nothing"):
        assert shake(talking, alice, path, headers=headers).status == 403


def test_a_socket_of_a_dead_session_does_not_open(talking: Laboratory) -> None:
    """A copied cookie, after its owner has signed out."""
    alice = talking.client("user")
    copy = dict(alice.cookies)
    alice.act("POST", talking.api("sign_out"), json={})
    alice.cookies = copy
    assert shake(talking, alice, "/notes", headers=alice.from_here).status == 403


def shut(laboratory: Laboratory, alice: Client) -> None:
    administered(laboratory, alice, {"action": "disable", "reason": "left"})


def demoted(laboratory: Laboratory, alice: Client) -> None:
    administered(laboratory, alice, {"action": "roles", "role": [], "reason": "left"})


def administered(laboratory: Laboratory, alice: Client, change: dict[str, object]) -> None:
    done = laboratory.administrator().act("POST", f"{laboratory.api('users')}/{alice.id}", json=change)
    assert done.status == 200, done  # a session that goes on would have the test wait for nothing


def signed_out(laboratory: Laboratory, alice: Client) -> None:
    alice.act("POST", laboratory.api("sign_out"), json={})


def expired(laboratory: Laboratory, alice: Client) -> None:
    laboratory.clock.advance(86_401)


@pytest.mark.requirement("C-32", "S3-069")
@pytest.mark.parametrize("end", [shut, demoted, signed_out, expired], ids=lambda end: end.__name__)
def test_an_open_socket_closes_when_its_session_ends(
    talking: Laboratory, end: Callable[[Laboratory, Client], None]
) -> None:
    """Alice talks on an open socket; her session ends; her next word is not heard."""
    alice = talking.client("user")
    transport: Any = talking.transport
    scope = transport._scope(alice.prepared("GET", "/talk", headers=alice.from_here))
    scope |= {"type": "websocket", "scheme": "wss", "subprotocols": []}
    del scope["method"]

    async def converse() -> list[dict[str, Any]]:
        to: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        back: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        task = asyncio.ensure_future(transport._application(scope, to.get, back.put))
        await to.put({"type": "websocket.connect"})
        heard = [await back.get()]
        await to.put({"type": "websocket.receive", "text": "one"})
        heard.append(await back.get())
        await asyncio.to_thread(end, talking, alice)
        await to.put({"type": "websocket.receive", "text": "two"})
        await task
        while not back.empty():
            heard.append(back.get_nowait())
        return heard

    accepted, answer, *rest = transport._run(converse())
    assert accepted["type"] == "websocket.accept"
    assert answer["text"] == f"{alice.id} said one"
    assert [message["type"] for message in rest] == ["websocket.close"]
    assert rest[0]["code"] == 1008


@pytest.mark.requirement("S1-030")
def test_what_cannot_be_kept_fails_the_start(asgi_laboratory: Laboratory) -> None:
    """A server asks whether the application has started: it has not, and it was never called."""
    called: list[str] = []

    async def application(scope: Any, receive: Any, send: Any) -> None:
        called.append(scope["type"])

    def prepare(last: bool) -> None:
        raise PolicyError("the policy cannot be kept", [Problem("GET /x", "(view)", "why", "how")])

    gated = asgi.Gated(application, asgi_laboratory.site, prepare)
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "lifespan.startup"}

    async def send(message: Any) -> None:
        sent.append(dict(message))

    asyncio.run(gated({"type": "lifespan"}, receive, send))
    assert [message["type"] for message in sent] == ["lifespan.startup.failed"]
    assert "the policy cannot be kept" in sent[0]["message"]
    assert called == []


@pytest.mark.requirement("S1-030")
def test_a_server_does_not_start_with_an_undeclared_route() -> None:
    """The same, seen by what runs the server: an error that names the route."""

    def factory() -> FastAPI:
        app = with_sockets()
        app.get("/late")(lambda: "secret")
        return app

    bench = Bench(Target("late", factory))
    try:
        with pytest.raises(PolicyError, match="/late"):
            bench.laboratory()
    finally:
        bench.close()


# Bytes of a connection. What the server itself refuses is its own answer; what it lets through is
# never a 5xx, and never somebody's data.

ODD = {
    "two hosts": ("GET /auth/api_me HTTP/1.1", "Host: app.lab", "Host: evil.test"),
    "no host": ("GET /auth/api_me HTTP/1.1",),
    "an absolute target": ("GET http://evil.test/auth/api_me HTTP/1.1", "Host: app.lab"),
    "an asterisk": ("OPTIONS * HTTP/1.1", "Host: app.lab"),
    "an authority": ("CONNECT app.lab:443 HTTP/1.1", "Host: app.lab"),
    "two lengths": (
        "POST /auth/api_login HTTP/1.1",
        "Host: app.lab",
        "Content-Length: 0",
        "Content-Length: 5",
    ),
    "a length and chunks": (
        "POST /auth/api_login HTTP/1.1",
        "Host: app.lab",
        "Content-Length: 5",
        "Transfer-Encoding: chunked",
    ),
    "a length that is none": ("POST /auth/api_login HTTP/1.1", "Host: app.lab", "Content-Length: abc"),
    "a space before the colon": ("GET /auth/api_me HTTP/1.1", "Host: app.lab", "Origin : x"),
    "a folded line": ("GET /auth/api_me HTTP/1.1", "Host: app.lab", "X-A: b\r\n c: d"),
    "an underscore": ("GET /auth/api_me HTTP/1.1", "Host: app.lab", "Sec_Fetch_Site: same-origin"),
    "no version": ("GET /auth/api_me", "Host: app.lab"),
    "an old version": ("GET /auth/api_me HTTP/1.0", "Host: app.lab"),
    "a raw byte in the path": ("GET /\xff\xfe HTTP/1.1", "Host: app.lab"),
    "a raw byte in a header": ("GET /auth/api_me HTTP/1.1", "Host: app.lab", "Cookie: \xff=\xfe"),
    "a NUL in a header": ("GET /auth/api_me HTTP/1.1", "Host: app.lab", "Cookie: a=\0"),
    "a long path": ("GET /" + "a" * 20_000 + " HTTP/1.1", "Host: app.lab"),
    "a long header": ("GET /auth/api_me HTTP/1.1", "Host: app.lab", "X-A: " + "a" * 20_000),
    "many headers": ("GET /auth/api_me HTTP/1.1", "Host: app.lab", *["X-A: b"] * 90),
    "many cookies": ("GET /auth/api_me HTTP/1.1", "Host: app.lab", *["Cookie: __Host-sid=" + "a" * 43] * 20),
    "two origins": (
        "POST /auth/api_login HTTP/1.1",
        "Host: app.lab",
        "Origin: https://app.lab",
        "Origin: https://evil.test",
        "Content-Length: 0",
    ),
    "a path with its host": ("GET //evil.test/auth/api_me HTTP/1.1", "Host: app.lab"),
    "dots": ("GET /x/../auth/api_me HTTP/1.1", "Host: app.lab"),
    "encoded dots": ("GET /x/%2e%2e/auth/api_me HTTP/1.1", "Host: app.lab"),
    "a fragment": ("GET /auth/api_me#x HTTP/1.1", "Host: app.lab"),
    "an empty path": ("GET  HTTP/1.1", "Host: app.lab"),
    "an unknown method": ("FOO /auth/api_me HTTP/1.1", "Host: app.lab"),
    "a method of markup": ("<script> /auth/api_me HTTP/1.1", "Host: app.lab"),
    "a range": ("GET /auth/static/bylaw.css HTTP/1.1", "Host: app.lab", "Range: bytes=0-1"),
    "an expectation": (
        "POST /auth/api_login HTTP/1.1",
        "Host: app.lab",
        "Expect: 100-continue",
        "Content-Length: 0",
    ),
}


@pytest.mark.parametrize("framework", ["flask", "fastapi"])
def test_odd_bytes_get_no_5xx_and_open_nothing(framework: str, benches: dict[str, Bench]) -> None:
    """Requests that no browser sends, through a socket: refused or answered, by whole answers."""
    with benches[framework].laboratory() as laboratory, laboratory.live() as server:
        for name, lines in ODD.items():
            answer = server.request(*lines, patience=20, shut=True)
            if not answer:
                continue  # the server closed without a word
            head = answer.partition(b"\r\n\r\n")[0]
            status = int(head.split(b" ")[1]) if head.startswith(b"HTTP/") else 400
            # 501 and 505 are the server's own words for a method or a version that it has not.
            assert status < 500 or status in (501, 505), (name, answer[:300])
            assert b"Traceback" not in answer, name
            assert b"<script>" not in answer, name


@pytest.mark.parametrize("framework", ["flask", "fastapi"])
def test_a_forged_request_does_not_hide_behind_another_header_line(
    framework: str, benches: dict[str, Bench]
) -> None:
    """Two lines of Origin, Sec-Fetch-Site or Cookie, through a socket: none of them is believed."""
    with benches[framework].laboratory() as laboratory:
        alice = laboratory.client("manager")
        sid = f"Cookie: {laboratory.cookie}={alice.cookies[laboratory.cookie]}"
        base = (
            "POST /api/open/notes HTTP/1.1",
            "Host: app.lab",
            "Content-Type: application/json",
            "Content-Length: 12",
        )
        doubled = {
            "origin": ("Origin: https://app.lab", "Origin: https://evil.test"),
            "origin, the other way": ("Origin: https://evil.test", "Origin: https://app.lab"),
            "fetch site": ("Sec-Fetch-Site: same-origin", "Sec-Fetch-Site: cross-site"),
        }
        with laboratory.live() as server:
            for name, lines in doubled.items():
                answer = server.request(*base, sid, *lines, body=b'{"text":"x"}')
                assert answer.split(b" ")[1] in (b"400", b"403"), (name, answer[:300])
            twice = server.request("GET /auth/api_me HTTP/1.1", "Host: app.lab", sid, sid)
            assert twice.split(b" ")[1] in (b"400", b"401"), twice[:300]
            good = server.request(*base, sid, "Origin: https://app.lab", body=b'{"text":"x"}')
            assert good.split(b" ")[1] == b"201", good[:300]


@pytest.mark.parametrize("framework", ["flask", "fastapi"])
def test_a_client_that_goes_away_leaves_the_server_alive(framework: str, benches: dict[str, Bench]) -> None:
    """Half a request, and gone; the next one is answered."""
    with benches[framework].laboratory() as laboratory, laboratory.live() as server:
        for half in (
            b"",
            b"GET",
            b"GET / HTTP/1.1\r\n",
            b"POST /auth/api_login HTTP/1.1\r\nHost: app.lab\r\nContent-Length: 100\r\n\r\n{",
        ):
            server.raw(half, shut=True, patience=20)
        assert server.request("GET / HTTP/1.1", "Host: app.lab").split(b" ")[1] == b"200"
