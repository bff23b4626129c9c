"""Uploads that lie about what they are, numbers that mean two things, cells that would run."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.mtc.models import Process
from apps.mtc.services.audit import AuditedSession
from apps.mtc.services.bom import loading, numbers, preview
from apps.mtc.services.bom.parts import Problem, RowKind
from apps.mtc.services.errors import RejectedError
from apps.mtc.validators.import_validators import (
    ImportMapping,
    Role,
    UploadError,
    clean_filename,
    detect_delimiter,
    is_formula,
    parse_rows,
    validate_upload,
)

HEAD = "Qty,Component,Part number,Price each,Currency\n"


def problems(rows: str, head: str = HEAD) -> list[Problem]:
    return preview.suggest(head + rows).problems


@pytest.mark.requirement("S1-088")
@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty"),
        (b" \n\n", "empty"),
        (b"Qty,Part\n1,a\0b\n", "NUL"),
        (b"\x89PNG\r\n\x1a\n\x00\x00", "NUL"),
        (b"Qty,Part\n\x81\x8d\n", "not text"),
        (b"\xff\xfeQ\x00t\xd8", "not text"),
        (b'Qty,Part\n1,"never closed\n', "quotation mark is not closed"),
        (b'Qty,Part\n1,"a"b\n', "not CSV"),
        (b"Qty,Part\n1," + b"x" * 200_000, "field larger than field limit"),
        (b"Qty,Part\n" + b"," * 5_000, "more than 100 cells"),
        (b"Qty,Part\n" + b"1,bolt\n" * 5_000, "more than 5,000 rows"),
        (b"x" * (2 * 1024 * 1024 + 1), "larger than 2 MB"),
    ],
)
def test_what_is_no_table_of_text_is_refused_with_the_reason(data: bytes, reason: str) -> None:
    """What is no table of text is refused with the reason."""
    with pytest.raises(UploadError, match=reason):
        validate_upload("bom.csv", data)


@pytest.mark.requirement("S1-088")
@pytest.mark.parametrize("name", ["bom.xlsx", "bom.csv.exe", "bom", "", ".csv/../x", "a.php"])
def test_only_a_name_that_ends_in_csv_is_taken(name: str) -> None:
    """Only a name that ends in csv is taken."""
    with pytest.raises(UploadError, match=r"must end in \.csv"):
        validate_upload(name, b"Qty,Part\n1,bolt\n")


@pytest.mark.requirement("S1-088")
@pytest.mark.parametrize(
    "cell", ["=1+1", "@SUM(A1)", "+1+cmd|' /C calc'!A0", "-2+3", '=HYPERLINK("http://x")', "+A1", "-x"]
)
def test_a_cell_that_a_spreadsheet_would_run_makes_its_row_an_error(cell: str) -> None:
    """A cell that a spreadsheet would run makes its row an error."""
    quoted = cell.replace('"', '""')
    (problem,) = problems(f'1,bolt,"{quoted}",2,EUR\n')
    assert (problem.row, problem.column, problem.value) == (2, "Part number", cell)
    assert "does not begin with" in problem.accepted


@pytest.mark.parametrize("cell", ["+5V", "-12 V", "-40 °C", "-", "+3.3V", "1-2", "A=B", "a@b"])
def test_what_parts_are_really_called_is_no_formula(cell: str) -> None:
    """What parts are really called is no formula."""
    assert not is_formula(cell)


@pytest.mark.requirement("S1-088")
@pytest.mark.parametrize(
    ("row", "column", "accepted"),
    [
        (",bolt,M3,2,EUR", "Qty", "greater than 0"),
        ("0,bolt,M3,2,EUR", "Qty", "greater than 0"),
        ("-1,bolt,M3,2,EUR", "Qty", "greater than 0"),
        ("many,bolt,M3,2,EUR", "Qty", "greater than 0"),
        ("1e9,bolt,M3,2,EUR", "Qty", "greater than 0"),
        ("9999999,bolt,M3,2,EUR", "Qty", "at most 1,000,000"),
        ("1,,,2,EUR", "Component", "the name of a part"),
        ("1,bolt,M3,cheap,EUR", "Price each", "an amount such as"),
        ("1,bolt,M3,-2,EUR", "Price each", "an amount such as"),
        ("1,bolt,M3,2,euro", "Currency", "three letters"),
        ("1,bolt,M3,$2,EUR", "Currency", "one currency"),
        ("1,bolt,M3,2,EUR,more", "column 6", "the headings end at column 5"),
    ],
)
def test_an_error_names_row_column_value_and_what_is_accepted(row: str, column: str, accepted: str) -> None:
    """An error names row column value and what is accepted."""
    (problem,) = problems(f"4,nut,M3,1,EUR\n{row}\n")
    assert (problem.row, problem.column) == (3, column)
    assert accepted in problem.accepted


def test_a_row_whose_price_does_not_multiply_is_an_error() -> None:
    """A row whose price does not multiply is an error."""
    head = "Qty,Component,Price each,Line price\n"
    (problem,) = problems("3,bolt,2.50,8.00\n", head)
    assert problem.accepted == "7.50, which is 3 times 2.50"


def test_a_total_that_does_not_add_up_is_said_and_never_imported() -> None:
    """A total that does not add up is said and never imported."""
    found = preview.suggest("Qty,Component,Line price\n3,bolt,2.50\n,Total,9.00\n")
    (problem,) = found.problems
    assert (problem.value, problem.accepted) == ("9.00", "2.50, the sum of the rows above")
    assert len(found.parts) == 1


@pytest.mark.parametrize(("total", "per"), [("11.00", 1), ("6.00", 2)])
def test_the_total_decides_whether_a_cost_is_for_one_or_for_the_row(total: str, per: int) -> None:
    """The total decides whether a cost is for one or for the row."""
    second = "1,nut,5" if per == 1 else "3,nut,3"
    found = preview.suggest(f"Qty,Component,Cost\n2,bolt,3\n{second}\n,Total,{total}\n")
    price = found.parts[0].price
    assert price is not None
    assert (price.amount, price.per, found.problems) == (3, per, [])


def test_without_a_total_the_reading_of_a_cost_is_said() -> None:
    """Without a total the reading of a cost is said."""
    found = preview.suggest("Qty,Component,Cost\n2,bolt,3\n")
    assert any("correct it if it is not" in note for note in found.notes)


def test_every_wrong_cell_of_a_row_is_named_at_once() -> None:
    """Every wrong cell of a row is named at once."""
    assert [p.column for p in problems("x,bolt,M3,y,EUR\n")] == ["Qty", "Price each"]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
def test_the_same_text_in_every_accepted_encoding(encoding: str) -> None:
    """The same text in every accepted encoding."""
    text = HEAD + "1,Widerstand,4µ7 Ö,2,EUR\n"
    assert validate_upload("bom.csv", text.encode(encoding))[1] == text


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_the_delimiter_is_found(delimiter: str) -> None:
    """The delimiter is found."""
    text = HEAD.replace(",", delimiter) + delimiter.join(["1", "a b", "M3", "2", "EUR"])
    assert detect_delimiter(text) == delimiter


def test_headings_may_stand_below_a_title() -> None:
    """Headings may stand below a title."""
    found = preview.suggest("Bill of materials,,,,\n,,,,\n" + HEAD + "1,bolt,M3,2,EUR\n")
    assert (found.columns.row, len(found.parts)) == (3, 1)


def test_a_file_without_headings_says_which_are_understood() -> None:
    """A file without headings says which are understood."""
    with pytest.raises(UploadError, match="Quantity, Component, Part number"):
        preview.suggest("1,bolt\n2,nut\n")


def test_a_person_may_say_what_a_column_is() -> None:
    """A person may say what a column is."""
    text = "Qty,Zeug,Component\n2,M3,bolt\n"
    roles = [Role.QUANTITY, Role.VARIANT, Role.ITEM]
    assert preview.with_roles(text, roles).parts[0].variant == "M3"


@pytest.mark.parametrize(
    ("roles", "reason"),
    [([Role.QUANTITY], "2 columns, 1 were named"), ([Role.ITEM] * 2, "Only one column each")],
)
def test_columns_that_do_not_fit_are_refused(roles: list[Role], reason: str) -> None:
    """Columns that do not fit are refused."""
    with pytest.raises(UploadError, match=reason):
        preview.with_roles("Qty,Component\n2,bolt\n", roles)


@pytest.mark.parametrize(
    ("text", "sign", "value"),
    [
        ("1,234.50", None, "1234.50"),
        ("1.234,50", None, "1234.50"),
        ("1'234.50", None, "1234.50"),
        ("1.234.567", None, "1234567"),
        ("0,537", None, "0.537"),
        ("2.924", None, "2.924"),
        ("2.924", ",", "2924"),
        ("1,234", ".", "1234"),
        ("1,234", ",", "1.234"),
        ("4,2", None, "4.2"),
    ],
)
def test_numbers_as_people_write_them(text: str, sign: str | None, value: str) -> None:
    """Numbers as people write them."""
    assert numbers.read_number(text, sign) == Decimal(value)


@pytest.mark.parametrize("text", ["1,234", "1,23,4.5", "1.2.3", "", "x", "1e5", "٣", "1" * 30])
def test_a_number_that_could_be_two_or_is_none_is_refused(text: str) -> None:
    """A number that could be two or is none is refused."""
    with pytest.raises(ValueError, match=r"not a number|two different"):
        numbers.read_number(text, None)


@pytest.mark.parametrize(
    ("text", "amount", "currency"),
    [
        ("$42.53", "42.53", "USD"),
        ("4,20 €", "4.20", "EUR"),
        ("GBP 4.2", "4.2", "GBP"),
        ("£4.2", "4.2", "GBP"),
        ("7", "7", None),
    ],
)
def test_money_as_people_write_it(text: str, amount: str, currency: str | None) -> None:
    """Money as people write it."""
    assert numbers.read_money(text, None) == (Decimal(amount), currency)


@pytest.mark.parametrize(
    ("given_name", "shown"),
    [
        ("../../etc/bom.csv", "bom.csv"),
        ("C:\\tmp\\bom.csv", "bom.csv"),
        ("bo\x00m\u202e.csv", "bom.csv"),
        ("x" * 300 + ".csv", "x" * 80 + ".csv"),
    ],
)
def test_a_file_name_is_only_ever_shown(given_name: str, shown: str) -> None:
    """A file name is only ever shown."""
    assert clean_filename(given_name) == shown


def mapping(text: str, **more: object) -> ImportMapping:
    roles = list(preview.suggest(text).columns.roles)
    values = {"process_name": "P", "currency": "EUR", "valid_from": date(2026, 1, 1), **more}
    return ImportMapping(roles=roles, **values)  # type: ignore[arg-type]


def test_rows_with_errors_are_left_out_only_if_somebody_agrees(session: AuditedSession) -> None:
    """Rows with errors are left out only if somebody agrees."""
    text = HEAD + "1,bolt,M3,2,EUR\nx,nut,M3,1,EUR\n"
    read = preview.suggest(text)
    with pytest.raises(RejectedError, match="Some rows have errors"):
        loading.load(session, read, mapping(text), source="bom.csv")
    outcome = loading.load(session, read, mapping(text, skip_errors=True), source="bom.csv")
    assert (outcome.parts, outcome.skipped) == (1, 1)


def test_a_process_of_the_same_name_is_not_overwritten(session: AuditedSession) -> None:
    """A process of the same name is not overwritten."""
    text = HEAD + "1,bolt,M3,2,EUR\n"
    read = preview.suggest(text)
    loading.load(session, read, mapping(text), source="bom.csv")
    with pytest.raises(RejectedError, match="already a process"):
        loading.load(session, read, mapping(text), source="bom.csv")
    assert session.query(Process).count() == 1


@pytest.mark.requirement("S1-088")
@given(st.binary(max_size=400))
def test_any_bytes_give_rows_or_a_clear_refusal(data: bytes) -> None:
    """Any bytes give rows or a clear refusal."""
    try:
        _, text = validate_upload("bom.csv", data)
        found = preview.suggest(text)
    except UploadError as error:
        assert str(error).endswith(".")
    else:
        assert found.rows


words = st.sampled_from(["1", "Total", "4,20", "$3", "=1", "", "R1 R2", "bolt", "\u202e", '"', "é"])
cells = st.one_of(words, st.text(max_size=12))


@given(st.lists(st.lists(cells, min_size=1, max_size=6), max_size=8), st.sampled_from([",", ";"]))
def test_any_rows_below_headings_are_classified_or_refused(rows: list[list[str]], delimiter: str) -> None:
    """Any rows below headings are classified or refused."""
    head = delimiter.join(["Qty", "Component", "Refs", "Price", "Cost"])
    text = "\n".join([head, *(delimiter.join(row) for row in rows)])
    try:
        found = preview.suggest(text)
    except UploadError:
        return
    for row in found.rows:
        assert (row.kind is RowKind.PART) == (row.part is not None)
        assert row.kind is not RowKind.ERROR or row.problems


@given(st.text(max_size=300))
def test_parsing_any_text_never_raises_anything_else(text: str) -> None:
    """Parsing any text never raises anything else."""
    try:
        parse_rows(text)
    except UploadError:
        return
