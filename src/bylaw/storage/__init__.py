"""Where files are kept: under generated names, each written once, in a directory or in an S3-compatible
store.

Nothing of what somebody called a file is in its name here, so no name can lead anywhere (CWE-22), and what
is there is never written again: who reads a file reads what was examined.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO, Final, Protocol

NAME: Final = re.compile(r"[a-z2-7]{22}")
"""A name: 110 random bits in lower case, which every file system keeps apart."""
PIECE: Final = 256 * 1024
"""Bytes that are read and written at once: what one transfer holds in memory."""


class Unstored(OSError):
    """The storage did not do its part; its text is for the operator."""


@dataclass(frozen=True, slots=True)
class Kept:
    """A file that is there: its name, and when it was written (seconds since 1970, by the storage's
    clock)."""

    name: str
    written_at: float


@dataclass(slots=True)
class Opened:
    """A file that is being read. Close it."""

    stream: BinaryIO
    """Not every storage's can go back."""
    size: int
    """Bytes of the whole file, whatever part of it is read."""
    stamp: str
    """What changes when its content does."""
    settled: bool = True
    """Whether any further change would show in the stamp."""

    def close(self) -> None:
        self.stream.close()


class Storage(Protocol):
    """Keeps files. Every method raises Unstored where the storage does not do its part."""

    def write_once(self, name: str, stream: BinaryIO) -> None:
        """Keep what `stream` still holds. It is there as a whole, and for good, or not at all.

        Raises FileExistsError where the name is taken.
        """

    def open(self, name: str, start: int = 0, end: int | None = None) -> Opened:
        """The bytes from `start` up to `end` (exclusive). Raises FileNotFoundError."""

    def delete(self, name: str) -> None:
        """Have a file go; what is not there is gone already."""

    def names(self) -> Iterator[Kept]:
        """Every file that is there, in no order."""

    def scratch(self) -> BinaryIO:
        """A nameless file to put together and examine what may become one: gone when it is closed, and with
        the process."""

    def sweep(self, before: float) -> int:
        """Clear away what writing left behind that was begun before then and never ended; how many."""

    def problem(self) -> str:
        """Why nothing could be kept now, in words for the operator; empty where all is well."""


def valid(name: str) -> str:
    """`name`, if it is one. Raises ValueError: no path is ever made of anything else."""
    if not NAME.fullmatch(name):
        raise ValueError("not a name of a stored file")
    return name
