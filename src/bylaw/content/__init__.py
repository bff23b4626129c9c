"""What files are: judged by their structure, byte by byte, whatever their name or their sender says.

Each kind has a strict check that reads the file once, in blocks, and knows where it must end. What is refused
has a fault (`faults.FAULTS`); what is taken, facts. It knows no policy, no store and no network. Sources:
OWASP File Upload Cheat Sheet; CWE-434; OWASP ASVS 5.0, 5.2 and 5.3; the formats' own specifications, named in
each module.

It needs `pip install "bylaw[files]"` (libmagic, Pillow), which `require` looks at.
"""

from __future__ import annotations

import codecs
import importlib
from typing import BinaryIO

from bylaw.content import detecting, ooxml, pictures
from bylaw.content.faults import FAULTS, Hostile
from bylaw.content.kinds import KINDS, Kind
from bylaw.content.limits import Facts, Limits
from bylaw.content.reading import Reader
from bylaw.errors import MisuseError

__all__ = [
    "FAULTS",
    "KINDS",
    "Facts",
    "Hostile",
    "Kind",
    "Limits",
    "detect",
    "examine",
    "reencoded",
    "require",
    "thumbnail",
]


_WIDE = codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE


def examine(stream: BinaryIO, kind: str, limits: Limits) -> Facts:
    """What a file of this kind is. The stream is seekable; it is left at its beginning.

    Raises Hostile where it is not of the kind, damaged, or more than the limits let it be; KeyError where no
    kind has the name.
    """
    judge = KINDS[kind]
    try:
        head = Reader(stream).upto(detecting.HEAD)
        if not head:
            raise Hostile("empty")
        seen = detecting.media_type(head)
        if judge.seen_as and seen not in judge.seen_as:
            raise Hostile("disagrees", _told(seen, head, kind))
        return judge.check(stream, limits)
    finally:
        stream.seek(0)


def detect(head: bytes) -> str | None:
    """The kind that a file with this head seems to be; None where it is none that is known. Text is `csv` or
    `txt`.
    """
    seen = detecting.media_type(head)
    if seen.startswith("text/") or seen in KINDS["csv"].media_types:
        if b"\0" in head and not head.startswith(_WIDE):
            return None  # libmagic calls the head of a damaged program a text
        return "csv" if seen in KINDS["csv"].media_types and seen != "text/plain" else "txt"
    return next((kind.name for kind in KINDS.values() if seen == kind.media_type), None)


def reencoded(stream: BinaryIO, kind: str, limits: Limits) -> BinaryIO:
    """A picture drawn anew, upright and without metadata, at its beginning; the stream itself where it is no
    picture.

    Raises Hostile where it cannot be drawn.
    """
    if not KINDS[kind].image:
        stream.seek(0)
        return stream
    return pictures.redraw(stream, kind, limits)


def thumbnail(stream: BinaryIO, kind: str, box: int = 256, limits: Limits | None = None) -> bytes:
    """A small picture of a picture, upright, within `box` × `box` pixels: JPEG, or PNG where something shines
    through.

    Raises Hostile where it cannot be drawn, or is no picture.
    """
    if not KINDS[kind].image:
        raise Hostile("unreadable", f"Nothing draws a .{kind} file.")
    return pictures.small(stream, kind, box, (limits or Limits()).pixels)


def require() -> None:
    """Refuse to start where what the checks need is not installed. Raises MisuseError."""
    try:
        detecting.media_type(b"")
        importlib.import_module("PIL.Image")
    except ImportError as missing:
        raise MisuseError(f'files need libmagic and Pillow: pip install "bylaw[files]" ({missing})') from None


def _told(seen: str, head: bytes, kind: str) -> str:
    """What it is, for whoever chose the name; an older document is no other than one with a password here."""
    if head.startswith(ooxml.OLE) and kind in ooxml.MAIN:
        return "It is a document of an older kind, or protected by a password."
    called = "of no known type" if seen == "application/octet-stream" else seen
    return f"Its content is {called}, and its name ends in .{kind}."
