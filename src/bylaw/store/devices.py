"""Queries over devices that have signed in to an account before."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import Connection, delete, exists, select

from bylaw.store.tables import devices


def known(connection: Connection, digests: Iterable[str]) -> bool:
    """Whether one of the digests is a device's that its owner has not forgotten."""
    return bool(connection.execute(select(exists().where(devices.c.digest.in_(list(digests))))).scalar_one())


def end_of_user(connection: Connection, user_id: str, *, but: str | None = None) -> int:
    """Forget the devices of an account, except the one with the digest `but`; how many there were."""
    condition = devices.c.user_id == user_id
    if but is not None:
        condition &= devices.c.digest != but
    return connection.execute(delete(devices).where(condition)).rowcount
