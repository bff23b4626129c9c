"""Queries over passkeys."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, RowMapping, delete, insert, select, update

from bylaw.store.tables import passkeys


def add(connection: Connection, row: dict[str, Any]) -> None:
    connection.execute(insert(passkeys).values(**row))


def of_user(connection: Connection, user_id: str) -> list[RowMapping]:
    """An account's passkeys, the oldest first."""
    query = select(passkeys).where(passkeys.c.user_id == user_id)
    return list(connection.execute(query.order_by(passkeys.c.created_at, passkeys.c.id)).mappings())


def held(connection: Connection, credential_id: str) -> RowMapping | None:
    """The passkey with this credential id; no other transaction may use it until this one is over."""
    query = select(passkeys).where(passkeys.c.credential_id == credential_id).with_for_update()
    return connection.execute(query).mappings().one_or_none()


def change(connection: Connection, user_id: str, passkey_id: str, **values: Any) -> bool:
    """Whether the account has such a passkey to change."""
    mine = (passkeys.c.id == passkey_id) & (passkeys.c.user_id == user_id)
    return connection.execute(update(passkeys).where(mine).values(**values)).rowcount == 1


def remove(connection: Connection, user_id: str, passkey_id: str) -> bool:
    """Whether the account had such a passkey."""
    mine = (passkeys.c.id == passkey_id) & (passkeys.c.user_id == user_id)
    return connection.execute(delete(passkeys).where(mine)).rowcount == 1
