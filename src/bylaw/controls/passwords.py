"""Passwords: long, not common, and stored so that a stolen table is worth little.

Threat: guessing, credential stuffing, a leaked table, a sign-in that tells who has an account
(CWE-521, CWE-916, CWE-204). Mechanism: length and a list of common passwords where a password is
set; Argon2id (or PBKDF2-SHA256), upgraded at sign-in; a hash is always computed, whether there is
an account or not; hashing has a memory budget of its own. Source: NIST SP 800-63B-4 3.1.1, OWASP
Password Storage, ASVS 5.0.0 6.2.
It does not slow down guessing over many requests (see rate limits), and no hash protects a password
that is on a list.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from functools import lru_cache
from typing import Final, Literal

from pydantic import Field

from bylaw import control, hashing
from bylaw.control import Below, Conflict, Control
from bylaw.house import House
from bylaw.policy import Policy
from bylaw.reasons import Reason, Refused

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
Kind = Literal["upper", "lower", "digit", "special"]
SPOKEN: Final = {"upper": "an upper-case letter", "lower": "a lower-case letter",
                 "digit": "a digit", "special": "a special character"}
_BELONGS: Final = {"upper": str.isupper, "lower": str.islower, "digit": str.isdigit,
                   "special": SPECIAL.__contains__}


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
            yield Below("min_length", str(self.min_length), "15 where a password is the only factor",
                        "NIST SP 800-63B-4 3.1.1.2")
        if self.composition:
            yield Below("composition", ", ".join(self.composition), "no composition rules",
                        "NIST SP 800-63B-4 3.1.1.2, ASVS 5.0.0 6.2.5")


def normal(password: str) -> str:
    """The password as it is compared: NFC, so that two keyboards mean the same (NIST 3.1.1.2)."""
    return unicodedata.normalize("NFC", password)


@lru_cache(maxsize=1)
def common() -> frozenset[str]:
    """The 30,000 most common leaked passwords, in lower case."""
    from zxcvbn.frequency_lists import FREQUENCY_LISTS

    return frozenset(FREQUENCY_LISTS["passwords"])


def faults(settings: Settings, password: str, *, context: Iterable[str] = ()) -> list[str]:
    """What is wrong with a new password, in words; `context` are words that may not be all of it."""
    found = []
    if len(password) < settings.min_length:
        found.append(f"at least {settings.min_length} characters")
    if len(password) > settings.max_length:
        return [f"at most {settings.max_length} characters"]
    for kind in settings.composition:
        if not any(_BELONGS[kind](character) for character in password):
            found.append(SPOKEN[kind])
    folded = password.casefold()
    if folded in common() or len(set(folded)) == 1:
        found.append("one that is not among the most common")
    elif any(word and folded == word.casefold() for word in context):
        found.append("one that is not your address or the name of this site")
    return found


def make(house: House, password: str, *, context: Iterable[str] = ()) -> str:
    """A hash of a new password. Raises Refused: weak, or no place to hash it now."""
    password = normal(password)
    wrong = faults(house.policy.of(Settings), password, context=context)
    if wrong:
        raise Refused(WEAK, fields={"password": f"Needed: {'; '.join(wrong)}."})
    return _pooled(house, house.scheme.make, password)


def check(house: House, stored: str | None, password: str) -> str | None:
    """Check a password against a stored hash, or against a decoy where there is none.

    Returns a stronger hash to store in its place, or None where the stored one will do. Raises
    Refused. Too long a password is refused without hashing, for everybody alike.
    """
    if len(password) > house.policy.of(Settings).max_length:
        raise Refused(WRONG)
    password = normal(password)
    return _pooled(house, _verify, house, stored, password)


def _verify(house: House, stored: str | None, password: str) -> str | None:
    """The work of a sign-in: one verification, whoever asks, and an upgrade where it is due."""
    right = hashing.verify(stored if stored is not None else house.decoy, password)
    if stored is None or not right:
        raise Refused(WRONG)
    return house.scheme.make(password) if house.scheme.outdated(stored) else None


def _pooled(house: House, work: object, *args: object) -> object:
    try:
        return house.hashes.run(work, *args)  # type: ignore[arg-type]
    except hashing.Busy as busy:
        raise Refused(BUSY, headers=(("Retry-After", str(busy.wait)),)) from None


def _conflicts(policy: Policy) -> Iterable[Conflict]:
    settings = policy.of(Settings)
    each = hashing.SCHEMES[settings.hash]().mebibytes
    if settings.memory < each:
        yield Conflict("passwords.memory", f"one hash takes {each} MiB", f"{each} or more")


def _statement(policy: Policy) -> list[str]:
    settings = policy.of(Settings)
    kept = {
        "argon2id": f"Argon2id (m={hashing.ARGON2_KIB // 1024} MiB, t={hashing.ARGON2_PASSES}, p=1)",
        "pbkdf2-sha256": f"PBKDF2-SHA256 ({hashing.PBKDF2_ROUNDS:,} rounds, Werkzeug's format)",
    }[settings.hash]
    sentences = [
        f"A password has {settings.min_length} to {settings.max_length} characters and is not among "
        "the 30,000 most common, nor the account's address or the application's name.",
        f"It is kept as {kept}; older hashes are upgraded at sign-in, and no page or mail ever "
        "returns a password.",
        "Sign-in answers alike, after equal work, for unknown, disabled and known accounts.",
        f"Hashing may take {settings.memory} MiB; beyond {settings.waiting} waiting sign-ins people "
        "are told to come back.",
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
    conflicts=_conflicts,
    requirements=("S1-004", "S1-009", "S1-010", "S1-011", "S3-002", "S3-005", "C-02", "C-03", "C-04"),
    asvs=("6.2.1", "6.2.4", "6.2.5", "6.2.8", "6.2.9", "6.3.8", "11.4.2"),
)
