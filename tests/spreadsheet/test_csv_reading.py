"""CSV of every kind is read as somebody would read it, or refused with the row and why."""

from __future__ import annotations

import codecs
import csv
import io
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bylaw.errors import MisuseError
from bylaw.spreadsheet import DELIMITERS, ENCODINGS, Limits, Sheet, Unreadable, opened, repeated

TEXT = "Größe;Preis\r\n½ Zoll;2,50 €\r\nL’été;<b>&amp %3D ' OR 1=1 --\r\n"
ROWS = [("Größe", "Preis"), ("½ Zoll", "2,50 €"), ("L’été", "<b>&amp %3D ' OR 1=1 --")]


def read(data: bytes, **options) -> Sheet:
    return opened(io.BytesIO(data), "csv", **options)


def cells(sheet: Sheet) -> list[tuple[str, ...]]:
    return [row.cells for row in sheet.rows()]


def refused(data: bytes, **options) -> Unreadable:
    started = time.process_time()
    with pytest.raises(Unreadable) as found:
        for _ in read(data, **options).rows():
            pass
    assert time.process_time() - started < 5
    return found.value


@pytest.mark.requirement("S1-087")
@pytest.mark.parametrize(
    ("mark", "codec", "name"),
    [
        (b"", "utf-8", "utf-8"),
        (codecs.BOM_UTF8, "utf-8", "utf-8"),
        (codecs.BOM_UTF16_LE, "utf-16-le", "utf-16-le"),
        (codecs.BOM_UTF16_BE, "utf-16-be", "utf-16-be"),
        (b"", "utf-16-le", "utf-16-le"),
        (b"", "utf-16-be", "utf-16-be"),
        (b"", "cp1252", "windows-1252"),
    ],
)
def test_a165_the_same_data_in_every_declared_encoding(mark: bytes, codec: str, name: str) -> None:
    """One table, seven files: each is decoded once, to the same text, in which nothing is decoded again."""
    sheet = read(mark + TEXT.encode(codec))
    assert (sheet.encoding, sheet.delimiter) == (name, ";")
    assert cells(sheet) == ROWS
    assert cells(sheet) == ROWS  # and again


@pytest.mark.requirement("S1-087")
def test_a165_utf_7_is_no_encoding() -> None:
    """Markup that is hidden in UTF-7 stays the letters that it is made of; nobody can name it either."""
    assert cells(read(b"a,b\r\n+ADw-script+AD4-,1\r\n"))[1] == ("+ADw-script+AD4-", "1")
    assert "accepted are utf-8" in refused(b"a,b\n", encoding="utf-7").detail
    assert "utf-7" not in ENCODINGS


@pytest.mark.requirement("S1-088")
@pytest.mark.parametrize(
    ("data", "line"),
    [
        (codecs.BOM_UTF8 + b"a,b\nx,\xff\n", 2),
        ("größer\nschöner\n".encode() + b"h\xf6her\n", 3),
        (b"a\nb\xc3(d\n", 2),
        (b"a\n\xff\xfe\n", 2),
        (b"a\n\xf5\x81\x81\n", 2),
        (codecs.BOM_UTF16_LE + "a\nb\n".encode("utf-16-le") + b"\x00\xd8", 3),
    ],
)
def test_a165_bytes_that_are_no_text_are_refused_with_their_line(data: bytes, line: int) -> None:
    """Broken UTF-8 is not read as something else and imported as rubbish: the line is named."""
    assert refused(data).detail.startswith(f"Line {line} holds bytes that are no ")


def test_an_encoding_that_somebody_names_is_the_one() -> None:
    """A file of an old program says nothing about itself; whoever has it knows."""
    assert cells(read("Łódź\n".encode("cp1250"), encoding="windows-1250")) == [("Łódź",)]
    assert "no UTF-16-LE" in refused(b"abc", encoding="utf-16-le").detail
    assert all(codecs.lookup(codec) for codec in ENCODINGS.values())


@pytest.mark.requirement("S1-087")
@pytest.mark.parametrize("delimiter", DELIMITERS)
def test_the_separator_is_found_by_what_the_rows_agree_on(delimiter: str) -> None:
    """Decimal commas and texts with other separators in them do not mislead."""
    rows = [("part", "price", "note"), ("bolt", "1.5", "short; thick"), ("nut", "2.25", "a | b, c")]
    out = io.StringIO(newline="")
    csv.writer(out, delimiter=delimiter).writerows(rows)
    sheet = read(out.getvalue().encode())
    assert (sheet.delimiter, cells(sheet)) == (delimiter, rows)


def test_a_comma_in_every_heading_and_number_separates_nothing() -> None:
    """Two columns of decimal commas below headings with a comma each: more commas than semicolons."""
    sheet = read(b"Teil, Nr;Preis, EUR\nA, 1;1,50\nB, 2;2,50\n")
    assert (sheet.delimiter, cells(sheet)[1]) == (";", ("A, 1", "1,50"))
    assert read(b"a,b\nx;y,1\nz;w,2\n").delimiter == ","


def test_excel_says_the_separator_in_the_first_line() -> None:
    """`sep=;` is no row; what it says wins over what the rows look like, and is overruled by whoever asks."""
    sheet = read(b"sep=;\r\na,x;b\r\n1;2\r\n")
    assert (sheet.delimiter, cells(sheet)) == (";", [("a,x", "b"), ("1", "2")])
    assert cells(read(b"sep=;\r\na,x;b\r\n", delimiter=",")) == [("a", "x;b")]
    assert "accepted are comma" in refused(b"a:b\n", delimiter=":").detail


@pytest.mark.requirement("S1-087")
def test_a165_line_ends_may_be_mixed_and_stand_in_cells() -> None:
    """Three systems' line ends in one file; a line break in quotation marks is part of the cell. Rows are
    counted as a spreadsheet program counts them, blank ones too."""
    sheet = read(b'a,b\r1,"x\r\ny"\r\n\r\n3,4\n5,6')
    assert [(row.number, row.cells) for row in sheet.rows()] == [
        (1, ("a", "b")),
        (2, ("1", "x\r\ny")),
        (3, ()),
        (4, ("3", "4")),
        (5, ("5", "6")),
    ]
    assert [row.blank for row in sheet.rows()] == [False, False, True, False, False]


def test_rows_may_be_ragged_and_headings_repeated() -> None:
    """Both are told, not mended."""
    sheet = read(b'Qty,Name,qty \n1,bolt\n2,nut,3,,extra\n"a ""quoted"" 3.5"" disk",5" floppy\n')
    head, short, wide, quoted = sheet.rows()
    assert repeated(head.cells) == {"qty": (1, 3)}
    assert (short.beyond(3), wide.beyond(3)) == ((), ("extra",))
    assert quoted.cells == ('a "quoted" 3.5" disk', '5" floppy')


@pytest.mark.requirement("S1-088")
@pytest.mark.parametrize(
    ("data", "row", "said"),
    [
        (b"", 0, "empty"),
        (b"\xef\xbb\xbf", 0, "empty"),
        (b'a,b\n1,"2\n3,4\n', 2, "not closed"),
        (b'a,b\n1,"2"3\n', 2, "closing quotation mark"),
        (b"a,b\n1,\0\n", 2, "NUL"),
        (b"a,b\n" + b"," * 100_000 + b"\n", 2, "100,001 cells"),
        (b'a,b\n1,"' + b"y" * 50_000_000, 2, "longer than 1,000,000"),
        (b"a,b\n1," + b"y" * 50_000_000, 2, "longer than 1,000,000"),
        (b"a,b\n1," + b"y" * 50_000 + b"\n", 2, "longer than 32,767"),
        (b'a,b\n1,"' + b"y\n" * 600_000, 2, "longer than"),
        (b"1\n" * 1_000_000, 200_001, "more than 200,000 rows"),
        (b"\n" * 1_000_000, 200_001, "more than 200,000 rows"),
        (b"1,2,3,4,5,6,7,8,9,0\n" * 100, 51, "more than 500 cells"),
    ],
)
def test_a162_a_table_that_eats_the_server_is_refused_with_its_row(data: bytes, row: int, said: str) -> None:
    """One field of 50 MB, an unclosed quote, a hundred thousand columns, millions of short rows, NUL."""
    limits = Limits(cells=500) if "cells" in said and row == 51 else Limits()
    found = refused(data, limits=limits)
    assert (found.row, said in found.detail) == (row, True), found


def test_what_was_read_before_a_fault_was_read() -> None:
    """Whoever imports all or nothing throws it away; whoever shows a preview can."""
    seen = []
    with pytest.raises(Unreadable, match="Row 3: "):
        for row in read(b'a\n1\n"2').rows():
            seen.append(row.cells)  # noqa: PERF401 - what was there before the fault counts
    assert seen == [("a",), ("1",)]


def test_a_stream_that_cannot_go_back_is_the_callers_mistake() -> None:
    """It would have to be held in memory as a whole."""

    class OneWay(io.BytesIO):
        def seekable(self) -> bool:
            return False

    with pytest.raises(MisuseError, match="temporary file"):
        opened(OneWay(b"a;b\n1;2\n"), "csv")


def test_the_stream_stays_open() -> None:
    """It is the caller's, who reads it again."""
    stream = io.BytesIO(b"a,b\n1,2\n")
    sheet = opened(stream, "csv")
    rows = sheet.rows()
    next(rows)
    rows.close()  # type: ignore[attr-defined]
    assert len(list(sheet.rows())) == 2
    assert not stream.closed


def test_another_kind_is_no_table() -> None:
    """Neither by mistake nor by a policy that allows it to be uploaded."""
    with pytest.raises(Unreadable):
        opened(io.BytesIO(b"x"), "pdf")  # type: ignore[arg-type]


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=200), st.sampled_from(["", *ENCODINGS]), st.sampled_from(["", *DELIMITERS]))
def test_any_bytes_are_rows_or_unreadable(data: bytes, encoding: str, delimiter: str) -> None:
    """Nothing else comes out: no other error, no text that could not be written again."""
    try:
        rows = list(read(data, encoding=encoding, delimiter=delimiter).rows())
    except Unreadable as found:
        assert found.detail
        return
    assert all("\0" not in text and text.encode() is not None for row in rows for text in row.cells)
