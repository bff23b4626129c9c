"""Queries over how passwords are kept and by which rules they were judged: numbers, never one account's."""

from __future__ import annotations

from sqlalchemy import Connection, exists, func, or_, select

from bylaw.hashing import PEPPERED
from bylaw.store.tables import passkeys, totp_secrets, users


def peppers(connection: Connection) -> dict[str, int]:
    """The peppers that stored hashes name (see hashing.Peppers), each with how many there are."""
    begins = len(PEPPERED)
    of = func.substr(users.c.password_hash, begins + 1, 8)
    rows = connection.execute(
        select(of, func.count()).where(users.c.password_hash.startswith(PEPPERED)).group_by(of)
    )
    return {row[0]: row[1] for row in rows}


def judged_by(connection: Connection) -> list[tuple[str, bool, int]]:
    """How many accounts have a password that was judged by which rules, with and without a second factor.
    Those that cannot sign in with one, or are disabled, are not counted."""
    second = or_(*(exists().where(table.c.user_id == users.c.id) for table in (totp_secrets, passkeys)))
    # One column for both: grouping by an expression with parameters is two expressions to PostgreSQL.
    each = (
        select(users.c.password_rules.label("rules"), second.label("second"))
        .where(users.c.password_hash.is_not(None), users.c.disabled_at.is_(None))
        .subquery()
    )
    rows = connection.execute(
        select(each.c.rules, each.c.second, func.count()).group_by(each.c.rules, each.c.second)
    )
    return [(row[0], bool(row[1]), row[2]) for row in rows]
