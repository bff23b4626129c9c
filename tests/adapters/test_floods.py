"""Floods against real servers: whoever sends slowly, too much or nonsense keeps nobody else waiting.

Granian serves Flask, uvicorn serves FastAPI, each as a process of its own, so that its memory can be seen.
"""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from bylaw.controls import secrets
from tests.applications import flask_app

ROOT = Path(__file__).resolve().parents[2]
MB = 1024 * 1024
MARGIN = 48 * MB
"""What a server may have more after a flood than before: Python keeps what it once needed, and threads
their stacks. A flood that was kept would be ten times that."""
THREADS = 8
SERVER = {
    "flask": [
        "granian",
        "--interface",
        "wsgi",
        "--blocking-threads",
        "8",
        "--no-ws",
        "--factory",
        "--no-log",
    ],
    "fastapi": ["uvicorn", "--factory", "--log-level", "critical", "--no-access-log"],
}


@dataclass(frozen=True)
class Server:
    """A server at work."""

    port: int
    process: int

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=10)

    def ask(self, data: bytes) -> bytes:
        """What comes back until the server closes."""
        with self.connect() as connection:
            received = b""
            try:
                connection.sendall(data)
                while piece := connection.recv(65536):
                    received += piece
            except (ConnectionResetError, BrokenPipeError):
                pass  # it has said what it had to say, and closed
            return received

    def home(self) -> bytes:
        """The front page, as anybody else would ask for it meanwhile."""
        return self.ask(self.head("GET", "/", "Connection: close"))

    def head(self, method: str, path: str, *lines: str) -> bytes:
        host = f"Host: 127.0.0.1:{self.port}"
        return "\r\n".join([f"{method} {path} HTTP/1.1", host, *lines, "", ""]).encode("latin-1")

    @property
    def resident(self) -> int:
        """The memory of the server and of its workers, in bytes."""
        return sum(_resident(process) for process in _family(self.process))


def _family(process: int) -> list[int]:
    children = Path(f"/proc/{process}/task/{process}/children").read_text().split()
    return [process, *(each for child in children for each in _family(int(child)))]


def _resident(process: int) -> int:
    found = re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{process}/status").read_text())
    return int(found[1]) * 1024 if found else 0


@contextmanager
def serving(framework: str, folder: Path) -> Iterator[Server]:
    """The notes application in a server's own process, without limits: they would end each flood early."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    off = '\n[rate_limits]\noff = true\nbecause = "this is about what a server bears without them"\n'
    (folder / "bylaw.toml").write_text(flask_app.POLICY.read_text("utf-8") + off, "utf-8")
    (folder / "served.py").write_text(
        "from pathlib import Path\n"
        f"from tests.applications import {framework}_app\n\n"
        "def create_app():\n"
        f"    return {framework}_app.create_app(Path({str(folder)!r}) / 'bylaw.toml')\n"
    )
    environ = {
        **os.environ,
        "BYLAW_ENV": "development",
        "BASE_URL": f"http://127.0.0.1:{port}",
        "DATABASE_URL": f"sqlite:///{folder}/app.db",
        "SECRET_KEY": secrets.new(),
        "REDIS_URL": "redis://127.0.0.1:1",
        "PYTHONPATH": os.pathsep.join([str(folder), str(ROOT), *sys.path]),
    }
    name, *options = SERVER[framework]
    command = [sys.executable, "-m", name, *options, "--host", "127.0.0.1", "--port", str(port)]
    with (folder / "server.log").open("wb") as log:
        process = subprocess.Popen(
            [*command, "served:create_app"], cwd=folder, env=environ, stdout=log, stderr=log
        )
    try:
        server = Server(port, process.pid)
        _until(lambda: b" 200 " in _perhaps(server.home), folder / "server.log")
        yield server
    finally:
        process.terminate()
        process.wait(20)


def _perhaps(ask: Callable[[], bytes]) -> bytes:
    try:
        return ask()
    except OSError:
        return b""  # nobody listens yet


def _until(ready: Callable[[], bool], log: Path) -> None:
    ends = time.monotonic() + 30
    while not ready():
        assert time.monotonic() < ends, log.read_text("utf-8", "replace")[-2000:]


@pytest.fixture(scope="module", params=sorted(SERVER))
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(request.param, tmp_path_factory.mktemp("served")) as made:
        yield made


def status(answer: bytes) -> int:
    found = re.match(rb"HTTP/1\.[01] (\d{3})", answer)
    return int(found[1]) if found else 0


def statuses(many: bytes) -> list[int]:
    """The statuses of all answers of one connection."""
    return [int(found) for found in re.findall(rb"HTTP/1\.1 (\d{3})", many)]


def flood(work: Callable[[int], list[int]], times: int) -> Counter[int]:
    """`work(0)` to `work(times - 1)` in several threads: how often which status came."""
    with ThreadPoolExecutor(THREADS) as pool:
        return Counter(each for found in pool.map(work, range(times)) for each in found)


def nobody_failed(seen: Counter[int]) -> None:
    """No 5xx but a server's own words for a method or a version that it has not."""
    assert not [each for each in seen if each >= 500 and each not in (501, 505)], seen


@pytest.mark.requirement("S1-094", "S3-055")
def test_two_hundred_slow_heads_keep_nobody_waiting(server: Server) -> None:
    """Slowloris: connections that never finish their head; somebody else gets the page at once."""
    before = server.resident
    with ExitStack() as open_ones:
        for number in range(200):
            connection = open_ones.enter_context(server.connect())
            connection.sendall(server.head("GET", "/", "X-Slow: 1")[: -2 - number % 20])
        for _ in range(20):
            began = time.monotonic()
            assert status(server.home()) == 200
            assert time.monotonic() - began < 5
        assert server.resident - before < MARGIN
    assert status(server.home()) == 200


@pytest.mark.requirement("S1-094", "C-03")
def test_a_flood_of_large_bodies_is_not_kept(server: Server) -> None:
    """A gigabyte announced, and megabytes sent in pieces and in parts: refused, and nothing of it stays."""
    here = f"Origin: http://127.0.0.1:{server.port}"
    piece = b"10000\r\n" + b"a" * 65536 + b"\r\n"
    part = b'--b\r\nContent-Disposition: form-data; name="a"\r\n\r\n'

    def attack(number: int) -> list[int]:
        close = "Connection: close"
        json = "Content-Type: application/json"
        path = ("/auth/api_login", "/auth/login", "/form", "/api/open/notes")[number % 4]
        match number % 3:
            case 0:
                head = server.head("POST", path, here, close, json, "Content-Length: 1000000000")
                return [status(server.ask(head + b'{"a": "' + b"a" * 200_000))]
            case 1:
                head = server.head("POST", path, here, close, json, "Transfer-Encoding: chunked")
                return [status(server.ask(head + piece * 40))]
            case _:
                kind = "Content-Type: multipart/form-data; boundary=b"
                size = f"Content-Length: {len(part) + 900_000}"
                return [
                    status(
                        server.ask(server.head("POST", path, here, close, kind, size) + part + b"a" * 900_000)
                    )
                ]

    flood(attack, 60)  # what a server needs once
    before = server.resident
    seen = flood(attack, 600)
    nobody_failed(seen)
    assert set(seen) <= {0, 400, 401, 403, 413, 415}, seen  # 0: it closed before it had read all
    assert seen[413], seen
    assert server.resident - before < MARGIN
    assert status(server.home()) == 200


JSON = "Content-Type: application/json"
MULTIPART = "Content-Type: multipart/form-data"
NONSENSE: list[Callable[[Server, int], bytes]] = [
    lambda s, n: s.head("POST", "/auth/api_login", JSON, "Content-Length: 1") + b"{",
    lambda s, n: s.head("POST", "/auth/api_login", JSON, "Content-Length: 3") + b"NaN",
    lambda s, n: s.head("POST", "/auth/api_login", "Content-Type: text/xml", "Content-Length: 4") + b"<x/>",
    lambda s, n: s.head("POST", f"/auth/login?{n}", MULTIPART, "Content-Length: 2") + b"--",
    lambda s, n: s.head("GET", f"/{n}/" + "a" * 3000, "Cookie: " + "a=b; " * 400),
    lambda s, n: s.head("GET", f"/auth/api_me?{n}=%ff&=%", "Cookie: __Host-sid=\xff", "Accept: \xfe"),
    lambda s, n: s.head("GET", f"/{n}", "Range: bytes=" + "0-," * 500 + "1"),
    lambda s, n: s.head("GET", f"/{n}", *[f"X-{i}: {n}" for i in range(95)], "Authorization: " + "a" * 3000),
    lambda s, n: s.head("PROPFIND", f"/{n}"),
    lambda s, n: s.head("DELETE", f"/api/notes/{n}", "Origin: https://evil.test"),
    lambda s, n: s.head("GET", f"/api/papers/{n}%2f..%2f{n}//;x"),
    lambda s, n: s.head("POST", "/api/notes", "Content-Encoding: gzip", "Content-Length: 2") + b"\x1f\x8b",
]
BROKEN = [
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 200,
    b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
    b"GET / HTTP/9.9\r\n\r\n",
    b"GET /\xff\xfe HTTP/1.1\r\nHost: a\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    b"A" * 20_000 + b"\r\n\r\n",
    b"GET / HTTP/1.1\nHost: a\n\n",
    b"\r\n" * 500,
    b"",
]


@pytest.mark.requirement("S3-055", "S2-015")
def test_ten_thousand_malformed_requests_leave_nothing_behind(server: Server) -> None:
    """Bad JSON, paths, headers, lengths, and bytes that are no HTTP: no 5xx, no growth, others served."""

    def attack(number: int) -> list[int]:
        if number % 25 == 0:  # on a connection of its own, which ends with it
            with server.connect() as connection:
                received = b""
                try:
                    connection.sendall(BROKEN[number // 25 % len(BROKEN)])
                    connection.shutdown(socket.SHUT_WR)
                    while piece := connection.recv(65536):
                        received += piece
                except OSError:
                    pass  # the server has closed already
                return statuses(received) or [0]
        requests = [NONSENSE[(number + at) % len(NONSENSE)](server, number) for at in range(20)]
        return statuses(server.ask(b"".join(requests) + server.head("GET", "/", "Connection: close")))

    flood(attack, 40)
    before = server.resident
    seen = flood(attack, 525)
    nobody_failed(seen)
    assert sum(count for each, count in seen.items() if each >= 400) >= 9_000, seen
    assert seen[200] >= 300, seen  # the last request of a connection is a good one
    assert server.resident - before < MARGIN
    assert status(server.home()) == 200
