"""Queries over imports of tables: what somebody imports, how far it is, and whose turn it is to work on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy import Connection, RowMapping, delete, func, insert, select, update

from bylaw.store.tables import import_claims as claims
from bylaw.store.tables import import_mappings as mappings
from bylaw.store.tables import import_notes as notes
from bylaw.store.tables import imports as table

OPEN: Final = "open"
"""The person is choosing what the columns mean, or looks at what a dry run found."""
CHECKING: Final = "checking"
"""A dry run is asked for, or under way."""
RUNNING: Final = "running"
DONE: Final = "done"
FAILED: Final = "failed"
CANCELLED: Final = "cancelled"
UNDER_WAY: Final = (CHECKING, RUNNING)
"""A worker's to go on with."""
ENDED: Final = (DONE, FAILED, CANCELLED)


@dataclass(frozen=True, slots=True)
class Import:
    """One file on its way into the application."""

    id: str
    importer: str
    user_id: str | None
    file_id: str
    name: str
    kind: str
    size: int
    digest: str
    state: str
    mode: str
    created_at: float
    changed_at: float
    acting: str | None = None
    scopes: list[str] | None = None
    chosen: dict[str, Any] = field(default_factory=dict)
    seen: dict[str, Any] = field(default_factory=dict)
    found: dict[str, Any] = field(default_factory=dict)
    fingerprint: str = ""
    done: int = 0
    at_row: int = 0
    rows: int | None = None
    because: str = ""
    started_at: float | None = None
    finished_at: float | None = None
    cancel_at: float | None = None

    @property
    def subject(self) -> str:
        """What its file belongs to."""
        return f"import:{self.id}"

    @property
    def under_way(self) -> bool:
        return self.state in UNDER_WAY

    @property
    def ended(self) -> bool:
        return self.state in ENDED


@dataclass(frozen=True, slots=True)
class Note:
    """What is told of one row: why it cannot be taken, or why it is no record."""

    row: int
    said: str
    column: str = ""
    value: str = ""
    kind: str = "error"
    id: int = 0


def _made(row: RowMapping) -> Import:
    return Import(**row)


def add(connection: Connection, row: Mapping[str, Any]) -> None:
    connection.execute(insert(table).values(**row))
    connection.execute(insert(claims).values(import_id=row["id"]))


def find(connection: Connection, import_id: str) -> Import | None:
    row = connection.execute(select(table).where(table.c.id == import_id)).mappings().one_or_none()
    return None if row is None else _made(row)


def of_user(connection: Connection, user_id: str, *, limit: int) -> list[Import]:
    """Somebody's imports, the newest first."""
    query = (
        select(table)
        .where(table.c.user_id == user_id)
        .order_by(table.c.created_at.desc(), table.c.id)
        .limit(limit)
    )
    return [_made(row) for row in connection.execute(query).mappings()]


def newest(connection: Connection, *, limit: int) -> list[Import]:
    """Everybody's, the newest first: for whoever may read the database anyway."""
    query = select(table).order_by(table.c.created_at.desc(), table.c.id).limit(limit)
    return [_made(row) for row in connection.execute(query).mappings()]


def count(connection: Connection, user_id: str, states: Iterable[str]) -> int:
    query = (
        select(func.count())
        .select_from(table)
        .where(table.c.user_id == user_id, table.c.state.in_(tuple(states)))
    )
    return connection.execute(query).scalar_one()


def imported_like(connection: Connection, user_id: str, fingerprint: str) -> Import | None:
    """The latest import of somebody's that is the same in all, and was done or is under way."""
    query = (
        select(table)
        .where(
            table.c.user_id == user_id,
            table.c.fingerprint == fingerprint,
            table.c.state.in_((RUNNING, DONE)),
        )
        .order_by(table.c.started_at.desc())
        .limit(1)
    )
    row = connection.execute(query).mappings().one_or_none()
    return None if row is None else _made(row)


def change(connection: Connection, import_id: str, *, when: Iterable[str], now: float, **values: Any) -> bool:
    """Change an import that is in one of the states `when`; False where it is not any more."""
    done = connection.execute(
        update(table)
        .where(table.c.id == import_id, table.c.state.in_(tuple(when)))
        .values(changed_at=now, **values)
    )
    return done.rowcount == 1


def tell(connection: Connection, import_id: str, **values: Any) -> None:
    """Say how far it is. Nothing is decided by that."""
    connection.execute(update(table).where(table.c.id == import_id).values(**values))


def cancelled(connection: Connection, import_id: str) -> bool:
    """Whether somebody wants it ended, or it is gone."""
    at = connection.execute(select(table.c.cancel_at).where(table.c.id == import_id)).one_or_none()
    return at is None or at.cancel_at is not None


def erase(connection: Connection, import_id: str) -> None:
    connection.execute(delete(notes).where(notes.c.import_id == import_id))
    connection.execute(delete(claims).where(claims.c.import_id == import_id))
    connection.execute(delete(table).where(table.c.id == import_id))


def old(connection: Connection, before: float, limit: int) -> list[Import]:
    """Imports that nobody has touched since, and that no worker has."""
    query = (
        select(table)
        .where(table.c.changed_at < before, table.c.state.not_in(UNDER_WAY))
        .order_by(table.c.changed_at)
        .limit(limit)
    )
    return [_made(row) for row in connection.execute(query).mappings()]


# Whose turn it is


def due(connection: Connection, now: float, importers: Iterable[str], *, limit: int = 10) -> list[str]:
    """Imports of these importers that wait for a worker, or whose worker has not been heard of."""
    query = (
        select(table.c.id)
        .join(claims, claims.c.import_id == table.c.id)
        .where(table.c.state.in_(UNDER_WAY), table.c.importer.in_(tuple(importers)), claims.c.until < now)
        .order_by(table.c.changed_at)
        .limit(limit)
    )
    return list(connection.execute(query).scalars())


def claim(connection: Connection, import_id: str, *, now: float, until: float) -> int:
    """Take an import for oneself: the fence that one works behind, 0 where somebody else has it.

    Whoever holds it in a transaction is not waited for (SKIP LOCKED; on SQLite one transaction writes).
    """
    query = (
        select(claims.c.fence)
        .where(claims.c.import_id == import_id, claims.c.until < now)
        .with_for_update(skip_locked=True)
    )
    fence = connection.execute(query).scalar_one_or_none()
    if fence is None:
        return 0
    connection.execute(
        update(claims).where(claims.c.import_id == import_id).values(fence=fence + 1, until=until)
    )
    return int(fence) + 1


def claimed(connection: Connection, import_id: str, now: float) -> bool:
    """Whether a worker has it."""
    query = select(claims.c.until).where(claims.c.import_id == import_id)
    return (connection.execute(query).scalar_one_or_none() or 0.0) >= now


def hold(connection: Connection, import_id: str, fence: int, *, until: float) -> bool:
    """Go on working on it, in the transaction of what is done; False where somebody has taken it over.

    The row stays locked until the transaction ends: nobody can take it over in between (fencing).
    """
    done = connection.execute(
        update(claims).where(claims.c.import_id == import_id, claims.c.fence == fence).values(until=until)
    )
    return done.rowcount == 1


def release(connection: Connection, import_id: str, fence: int = 0) -> None:
    """Have it wait for whoever comes next. With a `fence` only where that is still ours."""
    query = update(claims).where(claims.c.import_id == import_id).values(until=0.0)
    connection.execute(query.where(claims.c.fence == fence) if fence else query)


# What is told of rows


def note(connection: Connection, import_id: str, told: Iterable[Note]) -> None:
    rows = [
        {
            "import_id": import_id,
            "kind": each.kind,
            "row": each.row,
            "column": each.column,
            "value": each.value,
            "said": each.said,
        }
        for each in told
    ]
    if rows:
        connection.execute(insert(notes), rows)


def forget_notes(connection: Connection, import_id: str) -> None:
    connection.execute(delete(notes).where(notes.c.import_id == import_id))


def noted(
    connection: Connection, import_id: str, kind: str, *, after: int = 0, limit: int = 50
) -> list[Note]:
    """What is told of its rows, in their order, from behind `after` on."""
    query = (
        select(notes)
        .where(notes.c.import_id == import_id, notes.c.kind == kind, notes.c.id > after)
        .order_by(notes.c.id)
        .limit(limit)
    )
    return [
        Note(row["row"], row["said"], row["column"], row["value"], row["kind"], row["id"])
        for row in connection.execute(query).mappings()
    ]


# What columns mean to somebody


def remembered(connection: Connection, user_id: str, importer: str, headings: str) -> list[str]:
    query = select(mappings.c.columns).where(
        mappings.c.user_id == user_id, mappings.c.importer == importer, mappings.c.headings == headings
    )
    return connection.execute(query).scalar_one_or_none() or []


def remember(
    connection: Connection, user_id: str, importer: str, headings: str, columns: list[str], now: float
) -> None:
    key = (
        mappings.c.user_id == user_id,
        mappings.c.importer == importer,
        mappings.c.headings == headings,
    )
    if connection.execute(update(mappings).where(*key).values(columns=columns, used_at=now)).rowcount:
        return
    with connection.begin_nested():
        connection.execute(
            insert(mappings).values(
                user_id=user_id, importer=importer, headings=headings, columns=columns, used_at=now
            )
        )


def forget_mappings(connection: Connection, before: float) -> None:
    connection.execute(delete(mappings).where(mappings.c.used_at < before))
