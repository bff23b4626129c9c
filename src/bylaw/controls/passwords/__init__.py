"""Passwords: long, not common, and stored so that a stolen table is worth little.

Threat: guessing, credential stuffing, a leaked table, a sign-in that tells who has an account
(CWE-521, CWE-916, CWE-204). Mechanism: length, a list of common passwords and an attacker's first
guesses where a password is set; Argon2id (or PBKDF2-SHA256), upgraded at sign-in; a hash is always
computed, whether there is an account or not; hashing has a memory budget of its own. Source: NIST
SP 800-63B-4 3.1.1, OWASP Password Storage, ASVS 5.0.0 6.2.
It does not slow down guessing over many requests (see rate limits), and no hash protects a password
that is on a list.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Final, Literal, TypeVar

from pydantic import Field

from bylaw import control, hashing
from bylaw.control import Below, Conflict, Control
from bylaw.controls.passwords import probes
from bylaw.house import House
from bylaw.policy import Policy
from bylaw.reasons import Reason, Refused

T = TypeVar("T")

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

SPECIAL: Final = frozenset("!@#$%^&*()_-+=[]{}; '\",.<>?/\\|`~")
"""What S1-008 calls special: the space is, the colon is not."""
GUESSES: Final = 100_000
"""What an attacker tries first: a password that falls within so many guesses is refused."""
_LOOKED_AT: Final = 24
"""Characters whose guessability is estimated: the estimate grows faster than the text, and the
weakest 24 characters are weak enough."""
Kind = Literal["upper", "lower", "digit", "special"]
SPOKEN: Final = {
    "upper": "an upper-case letter",
    "lower": "a lower-case letter",
    "digit": "a digit",
    "special": "a special character",
}
_BELONGS: Final = {
    "upper": str.isupper,
    "lower": str.islower,
    "digit": str.isdecimal,
    "special": SPECIAL.__contains__,
}
_NO_TEXT: Final = re.compile(r"[\x00\ud800-\udfff]")


class Settings(control.Settings):
    """What a password must be, and how it is kept."""

    min_length: int = Field(15, ge=8, le=64)
    """Characters (Unicode code points) at least."""

    max_length: int = Field(1024, ge=64, le=4096)
    """Characters at most; longer ones are refused before they are hashed."""

    composition: tuple[Kind, ...] = ()
    """Kinds of character that must occur. NIST says not to ask for any."""

    hash: Literal["argon2id", "pbkdf2-sha256"] = "argon2id"
    """How new passwords are kept; older hashes are upgraded at sign-in."""

    memory: int = Field(256, ge=64)
    """MiB that hashing may take at once."""

    waiting: int = Field(16, ge=0)
    """Sign-ins that may wait for a free place; further ones are told to come back."""

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


def normal(password: str) -> str:
    """The password as it is compared: NFC, so that two keyboards mean the same (NIST 3.1.1.2)."""
    return unicodedata.normalize("NFC", password)


def hashable(settings: Settings, password: str) -> str | None:
    """The password as it is hashed, None where it is not: endless, or not text (NUL, surrogates).

    The length is looked at before normalising, which takes quadratic time, and again after it,
    which may lengthen (CVE-2013-1443).
    """
    if len(password) > settings.max_length:
        return None
    password = normal(password)
    return None if len(password) > settings.max_length or _NO_TEXT.search(password) else password


@lru_cache(maxsize=1)
def common() -> frozenset[str]:
    """The 30,000 most common leaked passwords, in lower case."""
    from zxcvbn.frequency_lists import FREQUENCY_LISTS

    return frozenset(FREQUENCY_LISTS["passwords"])


def guessed(password: str, context: Iterable[str] = ()) -> bool:
    """Whether an attacker's first guesses hold the password: few of 15 characters are on a list,
    but 123456789012345, qwertyuiopasdfg and passwordpassword are among the first tried."""
    from zxcvbn import zxcvbn

    piece = password[: (password * 2).index(password, 1)]  # what it repeats, or all of it
    return int(zxcvbn(piece[:_LOOKED_AT], user_inputs=list(context))["guesses"]) < GUESSES


def faults(settings: Settings, password: str, *, context: Iterable[str] = ()) -> list[str]:
    """What is wrong with a new password, in words.

    `context` are words that an attacker would try for this account: its address, the site's name.
    """
    text = hashable(settings, password)
    if text is None:
        return [f"at most {settings.max_length} characters, none of them NUL"]
    found = [] if len(text) >= settings.min_length else [f"at least {settings.min_length} characters"]
    found += [SPOKEN[kind] for kind in settings.composition if not any(map(_BELONGS[kind], text))]
    words = [word.casefold() for word in context if word]
    words += [word.partition("@")[0] for word in words if "@" in word]
    folded = text.casefold()
    if folded in words:
        found.append("one that is not your address or the name of this site")
    elif folded in common() or (text and guessed(text, words)):
        found.append("one that is not among the first that an attacker would try")
    return found


def make(house: House, password: str, *, context: Iterable[str] = ()) -> str:
    """A hash of a new password. Raises Refused: weak, or no place to hash it now."""
    settings = house.policy.of(Settings)
    if hashable(settings, password) is None:
        raise _weak(faults(settings, password))
    return _pooled(house, _make, house, settings, password, tuple(context))


def _make(house: House, settings: Settings, password: str, context: tuple[str, ...]) -> str:
    """Judged where it is hashed: guessing takes milliseconds that strangers may ask for as well."""
    wrong = faults(settings, password, context=context)
    if wrong:
        raise _weak(wrong)
    return house.scheme.make(normal(password))


def _weak(wrong: list[str]) -> Refused:
    return Refused(WEAK, fields={"password": f"Needed: {'; '.join(wrong)}."})


def check(house: House, stored: str | None, password: str) -> str | None:
    """Check a password against a stored hash, or against a decoy where there is none.

    Returns a stronger hash to store in its place, or None where the stored one will do. Raises
    Refused. What cannot be a password is refused without hashing, for everybody alike.
    """
    text = hashable(house.policy.of(Settings), password)
    if text is None:
        raise Refused(WRONG)
    return _pooled(house, _verify, house, stored, text)


def _verify(house: House, stored: str | None, password: str) -> str | None:
    """The work of a sign-in: one verification, whoever asks, and an upgrade where it is due."""
    right = hashing.verify(stored, password) if stored is not None else None
    if right is None:  # no account, no password or a hash that nobody can read: equal work (C-41)
        hashing.verify(house.decoy, password)
    if stored is None or not right:
        raise Refused(WRONG)
    return house.scheme.make(password) if house.scheme.outdated(stored) else None


def _pooled(house: House, work: Callable[..., T], *args: object) -> T:
    try:
        return house.hashes.run(work, *args)
    except hashing.Busy as busy:
        raise Refused(BUSY, headers=(("Retry-After", str(busy.wait)),)) from None


def _conflicts(policy: Policy) -> Iterable[Conflict]:
    if policy.of(Settings).off:
        yield Conflict("passwords.off", "accounts would have passwords without a rule", "leave the key out")


def _statement(policy: Policy) -> list[str]:
    settings = policy.of(Settings)
    kept = {
        "argon2id": f"Argon2id (m={hashing.ARGON2_KIB // 1024} MiB, t={hashing.ARGON2_PASSES}, p=1)",
        "pbkdf2-sha256": f"PBKDF2-SHA256 ({hashing.PBKDF2_ROUNDS:,} rounds, Werkzeug's format)",
    }[settings.hash]
    sentences = [
        (
            f"A password has {settings.min_length} to {settings.max_length} characters, is not among the "
            f"30,000 most common or what {GUESSES:,} guesses find (repetitions, rows of keys, padded words), "
            "and is not the account's address or the application's name."
        ),
        (
            f"It is kept as {kept}; older hashes are upgraded at sign-in, and no page or mail ever "
            "returns a password."
        ),
        "Sign-in answers alike, after equal work, for unknown, disabled and known accounts.",
        (
            f"Hashing may take {settings.memory} MiB; beyond {settings.waiting} waiting sign-ins people "
            "are told to come back."
        ),
    ]
    if settings.composition:
        kinds = ", ".join(SPOKEN[kind] for kind in settings.composition)
        sentences.insert(1, f"It must contain {kinds}.")
    return sentences


CONTROL = Control(
    name="passwords",
    title="Passwords",
    settings=Settings,
    statement=_statement,
    reasons=(WRONG, WEAK, BUSY),
    probes=probes.PROBES,
    sabotages=probes.SABOTAGES,
    conflicts=_conflicts,
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
        "C-02",
        "C-03",
        "C-04",
        "C-27",
    ),
    asvs=("6.2.1", "6.2.3", "6.2.4", "6.2.5", "6.2.8", "6.2.9", "6.3.8", "11.4.2"),
)
