"""JPEG: every marker from SOI to EOI, and nothing behind it (ITU-T T.81, annex B; JFIF; CIPA DC-007 for
several in one).

The pictures that a camera appends by the Multi-Picture Format (a preview, a gain map of high dynamic range)
are JPEGs that are walked like the first, and lines of text that it appends are read (`sef`); a film behind a
photograph, or an archive, is not. Segments and
scans are counted: thousands of either keep a decoder busy for a file of a few kilobytes. Comments hold no
markup. What it does not do: the coded samples themselves are not decoded; re-encoding does that.
"""

from __future__ import annotations

import re
import struct
from typing import BinaryIO, Final

from bylaw.content import sef
from bylaw.content.faults import Hostile
from bylaw.content.limits import Facts, Limits
from bylaw.content.polyglot import refuse_active, refuse_two_kinds
from bylaw.content.reading import BLOCK, Reader

_SOI, _EOI, _SOS, _APP0, _APP2, _COMMENT = 0xD8, 0xD9, 0xDA, 0xE0, 0xE2, 0xFE
_FRAMES: Final = frozenset((0xC0, 0xC1, 0xC2))
"""Baseline, extended and progressive, by Huffman: what every decoder has. Not lossless, hierarchical,
arithmetic.
"""
_TABLES: Final = frozenset((0xC4, 0xDB, 0xDD))
_SEGMENTS: Final = 1_000
_SCANS: Final = 100
_PICTURES: Final = 16
_MARKER: Final = re.compile(rb"\xff+[^\x00\xd0-\xd7\xff]", re.DOTALL)
"""In coded samples 0xFF stands before 0x00 or a restart; anything else there is a marker (B.1.1.5)."""


class _Walk:
    """What was seen of one picture."""

    def __init__(self, reader: Reader, limits: Limits, metadata: int) -> None:
        self._reader = reader
        self._limits = limits
        self.metadata = metadata
        self.width = self.height = 0
        self.several = False

    def to_the_end(self) -> None:
        """From SOI to EOI. Raises Hostile."""
        if self._reader.exactly(2) != b"\xff\xd8":
            raise Hostile("unreadable", "It does not begin as a JPEG does.")
        scans = 0
        for number in range(_SEGMENTS):
            code = self._marker()
            if code == _EOI:
                if not scans:
                    raise Hostile("truncated", "It has no pixels.")
                return
            data = self._segment(code, first=number == 0)
            if code == _SOS:
                scans += 1
                if not self.width or scans > _SCANS:
                    raise Hostile("unreadable", "Its scans are too many, or come before its size.")
                self._samples()
            else:
                self._judge(code, data)
        raise Hostile("unreadable", f"It has more than {_SEGMENTS:,} segments.")

    def _marker(self) -> int:
        reader = self._reader
        if reader.exactly(1) != b"\xff":
            raise Hostile("unreadable", f"There is no marker at byte {reader.at - 1:,}.")
        for _ in range(BLOCK):  # fill bytes may stand before any marker (B.1.1.2)
            if (code := reader.exactly(1)[0]) != 0xFF:
                return code
        raise Hostile("unreadable", "It is filled up for no reason.")

    def _segment(self, code: int, *, first: bool) -> bytes:
        if code < 0xC0 or code == _SOI or 0xD0 <= code <= 0xD7:
            raise Hostile("unreadable", f"A marker {code:#04x} stands where none can.")
        length = self._reader.exactly(2)
        size = int.from_bytes(length)
        if size < 2 or (
            first and length == b"/*"
        ):  # a first segment of "/*" bytes is a script's comment, too
            raise Hostile("unreadable", "A segment has no length.")
        return self._reader.exactly(size - 2)

    def _judge(self, code: int, data: bytes) -> None:
        if 0xC0 <= code <= 0xCF and code not in _TABLES:
            self._size(code, data)
        elif 0xE0 <= code <= 0xEF or code == _COMMENT:
            self._describe(code, data)

    def _size(self, code: int, data: bytes) -> None:
        """SOF: once, of a form that every decoder has, within the limit (B.2.2)."""
        if code not in _FRAMES or self.width or len(data) < 6:
            raise Hostile("unreadable", "Its pixels are coded in a way that browsers do not read.")
        depth, self.height, self.width, components = struct.unpack(">BHHB", data[:6])
        if depth != 8 or not self.width or not self.height or components not in (1, 3, 4):
            raise Hostile("unreadable", "Its header names no form of pixels that browsers read.")
        if len(data) != 6 + 3 * components:
            raise Hostile("unreadable", "Its header is not as long as it says.")
        if self.width * self.height > self._limits.pixels:
            found = f"It says {self.width * self.height:,}; {self._limits.pixels:,} are accepted."
            raise Hostile("too_many_pixels", found)

    def _describe(self, code: int, data: bytes) -> None:
        self.metadata += len(data)
        if self.metadata > self._limits.metadata:
            raise Hostile("too_much_metadata", f"More than {self._limits.metadata:,} bytes.")
        refuse_active(data, "its comments")
        if (
            code == _APP0
            and data[:5] == b"JFIF\0"
            and (len(data) < 14 or len(data) != 14 + 3 * data[12] * data[13])
        ):
            raise Hostile("unreadable", "Its JFIF header is not as long as it says.")
        if code == _APP2 and data[:4] == b"MPF\0":
            self.several = True

    def _samples(self) -> None:
        """To the next marker. Raises Hostile("truncated")."""
        reader = self._reader
        while True:
            at, block = reader.at, reader.upto(BLOCK)
            if found := _MARKER.search(block):
                reader.seek(at + found.start())
                return
            if not reader.left:
                raise Hostile("truncated", "Its end is missing.")
            if block.endswith(b"\xff"):
                reader.seek(reader.at - 1)


def check(stream: BinaryIO, limits: Limits) -> Facts:
    """Walk it, and the pictures that its maker appended. Raises Hostile."""
    reader = Reader(stream)
    refuse_two_kinds(reader)
    reader.seek(0)
    first = walk = _Walk(reader, limits, 0)
    first.to_the_end()
    for _ in range(_PICTURES):
        if not first.several or not _picture_follows(reader):
            break
        walk = _Walk(reader, limits, walk.metadata)
        walk.to_the_end()
    sef.skip(reader)
    reader.ended(exact=limits.exact_ends)
    return Facts(first.width, first.height)


def _picture_follows(reader: Reader) -> bool:
    """Whether another begins here, or behind a filling of zeros; if so the reader stands before it."""
    at = reader.at
    ahead = reader.upto(BLOCK)
    zeros = len(ahead) - len(ahead.lstrip(b"\0"))
    reader.seek(at + zeros if ahead[zeros : zeros + 2] == b"\xff\xd8" else at)
    return reader.at != at or ahead[:2] == b"\xff\xd8"
