"""Long exchanges (a WebSocket, a stream): whether the session that began one still stands."""

from __future__ import annotations

from sqlalchemy.exc import SQLAlchemyError

from bylaw.controls import api_keys, roles, sessions
from bylaw.exchange import Exchange
from bylaw.house import House
from bylaw.identity import API_KEY, Identity
from bylaw.store import sessions as store


def remembered(house: House, exchange: Exchange) -> bool:
    """Whether the session of a long exchange, or what it bore, stands as it did, as far as memory tells."""
    session, borne = exchange.session, exchange.credential
    if borne is not None:
        known = house.store.feed.current and house.store.memory.get(borne.digest) is borne
        return known and house.now() < borne.expires_at
    if session is None:
        return True
    idle, held = house.policy.of(sessions.Settings).idle, house.store.memory.get(session.digest)
    return (
        house.store.feed.current
        and held is not None
        and held is session
        and sessions.alive(house.now(), expires_at=held.expires_at, seen_at=held.seen_at, idle=idle)
    )


def stands(house: House, exchange: Exchange) -> bool:
    """The same from the database: it lives, and its user may do what he might when it began."""
    session, borne = exchange.session, exchange.credential
    if borne is not None:
        # An access token that memory knows no more is over: it lives for minutes, and its client comes again.
        return borne.kind == API_KEY and api_keys.stands(house, exchange)
    if session is None:
        return True
    house.store.feed.follow()
    generation = house.store.memory.generation
    try:
        with house.store.reading() as connection:
            row = sessions.find(house, connection, session.digest)
    except SQLAlchemyError:
        return False
    if (
        row is None
        or row.owes
        or not _as_it_was(house, row, session.identity)
        or not sessions.lives(house, row, session.seen_at)
    ):
        return False
    session.expires_at = roles.until(row.expires_at, row.assignments)
    if not row.renew:
        house.store.memory.remember(session, generation)  # not for each message anew
    return True


def _as_it_was(house: House, row: store.SessionRow, identity: Identity) -> bool:
    """Whether a session's user holds what he held, everywhere and within each object."""
    now = roles.holding(house, identity, row.assignments)
    return now.roles == identity.roles and _within(now) == _within(identity)


def _within(identity: Identity) -> dict[str, frozenset[str]]:
    return {scope: held.patterns for scope, held in identity.scoped.items()}


def used(house: House, exchange: Exchange) -> None:
    """Count what somebody says in a long exchange as a use of the session."""
    for held in (exchange.session, exchange.credential):
        if held is not None:
            held.seen_at = house.now()
