"""XLSX, written as it is read: numbers, dates and truths as such, every text as text, and no formula.

Nothing that somebody typed can run: a text stands in a cell of the type text whose format is text as well, so
that it stays one when somebody edits the cell. The memory is that of some rows.
"""

from __future__ import annotations

import math
import re
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from functools import cache
from itertools import chain, count, islice
from typing import Final
from xml.sax.saxutils import escape

from bylaw.errors import MisuseError
from bylaw.spreadsheet import xlsx_parts as parts

LAST_ROW: Final = 1_048_576
LAST_COLUMN: Final = 16_384
LONGEST: Final = 32_767
_AT_ONCE: Final = 200
_DIGITS: Final = 15
"""Digits that a spreadsheet program keeps of a number; a longer one is written as text."""
_EPOCH: Final = date(1899, 12, 30)
_FIRST: Final = date(1900, 3, 1)
"""Days before are counted otherwise, since spreadsheet programs believe in 29 February 1900."""
_NO_XML: Final = re.compile("[\x00-\x08\x0b-\x1f\ufffe\uffff\ud800-\udfff]|_(?=x[0-9A-Fa-f]{4}_)")
_TEXT, _DAY, _MOMENT, _TIME, _SPAN, _HEADING = 1, 2, 3, 4, 5, 6


def write_xlsx(
    rows: Iterable[Iterable[object]],
    columns: Sequence[str],
    *,
    title: str = "Table",
    rows_of_a_sheet: int = LAST_ROW,
) -> Iterator[bytes]:
    """The rows below their headings as a workbook, in pieces.

    Moments with a time zone are written in UTC. More rows than a sheet can have go on with the next one; of a
    text that is longer than a cell can be (32,767 characters) the end is left out, and it says so. Raises
    MisuseError for more columns than there can be.
    """
    if len(columns) > LAST_COLUMN:
        raise MisuseError(f"a sheet has {LAST_COLUMN:,} columns at most, not {len(columns):,}")
    drain = _Drain()
    with zipfile.ZipFile(drain, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as package:
        names: list[str] = []
        left = iter(rows)
        ahead = list(islice(left, 1))
        while ahead or not names:
            names.append(parts.sheet_name(title, len(names) + 1))
            with package.open(parts.member(len(names)), "w", force_zip64=True) as sheet:
                sheet.write(parts.opening(columns).encode())
                some = islice(chain(ahead, left), rows_of_a_sheet - 1)
                for piece in _pieces(columns, some):
                    sheet.write(piece)
                    yield from drain.taken()
                sheet.write(parts.CLOSING.encode())
            ahead = list(islice(left, 1))
        for member, text in parts.around(names):
            package.writestr(member, text)
    yield from drain.taken()


class _Drain:
    """What a package is written into, and what of it has not departed yet."""

    def __init__(self) -> None:
        self._held: list[bytes] = []

    def write(self, data: bytes, /) -> int:
        self._held.append(bytes(data))
        return len(data)

    def flush(self) -> None: ...

    def close(self) -> None: ...

    def taken(self) -> Iterator[bytes]:
        held, self._held = b"".join(self._held), []
        if held:
            yield held


def _pieces(columns: Sequence[str], rows: Iterable[Iterable[object]]) -> Iterator[bytes]:
    numbers = count(1)
    yield _row(next(numbers), [_text(heading, _HEADING) for heading in columns]).encode()
    while some := list(islice(rows, _AT_ONCE)):
        yield "".join(_row(next(numbers), map(_cell, each)) for each in some).encode()


def _row(number: int, cells: Iterable[str]) -> str:
    made = "".join(
        cell.replace("<c", f'<c r="{letters(column)}{number}"', 1)
        for column, cell in enumerate(cells, 1)
        if cell
    )
    return f'<row r="{number}">{made}</row>'


@cache
def letters(column: int) -> str:
    """The name of a column: 28 is AB."""
    before, last = divmod(column - 1, 26)
    return (letters(before) if before else "") + chr(65 + last)


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return _text(value, _TEXT)
    if isinstance(value, bool):
        return f'<c t="b"><v>{int(value)}</v></c>'
    if isinstance(value, int | float | Decimal):
        return f"<c><v>{value}</v></c>" if _fits(value) else _text(str(value), _TEXT)
    if isinstance(value, date | time | timedelta):
        return _moment(value)
    return _text(str(value), _TEXT)


def _fits(value: int | float | Decimal) -> bool:
    """Whether a spreadsheet program keeps all of the number."""
    if isinstance(value, int):
        return abs(value) < 10**_DIGITS
    if isinstance(value, float):
        return math.isfinite(value)
    if not value.is_finite():
        return False
    return len(value.normalize().as_tuple().digits) <= _DIGITS and abs(value.adjusted()) < 300


def _moment(value: date | time | timedelta) -> str:
    if isinstance(value, datetime):
        plain = value.astimezone(UTC).replace(tzinfo=None) if value.tzinfo else value
        if plain.date() >= _FIRST:
            days = (plain - datetime.combine(_EPOCH, time())) / timedelta(days=1)
            return f'<c s="{_MOMENT}"><v>{days!r}</v></c>'
    elif isinstance(value, date) and value >= _FIRST:
        return f'<c s="{_DAY}"><v>{(value - _EPOCH).days}</v></c>'
    elif isinstance(value, time) and value.tzinfo is None:
        since = timedelta(hours=value.hour, minutes=value.minute, seconds=value.second)
        return f'<c s="{_TIME}"><v>{since / timedelta(days=1)!r}</v></c>'
    elif isinstance(value, timedelta) and value >= timedelta():
        return f'<c s="{_SPAN}"><v>{value / timedelta(days=1)!r}</v></c>'
    return _text(str(value), _TEXT)


def _text(text: str, style: int) -> str:
    if len(text) > LONGEST:
        end = f" … ({len(text):,} characters)"
        text = text[: LONGEST - len(end)] + end
    shown = escape(_NO_XML.sub(_escaped, text))
    return f'<c s="{style}" t="inlineStr"><is><t xml:space="preserve">{shown}</t></is></c>' if text else ""


def _escaped(found: re.Match[str]) -> str:
    """As ECMA-376 writes what XML cannot hold (22.9.2.19); what is no character at all is U+FFFD."""
    code = ord(found[0])
    return "\ufffd" if code == 0 or 0xD800 <= code <= 0xDFFF else f"_x{code:04X}_"
