"""Two applications behind one host name that share their sign-ins: what their policies must agree in."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sqlalchemy.engine import make_url

from bylaw.controls import csrf, jwt, mfa, passwords, roles, secrets, sessions
from bylaw.controls.passwords import keeping
from bylaw.policy import Policy
from bylaw.quantities import spoken


@dataclass(frozen=True, slots=True)
class Difference:
    """What two policies say differently, and what comes of it."""

    key: str
    here: str
    there: str
    why: str


def conflicts(one: Policy, other: Policy) -> Iterator[Difference]:
    """What must be the same, and is not: one would not know whom the other has signed in. Secrets and
    addresses of databases are compared, never shown."""
    for key, of, why in _MUST:
        if of(one) != of(other):
            yield Difference(key, of(one), of(other), why)
    for key, same, why in _SECRET:
        if not same(one, other):
            yield Difference(key, "one", "another one", why)


def differences(one: Policy, other: Policy) -> Iterator[Difference]:
    """What may be different, and what that means for people who use both."""
    for key in ("idle", "absolute"):
        here, there = (getattr(each.of(sessions.Settings), key) for each in (one, other))
        if here != there:
            shorter = spoken(min(here, there))
            why = f"the shorter one ends a session for both: {shorter}"
            yield Difference(f"sessions.{key}", spoken(here), spoken(there), why)
    mine, theirs = (each.of(roles.Settings).grants for each in (one, other))
    for role in sorted({*mine} | {*theirs}):
        here, there = (", ".join(found[role]) if role in found else "-" for found in (mine, theirs))
        if here == there:
            continue
        known = role in mine and role in theirs
        why = "one role, which means in each what that one says" if known else "means nothing in the other"
        yield Difference(f"roles.{role}", here or "nothing", there or "nothing", why)
    for role in sorted({*mine} & {*theirs}):
        here, there = (mfa.required(each, frozenset([role])) for each in (one, other))
        if here != there:
            words = {True: "asked for", False: "not asked for"}
            why = "a session without one is nobody's where it is asked for"
            yield Difference(f"second factor of {role}", words[here], words[there], why)
    if jwt.used(one) and jwt.used(other) and _tokens(one) != _tokens(other):
        yield Difference("jwt", "its own", "its own", "an access token of one is nothing to the other")


def _database(policy: Policy) -> str:
    url = make_url(policy.store.database.get_secret_value())
    if url.drivername.startswith("sqlite") and url.database:
        return f"sqlite {Path(url.database).absolute()}"
    return f"{url.get_backend_name().removesuffix('ql')} {url.host} {url.port} {url.database}"


def _key(one: Policy, other: Policy) -> bool:
    """Whether each accepts what the other signs: while a key is changed, both may be known to both."""
    here, there = secrets.ring(one), secrets.ring(other)
    return here[0] in there and there[0] in here


def _tokens(policy: Policy) -> tuple[object, ...]:
    settings = policy.of(jwt.Settings)
    key = settings.key.get_secret_value() if settings.key is not None else ""
    return key, settings.algorithm, settings.issuer, settings.audience


def _peppers(policy: Policy) -> Collection[str]:
    return keeping.peppers(policy.of(passwords.Settings)).ids


_MUST: Final[tuple[tuple[str, Callable[[Policy], str], str], ...]] = (
    ("BYLAW_ENV", lambda policy: policy.environment, "cookies have other names in production"),
    ("app.base_url", lambda policy: policy.app.origin, "cookies and tokens are good at one origin alone"),
    (
        "csrf.header",
        lambda policy: str(policy.of(csrf.Settings).header),
        "a script sends its token in one header, to either",
    ),
)
_SECRET: Final[tuple[tuple[str, Callable[[Policy, Policy], bool], str], ...]] = (
    (
        "store.database",
        lambda one, other: _database(one) == _database(other),
        "accounts and sessions are in the database",
    ),
    ("secrets.key", _key, "a form's token made by one would be refused by the other"),
    (
        "passwords.peppers",
        lambda one, other: _peppers(one) == _peppers(other),
        "a password that one has hashed would be wrong at the other",
    ),
)
