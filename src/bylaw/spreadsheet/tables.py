"""What is read from a table, within which limits, and what is said where it cannot be read."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

Kind = Literal["csv", "xlsx"]


@dataclass(frozen=True, slots=True)
class Limits:
    """How much of a table is read; more is Unreadable, never cut off in silence."""

    rows: int = 200_000
    columns: int = 500
    """Cells of one row."""
    cells: int = 5_000_000
    """Cells of the whole table."""
    cell: int = 32_767
    """Characters of one cell: as many as Excel takes."""
    row: int = 1_000_000
    """Characters of one row of CSV, also where a quotation mark is never closed."""
    unpacked: int = 256 * 1024 * 1024
    """Bytes of all of an XLSX file's members, unpacked."""
    strings: int = 32 * 1024 * 1024
    """Characters of the texts that an XLSX file's cells share: they are held in memory."""
    entries: int = 2_000
    """Members of an XLSX file."""


class Unreadable(Exception):
    """A table that cannot be read: why, and the row as spreadsheet programs count (0: the whole file)."""

    def __init__(self, detail: str, row: int = 0) -> None:
        self.detail = detail
        self.row = row
        super().__init__(f"Row {row:,}: {detail}" if row else detail)


@dataclass(frozen=True, slots=True)
class Row:
    """One row: its number as spreadsheet programs count (from 1, blank ones too), its cells as text."""

    number: int
    cells: tuple[str, ...]

    @property
    def blank(self) -> bool:
        """Nothing is in it."""
        return not any(map(str.strip, self.cells))

    def beyond(self, width: int) -> tuple[str, ...]:
        """What stands right of the last heading and is not empty: a row too long by that."""
        return tuple(cell for cell in self.cells[width:] if cell.strip())


@dataclass(frozen=True)
class Sheet:
    """A table that was opened; its rows are read as they are asked for, anew with every call of `rows`."""

    kind: Kind
    read: Callable[[Sheet], Iterator[Row]] = field(repr=False)
    encoding: str = ""
    """As detected or as told: a key of `ENCODINGS`. Empty for XLSX."""
    delimiter: str = ""
    sheets: tuple[str, ...] = ()
    """The names of all of an XLSX file's sheets, hidden ones too."""
    sheet: str = ""
    """The name of the one that is read."""
    hidden: tuple[str, ...] = ()
    """Those of `sheets` that a spreadsheet program does not show."""
    notes: list[str] = field(default_factory=list)
    """What somebody should know about what was read, complete after the last row."""

    def rows(self) -> Iterator[Row]:
        """The rows. One walk at a time: they share the stream. Raises Unreadable."""
        self.notes.clear()
        return self.read(self)


def repeated(headings: Sequence[str]) -> dict[str, tuple[int, ...]]:
    """Headings that name more than one column, as they would be compared, with the columns from 1."""
    found: dict[str, list[int]] = {}
    for column, heading in enumerate(headings, 1):
        if plain := " ".join(heading.split()).casefold():
            found.setdefault(plain, []).append(column)
    return {name: tuple(columns) for name, columns in found.items() if len(columns) > 1}
