"""Tables in and out: CSV and XLSX, read in bounded memory, written so that nothing in them runs.

    with path.open("rb") as stream:
        sheet = opened(stream, "csv")
        for row in sheet.rows(): ...          # row.number, row.cells

Nothing is evaluated, followed or mended: a cell is text, as somebody who looks at the table sees it.
"""

from __future__ import annotations

from bylaw.spreadsheet.cells import cell, line, uncell
from bylaw.spreadsheet.csv_writing import write_csv
from bylaw.spreadsheet.delimiters import DELIMITERS
from bylaw.spreadsheet.encodings import ENCODINGS
from bylaw.spreadsheet.reading import opened
from bylaw.spreadsheet.tables import Kind, Limits, Row, Sheet, Unreadable, repeated
from bylaw.spreadsheet.xlsx_writing import write_xlsx

__all__ = [
    "DELIMITERS",
    "ENCODINGS",
    "Kind",
    "Limits",
    "Row",
    "Sheet",
    "Unreadable",
    "cell",
    "line",
    "opened",
    "repeated",
    "uncell",
    "write_csv",
    "write_xlsx",
]
