"""PDF: what it is, that it is whole, and that nothing in it runs, opens, sends or hides (ISO 32000-1).

The header stands at byte 0 (not somewhere in the first kilobyte, where readers would still find it), the last
`startxref` leads to a cross-reference table or stream, and only white space follows `%%EOF`. Refused by what
they do: actions that run JavaScript, start a program, send a form, import data or play what can do so
(12.6.4), XFA forms, rich media; actions that open another file (a path on another host takes a Windows user's
password hash with it: CVE-2018-4993); embedded files (7.11.4); encryption, since nobody could look further.
Links to web pages, destinations, forms to fill in and signatures are let be. Names may be spelt oddly and lie
far from what they belong to (`pdf_names`), and objects may lie packed in object streams (`pdf_streams`).

What it does not do: it is no PDF reader. It scans the bytes of the file and of its object streams; what is
packed in another filter than deflate without saying that it is an object stream, it does not see.
Flaws of readers (fonts, images) are the scanner's to know.
"""

from __future__ import annotations

import re
from typing import BinaryIO, Final

from bylaw.content.faults import Hostile
from bylaw.content.limits import Facts, Limits
from bylaw.content.pdf_streams import Scan
from bylaw.content.polyglot import refuse_two_kinds
from bylaw.content.reading import Reader

_HEADER: Final = re.compile(rb"%PDF-(?:1\.[0-7]|2\.0)[\r\n\t %]")
_END: Final = re.compile(rb"startxref[\0\t\n\f\r ]+(\d{1,12})[\0\t\n\f\r ]+%%EOF")
_TABLE: Final = re.compile(
    rb"[\0\t\n\f\r ]{0,8}(?:xref[\0\t\n\f\r ]+\d|\d{1,10}[\0\t\n\f\r ]+\d{1,5}[\0\t\n\f\r ]+obj)"
)
_TAIL: Final = 8 * 1024


def check(stream: BinaryIO, limits: Limits) -> Facts:
    """Look at its two ends, then at everything between them. Raises Hostile."""
    reader = Reader(stream)
    reader.seek(0)
    if not _HEADER.match(reader.upto(16)):
        raise Hostile("disagrees", "It does not begin as a PDF does.")
    refuse_two_kinds(reader)
    _ends(reader, limits)
    scan = Scan(reader, limits)
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
