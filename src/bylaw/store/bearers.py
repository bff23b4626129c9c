"""Queries over access tokens and API keys: secrets that are held for long. Their digest alone is kept."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, RowMapping, Table, bindparam, insert, select, update


def add(connection: Connection, table: Table, row: dict[str, Any]) -> None:
    connection.execute(insert(table).values(**row))


def find(connection: Connection, table: Table, digest: str) -> RowMapping | None:
    """The row with this digest, whatever has become of it: expired and revoked ones are found, too."""
    return connection.execute(select(table).where(table.c.digest == digest)).mappings().one_or_none()


def by_id(connection: Connection, table: Table, bearer_id: str) -> RowMapping | None:
    return connection.execute(select(table).where(table.c.id == bearer_id)).mappings().one_or_none()


def of_user(connection: Connection, table: Table, user_id: str) -> list[RowMapping]:
    """Everything that somebody was ever given, the newest first."""
    query = select(table).where(table.c.user_id == user_id).order_by(table.c.created_at.desc(), table.c.id)
    return list(connection.execute(query).mappings())


def revoke(connection: Connection, table: Table, bearer_id: str, now: float) -> bool:
    """Whether it was good until now."""
    good = (table.c.id == bearer_id) & table.c.revoked_at.is_(None)
    return connection.execute(update(table).where(good).values(revoked_at=now)).rowcount == 1


def revoke_of_user(connection: Connection, table: Table, user_id: str, now: float) -> int:
    """Revoke all that somebody holds; how many were good until now."""
    good = (table.c.user_id == user_id) & table.c.revoked_at.is_(None)
    return connection.execute(update(table).where(good).values(revoked_at=now)).rowcount


def touch(connection: Connection, table: Table, used: list[tuple[str, float]]) -> None:
    """Write when some were last used, by their ids; never back in time, whichever process writes last."""
    if used:
        later = (table.c.id == bindparam("i")) & (
            table.c.used_at.is_(None) | (table.c.used_at < bindparam("at"))
        )
        values = [{"i": bearer_id, "at": at} for bearer_id, at in used]
        connection.execute(update(table).where(later).values(used_at=bindparam("at")), values)
