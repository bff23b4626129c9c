"""Queries over token families: one sign-in of one client, and the refresh tokens that carry it on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, RowMapping, and_, delete, insert, select, update

from bylaw.store import assignments
from bylaw.store.assignments import Assignment
from bylaw.store.tables import refresh_tokens, token_families, users


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
    def roles(self) -> frozenset[str]:
        """The roles that hold everywhere."""
        return frozenset(each.role for each in self.assignments if not each.scope)


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


def of_user(connection: Connection, user_id: str) -> list[RowMapping]:
    query = select(token_families).where(token_families.c.user_id == user_id)
    return list(connection.execute(query.order_by(token_families.c.seen_at.desc())).mappings())


def end(connection: Connection, family_id: str) -> bool:
    """Whether there was such a family to end; its refresh tokens go with it."""
    return connection.execute(delete(token_families).where(token_families.c.id == family_id)).rowcount > 0


def end_of_user(connection: Connection, user_id: str, *, weaker: bool = False) -> int:
    """End all that a user holds, or those alone that have shown one factor; how many there were."""
    condition = token_families.c.user_id == user_id
    if weaker:
        condition &= token_families.c.assurance < 2
    return connection.execute(delete(token_families).where(condition)).rowcount


def end_expired(connection: Connection, now: float) -> None:
    connection.execute(delete(token_families).where(token_families.c.expires_at <= now))


def add_token(connection: Connection, row: dict[str, Any]) -> None:
    connection.execute(insert(refresh_tokens).values(**row))


def use_token(connection: Connection, digest: str, now: float) -> tuple[RowMapping | None, bool]:
    """Use a refresh token: its row, and whether this was its first use. Of many at once one is first."""
    row = (
        connection.execute(select(refresh_tokens).where(refresh_tokens.c.digest == digest))
        .mappings()
        .one_or_none()
    )
    if row is None:
        return None, False
    first = connection.execute(
        update(refresh_tokens)
        .where(refresh_tokens.c.digest == digest, refresh_tokens.c.used_at.is_(None))
        .values(used_at=now)
    )
    return row, first.rowcount == 1


def find_token(connection: Connection, digest: str) -> RowMapping | None:
    query = select(refresh_tokens).where(refresh_tokens.c.digest == digest)
    return connection.execute(query).mappings().one_or_none()
