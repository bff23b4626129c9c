"""JWT access tokens: short, signed, and ended at once all the same.

Threat: a token that is forged, taken for another purpose or another service, or good after its owner has
signed out, been disabled or lost a role (RFC 8725, CVE-2015-9235, CVE-2016-10555). Mechanism: the algorithm
and the keys are the verifier's; type, issuer, audience, subject, times and id are all asked for; a token
names the family (one sign-in of one client) and the epoch that it belongs to, and what has been read of it
is remembered for as long as the revocation feed says that it stands. Refresh tokens are single-use; a second
use ends the family. Source: RFC 7519, 8725, 9068, 9700 section 4.14; ASVS 5.0.0 chapter 9 and 10.4; C-05.
It does not bind a token to its sender: whoever has one is its owner until it expires or is ended.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from pydantic import Field, SecretStr
from sqlalchemy.exc import SQLAlchemyError

from bylaw import bearer, control
from bylaw.control import Below, Conflict, Control, Duration, spoken
from bylaw.controls import roles, secrets
from bylaw.controls.jwt import tokens
from bylaw.controls.jwt.tokens import Algorithm, Claims, Maker, Unreadable
from bylaw.exchange import ALLOW, BLOCK, Deciding, Exchange, Refuse, Step, Verdict, idle
from bylaw.house import House
from bylaw.identity import Identity, permissions_of
from bylaw.keys import digest
from bylaw.policy import Policy
from bylaw.reasons import Reason
from bylaw.store import token_families as families
from bylaw.store.memory import Remembered
from bylaw.store.token_families import Family

INVALID = Reason(
    "jwt.invalid",
    401,
    "The access token is not valid.",
    "It is no token of this application, has expired, or was ended: by signing out, by a change of its "
    "owner's standing, or because its refresh token was used twice. Ask for a new one.",
)
UNAVAILABLE = Reason(
    "jwt.unavailable",
    503,
    "Tokens cannot be checked at the moment. Try again shortly.",
    "The database did not answer and memory may not be trusted. The request was refused rather than served "
    "with a token that may have been ended.",
)
REFRESH = Reason(
    "jwt.refresh",
    401,
    "Sign in again.",
    "The refresh token is unknown, was used before or has expired. One that was used before has ended its "
    "whole family: either this client or a thief is left with an old one.",
)

_TRANSIENT: Final = (("Retry-After", "5"),)
_PATH: Final = re.compile(r"/[^?#*]*(/\*)?")


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
    """Keys of before, which still check until the last token made with them has expired."""

    issuer: str = Field("", max_length=200)
    """Who makes them (`iss`); the application's address where it is empty."""

    audience: str = Field("", max_length=200)
    """Whom they are for (`aud`); the issuer where it is empty."""

    lifetime: Duration = Field(1800, ge=60, le=3600)
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


def maker(policy: Policy) -> Maker:
    """What makes and reads this application's access tokens. Raises ValueError: a key that is none."""
    settings = policy.of(Settings)
    issuer = settings.issuer or policy.app.base_url
    texts = [s.get_secret_value() for s in (settings.key, *settings.earlier_keys) if s is not None]
    keys = tokens.named(tokens.load(settings.algorithm, text) for text in texts)
    return Maker(settings.algorithm, keys, issuer, settings.audience or issuer)


def _identify(house: House) -> Step:
    """Who asks, from the access token: from memory, or with one look at the database."""
    if not used(house.policy):
        return idle
    covers = bearer.Family(house.policy.of(Settings).paths).covers
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
            family = families.find(connection, claims.family, house.now())
    except Unreadable:
        return refusal()
    except SQLAlchemyError:
        return Refuse(UNAVAILABLE, headers=_TRANSIENT)
    if family is None or not belongs(claims, family):
        return refusal()
    found = _remembered(house, key, claims, family)
    house.store.memory.remember(found, generation)
    exchange.credential = found
    exchange.identity = found.identity
    return ALLOW


def belongs(claims: Claims, family: Family) -> bool:
    """Whether the family that a token names is its own, and of the epoch that it was made in."""
    return claims.subject == family.user_id and claims.epoch == family.epoch


def refusal() -> Refuse:
    """A refusal alike for every cause (RFC 6750 section 3.1)."""
    refused = bearer.challenge(INVALID, "invalid_token")
    return Refuse(INVALID, headers=refused.headers)


def _remembered(house: House, key: str, claims: Claims, family: Family) -> Remembered:
    grants = house.policy.of(roles.Settings).grants
    identity = Identity(
        id=family.user_id,
        email=family.email,
        name=family.name,
        roles=family.roles,
        permissions=permissions_of(family.roles, grants),
        method=family.method,
        authenticated_at=family.authenticated_at,
        session=family.id,
        epoch=family.epoch,
        assurance=family.assurance,
        scoped=roles.scoped(grants, family.assignments),
    )
    ends = [a.expires_at for a in family.assignments if a.expires_at is not None]
    until = min([claims.expires_at, family.expires_at, *ends])
    return Remembered(key, identity, until, house.now(), family.seen_at, kind="jwt")


def _conflicts(policy: Policy) -> Iterable[Conflict]:
    settings = policy.of(Settings)
    for path in settings.paths:
        if not _PATH.fullmatch(path):
            yield Conflict("jwt.paths", f"{path!r} is no path", 'e.g. "/api/*"')
    if not used(policy):
        return
    if settings.key is None:
        yield Conflict("jwt.key", "there is nothing to sign with", '"env:JWT_SECRET_KEY"')
        return
    try:
        maker(policy)
    except ValueError:
        kind = "a secret" if settings.algorithm == "HS256" else "a private key in PEM or as a JWK"
        yield Conflict("jwt.key", f"it is no key for {settings.algorithm}", kind)
    text = settings.key.get_secret_value()
    if settings.algorithm == "HS256":
        if len(text.encode()) < secrets.BITS // 8:
            yield Conflict("jwt.key", "shorter than 256 bits", "make one: bylaw secrets new")
        if text.encode() in secrets.ring(policy):
            yield Conflict("jwt.key", "the key that signs cookies, too", "one of its own: bylaw secrets new")
    if settings.refresh_idle > settings.refresh_absolute:
        yield Conflict(
            "jwt.refresh_idle",
            f"is longer than a client can refresh at all ({spoken(settings.refresh_absolute)})",
            "shorter than refresh_absolute",
        )


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
            "everything that came of that sign-in, and is recorded."
        ),
    ]


CONTROL = Control(
    name="jwt",
    title="JWT access tokens",
    settings=Settings,
    statement=_statement,
    reasons=(INVALID, UNAVAILABLE, REFRESH),
    steps={"identify": _identify},
    conflicts=_conflicts,
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
