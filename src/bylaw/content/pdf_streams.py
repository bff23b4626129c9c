"""The bytes of a PDF from one end to the other, and those that lie packed in its object streams (7.5.7).

An object stream is told by what its dictionary says or by how its content begins. It is unpacked where it is
deflated and nothing more, as every producer has it; any other way to pack objects is refused, and so is a
dictionary that holds what could be taken for the beginning of another stream.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator
from typing import Final

from bylaw.content.faults import Hostile
from bylaw.content.limits import Limits
from bylaw.content.pdf_names import AROUND, ENDED, OBJECTS, SPACE, WHITE, Names, plain
from bylaw.content.reading import BLOCK, Reader

_STREAM: Final = re.compile(rb"stream(?<=[>\0\t\n\f\r ]stream)[^\r\n]{0,200}+(\r\n?|\n)?")
"""Readers go on to the end of the line, whatever stands in it (7.3.8.1 has it stricter)."""
_HEAD: Final = 512
_MOST: Final = 200_000
"""Streams that are looked at: the smallest is sixty bytes long."""
_NUMBER: Final = rb"[-+0-9]++(?:\.0*+)?(?:%b++|\Z)" % SPACE
_NUMBERS: Final = re.compile(rb"%b*+(?:\Z|%%|%b(?:\Z|%b))" % (SPACE, _NUMBER, _NUMBER))
"""An object stream begins with the numbers and places of its objects, whatever its dictionary says; or with
so much that means nothing that these may follow.
"""
_OBJECTS: Final = re.compile(b"(%b)%b|/First%b++[0-9]++%b*+(?![0-9])" % (OBJECTS, ENDED, SPACE, SPACE))
"""What only the dictionary of an object stream has. Readers ask for the second alone."""
_FILTER: Final = re.compile(b"/Filter%b" % ENDED)
_DEFLATED: Final = re.compile(
    b"%b*+(?:/FlateDecode%b|\\[%b*+/FlateDecode%b*+\\])" % (SPACE, ENDED, SPACE, SPACE)
)
_PARAMETERS: Final = (b"/DecodeParms", b"/DP", b"/Predictor")


class Scan:
    """Looks at everything, once."""

    def __init__(self, reader: Reader, limits: Limits) -> None:
        self._reader = reader
        self._limits = limits
        self._names = Names()
        self._seen = self._objects = 0
        self._last = 0
        """Where the content of the last stream began."""
        self.unpacked = 0

    def everything(self) -> None:
        """Raises Hostile."""
        window, at, begin = b"", 0, 0
        while block := self._block(at + len(window)):
            self._names.take(block)
            window += block
            begin = self._streams(window, at, begin, len(window) - AROUND)
            kept = max(0, len(window) - 2 * AROUND)
            window, at, begin = window[kept:], at + kept, begin - kept
        self._streams(window, at, begin, len(window))
        self._names.end()
        if self._names.objects != self._objects:
            raise Hostile("unreadable", "Something says that it holds packed objects, and is no stream.")

    def _block(self, at: int) -> bytes:
        self._reader.seek(at)
        return self._reader.upto(4 * BLOCK)

    def _streams(self, window: bytes, at: int, begin: int, until: int) -> int:
        """Those between two places of a window that lies at `at`; where to go on."""
        for found in _STREAM.finditer(window, begin):
            if found.start() >= until:
                break
            self._stream(window, at, found)
            begin = found.end()
        return max(begin, until)

    def _stream(self, window: bytes, at: int, found: re.Match[bytes]) -> None:
        before = plain(window[max(self._last - at, found.start() - AROUND, 0) : found.start()])
        self._last = at + found.end()
        self._seen += 1
        if self._seen > _MOST:
            raise Hostile("unreadable", f"It has more than {_MOST:,} streams.")
        if not found[1]:
            if before.rstrip(WHITE).endswith(b">>"):
                raise Hostile("unreadable", "One of its streams does not begin as a stream does.")
            return  # a word of a text
        begins = _unpacked(window[found.end() : found.end() + _HEAD])
        if said := [*_OBJECTS.finditer(before)]:
            self._objects += sum(bool(each[1]) for each in said)
            _demand_deflated(before, said[0].start(), begins)
        elif begins is None or not _NUMBERS.match(begins):
            return
        if begins is not None:
            self._look_into(self._last)

    def _look_into(self, at: int) -> None:
        names = Names()
        self._reader.seek(at)
        for block in self._inflated():
            names.take(block)
        names.end()

    def _inflated(self) -> Iterator[bytes]:
        """The stream here, unpacked; what is damaged ends it, as it does for a reader."""
        inflate, packed = zlib.decompressobj(), b""
        while not inflate.eof and (packed := packed or self._reader.upto(BLOCK)):
            try:
                block = inflate.decompress(packed, 4 * BLOCK)
            except zlib.error:
                return
            packed = inflate.unconsumed_tail
            self.unpacked += len(block)
            if self.unpacked > self._limits.unpacked // 4:
                raise Hostile(
                    "bomb", f"Its objects unpack to more than {self._limits.unpacked // 4:,} bytes."
                )
            yield block


def _unpacked(head: bytes) -> bytes | None:
    """How what begins so begins when it is unpacked; None where it is not deflated (RFC 1950, 2.2)."""
    if len(head) < 2 or head[0] & 0x0F != 8 or int.from_bytes(head[:2]) % 31:
        return None
    try:
        return zlib.decompressobj().decompress(head, _HEAD)
    except zlib.error:
        return None


def _demand_deflated(before: bytes, said: int, begins: bytes | None) -> None:
    """A dictionary that says it is an object stream's: deflated or as it is, with nothing between that word
    and the content in which another stream could seem to begin. Raises Hostile.
    """
    own = before[before.rfind(b"endobj") + 1 :]
    filters = [found.end() for found in _FILTER.finditer(own)]
    if filters:
        read = begins is not None and all(_DEFLATED.match(own, at) for at in filters)
    else:
        read = not _FILTER.search(before)
    if not read or any(word in own for word in _PARAMETERS) or any(c in before[said:] for c in (b"(", b"%")):
        raise Hostile("unreadable", "Its objects are packed in a way that is not read.")
