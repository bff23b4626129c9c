"""Queries over counted failures."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, and_, delete, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite

from bylaw.store.tables import failures

_INSERT: Any = {"postgresql": postgresql.insert, "sqlite": sqlite.insert}


@dataclass(frozen=True, slots=True)
class Counted:
    """How many failures there were, and when (see `tables.failures`)."""

    failures: int
    at: float


def read(connection: Connection, keys: Iterable[str]) -> dict[str, Counted]:
    """What stands in the rows with these keys, by key."""
    rows = connection.execute(select(failures).where(failures.c.key.in_(list(keys))))
    return {row.key: Counted(row.failures, row.at) for row in rows}


def hold(connection: Connection, keys: Iterable[str]) -> dict[str, Counted]:
    """The same, and let nobody else change them until this transaction is over.

    A row that is not there yet is made, and one that is there is written as it is: two transactions
    that found none would both begin with one, and a row that was only read may be gone when it is
    written. All in one order, so that no two wait for each other.
    """
    insert = _INSERT[connection.dialect.name]
    held = {}
    for key in sorted(set(keys)):
        made = insert(failures).values(key=key, account="", failures=0, at=0.0)
        made = made.on_conflict_do_update(index_elements=["key"], set_={"key": made.excluded.key})
        row = connection.execute(made.returning(failures.c.failures, failures.c.at)).one()
        held[key] = Counted(row.failures, row.at)
    return held


def put(connection: Connection, key: str, counted: Counted, *, account: str) -> None:
    """Write a row that is held."""
    connection.execute(
        update(failures)
        .where(failures.c.key == key)
        .values(failures=counted.failures, at=counted.at, account=account)
    )


def drop(connection: Connection, keys: Iterable[str]) -> None:
    keys = list(keys)
    if keys:
        connection.execute(delete(failures).where(failures.c.key.in_(keys)))


def drop_of(connection: Connection, accounts: Iterable[str]) -> int:
    """Drop all that was counted about an account, by the keys that it may have; how many rows."""
    keys = list(
        connection.execute(select(failures.c.key).where(failures.c.account.in_(list(accounts)))).scalars()
    )
    hold(connection, keys)
    drop(connection, keys)
    return len(keys)


def clear(connection: Connection, *, now: float, since: float) -> None:
    """Drop addresses whose budget is whole again, and accounts without a failure `since` then.

    What somebody is counting at this moment stays for the next time.
    """
    over = or_(and_(failures.c.account == "", failures.c.at < now), failures.c.at < since)
    keys = select(failures.c.key).where(over).with_for_update(skip_locked=True)
    connection.execute(delete(failures).where(failures.c.key.in_(keys)))
