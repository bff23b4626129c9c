"""A whole bill of materials read: its parts under their headings, what was left out and why, and remarks.

All rows are held, 5,000 at most: which sign is the decimal one and what a column headed "Cost" pays for are
questions that only the whole file answers.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import NamedTuple

from pydantic import ValidationError

from apps.mtc.services.bom.columns import Columns, Line, normal
from apps.mtc.services.bom.parts import (
    FIRST_SECTION,
    UNNAMED_SUPPLIER,
    Entry,
    Extra,
    Found,
    Heading,
    Left,
    Remark,
    Total,
)
from apps.mtc.services.bom.reading import NUMBERS, decimal_sign, read_row
from apps.mtc.validators.import_validators import CENT, BomOptions, BomPart, CostIs
from apps.mtc.validators.places import expanded

MOST_ROWS = 5_000
_THOUSANDTHS = re.compile(r"[^0-9]*[1-9][0-9]{0,2}\.[0-9]{3}[^0-9]*")
_LOST_CHARACTER = re.compile(r"\ufffd|(?<=\s)\?(?=[A-Za-z])")
_SAID = {CostIs.ROW: "whole row", CostIs.PIECE: "single piece"}
_PIECE_HEADINGS = ("price", "preis", "prix")


class Cells(NamedTuple):
    """A row whose cells have no space but single ones between words."""

    number: int
    cells: tuple[str, ...]


class TooLongError(ValueError):
    """The file has more rows than a bill of materials may have."""


def arranged(rows: Iterable[Line], columns: Columns, options: BomOptions) -> Iterator[Found | Left | Remark]:
    """Every row below the headings once, in its order, and remarks on the whole before them.

    Raises `TooLongError`.
    """
    held, further = _held(rows, columns)
    sign = decimal_sign(held, columns)
    entries = [read_row(row, columns, sign, options) for row in held]
    entries, said = _costs_settled(entries, columns)
    said += _points(held, columns) if sign is None else []
    told = sorted([*_told(entries), *further], key=lambda entry: entry.row)
    yield from (Remark(text) for text in [*said, *_remarks(held, entries, columns, options)])
    yield from told


def _points(rows: Sequence[Cells], columns: Columns) -> list[str]:
    """Said where "1.234" is read as a little more than one and nothing in the file shows that it is."""
    cells = (columns.cell(row.cells, field) for row in rows for field in NUMBERS)
    said = "is read with a decimal point; nothing in the file shows that it has one."
    return [f"“{cell}” {said}" for cell in cells if _THOUSANDTHS.fullmatch(cell)][:1]


def _held(rows: Iterable[Line], columns: Columns) -> tuple[list[Cells], list[Left]]:
    """The rows, and those that only go on with the places of the row above: OrCAD breaks a long list so."""
    held: list[Cells] = []
    further: list[Left] = []
    at = columns.of("references")
    for count, line in enumerate(rows):
        if count == MOST_ROWS:
            raise TooLongError(f"A bill of materials has at most {MOST_ROWS:,} rows.")
        row = Cells(line.number, tuple(" ".join(cell.split()) for cell in line.cells))
        if at is not None and held and _goes_on(row, at) and any(held[-1].cells):
            above = held[-1].cells
            joined = f"{above[at].rstrip(', ')}, {row.cells[at]}" if at < len(above) else row.cells[at]
            held[-1] = Cells(held[-1].number, (*above[:at], joined, *above[at + 1 :]))
            further.append(Left(row.number, f"more places of row {held[-1].number}"))
        else:
            held.append(row)
    return held, further


def _goes_on(row: Cells, at: int) -> bool:
    filled = [index for index, cell in enumerate(row.cells) if cell]
    return filled == [at] and bool(expanded(row.cells[at]))


def _costs_settled(entries: Sequence[Entry], columns: Columns) -> tuple[list[Entry], list[str]]:
    """Decide by the file's own total whether a column headed "Cost" is per piece or per row."""
    index = columns.of("cost")
    if index is None:
        return list(entries), []
    heading = columns.headings[index]
    for meaning in (CostIs.ROW, CostIs.PIECE):
        tried = _meaning(entries, meaning)
        if _adds_up(tried):
            return tried, [f"“{heading}” is the price of the {_SAID[meaning]}: only so the total adds up."]
    meaning = CostIs.PIECE if normal(heading).startswith(_PIECE_HEADINGS) else CostIs.ROW
    assumed = f"“{heading}” is taken as the price of the {_SAID[meaning]}"
    words = f"{assumed}; if it is not, choose otherwise for its column."
    return _meaning(entries, meaning), [words]


def _meaning(entries: Sequence[Entry], meaning: CostIs) -> list[Entry]:
    return [
        replace(entry, values={**entry.values, "cost_is": meaning}) if isinstance(entry, Found) else entry
        for entry in entries
    ]


def _adds_up(entries: Sequence[Entry]) -> bool:
    verdicts = [
        words for entry, words in _checked(entries) if isinstance(entry, Total) and entry.amount is not None
    ]
    return bool(verdicts) and verdicts[-1].startswith("a total: ")


def _told(entries: Sequence[Entry]) -> Iterator[Found | Left]:
    """Entries as they are shown: each part in its section, everything else with why it is left out."""
    section = FIRST_SECTION
    filled = _headings_with_parts(entries)
    for entry, words in _checked(entries):
        match entry:
            case Found():
                yield replace(entry, values={**entry.values, "section": section})
            case Heading(row, text) if row in filled:
                section = text[:200]
                yield Left(row, f"a single text: the parts below it become the subprocess “{section}”")
            case Heading(row):
                yield Left(row, "a single text with no parts below it")
            case Left():
                yield entry
            case Total(row) | Extra(row):
                yield Left(row, words)


def _headings_with_parts(entries: Sequence[Entry]) -> set[int]:
    filled, last = set(), None
    for entry in entries:
        if isinstance(entry, Heading):
            last = entry.row
        elif isinstance(entry, Found) and last is not None:
            filled.add(last)
    return filled


def _checked(entries: Sequence[Entry]) -> Iterator[tuple[Entry, str]]:
    """Each entry; with a total, whether the rows above add up to it: all of them, or those of its part."""
    whole = here = Decimal(0)
    for entry in entries:
        words = ""
        if isinstance(entry, Found):
            cost = _cost(entry)
            whole, here = whole + cost, here + cost
        elif isinstance(entry, Extra):
            words = f"“{entry.name[:40]}” is no part: add it to the costs of the process"
            whole, here = whole + (entry.amount or 0), here + (entry.amount or 0)
        elif isinstance(entry, Heading):
            here = Decimal(0)
        elif isinstance(entry, Total):
            words = _verdict(entry, whole, here)
            here = Decimal(0)
        yield entry, words


def _verdict(total: Total, whole: Decimal, here: Decimal) -> str:
    if total.amount is None:
        said = "a formula, which is not evaluated" if total.formula else "it says no amount"
        if total.pieces is not None:
            said = f"{total.pieces:f} pieces"
        return f"a total, not imported: {said}"
    if min(abs(whole - total.amount), abs(here - total.amount)) <= CENT:
        return f"a total: {total.amount:f}, and the rows above add up to it"
    return f"a total that does not add up: it says {total.amount:f}, the rows above are {whole.normalize():f}"


def _cost(found: Found) -> Decimal:
    """What a row costs, whatever its currency; nothing where it is to be mended first."""
    try:
        part = BomPart.model_validate(found.values)
    except ValidationError:
        return Decimal(0)
    return part.price.line(part.quantity) if part.price else Decimal(0)


def _remarks(
    rows: Sequence[Line], entries: Sequence[Entry], columns: Columns, options: BomOptions
) -> Iterator[str]:
    if columns.of("quantity") is None:
        yield "There is no column of quantities: 1 is assumed, or the number of places named in a row."
    parts = [entry for entry in entries if isinstance(entry, Found)]
    yield from _price_remarks(parts, columns, options)
    shown = {entry.row for entry in parts}
    taken = [row for row in rows if row.number in shown]
    if any("$" in cell for row in taken for cell in row.cells) or "$" in "".join(columns.headings):
        yield "“$” is read as US dollars (USD)."
    lost = [str(row.number) for row in taken if any(_LOST_CHARACTER.search(cell) for cell in row.cells)]
    if lost:
        # A "?" before a letter is mostly a µ or Ω that another program could not write.
        yield f"A character seems to have been lost before the upload in rows {', '.join(lost[:20])}."
    for entry, words in _checked(entries):
        if isinstance(entry, Total) and "does not add up" in words:
            yield f"Row {entry.row} is {words}."


def _price_remarks(parts: Sequence[Found], columns: Columns, options: BomOptions) -> Iterator[str]:
    priced = [
        part for part in parts if any(field in part.values for field in ("unit_price", "line_price", "cost"))
    ]
    if not priced:
        yield "There are no prices in this file: the parts are imported without."
        return
    found = {_currency(part) for part in priced}
    if "" in found:
        yield f"Some prices name no currency: {options.currency} is used for them."
    if any("supplier" not in part.values for part in priced):
        yield f"Prices without a supplier are recorded under “{UNNAMED_SUPPLIER}”."
    if columns.of("supplier") is None and any("url" in part.values for part in priced):
        yield "There is no column of suppliers: the host of the web address is taken."
    if len(found - {""}) > 1:
        yield f"There are prices in several currencies: {', '.join(sorted(found - {''}))}."


def _currency(part: Found) -> str:
    named = (
        str(part.values.get(field, "")).partition(" ")[2] for field in ("unit_price", "line_price", "cost")
    )
    code = str(part.values.get("currency", "")) or next((name for name in named if name), "")
    return code if re.fullmatch("[A-Z]{3}", code) else ""
