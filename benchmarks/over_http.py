"""Throughput and latency over HTTP: one worker, 32 connections, every server taking its turn.

The client is as simple as can be, so that it is not what is measured: prepared bytes go out, and an answer
is read to the length that it announces. It runs on another core than the server, where there is one.
"""

from __future__ import annotations

import selectors
import socket
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from statistics import quantiles
from tempfile import TemporaryDirectory
from typing import Any, Final

from benchmarks import applications, peers
from benchmarks.premises import Visit, production
from benchmarks.requests import BROWSER, PROXY
from benchmarks.serving import serving
from benchmarks.spread import Spread
from bylaw.site import Site

CONNECTIONS: Final = 32
LEAST: Final = 0.85
"""The least share of the bare application's throughput, both sending the same headers."""
SLOWEST: Final = 1.3
"""How much longer the slowest hundredth of requests may take than the bare application's."""
OVER_PEERS: Final = 10


@dataclass(frozen=True, slots=True)
class Row:
    """One application on one server."""

    server: str
    name: str
    per_second: Spread
    p50: float
    """In milliseconds, the median of the rounds; so is `p99`."""
    p99: float
    share: Spread
    """Of the throughput of the bare application with the same headers, round by round."""
    slower: Spread
    """Its p99 as a multiple of that application's."""


def measure(*, rounds: int = 12, seconds: float = 1.5) -> list[Row]:
    """Both servers, one after the other; the applications of a server take turns."""
    return [*_server("uvicorn", "fastapi", rounds, seconds), *_server("granian", "flask", rounds, seconds)]


def _server(server: str, framework: str, rounds: int, seconds: float) -> list[Row]:
    with production() as variables, TemporaryDirectory() as directory, ExitStack() as stack:
        cookie = _cookie(framework)
        own = [("cookie", cookie)]
        named = {
            "bare": (f"benchmarks.applications:bare_{framework}", own),
            "bare, same headers": (f"benchmarks.applications:headed_{framework}", own),
            "bylaw": (f"benchmarks.applications:served_{framework}", own),
        }
        if not peers.missing():
            named["peers"] = (f"benchmarks.peers.{framework}_stack:served", [])
        environ = {**variables, peers.DIRECTORY: directory}
        ports = {
            name: stack.enter_context(serving(server, factory, environ))[1]
            for name, (factory, _) in named.items()
        }
        asked = {}
        for name, (_, carried) in named.items():
            # What the peers' client sends, they have written down by now.
            asked[name] = _request(carried or [p for p in peers.left(Path(directory)) if p[0] == "cookie"])
        seen: dict[str, list[list[float]]] = {name: [] for name in named}
        for name, port in ports.items():
            load(port, asked[name], 1.0)  # warm
        for number in range(rounds):
            names = list(named)
            turn = number % len(names)
            for name in (*names[turn:], *names[:turn]):
                seen[name].append(load(ports[name], asked[name], seconds))
    return [_row(server, name, seen, seconds) for name in named]


def _cookie(framework: str) -> str:
    app: Any = getattr(applications, f"guarded_{framework}")()
    site: Site = (app.extensions["bylaw"] if framework == "flask" else app.state.bylaw).site
    cookie = Visit(site, f"{framework}@people.test").cookie
    site.close()
    return cookie


def _request(carried: list[tuple[str, str]]) -> bytes:
    fields = "".join(f"{name}: {value}\r\n" for name, value in (*BROWSER, *PROXY, *carried))
    return f"GET /items HTTP/1.1\r\n{fields}\r\n".encode("latin-1")


def load(port: int, request: bytes, seconds: float) -> list[float]:
    """The time that each request took, from all connections together. Raises RuntimeError for a refusal."""
    taken: list[float] = []
    with selectors.DefaultSelector() as ready, ExitStack() as stack:
        for _ in range(CONNECTIONS):
            connection = stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=30))
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            waiting = _Waiting(connection)
            ready.register(connection, selectors.EVENT_READ, waiting)
            waiting.ask(request)
        now = time.perf_counter()
        end = now + seconds
        while now < end:
            for key, _ in ready.select(1):
                waiting = key.data
                if waiting.answered():
                    now = time.perf_counter()
                    taken.append(now - waiting.since)
                    waiting.ask(request)
            now = time.perf_counter()
    return taken


class _Waiting:
    """A connection with a request under way."""

    __slots__ = ("_connection", "_got", "_wanted", "since")

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._got = b""
        self._wanted = 0
        self.since = 0.0

    def ask(self, request: bytes) -> None:
        self._got, self._wanted = b"", 0
        self.since = time.perf_counter()
        self._connection.sendall(request)

    def answered(self) -> bool:
        """Read what is there; whether the answer is complete."""
        piece = self._connection.recv(65536)
        if not piece:
            raise RuntimeError("the server closed a connection")
        self._got += piece
        if not self._wanted:
            end = self._got.find(b"\r\n\r\n")
            if end < 0:
                return False
            head = self._got[:end].lower()
            if not head.startswith(b"http/1.1 200"):
                raise RuntimeError(f"GET /items: {head[:40].decode('latin-1')}")
            length = head.partition(b"\r\ncontent-length:")[2].partition(b"\r\n")[0]
            self._wanted = end + 4 + int(length)
        return len(self._got) >= self._wanted


def _row(server: str, name: str, seen: dict[str, list[list[float]]], seconds: float) -> Row:
    rounds, bare = seen[name], seen["bare, same headers"]
    return Row(
        server,
        name,
        Spread.of([len(times) / seconds for times in rounds]),
        Spread.of([_at(times, 50) * 1e3 for times in rounds]).median,
        Spread.of([_at(times, 99) * 1e3 for times in rounds]).median,
        Spread.of([len(ours) / len(theirs) for ours, theirs in zip(rounds, bare, strict=True)]),
        Spread.of([_at(ours, 99) / _at(theirs, 99) for ours, theirs in zip(rounds, bare, strict=True)]),
    )


def _at(times: list[float], percent: int) -> float:
    return quantiles(times, n=100, method="inclusive")[percent - 1]
