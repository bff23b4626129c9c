"""The register's part of the database: sessions for async endpoints, and its tables.

The tables stand beside bylaw's, so that a version and its audit row are one transaction; the engine is the
register's own, because an endpoint on the event loop may not wait for a thread.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated, Any

from fastapi import Depends, Request
from sqlalchemy import URL, Engine, event
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine

from apps.projects.models import Base

_DRIVERS = {"sqlite": "sqlite+aiosqlite", "postgresql": "postgresql+psycopg"}


def connect(url: URL) -> AsyncEngine:
    """An engine for async sessions on the database that bylaw has opened."""
    engine = create_async_engine(url.set(drivername=_DRIVERS[url.get_backend_name()]))
    if url.get_backend_name() == "sqlite":
        event.listen(engine.sync_engine, "connect", _prepare)
        event.listen(engine.sync_engine, "begin", lambda c: c.exec_driver_sql("BEGIN IMMEDIATE"))
    return engine


def _prepare(connection: Any, record: object) -> None:  # noqa: ARG001 - SQLAlchemy's signature
    connection.isolation_level = None  # SQLAlchemy begins transactions, not the driver
    cursor = connection.cursor()
    for pragma in ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON", "busy_timeout = 10000"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def prepare(engine: Engine) -> None:
    """Make the register's tables where they are missing."""
    Base.metadata.create_all(engine)


async def session(request: Request) -> AsyncIterator[AsyncSession]:
    """One session for a request; what was not committed is undone."""
    async with AsyncSession(request.app.state.database, expire_on_commit=False) as opened:
        yield opened


Database = Annotated[AsyncSession, Depends(session)]
