"""How much of everything a file may be, and what is learnt of one that is taken."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """What bounds the work that a file can cause. Its own size is bounded while it arrives, not here."""

    pixels: int = 50_000_000
    """Of a picture, all frames of a moving one together. A decoder holds three or four bytes for each."""
    entries: int = 2_000
    """Members of an archive; a workbook with a hundred sheets has some three hundred."""
    unpacked: int = 200 * 1024 * 1024
    """Bytes of all members of an archive together; a quarter of it, of the packed objects of a PDF."""
    ratio: int = 200
    """Bytes that one byte may unpack to, from the first megabyte on. Sheets reach 50, bombs begin near 500.
    """
    metadata: int = 4 * 1024 * 1024
    """Bytes of a picture beside its pixels (comments, EXIF, XMP, colour profiles), unpacked."""
    exact_ends: bool = False
    """Whether not even white space may follow the end. False: 4 kB of it may, as real producers write."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What was learnt of a file that is what it says."""

    width: int = 0
    height: int = 0
    """In pixels, of a picture; 0 of anything else."""
    frames: int = 1
    encoding: str = ""
    """Of text: `utf-8`, `utf-8-sig`, `utf-16` or `cp1252`, as Python calls them."""
    members: int = 0
    unpacked: int = 0
    """Of an archive: how many members, and their bytes together."""
