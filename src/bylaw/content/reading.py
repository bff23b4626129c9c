"""Reading a file that somebody else wrote: never more than was asked for, never past its end unnoticed."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import BinaryIO, Final

from bylaw.content.faults import Hostile

BLOCK: Final = 64 * 1024
_PADDING: Final = b"\0\t\n\f\r "
_LOOSE: Final = 4096
"""White space that may follow the end of a file, where the limits let it."""


class Reader:
    """A seekable stream from its beginning, and where in it we are."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self.size = stream.seek(0, io.SEEK_END)
        self.at = stream.seek(0)

    @property
    def left(self) -> int:
        """Bytes to the end."""
        return self.size - self.at

    def seek(self, at: int) -> None:
        """Go to a place, counted from the beginning."""
        self._stream.seek(at)
        self.at = at

    def upto(self, count: int) -> bytes:
        """The next bytes; fewer only at the end."""
        data = self._stream.read(count)
        while data and len(data) < count and (more := self._stream.read(count - len(data))):
            data += more  # an unbuffered stream gives what it has
        self.at += len(data)
        return data

    def exactly(self, count: int) -> bytes:
        """The next bytes, every one of them. Raises Hostile("truncated")."""
        if count > self.left:
            raise Hostile("truncated", f"{count - self.left:,} bytes are missing at its end.")
        return self.upto(count)

    def blocks(self, count: int) -> Iterator[bytes]:
        """The next `count` bytes, block by block. Raises Hostile("truncated") before the first."""
        if count > self.left:
            raise Hostile("truncated", f"{count - self.left:,} bytes are missing at its end.")
        while count:
            block = self.upto(min(count, BLOCK))
            count -= len(block)
            yield block

    def ended(self, *, exact: bool) -> None:
        """Nothing follows, or where the ends need not be exact a little white space. Raises
        Hostile("trailing").
        """
        at, left = self.at, self.left
        loose = not exact and left <= _LOOSE
        if left and not (loose and not self.upto(left).strip(_PADDING)):
            raise Hostile("trailing", f"{left:,} bytes follow the end, which is at byte {at:,}.")
