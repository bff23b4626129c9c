"""What an access token looks like: `bylaw_pat_` and 128 random bits or more, in letters that nobody confuses.

The prefix and the checksum are for scanners of repositories and logs: they find a token by its look, and can
tell offline that it is one (as GitHub's are made). The alphabet is Crockford's base 32: no `i`, `l`, `o` or
`u`, one case, so that a token can be read from a card and typed on a phone. What people add while they type
(blanks, hyphens, capitals) names the same token and no other: none of it is part of what is random.
"""

from __future__ import annotations

import re
from typing import Final
from zlib import crc32

ALPHABET: Final = "0123456789abcdefghjkmnpqrstvwxyz"
CHECKED: Final = 6
"""Characters of the checksum: the lower 30 bits of the CRC-32 of all that stands before it."""
LONGEST: Final = 512
"""Characters of a text that are looked at."""
PRODUCTION: Final = "pat"
DEVELOPMENT: Final = "dev"
"""What stands after the prefix: a token of one environment can be told from another's by its look."""

_ALIKE: Final = str.maketrans("ilo", "110")
"""What is read or typed in the place of a character that it looks like (Crockford)."""
_BETWEEN: Final = re.compile(r"[\s\-\u2010-\u2015]+")
"""What people put between groups; phones make long dashes of hyphens."""
_GROUP: Final = 4


def head(prefix: str, *, production: bool) -> str:
    """What every token of an application begins with, in one environment."""
    return f"{prefix}_{PRODUCTION if production else DEVELOPMENT}_"


def make(beginning: str, random: bytes) -> str:
    """A token that begins with `head` and holds these random bytes."""
    length = -(-len(random) * 8 // 5)
    text = beginning + _digits(int.from_bytes(random), length)
    return text + _checksum(text)


def _digits(number: int, length: int) -> str:
    return "".join(ALPHABET[number >> 5 * place & 31] for place in reversed(range(length)))


def _checksum(text: str) -> str:
    return _digits(crc32(text.encode()) & (1 << 5 * CHECKED) - 1, CHECKED)


def valid(text: str) -> bool:
    """Whether a text has its own checksum at its end, which no other text has by chance."""
    return text.isascii() and len(text) > CHECKED and _checksum(text[:-CHECKED]) == text[-CHECKED:]


def read(beginning: str, text: str) -> str:
    """The one form of what was typed or pasted: a token of ours, with its head or without; anything else as
    it is, without what surrounds it (a value that somebody else made, such as ADMIN_TOKEN's first)."""
    text = text.strip()[:LONGEST]
    typed = _BETWEEN.sub("", text).lower()
    given, body = typed.startswith(beginning), typed.removeprefix(beginning).translate(_ALIKE)
    known = beginning + body
    if valid(known) and (given or len(body) > CHECKED) and set(body) <= set(ALPHABET):
        return known
    return text


def grouped(token: str) -> str:
    """A token as a card shows it: its head, and the rest in groups of four."""
    beginning, _, body = token.rpartition("_")
    groups = [body[at : at + _GROUP] for at in range(0, len(body), _GROUP)]
    return (f"{beginning}_ " if beginning else "") + "-".join(groups)


def pattern(prefix: str, *, random: int) -> str:
    """A regular expression by which scanners find the tokens of an application, of every environment."""
    length = -(-random * 8 // 5) + CHECKED
    return rf"\b{prefix}_({PRODUCTION}|{DEVELOPMENT})_[0-9a-hjkmnp-tv-z]{{{length}}}\b"
