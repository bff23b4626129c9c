"""API keys: a program proves itself by a secret that does little, not for long, and ends at once.

Threat: a key that leaks from a repository, a log or an address and opens all that its owner may, from
anywhere and for ever (CWE-798, CWE-598, CWE-613; API2:2023, API8:2023). Mechanism: 256 random bits behind a
prefix that scanners know, of which the digest alone is kept; a key holds scopes, and may at each request what
they and its owner's permissions of now both hold; it expires, may be bound to networks, has limits of its
own, and is revoked by the feed in every process. It changes no credentials and is never a second factor.
Service accounts have keys and no way to sign in. Source: RFC 6750, RFC 9110 section 11; OWASP REST Security
and Secrets Management; ASVS 5.0.0 13.3, 11.5.1 and 14.2.1; S3-084, S3-038, C-40.
It does not bind a key to the program that bears it: whoever has one is its owner's program until it ends.
"""

from __future__ import annotations

import logging
import math
import re
from collections.abc import Generator, Iterable
from typing import Any, Final

from pydantic import Field
from sqlalchemy.exc import SQLAlchemyError

from bylaw import bearer, control
from bylaw.control import Below, Conflict, Control
from bylaw.controls import audit, errors, jwt, proxies, roles
from bylaw.controls.api_keys import probes, sabotages
from bylaw.controls.api_keys import text as texts
from bylaw.controls.api_keys.reasons import (
    FULL,
    IN_QUERY,
    INVALID,
    NETWORK,
    NONE,
    OF_A_PERSON,
    REPLACED,
    SCOPE,
    SERVICE,
    TWICE,
    UNAVAILABLE,
    UNKNOWN,
)
from bylaw.controls.proxies.addresses import Networks
from bylaw.controls.rate_limits.rates import Rate, parsed
from bylaw.exchange import ALLOW, BLOCK, Deciding, Exchange, Need, Refuse, Step, Verdict, idle
from bylaw.house import House
from bylaw.identity import API_KEY, BY_KEY, Identity
from bylaw.policy import Policy
from bylaw.quantities import Duration, spoken
from bylaw.store import api_keys as rows
from bylaw.store import bearers
from bylaw.store.api_keys import Key
from bylaw.store.counters import Limit, Memory
from bylaw.store.memory import Remembered
from bylaw.store.tables import api_keys as table

log = logging.getLogger("bylaw.api_keys")

MOST: Final = 50
"""Keys of one account that are good at the same time."""
SCOPES: Final = 40
"""Scopes of one key, and networks of one key."""
OVERLAP: Final = 86400
"""Seconds for which a key that was rotated is still good, unless it is said."""
LONGEST_OVERLAP: Final = 30 * 86400
ADDRESS: Final = "service:"
"""What the name of a service account begins with. It is no mail address: no door that takes one opens."""
_WRITE_AFTER: Final = 30
"""Seconds after which a key's last use is written down, off the request path."""
_TRANSIENT: Final = (("Retry-After", "5"),)
_RECORDS: Final = 60
"""Refusals that this process records in a minute at most, and one an hour for each key and cause."""
_PATH: Final = re.compile(r"/[^?#*\s\\]*(/\*)?")
_HEADERS: Final = frozenset(
    ("authorization", "cookie", "host", "proxy-authorization", "content-type", "origin", "referer", "accept")
)


class Settings(control.Settings):
    """Where API keys are taken, how long they live and how much they may do."""

    paths: tuple[str, ...] = ()
    """Paths on which keys are taken, and cookies are not (`/*` at the end: everything below). None: there
    are no keys."""

    header: str = Field("", pattern=r"^([A-Za-z][A-Za-z0-9-]{0,63})?$", examples=["X-API-Key"])
    """A header of its own in which a key may come as well, for clients that cannot send Authorization."""

    lifetime: Duration = Field(90 * 86400, ge=3600)
    """How long a key is good for. Each can be given less."""

    never: bool = False
    """Whether a key may be made that never expires. Demands `because`."""

    rate: Rate = "600/minute"
    """How often one key may ask, in the place of its owner's limit. Each can be given less."""

    def below_standard(self) -> Iterable[Below]:
        if self.never:
            yield Below("never", "true", "each key expires", "ASVS 5.0.0 13.3.4; C-06")
        if self.lifetime > 90 * 86400:
            yield Below("lifetime", spoken(self.lifetime), "90 days", "S2-038, C-06")


def used(policy: Policy) -> bool:
    """Whether there are API keys at all."""
    return bool(policy.of(Settings).paths)


# A request


def _identify(house: House) -> Step:
    """Who asks, from the API key: from memory, or with one look at the database.

    The last step that asks who somebody is. Whatever was borne on the paths of bearers and that no step
    before has known is refused here, on public routes too: a client that believes itself to be somebody
    must not be answered as nobody (RFC 6750 section 3.1).
    """
    settings, policy = house.policy.of(Settings), house.policy
    keys = bearer.Family(settings.paths)
    family = bearer.Family((*settings.paths, *(policy.of(jwt.Settings).paths if jwt.used(policy) else ())))
    if not family:
        return idle
    covers, taken, header = family.covers, keys.covers, settings.header.lower()
    clock, memory, feed = house.ports.clock, house.store.memory, house.store.feed
    recorded, environment = _Recorded(house), policy.environment

    def step(exchange: Exchange) -> Verdict | Deciding:
        if not covers(exchange.path):
            return ALLOW
        if exchange.query and texts.within(exchange.query):
            return Refuse(IN_QUERY)
        field = exchange.headers.one("authorization")
        key = exchange.headers.one(header) if header and taken(exchange.path) else None
        if key is None:
            if exchange.credential is not None:
                return ALLOW
            if field is None:
                exchange.note(bearer.NOTE, True)  # nobody, who is told how to bear something
                return ALLOW
            key = bearer.token(exchange) or ""
        elif field is not None:
            return Refuse(TWICE)
        if not taken(exchange.path):
            return jwt.refusal()
        if not texts.well_formed(key):
            return refusal()
        hashed = texts.kept(environment, key)
        known = memory.get(hashed)
        if known is not None and feed.current and clock() < known.expires_at:
            return let_in(exchange, known)
        return look_up(exchange, hashed)

    def let_in(exchange: Exchange, known: Remembered) -> Verdict | Deciding:
        if known.networks is not None and not _within(exchange, known.networks):
            return recorded.refused(exchange, known.identity.session, "network", Refuse(NETWORK))
        known.seen_at = clock()
        exchange.credential = known
        exchange.identity = known.identity
        return ALLOW

    def look_up(exchange: Exchange, hashed: str) -> Deciding:
        yield BLOCK
        feed.follow()
        generation = memory.generation
        try:
            with house.store.reading() as connection:
                found = rows.find(connection, hashed)
        except SQLAlchemyError:
            return Refuse(UNAVAILABLE, headers=_TRANSIENT)
        why = "unknown" if found is None else over(found, clock())
        if found is None or why:
            house.count(f"api_keys.{why}")
            if found is None:
                return refusal()
            return (yield from recorded.refused(exchange, found.id, why, refusal()))
        known = remembered(house, found)
        memory.remember(known, generation)
        decided = let_in(exchange, known)
        if memory.get(hashed) is not known:
            _write(house, [known])  # nobody else will: memory is too small, or was emptied meanwhile
        return decided if isinstance(decided, Verdict) else (yield from decided)

    return step


def refusal() -> Refuse:
    """A refusal alike for every cause (RFC 6750 section 3.1)."""
    return Refuse(INVALID, headers=bearer.challenge(INVALID, "invalid_token").headers)


def _within(exchange: Exchange, networks: Any) -> bool:
    """Whether the client is known, and in one of them."""
    return proxies.known(exchange) and exchange.client in networks


def over(key: Key, now: float) -> str:
    """Why a key is good no more; empty where it is good."""
    if key.revoked_at is not None:
        return "revoked"
    if key.expires_at is not None and key.expires_at <= now:
        return "expired"
    return "disabled" if key.disabled_at is not None else ""


def remembered(house: House, key: Key) -> Remembered:
    """A key with all that is asked of it at each request, and until when that can be known."""
    settings = house.policy.of(Settings)
    owner = Identity(
        id=key.user_id,
        email="" if key.contact is not None else key.email,
        name=key.owner,
        method=API_KEY,
        # Nobody has shown anything lately, whenever the key was made: a step-up is never passed by it.
        authenticated_at=0.0,
        session=key.id,
        epoch=key.epoch,
    )
    until = roles.until(math.inf if key.expires_at is None else key.expires_at, key.assignments)
    used_at = key.used_at or 0.0
    return Remembered(
        key.digest,
        roles.holding(house, owner, key.assignments).narrowed(key.scopes),
        until,
        used_at,
        used_at,
        kind=API_KEY,
        # Its own limit besides the policy's: what somebody writes for his key only ever tightens.
        rates=tuple(dict.fromkeys(filter(None, (settings.rate, key.rate)))),
        networks=Networks(tuple(key.networks)) if key.networks else None,
    )


def stands(house: House, exchange: Exchange) -> bool:
    """Whether the key of a long exchange stands as it did: from memory, otherwise from the database."""
    before: Remembered = exchange.credential
    store, now = house.store, house.now()
    if store.feed.current and store.memory.get(before.digest) is before:
        return now < before.expires_at
    store.feed.follow()
    generation = store.memory.generation
    try:
        with store.reading() as connection:
            found = rows.find(connection, before.digest)
    except SQLAlchemyError:
        return False
    if found is None or over(found, now):
        return False
    fresh = remembered(house, found)
    if _rights(fresh.identity) != _rights(before.identity):
        return False
    before.expires_at = fresh.expires_at
    store.memory.remember(before, generation)
    return True


def _rights(who: Identity) -> tuple[object, ...]:
    return who.permissions.patterns, {scope: held.patterns for scope, held in who.scoped.items()}


class _Recorded:
    """Records what was refused with a key that is known, once an hour for each key and cause."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._take = Memory().over(((Limit(1, 3600, "key"),), (Limit(_RECORDS, 60, "records"),)))

    def refused(
        self, exchange: Exchange, key_id: str, why: str, refusal: Refuse
    ) -> Generator[Need, Any, Verdict]:
        yield BLOCK
        if self._take(((key_id, why), ""), self._house.now())[1] < 0:
            return refusal
        try:
            with self._house.store.transaction() as connection:
                audit.record(
                    self._house,
                    connection,
                    action="api_key_refused",
                    outcome="refused",
                    actor="",
                    entity_type="api_key",
                    entity_id=key_id,
                    changes={"why": why, "method": exchange.method, "path": exchange.path[:200]},
                )
        except SQLAlchemyError as error:
            errors.failed(exchange, error)  # it stays a refusal where it cannot be recorded
        log.warning("api_key_refused: key %s, %s, from %s", key_id, why, exchange.client)
        return refusal


# When a key was used last


def write_used(house: House) -> None:
    """Write down when keys were last used; called off the request path."""
    due = house.store.memory.unwritten(_WRITE_AFTER, API_KEY)
    if due:
        _write(house, due)


def _write(house: House, due: list[Remembered]) -> None:
    seen = [(each.identity.session, each.seen_at) for each in due]
    try:
        with house.store.transaction() as connection:
            bearers.touch(connection, table, seen)
    except SQLAlchemyError as error:
        log.warning("the last use of API keys was not written: %s", type(error).__name__)
        return
    for each, (_, at) in zip(due, seen, strict=True):
        each.written_at = at


# What cannot be kept


def _conflicts(policy: Policy) -> Iterable[Conflict]:
    settings = policy.of(Settings)
    if settings.off:
        yield Conflict(
            "api_keys.off",
            "nobody would refuse credentials that are bad",
            "leave the key out; without paths there are no keys",
        )
    if settings.never and not settings.because:
        yield Conflict(
            "api_keys.never", "a key that never expires is for ever good to whoever finds it", 'because = "…"'
        )
    yield from _misplaced(policy)
    if settings.header.lower() in _HEADERS or settings.header.lower().startswith(
        ("sec-", "proxy-", "x-forwarded")
    ):
        yield Conflict("api_keys.header", f"{settings.header} says something else", 'e.g. "X-API-Key"')


def _misplaced(policy: Policy) -> Iterable[Conflict]:
    """Paths that are none, or that bylaw's own pages have, on which people sign in by cookies."""
    prefix = policy.pages.prefix
    by_cookie = [alias for alias in policy.pages.aliases if alias not in jwt.endpoints(policy)]
    for index, path in enumerate(policy.of(Settings).paths):
        key = f"api_keys.paths.{index}"
        if not _PATH.fullmatch(path):
            yield Conflict(key, f"{path!r} is no path", 'e.g. "/api/*"')
        elif path.startswith(f"{prefix}/") or any(
            bearer.Family([path]).covers(each) for each in (f"{prefix}/", *by_cookie)
        ):
            yield Conflict(key, f"{path} covers bylaw's own pages, which go by cookies", 'e.g. "/api/*"')


def _statement(policy: Policy) -> list[str]:
    settings = policy.of(Settings)
    if not used(policy):
        return ["There are no API keys."]
    where = ", ".join(f"`{path}`" for path in settings.paths)
    header = f" or in `{settings.header}`, never in both" if settings.header else ""
    never = "; one that never expires may be made, and is shown as such" if settings.never else ""
    return [
        (
            f"On {where} a program bears an API key in its Authorization field{header}; cookies say nothing "
            "there, and a key in an address never works. What is offered and bad is refused, on public "
            "routes too, alike for every cause."
        ),
        (
            "A key is 256 random bits behind a prefix that scanners know. It is shown once; the database "
            "holds its SHA-256 alone. It expires after "
            f"{spoken(settings.lifetime)} at most{never}."
        ),
        (
            "A key may do what its scopes and its owner's permissions of that moment both hold: an owner who "
            "may less has keys that may less, at once. It changes no credentials, accounts or roles, and is "
            "never a second factor or a proof of lately."
        ),
        (
            f"A key may ask {parsed(settings.rate)}, or less where it was given less, and from its networks "
            "alone where it was given any; a use from elsewhere is refused and recorded."
        ),
        (
            "Making a key asks for a proof of lately and is told to its owner by mail. Rotating gives a "
            "successor, and the old key ends by itself after the overlap. A revoked key is refused in every "
            f"process within {spoken(policy.store.revocation_bound)}."
        ),
        (
            "Service accounts are made by administrators, each with somebody who answers for it. They have "
            "keys, and no password, mailbox or way to sign in."
        ),
    ]


CONTROL = Control(
    name="api_keys",
    title="API keys",
    settings=Settings,
    statement=_statement,
    reasons=(
        INVALID,
        UNAVAILABLE,
        NETWORK,
        IN_QUERY,
        TWICE,
        NONE,
        UNKNOWN,
        SCOPE,
        REPLACED,
        FULL,
        OF_A_PERSON,
        SERVICE,
        BY_KEY,
    ),
    steps={"identify": _identify},
    probes=probes.PROBES,
    sabotages=sabotages.SABOTAGES,
    conflicts=_conflicts,
    requirements=("S3-084", "S3-038", "C-40"),
    asvs=("7.4.1", "8.2.1", "8.3.1", "11.5.1", "13.3.4", "14.2.1"),
)
