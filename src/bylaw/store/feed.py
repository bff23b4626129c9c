"""The revocation feed: how every process learns, within a bound, that somebody's standing changed.

A change and its entry are one transaction. Each process reads what is new as soon as it is woken
(`store.notice`), and several times within the bound in any case, and forgets what it names: sessions, access
tokens, API keys. A process that could not read for as long as the bound stops trusting its memory and asks
the database for each request until it can read again; a database that does not answer at all is not asked.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable
from typing import Final

from sqlalchemy import ColumnElement, Connection, Engine, delete, insert, or_, select
from sqlalchemy.exc import OperationalError, SQLAlchemyError

from bylaw.store import notice
from bylaw.store.engine import file_of
from bylaw.store.memory import SessionMemory
from bylaw.store.notice import Notices
from bylaw.store.tables import revocations

log = logging.getLogger("bylaw.store.feed")

READS_PER_BOUND: Final = 5
"""How often the table is read within the bound, whether anything woke the reader or not."""
PAUSE: Final = 0.01
"""Seconds between two readings at least: of a thousand changes at once, one reading sees many."""
HANGS: Final = 5.0
"""Seconds after which a reading that has not ended is taken for a database that does not answer. A small
query of an index takes milliseconds; whoever waits for such a database would wait as long."""
KEPT: Final = 3600
"""Seconds for which entries are kept. A process that did not read for half as long forgets all it knew."""
GAPS: Final = 200
"""Runs of numbers at most that are waited for: given out, but not seen yet. One transaction that ends many
accounts takes one run, however long."""


def revoke(connection: Connection, now: float, user_id: str, digest: str | None = None) -> None:
    """Append to the feed, in the transaction of the change: one session, or all that a user holds."""
    connection.execute(insert(revocations).values(user_id=user_id, digest=digest, at=now))
    notice.notify(connection)


class Feed:
    """Follows the feed in a thread of this process, from its first use on."""

    def __init__(
        self,
        engine: Engine,
        memory: SessionMemory,
        clock: Callable[[], float],
        bound: int,
        *,
        moved: Callable[[], object] = lambda: None,
    ) -> None:
        self._engine = engine
        self._path = file_of(engine)
        self._memory = memory
        self._clock = clock
        self.bound = bound
        self._moved = moved
        """Called when another file has taken the place of a SQLite database."""
        self.chores: list[Callable[[], None]] = []
        """Called every second: what else a process does off the request path."""
        self._read_at = 0.0
        self._read_on = 0.0
        """The same by the wall's clock, which goes on where a machine is put to sleep."""
        self._reading: tuple[int, float] | None = None
        """The process and the moment of a reading that is under way."""
        self._failing = False
        self._file: tuple[int, int] | None = None
        self._high = 0
        self._gaps: dict[range, float] = {}
        """The runs of numbers that are waited for, and since when."""
        self._pid = 0
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._woken = threading.Event()
        self._threads: list[threading.Thread] = []
        self.notices = Notices(engine, bound, self._wake)

    @property
    def current(self) -> bool:
        """Whether this process has read the feed within the bound (real time, not the clock port:
        a test that turns the clock must not make a memory look fresh)."""
        return time.monotonic() - self._read_at < self.bound

    def demand_answers(self) -> None:
        """Raise OperationalError where the database does not answer: a reading hangs, for seconds already.

        Each request that went on to wait for it would take a thread until none is left.
        """
        reading = self._reading
        if reading and time.monotonic() - reading[1] > HANGS and reading[0] == os.getpid():
            raise OperationalError("the revocation feed", {}, TimeoutError("the database does not answer"))

    def follow(self) -> None:
        """See to it that this process follows; after a fork the child has no thread yet."""
        if self._pid == os.getpid() or not self._lock.acquire(timeout=HANGS):
            return
        try:
            if self._pid != os.getpid():
                self._begin_anew()
                # Others than before: a lock may have been held while this process was forked off.
                self._stop, self._woken = threading.Event(), threading.Event()
                self.read()
                work = {"feed": self._run, "chores": self._do_chores, "notice": self._be_woken}
                threads = {
                    name: threading.Thread(target=each, name=f"bylaw-{name}", daemon=True)
                    for name, each in work.items()
                }
                for thread in threads.values():
                    thread.start()
                self._threads = [threads["feed"], threads["chores"]]  # the listener closes what it has opened
                self._pid = os.getpid()
        finally:
            self._lock.release()

    def stop(self) -> None:
        self._stop.set()
        self._woken.set()
        self._pid = 0

    def close(self) -> None:
        """Stop, and let go of the database: after whoever reads, who would open it once more."""
        self.stop()
        for thread in self._threads:
            if thread is not threading.current_thread():
                thread.join(HANGS)
        self._engine.dispose()

    def read(self) -> None:
        """Read what is new and heed it. Leaves the memory untrusted when it cannot."""
        started = time.monotonic()
        self._reading = (os.getpid(), started)
        try:
            self._look_at_the_file()
            with self._engine.connect() as connection:
                rows = connection.execute(
                    select(revocations.c.id, revocations.c.user_id, revocations.c.digest)
                    .where(or_(revocations.c.id > self._high, *map(_within, self._gaps)))
                    .order_by(revocations.c.id)
                ).all()
        except (SQLAlchemyError, OSError):
            if not self._failing:  # once, not five times a second for as long as it lasts
                log.warning("the revocation feed could not be read; the database is asked for each request")
            self._failing = True
            return
        finally:
            self._reading = None
        if self._failing or self._was_away(started):
            self._begin_anew()
        self._heed([(row.id, row.user_id, row.digest) for row in rows], started)
        # Only now: what the reading did not see was committed after it began.
        self._read_at, self._read_on = started, time.time()
        if self._failing:
            self._failing = False
            log.warning("the revocation feed is read again")

    def _begin_anew(self) -> None:
        """Forget all that is known, and read the feed from its beginning: what was missed may be there no
        more, and a backup that was put back has other numbers."""
        self._memory.clear()
        self._high, self._gaps = 0, {}

    def _was_away(self, now: float) -> bool:
        """Whether entries may be gone that were never read here: others prune them after KEPT, by clocks that
        need not agree with ours to the minute."""
        away = max(now - self._read_at, time.time() - self._read_on)
        return self._read_at != 0.0 and away > KEPT / 2

    def _look_at_the_file(self) -> None:
        """Raise OSError where the SQLite file is gone, and begin anew where another has taken its place
        (a backup was put back): open connections would go on with the one that nobody writes any more."""
        if self._path is None:
            return
        found = self._path.stat()
        here = (found.st_dev, found.st_ino)
        if self._file is not None and here != self._file:
            log.warning("another file has taken the place of the database")
            self._engine.dispose()
            self._moved()
            self._begin_anew()
        self._file = here

    def _heed(self, rows: list[tuple[int, str, str | None]], now: float) -> None:
        for number, user_id, digest in rows:
            self._memory.forget(user_id, digest)
            if number > self._high:
                # Numbers are given out before the commit: one that was passed over may belong to a
                # transaction that is still under way, so it is asked for until nobody can need it.
                passed_over = range(self._high + 1, number)
                if passed_over:
                    self._gaps[passed_over] = now
                self._high = number
            else:
                self._fill(number)
        latest = sorted(self._gaps.items(), key=lambda gap: gap[1])[-GAPS:]
        self._gaps = {gap: since for gap, since in latest if now - since <= KEPT}

    def _fill(self, number: int) -> None:
        """Wait no longer for a number that was seen."""
        for gap in [gap for gap in self._gaps if number in gap]:
            since = self._gaps.pop(gap)
            rest = (range(gap.start, number), range(number + 1, gap.stop))
            self._gaps.update(dict.fromkeys(filter(None, rest), since))

    def _run(self) -> None:
        stop, woken = self._stop, self._woken
        while not stop.wait(PAUSE):
            woken.wait(self.bound / READS_PER_BOUND)
            woken.clear()  # before the reading: whoever wakes it meanwhile has it read once more
            if stop.is_set():
                break
            try:
                self.read()
            except Exception:
                # The thread must outlive whatever this was, such as a module that is being imported
                # elsewhere: nobody would read the feed again. The memory is untrusted meanwhile.
                log.exception("the revocation feed could not be read and is tried again")

    def _wake(self) -> None:
        self._woken.set()

    def _be_woken(self) -> None:
        self.notices.run(self._stop)

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


def _within(gap: range) -> ColumnElement[bool]:
    """The condition that a number is one of a run."""
    return revocations.c.id.between(gap.start, gap.stop - 1)
