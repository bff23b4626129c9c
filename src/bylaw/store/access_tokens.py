"""Queries over sessions by the access token that opened them, and over tokens that are about to expire."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, Connection, RowMapping, and_, delete, func, or_, select, update

from bylaw.store.tables import access_tokens, sessions


def good(now: float) -> ColumnElement[bool]:
    """The condition that a token is neither revoked nor expired."""
    return and_(
        access_tokens.c.revoked_at.is_(None),
        or_(access_tokens.c.expires_at.is_(None), access_tokens.c.expires_at > now),
    )


def count_good(connection: Connection, user_id: str, now: float) -> int:
    """How many good tokens somebody holds."""
    query = select(func.count()).select_from(access_tokens).where(access_tokens.c.user_id == user_id)
    return int(connection.execute(query.where(good(now))).scalar_one())


def end_sessions(connection: Connection, token_id: str, *, but: str | None = None) -> list[tuple[str, str]]:
    """End the sessions that a token opened, except the one with the digest `but`; whose they were, and their
    digests."""
    mine = sessions.c.credential == token_id
    if but is not None:
        mine = and_(mine, sessions.c.digest != but)
    ended = connection.execute(select(sessions.c.user_id, sessions.c.digest).where(mine)).all()
    connection.execute(delete(sessions).where(mine))
    return [(row.user_id, row.digest) for row in ended]


def pass_on(connection: Connection, digest: str, token_id: str, until: float | None) -> None:
    """Have a session belong to another token, and end with it at the latest."""
    connection.execute(update(sessions).where(sessions.c.digest == digest).values(credential=token_id))
    if until is not None:
        sooner = and_(sessions.c.digest == digest, sessions.c.expires_at > until)
        connection.execute(update(sessions).where(sooner).values(expires_at=until))


def of_environment(connection: Connection) -> list[RowMapping]:
    """The tokens that came from the environment, the latest first, whatever has become of them."""
    query = select(access_tokens).where(access_tokens.c.origin != "")
    return list(connection.execute(query.order_by(access_tokens.c.created_at.desc())).mappings())


def expiring(connection: Connection, now: float, before: float, limit: int) -> list[RowMapping]:
    """Good tokens that end before a moment and whose owners were not told."""
    soon = and_(access_tokens.c.expires_at <= before, access_tokens.c.warned_at.is_(None), good(now))
    return list(connection.execute(select(access_tokens).where(soon).limit(limit)).mappings())


def warned(connection: Connection, token_id: str, now: float) -> bool:
    """Whether nobody was told before: of several processes one tells."""
    mine = and_(access_tokens.c.id == token_id, access_tokens.c.warned_at.is_(None))
    return connection.execute(update(access_tokens).where(mine).values(warned_at=now)).rowcount == 1


def everyone(connection: Connection) -> list[RowMapping]:
    """All tokens that were not revoked, by their owners."""
    query = select(access_tokens).where(access_tokens.c.revoked_at.is_(None))
    return list(
        connection.execute(query.order_by(access_tokens.c.user_id, access_tokens.c.created_at)).mappings()
    )


def bound(connection: Connection, credential: str | None, fresh: dict[str, Any]) -> dict[str, Any]:
    """The row of a session that goes on under another id: it stays its access token's, and ends with that."""
    if credential is None:
        return fresh
    query = select(access_tokens.c.expires_at).where(access_tokens.c.id == credential)
    until = connection.execute(query).scalar_one_or_none()
    ends = fresh["expires_at"] if until is None else min(until, fresh["expires_at"])
    return {**fresh, "credential": credential, "expires_at": ends}
