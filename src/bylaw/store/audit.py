"""Queries over the audit log: rows are added and read, never changed (the database refuses it)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, and_, insert, or_, select

from bylaw.store import users
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


def history(
    connection: Connection,
    user_id: str,
    *,
    action: str = "",
    since: datetime | None = None,
    until: datetime | None = None,
    before: int | None = None,
    limit: int = 50,
) -> list[dict[str, Any]]:
    """What happened to and by an account, and what was done in its name by somebody else or by it in
    somebody else's: the newest first, at most `limit`, before the row number `before`."""
    conditions = []
    if action:
        conditions.append(audit_log.c.action == action)
    if since is not None:
        conditions.append(audit_log.c.timestamp >= since)
    if until is not None:
        conditions.append(audit_log.c.timestamp < until)
    if before is not None:
        conditions.append(audit_log.c.id < before)
    sides = (
        audit_log.c.user_id == user_id,
        audit_log.c.acting == user_id,
        and_(audit_log.c.entity_type == "user", audit_log.c.entity_id == user_id),
    )
    found = {}
    for side in sides:  # one after the other: each has an index that holds its rows in this order
        query = select(audit_log).where(side, *conditions).order_by(audit_log.c.id.desc()).limit(limit)
        found.update({row["id"]: row for row in connection.execute(query).mappings()})
    newest = sorted(found, reverse=True)[:limit]
    return [{**found[number], "timestamp": _utc(found[number]["timestamp"])} for number in newest]


def numbered(connection: Connection, numbers: list[int]) -> list[dict[str, Any]]:
    """The rows with these numbers."""
    query = select(audit_log).where(audit_log.c.id.in_(numbers))
    return [{**row, "timestamp": _utc(row["timestamp"])} for row in connection.execute(query).mappings()]


def on_others(connection: Connection, *, after: int, limit: int) -> list[dict[str, Any]]:
    """What was done to accounts by somebody else than their owners, the oldest first, behind the row `after`:
    by another person, in somebody's name, or at the command line."""
    other = and_(
        audit_log.c.entity_type == "user",
        or_(
            audit_log.c.user_id != audit_log.c.entity_id,
            and_(audit_log.c.user_id.is_(None), audit_log.c.actor_role == "system"),
        ),
    )
    query = select(audit_log).where(
        audit_log.c.id > after,
        audit_log.c.outcome == "success",
        or_(other, audit_log.c.acting.is_not(None)),
    )
    found = connection.execute(query.order_by(audit_log.c.id).limit(limit)).mappings()
    return [{**row, "timestamp": _utc(row["timestamp"])} for row in found]


def named(connection: Connection, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows with those they are about by their address: `by`, `acting_as`, `about`."""
    people = {row["user_id"] for row in rows} | {row["acting"] for row in rows}
    people |= {row["entity_id"] for row in rows if row["entity_type"] == "user"}
    known = users.addresses(connection, people - {None, ""})
    return [_named(row, known) for row in rows]


def _named(row: dict[str, Any], known: dict[str, str]) -> dict[str, Any]:
    who, acting = row["user_id"], row["acting"]
    about = row["entity_id"] if row["entity_type"] == "user" else ""
    return {
        **row,
        "by": known.get(acting or who or "", acting or who or ""),
        "acting_as": known.get(who, who) if acting else "",
        "about": known.get(about, about),
    }


def _utc(at: datetime) -> datetime:
    """SQLite forgets the zone that it was given, PostgreSQL answers in the session's."""
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
