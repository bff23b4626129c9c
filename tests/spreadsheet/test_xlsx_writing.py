"""XLSX that leaves: types as they are, texts as texts, no formula, in bounded memory."""

from __future__ import annotations

import io
import zipfile
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from itertools import count

import openpyxl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bylaw.content import Limits, examine
from bylaw.errors import MisuseError
from bylaw.spreadsheet import opened, write_xlsx

texts = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0"), max_size=10)


def written(rows, columns=("a",), **options) -> io.BytesIO:
    return io.BytesIO(b"".join(write_xlsx(rows, columns, **options)))


@pytest.mark.requirement("S1-088")
@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "'="])
def test_a160_a_text_is_a_text(start: str) -> None:
    """Somebody names a note `=1+1`: the cell is of the type text and formatted as text, so that it stays one
    when it is edited; the number beside it is a number."""
    out = written([[f"{start}1+1", -5]], (f"{start}head", "n"))
    sheet = openpyxl.load_workbook(out).active
    assert [(cell.data_type, cell.number_format) for cell in sheet["A"]] == [("s", "@"), ("s", "@")]
    assert sheet["B2"].value == -5
    assert b"<f" not in zipfile.ZipFile(out).read("xl/worksheets/sheet1.xml")
    assert list(opened(out, "xlsx").rows())[1].cells == (f"{start}1+1", "-5")


def test_types_stay_types() -> None:
    """Numbers, dates, times, spans and truth are such to another program; what it could not keep is text."""
    moment = datetime(2024, 5, 1, 10, 30, 5)  # noqa: DTZ001 - spreadsheets know no zones
    row = [1, 2.5, Decimal("42.5"), True, None, moment.date(), moment, time(3, 4, 5), timedelta(hours=26)]
    out = written([row], [str(n) for n in range(9)])
    sheet = openpyxl.load_workbook(out).active
    midnight = datetime(2024, 5, 1)  # noqa: DTZ001 - (as above)
    assert [cell.value for cell in sheet[2]] == [*row[:5], midnight, *row[6:]]
    kept = [
        10**20,
        Decimal("0.12345678901234567"),
        float("inf"),
        date(1850, 1, 1),
        moment.replace(tzinfo=UTC),
    ]
    assert [row.cells for row in opened(written([kept]), "xlsx").rows()][1] == (
        "100000000000000000000",
        "0.12345678901234567",
        "inf",
        "1850-01-01",
        "2024-05-01 10:30:05",
    )


@settings(max_examples=100, deadline=None)
@given(st.lists(st.lists(texts, min_size=1, max_size=3), max_size=4))
def test_every_text_comes_back(rows: list[list[str]]) -> None:
    """Control characters, markup, spaces and escapes that are none, through the reader."""
    out = written(rows, ["head"])
    wanted = [tuple("".join(f"{cell}\x00" for cell in row).rstrip("\x00").split("\x00")) for row in rows]
    found = {row.number: row.cells for row in opened(out, "xlsx").rows()}
    assert [found.get(number, ("",)) for number in range(2, len(rows) + 2)] == [
        each if any(each) else ("",) for each in wanted
    ]
    openpyxl.load_workbook(out)


def test_what_is_no_text_does_not_stop_an_export() -> None:
    """Half of a surrogate pair, NUL, no character at all; and a text longer than a cell may be says so."""
    out = written([["a\ud800b\0c\ufffe]]>&<"], ["x" * 40_000]])
    first, second = (each.cells[0] for each in list(opened(out, "xlsx").rows())[1:])
    assert first == "a\ufffdb\ufffdc\ufffe]]>&<"
    assert (len(second), second.endswith("… (40,000 characters)")) == (32_767, True)


def test_more_rows_than_a_sheet_has_go_on_with_the_next() -> None:
    """Each with the headings, under a name that spreadsheet programs accept."""
    out = written(([n] for n in range(25)), ["n"], title="'lots/of: [it] " + "x" * 40, rows_of_a_sheet=11)
    made = openpyxl.load_workbook(out)
    assert [sheet.max_row for sheet in made] == [11, 11, 6]
    assert [sheet["A1"].value for sheet in made] == ["n", "n", "n"]
    assert all(len(name) <= 31 and not set(name) & set("[]:*?/\\") for name in made.sheetnames)
    assert made.sheetnames[1].endswith(" (2)")


def test_an_empty_table_has_its_headings() -> None:
    """And one without any is a file all the same."""
    assert [row.cells for row in opened(written([], ["a", "b"]), "xlsx").rows()] == [("a", "b")]
    assert openpyxl.load_workbook(written([], [])).sheetnames == ["Table"]


def test_more_columns_than_there_are_is_the_callers_mistake() -> None:
    """A spreadsheet program would take the file for damaged."""
    with pytest.raises(MisuseError, match="16,384 columns"):
        next(write_xlsx([], ["x"] * 16_385))


def test_an_export_leaves_in_pieces() -> None:
    """The first piece is there long before the last row is."""
    asked = count()
    pieces = write_xlsx(([next(asked), "text"] for _ in range(100_000)), ["n", "t"])
    assert len(next(pieces)) > 0
    assert next(asked) < 1_000
    pieces.close()  # type: ignore[attr-defined]


@pytest.mark.requirement("C-29")
def test_what_leaves_may_be_uploaded() -> None:
    """The strict check of uploads accepts our own files, and finds no macro, link or entity in them."""
    examine(written([["=1+1", 2]], ["a", "b"]), "xlsx", Limits())
