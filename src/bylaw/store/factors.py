"""Queries over what an account has besides a password: authenticator apps, recovery codes, passkeys."""

from __future__ import annotations

from sqlalchemy import Connection, exists, select

from bylaw.store.tables import passkeys, totp_secrets


def enrolled(connection: Connection, user_id: str) -> bool:
    """Whether the account has a second factor: an authenticator app or a passkey."""
    held = [exists().where(table.c.user_id == user_id) for table in (totp_secrets, passkeys)]
    return bool(connection.execute(select(held[0] | held[1])).scalar_one())
