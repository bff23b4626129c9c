"""A file of two kinds at once: each reader finds its own, and a check of the first says nothing of the
second.

Formats that begin at byte 0 are told apart by it. These are not: a PDF may begin anywhere in the first 1,024
bytes (Acrobat and all who follow it), a ZIP is read from its end (so a JAR or a workbook hides behind a
picture, or in a comment of one), and HTML, SVG and PHP begin wherever their reader first sees them.
Albertini, "Abusing file formats" (PoC||GTFO 0x07); CWE-434; OWASP File Upload Cheat Sheet.

What it does not do: a script spelt in pixels is one only to an interpreter that is told to run the file.
Names made by the server, `nosniff` and re-encoding are what answers that.
"""

from __future__ import annotations

import re
import struct
from typing import Final

from bylaw.content.faults import Hostile
from bylaw.content.reading import Reader

_HEAD: Final = 1024
_COMMENT: Final = 0xFFFF
_END: Final = b"PK\x05\x06"
_END_SIZE: Final = 22

ACTIVE: Final = re.compile(
    rb"<(?:script|html|svg|iframe|body|!doctype\s+html|!entity|\?php)(?![a-z0-9])|__halt_compiler",
    re.IGNORECASE,
)
"""Markup that runs, in the comments of a picture or at the head of anything; the mark of a PHP archive."""


def refuse_two_kinds(reader: Reader, *, archive: bool = False) -> None:
    """Look at the head and the tail for another kind, unless it is an archive itself, for that.

    Raises Hostile("polyglot" or "active").
    """
    reader.seek(0)
    head = reader.upto(_HEAD)
    if head.find(b"%PDF-", 1) > 0:
        raise Hostile("polyglot", "A PDF begins within it.")
    refuse_active(head, "its head")
    if not archive and _archive_behind(reader):
        raise Hostile("polyglot", "It ends as a ZIP archive does.")


def refuse_active(data: bytes, where: str) -> None:
    """Comments and metadata hold no markup that runs. Raises Hostile("active")."""
    if found := ACTIVE.search(data):
        raise Hostile("active", f"There is {found[0].decode('ascii')!r} in {where}.")


def _archive_behind(reader: Reader) -> bool:
    """Whether a reader of archives finds a directory from the end: its mark, and what it points at."""
    start = max(0, reader.size - _END_SIZE - _COMMENT)
    reader.seek(start)
    tail = reader.upto(reader.size - start)
    at = tail.rfind(_END)
    while at >= 0:
        if len(tail) - at >= _END_SIZE:
            count, size = struct.unpack_from("<HI", tail, at + 10)
            directory = start + at - size
            reader.seek(max(directory, 0))
            if not count or (directory >= 0 and reader.upto(4) == b"PK\x01\x02"):
                return True
        at = tail.rfind(_END, 0, at)
    return False
