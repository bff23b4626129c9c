"""Rows that lie, numbers that mean two things, cells that would run."""

from __future__ import annotations

import io
from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from apps.mtc.models import Process
from apps.mtc.services.audit import AuditedSession
from apps.mtc.services.bom import arranging, loading
from apps.mtc.services.bom.bills import Bill, NoHeadingsError, Problem, read_bill
from apps.mtc.services.bom.columns import Columns
from apps.mtc.services.bom.parts import Found, Left, Remark
from apps.mtc.services.errors import RejectedError
from apps.mtc.validators import numbers
from apps.mtc.validators.cells import is_formula
from apps.mtc.validators.import_validators import BomOptions, BomPart, ItemRow, LotRow
from apps.mtc.validators.places import expanded
from bylaw.spreadsheet import Row, Unreadable

OPTIONS = BomOptions(process_name="P", currency="EUR", valid_from=date(2026, 1, 1))
HEAD = "Qty,Component,Part number,Price each,Currency\n"


def read(text: str) -> Bill:
    return read_bill(io.BytesIO(text.encode()), "csv", OPTIONS)


def problems(rows: str, head: str = HEAD) -> tuple[Problem, ...]:
    return read(head + rows).problems


@pytest.mark.requirement("S1-088")
@pytest.mark.parametrize(
    "cell",
    [
        "=1+1",
        "@SUM(A1)",
        "+1+cmd|' /C calc'!A0",
        "-2+3",
        '=HYPERLINK("http://x")',
        "+A1",
        "-x",
        "  =1",
        "\uff1d1+1",
        "\uff0b1+1",
        "\u00a0@A1",
    ],
)
def test_a_cell_that_a_spreadsheet_would_run_makes_its_row_an_error(cell: str) -> None:
    """A cell that a spreadsheet would run makes its row an error."""
    quoted = cell.replace('"', '""')
    (problem,) = problems(f'1,bolt,"{quoted}",2,EUR\n')
    assert (problem.row, problem.column) == (2, "variant")
    assert "does not begin with" in problem.accepted


@pytest.mark.requirement("S1-088")
@pytest.mark.parametrize("cell", ["+5V", "-12 V", "-40 °C", "-", "+3.3V", "1-2", "A=B", "a@b"])
def test_what_parts_are_really_called_is_no_formula(cell: str) -> None:
    """What parts are really called is no formula."""
    assert not is_formula(cell)


@pytest.mark.requirement("S1-088", "S1-089")
@pytest.mark.parametrize(
    ("row", "column", "accepted"),
    [
        (",bolt,M3,2,EUR", "quantity", "greater than 0"),
        ("0,bolt,M3,2,EUR", "quantity", "greater than 0"),
        ("-1,bolt,M3,2,EUR", "quantity", "greater than 0"),
        ("many,bolt,M3,2,EUR", "quantity", "greater than 0"),
        ("1e9,bolt,M3,2,EUR", "quantity", "greater than 0"),
        ("9999999,bolt,M3,2,EUR", "quantity", "at most 1,000,000"),
        ("0.0000001,bolt,M3,2,EUR", "quantity", "six decimal places"),
        ("1,,,2,EUR", "item", "not be empty"),
        ("1,bolt,M3,cheap,EUR", "unit_price", "an amount such as"),
        ("1,bolt,M3,-2,EUR", "unit_price", "an amount such as"),
        ('1,bolt,M3,"$1,234",USD', "unit_price", "1,234 could be two numbers: write 1234 or 1.234"),
        ('"1,000",bolt,M3,2,EUR', "quantity", "1,000 could be two numbers: write 1000 or 1.000"),
        ("1,bolt,M3,2,euro", "currency", "three letters"),
        ("1,bolt,M3,$2,EUR", "currency", "one currency"),
        ("1,bolt,M3,2,EUR,more", "beyond", "no heading stands above"),
        ("1,bolt,M\u202e3,2,EUR", "variant", "control characters"),
        (f"1,{'b' * 201},M3,2,EUR", "item", "at most 200 characters"),
    ],
)
def test_an_error_names_row_column_and_what_is_accepted(row: str, column: str, accepted: str) -> None:
    """An error names row, column and what is accepted."""
    (problem,) = problems(f"4,nut,M3,1,EUR\n{row}\n")
    assert (problem.row, problem.column) == (3, column)
    assert accepted in problem.accepted


@pytest.mark.requirement("S1-088")
def test_a_row_whose_price_does_not_multiply_is_an_error() -> None:
    """A row whose price does not multiply is an error; what rounding to cents has lost is none."""
    head = "Qty,Component,Price each,Line price\n"
    (problem,) = problems("3,bolt,2.50,8.00\n", head)
    assert problem.accepted == "Must be 7.50, which is 3 times 2.50"
    assert problems("1000,pin,0.01,12.34\n3,nut,2.5,7.50\n", head) == ()


@pytest.mark.requirement("S1-088")
def test_a_total_that_does_not_add_up_is_said_and_never_imported() -> None:
    """A total that does not add up is said and never imported."""
    found = read("Qty,Component,Line price\n3,bolt,2.50\n,Total (incl. VAT),9.00\n")
    assert "a total that does not add up: it says 9.00, the rows above are 2.5" in found.left[0].why
    assert any("Row 3 is a total that does not add up" in remark for remark in found.remarks)
    assert len(found.parts) == 1


@pytest.mark.parametrize(("total", "per"), [("11.00", 1), ("6.00", 2)])
def test_the_total_decides_whether_a_cost_is_for_one_or_for_the_row(total: str, per: int) -> None:
    """The total decides whether a cost is for one or for the row."""
    second = "1,nut,5" if per == 1 else "3,nut,3"
    found = read(f"Qty,Component,Cost\n2,bolt,3\n{second}\n,Total,{total}\n")
    price = found.parts[0].price
    assert price is not None
    assert (price.amount, price.per, found.problems) == (3, per, ())


def test_without_a_total_the_reading_of_a_cost_is_said() -> None:
    """Without a total the reading of a cost is said."""
    assert any("choose otherwise" in remark for remark in read("Qty,Component,Cost\n2,bolt,3\n").remarks)


def test_a_point_that_nothing_in_the_file_explains_is_said() -> None:
    """1.234 may be meant as a thousand and some: read as it stands, and not in silence."""
    unsure, sure = (
        read("Qty,Component,Cost\n2,bolt,1.234\n"),
        read("Qty,Component,Cost\n2,bolt,1.234\n1,nut,2.5\n"),
    )
    assert any("“1.234” is read with a decimal point" in remark for remark in unsure.remarks)
    assert not any("decimal point" in remark for remark in sure.remarks)


def test_every_wrong_cell_of_a_row_is_named_at_once() -> None:
    """Every wrong cell of a row is named at once."""
    assert [p.column for p in problems("x,bolt,M3,y,EUR\n")] == ["quantity", "unit_price"]


def test_headings_may_stand_below_a_title() -> None:
    """Headings may stand below a title."""
    found = read("Bill of materials,,,,\n,,,,\n" + HEAD + "1,bolt,M3,2,EUR\n")
    assert (found.columns.row, len(found.parts)) == (3, 1)


def test_a_file_without_headings_says_which_are_understood() -> None:
    """A file without headings says which are understood."""
    with pytest.raises(NoHeadingsError, match="Quantity, Component, Part number"):
        read("1,bolt\n2,nut\n")


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
        ("€ 1.234,50", "1234.50", "EUR"),
        ("GBP 4.2", "4.2", "GBP"),
        ("£4.2", "4.2", "GBP"),
        ("12,-", "12", ""),
        ("CHF 12.–", "12", "CHF"),
        ("7", "7", ""),
        ("12 zł", "12", "PLN"),
        ("Fr. 7.20", "7.20", "CHF"),
        ("1 200,50 Kč", "1200.50", "CZK"),
    ],
)
def test_money_as_people_write_it(text: str, amount: str, currency: str) -> None:
    """Money as people write it."""
    assert numbers.read_money(text, None) == (Decimal(amount), currency)


@pytest.mark.parametrize(
    ("heading", "currency"),
    [
        ("Price (USD)", "USD"),
        ("Preis in €", "EUR"),
        ("Unit Price [EUR]", "EUR"),
        ("Price Each", ""),
        ("USD", ""),
    ],
)
def test_a_heading_may_name_the_currency(heading: str, currency: str) -> None:
    """A heading may name the currency of all that stands below it."""
    assert numbers.currency_in(heading)[1] == currency


@pytest.mark.parametrize(
    ("text", "places"),
    [
        ("R1,R2,R5-R8", "R1 R2 R5 R6 R7 R8"),
        ("R1-R4, C2", "R1 R2 R3 R4 C2"),
        ("R1 - R3", "R1 R2 R3"),
        ("R1..R3;C7", "R1 R2 R3 C7"),
        ("R5-8", "R5 R6 R7 R8"),
        ("C01–C03", "C01 C02 C03"),
        ("R1 R1", "R1"),
        ("Top side", ""),
        ("R8-R5", ""),
        ("R1-C4", ""),
        ("R1-R99999", ""),
        ("", ""),
    ],
)
def test_places_are_counted_as_a_person_would(text: str, places: str) -> None:
    """A range names every place in it; words, and ranges that run backwards or without end, name none."""
    assert " ".join(expanded(text)) == places


def load(session: AuditedSession, text: str) -> loading.Outcome:
    terms = loading.Terms("P", "EUR", date(2026, 1, 1))
    return loading.load(session, read(text).parts, terms, source="bom.csv")


def test_a_process_of_the_same_name_is_not_overwritten(session: AuditedSession) -> None:
    """A process of the same name is not overwritten."""
    text = HEAD + "1,bolt,M3,2,EUR\n"
    load(session, text)
    with pytest.raises(RejectedError, match="already a process"):
        load(session, text)
    assert session.query(Process).count() == 1


def test_a_file_without_a_single_part_makes_no_process(session: AuditedSession) -> None:
    """Headings alone are no bill of materials."""
    with pytest.raises(RejectedError, match="no row is a part"):
        load(session, HEAD + ",,,,\n")


@pytest.mark.requirement("S1-089")
@pytest.mark.parametrize(
    ("values", "price", "currency"),
    [
        ({"price": "€ 4,20"}, "4.20 EUR", ""),
        ({"price": "4.20", "currency": "gbp"}, "4.20", "GBP"),
        ({"price": "1.234,50"}, "1234.50", ""),
        ({"price": "n/a"}, "", ""),
    ],
)
def test_an_items_price_is_read_by_itself(values: dict[str, str], price: str, currency: str) -> None:
    """A catalogue is read row by row, so that each cell must say by itself what it means."""
    row = ItemRow.model_validate({"item": "Bolt", **values})
    assert (row.price, row.currency) == (price, currency)


@pytest.mark.requirement("S1-087", "S1-089")
@pytest.mark.parametrize(
    ("model", "values", "field"),
    [
        (ItemRow, {"item": ""}, "item"),
        (ItemRow, {"item": "=cmd"}, "item"),
        (ItemRow, {"item": "a", "price": "1,234"}, "price"),
        (ItemRow, {"item": "a", "price": "-1"}, "price"),
        (ItemRow, {"item": "a", "price": "1 USD", "currency": "EUR"}, "price"),
        (ItemRow, {"item": "a", "url": "javascript:alert(1)"}, "url"),
        (ItemRow, {"item": "a", "valid_from": "11/12/2026"}, "valid_from"),
        (ItemRow, {"item": "a", "valid_from": "45413"}, "valid_from"),
        (ItemRow, {"item": "a", "valid_from": "86400"}, "valid_from"),
        (ItemRow, {"item": "a", "per": "0"}, "per"),
        (LotRow, {"number": "", "process": "P", "quantity": "1"}, "number"),
        (LotRow, {"number": "1", "process": "P", "quantity": "1.5"}, "quantity"),
        (LotRow, {"number": "1", "process": "P", "quantity": "1e3"}, "quantity"),
        (LotRow, {"number": "1", "process": "P", "quantity": "1", "due": "31.02.2026"}, "due"),
        (LotRow, {"number": "1", "process": "P", "quantity": "1", "state": "executed"}, "state"),
    ],
)
def test_a_row_that_is_no_item_and_no_lot_is_refused(
    model: type[ItemRow | LotRow], values: dict[str, str], field: str
) -> None:
    """Whoever writes a table by hand is told which cell is wrong, and sets nothing that is no column."""
    with pytest.raises(ValidationError) as error:
        model.model_validate(values)
    assert [found["loc"][0] for found in error.value.errors()] == [field]


@pytest.mark.parametrize("day", ["21.11.2026", "2026/11/21", "2026.11.21", "2026-11-21 00:00:00"])
def test_days_are_read_where_they_can_be_one_only(day: str) -> None:
    """As they are written on the continent and by spreadsheet programs."""
    row = LotRow.model_validate({"number": "1", "process": "P", "quantity": "1200 pcs", "due": day})
    assert (row.due, row.quantity) == (date(2026, 11, 21), 1200)


def test_two_names_that_look_alike_are_one() -> None:
    """A file from a Mac has an accent as a character of its own."""
    assert ItemRow.model_validate({"item": "Mu\u0308tze"}).item == "M\u00fctze"


@pytest.mark.requirement("S1-088")
@given(st.binary(max_size=400))
def test_any_bytes_give_rows_or_a_clear_refusal(data: bytes) -> None:
    """Any bytes give rows or a clear refusal."""
    try:
        read_bill(io.BytesIO(data), "csv", OPTIONS)
    except (Unreadable, NoHeadingsError) as error:
        assert str(error)


words = st.sampled_from(
    ["1", "Total", "4,20", "$3", "=1", "", "R1 R2", "R1-R9", "bolt", "VAT", "\u202e", '"', "é"]
)
cells = st.one_of(words, st.text(max_size=12))


@pytest.mark.requirement("S1-088")
@given(st.lists(st.lists(cells, min_size=1, max_size=6), max_size=8))
def test_any_rows_below_headings_are_each_told_once(rows: list[list[str]]) -> None:
    """Whatever stands in them, each row is a part, an error or left out with its reason, and once."""
    headings = ("Qty", "Component", "Refs", "Price", "Cost")
    columns = Columns(1, headings, ("quantity", "item", "references", "unit_price", "line_price"))
    lines = [Row(number, tuple(row)) for number, row in enumerate(rows, start=2)]
    entries = list(arranging.arranged(lines, columns, OPTIONS))
    told = [entry.row for entry in entries if not isinstance(entry, Remark)]
    assert told == [line.number for line in lines]
    for entry in entries:
        if isinstance(entry, Left):
            assert entry.why
        elif isinstance(entry, Found):
            try:
                BomPart.model_validate(entry.values)
            except ValidationError as error:
                assert error.errors()
