"""Queries over how much mail a recipient got lately: when his budget is whole again (GCRA)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlalchemy import Connection, delete, select, update
from sqlalchemy.dialects import postgresql, sqlite

from bylaw.store.tables import mail_counts

_INSERT: Any = {"postgresql": postgresql.insert, "sqlite": sqlite.insert}


def hold(connection: Connection, keys: Iterable[str]) -> float:
    """When the budget is whole again, by whichever of the keys says latest, in seconds since 1970; nobody
    else changes it until this transaction is over. The first key is the current one: its row is made."""
    current, *earlier = keys
    made = _INSERT[connection.dialect.name](mail_counts).values(key=current, at=0.0)
    # Written as it is: a row that was only read could be written by two at once.
    made = made.on_conflict_do_update(index_elements=["key"], set_={"key": made.excluded.key})
    at: float = connection.execute(made.returning(mail_counts.c.at)).scalar_one()
    others = select(mail_counts.c.at).where(mail_counts.c.key.in_(earlier))
    return float(max([at, *connection.execute(others).scalars()]))


def put(connection: Connection, key: str, at: float) -> None:
    """Write a budget that is held."""
    connection.execute(update(mail_counts).where(mail_counts.c.key == key).values(at=at))


def clear(connection: Connection, now: float) -> None:
    """Drop budgets that are whole again."""
    connection.execute(delete(mail_counts).where(mail_counts.c.at <= now))
