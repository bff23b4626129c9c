"""Queries over who holds which role, where, since when and until when. Nothing is forgotten: an assignment
that ends stays, with when and by whom it was ended, so that anybody's roles on a date can be told."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, and_, insert, or_, select, update

from bylaw.store.tables import role_assignments as table
from bylaw.store.tables import users

CLOCK: Final = "bylaw_clock"
"""Execution option of an engine: the clock by which assignments expire."""


@dataclass(frozen=True, slots=True)
class Assignment:
    """That somebody holds a role: everywhere, or within one object such as `planning:17`."""

    id: int
    user_id: str
    role: str
    scope: str
    granted_by: str | None
    granted_at: float
    because: str
    expires_at: float | None
    ended_at: float | None
    ended_by: str | None


def now(connection: Connection) -> float:
    """Seconds since 1970, by the clock of the connection's engine."""
    clock: Callable[[], float] = connection.get_execution_options().get(CLOCK, time.time)
    return clock()


def held(at: float) -> ColumnElement[bool]:
    """The condition that an assignment holds at a moment that is not past."""
    return and_(table.c.ended_at.is_(None), or_(table.c.expires_at.is_(None), table.c.expires_at > at))


def everywhere(held: Iterable[Assignment]) -> frozenset[str]:
    """The roles among these that were given for no single object: they hold everywhere."""
    return frozenset(each.role for each in held if not each.scope)


def of_users(connection: Connection, ids: Iterable[str]) -> dict[str, list[Assignment]]:
    """What each of them holds now."""
    query = select(table).where(table.c.user_id.in_(list(ids)), held(now(connection)))
    found: dict[str, list[Assignment]] = {}
    for row in connection.execute(query.order_by(table.c.id)):
        found.setdefault(row.user_id, []).append(Assignment(**row._mapping))
    return found


def as_of(connection: Connection, user_id: str, at: float) -> list[Assignment]:
    """What somebody held at a moment, in the past too."""
    query = select(table).where(
        table.c.user_id == user_id,
        table.c.granted_at <= at,
        or_(table.c.ended_at.is_(None), table.c.ended_at > at),
        or_(table.c.expires_at.is_(None), table.c.expires_at > at),
    )
    return [Assignment(**row._mapping) for row in connection.execute(query.order_by(table.c.id))]


def history(connection: Connection, user_id: str) -> list[Assignment]:
    """Everything that somebody ever held, the oldest first."""
    query = select(table).where(table.c.user_id == user_id).order_by(table.c.id)
    return [Assignment(**row._mapping) for row in connection.execute(query)]


def grant(connection: Connection, user_id: str, role: str, **facts: Any) -> None:
    """Give a role: `scope`, `by`, `because`, `expires_at`. One that is held already begins anew."""
    moment = now(connection)
    scope = facts.get("scope", "")
    end(connection, user_id, role, scope=scope, by=facts.get("by"))
    connection.execute(
        insert(table).values(
            user_id=user_id,
            role=role,
            scope=scope,
            granted_by=facts.get("by"),
            granted_at=moment,
            because=facts.get("because", ""),
            expires_at=facts.get("expires_at"),
        )
    )


def end(connection: Connection, user_id: str, role: str, *, scope: str = "", by: str | None) -> bool:
    """Take a role away; whether it was held. One that has expired ended when it did, by nobody."""
    found = select(table).where(
        table.c.user_id == user_id,
        table.c.role == role,
        table.c.scope == scope,
        table.c.ended_at.is_(None),
    )
    row = connection.execute(found).one_or_none()
    if row is None:
        return False
    moment = now(connection)
    if row.expires_at is not None and row.expires_at <= moment:
        close(connection, Assignment(**row._mapping))
        return False
    ended = update(table).where(table.c.id == row.id, table.c.ended_at.is_(None))
    return connection.execute(ended.values(ended_at=moment, ended_by=by)).rowcount > 0


def expired(connection: Connection, at: float, limit: int) -> list[Assignment]:
    """Those that have expired and were not ended yet, the longest first."""
    query = select(table).where(table.c.ended_at.is_(None), table.c.expires_at <= at)
    rows = connection.execute(query.order_by(table.c.expires_at, table.c.id).limit(limit))
    return [Assignment(**row._mapping) for row in rows]


def close(connection: Connection, expired: Assignment) -> bool:
    """Write that one ended when it expired; whether nobody has written so before."""
    done = connection.execute(
        update(table)
        .where(table.c.id == expired.id, table.c.ended_at.is_(None))
        .values(ended_at=expired.expires_at)
    )
    return done.rowcount == 1


def with_role(connection: Connection, role: str, *, scope: str = "", lasting: bool = False) -> list[str]:
    """Ids of the people who hold `role` and are not disabled; `lasting`: without an expiry. Service accounts
    are none: they manage nothing."""
    query = (
        select(users.c.id)
        .join(table, table.c.user_id == users.c.id)
        .where(table.c.role == role, table.c.scope == scope, held(now(connection)))
        .where(users.c.disabled_at.is_(None), users.c.contact.is_(None))
    )
    if lasting:
        query = query.where(table.c.expires_at.is_(None))
    return list(connection.execute(query).scalars())
