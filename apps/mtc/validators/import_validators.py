"""CSV that people upload: what is accepted as a file, as a row and as a cell.

Text only and one table only: 2 MB, 5,000 rows, 100 columns. A cell that a spreadsheet program
would run as a formula is refused here and made harmless again on every export.
"""

from __future__ import annotations

import codecs
import csv
import io
import re
import unicodedata
from collections import Counter
from dataclasses import dataclass
from enum import StrEnum
from pathlib import PurePath
from typing import Annotated

from pydantic import Field

from apps.mtc.validators.base import Currency, Day, Input, Name, printable

MOST_BYTES = 2 * 1024 * 1024
MOST_ROWS = 5_000
MOST_COLUMNS = 100
LONGEST_CELL = 2_000
_DELIMITERS = (",", ";", "\t", "|")
_BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
# "+5V" and "-40 °C" are what parts are called; anything more after a sign is a formula.
_SIGNED_QUANTITY = re.compile(r"[+-] ?[0-9][0-9.,]*( ?[A-Za-z%°µΩ]{1,8})?")


class UploadError(Exception):
    """The file as a whole cannot be read; the message says why and what is accepted."""


class Role(StrEnum):
    """What a column of a bill of materials holds."""

    IGNORE = "ignore"
    REFERENCES = "references"
    QUANTITY = "quantity"
    ITEM = "item"
    VARIANT = "variant"
    DESCRIPTION = "description"
    MANUFACTURER = "manufacturer"
    SUPPLIER = "supplier"
    SUPPLIER_PART = "supplier_part"
    DISTRIBUTOR = "distributor"
    UNIT_PRICE = "unit_price"
    LINE_PRICE = "line_price"
    CURRENCY = "currency"
    URL = "url"


class ImportMapping(Input):
    """The role of each column, from the left, and how to read what the file does not say."""

    roles: Annotated[list[Role], Field(min_length=1, max_length=MOST_COLUMNS)]
    process_name: Name
    currency: Currency
    valid_from: Day
    merge: bool = False
    skip_errors: bool = False


@dataclass(frozen=True)
class SheetRow:
    """One row; `number` is the line it starts on, as an editor or spreadsheet shows it."""

    number: int
    cells: tuple[str, ...]


@dataclass(frozen=True)
class Sheet:
    delimiter: str
    rows: tuple[SheetRow, ...]


def validate_upload(filename: str, data: bytes) -> tuple[str, str]:
    """The cleaned file name and the text of an upload that can be read. Raises `UploadError`."""
    name = clean_filename(filename)
    if PurePath(name).suffix.lower() != ".csv":
        raise UploadError("The file name must end in .csv; save a spreadsheet as CSV first.")
    text = decode(data)
    parse_rows(text)
    return name, text


def clean_filename(filename: str) -> str:
    """A name fit to be shown; it is never used as a path."""
    last = re.split(r"[/\\]", filename)[-1]
    shown = "".join(c for c in last if unicodedata.category(c)[0] != "C").strip(" .")
    stem, dot, suffix = shown.rpartition(".")
    return f"{stem[:80]}{dot}{suffix[:10]}" if dot else shown[:90]


def decode(data: bytes) -> str:
    """The text of a file in UTF-8, UTF-16 (with its mark) or Windows-1252. Raises `UploadError`."""
    if len(data) > MOST_BYTES:
        raise UploadError("The file is larger than 2 MB.")
    named = next((encoding for mark, encoding in _BOMS if data.startswith(mark)), None)
    for encoding in (named,) if named else ("utf-8", "cp1252"):
        try:
            text = data.decode(encoding)
        except UnicodeDecodeError:
            continue
        break
    else:
        raise UploadError("The file is not text in UTF-8, UTF-16 or Windows-1252.")
    if "\0" in text:
        raise UploadError("The file is not text: it contains NUL characters.")
    if not text.strip():
        raise UploadError("The file is empty.")
    return text


def parse_rows(text: str) -> Sheet:
    """The rows of a CSV text, whatever separates its cells. Raises `UploadError`."""
    delimiter = detect_delimiter(text)
    rows: list[SheetRow] = []
    start = 1
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    while (cells := _next_row(reader, start)) is not None:
        if len(rows) == MOST_ROWS:
            raise UploadError(f"The file has more than {MOST_ROWS:,} rows (row {start}).")
        if len(cells) > MOST_COLUMNS:
            raise UploadError(f"Row {start} has more than {MOST_COLUMNS} cells.")
        rows.append(SheetRow(start, tuple(" ".join(cell.split()) for cell in cells)))
        start = reader.line_num + 1
    return Sheet(delimiter, tuple(rows))


def detect_delimiter(text: str) -> str:
    """The separator that gives the most rows of one same width above one."""
    sample = "".join(text.splitlines(keepends=True)[:60])
    return max(_DELIMITERS, key=lambda delimiter: _agreement(sample, delimiter))


def is_formula(cell: str) -> bool:
    """Whether a spreadsheet program would run this cell (OWASP, CSV injection)."""
    if cell.startswith(("=", "@")):
        return True
    signed = cell.startswith(("+", "-")) and len(cell) > 1
    return signed and not _SIGNED_QUANTITY.fullmatch(cell)


def cell_problem(cell: str) -> str | None:
    """What is accepted instead of this cell, or None if it is fine."""
    if len(cell) > LONGEST_CELL:
        return f"at most {LONGEST_CELL:,} characters"
    if is_formula(cell):
        return "text that does not begin with = + - or @ (a spreadsheet would run it as a formula)"
    try:
        printable(cell)
    except ValueError:
        return "text without control characters"
    return None


def _agreement(sample: str, delimiter: str) -> tuple[int, int]:
    try:
        rows = list(csv.reader(io.StringIO(sample, newline=""), delimiter=delimiter))
    except csv.Error:
        return (0, 0)
    widths = Counter(len(row) for row in rows if len(row) > 1)
    if not widths:
        return (0, 0)
    width, count = max(widths.items(), key=lambda pair: (pair[1], pair[0]))
    return (count, width)


def _next_row(reader: csv.reader, start: int) -> list[str] | None:  # type: ignore[valid-type]
    try:
        row: list[str] | None = next(reader, None)
    except csv.Error as error:
        reason = "a quotation mark is not closed" if "end of data" in str(error) else str(error)
        raise UploadError(f"The file is not CSV: {reason} (row {start}).") from error
    return row
