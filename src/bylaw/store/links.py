"""Queries over secrets that were mailed as links: one table for each thing that a link opens."""

from __future__ import annotations

from sqlalchemy import Connection, RowMapping, Table, delete, insert, select

from bylaw.store.tables import email_confirmations, password_resets, unlock_links, users

TABLES = (password_resets, email_confirmations, unlock_links)


def add(connection: Connection, table: Table, row: dict[str, object]) -> None:
    connection.execute(insert(table).values(**row))


def find(connection: Connection, table: Table, digest: str, now: float) -> RowMapping | None:
    """A link that still opens something."""
    query = select(table).where(table.c.digest == digest, table.c.expires_at > now)
    return connection.execute(query).mappings().one_or_none()


def redeem(connection: Connection, table: Table, digest: str, now: float) -> RowMapping | None:
    """Use a link up: of many who redeem it at once, one gets it (the row is gone for all others)."""
    used = delete(table).where(table.c.digest == digest, table.c.expires_at > now).returning(table)
    return connection.execute(used).mappings().one_or_none()


def of_user(connection: Connection, table: Table, user_id: str, now: float) -> list[RowMapping]:
    """The links of this kind that an account holds and that still open something."""
    query = select(table).where(table.c.user_id == user_id, table.c.expires_at > now)
    return list(connection.execute(query).mappings())


def end_of_user(connection: Connection, table: Table, user_id: str) -> int:
    """End every link of this kind that an account holds; how many there were."""
    return connection.execute(delete(table).where(table.c.user_id == user_id)).rowcount


def end_changes(connection: Connection, user_id: str) -> int:
    """End the links that would give an account another address than it has; how many there were."""
    own = select(users.c.email).where(users.c.id == user_id).scalar_subquery()
    changes = delete(email_confirmations).where(
        email_confirmations.c.user_id == user_id, email_confirmations.c.email != own
    )
    return connection.execute(changes).rowcount


def end_expired(connection: Connection, now: float) -> None:
    for table in TABLES:
        connection.execute(delete(table).where(table.c.expires_at <= now))
