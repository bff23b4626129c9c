"""What an attacker tries first: lists of leaked passwords and their obvious variants, the account's own
words, rows of keys, repetitions; and how many guesses a password would take.

Offline, and bounded in time whatever is typed: an estimate that takes longer for longer text is asked
about its beginning alone (CVE-2021-45115).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

GUESSES: Final = 100_000
"""What an attacker tries first: a password that falls within so many guesses is refused."""
_LOOKED_AT: Final = 24
"""Characters whose guessability is estimated: the estimate grows faster than the text, and the
weakest 24 characters are weak enough."""
_MEASURED: Final = 40
"""Characters that the strength meter looks at: what is strong so far does not get weaker."""
_SPELT: Final = 64
"""Characters up to which a password is compared as if it were one of a list in other spelling."""
_WORDS: Final = 40
"""Words about an account that are looked for at most, of 64 characters each."""

_LEET: Final = "4@8({[<369&#0$5+7%2/1!|"
_MOST_LEET: Final = 8
"""Different signs that stand for letters: beyond these the estimate tries every combination of readings,
which took a second (measured), and no common password has them."""
_LETTERS: Final = {
    "4": "a", "@": "a", "8": "b", "(": "c", "{": "c", "[": "c", "<": "c", "3": "e", "6": "g", "9": "g",
    "&": "g", "#": "h", "0": "o", "$": "s", "5": "s", "+": "t", "7": "t", "%": "x", "2": "z", "/": "l",
}  # fmt: skip
_READINGS: Final = tuple(str.maketrans({**_LETTERS, **dict.fromkeys("1!|", letter)}) for letter in ("i", "l"))
_END: Final = re.compile(r"[\W\d_]{1,6}$")
_START: Final = re.compile(r"^[\W\d_]{1,6}")
_SIGNS: Final = re.compile(r"[\W_]+")
_PART: Final = re.compile(r"[^\W_]{3,}")


@lru_cache(maxsize=1)
def common() -> frozenset[str]:
    """The 30,000 most common leaked passwords, in lower case (NIST SP 800-63B-4 3.1.1.2: a blocklist)."""
    from zxcvbn.frequency_lists import FREQUENCY_LISTS

    return frozenset(FREQUENCY_LISTS["passwords"])


@lru_cache(maxsize=1)
def _known() -> frozenset[str]:
    """The same and what the lists of passwords begin with as well: names, and the 10,000 most used words."""
    from zxcvbn.frequency_lists import FREQUENCY_LISTS

    names = (name for of in ("male_names", "female_names", "surnames") for name in FREQUENCY_LISTS[of])
    return common().union(names, FREQUENCY_LISTS["english_wikipedia"][:10_000])


def listed(password: str) -> bool:
    """Whether the whole password is one of the list, or an obvious variant of one: other case, signs for
    letters, spaces or dots between them, up to six digits and signs before or after, the same again."""
    text = _repeated(password).casefold()
    return len(text) <= _SPELT and not _known().isdisjoint(_spellings(text))


def _repeated(text: str) -> str:
    """What the text repeats, or all of it."""
    return text[: (text * 2).index(text, 1)] if text else text


def _spellings(text: str) -> Iterator[str]:
    """What an attacker's rules would make the text from. Of three letters nothing is made: too much is."""
    yield text
    for whole in (text, _SIGNS.sub("", text)):
        shorter = {whole, _END.sub("", whole), _START.sub("", whole), _START.sub("", _END.sub("", whole))}
        for each in shorter:
            for form in (each, *(each.translate(reading) for reading in _READINGS)):
                if len(form) > 3:
                    yield form


def about(context: Iterable[str]) -> list[str]:
    """The words that an attacker would try for this account, in lower case, the longest first: what is
    given (address, name, the site's name), and its parts of three characters and more."""
    found: dict[str, None] = {}
    for given in context:
        folded = given.casefold()[:254]
        for word in (folded, folded.partition("@")[0], *_PART.findall(folded)):
            if len(word) > 2:
                found.setdefault(word[:64])
    return sorted(list(found)[:_WORDS], key=len, reverse=True)


def personal(password: str, words: Iterable[str]) -> bool:
    """Whether the password is made of these words and hardly anything else: two letters and six
    characters more at most, as in a name with this year's number."""
    folded, words = password.casefold()[: _SPELT * 2], list(words)
    for form in (folded, *(folded.translate(reading) for reading in _READINGS)):
        for word in words:
            form = form.replace(word, "\0" * len(word))  # noqa: PLW2901 - what is left of it
        # What is left as it was typed: a year must not be read as letters.
        left = [typed for typed, read in zip(folded, form, strict=True) if read != "\0"]
        if len(left) < len(folded) and len(left) <= 6 and sum(map(str.isalpha, left)) <= 2:
            return True
    return False


def guessed(password: str, words: Iterable[str] = ()) -> bool:
    """Whether an attacker's first guesses hold the password: few of 15 characters are on a list, but
    123456789012345, qwertyuiopasdfg and passwordpassword are among the first tried."""
    if not password:
        return False
    return int(_estimate(_repeated(password)[:_LOOKED_AT], words)["guesses"]) < GUESSES


def _estimate(text: str, words: Iterable[str]) -> dict[str, Any]:
    from zxcvbn import zxcvbn

    if len(set(text).intersection(_LEET)) > _MOST_LEET:
        text = text.translate(_READINGS[0])
    found: dict[str, Any] = zxcvbn(text, user_inputs=list(words))
    return found


SPOKEN: Final = ("Very weak", "Weak", "Fair", "Good", "Strong")
"""What each score is called."""


@dataclass(frozen=True, slots=True)
class Strength:
    """How long a password would hold: 0 to 4 (fewer than 10^3, 10^6, 10^8, 10^10 guesses, or more), and
    what would make it better. The advice never repeats a part of the password."""

    score: int
    advice: tuple[str, ...] = ()

    @property
    def label(self) -> str:
        return SPOKEN[self.score]


def strength(password: str, words: Iterable[str] = ()) -> Strength:
    """An estimate of a password's strength, of its first 40 characters."""
    if not password:
        return Strength(0)
    piece = _repeated(password[:_MEASURED])
    found = _estimate(piece, words)
    said = [found["feedback"]["warning"], *found["feedback"]["suggestions"]]
    advice = dict.fromkeys(text for text in said if text)
    if len(piece) < len(password) and len(piece) <= len(password[:_MEASURED]) // 2:
        advice = dict.fromkeys(["The same again is no harder to guess.", *advice])
    return Strength(found["score"], tuple(advice)[:3])
