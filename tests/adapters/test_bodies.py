"""Bodies: what the gate has read of one, the application reads again, whole and in order."""

from __future__ import annotations

import hashlib
import io
import random
from collections.abc import Callable, Iterable
from typing import Any

import pytest

from bylaw.adapters import wsgi, wsgi_bodies
from bylaw.verify.client import Reply
from bylaw.verify.laboratory import Laboratory

KIB = 1024
SIZES = [0, 1, 1000, 64 * KIB - 1, 64 * KIB, 64 * KIB + 1, 128 * KIB, 450 * KIB]
FORM = "application/x-www-form-urlencoded"


def digest(body: bytes) -> bytes:
    return f"{len(body)} {hashlib.sha256(body).hexdigest()}".encode()


def whole(stream: Any, length: int) -> bytes:
    return bytes(stream.read(length))


def in_pieces(stream: Any, length: int) -> bytes:
    return b"".join(iter(lambda: stream.read(1000), b""))


def by_lines(stream: Any, length: int) -> bytes:
    return b"".join(iter(stream.readline, b""))


def by_short_lines(stream: Any, length: int) -> bytes:
    return b"".join(iter(lambda: stream.readline(100), b""))


def iterated(stream: Any, length: int) -> bytes:
    return b"".join(stream)


def into_a_buffer(stream: Any, length: int) -> bytes:
    if not hasattr(stream, "readinto"):
        return whole(stream, length)
    with io.BufferedReader(stream, 8192) as buffered:
        return buffered.read()


BY_LINES = [by_lines, by_short_lines, iterated]
READERS = [whole, in_pieces, into_a_buffer]


def reading(reader: Callable[[Any, int], bytes]) -> Callable[..., Iterable[bytes]]:
    """A WSGI application that answers with the digest of what it could read."""

    def application(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        environ[wsgi.EXCHANGE].permitted = True
        length = int(environ.get("CONTENT_LENGTH") or 0) or 10**9
        body = reader(environ["wsgi.input"], length)
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [digest(body)]

    return application


async def receiving(scope: Any, receive: Any, send: Any) -> None:
    """An ASGI application that answers with the digest of what it received."""
    scope["bylaw.exchange"].permitted = True
    body = b""
    while True:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body"):
            break
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": digest(body)})


def a_form(token: str, size: int) -> bytes:
    """A form with the token in front and `size` bytes behind it, with lines in them."""
    rest = (b"0123456789abcde\n" * (size // 16 + 1))[:size]
    return f"csrf_token={token}&rest=".encode() + rest


def cut(body: bytes, rhythm: str) -> tuple[bytes, ...]:
    """The body in pieces: as one, with empty ones, of 64 KiB, of odd sizes."""
    if rhythm == "odd":
        rolled, at, pieces = random.Random(7), 0, []
        while at < len(body):
            size = rolled.choice([1, 3, 1000, 65535, 65537, 300_000])
            pieces.append(body[at : at + size])
            at += size
        return tuple(pieces)
    size = {"one": len(body), "64 KiB": 65536, "empties": 50_000}[rhythm] or 1
    pieces = [body[at : at + size] for at in range(0, len(body), size)]
    if rhythm == "empties":
        pieces = [piece for each in pieces for piece in (b"", each, b"")]
    return tuple(pieces)


def post(laboratory: Laboratory, body: bytes, chunks: tuple[bytes, ...] = ()) -> Reply:
    client = laboratory.client("editor")
    token = client.token()
    whole_body = body.replace(b"TOKEN", token.encode(), 1)
    return client.send(
        "POST",
        "/x",
        headers=[*client.from_here, ("Content-Type", FORM)],
        body=b"" if chunks else whole_body,
        chunks=chunks,
    )


@pytest.mark.requirement("S1-036", "S1-038")
@pytest.mark.parametrize(
    ("reader", "size"),
    [
        *((reader, size) for reader in READERS for size in SIZES),
        *((reader, size) for reader in BY_LINES for size in SIZES[:-1]),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_wsgi_gives_the_body_back(
    wsgi_laboratory: Laboratory, reader: Callable[[Any, int], bytes], size: int
) -> None:
    """A form whose token the gate looked up: the view reads the whole of it, however it reads."""
    client = wsgi_laboratory.client("editor")
    body = a_form(client.token(), size)
    with wsgi_laboratory.instead(reading(reader)):
        reply = client.send("POST", "/x", body=body, headers=[*client.from_here, ("Content-Type", FORM)])
    assert (reply.status, reply.body) == (200, digest(body))


@pytest.mark.requirement("S1-036", "S1-038")
@pytest.mark.parametrize("size", [0, 1, 64 * KIB, 450 * KIB])
@pytest.mark.parametrize("rhythm", ["one", "64 KiB", "empties", "odd"])
@pytest.mark.parametrize("stack", ["wsgi", "asgi"])
def test_a_body_in_pieces_is_given_back(stacks: dict[str, Any], stack: str, rhythm: str, size: int) -> None:
    """The same, sent in pieces and of a length that nobody announced."""
    with stacks[stack].laboratory() as laboratory:
        client = laboratory.client("editor")
        body = a_form(client.token(), size)
        application = reading(in_pieces) if laboratory.is_wsgi else receiving
        with laboratory.instead(application):
            reply = client.send(
                "POST", "/x", chunks=cut(body, rhythm), headers=[*client.from_here, ("Content-Type", FORM)]
            )
    assert (reply.status, reply.body) == (200, digest(body))


@pytest.mark.parametrize("size", SIZES)
def test_asgi_gives_the_body_back(asgi_laboratory: Laboratory, size: int) -> None:
    """The same, in one message."""
    client = asgi_laboratory.client("editor")
    body = a_form(client.token(), size)
    with asgi_laboratory.instead(receiving):
        reply = client.send("POST", "/x", body=body, headers=[*client.from_here, ("Content-Type", FORM)])
    assert (reply.status, reply.body) == (200, digest(body))


@pytest.mark.parametrize("stack", ["wsgi", "asgi"])
def test_what_the_gate_does_not_read_passes_untouched(stacks: dict[str, Any], stack: str) -> None:
    """Five megabytes with the token in the header: the body is the application's alone."""
    body = random.Random(1).randbytes(5 * KIB * KIB)
    with stacks[stack].laboratory() as laboratory:
        application = reading(whole) if laboratory.is_wsgi else receiving
        client = laboratory.client("editor")
        with laboratory.instead(application):
            reply = client.act(
                "POST", "/x", body=body, headers=[("Content-Type", "application/octet-stream")]
            )
    assert (reply.status, reply.body) == (200, digest(body))


class Stingy(io.BytesIO):
    """A stream that gives less than it is asked for, as a socket does."""

    def read(self, size: int | None = -1) -> bytes:
        return super().read(min(size or 0, 700) if size is not None and size >= 0 else -1)


@pytest.mark.parametrize("length", [10, 700, 701, 5000, 70_000])
def test_a_stream_that_gives_little_is_read_to_its_end(length: int) -> None:
    """A server's stream gives what has arrived: less than asked for is not the end."""
    body = random.Random(2).randbytes(length)
    environ = {"CONTENT_LENGTH": str(length), "wsgi.input": Stingy(body)}
    assert wsgi_bodies.read(environ, 100_000) == body
    environ = {"CONTENT_LENGTH": str(length), "wsgi.input": Stingy(body)}
    start, complete = wsgi_bodies.peek(environ, 65536)
    assert start == body[:65536]
    assert complete == (length <= 65536)
    assert in_pieces(environ["wsgi.input"], length) == body


@pytest.mark.parametrize(
    "text", ["", "-1", "+5", "5,5", "5;5", "0x5", "5.0", " 5", "²", "٣", "1e3", "99999999999999999999999"]
)
@pytest.mark.parametrize("stack", ["wsgi", "flask"])
def test_a_length_that_is_none_is_no_length(stacks: dict[str, Any], stack: str, text: str) -> None:
    """Content-Length as no server should hand it over: refused or read as nothing, never a 5xx."""
    with stacks[stack].laboratory() as laboratory:
        visitor = laboratory.visitor()
        for path in ("/auth/api_login", "/auth/login", "/x"):
            reply = visitor.send(
                "POST",
                path,
                body=b'{"email":"a@b.co","password":"x"}',
                headers=[
                    *visitor.from_here,
                    ("Content-Type", "application/json"),
                    ("Content-Length", text.encode().decode("latin-1")),
                ],
            )
            assert reply.status < 500, (path, reply)


def test_a_chunked_body_that_the_server_has_not_undone_is_not_waited_for(
    wsgi_laboratory: Laboratory,
) -> None:
    """A WSGI server that does not know chunked hands over the bare connection: reading it would wait
    for ever, with a thread each (PEP 3333: nothing is read without a length)."""
    with wsgi_laboratory.live() as server:
        for path in ("/auth/api_login", "/auth/login"):
            answer = server.request(
                f"POST {path} HTTP/1.1",
                "Host: app.lab",
                "Transfer-Encoding: chunked",
                "Origin: https://app.lab",
                "Content-Type: application/json",
                patience=20,
            )
            assert answer.split(b" ")[1] in (b"400", b"403", b"411", b"422"), answer[:200]


@pytest.mark.parametrize("stack", ["flask", "fastapi"])
def test_a_real_server_gives_the_body_back(stacks: dict[str, Any], stack: str) -> None:
    """The same through a socket: a form of 100 KB with the token in front."""
    with stacks[stack].laboratory() as laboratory:
        client = laboratory.client("manager")
        token = client.token()
        body = f"csrf_token={token}&text=".encode() + b"a" * 100_000
        with laboratory.live() as server:
            answer = server.request(
                "POST /form HTTP/1.1",
                "Host: app.lab",
                "Origin: https://app.lab",
                f"Cookie: {laboratory.cookie}={client.cookies[laboratory.cookie]}",
                f"Content-Type: {FORM}",
                f"Content-Length: {len(body)}",
                body=body,
            )
    assert answer.split(b" ")[1] in (b"200", b"201"), answer[:300]
    assert b"a" * 100_000 in answer
