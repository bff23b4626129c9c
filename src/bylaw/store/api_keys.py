"""Queries over API keys, with the standing of whoever they speak for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, RowMapping, func, or_, select, update

from bylaw.store import assignments
from bylaw.store.assignments import Assignment
from bylaw.store.tables import api_keys as table
from bylaw.store.tables import users


@dataclass(frozen=True, slots=True)
class Key:
    """A key and its owner, as the database has them now, whatever has become of either."""

    id: str
    digest: str
    user_id: str
    name: str
    created_at: float
    expires_at: float | None
    used_at: float | None
    revoked_at: float | None
    scopes: list[str]
    networks: list[str]
    rate: str
    epoch: int
    email: str
    owner: str
    disabled_at: float | None
    contact: str | None
    assignments: tuple[Assignment, ...] = ()


def find(connection: Connection, digest: str) -> Key | None:
    """The key with this digest: expired and revoked ones are found, too."""
    query = (
        select(
            table,
            users.c.epoch,
            users.c.email,
            users.c.name.label("owner"),
            users.c.disabled_at,
            users.c.contact,
        )
        .join(users, users.c.id == table.c.user_id)
        .where(table.c.digest == digest)
    )
    row = connection.execute(query).mappings().one_or_none()
    if row is None:
        return None
    held = assignments.of_users(connection, [row["user_id"]]).get(row["user_id"], ())
    facts: dict[str, Any] = {name: row[name] for name in Key.__slots__ if name != "assignments"}
    return Key(**facts, assignments=tuple(held))


def good(connection: Connection, user_id: str, now: float) -> list[RowMapping]:
    """The keys of an account that are good now, the newest first."""
    query = select(table).where(
        table.c.user_id == user_id,
        table.c.revoked_at.is_(None),
        or_(table.c.expires_at.is_(None), table.c.expires_at > now),
    )
    return list(connection.execute(query.order_by(table.c.created_at.desc(), table.c.id)).mappings())


def end_at(connection: Connection, key_id: str, at: float) -> None:
    """Have a key end by itself then; never later than it would have."""
    sooner = or_(table.c.expires_at.is_(None), table.c.expires_at > at)
    connection.execute(update(table).where(table.c.id == key_id, sooner).values(expires_at=at))


def successor(connection: Connection, key_id: str) -> RowMapping | None:
    """The key that took the place of this one and was not revoked."""
    query = select(table).where(table.c.replaces == key_id, table.c.revoked_at.is_(None)).limit(1)
    return connection.execute(query).mappings().one_or_none()


def everybodys(connection: Connection, now: float) -> list[RowMapping]:
    """Every key that is good now, with its owner's address, by that."""
    query = (
        select(table, users.c.email)
        .join(users, users.c.id == table.c.user_id)
        .where(table.c.revoked_at.is_(None), or_(table.c.expires_at.is_(None), table.c.expires_at > now))
        .order_by(users.c.email, table.c.created_at.desc(), table.c.id)
    )
    return list(connection.execute(query).mappings())


def counts(connection: Connection, now: float) -> dict[str, tuple[int, float]]:
    """How many good keys each account has, and when one of them was used last (0: never)."""
    query = (
        select(table.c.user_id, func.count(), func.max(table.c.used_at))
        .where(table.c.revoked_at.is_(None), or_(table.c.expires_at.is_(None), table.c.expires_at > now))
        .group_by(table.c.user_id)
    )
    return {user_id: (number, used or 0.0) for user_id, number, used in connection.execute(query)}
