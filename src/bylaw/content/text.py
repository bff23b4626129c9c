"""Text: characters all through, in an encoding that is read, and not the beginning of something that runs.

Text has no structure to walk, so this is what is left: no control characters (WHATWG MIME Sniffing, 7.1 calls
them binary), every byte of its encoding, and a head that no browser or shell would take for a page or a
script: markup, `#!`, `<?php`, `%PDF-`. Markup in a cell is data, and is let be: whoever shows it escapes it.
"""

from __future__ import annotations

import codecs
import re
from typing import BinaryIO, Final

from bylaw.content.faults import Hostile
from bylaw.content.limits import Facts, Limits
from bylaw.content.reading import BLOCK, Reader

_MARKS: Final = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_CONTROL: Final = re.compile("[\x00-\x08\x0e-\x1f\x7f\ufffe\uffff]")
_CONTROL_BYTES: Final = re.compile(rb"[\x00-\x08\x0e-\x1f\x7f]")
_HEAD: Final = 1024
_MARKUP: Final = re.compile(
    r"[\s\ufeff]*(?:<[a-z!?/%]|#!|%!ps|\{\\rtf|gif8[79]a|@echo\b|"
    r"id;p[^\r\n]*[\r\n]+(?:c;[xyk]|[fo];[a-z]|p;[pfel]|b;[xy]|n[eu];|nn;n|w;n|e[\r\n]))",
    re.IGNORECASE,
)
"""What a text may not begin with: a tag, a comment, a declaration; a script; a page of PostScript or RTF; a
GIF; the first two records of a SYLK sheet, whose macros Excel runs whatever its name ends in.
"""
_PAGE: Final = re.compile(r"%PDF-\d|<(?:!doctype\s+html|html|head|body)[\s>]", re.IGNORECASE)
"""What readers find anywhere in a head."""


def check(stream: BinaryIO, limits: Limits) -> Facts:
    """Read all of it once, or twice where it is not UTF-8. Raises Hostile."""
    reader = Reader(stream)
    reader.seek(0)
    head = reader.upto(_HEAD)
    marked = next((name for mark, name in _MARKS if head.startswith(mark)), "") or _wide(head)
    _refuse_other(head, marked)
    if marked:
        if not _decodes(reader, marked):
            raise Hostile("encoding", f"Its mark says {marked.removesuffix('-sig').upper()}, and it is not.")
        return Facts(encoding=marked)
    if _decodes(reader, "utf-8"):
        return Facts(encoding="utf-8")
    _eight_bit(reader)
    return Facts(encoding="cp1252" if _decodes(reader, "cp1252") else "")


def _wide(head: bytes) -> str:
    """UTF-16 without its mark has a zero in every other byte of what Western languages write."""
    zeros = (head[0::2].count(0), head[1::2].count(0))
    if min(zeros) or max(zeros) < 2:
        return ""
    return "utf-16-be" if zeros[0] else "utf-16-le"


def _refuse_other(head: bytes, encoding: str) -> None:
    """What it would be to a browser, a shell or a viewer. Raises Hostile("disagrees")."""
    text = codecs.getincrementaldecoder(encoding or "latin-1")("replace").decode(head)
    if found := _MARKUP.match(text) or _PAGE.search(text):
        raise Hostile("disagrees", f"It holds {found[0].strip()[:20]!a} where a page or a script does.")


def _decodes(reader: Reader, encoding: str) -> bool:
    """Whether every byte is of the encoding. Raises Hostile("binary") for characters that no text has."""
    decoder = codecs.getincrementaldecoder(encoding)("strict")
    reader.seek(0)
    try:
        while block := reader.upto(4 * BLOCK):
            at = reader.at - len(block)
            if found := _CONTROL.search(decoder.decode(block)):
                raise Hostile(
                    "binary", f"There is a character {ord(found[0]):#04x} at or behind byte {at:,}."
                )
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return True


def _eight_bit(reader: Reader) -> None:
    """Some encoding of a byte a character, nobody can tell which; it has no control characters."""
    reader.seek(0)
    while block := reader.upto(4 * BLOCK):
        if found := _CONTROL_BYTES.search(block):
            at = reader.at - len(block) + found.start()
            raise Hostile("binary", f"There is a byte {found[0][0]:#04x} at {at:,}.")
