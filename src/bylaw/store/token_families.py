"""Queries over token families: one sign-in of one client, and the refresh tokens that carry it on."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, RowMapping, and_, bindparam, delete, exists, insert, select, update

from bylaw.store import assignments
from bylaw.store.assignments import Assignment
from bylaw.store.tables import devices, refresh_tokens, sessions, token_families, users


@dataclass(frozen=True, slots=True)
class Family:
    """A family with the standing of its user, as the database has them now."""

    id: str
    user_id: str
    epoch: int
    method: str
    assurance: int
    authenticated_at: float
    created_at: float
    seen_at: float
    expires_at: float
    address: str
    agent: str
    email: str
    name: str
    assignments: tuple[Assignment, ...] = ()

    @property
    def every_role(self) -> frozenset[str]:
        """Those that hold for one object alone, too."""
        return frozenset(each.role for each in self.assignments)


def add(connection: Connection, row: dict[str, Any]) -> None:
    connection.execute(insert(token_families).values(**row))


def find(connection: Connection, family_id: str, now: float) -> Family | None:
    """The family, unless it has ended, its user is disabled or its epoch is past."""
    query = (
        select(token_families, users.c.email, users.c.name)
        .join(
            users,
            and_(
                users.c.id == token_families.c.user_id,
                users.c.disabled_at.is_(None),
                users.c.epoch == token_families.c.epoch,
            ),
        )
        .where(token_families.c.id == family_id, token_families.c.expires_at > now)
    )
    row = connection.execute(query).mappings().one_or_none()
    if row is None:
        return None
    held = assignments.of_users(connection, [row["user_id"]])
    return Family(**row, assignments=tuple(held.get(row["user_id"], ())))


def owner(connection: Connection, family_id: str) -> str | None:
    """The id of whoever signed in, whatever has become of his standing."""
    query = select(token_families.c.user_id).where(token_families.c.id == family_id)
    return connection.execute(query).scalar_one_or_none()


def of_user(connection: Connection, user_id: str) -> list[RowMapping]:
    query = select(token_families).where(token_families.c.user_id == user_id)
    return list(connection.execute(query.order_by(token_families.c.seen_at.desc())).mappings())


def alive(connection: Connection, user_id: str, now: float) -> list[RowMapping]:
    """Those of a user that can still be refreshed, the last used first."""
    query = (
        select(token_families)
        .join(users, and_(users.c.id == token_families.c.user_id, users.c.epoch == token_families.c.epoch))
        .where(token_families.c.user_id == user_id, token_families.c.expires_at > now, _refreshable(now))
    )
    return list(connection.execute(query.order_by(token_families.c.seen_at.desc())).mappings())


def _refreshable(now: float) -> Any:
    return exists().where(
        refresh_tokens.c.family_id == token_families.c.id,
        refresh_tokens.c.used_at.is_(None),
        refresh_tokens.c.expires_at > now,
    )


def met(connection: Connection, user_id: str, *, address: str, agent: str) -> bool:
    """Whether the account was used from there, by something that calls itself so, before."""
    tables = (token_families, sessions, devices)
    rows = [
        select(table.c.id)
        .where(table.c.user_id == user_id, table.c.address == address, table.c.agent == agent)
        .limit(1)
        for table in tables
    ]
    return any(connection.execute(query).first() is not None for query in rows)


def end(connection: Connection, family_id: str) -> bool:
    """Whether there was such a family to end; its refresh tokens go with it."""
    return connection.execute(delete(token_families).where(token_families.c.id == family_id)).rowcount > 0


def end_of_user(connection: Connection, user_id: str, *, weaker: bool = False) -> int:
    """End all that a user holds, or those alone that have shown one factor; how many there were."""
    condition = token_families.c.user_id == user_id
    if weaker:
        condition &= token_families.c.assurance < 2
    return connection.execute(delete(token_families).where(condition)).rowcount


def end_expired(connection: Connection, now: float, slack: int) -> None:
    """End those that are over, and those that nobody has been able to refresh for `slack` seconds: by then
    the last access token of theirs has expired, too."""
    over = (token_families.c.expires_at <= now) | ~_refreshable(now - slack)
    connection.execute(delete(token_families).where(over))


def touch(connection: Connection, seen: Iterable[tuple[str, float]]) -> None:
    """Write when some were last used, by their ids; never back in time, whichever process writes last."""
    values = [{"i": family_id, "at": at} for family_id, at in seen]
    if values:
        later = and_(token_families.c.id == bindparam("i"), token_families.c.seen_at < bindparam("at"))
        connection.execute(update(token_families).where(later).values(seen_at=bindparam("at")), values)


def add_token(connection: Connection, row: dict[str, Any]) -> None:
    connection.execute(insert(refresh_tokens).values(**row))


def find_token(connection: Connection, digest: str) -> RowMapping | None:
    query = select(refresh_tokens).where(refresh_tokens.c.digest == digest)
    return connection.execute(query).mappings().one_or_none()


def use_token(
    connection: Connection, digest: str, now: float, *, address: str = "", agent: str = ""
) -> tuple[RowMapping | None, bool]:
    """Use a refresh token: its row as it was, and whether this was its first use. Of many at once one is."""
    row = find_token(connection, digest)
    if row is None:
        return None, False
    first = connection.execute(
        update(refresh_tokens)
        .where(refresh_tokens.c.digest == digest, refresh_tokens.c.used_at.is_(None))
        .values(used_at=now, used_address=address, used_agent=agent)
    )
    return row, first.rowcount == 1
