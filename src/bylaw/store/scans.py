"""Queries over files that are to be looked into by a malware scanner once more, or for the first time.

Who looks into a file claims its row for a while, and says what came of it by that claim alone: of two
processes one looks, and what a slow one says after its time is over counts for nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, or_, select, update

from bylaw.store import files
from bylaw.store.files import CLEAN, HELD, StoredFile
from bylaw.store.tables import files as table


def _read(connection: Connection, query: Select[Any]) -> list[StoredFile]:
    """The files with these ids; they are few."""
    found = [files.find(connection, file_id) for file_id in connection.execute(query).scalars().all()]
    return [file for file in found if file is not None]


def _free(now: float) -> ColumnElement[bool]:
    return or_(table.c.claimed_until.is_(None), table.c.claimed_until <= now)


def scanners(connection: Connection) -> list[str]:
    """By whom clean files were looked into; an empty text where some were by nobody."""
    query = select(table.c.scanned_by).where(table.c.state == CLEAN).distinct()
    return list(connection.execute(query).scalars())


def waiting(connection: Connection, now: float, limit: int) -> list[StoredFile]:
    """Held files that nobody looks into at this moment, the oldest first."""
    query = select(table.c.id).where(table.c.state == HELD, _free(now))
    return _read(connection, query.order_by(table.c.created_at, table.c.id).limit(limit))


def outdated(connection: Connection, by: Iterable[str], now: float, limit: int) -> list[StoredFile]:
    """Clean files that were last looked into by these, the newest first: what was just uploaded is what a
    new signature is about."""
    query = select(table.c.id).where(table.c.state == CLEAN, table.c.scanned_by.in_(list(by)), _free(now))
    return _read(connection, query.order_by(table.c.created_at.desc(), table.c.id).limit(limit))


def claim(connection: Connection, file: StoredFile, *, now: float, until: float) -> bool:
    """Take a file to look into, as it was read; whether nobody else has."""
    query = update(table).where(
        table.c.id == file.id,
        table.c.state == file.state,
        table.c.scanned_by == file.scanned_by,
        _free(now),
    )
    return connection.execute(query.values(claimed_until=until)).rowcount == 1


def settle(connection: Connection, file: StoredFile, claimed: float, **values: Any) -> bool:
    """Say what came of it; whether the claim still held, and the file was there."""
    query = update(table).where(
        table.c.id == file.id, table.c.state == file.state, table.c.claimed_until == claimed
    )
    return connection.execute(query.values(claimed_until=None, **values)).rowcount == 1


def postpone(connection: Connection, file: StoredFile, claimed: float, until: float) -> None:
    """Have nobody look into it before then."""
    query = update(table).where(table.c.id == file.id, table.c.claimed_until == claimed)
    connection.execute(query.values(claimed_until=until))


def forget(connection: Connection) -> int:
    """Have every clean file be looked into anew, whatever was said of it; how many."""
    query = update(table).where(table.c.state == CLEAN).values(scanned_by="", claimed_until=None)
    return int(connection.execute(query).rowcount)
