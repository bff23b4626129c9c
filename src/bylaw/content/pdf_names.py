"""The names that a PDF may not hold where they mean something: as the kind of an action, as a key.

Each name is judged with what stands around it, white space and comments left out (ISO 32000-1, 7.2.3), since
the same word in a text or an address means nothing. Where these go on for longer than anybody writes, the
name counts as what it could be: otherwise a kilobyte of spaces would hide it. Of a name that is spelt with
`#xx` (7.3.5) letters and digits alone are read: any other character ends no comment and makes no name here.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from types import MappingProxyType
from typing import Final

from bylaw.content.faults import Hostile

AROUND: Final = 1024
"""Bytes that are looked at before and behind a name."""
_LINES: Final = 16
"""Comments that are looked past."""
WHITE: Final = b"\0\t\n\f\r "
_WHITE: Final = rb"[\0\t\n\f\r ]"
ENDED: Final = rb"(?=[\0\t\n\f\r ()<>\[\]{}/%])"
SPACE: Final = rb"(?:[\0\t\n\f\r ]++|%[^\r\n]*+[\r\n])"
_ON_AND_ON: Final = rb"(?:%[^\r\n]*)?\Z"
_REFERENCE: Final = b"[0-9]++(?:%b++[0-9]++)?%b*+(?:R|%b)" % (SPACE, SPACE, _ON_AND_ON)
"""Another object (7.3.10), as far as it can be seen."""
_SPELT: Final = re.compile(rb"#(3[0-9]|[46][1-9A-Fa-f]|[57][0-9Aa])")

_Form = Callable[[bytes, int, int], bool]
"""Whether a name from one place to another in a window means what it may not."""


def _key(holds: bytes) -> _Form:
    """A dictionary's key, by what its value begins with."""
    value = re.compile(b"%b*+(?:%b|%b)" % (SPACE, holds, _ON_AND_ON))
    return lambda window, _, end: value.match(window, end, end + AROUND) is not None


def _value_of(key: bytes) -> _Form:
    """The value of a key: white space and comments alone are between them."""
    commented = re.compile(b"%b%b*%%" % (key, _WHITE))

    def follows(window: bytes, start: int, _: int) -> bool:
        before = window[max(0, start - AROUND) : start]
        for _ in range(_LINES):
            solid = before.rstrip(WHITE)
            if solid.endswith(key):
                return True
            gap = before[len(solid) :]
            if b"\r" not in gap and b"\n" not in gap:
                return not solid  # what stands there is no comment, since those end with their line
            line = solid[max(solid.rfind(b"\r"), solid.rfind(b"\n")) + 1 :]
            if commented.search(line):
                return True
            if not line.lstrip(WHITE).startswith(b"%"):
                return len(line) == len(solid)  # the comment may have begun before
            before = solid[: -len(line)]
        return True

    return follows


_ACTION: Final = _value_of(b"/S")
_PART: Final = b"(?:<<|%b)" % _REFERENCE
_FORBIDDEN: Final = MappingProxyType(
    {
        b"/JavaScript": ("active", "JavaScript", _ACTION),
        b"/Launch": ("active", "An action that starts a program", _ACTION),
        b"/SubmitForm": ("active", "An action that sends what a form holds", _ACTION),
        b"/ImportData": ("active", "An action that takes in data", _ACTION),
        b"/Rendition": ("active", "Media that can hold scripts", _ACTION),
        b"/S": ("active", "An action whose kind stands elsewhere", _key(_REFERENCE)),
        b"/Subtype": ("active", "Something whose kind stands elsewhere", _key(_REFERENCE)),
        b"/RichMedia": ("active", "Media that can hold scripts", _value_of(b"/Subtype")),
        b"/OnInstantiate": ("active", "A model with scripts", _key(_PART)),
        b"/XFA": ("active", "A form with scripts (XFA)", _key(rb"(?:\[|\(|%b)" % _REFERENCE)),
        b"/GoToE": ("external", "An action that opens another file", _ACTION),
        b"/GoToR": ("external", "An action that opens another file", _ACTION),
        b"/Thread": ("external", "An action that opens another file", _ACTION),
        b"/Movie": ("external", "A film from another file", _value_of(b"/Subtype")),
        b"/EF": ("embedded", "An embedded file", _key(_PART)),
        b"/EmbeddedFiles": ("embedded", "A list of embedded files", _key(_PART)),
        b"/Encrypt": ("encrypted", "Encryption", _key(_PART)),
    }
)
"""Fault, what was found, and the form in which it is that."""
OBJECTS: Final = b"/ObjStm"
_MOST: Final = 500_000
"""Names that are judged: an ordinary file has a handful, and each costs a second look."""
_KINDS: Final = (b"/S", b"/Subtype")
_WORDS: Final = re.compile(
    b"/(?:(?:%b)%b|S(?:ubtype)?(?=%b*(?:%%|[0-9])))"
    % (b"|".join(word[1:] for word in (*_FORBIDDEN, OBJECTS) if word not in _KINDS), ENDED, _WHITE)
)
"""The two most frequent ones only where something else than a name follows."""


def plain(data: bytes) -> bytes:
    """Names without their `#xx`."""
    return _SPELT.sub(lambda found: bytes((int(found[1], 16),)), data) if b"#" in data else data


class Names:
    """Those of a stream of bytes that comes block by block: each is judged once, with all that is around
    it.
    """

    def __init__(self) -> None:
        self._carried = b""
        self._begin = 0
        self._judged = 0
        self.objects = 0
        """How often something says that it holds packed objects."""

    def take(self, block: bytes) -> None:
        """The next bytes. Raises Hostile."""
        self._take(plain(self._carried + block), AROUND)

    def end(self) -> None:
        """There are no more. Raises Hostile."""
        self._take(self._carried + b" ", 0)

    def _take(self, window: bytes, kept_back: int) -> None:
        until = max(len(window) - kept_back, self._begin)
        for found in _WORDS.finditer(window, self._begin):
            if found.start() >= until:
                break
            self._judge(window, found)
        kept = max(0, until - AROUND)
        self._carried, self._begin = window[kept:], until - kept

    def _judge(self, window: bytes, found: re.Match[bytes]) -> None:
        if found[0] == OBJECTS:
            self.objects += 1
            return
        self._judged += 1
        if self._judged > _MOST:
            raise Hostile("unreadable", f"It has more than {_MOST:,} names that could be an action's.")
        code, what, means = _FORBIDDEN[found[0]]
        if means(window, found.start(), found.end()):
            raise Hostile(code, f"{what} is in it.")
