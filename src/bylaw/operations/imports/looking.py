"""The first look at a table: how it is written, where its headings are, what its columns may mean."""

from __future__ import annotations

from itertools import islice
from typing import Any, Final

from sqlalchemy import Connection

from bylaw.controls import audit
from bylaw.controls.imports import UNREADABLE
from bylaw.house import House
from bylaw.operations.imports import columns as meaning
from bylaw.operations.imports import source
from bylaw.operations.imports.importers import Importer
from bylaw.reasons import Refused
from bylaw.spreadsheet import Row, Sheet, repeated
from bylaw.store import imports as store
from bylaw.store.imports import Import

_ROWS: Final = 40
_CELL: Final = 80
"""Rows and characters of a cell that are kept to be shown."""
_BELOW: Final = 8
"""Rows below the headings that are shown."""
_HEADING: Final = 120


def look(house: House, importer: Importer, row: Import, chosen: dict[str, Any]) -> dict[str, Any]:
    """What is seen of an import's file as it is to be read. Raises Refused."""
    with source.of_import(house, row, chosen) as sheet:
        with source.walked(sheet) as walk:
            rows = list(islice(walk, _ROWS))
        return _seen(importer, sheet, rows, int(chosen.get("row") or 0))


def _seen(importer: Importer, sheet: Sheet, rows: list[Row], wanted: int) -> dict[str, Any]:
    fields = importer.targets
    number = wanted
    if not number and importer.headings is not None:
        number = importer.headings(rows) or 0
    number = number or meaning.heading_row(rows, fields)
    found = next((row for row in rows if row.number == number), None)
    headings = [audit.printable(cell.strip(), _HEADING) for cell in found.cells] if found else []
    while headings and not headings[-1]:
        headings.pop()
    if not headings:
        raise Refused(UNREADABLE, detail=_no_headings(rows, wanted))
    below = [row for row in rows if row.number > number and not row.blank]
    if importer.suggest is not None:
        said = importer.suggest(tuple(headings), tuple(below))
        suggested = meaning.from_hook(said, len(headings), fields)
    else:
        suggested = meaning.suggested(headings, fields)
    return {
        "encoding": sheet.encoding,
        "delimiter": sheet.delimiter,
        "sheets": list(sheet.sheets)[:100],
        "sheet": sheet.sheet,
        "row": number,
        "headings": headings,
        "repeated": sorted(repeated(headings)),
        "suggested": suggested,
        "first": meaning.beginnings(rows, _ROWS, _CELL),
        "below": meaning.beginnings(below, _BELOW, _CELL),
    }


def _no_headings(rows: list[Row], wanted: int) -> str:
    if any(row.number == wanted for row in rows):
        return f"Row {wanted} has nothing in it; the headings must be in the row that is named."
    if wanted:
        return f"Row {wanted} is not among the first {_ROWS} rows; the headings must be."
    return "No row of it has anything in it." if not rows else "There is no row of headings."


def columns_for(connection: Connection, user_id: str, importer: str, seen: dict[str, Any]) -> list[str]:
    """What the columns mean: as this person said when such headings came before, else as suggested."""
    before = store.remembered(connection, user_id, importer, meaning.set_of(seen["headings"]))
    return before if len(before) == len(seen["headings"]) else list(seen["suggested"])
