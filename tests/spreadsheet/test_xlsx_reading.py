"""XLSX is read as somebody sees it, and nothing in it is evaluated, followed or believed."""

from __future__ import annotations

import datetime
import io
import time
import zipfile

import openpyxl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bylaw.spreadsheet import Limits, Sheet, Unreadable, opened
from tests.spreadsheet.books import MAIN, OFFICE, PACKAGE, book, packed, styled


def read(stream: io.BytesIO, **options) -> Sheet:
    return opened(stream, "xlsx", **options)


def cells(stream: io.BytesIO, **options) -> list[tuple[str, ...]]:
    return [row.cells for row in read(stream, **options).rows()]


def refused(stream: io.BytesIO, **options) -> Unreadable:
    started = time.process_time()
    with pytest.raises(Unreadable) as found:
        for _ in read(stream, **options).rows():
            pass
    assert time.process_time() - started < 5
    return found.value


def row(cell: str, number: int = 1) -> str:
    return f'<row r="{number}">{cell}</row>'


def test_a_file_of_another_program_is_read() -> None:
    """What openpyxl writes: text, numbers, truth, dates, several sheets, one of them hidden."""
    made = openpyxl.Workbook()
    sheet = made.active
    sheet.title = "Parts"
    sheet.append(["name", None, "qty", "ok"])
    sheet.append(["½ Zoll", None, 2.5, True])
    sheet.append([datetime.date(2024, 5, 1), datetime.datetime(2024, 5, 1, 10, 30)])  # noqa: DTZ001 - Excel's
    sheet.append([datetime.time(3, 4, 5), datetime.timedelta(hours=26)])
    made.create_sheet("Old").sheet_state = "hidden"
    made["Old"].append(["secret"])
    out = io.BytesIO()
    made.save(out)
    found = read(out)
    assert (found.sheets, found.sheet, found.hidden) == (("Parts", "Old"), "Parts", ("Old",))
    assert [each.cells for each in found.rows()] == [
        ("name", "", "qty", "ok"),
        ("½ Zoll", "", "2.5", "true"),
        ("2024-05-01", "2024-05-01 10:30:00"),
        ("03:04:05", "26:00:00"),
    ]
    assert cells(out, sheet="Old") == [("secret",)]
    assert "it has Parts, Old" in refused(out, sheet="Nowhere").detail


@pytest.mark.parametrize(
    ("form", "stored", "seen"),
    [
        ("General", "42.530000000000001", "42.53"),
        ("General", "0.30000000000000004", "0.3"),
        ("General", "-5", "-5"),
        ("General", "1E-3", "0.001"),
        ("General", "12345678901234567890", "12345678901234567890"),
        ("0.00", "1234.5678", "1234.5678"),
        ("#,##0.00", "1234.5", "1234.5"),
        ("0%", "0.125", "12.5%"),
        ("&quot;%&quot;0", "3", "3"),
        ("&quot;$&quot;#,##0.00", "42.53", "$42.53"),
        ("[$€-407] #,##0.00;[Red]-[$€-407] #,##0.00", "-42.53", "-€42.53"),
        ("#,##0.00 [$CHF]", "3.1", "3.1 CHF"),
        ("[$R$-416]\\ #,##0.00", "3.1", "3.1 R$"),
        ("#,##0.00\\ [$Lei-418]", "3.1", "3.1 Lei"),
        ("&quot;NT$&quot;#,##0.00", "3.1", "3.1 NT$"),
        ("[$-409]#,##0.00", "3.1", "3.1"),
        ("#,##0.00\\ &quot;USD&quot;", "3.1", "3.1 USD"),
        ("0 &quot;pcs&quot;", "3", "3"),
        ("00000", "123", "00123"),
        ("00000", "-7", "-0007"),
        ("00", "1.5", "1.5"),
        ("yyyy-mm-dd", "45413", "2024-05-01"),
        ("d/m/yy", "45413.5", "2024-05-01 12:00:00"),
        ("[$-407]d. mmmm yyyy;@", "45413", "2024-05-01"),
        ("h:mm", "0.5", "12:00:00"),
        ("h:mm", "45413.5", "12:00:00"),
        ("[h]:mm:ss", "1.5", "36:00:00"),
        ("yyyy-mm-dd", "-7", "-7"),
        ("yyyy-mm-dd", "99999999", "99999999"),
    ],
)
def test_a_number_is_what_somebody_sees(form: str, stored: str, seen: str) -> None:
    """By its format, but not rounded; a currency is kept, since dollars are no euros."""
    made = book(row(f'<c r="A1" s="1"><v>{stored}</v></c>'), styles=styled(form))
    assert cells(made) == [(seen,)]


def test_dates_of_the_other_calendar() -> None:
    """Old Macintosh files count from 1904."""
    workbook = (
        f'<workbook xmlns="{MAIN}" xmlns:r="{OFFICE}"><workbookPr date1904="1"/><sheets>'
        '<sheet name="Parts" sheetId="1" r:id="rId1"/></sheets></workbook>'
    )
    made = book(row('<c s="1"><v>43951</v></c>'), styles=styled("yyyy-mm-dd"), xl_workbook_xml=workbook)
    assert cells(made) == [("2024-05-01",)]


@pytest.mark.requirement("S1-088")
def test_formulas_are_not_evaluated() -> None:
    """The value that the writing program saw is read; without one the formula is named, and no number."""
    found = read(
        book(
            row(
                '<c r="A1"><f>1+1</f><v>2</v></c><c r="B1" t="str"><f>A1&amp;"x"</f><v>2x</v></c>'
                '<c r="C1"><f>WEBSERVICE("http://evil.example")</f></c>'
                '<c r="D1" t="e"><f>1/0</f><v>#DIV/0!</v></c>'
                '<c r="E1" t="str"><f>""</f><v></v></c><c r="F1" t="b"><v>0</v></c>'
            )
        )
    )
    assert [each.cells for each in found.rows()] == [
        ("2", "2x", '=WEBSERVICE("http://evil.example")', "#DIV/0!", "", "false")
    ]
    assert found.notes == [
        "Formulas without a stored value, read as text: 1 (the first: C1).",
        "Errors of formulas, read as text: 1 (the first: D1).",
    ]


def test_merged_and_hidden_cells_are_told() -> None:
    """The text of merged cells is in the first one; what a filter hides is read, and both are said."""
    found = read(
        book(
            row('<c r="A1"><v>1</v></c>') + '<row r="2" hidden="1"><c r="A2"><v>2</v></c></row>',
            after='<mergeCells count="1"><mergeCell ref="A1:C1"/></mergeCells>',
        )
    )
    assert [each.cells for each in found.rows()] == [("1",), ("2",)]
    assert found.notes == [
        "Merged cells, whose text is in the first one alone: 1 (the first: A1:C1).",
        "Rows that the file hides, read as well: 1 (the first: row 2).",
    ]
    list(found.rows())
    assert len(found.notes) == 2


def test_texts_are_what_the_writer_meant() -> None:
    """Shared, in place, in several pieces, escaped; the reading of a Japanese word is not part of it."""
    strings = (
        '<si><t xml:space="preserve"> a </t></si><si><r><t>rich </t></r><r><t>text</t></r></si>'
        '<si><t>漢字</t><rPh sb="0" eb="2"><t>カンジ</t></rPh></si>'
        "<si><t>a_x000D_b _x005F_x000D_</t></si><si/>"
    )
    made = book(
        row(
            "".join(f'<c t="s"><v>{n}</v></c>' for n in range(5))
            + '<c t="inlineStr"><is><t>=1+1</t></is></c>'
        ),
        strings=strings,
    )
    assert cells(made) == [(" a ", "rich text", "漢字", "a\rb _x000D_", "", "=1+1")]


def test_rows_keep_their_numbers_and_blank_ones_are_left_out() -> None:
    """As somebody sees them at the left of the sheet, where half a million coloured rows are nothing."""
    coloured = "".join(f'<row r="{n}"><c r="A{n}" s="1"/></row>' for n in range(5, 5_000))
    made = book(row("<c><v>1</v></c>") + row("<c><v>2</v></c>", 4) + coloured)
    found = list(read(made, limits=Limits(rows=2)).rows())
    assert [(each.number, each.cells) for each in found] == [(1, ("1",)), (4, ("2",))]


@pytest.mark.requirement("S1-088", "C-29")
def test_a162_a_sheet_that_claims_to_be_endless_is_as_large_as_it_is() -> None:
    """`A1:XFD1048576` in the dimension, one cell in the last row: seventeen thousand million cells that
    are not there cost nothing."""
    sheet = (
        f'<worksheet xmlns="{MAIN}"><dimension ref="A1:XFD1048576"/><sheetData>'
        '<row r="1"><c r="A1"><v>1</v></c><c r="XFD1" s="1"/></row>'
        '<row r="1048576"><c r="A1048576"><v>2</v></c></row></sheetData></worksheet>'
    )
    started = time.process_time()
    assert cells(book("", xl_worksheets_sheet1_xml=sheet)) == [("1",), ("2",)]
    assert time.process_time() - started < 1


DTD = '<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b SYSTEM "file:///etc/passwd">]>'
LONG = "<c><v>1</v></c>" * 501


@pytest.mark.requirement("S1-088", "C-29")
@pytest.mark.parametrize(
    ("made", "said"),
    [
        (book("", xl_worksheets_sheet1_xml=f'{DTD}<worksheet xmlns="{MAIN}">&b;</worksheet>'), "entities"),
        (book("", xl_workbook_xml=f'{DTD}<workbook xmlns="{MAIN}"/>'), "entities"),
        (book("", xl_sharedStrings_xml=f'{DTD}<sst xmlns="{MAIN}">&a;</sst>'), "entities"),
        (book("", xl_styles_xml=DTD + "<styleSheet/>"), "entities"),
        (book("<row><c>"), "not well-formed"),
        (book(row("<c><v>x</v></c>")), "A1 is marked as a number"),
        (book(row("<c><v>1e999999999</v></c>")), "A1 is marked as a number"),
        (book(row('<c t="s"><v>7</v></c>')), "A1 names a text"),
        (book(row('<c t="s"><v>-1</v></c>')), "A1 names a text"),
        (book(row('<c r="B1"><v>1</v></c><c r="A1"><v>1</v></c>')), "not in order"),
        (book(row("<c><v>1</v></c>", 2) + row("<c><v>1</v></c>", 2)), "not in order"),
        (book(row("<c><v>1</v></c>", 1_048_577)), "not in order"),
        (book(row(LONG)), "column 501"),
        (book(row('<c r="XFE1"><v>1</v></c>')), "not in order"),
        (book(row(f'<c t="inlineStr"><is><t>{"x" * 40_000}</t></is></c>')), "longer than 32,767"),
        (book(row(f'<c t="str"><v>{"x&#10;" * 40_000}</v></c>')), "longer than 32,767"),
        # What follows is broken XML: these are refused before they are read to their end.
        (book(row('<c t="inlineStr"><is>' + "<t>ab</t>" * 20_000 + "</oops>")), "longer than 32,767"),
        (book("", strings="<si>" + "<r><t>ab</t></r>" * 20_000 + "</oops>"), "longer than 32,767"),
        (book("<a>" * 100), "within elements"),
        (book("", styles="<a>" * 100), "within elements"),
        (book(row('<c t="inlineStr"><is><t>_x0000_</t></is></c>')), "NUL"),
        (book(row(f'<c r="{"A" * 3_000_000}"/>')), "more than a megabyte"),
        (book("", xl_workbook_xml=""), "names no workbook"),
        (book("", xl_worksheets_sheet1_xml=""), "no sheet"),
        (packed({"a.txt": "x"}), "no whole XLSX"),
        (packed({}), "no whole XLSX"),
        (packed({str(n): "" for n in range(2_001)}), "2,000 members"),
        (io.BytesIO(b"PK\x03\x04" + b"\0" * 100), "no whole XLSX"),
        (io.BytesIO(b"name,qty\n"), "no whole XLSX"),
        (io.BytesIO(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 600), "password"),
    ],
)
def test_a162_a_workbook_that_is_none_is_refused(made: io.BytesIO, said: str) -> None:
    """Entities that read files or grow, broken XML, wrong references, cells and rows out of order or too
    large, texts of millions of pieces and elements without an end: refused with what is wrong, at once."""
    assert said in str(refused(made))


@pytest.mark.requirement("S1-088", "C-29")
def test_a162_what_is_too_much_is_refused_with_its_row() -> None:
    """Rows, cells, shared texts and what it unpacks to: each has an end."""
    ten = "".join(row("<c><v>1</v></c>" * 3, n) for n in range(1, 11))
    assert refused(book(ten), limits=Limits(rows=5)).row == 6
    assert refused(book(ten), limits=Limits(cells=10)).row == 4
    assert "unpacked" in refused(book(" " * 2**21), limits=Limits(unpacked=2**20)).detail
    assert "too many" in refused(book("", strings="<si/>" * 300), limits=Limits(strings=2_000)).detail
    assert (
        "too many"
        in refused(
            book("", strings="<si><t>" + "x" * 3_000 + "</t></si>"), limits=Limits(strings=2_000)
        ).detail
    )


def test_links_to_other_places_are_not_followed() -> None:
    """A sheet that lies elsewhere is no sheet; nothing is asked for outside of the file."""
    relations = (
        f'<Relationships xmlns="{PACKAGE}/relationships">'
        f'<Relationship Id="rId1" Type="{OFFICE}/worksheet" TargetMode="External" Target="http://evil.example/s"/>'
        f'<Relationship Id="rId4" Type="{OFFICE}/worksheet" Target="../../../../etc/passwd"/></Relationships>'
    )
    made = {
        each: zipfile.ZipFile(book(row("<c><v>1</v></c>"))).read(each)
        for each in ("[Content_Types].xml", "_rels/.rels", "xl/workbook.xml", "xl/worksheets/sheet1.xml")
    }
    assert "no sheet" in refused(packed({**made, "xl/_rels/workbook.xml.rels": relations})).detail


@settings(max_examples=120, deadline=None)
@given(st.data())
def test_a_damaged_workbook_is_rows_or_unreadable(data: st.DataObject) -> None:
    """Bytes of a good file changed, cut or put in: rows, or why not; no other error."""
    whole = bytearray(GOOD)
    for _ in range(data.draw(st.integers(1, 3))):
        start = data.draw(st.integers(0, len(whole) - 1))
        whole[start : start + data.draw(st.integers(0, 9))] = data.draw(st.binary(max_size=5))
    try:
        list(read(io.BytesIO(bytes(whole))).rows())
    except Unreadable as found:
        assert found.detail


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_a_sheet_of_odd_xml_is_rows_or_unreadable(data: st.DataObject) -> None:
    """The elements of a sheet in any order and depth, with odd values."""
    values = st.sampled_from(
        ["", "A1", "1", "-1", "s", "e", "d", "b", "n", "zz", "1e400", "nan", "٣", "_x0000_"]
    )
    names = st.sampled_from(["c", "v", "f", "t", "is", "row", "rPh", "mergeCell", "sheetData"])

    def element(depth: int) -> str:
        name = data.draw(names)
        given = "".join(f' {key}="{data.draw(values)}"' for key in data.draw(st.sets(st.sampled_from("rts"))))
        inner = element(depth - 1) if depth and data.draw(st.booleans()) else data.draw(values)
        return f"<{name}{given}>{inner}</{name}>"

    try:
        list(read(book("".join(element(4) for _ in range(4)), strings="<si><t>x</t></si>")).rows())
    except Unreadable as found:
        assert found.detail


GOOD = book(
    row('<c r="A1" t="s"><v>0</v></c><c r="B1" s="1"><v>45413</v></c>'),
    strings="<si><t>x</t></si>",
    styles=styled("yyyy-mm-dd"),
).getvalue()


def test_a_part_may_be_named_in_another_case() -> None:
    """Some programs name `sharedStrings.xml` and write `SharedStrings.xml`: to the format they are one."""
    made = {name: GOOD_PACKAGE.read(name) for name in GOOD_PACKAGE.namelist()}
    made["xl/SharedStrings.xml"] = made.pop("xl/sharedStrings.xml")
    assert cells(packed(made)) == [("x", "2024-05-01")]


@pytest.mark.requirement("C-29")
@pytest.mark.parametrize(
    ("member", "text"),
    [
        ("xl_workbook_xml", f'<workbook xmlns="{MAIN}">' + '<sheet name="a"/>' * 4_001 + "</workbook>"),
        ("xl_styles_xml", "<styleSheet><cellXfs>" + "<xf/>" * 65_537 + "</cellXfs></styleSheet>"),
    ],
)
def test_a162_more_sheets_or_styles_than_there_can_be(member: str, text: str) -> None:
    """What stands around the rows is bounded as well."""
    assert "than a spreadsheet program can have" in refused(book("", **{member: text})).detail


GOOD_PACKAGE = zipfile.ZipFile(io.BytesIO(GOOD))
