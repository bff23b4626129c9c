"""PNG: every chunk with its length and CRC, in order, to IEND and no further (W3C PNG, third edition, 5 and
11).

The pixels are inflated and counted, not kept: a picture that declares 60,000 × 60,000 in ten kilobytes is
refused for what it declares (CVE-2012-3443), one that ends too early or carries more than its pixels for what
it is. Texts and profiles are inflated to a bound (CVE-2014-9601) and hold no markup. Frames of a moving PNG
count together.
"""

from __future__ import annotations

import struct
import zlib
from typing import BinaryIO, Final

from bylaw.content.faults import Hostile
from bylaw.content.limits import Facts, Limits
from bylaw.content.polyglot import refuse_active, refuse_two_kinds
from bylaw.content.reading import BLOCK, Reader

SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"
_DEPTHS: Final = {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}
_SAMPLES: Final = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
_ONCE_BEFORE_PIXELS: Final = frozenset(
    (
        b"PLTE",
        b"tRNS",
        b"acTL",
        b"iCCP",
        b"sRGB",
        b"gAMA",
        b"cHRM",
        b"sBIT",
        b"bKGD",
        b"hIST",
        b"pHYs",
        b"cICP",
    )
)
_ADAM7: Final = (
    (0, 0, 8, 8),
    (4, 0, 8, 8),
    (0, 4, 4, 8),
    (2, 0, 4, 4),
    (0, 2, 2, 4),
    (1, 0, 2, 2),
    (0, 1, 1, 2),
)
"""Of each pass: first column and row, and the steps between them (8.1)."""
_LONGEST: Final = 2**31 - 1
_CHUNKS: Final = 20_000


class _Header:
    """IHDR: what the pixels are."""

    def __init__(self, data: bytes) -> None:
        if len(data) != 13:
            raise Hostile("unreadable", "Its header is not 13 bytes long.")
        self.width, self.height, self.depth, self.colour, packing, filters, self.interlace = struct.unpack(
            ">IIBBBBB", data
        )
        if not 0 < self.width <= _LONGEST or not 0 < self.height <= _LONGEST:
            raise Hostile("unreadable", f"It says it is {self.width:,} × {self.height:,} pixels.")
        if self.depth not in _DEPTHS.get(self.colour, ()) or packing or filters or self.interlace > 1:
            raise Hostile("unreadable", "Its header names no form of pixels that there is.")

    def raw(self, width: int, height: int) -> int:
        """Bytes of a frame of this size, unpacked: a filter byte and the samples of every row."""
        if not self.interlace:
            return self._rows(width, height)
        return sum(
            self._rows(-(-max(width - x, 0) // right), -(-max(height - y, 0) // down))
            for x, y, right, down in _ADAM7
        )

    def _rows(self, width: int, height: int) -> int:
        return height * (1 + (width * self.depth * _SAMPLES[self.colour] + 7) // 8) if width else 0


class _Pixels:
    """The packed rows of one frame: inflated, counted against what the header says, and dropped."""

    def __init__(self, expected: int) -> None:
        self._expected = expected
        self._inflate = zlib.decompressobj()

    def take(self, data: bytes) -> None:
        """More of them. Raises Hostile."""
        while data:
            if self._inflate.eof:
                raise Hostile("hidden", "Something follows the pixels inside their chunk.")
            try:
                self._expected -= len(self._inflate.decompress(data, 4 * BLOCK))
            except zlib.error:
                raise Hostile("unreadable", "Its pixels do not unpack.") from None
            if self._expected < 0:
                raise Hostile("lying", "It holds more pixels than it says.")
            data = self._inflate.unconsumed_tail or self._inflate.unused_data

    def end(self) -> None:
        """No more of them. Raises Hostile."""
        if not self._inflate.eof or self._expected:
            raise Hostile("truncated", "Pixels are missing.")


class _Picture:
    """The chunks so far, and what may come next."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.header: _Header | None = None
        self.pixels: _Pixels | None = None
        self.seen: set[bytes] = set()
        self.last = b""
        self.metadata = 0
        self.painted = 0
        self.frames = self.declared = self.sequence = 0
        self.frame: _Pixels | None = None

    def place(self, kind: bytes) -> None:
        """Whether a chunk may stand here (5.6). Raises Hostile."""
        if (self.header is None) != (kind == b"IHDR"):
            raise Hostile("unreadable", "Its header is not its first chunk, or not its only one.")
        if kind in _ONCE_BEFORE_PIXELS and (self.pixels or kind in self.seen):
            raise Hostile("unreadable", f"Its chunk {kind.decode()} comes twice, or after the pixels.")
        if kind == b"IDAT" and self.pixels and self.last != b"IDAT":
            raise Hostile("unreadable", "Other chunks stand between its pixels.")
        if not kind[0] & 0x20 and kind not in (b"IHDR", b"PLTE", b"IDAT", b"IEND"):
            raise Hostile(
                "unreadable", f"A decoder would have to know the chunk {kind.decode()}, which PNG has not."
            )
        self.seen.add(kind)
        self.last = kind

    def paint(self, width: int, height: int) -> None:
        """Count the pixels of a frame. Raises Hostile("too_many_pixels")."""
        self.painted += width * height
        if self.painted > self.limits.pixels:
            raise Hostile(
                "too_many_pixels", f"It says {self.painted:,}; {self.limits.pixels:,} are accepted."
            )

    def begin(self, data: bytes) -> None:
        self.header = _Header(data)
        self.paint(self.header.width, self.header.height)

    def palette(self, size: int) -> None:
        """PLTE (11.2.2)."""
        header = self._header()
        most = 3 * 2**header.depth if header.colour == 3 else 768
        if header.colour in (0, 4) or size % 3 or not 0 < size <= most:
            raise Hostile("unreadable", "Its palette does not fit its pixels.")

    def take_pixels(self, data: bytes) -> None:
        """IDAT."""
        header = self._header()
        if self.pixels is None:
            if header.colour == 3 and b"PLTE" not in self.seen:
                raise Hostile("unreadable", "Its palette is missing.")
            self.pixels = _Pixels(header.raw(header.width, header.height))
        self.pixels.take(data)

    def control(self, data: bytes) -> None:
        """fcTL: a frame begins, within the picture."""
        header = self._header()
        if len(data) != 26 or b"acTL" not in self.seen:
            raise Hostile("unreadable", "A frame begins that was not announced.")
        number, width, height, x, y = struct.unpack(">IIIII", data[:20])
        self._next(number)
        if not width or not height or x + width > header.width or y + height > header.height:
            raise Hostile("unreadable", "A frame lies outside of the picture.")
        if self.pixels is None and (width, height) != (header.width, header.height):
            raise Hostile("unreadable", "Its first frame is not as large as the picture.")
        self.end_frame()
        self.frames += 1
        if self.pixels is not None:
            self.paint(width, height)
            self.frame = _Pixels(header.raw(width, height))

    def continue_frame(self, number: bytes) -> None:
        """fdAT begins with the number of its turn."""
        self._next(int.from_bytes(number))

    def take_frame(self, data: bytes) -> None:
        """fdAT: pixels of a later frame."""
        if self.frame is None:
            raise Hostile("unreadable", "Pixels of a frame come before it.")
        self.frame.take(data)

    def end_frame(self) -> None:
        if self.frame is not None:
            self.frame.end()
        self.frame = None

    def end(self) -> Facts:
        """IEND: the picture is whole, and so is each frame. Raises Hostile."""
        header = self._header()
        if self.pixels is None:
            raise Hostile("truncated", "It has no pixels.")
        self.pixels.end()
        self.end_frame()
        if self.frames != self.declared:
            raise Hostile("lying", f"It says it has {self.declared:,} frames, and has {self.frames:,}.")
        return Facts(header.width, header.height, frames=max(1, self.frames))

    def describe(self, kind: bytes, data: bytes) -> None:
        """Whatever is no picture: counted, unpacked to a bound, and free of markup. Raises Hostile."""
        packed = _packed_part(kind, data)
        plain = data
        if packed is not None:
            plain = _inflated(packed, self.limits.metadata - self.metadata)
        self.add_metadata(len(plain))
        refuse_active(
            plain if packed is None else data[: -len(packed) or None] + plain, f"its {kind.decode()}"
        )

    def add_metadata(self, size: int) -> None:
        """Count what stands beside the pixels. Raises Hostile("too_much_metadata")."""
        self.metadata += size
        if self.metadata > self.limits.metadata:
            raise Hostile("too_much_metadata", f"More than {self.limits.metadata:,} bytes.")

    def _next(self, number: int) -> None:
        if number != self.sequence:
            raise Hostile("unreadable", "Its frames are out of order.")
        self.sequence += 1

    def _header(self) -> _Header:
        if self.header is None:
            raise Hostile("unreadable", "Its header is missing.")
        return self.header


def check(stream: BinaryIO, limits: Limits) -> Facts:
    """Walk it from the signature to IEND. Raises Hostile."""
    reader = Reader(stream)
    refuse_two_kinds(reader)
    reader.seek(0)
    if reader.exactly(8) != SIGNATURE:
        raise Hostile("disagrees", "It does not begin as a PNG does.")
    picture = _Picture(limits)
    for _ in range(_CHUNKS):
        length, kind = struct.unpack(">I4s", reader.exactly(8))
        if length > _LONGEST or not kind.isalpha() or kind[2] & 0x20 or (kind == b"fdAT" and length < 4):
            raise Hostile("unreadable", f"There is no chunk at byte {reader.at - 8:,}.")
        if length + 4 > reader.left:
            raise Hostile("truncated", f"Its chunk {kind.decode()} goes on beyond its end.")
        picture.place(kind)
        _take(picture, reader, kind, length)
        if kind == b"IEND":
            facts = picture.end()
            reader.ended(exact=True)
            return facts
    raise Hostile("unreadable", f"It has more than {_CHUNKS:,} chunks.")


def _take(picture: _Picture, reader: Reader, kind: bytes, length: int) -> None:
    """One chunk: its data to whom it concerns, its CRC looked at."""
    crc = zlib.crc32(kind)
    if kind == b"fdAT":
        number = reader.exactly(4)
        crc, length = zlib.crc32(number, crc), length - 4
        picture.continue_frame(number)
    if kind in (b"IDAT", b"fdAT"):
        for block in reader.blocks(length):
            crc = zlib.crc32(block, crc)
            (picture.take_pixels if kind == b"IDAT" else picture.take_frame)(block)
    else:
        if length > picture.limits.metadata:
            picture.add_metadata(length)  # refuses, before it is read
        data = reader.exactly(length)
        crc = zlib.crc32(data, crc)
        _dispatch(picture, kind, data)
    if struct.pack(">I", crc) != reader.exactly(4):
        raise Hostile("unreadable", f"The checksum of its chunk {kind.decode()} is wrong.")


def _dispatch(picture: _Picture, kind: bytes, data: bytes) -> None:
    match kind:
        case b"IHDR":
            picture.begin(data)
        case b"PLTE":
            picture.palette(len(data))
        case b"IEND":
            if data:
                raise Hostile("hidden", "Its last chunk holds something.")
        case b"acTL":
            picture.declared = struct.unpack(">I", data[:4])[0] if len(data) == 8 else -1
        case b"fcTL":
            picture.control(data)
        case _:
            picture.describe(kind, data)


def _packed_part(kind: bytes, data: bytes) -> bytes | None:
    """The deflated part of a text or a profile (11.3.2.3, 11.3.3); None where nothing is deflated."""
    keyword, zero, rest = data.partition(b"\0")
    if kind not in (b"zTXt", b"iTXt", b"iCCP"):
        return None
    if not zero or not 0 < len(keyword) < 80 or len(rest) < 2:
        raise Hostile("unreadable", f"Its chunk {kind.decode()} has no name.")
    if kind != b"iTXt":
        return rest[1:]
    return rest[2:].split(b"\0", 2)[-1] if rest[0] else None


def _inflated(data: bytes, most: int) -> bytes:
    inflate = zlib.decompressobj()
    try:
        plain = inflate.decompress(data, max(most, 0) + 1)
    except zlib.error:
        raise Hostile("unreadable", "One of its texts does not unpack.") from None
    if len(plain) > most:
        raise Hostile("too_much_metadata", "One of its texts unpacks to more than is accepted.")
    if not inflate.eof or inflate.unused_data:
        raise Hostile("unreadable", "One of its texts does not unpack.")
    return plain
