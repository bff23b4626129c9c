"""WebP: the RIFF container, every chunk of it, as long as the file (RFC 9649)."""

from __future__ import annotations

import struct
from typing import BinaryIO, Final

from bylaw.content.faults import Hostile
from bylaw.content.limits import Facts, Limits
from bylaw.content.polyglot import refuse_active, refuse_two_kinds
from bylaw.content.reading import Reader

_CHUNKS: Final = 10_000
_SIZES: Final = {b"VP8X": 10, b"ANIM": 6}
"""Of chunks that hold nothing but numbers."""
_HEAD: Final = 10
"""Bytes of a bitstream that hold its size."""


class _Container:
    def __init__(self, reader: Reader, limits: Limits) -> None:
        self._reader = reader
        self._limits = limits
        self._chunks = self._metadata = self._painted = 0
        self.canvas = (0, 0)
        self.frames = 0

    def walk(self, end: int, inside: tuple[int, int] | None = None) -> int:
        """The chunks up to `end`, of the file or of one frame of that size. Returns how many bitstreams there
        were.
        """
        found = 0
        while self._reader.at < end:
            self._chunks += 1
            kind, size = struct.unpack("<4sI", self._reader.exactly(8))
            follows = self._reader.at + size + (size & 1)
            if follows > end or self._chunks > _CHUNKS:
                raise Hostile("truncated" if follows > end else "unreadable", "Its chunks do not fit.")
            found += self._chunk(kind, size, inside)
            self._reader.seek(follows)
        return found

    def _chunk(self, kind: bytes, size: int, inside: tuple[int, int] | None) -> int:
        if kind in (b"VP8 ", b"VP8L"):
            self._bitstream(kind, size, inside)
            return 1
        if size != _SIZES.get(kind, size) or (kind == b"VP8X" and self._chunks > 1):
            raise Hostile("unreadable", f"Its chunk {kind.decode()} is out of place, or of another length.")
        if kind == b"VP8X":
            data = self._reader.exactly(10)
            self.canvas = (1 + int.from_bytes(data[4:7], "little"), 1 + int.from_bytes(data[7:10], "little"))
            self._paint(*self.canvas, 0)
        elif kind == b"ANMF" and inside is None and size >= 16:
            self._frame(size)
            return 1
        elif kind not in (b"ALPH", b"ANIM"):
            self._metadata += size
            if self._metadata > self._limits.metadata:
                raise Hostile("too_much_metadata", f"More than {self._limits.metadata:,} bytes.")
            refuse_active(self._reader.exactly(size), "its metadata")
        return 0

    def _frame(self, size: int) -> None:
        end = self._reader.at + size
        data = self._reader.exactly(16)
        x, y, wide, high = (int.from_bytes(data[at : at + 3], "little") for at in (0, 3, 6, 9))
        if 2 * x + wide + 1 > self.canvas[0] or 2 * y + high + 1 > self.canvas[1]:
            raise Hostile("unreadable", "A frame lies outside of the picture.")
        self.frames += 1
        if self.walk(end, (wide + 1, high + 1)) != 1:
            raise Hostile("unreadable", "A frame has no pixels.")
        self._paint(*self.canvas, 1)

    def _bitstream(self, kind: bytes, size: int, inside: tuple[int, int] | None) -> None:
        width, height = _size(kind, self._reader.exactly(min(size, _HEAD)))
        declared = inside or self.canvas
        if not width or not height or (declared != (0, 0) and declared != (width, height)):
            raise Hostile("lying", "It does not hold the size that it says.")
        if inside is None:
            self.canvas = (width, height)
            self._paint(width, height, 1)

    def _paint(self, width: int, height: int, times: int) -> None:
        self._painted += width * height * times
        if max(self._painted, width * height) > self._limits.pixels:
            raise Hostile("too_many_pixels", f"{self._limits.pixels:,} are accepted.")


def check(stream: BinaryIO, limits: Limits) -> Facts:
    """Walk its chunks; all frames count together. Raises Hostile."""
    reader = Reader(stream)
    refuse_two_kinds(reader)
    reader.seek(0)
    riff, size, form = struct.unpack("<4sI4s", reader.exactly(12))
    if (riff, form) != (b"RIFF", b"WEBP"):
        raise Hostile("disagrees", "It does not begin as a WebP picture does.")
    end = 8 + size + (size & 1)
    if end > reader.size:
        raise Hostile("truncated", f"{end - reader.size:,} bytes are missing at its end.")
    container = _Container(reader, limits)
    pictures = container.walk(end)
    if not pictures or (pictures > 1 and not container.frames):
        raise Hostile("unreadable", "It holds no picture, or several.")
    reader.ended(exact=limits.exact_ends)
    return Facts(*container.canvas, frames=max(1, container.frames))


def _size(kind: bytes, head: bytes) -> tuple[int, int]:
    """Width and height in the bitstream's own header (RFC 6386, 9.1; RFC 9649, 3.4)."""
    if kind == b"VP8 " and len(head) == _HEAD and head[3:6] == b"\x9d\x01\x2a":
        width, height = struct.unpack("<HH", head[6:])
        return width & 0x3FFF, height & 0x3FFF
    if kind == b"VP8L" and len(head) >= 5 and head[0] == 0x2F:
        bits = int.from_bytes(head[1:5], "little")
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    raise Hostile("unreadable", "Its pixels do not begin as they should.")
