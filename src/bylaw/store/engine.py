"""Engines: SQLite in WAL for one host, PostgreSQL for more."""

from __future__ import annotations

import os
import sqlite3
import time
import weakref
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection, Engine, create_engine, event

from bylaw.errors import StoreError
from bylaw.policy import database

IMMEDIATE = "immediate"
"""Execution option: begin as a writer at once. Two SQLite transactions that both begin as readers
and then write cannot both go on (SQLITE_BUSY_SNAPSHOT), and no waiting would help."""

LOCKED: Final = 30.0
"""Seconds that somebody waits for a SQLite database in which another one writes."""

KEEPING: Final = {
    "connect_timeout": 5,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 15_000,
}
"""libpq's options for a PostgreSQL server that is cut off without a word: it is found out in seconds, where
the system's own defaults would have a request wait for hours. What the URL says wins."""


def connect(url: str, root: Path | None = None, **pool: int) -> Engine:
    """An engine for `url`; a relative SQLite path is below `root`. Raises StoreError.

    `pool`: SQLAlchemy's own words for how many connections there are at once.
    """
    try:
        parsed = database.address(url)
    except ValueError as error:
        raise StoreError(str(error)) from None
    if not parsed.drivername.startswith("sqlite"):
        keeping = (
            {name: value for name, value in KEEPING.items() if name not in parsed.query}
            if parsed.drivername == "postgresql+psycopg"
            else {}
        )
        return _forked(
            create_engine(parsed, pool_pre_ping=True, hide_parameters=True, connect_args=keeping, **pool)
        )
    file = Path(str(parsed.database))
    if root is not None and not file.is_absolute():
        file = root / file
    file.parent.mkdir(parents=True, exist_ok=True)
    # What a statement carries (a hash, an address) is not for the log of an error.
    engine = create_engine(
        parsed.set(database=str(file)), connect_args={"timeout": LOCKED}, hide_parameters=True, **pool
    )
    event.listen(engine, "connect", _prepare)
    event.listen(engine, "begin", _begin)
    return _forked(engine)


def plain(handle: Any) -> Connection:
    """The connection that an ORM session works on; or the one that it is already."""
    found: Connection = (
        handle.connection() if hasattr(handle, "connection") and callable(handle.connection) else handle
    )
    return found


def file_of(engine: Engine) -> Path | None:
    """The file of a SQLite database; None where it is another one."""
    return Path(str(engine.url.database)) if engine.dialect.name == "sqlite" else None


def _forked(engine: Engine) -> Engine:
    """Have a forked child open connections of its own: two processes on one socket read each
    other's answers (gunicorn --preload)."""
    if hasattr(os, "register_at_fork"):
        alive = weakref.ref(engine)
        os.register_at_fork(after_in_child=lambda: _leave(alive()))
    return engine


def _leave(engine: Engine | None) -> None:
    if engine is not None:
        engine.dispose(close=False)


def _prepare(connection: Any, record: object) -> None:
    # Python's driver would begin transactions behind our back; SQLAlchemy's begin event does it.
    connection.isolation_level = None
    cursor = connection.cursor()
    _write_ahead(cursor)
    # FULL: a record that was acknowledged survives a power cut (DESIGN: never lose a record).
    cursor.execute("PRAGMA synchronous = FULL")
    cursor.execute("PRAGMA foreign_keys = ON")
    cursor.close()


def _write_ahead(cursor: Any) -> None:
    """Have the file keep a write-ahead log. SQLite waits for no lock here, whatever its timeout: of two
    processes that open a new file at the same moment, one would not start."""
    ends = time.monotonic() + LOCKED
    while True:
        try:
            cursor.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > ends:
                raise
            time.sleep(0.01)


def _begin(connection: Connection) -> None:
    immediate = connection.get_execution_options().get(IMMEDIATE)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if immediate else "BEGIN")
