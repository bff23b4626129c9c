"""What grows with the number of people, and what does not."""

from __future__ import annotations

import gc
import time
import tracemalloc
import uuid
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import insert

from benchmarks import applications, requests
from benchmarks.premises import Visit, production
from benchmarks.spread import Spread
from bylaw.controls import sessions
from bylaw.site import Site
from bylaw.store.assignments import Assignment
from bylaw.store.memory import SessionMemory
from bylaw.store.sessions import SessionRow
from bylaw.store.tables import users

SESSIONS: Final = 100_000
CROWDS: Final = (1_000, 100_000, 1_000_000)
_BATCH: Final = 10_000


@dataclass(frozen=True, slots=True)
class Memory:
    """What remembered sessions hold."""

    sessions: int
    mebibytes: float
    bounded: int
    """How many are left when twice as many were remembered as the policy allows."""


@dataclass(frozen=True, slots=True)
class Cost:
    """One request in µs, with so many accounts in the database."""

    accounts: int
    known: Spread
    """Of a session that the process remembers."""
    unknown: Spread
    """Of one that it asks the database for."""


def memory(*, count: int = SESSIONS) -> Memory:
    """Sessions as requests leave them in memory: each with a user, an address and ids of its own."""
    with production():
        site = _site()
        house = site.house
        tracemalloc.start()
        before = tracemalloc.get_traced_memory()[0]
        held = house.store.memory
        for number in range(count):
            held.remember(sessions._remembered(house, _row(number)), held.generation)
        gc.collect()
        taken = tracemalloc.get_traced_memory()[0] - before
        tracemalloc.stop()
        few = SessionMemory(count // 10)
        for number in range(count // 5):
            few.remember(sessions._remembered(house, _row(number)), few.generation)
        site.close()
    return Memory(count, taken / 2**20, len(few))


def _row(number: int) -> SessionRow:
    fields: dict[str, Any] = {
        "digest": uuid.uuid4().hex + uuid.uuid4().hex,
        "id": uuid.uuid4().hex[:16],
        "user_id": str(uuid.uuid4()),
        "email": f"person-{number}@people.test",
        "name": f"Person {number}",
        "assignments": (_held(number),),
        "method": "password",
        "renew": False,
        "owes": "",
        "acting": None,
        "credential": None,
    }
    rest = {name: 0 for name in SessionRow.__dataclass_fields__ if name not in fields}
    return SessionRow(**{**rest, **fields})


def _held(number: int) -> Assignment:
    return Assignment(number, "", "user", "", None, 0.0, "", None, None, None)


def _site() -> Site:
    app = applications.guarded_flask()
    site: Site = app.extensions["bylaw"].site
    return site


def accounts(*, crowds: tuple[int, ...] = CROWDS, rounds: int = 60, batch: int = 25) -> list[Cost]:
    """The same requests, before more and more accounts. What is remembered is measured warm."""
    costs = []
    with production():
        app = applications.guarded_flask()
        site: Site = app.extensions["bylaw"].site
        visit = Visit(site, "reader@people.test")
        once = requests.wsgi(app, requests.get(visit.cookie))
        there = 0
        for crowd in crowds:
            _settle(site, there, crowd)
            there = crowd
            known, unknown = [], []
            for _ in range(rounds):
                known.append(_timed(once, batch))
                unknown.append(_forgetting(site, once, batch))
            costs.append(Cost(crowd, Spread.of(known), Spread.of(unknown)))
        site.close()
    return costs


def _settle(site: Site, first: int, last: int) -> None:
    """Have accounts number `first` to `last`."""
    for start in range(first, last, _BATCH):
        rows = [
            {
                "id": str(uuid.uuid4()),
                "email": f"settler-{number}@people.test",
                "name": "",
                "password_hash": None,  # nosec B105  # nobody signs in
                "epoch": 1,
                "created_at": 0.0,
            }
            for number in range(start, min(start + _BATCH, last))
        ]
        with site.house.store.transaction() as connection:
            connection.execute(insert(users), rows)


def _timed(once: Any, count: int) -> float:
    once()
    begun = time.process_time()
    for _ in range(count):
        once()
    return (time.process_time() - begun) / count * 1e6


def _forgetting(site: Site, once: Any, count: int) -> float:
    begun = time.process_time()
    for _ in range(count):
        site.house.store.memory.clear()
        once()
    return (time.process_time() - begun) / count * 1e6
