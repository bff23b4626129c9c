"""Queries over ceremonies: what was begun in a browser, and is ended once by an answer to it."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, RowMapping, delete, insert, select

from bylaw.store.tables import ceremonies


def add(connection: Connection, row: dict[str, Any]) -> None:
    connection.execute(insert(ceremonies).values(**row))


def find(connection: Connection, kind: str, digest: str, now: float) -> RowMapping | None:
    query = select(ceremonies).where(*_is(kind, digest, now))
    return connection.execute(query).mappings().one_or_none()


def end(connection: Connection, kind: str, digest: str, now: float) -> RowMapping | None:
    """End one: of many answers at once, one gets it."""
    ended = delete(ceremonies).where(*_is(kind, digest, now)).returning(ceremonies)
    return connection.execute(ended).mappings().one_or_none()


def _is(kind: str, digest: str, now: float) -> tuple[Any, ...]:
    return (ceremonies.c.digest == digest, ceremonies.c.kind == kind, ceremonies.c.expires_at > now)


def end_of_user(connection: Connection, user_id: str) -> None:
    connection.execute(delete(ceremonies).where(ceremonies.c.user_id == user_id))


def end_expired(connection: Connection, now: float) -> None:
    connection.execute(delete(ceremonies).where(ceremonies.c.expires_at <= now))
