"""Names that people give their files: for showing, never for a path. Pure: text in, text out.

What is stored is named by bylaw. The name that somebody gave is kept beside it, cleaned: a name that climbs
directories, hides its end behind a right-to-left mark, is a device's on another system or fills a page must
do no harm wherever it is shown, logged or saved again (CWE-22, CWE-451, CWE-641; Unicode TR 36 section 3.1).
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final

LONGEST: Final = 120
"""Characters of a cleaned name."""
LONGEST_BYTES: Final = 200
"""Bytes of it in UTF-8: file systems take 255, and what saves it again may put a number behind it."""
NAMELESS: Final = "file"
"""What a file is called of whose name nothing is left."""

_READ: Final = 4096
"""Characters that are looked at of a name, whatever came: its end is kept, where the extension is."""
_RESERVED: Final = re.compile(r'[<>:"|?*`]|%(?=[0-9A-Fa-f]{2})')
"""What a file system or a program that decodes names once more makes something else of."""
_EXTENSION: Final = re.compile(r"[0-9a-z]{1,8}")
_DEVICES: Final = re.compile(
    r"(con|prn|aux|nul|com[0-9\u00b9\u00b2\u00b3]|lpt[0-9\u00b9\u00b2\u00b3]|conin\$|conout\$|clock\$)",
    re.IGNORECASE,
)
"""Names that are devices on Windows, with any extension behind them (Werkzeug GHSA-hgf8-39gv-g3f2)."""
_NEVER: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
"""Categories of characters that nobody sees, or that change how others are seen: controls, marks of
direction, zero widths, halves of pairs, private ones, line separators."""


def last(given: str) -> str:
    """The last segment of what may be a path, of whichever system."""
    return re.split(r"[/\\]", given[-_READ:])[-1]


def extension(name: str) -> str:
    """The extension in lower case without its dot; empty where there is none that can be trusted.

    A dot or a space at the end, a colon (an alternate stream), a control or a mark behind the last dot: the
    system that saves it may see another extension than the one that is shown, so there is none.
    """
    stem, dot, end = last(name).rpartition(".")
    if not dot or not stem.strip(". ") or not end.isascii():
        return ""
    return end.lower() if _EXTENSION.fullmatch(end.lower()) else ""


def inner(name: str) -> tuple[str, ...]:
    """The extensions before the last: `invoice.php.pdf` has `php`, which some servers go by (CWE-434)."""
    shown = unicodedata.normalize("NFKC", "".join(filter(_seen, last(name))))
    return tuple(part.strip().lower() for part in shown.split(".")[1:-1])


def cleaned(given: str) -> str:
    """A name that is safe to show, to log and to save under: one line, no path, no marks that nobody sees, no
    device, at most 120 characters and 200 bytes, the extension kept. Never empty."""
    text = unicodedata.normalize("NFC", "".join(filter(_seen, last(given))))
    text = re.sub(r"\.[. ]*\.", ".", _RESERVED.sub("_", " ".join(text.split()))).rstrip(". ")
    stem, dot, end = text.rpartition(".")
    if not dot or not _EXTENSION.fullmatch(end.lower()):
        stem, dot, end = text, "", ""
    stem = _short(stem.strip(". "), dot + end) or NAMELESS
    # A device is one whatever follows its first dot, and with spaces before that: `NUL .pdf`.
    if _DEVICES.fullmatch(stem.partition(".")[0].strip()) or stem.startswith("-"):
        stem = "_" + stem
    return stem + dot + end


def _seen(character: str) -> bool:
    return character == "\t" or unicodedata.category(character) not in _NEVER


def _short(stem: str, end: str) -> str:
    """As much of a name as fits before its end; no character is cut in two."""
    stem = stem[: LONGEST - len(end) - 1]
    room = LONGEST_BYTES - len(end.encode()) - 1
    if len(stem.encode()) > room:
        stem = stem.encode()[:room].decode(errors="ignore")
    return stem.strip(". ")
