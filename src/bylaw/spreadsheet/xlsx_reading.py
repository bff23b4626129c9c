"""XLSX, row by row. Formulas are not evaluated: what the program that wrote the file saw is read.

Macros, links to other files and what a sheet claims about its size are not looked at. A cell whose formula
has no stored value is read as the formula itself, which no number or date is taken for.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import BinaryIO, Final
from zipfile import ZipFile

from bylaw.spreadsheet import as_seen, xml_parts
from bylaw.spreadsheet.tables import Limits, Row, Sheet, Unreadable
from bylaw.spreadsheet.xlsx_package import Listed, Workbook, plain, workbook

_PLACE: Final = re.compile(r"([A-Z]{1,3})([0-9]{1,7})")
_LAST_ROW: Final = 1_048_576
_LAST_COLUMN: Final = 16_384
_MOST_NOTES: Final = 20
_ISO: Final = re.compile(r"(\d{4}-\d\d-\d\d)T(\d\d:\d\d:\d\d)(?:\.0+)?Z?")


def opened(stream: BinaryIO, limits: Limits, sheet: str) -> Sheet:
    """The table on one sheet of an XLSX file. Raises Unreadable."""
    package = xml_parts.archive(stream, limits)
    book = workbook(package, limits)
    chosen = _chosen(book, sheet)
    return Sheet(
        "xlsx",
        lambda read: _rows(package, chosen.member, book, limits, read.notes),
        sheets=tuple(each.name for each in book.sheets),
        sheet=chosen.name,
        hidden=tuple(each.name for each in book.sheets if each.hidden),
    )


def _chosen(book: Workbook, name: str) -> Listed:
    if not book.sheets:
        raise Unreadable("The file has no sheet with rows.")
    if not name:
        return next((each for each in book.sheets if not each.hidden), book.sheets[0])
    found = next((each for each in book.sheets if each.name == name), None)
    if found is None:
        names = ", ".join(each.name for each in book.sheets[:_MOST_NOTES])
        raise Unreadable(f"The file has no such sheet; it has {names}.")
    return found


def _rows(package: ZipFile, member: str, book: Workbook, limits: Limits, notes: list[str]) -> Iterator[Row]:
    reader = _Reader(book, limits, notes)
    for _ in xml_parts.walked(package, member, reader):
        yield from reader.taken()
    reader.told()


class _Reader:
    """Gathers the rows of the pieces of a sheet."""

    def __init__(self, book: Workbook, limits: Limits, notes: list[str]) -> None:
        self._book = book
        self._limits = limits
        self._notes = notes
        self._done: list[Row] = []
        self._rows = self._cells = 0
        self._row = self._column = 0
        self._found: list[str] = []
        self._kind = self._style = ""
        self._value: list[str] | None = None
        self._stored = self._formula = None  # type: str | None
        self._inline: list[str] = []
        self._aside = False
        self._length = 0
        self._hidden = self._formulas = self._faults = self._merged = 0
        self._first: dict[str, str] = {}

    def taken(self) -> list[Row]:
        """The rows that are complete since the last call."""
        done, self._done = self._done, []
        return done

    # What the parser tells

    def begin(self, name: str, attributes: Mapping[str, str]) -> None:
        if name == "c":
            self._place(attributes.get("r", ""))
            self._kind = attributes.get("t", "n")
            self._style = attributes.get("s", "")
            self._stored = self._formula = None
            self._inline, self._length = [], 0
        elif name == "t":
            self._value = []  # one text of many pieces: its length goes on
        elif name in ("v", "f"):
            self._value, self._length = [], 0
        elif name == "rPh":
            self._aside = True
        elif name == "row":
            self._begin_row(attributes)
        elif name == "mergeCell":
            self._note("merged", attributes.get("ref", ""))
            self._merged += 1

    def text(self, data: str) -> None:
        if self._value is None:
            return
        self._value.append(data)
        self._length += len(data)
        if self._length > self._limits.cell:
            raise self._too_long()

    def end(self, name: str) -> None:
        if name == "c":
            self._end_cell()
        elif name == "row":
            self._end_row()
        elif name == "rPh":
            self._aside = False
        elif self._value is not None and name in ("v", "f", "t"):
            text, self._value = "".join(self._value), None
            if name == "v":
                self._stored = text
            elif name == "f":
                self._formula = text
            elif not self._aside:
                self._inline.append(text)

    # Rows and their cells

    def _begin_row(self, attributes: Mapping[str, str]) -> None:
        said = attributes.get("r", "")
        number = int(said) if said.isascii() and said.isdigit() and len(said) < 8 else self._row + 1
        if not self._row < number <= _LAST_ROW:
            raise Unreadable("The rows of the sheet are not in order.", self._row)
        self._row = number
        self._column = 0
        self._found = []
        if attributes.get("hidden", "0") in ("1", "true"):
            self._hidden += 1
            self._note("hidden", f"row {number:,}")

    def _place(self, place: str) -> None:
        found = _PLACE.fullmatch(place)
        column = _column(found[1]) if found else self._column + 1
        if not self._column < column <= _LAST_COLUMN:
            raise Unreadable("The cells of the row are not in order.", self._row)
        self._column = column
        self._cells += 1
        if self._cells > self._limits.cells:
            raise Unreadable(f"The table has more than {self._limits.cells:,} cells; split it.", self._row)

    def _end_cell(self) -> None:
        text = self._text()
        if not text:
            return
        if len(text) > self._limits.cell:
            raise self._too_long()
        if "\0" in text:
            raise Unreadable("The row holds a NUL character: this is no text.", self._row)
        if self._column > self._limits.columns:
            raise Unreadable(
                f"The row has a cell in column {self._column:,}; at most {self._limits.columns:,} are read.",
                self._row,
            )
        self._found.extend("" for _ in range(self._column - 1 - len(self._found)))
        self._found.append(text)

    def _end_row(self) -> None:
        if not self._found:
            return  # only its format is in the file, as of a million rows that somebody gave a colour
        self._rows += 1
        if self._rows > self._limits.rows:
            raise Unreadable(f"The table has more than {self._limits.rows:,} rows; split it.", self._row)
        self._done.append(Row(self._row, tuple(self._found)))

    def _text(self) -> str:
        if self._kind == "inlineStr":
            return plain("".join(self._inline))
        if self._formula is not None and not self._stored:
            if self._kind == "str":
                return ""  # a formula that gives an empty text
            self._formulas += 1
            self._note("formula", self._here())
            return f"={self._formula}"
        return self._read(self._stored) if self._stored else ""

    def _read(self, stored: str) -> str:
        if self._kind == "s":
            index = int(stored) if stored.isascii() and stored.isdigit() and len(stored) < 10 else -1
            if not 0 <= index < len(self._book.strings):
                raise Unreadable(f"{self._here()} names a text that the file does not have.", self._row)
            return self._book.strings[index]
        if self._kind == "b":
            return "true" if stored.strip() == "1" else "false"
        if self._kind == "e":
            self._faults += 1
            self._note("error", self._here())
            return stored
        if self._kind == "d":
            found = _ISO.fullmatch(stored)
            return stored if not found else found[1] if found[2] == "00:00:00" else f"{found[1]} {found[2]}"
        return plain(stored) if self._kind == "str" else self._number(stored)

    def _number(self, stored: str) -> str:
        style = int(self._style) if self._style.isascii() and self._style.isdigit() else 0
        formats = self._book.formats
        form = formats[style] if style < len(formats) else "General"
        text = as_seen.number(stored, form, since_1904=self._book.since_1904)
        if text is None:
            raise Unreadable(f"{self._here()} is marked as a number and is none.", self._row)
        return text

    def _too_long(self) -> Unreadable:
        return Unreadable(f"A cell is longer than {self._limits.cell:,} characters.", self._row)

    # What somebody should know

    def _here(self) -> str:
        return f"{_letters(self._column)}{self._row}"

    def _note(self, kind: str, place: str) -> None:
        self._first.setdefault(kind, place[:_MOST_NOTES])

    def told(self) -> None:
        """Put into the notes what the sheet has that a table has not."""
        self._say("formula", self._formulas, "Formulas without a stored value, read as text")
        self._say("error", self._faults, "Errors of formulas, read as text")
        self._say("merged", self._merged, "Merged cells, whose text is in the first one alone")
        self._say("hidden", self._hidden, "Rows that the file hides, read as well")

    def _say(self, kind: str, number: int, what: str) -> None:
        if number:
            self._notes.append(f"{what}: {number:,} (the first: {self._first[kind]}).")


def _column(letters: str) -> int:
    number = 0
    for letter in letters:
        number = number * 26 + ord(letter) - 64
    return number


def _letters(column: int) -> str:
    letters = ""
    while column:
        column, rest = divmod(column - 1, 26)
        letters = chr(65 + rest) + letters
    return letters
