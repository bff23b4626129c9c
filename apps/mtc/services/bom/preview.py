"""A whole bill of materials read: its rows, its sections, and what a person should know first."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from apps.mtc.services.bom.columns import AMBIGUOUS_PRICES, Columns, find_columns, mapped, normal
from apps.mtc.services.bom.parts import (
    UNNAMED_SUPPLIER,
    Part,
    Problem,
    ReadRow,
    RowKind,
    sum_of,
)
from apps.mtc.services.bom.reading import CENT, decimal_sign, read_row
from apps.mtc.validators.import_validators import Role, Sheet, parse_rows

_LOST_CHARACTER = re.compile(r"\ufffd|(?<=\s)\?(?=[A-Za-z])")
FIRST_SECTION = "Parts"


@dataclass(frozen=True)
class Section:
    """A subprocess to be: the parts under one heading."""

    name: str
    parts: tuple[Part, ...]


@dataclass(frozen=True)
class Preview:
    columns: Columns
    rows: tuple[ReadRow, ...]
    notes: tuple[str, ...]
    delimiter: str

    @property
    def parts(self) -> list[Part]:
        return [row.part for row in self.rows if row.part is not None]

    @property
    def problems(self) -> list[Problem]:
        return [problem for row in self.rows for problem in row.problems]

    @property
    def sections(self) -> list[Section]:
        """The parts by the heading above them; a heading with nothing below is left out."""
        found: list[tuple[str, list[Part]]] = [(FIRST_SECTION, [])]
        for row in self.rows:
            if row.kind is RowKind.HEADING:
                found.append((next(cell for cell in row.cells if cell), []))
            elif row.part is not None:
                found[-1][1].append(row.part)
        return [Section(name, tuple(parts)) for name, parts in found if parts]

    def count(self, kind: RowKind) -> int:
        return sum(1 for row in self.rows if row.kind == kind)


def suggest(text: str) -> Preview:
    """Read a text with the columns found in it. Raises `UploadError`."""
    sheet = parse_rows(text)
    columns, note = settle_price(sheet, find_columns(sheet))
    return _preview(sheet, columns, [note] if note else [])


def with_roles(text: str, roles: Sequence[Role]) -> Preview:
    """Read a text with the columns that a person named. Raises `UploadError`."""
    sheet = parse_rows(text)
    return _preview(sheet, mapped(sheet, roles), [])


def settle_price(sheet: Sheet, columns: Columns) -> tuple[Columns, str | None]:
    """Decide by the file's own total whether a column headed "Cost" is per piece or per row."""
    here = columns.at(Role.LINE_PRICE), columns.at(Role.UNIT_PRICE)
    index = here[0] if here[0] is not None else here[1]
    if index is None or None not in here or normal(columns.headings[index]) not in AMBIGUOUS_PRICES:
        return columns, None
    heading = columns.headings[index]
    for role, words in ((Role.LINE_PRICE, "whole row"), (Role.UNIT_PRICE, "single piece")):
        tried = Columns(columns.row, columns.headings, _with(columns.roles, index, role))
        if _adds_up(sheet, tried):
            return tried, f"“{heading}” is the price of the {words}: only so the total adds up."
    words = "whole row" if here[0] is not None else "single piece"
    return columns, f"“{heading}” is taken as the price of the {words}; correct it if it is not."


def _adds_up(sheet: Sheet, columns: Columns) -> bool:
    sign = decimal_sign(sheet, columns)
    rows = [read_row(row, columns, sign) for row in sheet.rows]
    totals = [row.total for row in rows if row.total is not None]
    found = sum_of(row.part for row in rows if row.part)
    return bool(totals) and abs(totals[-1] - found) <= CENT


def _with(roles: Sequence[Role], index: int, role: Role) -> tuple[Role, ...]:
    return (*roles[:index], role, *roles[index + 1 :])


def _preview(sheet: Sheet, columns: Columns, notes: list[str]) -> Preview:
    sign = decimal_sign(sheet, columns)
    rows = tuple(_checked_totals([read_row(row, columns, sign) for row in sheet.rows]))
    notes = [*notes, *_quantity_notes(columns), *_price_notes(rows, columns), *_lost(rows)]
    return Preview(columns, rows, tuple(notes), sheet.delimiter)


def _checked_totals(rows: Sequence[ReadRow]) -> list[ReadRow]:
    """Each total compared with the sum of the rows above it."""
    checked: list[ReadRow] = []
    for row in rows:
        checked.append(row)
        if row.kind is not RowKind.TOTAL or row.total is None:
            continue
        above = [other.part for other in checked if other.part is not None]
        found = sum_of(above)
        if abs(found - row.total) <= CENT:
            checked[-1] = replace(row, why=f"the total, {row.total:f}: the rows above add up to it")
        else:
            accepted = f"{found:f}, the sum of the rows above"
            problem = Problem(row.number, "total", f"{row.total:f}", accepted)
            checked[-1] = replace(row, why="a total that does not add up", problems=(problem,))
    return checked


def _quantity_notes(columns: Columns) -> list[str]:
    if columns.at(Role.QUANTITY) is not None:
        return []
    return ["There is no column of quantities: 1 is assumed, or the number of references in a row."]


def _price_notes(rows: Sequence[ReadRow], columns: Columns) -> list[str]:
    parts = [row.part for row in rows if row.part is not None]
    priced = [part for part in parts if part.price]
    if not priced:
        return ["There are no prices in this file: the parts are imported without."]
    notes = []
    currencies = {part.price.currency for part in priced if part.price}
    if "" in currencies:
        notes.append("Some prices name no currency: the one chosen below is used for them.")
    if any("$" in cell for row in rows if row.part for cell in row.cells):
        notes.append("“$” is read as US dollars (USD).")
    if any(not part.supplier for part in priced):
        notes.append(f"Prices without a supplier are recorded under “{UNNAMED_SUPPLIER}”.")
    if columns.at(Role.SUPPLIER) is None and any(part.url for part in priced):
        notes.append("There is no column of suppliers: the host of the web address is taken.")
    if len(currencies - {""}) > 1:
        names = ", ".join(sorted(currencies - {""}))
        notes.append(f"There are prices in several currencies: {names}.")
    return notes


def _lost(rows: Sequence[ReadRow]) -> list[str]:
    """A "?" before a letter is mostly a µ or Ω that another program could not write."""
    numbers = [
        str(row.number)
        for row in rows
        if row.part is not None and any(_LOST_CHARACTER.search(cell) for cell in row.cells)
    ]
    if not numbers:
        return []
    return [f"A character seems to have been lost before the upload in rows {', '.join(numbers)}."]
