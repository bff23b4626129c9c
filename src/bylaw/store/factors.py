"""Queries over what an account has besides a password: authenticator apps, recovery codes, passkeys."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import Connection, RowMapping, delete, exists, func, insert, select, update

from bylaw.store.tables import passkeys, recovery_codes, totp_secrets


def enrolled(connection: Connection, user_id: str) -> bool:
    """Whether the account has a second factor: an authenticator app or a passkey."""
    held = [exists().where(table.c.user_id == user_id) for table in (totp_secrets, passkeys)]
    return bool(connection.execute(select(held[0] | held[1])).scalar_one())


def held(connection: Connection, user_id: str) -> dict[str, int]:
    """How many of each kind the account holds."""
    kinds = {"apps": totp_secrets, "passkeys": passkeys, "recovery codes": recovery_codes}
    return {
        kind: connection.execute(
            select(func.count()).select_from(table).where(table.c.user_id == user_id)
        ).scalar_one()
        for kind, table in kinds.items()
    }


def end_of_user(connection: Connection, user_id: str) -> None:
    """Remove every second factor of an account, and its recovery codes."""
    for table in (totp_secrets, passkeys, recovery_codes):
        connection.execute(delete(table).where(table.c.user_id == user_id))


# Authenticator apps


def add_app(connection: Connection, row: dict[str, object]) -> None:
    connection.execute(insert(totp_secrets).values(**row))


def apps(connection: Connection, user_id: str) -> list[RowMapping]:
    """The account's authenticator apps, the oldest first."""
    query = select(totp_secrets).where(totp_secrets.c.user_id == user_id)
    ordered = query.order_by(totp_secrets.c.created_at, totp_secrets.c.id)
    return list(connection.execute(ordered).mappings())


def use_step(connection: Connection, app_id: str, step: int, now: float, secret: str) -> bool:
    """Use a time step up, with all before it: of many who do so at once, one gets it.

    `secret` is the app's own, encrypted by the key that is the current one now.
    """
    used = (
        update(totp_secrets)
        .where(totp_secrets.c.id == app_id, totp_secrets.c.last_step < step)
        .values(last_step=step, used_at=now, secret=secret)
    )
    return connection.execute(used).rowcount == 1


def rename_app(connection: Connection, user_id: str, app_id: str, name: str) -> bool:
    """Whether the account has such an app."""
    mine = (totp_secrets.c.id == app_id, totp_secrets.c.user_id == user_id)
    return connection.execute(update(totp_secrets).where(*mine).values(name=name)).rowcount == 1


def remove_app(connection: Connection, user_id: str, app_id: str) -> str | None:
    """Remove an app of the account; its name, None where the account has no such app."""
    mine = (totp_secrets.c.id == app_id, totp_secrets.c.user_id == user_id)
    gone = delete(totp_secrets).where(*mine).returning(totp_secrets.c.name)
    name: str | None = connection.execute(gone).scalar_one_or_none()
    return name


# Recovery codes


def replace_codes(connection: Connection, user_id: str, digests: Iterable[str], now: float) -> None:
    """Put new codes in the place of all that the account has."""
    drop_codes(connection, user_id)
    rows = [{"digest": digest, "user_id": user_id, "created_at": now} for digest in digests]
    connection.execute(insert(recovery_codes), rows)


def drop_codes(connection: Connection, user_id: str) -> None:
    connection.execute(delete(recovery_codes).where(recovery_codes.c.user_id == user_id))


def use_code(connection: Connection, user_id: str, digest: str, now: float) -> bool:
    """Use a code up: of many who do so at once, one gets it."""
    used = (
        update(recovery_codes)
        .where(
            recovery_codes.c.digest == digest,
            recovery_codes.c.user_id == user_id,
            recovery_codes.c.used_at.is_(None),
        )
        .values(used_at=now)
    )
    return connection.execute(used).rowcount == 1


def has_codes(connection: Connection, user_id: str) -> bool:
    """Whether the account was ever given codes that it still has, used or not."""
    return bool(connection.execute(select(exists().where(recovery_codes.c.user_id == user_id))).scalar_one())


def codes_left(connection: Connection, user_id: str) -> int:
    left = recovery_codes.c.user_id == user_id, recovery_codes.c.used_at.is_(None)
    return connection.execute(select(func.count()).select_from(recovery_codes).where(*left)).scalar_one()
