"""API keys as text: `bylaw_key_<id>_<secret><checksum>`.

The prefix is what secret scanners look for; the checksum lets them, and us, tell a key from what only looks
like one without asking a database. The id is no secret: it names a key that was found somewhere.
"""

from __future__ import annotations

import re
import zlib
from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote

from bylaw.keys import digest
from bylaw.ports import Entropy

PREFIX: Final = "bylaw_key_"
_ALPHABET: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_ID, _SECRET, _CHECK = 11, 43, 6
"""Letters that 64 bits, 256 bits and a CRC-32 take in base 62."""
_KEY: Final = re.compile(rf"{PREFIX}([0-9A-Za-z]{{{_ID}}})_[0-9A-Za-z]{{{_SECRET + _CHECK}}}")


@dataclass(frozen=True, slots=True)
class Minted:
    """A new key: its id, by which it is spoken of, and the whole text, which is kept nowhere."""

    id: str
    text: str

    def __repr__(self) -> str:
        return f"Minted({self.id})"


def mint(entropy: Entropy) -> Minted:
    """A key of 256 random bits."""
    name = _written(entropy(8), _ID)
    body = f"{PREFIX}{name}_{_written(entropy(32), _SECRET)}"
    return Minted(name, body + _check(body))


def well_formed(text: str) -> bool:
    """Whether it could be a key: form and checksum are right. Whether it is one, the database says."""
    return _KEY.fullmatch(text) is not None and text[-_CHECK:] == _check(text[:-_CHECK])


def kept(environment: str, text: str) -> str:
    """What is stored of a key: a digest of it and of the environment, so that a copy of development's table
    opens nothing in production. Keys are looked up by it alone: no comparison of secrets takes its time."""
    return digest(f"{environment} {text}")


def within(query: str) -> bool:
    """Whether something in an address looks like a key, however it is encoded."""
    return PREFIX in query or ("%" in query and PREFIX in unquote(unquote(query)))


def _check(body: str) -> str:
    return _written(zlib.crc32(body.encode()).to_bytes(4, "big"), _CHECK)


def _written(number: bytes, length: int) -> str:
    """A number in base 62, always as long."""
    left, letters = int.from_bytes(number, "big"), []
    for _ in range(length):
        left, digit = divmod(left, 62)
        letters.append(_ALPHABET[digit])
    return "".join(reversed(letters))
