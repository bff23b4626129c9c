"""Queries over devices that have signed in to an account before."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import Connection, RowMapping, delete, exists, insert, select, update

from bylaw.store.tables import devices


def known(connection: Connection, digests: Iterable[str]) -> bool:
    """Whether one of the digests is a device's that its owner has not forgotten."""
    return bool(connection.execute(select(exists().where(devices.c.digest.in_(list(digests))))).scalar_one())


def seen(connection: Connection, digest: str, *, agent: str, address: str, now: float) -> bool:
    """Write down that a known device was there; False where it is not known."""
    values = {"agent": agent, "address": address, "seen_at": now}
    return connection.execute(update(devices).where(devices.c.digest == digest).values(values)).rowcount > 0


def add(connection: Connection, row: dict[str, object]) -> None:
    connection.execute(insert(devices).values(**row))


def of_user(connection: Connection, user_id: str) -> list[RowMapping]:
    """The devices of an account, the last seen first."""
    query = select(devices).where(devices.c.user_id == user_id).order_by(devices.c.seen_at.desc())
    return list(connection.execute(query.order_by(devices.c.created_at.desc())).mappings())


def drop(connection: Connection, digest: str) -> None:
    connection.execute(delete(devices).where(devices.c.digest == digest))


def forget(connection: Connection, user_id: str, device_id: str) -> bool:
    """Forget one device of an account; whether there was one."""
    mine = (devices.c.user_id == user_id) & (devices.c.id == device_id)
    return connection.execute(delete(devices).where(mine)).rowcount > 0


def keep(connection: Connection, user_id: str, most: int) -> None:
    """Forget all but the `most` devices of an account that were seen last."""
    over = [row["digest"] for row in of_user(connection, user_id)[most:]]
    if over:
        connection.execute(delete(devices).where(devices.c.digest.in_(over)))


def end_of_user(connection: Connection, user_id: str, *, but: str | None = None) -> int:
    """Forget the devices of an account, except the one with the digest `but`; how many there were."""
    condition = devices.c.user_id == user_id
    if but is not None:
        condition &= devices.c.digest != but
    return connection.execute(delete(devices).where(condition)).rowcount


def end_unseen(connection: Connection, since: float) -> None:
    """Forget whatever was not seen since then."""
    connection.execute(delete(devices).where(devices.c.seen_at < since))
