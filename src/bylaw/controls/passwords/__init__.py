"""Passwords: long, not common, and stored so that a stolen table is worth little.

Threat: guessing, credential stuffing, a leaked table, a sign-in that tells who has an account
(CWE-521, CWE-916, CWE-204). Mechanism: length (less of it beside a second factor), a list of common
passwords with their obvious variants, the account's own words and an attacker's first guesses where a
password is set; if the policy says so, a look-up in published leaks that does not tell the password;
Argon2id (or PBKDF2-SHA256), under a pepper if there is one, upgraded at sign-in, where a password that
breaks today's rules has to be changed; a hash is always computed, whether there is an account or not;
hashing has a memory budget of its own. Source: NIST SP 800-63B-4 3.1.1, OWASP Password Storage, ASVS
5.0.0 6.2.
It does not slow down guessing over many requests (see rate limits), and no hash protects a password
that is on a list.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final, Literal, TypeVar

from pydantic import Field, SecretStr
from sqlalchemy.exc import SQLAlchemyError

from bylaw import control, hashing
from bylaw.control import Below, Conflict, Control
from bylaw.controls import outbound
from bylaw.controls.passwords import conflicts, judging, keeping, leaks, probes, sabotages
from bylaw.controls.passwords.guessing import GUESSES
from bylaw.house import House
from bylaw.policy import Policy
from bylaw.quantities import Size
from bylaw.reasons import Reason, Refused
from bylaw.store import passwords as stored_passwords

T = TypeVar("T")
log = logging.getLogger("bylaw.passwords")

WRONG = Reason(
    "passwords.wrong",
    401,
    "That address and password do not belong together.",
    "The answer is the same, and takes the same work, whether the account exists, is disabled, has "
    "no password, or the password is wrong.",
)
WEAK = Reason(
    "passwords.weak",
    422,
    "Choose another password.",
    "The new password breaks one of the policy's rules; `errors` says which.",
)
BUSY = Reason(
    "passwords.busy",
    503,
    "Many people are signing in. Try again shortly.",
    "More hashes are wanted than [passwords] memory has room for. Retry-After says when to return; "
    "the requests of people who are signed in are served meanwhile.",
)

UNCHECKED = Reason(
    "passwords.unchecked",
    503,
    "New passwords cannot be checked at the moment. Try again shortly.",
    "The service that knows published leaks did not answer in time, and the policy has "
    '[passwords] breach_outage = "refuse".',
)

NONE = Reason(
    "passwords.none",
    403,
    "Nobody has a password here.",
    "The policy has [passwords] off: people sign in by a token, a passkey or another provider.",
)

OFF: Final = "off"
Kind = Literal["upper", "lower", "digit", "special"]


class Settings(control.Settings):
    """What a password must be, and how it is kept."""

    min_length: int = Field(15, ge=8, le=64)
    """Characters (Unicode code points) at least, where the password is the only factor."""

    min_length_with_second_factor: int = Field(8, ge=8, le=64)
    """Characters at least where the account has a second factor."""

    max_length: int = Field(1024, ge=64, le=4096)
    """Characters at most; longer ones are refused before they are hashed."""

    composition: tuple[Kind, ...] = ()
    """Kinds of character that must occur. NIST says not to ask for any."""

    breach_lookup: str = OFF
    """`off`, or the address of a service that speaks Pwned Passwords' range protocol: new passwords are
    looked up in published leaks by five digits of their SHA-1."""

    breach_outage: Literal["accept", "refuse"] = "accept"
    """While that service does not answer: take new passwords by the other rules, or refuse them with 503."""

    hash: Literal["argon2id", "pbkdf2-sha256"] = "argon2id"
    """How new passwords are kept; older hashes are upgraded at sign-in."""

    argon2_memory: Size = Field(hashing.ARGON2_KIB * 1024, ge=7 * 1024**2, le=hashing.MOST_BYTES)
    """Memory of one Argon2id hash. Below OWASP's minimum refuses to start; `bylaw tune` measures."""

    argon2_passes: int = Field(hashing.ARGON2_PASSES, ge=1, le=hashing.MOST_PASSES)
    """Passes of one Argon2id hash over its memory."""

    pepper: SecretStr | None = None
    """A key that every password is combined with before it is hashed, and that the database does not hold."""

    previous_peppers: tuple[SecretStr, ...] = ()
    """Peppers of before: what they made is read, and made anew when its owner signs in."""

    memory: int = Field(256, ge=64)
    """MiB that hashing may take at once."""

    waiting: int = Field(16, ge=0)
    """Sign-ins that may wait for a free place; further ones are told to come back."""

    @property
    def looks_up(self) -> bool:
        """Whether new passwords are looked up in published leaks."""
        return self.breach_lookup != OFF

    def least(self, *, second: bool) -> int:
        """Characters that a password has at least, with a second factor beside it or without."""
        return self.min_length_with_second_factor if second else self.min_length

    def below_standard(self) -> Iterable[Below]:
        if self.min_length < 15:
            yield Below(
                "min_length",
                str(self.min_length),
                "15 where a password is the only factor",
                "NIST SP 800-63B-4 3.1.1.2",
            )
        if self.composition:
            yield Below(
                "composition",
                ", ".join(self.composition),
                "no composition rules",
                "NIST SP 800-63B-4 3.1.1.2, ASVS 5.0.0 6.2.5",
            )


def on(policy: Policy) -> bool:
    """Whether people have passwords at all."""
    return not policy.of(Settings).off


def missing(policy: Policy) -> str:
    """Why a control that is about passwords has nothing to do; empty where it has."""
    return "" if on(policy) else "the policy has [passwords] off"


def demand(house: House) -> None:
    """Go on only where people have passwords: wherever one is taken, kept or mailed about. Raises Refused."""
    if not on(house.policy):
        raise Refused(NONE)


def breached(house: House, password: str) -> bool:
    """Whether the password stands in a published leak, where the policy has it looked up. Raises Refused
    where nobody can say and the policy takes no password then."""
    settings = house.policy.of(Settings)
    if not settings.looks_up:
        return False
    ask = outbound.network(house, settings.breach_lookup)
    try:
        return leaks.times(ask, settings.breach_lookup, judging.normal(password)) > 0
    except leaks.Unavailable as error:
        log.warning("new passwords are not looked up in leaks: %s", error)
        house.count("passwords.leaks_unavailable")
        if settings.breach_outage == "refuse":
            raise Refused(UNCHECKED, headers=(("Retry-After", "60"),)) from None
        return False


@dataclass(frozen=True, slots=True)
class Kept:
    """A new password as it is stored: its hash, and the rules that it was judged by."""

    hash: str
    rules: str

    def __repr__(self) -> str:
        return f"Kept({self.rules})"

    @property
    def columns(self) -> dict[str, str | bool]:
        """What a row of `users` gets: nobody waits for another password any more."""
        return {"password_hash": self.hash, "password_rules": self.rules, "renew_password": False}  # nosec B105  # no secret: words


def make(house: House, password: str, *, context: Iterable[str] = (), second: bool = False) -> Kept:
    """A new password as it is stored. Raises Refused: weak, unchecked, or no place to hash it now.

    `second`: the account has a second factor. Waits for the look-up in leaks, if there is one, outside of
    the threads that hash: sign-ins do not wait for somebody else's server.
    """
    demand(house)
    settings = house.policy.of(Settings)
    if judging.hashable(settings, password) is None:
        raise _weak(judging.faults(settings, password))
    words = tuple(context)
    if settings.looks_up:
        _pooled(house, _judge, settings, password, words, second)
        if breached(house, password):
            raise _weak(["one that is in no published leak: this one is, and attackers try those"])
    return _pooled(house, _make, house, settings, password, words, second)


def _judge(settings: Settings, password: str, context: tuple[str, ...], second: bool) -> None:
    wrong = judging.faults(settings, password, context=context, second=second)
    if wrong:
        raise _weak(wrong)


def _make(house: House, settings: Settings, password: str, context: tuple[str, ...], second: bool) -> Kept:
    """Judged where it is hashed: guessing takes milliseconds that strangers may ask for as well."""
    _judge(settings, password, context, second)
    return Kept(house.scheme.make(judging.normal(password)), judging.rules(settings, second=second))


def _weak(wrong: list[str]) -> Refused:
    return Refused(WEAK, fields={"password": f"Needed: {'; '.join(wrong)}."})


def check(house: House, stored: str | None, password: str) -> str | None:
    """Check a password against a stored hash, or against a decoy where there is none.

    Returns a stronger hash to store in its place, or None where the stored one will do. Raises
    Refused. What cannot be a password is refused without hashing, for everybody alike.
    """
    demand(house)
    text = judging.hashable(house.policy.of(Settings), password)
    if text is None:
        raise Refused(WRONG)
    return _pooled(house, _verify, house, stored, text)


def _verify(house: House, stored: str | None, password: str) -> str | None:
    """The work of a sign-in: one verification, whoever asks, and an upgrade where it is due."""
    right = hashing.verify(*house.peppers.opened(stored, password)) if stored is not None else None
    if right is None:  # no account, no password or a hash that nobody can read: equal work (C-41)
        hashing.verify(*house.peppers.opened(house.decoy, password))
    if stored is None or not right:
        raise Refused(WRONG)
    return house.scheme.make(password) if house.scheme.outdated(stored) else None


def _pooled(house: House, work: Callable[..., T], *args: object) -> T:
    try:
        return house.hashes.run(work, *args)
    except hashing.Busy as busy:
        raise Refused(BUSY, headers=(("Retry-After", str(busy.wait)),)) from None


def _start(house: House) -> Iterable[Conflict]:
    """Without its pepper a hash is nobody's: whoever lost one must learn it now, and not from people who
    cannot sign in."""
    try:
        with house.store.reading() as connection:
            needed = stored_passwords.peppers(connection)
    except SQLAlchemyError as error:  # no table yet, or no database: others say so
        log.debug("peppers in use are not known: %s", type(error).__name__)
        return
    lost = {of: count for of, count in needed.items() if of not in house.peppers.ids}
    for of, count in sorted(lost.items()):
        yield Conflict(
            "passwords.pepper",
            f"{count} passwords were made with the pepper {of}, which is not here",
            "put it back, or into previous_peppers; without it their owners need a new password",
        )


def _statement(policy: Policy) -> list[str]:
    settings = policy.of(Settings)
    shorter = settings.min_length_with_second_factor
    sentences = [
        (
            f"A password has {settings.min_length} to {settings.max_length} characters"
            f"{f' (at least {shorter} beside a second factor)' if shorter < settings.min_length else ''}, "
            "is not among the 30,000 most common, their obvious variants or what "
            f"{GUESSES:,} guesses find (repetitions, rows of keys, padded words), "
            "and is not made of the account's address and name or the application's name."
        ),
        (
            "Where a password is chosen, its strength is shown with advice; what is typed there is neither "
            "kept nor logged."
        ),
        (
            f"It is kept as {keeping.described(settings)}; older hashes are upgraded at sign-in, and no page "
            "or mail ever returns a password."
        ),
        (
            "Tighter rules reach every account at its next sign-in: a password that breaks them must be "
            "changed before anything else."
        ),
        "Sign-in answers alike, after equal work, for unknown, disabled and known accounts.",
        (
            f"Hashing may take {settings.memory} MiB; beyond {settings.waiting} waiting sign-ins people "
            "are told to come back."
        ),
    ]
    if settings.composition:
        kinds = ", ".join(judging.SPOKEN[kind] for kind in settings.composition)
        sentences.insert(1, f"It must contain {kinds}.")
    if settings.looks_up:
        outage = "taken by the other rules" if settings.breach_outage == "accept" else "refused"
        sentences.insert(
            1,
            "A new password is looked up in published leaks by five digits of its SHA-1 at "
            f"`{settings.breach_lookup}`; while nobody answers there, new passwords are {outage}.",
        )
    return sentences


CONTROL = Control(
    name="passwords",
    title="Passwords",
    settings=Settings,
    statement=_statement,
    reasons=(WRONG, WEAK, BUSY, UNCHECKED, NONE),
    probes=probes.PROBES,
    sabotages=sabotages.SABOTAGES,
    conflicts=lambda policy: conflicts.found(policy, policy.of(Settings)),
    start=_start,
    requirements=(
        "S1-004",
        "S1-005",
        "S1-006",
        "S1-007",
        "S1-008",
        "S1-009",
        "S1-010",
        "S1-011",
        "S3-002",
        "S3-003",
        "S3-004",
        "S3-005",
        "S3-006",
        "S3-007",
        "S3-008",
        "S3-040",
        "C-02",
        "C-03",
        "C-04",
        "C-27",
        "C-40",
    ),
    asvs=(
        "6.1.2",
        "6.2.1",
        "6.2.2",
        "6.2.3",
        "6.2.4",
        "6.2.5",
        "6.2.6",
        "6.2.7",
        "6.2.8",
        "6.2.9",
        "6.2.10",
        "6.2.11",
        "6.2.12",
        "6.3.8",
        "11.4.2",
    ),
)
