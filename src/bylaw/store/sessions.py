"""Queries over sessions."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, and_, bindparam, delete, func, insert, or_, select, update

from bylaw.store import assignments
from bylaw.store.assignments import Assignment
from bylaw.store.tables import role_assignments as roles
from bylaw.store.tables import sessions, users

LONGEST_METHOD: Final = 32
"""Characters of `method`."""


@dataclass(frozen=True, slots=True)
class SessionRow:
    """A session with the standing of its user, as the database has them now."""

    digest: str
    id: str
    user_id: str
    method: str
    authenticated_at: float
    created_at: float
    seen_at: float
    expires_at: float
    address: str
    agent: str
    renew: bool
    email: str
    name: str
    epoch: int
    assignments: tuple[Assignment, ...] = ()
    assurance: int = 1
    owes: str = ""
    acting: str | None = None
    credential: str | None = None


def add(connection: Connection, row: dict[str, object]) -> None:
    connection.execute(insert(sessions).values(**row))


def find(connection: Connection, digest: str) -> SessionRow | None:
    """The session and its user, unless the user is disabled or the session's epoch is past."""
    found = _rows(connection, sessions.c.digest == digest)
    return found[0] if found else None


def of_user(connection: Connection, user_id: str) -> list[SessionRow]:
    return _rows(connection, sessions.c.user_id == user_id)


def _rows(connection: Connection, condition: object) -> list[SessionRow]:
    here = and_(roles.c.user_id == users.c.id, assignments.held(assignments.now(connection)))
    query = (
        select(sessions, users.c.email, users.c.name, *(c.label(f"role_{c.name}") for c in roles.c))
        .join(
            users,
            and_(
                users.c.id == sessions.c.user_id,
                users.c.disabled_at.is_(None),
                users.c.epoch == sessions.c.epoch,
            ),
        )
        .outerjoin(roles, here)
        .where(condition)  # type: ignore[arg-type]
        .order_by(sessions.c.seen_at.desc())
    )
    found: dict[str, dict[str, Any]] = {}
    held: dict[str, list[Assignment]] = {}
    for row in connection.execute(query).mappings():
        digest = row["digest"]
        found.setdefault(digest, {name: row[name] for name in row if not name.startswith("role_")})
        if row["role_id"] is not None:
            assigned = Assignment(**{c.name: row[f"role_{c.name}"] for c in roles.c})
            held.setdefault(digest, []).append(assigned)
    return [SessionRow(**facts, assignments=tuple(held.get(key, ()))) for key, facts in found.items()]


def end(connection: Connection, digest: str) -> bool:
    """Whether there was such a session to end."""
    return connection.execute(delete(sessions).where(sessions.c.digest == digest)).rowcount > 0


def replaced(connection: Connection, digest: str, now: float) -> bool:
    """End a session that goes on under another id; of many at once, one does.

    Its row is left behind, dead: whoever signs out with the old id is found to mean the new one as well.
    """
    alive = and_(sessions.c.digest == digest, sessions.c.expires_at > now)
    return connection.execute(update(sessions).where(alive).values(expires_at=now)).rowcount == 1


def end_of_user(connection: Connection, user_id: str, *, but: str | None = None) -> int:
    """End every session of a user, except the one with the digest `but`; how many there were."""
    condition = sessions.c.user_id == user_id
    if but is not None:
        condition = and_(condition, sessions.c.digest != but)
    return connection.execute(delete(sessions).where(condition)).rowcount


def end_weaker(connection: Connection, user_id: str, *, but: str | None) -> int:
    """End the sessions of a user that have shown one factor, except the one with the digest `but`."""
    condition = and_(sessions.c.user_id == user_id, sessions.c.assurance < 2)
    if but is not None:
        condition = and_(condition, sessions.c.digest != but)
    return connection.execute(delete(sessions).where(condition)).rowcount


def end_acting(connection: Connection, user_id: str) -> int:
    """End the sessions in which somebody acts as this user, or this user as somebody else."""
    condition = or_(
        sessions.c.acting == user_id, and_(sessions.c.user_id == user_id, sessions.c.acting.is_not(None))
    )
    return connection.execute(delete(sessions).where(condition)).rowcount


def end_expired(connection: Connection, now: float, idle: int) -> int:
    return connection.execute(
        delete(sessions).where((sessions.c.expires_at < now) | (sessions.c.seen_at < now - idle))
    ).rowcount


def renew(connection: Connection, old: str, new: str, public_id: str, old_until: float) -> bool:
    """Move a session to the digest `new`; False when another request has done so already.

    The old one answers until `old_until`, for requests that were on their way.
    """
    won = connection.execute(
        update(sessions).where(and_(sessions.c.digest == old, sessions.c.renew.is_(True))).values(renew=False)
    )
    if won.rowcount != 1:
        return False
    row = connection.execute(select(sessions).where(sessions.c.digest == old)).mappings().one()
    add(connection, {**row, "digest": new, "id": public_id})
    connection.execute(update(sessions).where(sessions.c.digest == old).values(expires_at=old_until))
    return True


def mark_for_renewal(connection: Connection, user_id: str) -> None:
    connection.execute(update(sessions).where(sessions.c.user_id == user_id).values(renew=True))


def raise_epoch(connection: Connection, digest: str, epoch: int) -> None:
    """Let one session live on in its user's new epoch."""
    connection.execute(update(sessions).where(sessions.c.digest == digest).values(epoch=epoch))


def touch(connection: Connection, seen: Iterable[tuple[str, float]]) -> None:
    """Write when sessions were last seen; never back in time, whichever process writes last."""
    values = [{"d": digest, "s": at} for digest, at in seen]
    if values:
        connection.execute(
            update(sessions)
            .where(and_(sessions.c.digest == bindparam("d"), sessions.c.seen_at < bindparam("s")))
            .values(seen_at=bindparam("s")),
            values,
        )


def count(connection: Connection) -> int:
    return connection.execute(select(func.count()).select_from(sessions)).scalar_one()
