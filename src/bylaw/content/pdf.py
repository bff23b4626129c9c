"""PDF: what it is, that it is whole, and that nothing in it runs, opens, sends or hides (ISO 32000-1).

The header stands at byte 0 (not somewhere in the first kilobyte, where readers would still find it), the last
`startxref` leads to a cross-reference table or stream, and only white space follows `%%EOF`. Refused by what
they do: actions that run JavaScript, start a program, send a form, import data or play what can do so
(12.6.4), XFA forms, rich media; actions that open another file (a path on another host takes a Windows user's
password hash with it: CVE-2018-4993); embedded files (7.11.4); encryption, since nobody could look further.
Links to web pages, destinations, forms to fill in and signatures are let be. Names may be spelt with `#xx`
(7.3.5) and objects may lie packed in object streams (7.5.7): both are read.

What it does not do: it is no PDF reader. It scans the bytes of the file and of its object streams; what is
packed twice, or in another filter than deflate without saying that it is an object stream, it does not see.
Flaws of readers (fonts, images) are the scanner's to know.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator
from typing import BinaryIO, Final

from bylaw.content.faults import Hostile
from bylaw.content.limits import Facts, Limits
from bylaw.content.polyglot import refuse_two_kinds
from bylaw.content.reading import BLOCK, Reader

_HEADER: Final = re.compile(rb"%PDF-(?:1\.[0-7]|2\.0)[\r\n\t %]")
_END: Final = re.compile(rb"startxref[\0\t\n\f\r ]+(\d{1,12})[\0\t\n\f\r ]+%%EOF")
_TABLE: Final = re.compile(
    rb"[\0\t\n\f\r ]{0,8}(?:xref[\0\t\n\f\r ]+\d|\d{1,10}[\0\t\n\f\r ]+\d{1,5}[\0\t\n\f\r ]+obj)"
)
_TAIL: Final = 8 * 1024
_CARRIED: Final = 512
"""Bytes seen again with the next block: longer than anything that is looked for."""

_SPACE: Final = rb"(?:[\0\t\n\f\r ]|%[^\r\n]{0,80}[\r\n]){0,64}"
_REFERENCE: Final = rb"\d{1,10}[\0\t\n\f\r ]+\d{1,5}[\0\t\n\f\r ]+R"


_ENDED: Final = rb"(?=[\0\t\n\f\r ()<>\[\]{}/%])"


def _action(word: bytes) -> re.Pattern[bytes]:
    """An action's `/S` with this name, or the name as an object of its own that `/S` refers to."""
    return re.compile(rb"(?:/S|\bobj)" + _SPACE + b"/" + word + _ENDED, re.DOTALL)


def _key(word: bytes, holds: bytes) -> re.Pattern[bytes]:
    """A dictionary's key, with what its value begins with: a word in a text or an address is no key."""
    return re.compile(b"/" + word + _ENDED + _SPACE + holds, re.DOTALL)


_PART: Final = b"(?:<<|" + _REFERENCE + b")"
_FORBIDDEN: Final = (
    ("active", "JavaScript", b"/JavaScript", _action(b"JavaScript")),
    ("active", "An action that starts a program", b"/Launch", _action(b"Launch")),
    ("active", "An action that sends what a form holds", b"/SubmitForm", _action(b"SubmitForm")),
    ("active", "An action that takes in data", b"/ImportData", _action(b"ImportData")),
    ("active", "Media that can hold scripts", b"/Rendition", _action(b"Rendition")),
    ("active", "Media that can hold scripts", b"/RichMedia", _key(b"Subtype", b"/RichMedia" + _ENDED)),
    ("active", "A form with scripts (XFA)", b"/XFA", _key(b"XFA", rb"(?:\[|\(|" + _REFERENCE + b")")),
    ("external", "An action that opens another file", b"/GoToE", _action(b"GoToE")),
    ("external", "An action that opens another file", b"/GoToR", _action(b"GoToR")),
    ("embedded", "An embedded file", b"/EF", _key(b"EF", _PART)),
    ("embedded", "A list of embedded files", b"/EmbeddedFiles", _key(b"EmbeddedFiles", _PART)),
    ("encrypted", "Encryption", b"/Encrypt", _key(b"Encrypt", _PART)),
)
"""Fault, what was found, the word that is looked for first since that is quick, and the form that it must
have.
"""
_SPELT: Final = re.compile(rb"#([0-9A-Fa-f]{2})")
_STREAM: Final = re.compile(rb"(?<=[>\0\t\n\f\r ])stream\r?\n")
_PAIRS: Final = re.compile(rb"[\0\t\n\f\r ]*\d{1,10}[\0\t\n\f\r ]+\d{1,10}[\0\t\n\f\r ]")
"""An object stream begins with the numbers and places of its objects (7.5.7), whatever its dictionary says.
"""
_OBJECTS: Final = re.compile(b"/ObjStm" + _ENDED)
_FILTER: Final = re.compile(
    b"/Filter" + _ENDED + _SPACE + rb"(\[[^\]]{0,200}\]|/[A-Za-z0-9#]+|" + _REFERENCE + b")"
)
_DEFLATED: Final = re.compile(rb"\[?[\0\t\n\f\r ]*/FlateDecode[\0\t\n\f\r ]*\]?")


def check(stream: BinaryIO, limits: Limits) -> Facts:
    """Look at its two ends, then at everything between them. Raises Hostile."""
    reader = Reader(stream)
    reader.seek(0)
    if not _HEADER.match(reader.upto(16)):
        raise Hostile("disagrees", "It does not begin as a PDF does.")
    refuse_two_kinds(reader)
    _ends(reader, limits)
    scan = _Scan(reader, limits)
    scan.everything()
    return Facts(unpacked=scan.unpacked)


def _ends(reader: Reader, limits: Limits) -> None:
    """The last startxref, where it leads, and what follows it (7.5.5)."""
    start = max(0, reader.size - _TAIL)
    reader.seek(start)
    ends = list(_END.finditer(reader.upto(_TAIL)))
    if not ends:
        raise Hostile("truncated", "Its end (startxref, %%EOF) is missing.")
    found = ends[-1]
    reader.seek(start + found.end())
    _one_line_end(reader)
    reader.ended(exact=limits.exact_ends)
    reader.seek(min(int(found[1]), reader.size))
    if not _TABLE.match(reader.upto(64)):
        raise Hostile("unreadable", "Its end does not lead to a table of its objects.")


def _one_line_end(reader: Reader) -> None:
    at = reader.at
    end = reader.upto(2)
    reader.seek(at + (2 if end == b"\r\n" else 1 if end[:1] in (b"\r", b"\n") else 0))


class _Scan:
    """The bytes from one end to the other, and those that are packed in object streams."""

    def __init__(self, reader: Reader, limits: Limits) -> None:
        self._reader = reader
        self._limits = limits
        self.unpacked = 0

    def everything(self) -> None:
        """Raises Hostile."""
        carried, at = b"", 0
        while True:
            self._reader.seek(at)
            block = self._reader.upto(4 * BLOCK)
            if not block:
                return
            window = carried + block
            _refuse_forbidden(window)
            for found in _STREAM.finditer(window):
                if found.end() > len(carried):  # the others were looked at with the block before
                    self._stream(at - len(carried) + found.end(), window[: found.start()][-_CARRIED:])
            carried, at = window[-_CARRIED:], at + len(block)

    def _stream(self, at: int, before: bytes) -> None:
        """What begins like an object stream is one, and so is what says so."""
        self._reader.seek(at)
        inflate = zlib.decompressobj()
        head = self._reader.upto(_CARRIED)
        try:
            begins = inflate.decompress(head, _CARRIED)
        except zlib.error:
            begins = b""
        before = _plain(before.rsplit(b"obj", 1)[-1]) + b" "
        says_so = _OBJECTS.search(before)
        if says_so and ((named := _FILTER.search(before)) or b"/Predictor" in before):
            told = named[1] if named else b""
            if not _DEFLATED.fullmatch(told) or b"/Predictor" in before:
                raise Hostile(
                    "unreadable", f"Its objects are packed in a way that is not read ({_shown(told)})."
                )
        if not _PAIRS.match(begins) and not says_so:
            return
        self._reader.seek(at)
        carried = b""
        for block in self._inflated():
            window = carried + block
            _refuse_forbidden(window)
            carried = window[-_CARRIED:]
        _refuse_forbidden(carried + b" ")

    def _inflated(self) -> Iterator[bytes]:
        """The stream here, unpacked; what is damaged ends it, as it does for a reader."""
        inflate, packed = zlib.decompressobj(), b""
        while not inflate.eof and (packed := packed or self._reader.upto(BLOCK)):
            try:
                plain = inflate.decompress(packed, 4 * BLOCK)
            except zlib.error:
                return
            packed = inflate.unconsumed_tail
            self.unpacked += len(plain)
            if self.unpacked > self._limits.unpacked // 4:
                raise Hostile(
                    "bomb", f"Its objects unpack to more than {self._limits.unpacked // 4:,} bytes."
                )
            yield plain


def _refuse_forbidden(window: bytes) -> None:
    plain = _plain(window)
    for code, what, word, form in _FORBIDDEN:
        if word in plain and form.search(plain):
            raise Hostile(code, f"{what} is in it.")


def _plain(data: bytes) -> bytes:
    """Names without their `#xx` (7.3.5)."""
    return _SPELT.sub(lambda found: bytes((int(found[1], 16),)), data)


def _shown(value: bytes) -> str:
    return value.decode("ascii", "replace")[:60]
