"""Which encoding a text file is in. It is decoded once, by one encoding, strictly.

A mark at the beginning decides. Without one it is UTF-8 if all of it is; UTF-16 if every other byte is NUL
as in no other encoding; else Windows-1252, if it reads like that. UTF-7 is never tried: it hides markup in
ASCII. Nothing is mended: what was decoded wrongly before stays as it is.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from typing import BinaryIO, Final

from bylaw.spreadsheet.tables import Unreadable

ENCODINGS: Final = {
    "utf-8": "utf-8",
    "utf-16-le": "utf-16-le",
    "utf-16-be": "utf-16-be",
    "windows-1252": "cp1252",
    "windows-1250": "cp1250",
    "windows-1251": "cp1251",
    "iso-8859-1": "latin-1",
    "iso-8859-15": "iso-8859-15",
    "shift_jis": "cp932",
}
"""Encodings that somebody may name, with Python's names for them."""

_MARKS: Final = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_CHUNK: Final = 256 * 1024
_SAMPLE: Final = 4096
_SEQUENCE: Final = re.compile(rb"[\xc2-\xdf][\x80-\xbf]|[\xe0-\xef][\x80-\xbf]{2}|[\xf0-\xf4][\x80-\xbf]{3}")
_HIGH: Final = re.compile(rb"[\x80-\xff]")
# What Western texts have few of: letters of Icelandic, marks that stand for nothing by themselves, and a
# capital letter with an accent behind a small one, or before what ends no word. Broken UTF-8 has many.
_UNLIKELY: Final = re.compile(r"[ýþðÝÞÐ¤¦¨¬¯\xb8ÿ]|(?<=[a-z])[À-Ý]|[ÀÃÂ](?=[\s()<>\"'])")


def detected(stream: BinaryIO, encoding: str = "") -> tuple[str, int]:
    """The encoding of the stream, and how many bytes its mark has. Raises Unreadable."""
    stream.seek(0)
    head = stream.read(_SAMPLE)
    mark, marked = next(((m, name) for m, name in _MARKS if head.startswith(m)), (b"", ""))
    if encoding and encoding not in ENCODINGS:
        raise Unreadable(f"The encoding is not read here; accepted are {', '.join(ENCODINGS)}.")
    if encoding and marked != encoding:
        mark = b""  # whoever says what it is knows better; the mark is text then, or undecodable
    if name := encoding or marked or _wide(head):
        _demand(stream, name, len(mark))
        return name, len(mark)
    return _narrow(stream), 0


def _wide(head: bytes) -> str:
    """UTF-16 without its mark: of a Western table's bytes every other one is NUL."""
    pairs = len(head) // 2
    first, second = head[0::2].count(0), head[1::2].count(0)
    if pairs and second > pairs * 0.5 and first <= pairs * 0.02:
        return "utf-16-le"
    return "utf-16-be" if pairs and first > pairs * 0.5 and second <= pairs * 0.02 else ""


def _narrow(stream: BinaryIO) -> str:
    """UTF-8 if all of it is, else Windows-1252 if it reads like that. Raises Unreadable."""
    try:
        _demand(stream, "utf-8", 0)
    except Unreadable as broken:
        if _is_damaged(stream):
            raise
        _demand(stream, "windows-1252", 0, broken)
        return "windows-1252"
    return "utf-8"


def _is_damaged(stream: BinaryIO) -> bool:
    """Whether it is rather UTF-8 with a fault than Windows-1252: no fault is hidden by reading on."""
    high = sequences = unlikely = 0
    for chunk in _chunks(stream, 0):
        high += len(_HIGH.findall(chunk))
        sequences += sum(len(found) for found in _SEQUENCE.findall(chunk))
        unlikely += len(_UNLIKELY.findall(chunk.decode("cp1252", "replace")))
    return 2 * sequences >= high or 4 * unlikely >= high


def _demand(stream: BinaryIO, name: str, start: int, instead: Unreadable | None = None) -> None:
    """All of it can be decoded. Raises Unreadable, with the line of the first byte that cannot."""
    decoder = codecs.getincrementaldecoder(ENCODINGS[name])()
    line = 1
    try:
        for chunk in _chunks(stream, start):
            line += _ends(decoder.decode(chunk))
        decoder.decode(b"", final=True)
    except UnicodeDecodeError as error:
        before = error.object[: error.start].decode(ENCODINGS[name], "ignore")
        raise instead or Unreadable(
            f"Line {line + _ends(before):,} holds bytes that are no {name.upper()}. "
            "Save the file as UTF-8, or say which encoding it has."
        ) from None


def _ends(text: str) -> int:
    return text.count("\n") or text.count("\r")


def _chunks(stream: BinaryIO, start: int) -> Iterator[bytes]:
    stream.seek(start)
    while chunk := stream.read(_CHUNK):
        yield chunk
