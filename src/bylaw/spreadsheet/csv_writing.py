"""CSV that is safe to open, written as it is read: RFC 4180, UTF-8."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from bylaw.spreadsheet.cells import line

_PIECE: Final = 64 * 1024
_BOM: Final = "\ufeff"


def write_csv(rows: Iterable[Iterable[object]], *, bom: bool = False) -> Iterator[bytes]:
    """The rows as CSV in pieces of some 64 KB, in the memory of one; `bom` is for Excel, which takes UTF-8
    without its mark for the encoding of the country.

    Cells are guarded as `cell` says; `opened` gives their texts again. What is no text in UTF-8 (half of a
    surrogate pair) and NUL become U+FFFD.
    """
    gathered = [_BOM] if bom else []
    size = 0
    for row in rows:
        text = line(row)
        gathered.append(text)
        size += len(text)
        if size >= _PIECE:
            yield _encoded(gathered)
            gathered, size = [], 0
    if gathered:
        yield _encoded(gathered)


def _encoded(lines: list[str]) -> bytes:
    text = "".join(lines).replace("\0", "\ufffd")
    try:
        return text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace").encode()
