"""What bylaw adds to one request, without a network: every variant takes its turn in every round.

What is counted is the processor time of this process, whatever threads it goes to: what other programs
take of a shared machine is not counted. Such a machine is still now faster, now slower, by a third and
more. Within a round of a few hundredths of a second it is the same for all, so that the ratio of one
round is worth more than any time in it.
"""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from benchmarks import applications, peers, requests
from benchmarks.premises import Queries, Visit, production
from benchmarks.spread import Spread
from bylaw.site import Site

WARM: Final = 300
"""Requests that every variant answers before anything is measured."""
AGAIN: Final = 4
"""Requests before each batch: what another variant and the collector left in the caches is not counted."""
PEERS: Final = 20
"""How many times fewer requests the peers answer in a batch."""
BUDGET: Final = 1.35
"""What one request may cost at most, as a multiple of the bare framework's."""
Once = Callable[[], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Variant:
    """An application and the request it answers."""

    name: str
    run: Callable[[int], Awaitable[float]]
    """Answers so many requests; the seconds that took."""

    @property
    def bare(self) -> bool:
        return ", bare" in self.name

    @property
    def peers(self) -> bool:
        return self.name.endswith(", peers")

    def of(self, batch: int) -> int:
        """How many requests of a batch it answers: the peers need as long for one as others for all."""
        return max(2, batch // PEERS) if self.peers else batch


@dataclass(frozen=True, slots=True)
class Pair:
    """What a guarded variant costs beside a bare one, round by round."""

    name: str
    ratio: Spread
    added: Spread
    """In µs."""
    budget: bool
    """Whether this is the comparison that BUDGET is about."""


@dataclass(frozen=True, slots=True)
class Row:
    """A variant's time in µs, and what it is compared with."""

    name: str
    micros: Spread
    against: list[Pair]


@dataclass(frozen=True, slots=True)
class Result:
    """All rows of the measurement, and how many queries the guarded requests made."""

    rows: list[Row]
    requests: int
    queries: int


def measure(*, rounds: int = 300, batch: int = 40) -> Result:
    """Measure both frameworks. Raises RuntimeError where a known session was asked of the database."""
    with production(), TemporaryDirectory() as directory:
        return asyncio.run(_measure(rounds, batch, Path(directory)))


async def _measure(rounds: int, batch: int, directory: Path) -> Result:
    flask, fastapi = applications.guarded_flask(), applications.guarded_fastapi()
    flask_site: Site = flask.extensions["bylaw"].site
    fastapi_site: Site = fastapi.state.bylaw.site
    fastapi.state.bylaw.ready()
    try:
        counted = [Queries(flask_site), Queries(fastapi_site)]
        groups = [
            *await _flask(flask, Visit(flask_site, "flask@people.test")),
            *await _fastapi(fastapi, Visit(fastapi_site, "fastapi@people.test")),
        ]
        if not peers.missing():
            for group, more in zip(groups, await _peers(directory), strict=True):
                group.append(more)
        everyone = [variant for group in groups for variant in group]
        for variant in everyone:
            await variant.run(variant.of(WARM))
        for queries in counted:
            queries.count = 0
        times = await _rounds(everyone, rounds, batch, [flask_site, fastapi_site])
        asked = sum(queries.count for queries in counted)
    finally:
        flask_site.close()
        fastapi_site.close()
    if asked:
        raise RuntimeError(f"{asked} queries for requests with a known session: there must be none")
    rows = [row for group in groups for row in _compared(group, times)]
    return Result(rows, rounds * batch * sum("bylaw" in v.name for v in everyone), asked)


async def _flask(guarded: Any, visit: Visit) -> list[list[Variant]]:
    bare, keyed = applications.bare_flask(), applications.keyed_flask()
    await _batches(requests.wsgi(guarded, requests.get(visit.cookie)))(1)  # the process knows the session now
    sent = {"GET": requests.get(visit.cookie), "POST": requests.post(visit.cookie, visit.token())}
    return [
        [
            Variant(f"Flask {method}, bare with a SECRET_KEY", _batches(requests.wsgi(keyed, one))),
            Variant(f"Flask {method}, bare", _batches(requests.wsgi(bare, one))),
            Variant(f"Flask {method}, bylaw", _batches(requests.wsgi(guarded, one))),
        ]
        for method, one in sent.items()
    ]


async def _fastapi(guarded: Any, visit: Visit) -> list[list[Variant]]:
    bare, dependent = applications.bare_fastapi(), applications.dependent_fastapi()
    await requests.asgi(guarded, requests.get(visit.cookie))()
    sent = {"GET": requests.get(visit.cookie), "POST": requests.post(visit.cookie, visit.token())}
    return [
        [
            Variant(f"FastAPI {method}, bare", _awaited(requests.asgi(bare, one))),
            Variant(f"FastAPI {method}, bare with a dependency", _awaited(requests.asgi(dependent, one))),
            Variant(f"FastAPI {method}, bylaw", _awaited(requests.asgi(guarded, one))),
        ]
        for method, one in sent.items()
    ]


async def _peers(directory: Path) -> list[Variant]:
    """The peers' variants, in the order of the groups."""
    from benchmarks.peers import fastapi_stack, flask_stack

    flask, carried = flask_stack.create(directory)
    found = [
        Variant(f"Flask {one.method}, peers", _batches(requests.wsgi(flask, one)))
        for one in (requests.carrying("GET", carried), requests.carrying("POST", carried))
    ]
    fastapi, sign_in = fastapi_stack.create(directory)
    carried = await sign_in()
    found += [
        Variant(f"FastAPI {one.method}, peers", _awaited(requests.asgi(fastapi, one)))
        for one in (requests.carrying("GET", carried), requests.carrying("POST", carried))
    ]
    return found


def _batches(once: Callable[[], None]) -> Callable[[int], Awaitable[float]]:
    async def run(count: int) -> float:
        begun = time.process_time()
        for _ in range(count):
            once()
        return time.process_time() - begun

    return run


def _awaited(once: Once) -> Callable[[int], Awaitable[float]]:
    async def run(count: int) -> float:
        begun = time.process_time()
        for _ in range(count):
            await once()
        return time.process_time() - begun

    return run


async def _rounds(
    everyone: list[Variant], rounds: int, batch: int, sites: list[Site]
) -> dict[str, list[float]]:
    """µs per request of each variant in each round."""
    times: dict[str, list[float]] = {variant.name: [] for variant in everyone}
    # What stands since the start is no garbage of a request. From here on the collector runs as it does in
    # production, and each batch begins with nothing left over from the one before.
    gc.collect()
    gc.freeze()
    try:
        for number in range(rounds):
            # Nobody is always first, or always after the same neighbour's cache.
            turn = number % len(everyone)
            for variant in (*everyone[turn:], *everyone[:turn]):
                gc.collect()
                for site in sites:
                    # A collection lets no other thread run: in a large process it outlasts the bound, and
                    # the requests after it would rightly ask the database.
                    site.house.store.feed.read()
                await variant.run(variant.of(AGAIN))
                count = variant.of(batch)
                times[variant.name].append(await variant.run(count) / count * 1e6)
    finally:
        gc.unfreeze()
    return times


def _compared(group: list[Variant], times: dict[str, list[float]]) -> list[Row]:
    """Rows of one framework and method: bylaw is paired with each bare variant and has its budget against the
    last of them; the peers are paired with the bare framework."""
    bare = [variant for variant in group if variant.bare]
    rows = []
    for variant in group:
        beside = [] if variant.bare else [b for b in bare if not variant.peers or b.name.endswith(", bare")]
        pairs = []
        for each in beside:
            rounds = list(zip(times[variant.name], times[each.name], strict=True))
            pairs.append(
                Pair(
                    each.name,
                    Spread.of([ours / theirs for ours, theirs in rounds]),
                    Spread.of([ours - theirs for ours, theirs in rounds]),
                    each is bare[-1] and not variant.peers,
                )
            )
        rows.append(Row(variant.name, Spread.of(times[variant.name]), pairs))
    return rows
