"""JWT access tokens: short, signed, and ended at once all the same.

Threat: a token that is forged, taken for another purpose or another service, or good after its owner has
signed out, been disabled or lost a role (RFC 8725, CVE-2015-9235, CVE-2016-10555). Mechanism: the algorithm
and the keys are the verifier's; type, issuer, audience, subject, times and id are all asked for; a token
names the family (one sign-in of one client) and the epoch that it belongs to, and what has been read of it
is remembered for as long as the revocation feed says that it stands. Refresh tokens are single-use; a second
use ends the family. Source: RFC 6749, 7009, 7519, 8725, 9068, 9700 section 4.14; ASVS 5.0.0 chapter 9 and
10.4; C-05.
It does not bind a token to its sender: whoever has one is its owner until it expires or is ended.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable
from typing import Final

from pydantic import Field, SecretStr
from sqlalchemy.exc import SQLAlchemyError

from bylaw import bearer, control
from bylaw.control import Below, Conflict, Control
from bylaw.controls import mfa, passwords, roles, secrets
from bylaw.controls.jwt import probes, sabotages, tokens
from bylaw.controls.jwt.reasons import (
    CLIENT,
    GRANT,
    INVALID,
    REFRESH,
    REQUEST,
    SCOPE,
    SECOND,
    UNAVAILABLE,
    UNFINISHED,
)
from bylaw.controls.jwt.tokens import Algorithm, Claims, Maker, Unreadable
from bylaw.exchange import ALLOW, BLOCK, Deciding, Exchange, Refuse, Step, Verdict, idle
from bylaw.house import House
from bylaw.identity import Identity
from bylaw.keys import digest
from bylaw.policy import Policy
from bylaw.quantities import Duration, spoken
from bylaw.store import token_families as families
from bylaw.store.memory import Remembered
from bylaw.store.token_families import Family

log = logging.getLogger("bylaw.jwt")

_TRANSIENT: Final = (("Retry-After", "5"),)
_PATH: Final = re.compile(r"/[^?#*]*(/\*)?")
ENDPOINTS: Final = ("token", "refresh", "revoke", "jwks.json")
"""Where tokens are given, renewed, ended and checked, below the prefix of bylaw's own pages."""
LONGEST: Final = 3600
"""Seconds for which an access token can be good at most."""
WRITE_SEEN_AFTER: Final = 30
"""Seconds after which a family's last use is written down, off the request path."""


class Settings(control.Settings):
    """Where access tokens are taken, how they are made, and how long they live."""

    paths: tuple[str, ...] = ()
    """Paths on which access tokens are taken, and cookies are not (`/*` at the end: everything below).
    None: there are no access tokens."""

    algorithm: Algorithm = "HS256"
    """How tokens are signed. The others are for several services that check with the public keys."""

    key: SecretStr | None = None
    """What they are signed with: a secret of 256 bits for HS256, a private key (PEM or JWK) otherwise."""

    earlier_keys: tuple[SecretStr, ...] = ()
    """Keys of before, which still check: leave them in for as long as a token lives."""

    issuer: str = Field("", max_length=200)
    """Who makes them (`iss`); the application's address where it is empty."""

    audience: str = Field("", max_length=200)
    """Whom they are for (`aud`); the issuer where it is empty."""

    lifetime: Duration = Field(1800, ge=60, le=LONGEST)
    """How long an access token is good for."""

    refresh_idle: Duration = Field(7 * 86400, ge=600)
    """How long a refresh token waits to be used."""

    refresh_absolute: Duration = Field(30 * 86400, ge=600)
    """How long after signing in a client can refresh at all."""

    def below_standard(self) -> Iterable[Below]:
        if self.refresh_absolute > 30 * 86400:
            yield Below(
                "refresh_absolute", spoken(self.refresh_absolute), "30 days", "NIST SP 800-63B-4 2.1.3 (AAL1)"
            )


def used(policy: Policy) -> bool:
    """Whether there are access tokens at all."""
    settings = policy.of(Settings)
    return bool(settings.paths) and not settings.off


def family(policy: Policy) -> bearer.Family:
    """The paths on which access tokens are taken."""
    return bearer.Family(policy.of(Settings).paths if used(policy) else ())


def maker(policy: Policy) -> Maker:
    """What makes and reads this application's access tokens. Raises ValueError: a key that is none."""
    settings = policy.of(Settings)
    issuer = settings.issuer or policy.app.base_url
    keys = [tokens.load(settings.algorithm, text) for _, text in _named(settings)]
    if not keys or not tokens.makes(keys[0]):
        raise ValueError("nothing to sign with")
    return Maker(settings.algorithm, tokens.named(keys), issuer, settings.audience or issuer)


def endpoints(policy: Policy) -> frozenset[str]:
    """The paths at which tokens are given, renewed and ended: no cookie says anything there, so that nobody
    can have a visitor's browser ask for one (CWE-352)."""
    if not used(policy):
        return frozenset()
    own = {f"{policy.pages.prefix}/{name}" for name in ENDPOINTS}
    return frozenset(own | {alias for alias, path in policy.pages.aliases.items() if path in own})


def publishes(policy: Policy) -> bool:
    """Whether there are public keys to check with."""
    return used(policy) and policy.of(Settings).algorithm != "HS256"


def _identify(house: House) -> Step:
    """Who asks, from the access token: from memory, or with one look at the database."""
    if not used(house.policy):
        return idle
    covers = family(house.policy).covers
    clock, memory, feed = house.ports.clock, house.store.memory, house.store.feed
    reader = maker(house.policy)

    def step(exchange: Exchange) -> Verdict | Deciding:
        if not covers(exchange.path):
            return ALLOW
        text = bearer.token(exchange)
        if text is None or text.count(".") != 2:
            return ALLOW  # nobody, or what another control knows
        key = digest(text)
        known = memory.get(key)
        if known is not None and feed.current:
            now = clock()
            if now < known.expires_at:
                known.seen_at = now
                exchange.credential = known
                exchange.identity = known.identity
                return ALLOW
        return _look_up(house, reader, exchange, text, key)

    return step


def _look_up(house: House, reader: Maker, exchange: Exchange, text: str, key: str) -> Deciding:
    yield BLOCK
    house.store.feed.follow()
    generation = house.store.memory.generation
    try:
        claims = reader.read(text, house.now())
        with house.store.reading() as connection:
            found = families.find(connection, claims.family, house.now())
    except Unreadable:
        return refusal()
    except SQLAlchemyError:
        return Refuse(UNAVAILABLE, headers=_TRANSIENT)
    if found is None or not belongs(claims, found) or owes_factor(house.policy, found):
        return refusal()
    known = _remembered(house, key, claims, found)
    house.store.memory.remember(known, generation)
    exchange.credential = known
    exchange.identity = known.identity
    return ALLOW


def belongs(claims: Claims, family: Family) -> bool:
    """Whether the family that a token names is its own, and of the epoch that it was made in."""
    return claims.subject == family.user_id and claims.epoch == family.epoch


def owes_factor(policy: Policy, family: Family) -> bool:
    """Whether the owner's roles ask for a second factor by now, which the client has not shown."""
    return family.assurance < 2 and mfa.required(policy, family.every_role)


def refusal() -> Refuse:
    """A refusal alike for every cause (RFC 6750 section 3.1)."""
    refused = bearer.challenge(INVALID, "invalid_token")
    return Refuse(INVALID, headers=refused.headers)


def _remembered(house: House, key: str, claims: Claims, family: Family) -> Remembered:
    identity = Identity(
        id=family.user_id,
        email=family.email,
        name=family.name,
        method=family.method,
        authenticated_at=family.authenticated_at,
        session=family.id,
        epoch=family.epoch,
        assurance=family.assurance,
    )
    until = roles.until(min(claims.expires_at, family.expires_at), family.assignments)
    holder = roles.holding(house, identity, family.assignments)
    return Remembered(key, holder, until, house.now(), family.seen_at, kind="jwt")


def write_seen(house: House) -> None:
    """Write down when families were last used; called off the request path."""
    due = [(each, each.seen_at) for each in house.store.memory.unwritten(WRITE_SEEN_AFTER, "jwt")]
    latest: dict[str, float] = {}
    for each, at in due:
        family_id = each.identity.session
        latest[family_id] = max(at, latest.get(family_id, 0.0))
    if not latest:
        return
    try:
        with house.store.transaction() as connection:
            families.touch(connection, sorted(latest.items()))
    except SQLAlchemyError as error:
        # No reason to refuse anybody: it is tried again.
        log.warning("the last use of token families was not written: %s", type(error).__name__)
        return
    for each, at in due:
        each.written_at = at


# The policy


def _conflicts(policy: Policy) -> Iterable[Conflict]:
    settings = policy.of(Settings)
    by_cookie = [alias for alias in policy.pages.aliases if alias not in endpoints(policy)]
    own = (f"{policy.pages.prefix}/", *by_cookie)
    for path in settings.paths:
        if not _PATH.fullmatch(path):
            yield Conflict("jwt.paths", f"{path!r} is no path", 'e.g. "/api/*"')
        elif path.startswith(own[0]) or any(bearer.Family([path]).covers(each) for each in own):
            yield Conflict("jwt.paths", f"{path} covers bylaw's own pages, which go by cookies", '"/api/*"')
    if not used(policy):
        return
    if settings.key is None:
        yield Conflict("jwt.key", "there is nothing to sign with", '"env:JWT_SECRET_KEY"')
        return
    for number, (name, text) in enumerate(_named(settings)):
        yield from _unfit(policy, name, text, makes=number == 0)
    if len({text for _, text in _named(settings)}) < len(_named(settings)):
        yield Conflict("jwt.earlier_keys", "holds the same key twice", "each key once")
    if settings.refresh_idle > settings.refresh_absolute:
        yield Conflict(
            "jwt.refresh_idle",
            f"is longer than a client can refresh at all ({spoken(settings.refresh_absolute)})",
            "shorter than refresh_absolute",
        )


def _named(settings: Settings) -> list[tuple[str, str]]:
    """Every key by its name in the policy, the current one first."""
    earlier = [(f"jwt.earlier_keys.{i}", secret) for i, secret in enumerate(settings.earlier_keys)]
    every = [*([("jwt.key", settings.key)] if settings.key is not None else []), *earlier]
    return [(name, secret.get_secret_value().strip()) for name, secret in every]


def _unfit(policy: Policy, name: str, text: str, *, makes: bool) -> Iterable[Conflict]:
    """Why a key is none: one token is enough for anybody to try what he knows or guesses, at leisure."""
    algorithm = policy.of(Settings).algorithm
    if algorithm == "HS256":
        weak = secrets.weakness(text)
        if weak is not None:
            yield Conflict(name, weak, "make one: bylaw secrets new")
            return
        if text.encode() in secrets.ring(policy):
            yield Conflict(name, "the key that signs cookies, too", "one of its own: bylaw secrets new")
            return
    kind = "a secret" if algorithm == "HS256" else "a private key in PEM or as a JWK"
    try:
        key = tokens.load(algorithm, text)
    except ValueError:
        yield Conflict(name, f"it is no key for {algorithm}", kind)
        return
    if makes and not tokens.makes(key):
        yield Conflict(name, "a public key signs nothing", kind)


def _statement(policy: Policy) -> list[str]:
    settings = policy.of(Settings)
    if not used(policy):
        return ["There are no JWT access tokens."]
    where = ", ".join(f"`{path}`" for path in settings.paths)
    return [
        (
            f"On {where} a request bears an access token in its Authorization field; cookies say nothing "
            f"there. It is signed with {settings.algorithm}, by a key of its own, and good for "
            f"{spoken(settings.lifetime)}; type, issuer, audience, subject, times and id are asked for."
        ),
        (
            "It says who somebody is by an id alone. Roles and standing come from the database: a change, "
            "signing out and disabling the account end it in every process within "
            f"{spoken(policy.store.revocation_bound)}."
        ),
        (
            f"A refresh token is good once, for {spoken(settings.refresh_idle)}, and for "
            f"{spoken(settings.refresh_absolute)} after signing in at most. Used a second time it ends "
            "everything that came of that sign-in, is recorded with the facts of both uses, and told to the "
            "account's owner by mail."
        ),
        (
            "Tokens are given for a password (and the second factor's code), under the rules, limits and "
            "lockout of the sign-in page; never for a session's cookie."
        ),
    ]


def _idle(policy: Policy) -> str:
    if used(policy) or passwords.on(policy):
        return ""
    return "no path takes access tokens, and nobody has a password to get one with"


CONTROL = Control(
    name="jwt",
    title="JWT access tokens",
    settings=Settings,
    statement=_statement,
    reasons=(INVALID, UNAVAILABLE, REFRESH, REQUEST, GRANT, SCOPE, CLIENT, SECOND, UNFINISHED),
    steps={"identify": _identify},
    probes=probes.PROBES,
    sabotages=sabotages.SABOTAGES,
    conflicts=_conflicts,
    idle=_idle,
    requirements=(
        "S3-009",
        "S3-010",
        "S3-011",
        "S3-012",
        "S3-013",
        "S3-014",
        "S3-015",
        "S3-016",
        "S3-017",
        "S3-018",
        "S1-066",
        "C-05",
    ),
    asvs=("9.1.1", "9.1.2", "9.1.3", "9.2.1", "9.2.2", "9.2.3", "9.2.4", "10.4.5", "7.4.1"),
)
