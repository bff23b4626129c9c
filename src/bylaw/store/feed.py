"""The revocation feed: how every process learns, within a bound, that somebody's standing changed.

A change and its entry are one transaction. Each process reads what is new several times within the
bound and forgets the sessions that it names; a process that could not read for as long as the bound
stops trusting its memory and asks the database for each request until it can read again.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable
from typing import Final

from sqlalchemy import Connection, Engine, delete, insert, or_, select
from sqlalchemy.exc import SQLAlchemyError

from bylaw.store.memory import SessionMemory
from bylaw.store.tables import revocations

log = logging.getLogger("bylaw.store.feed")

READS_PER_BOUND: Final = 5
KEPT: Final = 3600
"""Seconds for which entries are kept: far longer than any process can lag and still be trusted."""
GAPS: Final = 200
"""Numbers at most that are waited for: given out, but not seen yet."""


def revoke(connection: Connection, now: float, user_id: str, digest: str | None = None) -> None:
    """Append to the feed, in the transaction of the change: one session, or all that a user holds."""
    connection.execute(insert(revocations).values(user_id=user_id, digest=digest, at=now))


class Feed:
    """Follows the feed in a thread of this process, from its first use on."""

    def __init__(self, engine: Engine, memory: SessionMemory, clock: Callable[[], float], bound: int) -> None:
        self._engine = engine
        self._memory = memory
        self._clock = clock
        self.bound = bound
        self.chores: list[Callable[[], None]] = []
        """Called every second: what else a process does off the request path."""
        self._read_at = 0.0
        self._high = 0
        self._gaps: dict[int, float] = {}
        self._pid = 0
        self._lock = threading.Lock()
        self._stop = threading.Event()

    @property
    def current(self) -> bool:
        """Whether this process has read the feed within the bound (real time, not the clock port:
        a test that turns the clock must not make a memory look fresh)."""
        return time.monotonic() - self._read_at < self.bound

    def follow(self) -> None:
        """See to it that this process follows; after a fork the child has no thread yet."""
        if self._pid == os.getpid():
            return
        with self._lock:
            if self._pid != os.getpid():
                self._memory.clear()
                self._stop = threading.Event()
                self._high, self._gaps = 0, {}
                self.read()
                for name, work in (("feed", self._run), ("chores", self._do_chores)):
                    threading.Thread(target=work, name=f"bylaw-{name}", daemon=True).start()
                self._pid = os.getpid()

    def stop(self) -> None:
        self._stop.set()
        self._pid = 0

    def read(self) -> None:
        """Read what is new and heed it. Leaves the memory untrusted when it cannot."""
        started = time.monotonic()
        try:
            with self._engine.connect() as connection:
                rows = connection.execute(
                    select(revocations.c.id, revocations.c.user_id, revocations.c.digest)
                    .where(or_(revocations.c.id > self._high, revocations.c.id.in_(self._gaps)))
                    .order_by(revocations.c.id)
                ).all()
        except SQLAlchemyError:
            log.warning("the revocation feed could not be read; sessions are asked of the database")
            return
        self._heed([(row.id, row.user_id, row.digest) for row in rows], started)
        # Only now: what the reading did not see was committed after it began.
        self._read_at = started

    def _heed(self, rows: list[tuple[int, str, str | None]], now: float) -> None:
        for number, user_id, digest in rows:
            self._memory.forget(user_id, digest)
            if number > self._high:
                # Numbers are given out before the commit: one that was passed over may belong to a
                # transaction that is still under way, so it is asked for until nobody can need it.
                before = range(max(self._high + 1, number - GAPS), number)
                self._gaps.update(dict.fromkeys(before, now))
                self._high = number
            else:
                self._gaps.pop(number, None)
        late = [number for number, since in self._gaps.items() if now - since > KEPT]
        for number in late + list(self._gaps)[: max(0, len(self._gaps) - GAPS)]:
            self._gaps.pop(number, None)

    def _run(self) -> None:
        stop = self._stop
        while not stop.wait(self.bound / READS_PER_BOUND):
            try:
                self.read()
            except Exception:
                # The thread must outlive whatever this was, such as a module that is being imported
                # elsewhere: nobody would read the feed again. The memory is untrusted meanwhile.
                log.exception("the revocation feed could not be read and is tried again")

    def _do_chores(self) -> None:
        """In a thread of their own: a mail server that is slow must not keep the feed from being read."""
        stop = self._stop
        while not stop.wait(1):
            for chore in self.chores:
                try:
                    chore()
                except Exception:
                    log.exception("a chore failed and is tried again")

    def prune(self, connection: Connection) -> None:
        """Drop entries that no process can still need."""
        connection.execute(delete(revocations).where(revocations.c.at < self._clock() - KEPT))
