"""The register's part of the database: sessions for async endpoints, and its tables.

The tables stand beside bylaw's, so that a version and its audit row are one transaction; the engine is the
register's own, because an endpoint on the event loop may not wait for a thread.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated, Any, Final

from fastapi import Depends, Request
from sqlalchemy import URL, Connection, Engine, event, inspect
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine

from apps.projects.models import Base

UPGRADE: Final = "python -m apps.projects"
WRITING: Final = {"immediate": True}
"""Execution options of a transaction that is going to write."""
_DRIVERS: Final = {"sqlite": "sqlite+aiosqlite", "postgresql": "postgresql+psycopg"}


def connect(url: URL) -> AsyncEngine:
    """An engine for async sessions on the database that bylaw has opened."""
    kind = url.get_backend_name()
    engine = create_async_engine(
        # What a statement carries is not for the log of an error.
        url.set(drivername=_DRIVERS[kind]),
        hide_parameters=True,
        pool_pre_ping=kind != "sqlite",
    )
    if kind == "sqlite":
        event.listen(engine.sync_engine, "connect", _prepare)
        event.listen(engine.sync_engine, "begin", _begin)
    return engine


def _prepare(connection: Any, record: object) -> None:  # noqa: ARG001 - SQLAlchemy's signature
    connection.isolation_level = None  # SQLAlchemy begins transactions, not the driver
    cursor = connection.cursor()
    for pragma in ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON", "busy_timeout = 10000"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin(connection: Connection) -> None:
    # SQLite refuses to turn a reader into a writer once another has written in between.
    immediate = connection.get_execution_options().get("immediate")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if immediate else "BEGIN")


def prepare(engine: Engine) -> None:
    """Make the register's tables where they are missing. Safe to call again."""
    Base.metadata.create_all(engine)


def check(engine: Engine, *, production: bool) -> None:
    """Make the tables in development; in production that is the operator's decision. Raises RuntimeError."""
    if not production:
        prepare(engine)
    elif missing := sorted(set(Base.metadata.tables) - set(inspect(engine).get_table_names())):
        raise RuntimeError(f"the register's tables are missing ({', '.join(missing)}); run: {UPGRADE}")


async def session(request: Request) -> AsyncIterator[AsyncSession]:
    """One session for a request; what was not committed is undone."""
    async with AsyncSession(request.app.state.database, expire_on_commit=False) as opened:
        yield opened


Database = Annotated[AsyncSession, Depends(session)]
