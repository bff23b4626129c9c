"""No cell runs, and every text comes back."""

from __future__ import annotations

import csv
import io
from datetime import date, datetime, time
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bylaw.spreadsheet import cell, line, opened, uncell, write_csv

BEGINNINGS = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
awkward = st.text(alphabet="'=+-@\t\r\n;,|\" a\u00a0\ufeff\u200b\uff1d\uff20", max_size=12)
plain = st.text(alphabet=st.characters(exclude_categories=("Cs",), exclude_characters="\0"), max_size=12)
texts = st.one_of(awkward, plain)
tables = st.lists(st.lists(texts, min_size=1, max_size=4), max_size=6)


@pytest.mark.requirement("S1-088")
@pytest.mark.parametrize("start", BEGINNINGS)
@pytest.mark.parametrize("before", ["", " ", "\u00a0", "\ufeff", "\u200b"])
def test_a160_a_text_that_would_run_is_guarded(start: str, before: str) -> None:
    """Somebody names a note `=HYPERLINK(…)`: the administrator who opens the export reads it."""
    text = f"{before}{start}cmd|' /C calc'!A0"
    assert cell(text).startswith("'")
    assert uncell(cell(text)) == text


@pytest.mark.requirement("S1-088")
@pytest.mark.parametrize("between", [";", "\n", "\r\n", "\t", "; "])
def test_a160_a_text_that_runs_where_semicolons_part_cells(between: str) -> None:
    """Excel in Germany parts the line at a semicolon, in quotation marks or not: what follows would run
    there, so that it is guarded as well."""
    text = f"M4 screw{between}=1+1"
    written = line(["1", text, "x"])
    parted = [each for row in written.splitlines() for each in row.replace("\t", ";").split(";")]
    assert not [each for each in parted if each.strip().startswith("=")], parted
    assert uncell(cell(text)) == text


def test_numbers_that_are_numbers_stay_numbers() -> None:
    """A number is no text: -5 is written as it is, the text "-5" is not calculated with."""
    assert [cell(each) for each in (-5, -2.5, Decimal("-0.10"), 10**20)] == [
        "-5",
        "-2.5",
        "-0.10",
        "100000000000000000000",
    ]
    assert cell("-5") == "'-5"
    assert cell(float("-inf")) == "'-inf"
    assert cell(Decimal("1e400")) == "1E+400"


def test_what_is_no_text_is_written_as_iso_8601_has_it() -> None:
    """Dates, times, truth and nothing have one form."""
    moment = datetime(2024, 5, 1, 10, 30)  # noqa: DTZ001 - a moment without a zone is what is written
    assert [cell(each) for each in (None, True, False, date(2024, 5, 1), moment, time(3, 4))] == [
        "",
        "true",
        "false",
        "2024-05-01",
        "2024-05-01 10:30:00",
        "03:04:00",
    ]


@pytest.mark.parametrize("text", ["", "a=b", "x@y", "'", "''", "it's", "O'Brien; x", "'tis", "a\nb", "a; b"])
def test_ordinary_texts_stay_as_they_are(text: str) -> None:
    """Nobody's name gets an apostrophe without need."""
    assert cell(text) == text == uncell(text)


@pytest.mark.requirement("S1-088")
@settings(max_examples=400)
@given(texts)
def test_every_text_comes_back(text: str) -> None:
    """`uncell(cell(x)) == x`, for texts that begin with apostrophes or look guarded already, too."""
    assert uncell(cell(text)) == text
    assert not cell(text).startswith(BEGINNINGS)


@settings(max_examples=150)
@given(tables, st.booleans())
def test_a_table_comes_back_through_the_reader(rows: list[list[str]], bom: bool) -> None:
    """What is exported is imported as it was, whatever stands in it: separators, quotes, line breaks, marks.
    The reader finds out encoding and separator by itself."""
    data = b"".join(write_csv(rows, bom=bom))
    if not rows:
        return
    sheet = opened(io.BytesIO(data), "csv")
    assert (sheet.encoding, sheet.delimiter) == ("utf-8", ",")
    assert [list(row.cells) for row in sheet.rows()] == rows


@settings(max_examples=100)
@given(tables)
def test_a_table_is_csv_to_others(rows: list[list[str]]) -> None:
    """Python's own reader sees the same cells, guarded (RFC 4180)."""
    text = b"".join(write_csv(rows)).decode()
    assert [list(map(uncell, row)) for row in csv.reader(io.StringIO(text, newline=""))] == rows


def test_what_is_no_text_at_all_does_not_stop_an_export() -> None:
    """Half of a surrogate pair and NUL, which no file can hold, become U+FFFD."""
    assert (
        b"".join(write_csv([["a\ud800b", "c\0d", "\U0001f600"]])).decode()
        == "a\ufffdb,c\ufffdd,\U0001f600\r\n"
    )


def test_an_export_leaves_in_pieces() -> None:
    """A hundred thousand rows are never together in memory."""
    rows = ([number, "text"] for number in range(20_000))
    first = next(pieces := write_csv(rows))
    assert 60_000 < len(first) < 80_000
    assert next(rows)[0] < 8_000
    pieces.close()  # type: ignore[attr-defined]
