"""GIF: every block from the header to the trailer, and nothing behind it (GIF89a specification).

A GIF is easily a script as well (its width may spell the beginning of a comment); one that does is refused.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import BinaryIO, Final

from bylaw.content.faults import Hostile
from bylaw.content.limits import Facts, Limits
from bylaw.content.polyglot import refuse_active, refuse_two_kinds
from bylaw.content.reading import Reader

_IMAGE, _EXTENSION, _TRAILER = b"\x2c", b"\x21", b"\x3b"
_BLOCKS: Final = 10_000


def check(stream: BinaryIO, limits: Limits) -> Facts:
    """Walk it to its trailer; all frames count together. Raises Hostile."""
    reader = Reader(stream)
    refuse_two_kinds(reader)
    reader.seek(0)
    width, height = _screen(reader)
    frames = painted = metadata = 0
    for _ in range(_BLOCKS):
        begins = reader.exactly(1)
        if begins == _TRAILER:
            if not frames:
                raise Hostile("truncated", "It has no pixels.")
            reader.ended(exact=limits.exact_ends)
            return Facts(width, height, frames=frames)
        if begins == _IMAGE:
            frames += 1
            painted += _frame(reader, width, height)
        elif begins == _EXTENSION:
            reader.exactly(1)
            metadata += _comment(reader, limits.metadata)
        else:
            raise Hostile("unreadable", f"There is no block at byte {reader.at - 1:,}.")
        painted = max(painted, width * height)
        if painted > limits.pixels:
            raise Hostile("too_many_pixels", f"It says {painted:,}; {limits.pixels:,} are accepted.")
        if metadata > limits.metadata:
            raise _too_much(limits.metadata)
    raise Hostile("unreadable", f"It has more than {_BLOCKS:,} blocks.")


def _screen(reader: Reader) -> tuple[int, int]:
    signature, width, height, packed, _, _ = struct.unpack("<6sHHBBB", reader.exactly(13))
    if signature not in (b"GIF87a", b"GIF89a"):
        raise Hostile("disagrees", "It does not begin as a GIF does.")
    if not width or not height or width == int.from_bytes(b"/*", "little"):
        raise Hostile("polyglot" if width else "unreadable", "Its size is not one of a picture.")
    _skip_palette(reader, packed)
    return width, height


def _skip_palette(reader: Reader, packed: int) -> None:
    if packed & 0x80:
        reader.exactly(3 * (2 << (packed & 7)))


def _frame(reader: Reader, width: int, height: int) -> int:
    x, y, wide, high, packed = struct.unpack("<HHHHB", reader.exactly(9))
    if not wide or not high or x + wide > width or y + high > height:
        raise Hostile("unreadable", "A frame lies outside of the picture.")
    _skip_palette(reader, packed)
    if not 1 <= reader.exactly(1)[0] <= 11:
        raise Hostile("unreadable", "Its pixels are coded in no way that there is.")
    if not sum(map(len, _sub_blocks(reader))):
        raise Hostile("truncated", "A frame has no pixels.")
    return int(wide) * int(high)


def _comment(reader: Reader, most: int) -> int:
    """Comments, applications' data, delays: joined, since a mark might lie across two blocks, and as they
    stand, since the length of one might be a letter of the mark.
    """
    text, raw = bytearray(), bytearray()
    for block in _sub_blocks(reader):
        text += block
        raw += bytes((len(block),)) + block
        if len(text) > most:
            raise _too_much(most)
    refuse_active(bytes(text), "its comments")
    refuse_active(bytes(raw), "its comments")
    return len(text)


def _too_much(most: int) -> Hostile:
    return Hostile("too_much_metadata", f"More than {most:,} bytes.")


def _sub_blocks(reader: Reader) -> Iterator[bytes]:
    while size := reader.exactly(1)[0]:
        yield reader.exactly(size)
