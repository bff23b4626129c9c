"""Queries over the audit log: rows are added and read, never changed (the database refuses it)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, insert, select

from bylaw.store.tables import audit_log


def add(connection: Connection, row: Mapping[str, Any]) -> None:
    connection.execute(insert(audit_log).values(**row))


def rows(
    connection: Connection,
    *,
    action: str | None = None,
    user_id: str | None = None,
    entity_type: str | None = None,
    entity_id: str | None = None,
    before: int | None = None,
    limit: int = 100,
) -> list[dict[str, Any]]:
    """The newest rows first, at most `limit`, before the row number `before`."""
    query = select(audit_log).order_by(audit_log.c.id.desc()).limit(limit)
    given = {
        audit_log.c.action: action,
        audit_log.c.user_id: user_id,
        audit_log.c.entity_type: entity_type,
        audit_log.c.entity_id: entity_id,
    }
    for column, value in given.items():
        if value is not None:
            query = query.where(column == value)
    if before is not None:
        query = query.where(audit_log.c.id < before)
    return [{**row, "timestamp": _utc(row["timestamp"])} for row in connection.execute(query).mappings()]


def _utc(at: datetime) -> datetime:
    """SQLite forgets the zone that it was given, PostgreSQL answers in the session's."""
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
