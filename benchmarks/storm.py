"""A storm of sign-ins at one worker, and what somebody who is signed in notices of it.

The server is another process, reached over HTTP; so is everybody who signs in. The measurement itself is
one connection that asks for `/items` again and again, first in quiet, then during the storm.
"""

from __future__ import annotations

import http.client
import json
import multiprocessing
import threading
import time
from collections import Counter
from dataclasses import dataclass
from statistics import quantiles
from typing import Any, Final

from benchmarks import applications
from benchmarks.premises import HOST, ORIGIN, PASSWORD, Visit, crowd, production
from benchmarks.requests import PROXY
from benchmarks.serving import resident, serving

CLIENTS: Final = 32
BUDGET: Final = 3.0
"""How much longer the slowest hundredth of requests may take in a storm than in quiet, as a multiple."""
PAUSE: Final = 0.002
"""Seconds between two requests of the one who is signed in: the server must have gone to sleep."""
WARM: Final = 200
FACTORIES: Final = {
    "FastAPI on uvicorn": ("uvicorn", "benchmarks.applications:served_fastapi"),
    "Flask on granian": ("granian", "benchmarks.applications:served_flask"),
}
QUICK: Final = (("FastAPI on uvicorn", True),)
ALL: Final = tuple((server, heed) for server in FACTORIES for heed in (True, False))
"""Which servers, and whether those who are told to come back later do."""


@dataclass(frozen=True, slots=True)
class Latency:
    """Of so many requests, in milliseconds."""

    count: int
    p50: float
    p99: float
    worst: float

    @classmethod
    def of(cls, seconds: list[float]) -> Latency:
        marks = quantiles(seconds, n=100, method="inclusive")
        return cls(len(seconds), marks[49] * 1e3, marks[98] * 1e3, max(seconds) * 1e3)


@dataclass(frozen=True, slots=True)
class Weather:
    """One server's quiet and its storm."""

    server: str
    quiet: Latency
    storm: Latency
    signed_in: float
    """Sign-ins a second."""
    refused: float
    """Sign-ins a second that were told to come back (503)."""
    heeded: bool
    """Whether those who were refused waited for as long as Retry-After said."""
    resident_before: int
    resident_after: int
    """MiB, of the server with its children, before the storm and right after it."""

    @property
    def ratio(self) -> float:
        return self.storm.p99 / self.quiet.p99


def measure(server: str, *, seconds: float, heed: bool) -> Weather:
    """Quiet for as long as the storm, with one server, one worker and a database of its own."""
    with production() as variables:
        app = applications.guarded_fastapi()
        site = app.state.bylaw.site
        visit = Visit(site, "reader@people.test")
        emails = crowd(site, CLIENTS)
        path = next(r.path for r in site.pages.routes() if r.api and r.endpoint.name == "sign_in")
        site.close()
        with serving(*FACTORIES[server], variables) as (pid, port):
            reader = _Reader(port, visit.cookie)
            reader.wait()
            before = resident(pid)
            quiet = reader.read(seconds)
            told, storm = _in_a_storm(reader, _Crowd(port, path, emails, seconds, heed=heed))
            after = resident(pid)
            reader.close()
    return Weather(
        server,
        Latency.of(quiet),
        Latency.of(storm),
        told[200] / seconds,
        told[503] / seconds,
        heed,
        before,
        after,
    )


class _Reader:
    """Somebody who is signed in and reads, one request after the other on one connection."""

    def __init__(self, port: int, cookie: str) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        self._headers = {"Host": HOST, "Accept": "application/json", "Cookie": cookie, **dict(PROXY)}

    def _get(self) -> int:
        self._connection.request("GET", "/items", headers=self._headers)
        reply = self._connection.getresponse()
        reply.read()
        return reply.status

    def wait(self) -> None:
        """Until the server answers, and until it is warm. Raises TimeoutError."""
        deadline = time.monotonic() + 30
        while True:
            try:
                status = self._get()
                break
            except OSError:
                self._connection.close()
                if time.monotonic() > deadline:
                    raise TimeoutError("the server did not start") from None
                time.sleep(0.1)
        if status != 200:
            raise RuntimeError(f"GET /items: {status}")
        for _ in range(WARM):
            self._get()

    def read(self, seconds: float) -> list[float]:
        """The time that each request took, for so many seconds. Raises RuntimeError for a refusal."""
        self._connection.close()  # a server ends a connection that was idle meanwhile
        self._get()
        taken = []
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            begun = time.perf_counter()
            status = self._get()
            taken.append(time.perf_counter() - begun)
            if status != 200:
                raise RuntimeError(f"GET /items: {status}")
            time.sleep(PAUSE)
        return taken

    def close(self) -> None:
        self._connection.close()


@dataclass(frozen=True, slots=True)
class _Crowd:
    """People who sign in again and again, all at once; run in a process of their own."""

    port: int
    path: str
    emails: list[str]
    seconds: float
    heed: bool

    def run(self, begun: Any, replies: Any) -> None:
        """Sign in for `seconds`; how often each status came back goes to `replies`."""
        told: Counter[int] = Counter()
        end = time.monotonic() + self.seconds
        threads = [threading.Thread(target=self._one, args=(email, end, told)) for email in self.emails]
        begun.set()
        for each in threads:
            each.start()
        for each in threads:
            each.join()
        replies.put(told)

    def _one(self, email: str, end: float, told: Counter[int]) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        body = json.dumps({"email": email, "password": PASSWORD})
        headers = {
            "Host": HOST,
            "Origin": ORIGIN,
            "Sec-Fetch-Site": "same-origin",
            "Content-Type": "application/json",
            **dict(PROXY),
        }
        while time.monotonic() < end:
            connection.request("POST", self.path, body, headers)
            reply = connection.getresponse()
            reply.read()
            if time.monotonic() < end:
                told[reply.status] += 1
            if reply.status == 503 and self.heed:
                time.sleep(min(float(reply.headers["Retry-After"]), max(0.0, end - time.monotonic())))
        connection.close()


def _in_a_storm(reader: _Reader, people: _Crowd) -> tuple[Counter[int], list[float]]:
    """What the crowd was told, and what the reader noticed."""
    context = multiprocessing.get_context("spawn")
    begun, replies = context.Event(), context.Queue()
    process = context.Process(target=people.run, args=(begun, replies), daemon=True)
    process.start()
    begun.wait(60)
    taken = reader.read(people.seconds)
    told: Counter[int] = replies.get(timeout=60)
    process.join(60)
    strange = set(told) - {200, 503}
    if strange or not told[200]:
        raise RuntimeError(f"sign-ins were answered with {dict(told)}")
    return told, taken
