"""Sessions: signing in opens one on the server, and signing out ends it for every copy.

Threat: a stolen, copied, fixed or left-open session (OWASP WSTG-SESS-03, 06, 07). Mechanism: the
cookie is 256 random bits that mean nothing; the server keeps only their SHA-256, with idle and
absolute limits of its own. A known session is decided from memory; whatever ends it reaches every
process by the revocation feed. Source: NIST SP 800-63B-4 section 5, ASVS 5.0.0 chapter 7.
A session that still owes a step of signing in is nobody's; each further proof gives it a new id.
It does not bind a session to a device: a stolen cookie works until it ends or is ended.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final

from pydantic import Field
from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

from bylaw import bearer, control
from bylaw.control import Below, Conflict, Control
from bylaw.controls import api_keys, audit, cookies, jwt, mfa, roles
from bylaw.controls.sessions import probes, sabotages
from bylaw.exchange import ALLOW, BLOCK, Deciding, Exchange, Refuse, Step, Verdict
from bylaw.house import House
from bylaw.identity import ACTING, UNFINISHED, Identity
from bylaw.keys import base64url, digest
from bylaw.policy import Policy
from bylaw.quantities import Duration, spoken
from bylaw.reasons import Reason
from bylaw.store import factors, users
from bylaw.store import sessions as store
from bylaw.store.memory import Remembered

log = logging.getLogger("bylaw.sessions")

UNAVAILABLE = Reason(
    "sessions.unavailable",
    503,
    "Sessions cannot be checked at the moment. Try again shortly.",
    "The database did not answer and memory may not be trusted. The request was refused rather "
    "than served as somebody who may have been signed out.",
)

SECRET_BYTES: Final = 32
_SECRET_LENGTH = 43  # of 32 bytes in URL-safe base64 without padding
WRITE_SEEN_AFTER: Final = 30
"""Seconds after which a session's last use is written down, off the request path."""
SLACK: Final = 2 * WRITE_SEEN_AFTER
"""Seconds beyond the idle limit for which a row is kept: another process may have seen the session
used and not yet have written it down."""
GRACE: Final = 10
"""Seconds for which a renewed session's old id still answers: requests already on their way."""

PENDING: Final = 600
"""Seconds for which a session that owes its second factor waits for it."""


class Settings(control.Settings):
    """How long a session lives."""

    idle: Duration = Field(3600, ge=60)
    """A session that was not used for this long has ended."""

    absolute: Duration = Field(86400, ge=60)
    """A session ends this long after signing in, however busy."""

    impersonation: bool = False
    """Whether somebody with the permission `user:impersonate` may act as somebody else, for an hour, with a
    reason and both names in every record."""

    def below_standard(self) -> Iterable[Below]:
        if self.idle > 3600:
            yield Below("idle", spoken(self.idle), "1 hour", "NIST SP 800-63B-4 2.2.3 (AAL2)")
        if self.absolute > 86400:
            yield Below("absolute", spoken(self.absolute), "24 hours", "NIST SP 800-63B-4 2.2.3 (AAL2)")


@dataclass(frozen=True, slots=True)
class Opened:
    """A new session: the secret for its cookie, which is kept nowhere else."""

    secret: str
    digest: str
    id: str
    owes: str = ""
    """What is still to be done before anybody is signed in by it."""

    def __repr__(self) -> str:
        return f"Opened({self.id})"


def mint(house: House, *, owes: str = "") -> Opened:
    """A new session's secret, its digest and the id to speak of it."""
    secret = base64url(house.ports.entropy(SECRET_BYTES))
    return Opened(secret, digest(secret), base64url(house.ports.entropy(12)), owes)


def alive(now: float, *, expires_at: float, seen_at: float, idle: int) -> bool:
    """Whether a session has reached neither of its limits."""
    return now < expires_at and now - seen_at < idle


def _remembered(house: House, row: store.SessionRow) -> Remembered:
    identity = Identity(
        id=row.user_id,
        email=row.email,
        name=row.name,
        method=row.method,
        authenticated_at=row.authenticated_at,
        session=row.id,
        epoch=row.epoch,
        assurance=row.assurance,
        acting=row.acting or "",
    )
    # Asked again when the first of its roles expires: what is remembered never outlives what it says.
    until = roles.until(row.expires_at, row.assignments)
    return Remembered(
        row.digest, roles.holding(house, identity, row.assignments), until, row.seen_at, row.seen_at, row.owes
    )


def row(
    house: House,
    opened: Opened,
    user_id: str,
    epoch: int,
    method: str,
    *,
    address: str,
    agent: str,
    assurance: int = 1,
    acting: str | None = None,
    expires_at: float | None = None,
) -> dict[str, object]:
    """The row of a session that begins now, or goes on under a new id until `expires_at`."""
    now = house.now()
    return {
        "digest": opened.digest,
        "id": opened.id,
        "user_id": user_id,
        "epoch": epoch,
        "method": method,
        "authenticated_at": now,
        "created_at": now,
        "seen_at": now,
        "expires_at": expires_at or ends(house, now),
        "address": address,
        "agent": audit.printable(agent, 256),
        "renew": False,
        "assurance": assurance,
        "owes": opened.owes,
        "acting": acting,
    }


def ends(house: House, created_at: float) -> float:
    """When a session ends that began then, however busy it is (seconds since 1970)."""
    return created_at + house.policy.of(Settings).absolute


def find(house: House, connection: Connection, key: str) -> store.SessionRow | None:
    """A session; it owes a second factor as soon as its user's role asks for one, whenever it began."""
    found = store.find(connection, key)
    if found is None or found.owes or found.assurance > 1:
        return found
    if not mfa.required(house.policy, frozenset(each.role for each in found.assignments)):
        return found
    return replace(found, owes="second" if factors.enrolled(connection, found.user_id) else "enrol")


def bearers(policy: Policy) -> bearer.Family:
    """The paths on which no cookie says who asks: those of bearers, and where bearers are given."""
    listed = (*policy.of(jwt.Settings).paths, *policy.of(api_keys.Settings).paths)
    return bearer.Family((*listed, *jwt.endpoints(policy)))


def _identify(house: House) -> Step:
    """Who asks, from the session's cookie: from memory, or with one look at the database."""
    name = cookies.name(house.policy, cookies.SESSION)
    idle = house.policy.of(Settings).idle
    clock, memory, feed = house.ports.clock, house.store.memory, house.store.feed
    family = bearers(house.policy)
    no_cookies = family.covers if family else None

    def step(exchange: Exchange) -> Verdict | Deciding:
        secret = exchange.cookie(name)
        if secret is None or len(secret) != _SECRET_LENGTH:
            return ALLOW  # nobody, or a value that was never given out: never adopted
        if no_cookies is not None and no_cookies(exchange.path):
            return ALLOW
        key = digest(secret)
        known = memory.get(key)
        if known is not None and feed.current:
            now = clock()
            if alive(now, expires_at=known.expires_at, seen_at=known.seen_at, idle=idle):
                known.seen_at = now
                exchange.session = known
                if not known.owes:
                    exchange.identity = known.identity
                return ALLOW
        return _look_up(house, exchange, key)

    return step


def _look_up(house: House, exchange: Exchange, key: str) -> Deciding:
    yield BLOCK
    house.store.feed.follow()
    generation = house.store.memory.generation
    try:
        with house.store.reading() as connection:
            row = find(house, connection, key)
        if row is None or not lives(house, row):
            exchange.set_cookie(cookies.make(house.policy, cookies.SESSION, "", lifetime=0))
        elif row.renew and not exchange.websocket:  # a handshake has no way to bring a cookie back
            _renew(house, exchange, row)
        else:
            _adopt(house, exchange, row, generation)
    except SQLAlchemyError:
        return Refuse(UNAVAILABLE, headers=(("Retry-After", "5"),))
    return ALLOW


def lives(house: House, row: store.SessionRow, seen: float = 0.0) -> bool:
    """The same of a session of the store, last used when the row, memory or `seen` says."""
    idle, seen = house.policy.of(Settings).idle, max(seen, _seen(house, row))
    return alive(house.now(), expires_at=row.expires_at, seen_at=seen, idle=idle)


def _seen(house: House, row: store.SessionRow) -> float:
    """What memory saw later than the database counts as well: it is written only now and then."""
    held = house.store.memory.get(row.digest)
    return max(row.seen_at, held.seen_at if held else 0.0)


def _adopt(house: House, exchange: Exchange, row: store.SessionRow, generation: int) -> None:
    session = _remembered(house, row)
    session.seen_at = max(house.now(), _seen(house, row))
    if not row.renew:  # remembered, it would go on under its old id
        house.store.memory.remember(session, generation)
    # At once: memory may be too small to keep the session until its use is written down.
    if session.seen_at - session.written_at > _write_after(house):
        _write(house, [session])
    exchange.session = session
    if not session.owes:
        exchange.identity = session.identity


def _renew(house: House, exchange: Exchange, row: store.SessionRow) -> None:
    """A new id for a session whose user's privileges have changed (ASVS 7.2.4).

    Of requests that come together one gives it; the others go on under the old id while it answers.
    """
    opened = mint(house)
    generation = house.store.memory.generation
    until = min(row.expires_at, house.now() + GRACE)
    with house.store.transaction() as connection:
        users.hold(connection, row.user_id)  # whoever ends the session meanwhile ends the new id, too
        won = store.renew(connection, row.digest, opened.digest, opened.id, until)
        fresh = find(house, connection, opened.digest if won else row.digest)
    if fresh is not None:
        if won:
            exchange.set_cookie(cookies.make(house.policy, cookies.SESSION, opened.secret))
        _adopt(house, exchange, fresh, generation)


def along_with(rows: Iterable[store.SessionRow], ended: str, now: float) -> set[str]:
    """The digests among a user's sessions that go when the one with the digest `ended` does.

    A session that has just been renewed answers to two ids: whichever of them signs out, the other
    is not left behind. What ends within the grace by itself goes too, of whatever session it is.
    """
    rows = list(rows)
    leaving = {row.digest: row.created_at for row in rows if row.expires_at <= now + GRACE}
    born = leaving.get(ended)
    return {ended, *leaving, *(row.digest for row in rows if row.created_at == born)}


def write_seen(house: House) -> None:
    """Write down when sessions were last used; called off the request path."""
    due = house.store.memory.unwritten(_write_after(house))
    if due:
        _write(house, due)


def _write_after(house: House) -> float:
    return min(WRITE_SEEN_AFTER, house.policy.of(Settings).idle / 4)


def _write(house: House, due: list[Remembered]) -> None:
    seen = [(session.digest, session.seen_at) for session in due]
    try:
        with house.store.transaction() as connection:
            store.touch(connection, seen)
    except SQLAlchemyError as error:
        # No reason to refuse anybody: it is tried again, and at worst the session ends early.
        log.warning("the last use of sessions was not written: %s", type(error).__name__)
        return
    for session, (_, at) in zip(due, seen, strict=True):
        session.written_at = at


def _conflicts(policy: Policy) -> Iterable[Conflict]:
    settings = policy.of(Settings)
    if settings.off:
        yield Conflict("sessions.off", "nobody could be signed in", "leave the key out")
    if settings.idle > settings.absolute:
        yield Conflict(
            "sessions.idle",
            f"is longer than a session lives at all ({settings.absolute} s)",
            "shorter than sessions.absolute",
        )


def _statement(policy: Policy) -> list[str]:
    settings = policy.of(Settings)
    return [
        (
            "Somebody with the permission `user:impersonate` may act as another person who manages no users, "
            "with a reason, for an hour at most: he changes none of the account's credentials, every record "
            "names both, and the person is told by mail."
            if settings.impersonation
            else "Nobody signs in as somebody else."
        ),
        ("Sessions live on the server. The cookie is 256 random bits, of which only the SHA-256 is stored."),
        (
            f"A session ends after {spoken(settings.idle)} without use, "
            f"{spoken(settings.absolute)} after signing in, at sign-out, when the password changes and "
            "when the account is disabled; a copied cookie ends with it. People see where they are signed "
            "in, and end one session, the others or all."
        ),
        (
            "Whoever still owes a step of signing in (a second factor, a new password, the confirmation of "
            "the address) is nobody to the application."
        ),
        (
            "A sign-in from a device that has not signed in before, by whatever means, is told to the "
            "account's owner by mail. Signing out clears what the browser kept, but not that it is known."
        ),
        (
            "Signing in, each further proof, changing the password and a change of roles give the session "
            f"a new id; after a change of roles the old one answers for {spoken(GRACE)} more, to requests on "
            "their way."
        ),
        (
            f"Every process heeds the end of a session within {spoken(policy.store.revocation_bound)}; "
            "one that cannot asks the database for each request, and refuses where that is gone too."
        ),
    ]


CONTROL = Control(
    name="sessions",
    title="Sessions",
    settings=Settings,
    statement=_statement,
    reasons=(UNAVAILABLE, UNFINISHED, ACTING),
    steps={"identify": _identify},
    probes=probes.PROBES,
    sabotages=sabotages.SABOTAGES,
    conflicts=_conflicts,
    requirements=("S1-003", "S2-011", "C-32", "C-40"),
    asvs=(
        "6.3.5",
        "7.2.1",
        "7.2.2",
        "7.2.3",
        "7.2.4",
        "7.3.1",
        "7.3.2",
        "7.4.1",
        "7.4.2",
        "7.4.3",
        "7.5.2",
        "14.3.1",
    ),
)
