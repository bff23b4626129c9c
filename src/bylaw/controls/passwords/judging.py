"""What a password must be: long, and not among the first that an attacker would try."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from bylaw.controls.passwords import guessing
from bylaw.controls.passwords.guessing import Strength

if TYPE_CHECKING:
    from bylaw.controls.passwords import Settings

SPECIAL: Final = frozenset("!@#$%^&*()_-+=[]{}; '\",.<>?/\\|`~")
"""What S1-008 calls special: the space is, the colon is not."""
LIST: Final = 2
"""The edition of the list and of what is called a variant of it: passwords that were judged by an earlier
one are judged again when their owner signs in."""
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


def faults(
    settings: Settings, password: str, *, context: Iterable[str] = (), second: bool = False
) -> list[str]:
    """What is wrong with a new password, in words.

    `context` are words that an attacker would try for this account: its address and name, the site's name.
    `second` says that the account has a second factor.
    """
    text = hashable(settings, password)
    if text is None:
        return [f"at most {settings.max_length} characters, none of them NUL"]
    least = settings.least(second=second)
    found = [] if len(text) >= least else [f"at least {least} characters"]
    found += [SPOKEN[kind] for kind in settings.composition if not any(map(_BELONGS[kind], text))]
    words = guessing.about(context)
    if guessing.personal(text, words):
        found.append("one that is not made of your address, your name or the name of this site")
    elif text and (guessing.listed(text) or guessing.guessed(text, words)):
        found.append("one that is not among the first that an attacker would try")
    return found


def strength(settings: Settings, password: str, *, context: Iterable[str] = ()) -> Strength:
    """How long a password would hold, for whoever is about to choose it. Of what cannot be a password: 0."""
    text = hashable(settings, password)
    return Strength(0) if text is None else guessing.strength(text, guessing.about(context))


def rules(settings: Settings, *, second: bool) -> str:
    """What a password that is set now is judged by: kept beside its hash, so that tighter rules find it.

    These are the rules, never the password's own length: a copy of the table must not say which hashes are
    worth an attacker's while.
    """
    kinds = ",".join(sorted(settings.composition)) or "-"
    return f"v1 length={settings.least(second=second)} kinds={kinds} list={LIST}"


_RULES: Final = re.compile(r"v1 length=(\d{1,4}) kinds=(-|[a-z,]{1,40}) list=(\d{1,4})")


def uncovered(settings: Settings, judged_by: str, *, second: bool) -> list[str]:
    """Which of today's rules a password was not judged by: `length`, `kinds`, `list`, or `any` where
    nobody knows of any."""
    known = _RULES.fullmatch(judged_by)
    if known is None:
        return ["any"]
    kinds = set(known[2].split(","))
    today = {
        "length": int(known[1]) >= settings.least(second=second),
        "kinds": kinds.issuperset(settings.composition),
        "list": int(known[3]) >= LIST,
    }
    return [name for name, kept in today.items() if not kept]
