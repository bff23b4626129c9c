"""What wakes the reader of the revocation feed as soon as there may be something to read.

PostgreSQL: who revokes notifies in the same transaction (NOTIFY is delivered at its commit), and a
connection of its own listens. SQLite: a connection of its own asks again and again whether anybody has
committed anything (`PRAGMA data_version`, a look at shared memory). Both only wake. What counts is read from
the table, several times within the bound whether anybody was woken or not: a notification that is lost, a
listener whose server was restarted and a pool that swallows LISTEN (PgBouncer in transaction mode) cost the
moment, never the bound. Source: PostgreSQL 17 NOTIFY; SQLite PRAGMA data_version.
"""

from __future__ import annotations

import logging
import threading
import time
import uuid
from collections.abc import Callable
from typing import Any, Final

from sqlalchemy import Connection, Engine, func, select
from sqlalchemy.exc import SQLAlchemyError

from bylaw.store.engine import file_of

log = logging.getLogger("bylaw.store.notice")

CHANNEL: Final = "bylaw_revocations"
LOOKS_PER_BOUND: Final = 20
"""How often a SQLite database is asked within the bound whether anything was committed."""
ALIVE: Final = 20.0
"""Seconds after which a listener that heard nothing asks whether its server is still there."""
ARRIVES: Final = 5.0
"""Seconds within which a notification must arrive that was sent to see whether any do."""
LONGEST_PAUSE: Final = 5.0
"""Seconds between two attempts to listen, at most."""


def notify(connection: Connection) -> None:
    """Wake every process that follows, at the commit of this transaction; the table says what it is about."""
    if connection.dialect.name == "postgresql":
        connection.execute(select(func.pg_notify(CHANNEL, "")))


class Notices:
    """Wakes the reader from a thread of its own, for as long as it is not told to stop."""

    def __init__(self, engine: Engine, bound: float, wake: Callable[[], None]) -> None:
        self._engine = engine
        self._bound = bound
        self._wake = wake
        self.arriving = False
        """Whether changes are known to wake this process; where they do not, it reads all the same."""

    def run(self, stop: threading.Event) -> None:
        """Until `stop` is set: what fails is begun again, after a pause that grows."""
        work = {("postgresql", "psycopg"): self._listen, ("sqlite", "pysqlite"): self._watch}.get(
            (self._engine.dialect.name, self._engine.dialect.driver)
        )
        if work is None:
            return  # a driver that cannot wait for notifications: the reader's own pace keeps the bound
        pause, well = self._bound / LOOKS_PER_BOUND, True
        while not stop.is_set():
            begun, own = time.monotonic(), None
            try:
                if self._there():
                    own = self._connection()
                    self._wake()  # whatever came before somebody listened
                    work(own, stop)
            except Exception as error:  # noqa: BLE001 - whatever a driver raises; the bound does not hang on it
                if well or self.arriving:  # once, however often it is tried
                    log.warning("nobody wakes the reader of the revocation feed: %s", type(error).__name__)
                well = False
            finally:
                self.arriving = False
                _close(own)
            brief = time.monotonic() - begun < LONGEST_PAUSE
            pause = min(pause * 2, LONGEST_PAUSE) if brief else self._bound / LOOKS_PER_BOUND
            stop.wait(pause)

    def _there(self) -> bool:
        """Whether there is a database to open: SQLite would make an empty one in its place."""
        file = file_of(self._engine)
        return file is None or file.exists()

    def _connection(self) -> Any:
        """A connection of the driver that no pool counts or hands to anybody else."""
        pooled = self._engine.raw_connection()
        try:
            own = pooled.driver_connection
            pooled.detach()
            return own
        except BaseException:
            pooled.close()
            raise

    def _listen(self, own: Any, stop: threading.Event) -> None:
        own.autocommit = True  # a listener inside of a transaction hears nothing
        own.execute(f"LISTEN {CHANNEL}")
        hello = uuid.uuid4().hex
        asked, heard = self._send(hello), time.monotonic()
        while not stop.is_set():
            for each in own.notifies(timeout=min(1.0, self._bound), stop_after=1):
                heard = time.monotonic()
                if each.payload != hello:
                    self._wake()
                self.arriving = True
            now = time.monotonic()
            if asked and not self.arriving and now - asked > ARRIVES:
                asked = 0.0
                log.warning(
                    "notifications do not arrive (is there a pool in between, in transaction mode?): "
                    "revocations are read from the table, within the bound"
                )
            if now - heard > ALIVE:
                own.execute("SELECT 1")
                heard = now

    def _send(self, hello: str) -> float:
        """Send one over another connection, as whoever revokes does; when."""
        try:
            with self._engine.connect() as connection:
                connection.detach()  # nobody waits for this thread: a pool left meanwhile would keep it
                connection.execute(select(func.pg_notify(CHANNEL, hello)))
                connection.commit()
        except SQLAlchemyError:
            return 0.0
        return time.monotonic()

    def _watch(self, own: Any, stop: threading.Event) -> None:
        cursor, seen = own.cursor(), None
        while not stop.wait(self._bound / LOOKS_PER_BOUND):
            [version] = cursor.execute("PRAGMA data_version").fetchone()
            if version != seen:
                seen = version
                self._wake()
            self.arriving = True


def _close(own: Any) -> None:
    try:
        if own is not None:
            own.close()
    except Exception as error:  # noqa: BLE001 - it is broken, which is why it is closed
        log.debug("a listener's connection did not close: %s", type(error).__name__)
