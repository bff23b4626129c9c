"""Each row of a bill of materials classified, with the reason; errors that a person can act on."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import TypeVar
from urllib.parse import urlsplit

from apps.mtc.services.bom import numbers
from apps.mtc.services.bom.columns import Columns, normal
from apps.mtc.services.bom.parts import Money, Part, Problem, ReadRow, RowKind
from apps.mtc.validators.import_validators import Role, Sheet, SheetRow, cell_problem

_TOTAL = re.compile(r"(grand |sub)?total( cost| price)?|sum|summe|gesamt(summe)?", re.IGNORECASE)
_NAME_LIMIT = 200
_URL_LIMIT = 500
CENT = Decimal("0.01")
_MOST_QUANTITY = Decimal(1_000_000)
_MOST_MONEY = Decimal(1_000_000_000)
_PLACES = -6
ACCEPTED_COUNT = "a number greater than 0, at most 1,000,000, for example 4"
ACCEPTED_MONEY = "an amount such as 4.20, $4.20 or 4.20 EUR"

R = TypeVar("R")


class _Row:
    """One row while it is read: gathers what is wrong instead of stopping at the first."""

    def __init__(self, row: SheetRow, columns: Columns, sign: str | None) -> None:
        self.row = row
        self.columns = columns
        self.sign = sign
        self.problems: list[Problem] = []

    def text(self, role: Role) -> str:
        return self.columns.cell(self.row.cells, role)

    def refuse(self, role: Role, accepted: str) -> None:
        index = self.columns.at(role)
        heading = self.columns.headings[index] if index is not None else role.value
        self.problems.append(_problem(self.row.number, heading, self.text(role), accepted))


def decimal_sign(sheet: Sheet, columns: Columns) -> str | None:
    """The decimal sign that the numbers of the file prove."""
    roles = (Role.QUANTITY, Role.UNIT_PRICE, Role.LINE_PRICE)
    body = (row for row in sheet.rows if row.number > columns.row)
    return numbers.decimal_sign_of(columns.cell(row.cells, role) for row in body for role in roles)


def read_row(row: SheetRow, columns: Columns, sign: str | None) -> ReadRow:
    """Classify one row; nothing is left out silently."""
    if row.number < columns.row:
        return _read(row, RowKind.BLANK, "before the headings")
    if row.number == columns.row:
        return _read(row, RowKind.HEADER, "the headings")
    filled = [cell for cell in row.cells if cell]
    if not filled:
        return _read(row, RowKind.BLANK, "no cell is filled")
    if [normal(cell) for cell in row.cells] == [normal(cell) for cell in columns.headings]:
        return _read(row, RowKind.BLANK, "repeats the headings")
    problems = _bad_cells(row, columns)
    if problems:
        return _error(row, problems)
    if any(_TOTAL.fullmatch(cell.rstrip(": ")) for cell in filled):
        return _read_total(row, columns, sign, filled)
    if len(filled) == 1 and not _is_number(filled[0], sign):
        return _read(row, RowKind.HEADING, "a single text: starts a new subprocess")
    return _read_part(_Row(row, columns, sign))


def _bad_cells(row: SheetRow, columns: Columns) -> list[Problem]:
    problems = []
    for index, cell in enumerate(row.cells):
        inside = index < len(columns.headings)
        heading = columns.headings[index] if inside else f"column {index + 1}"
        accepted = cell_problem(cell)
        if accepted is None and cell and not inside:
            accepted = f"nothing: the headings end at column {len(columns.headings)}"
        if accepted:
            problems.append(_problem(row.number, heading, cell, accepted))
    return problems


def _read_total(row: SheetRow, columns: Columns, sign: str | None, filled: Sequence[str]) -> ReadRow:
    role = Role.LINE_PRICE if columns.at(Role.LINE_PRICE) is not None else Role.UNIT_PRICE
    cells = [columns.cell(row.cells, role), *filled]
    amounts = [amount for cell in cells if (amount := _amount(cell, sign)) is not None]
    total = amounts[0] if amounts else None
    return ReadRow(row.number, RowKind.TOTAL, "a total: checked, not imported", row.cells, None, total)


def _read_part(row: _Row) -> ReadRow:
    references = row.text(Role.REFERENCES)
    quantity, why = _quantity(row, references)
    item = row.text(Role.ITEM) or row.text(Role.DESCRIPTION) or row.text(Role.VARIANT)
    if not item:
        named = next((r for r in (Role.ITEM, Role.DESCRIPTION, Role.VARIANT) if _has(row, r)), None)
        row.refuse(named or Role.ITEM, "the name of a part")
    part = Part(
        references=references,
        quantity=quantity or Decimal(1),
        item=_short(row, item),
        variant=_short(row, row.text(Role.VARIANT) or item),
        description=row.text(Role.DESCRIPTION),
        manufacturer=_short(row, row.text(Role.MANUFACTURER), Role.MANUFACTURER),
        supplier=_short(row, row.text(Role.SUPPLIER) or _host(row.text(Role.URL)), Role.SUPPLIER),
        supplier_part=_short(row, row.text(Role.SUPPLIER_PART), Role.SUPPLIER_PART),
        distributors=_distributors(row),
        price=_price(row, quantity),
        url=_url(row),
    )
    if row.problems:
        return _error(row.row, row.problems)
    return ReadRow(row.row.number, RowKind.PART, why, row.row.cells, part)


def _quantity(row: _Row, references: str) -> tuple[Decimal | None, str]:
    """The quantity and how it was found; None if the cell is unusable."""
    if not _has(row, Role.QUANTITY):
        count = len([name for name in re.split(r"[\s,;]+", references) if name])
        if count > 1:
            return Decimal(count), "a part; the quantity is the number of references"
        return Decimal(1), "a part; no quantity in the file: 1 is assumed"
    value = _accepted(lambda: numbers.read_count(row.text(Role.QUANTITY), row.sign))
    if value is None or not 0 < value <= _MOST_QUANTITY or _exponent(value) < _PLACES:
        row.refuse(Role.QUANTITY, ACCEPTED_COUNT)
        return None, ""
    return value, "a part"


def _price(row: _Row, quantity: Decimal | None) -> Money | None:
    unit, unit_currency = _money(row, Role.UNIT_PRICE)
    line, line_currency = _money(row, Role.LINE_PRICE)
    currency = _currency(row) or unit_currency or line_currency or ""
    if {unit_currency, line_currency} - {None, currency}:
        row.refuse(Role.CURRENCY, "one currency for the whole row")
    if unit is not None:
        if line is not None and quantity and abs(unit * quantity - line) > CENT:
            expected = f"{unit * quantity:f}"
            row.refuse(Role.LINE_PRICE, f"{expected}, which is {quantity:f} times {unit:f}")
        return Money(unit, Decimal(1), currency)
    return Money(line, quantity, currency) if line is not None and quantity else None


def _money(row: _Row, role: Role) -> tuple[Decimal | None, str | None]:
    text = row.text(role)
    if not text:
        return None, None
    found = _accepted(lambda: numbers.read_money(text, row.sign))
    if found is None or not 0 <= found[0] <= _MOST_MONEY or _exponent(found[0]) < _PLACES:
        row.refuse(role, ACCEPTED_MONEY)
        return None, None
    return found


def _currency(row: _Row) -> str:
    text = row.text(Role.CURRENCY).upper()
    if text and not re.fullmatch(r"[A-Z]{3}", text):
        row.refuse(Role.CURRENCY, "a currency code of three letters, for example EUR")
        return ""
    return text


def _distributors(row: _Row) -> tuple[tuple[str, str], ...]:
    found = []
    for index in row.columns.all_at(Role.DISTRIBUTOR):
        heading = row.columns.headings[index]
        cell = row.row.cells[index] if index < len(row.row.cells) else ""
        if cell and heading:
            found.append((_short(row, heading, Role.DISTRIBUTOR), _short(row, cell)))
    return tuple(found)


def _url(row: _Row) -> str:
    """A web address; other words under "Source" are no address and are left out."""
    text = row.text(Role.URL)
    if not _host(text):
        return ""
    if len(text) > _URL_LIMIT or re.search(r"[\s\"'<>\\]", text):
        row.refuse(Role.URL, f"a web address of at most {_URL_LIMIT} characters without quotes")
        return ""
    return text


def _host(text: str) -> str:
    """The name of a shop from the address of one of its pages: www.pcbway.com is pcbway.com."""
    if not text.lower().startswith(("https://", "http://")):
        return ""
    try:
        host = urlsplit(text).hostname or ""
    except ValueError:
        return ""
    return host.removeprefix("www.")


def _short(row: _Row, text: str, role: Role = Role.ITEM) -> str:
    if len(text) > _NAME_LIMIT:
        accepted = f"at most {_NAME_LIMIT} characters"
        row.problems.append(_problem(row.row.number, role.value.replace("_", " "), text, accepted))
    return text


def _has(row: _Row, role: Role) -> bool:
    return row.columns.at(role) is not None


def _is_number(text: str, sign: str | None) -> bool:
    return _amount(text, sign) is not None


def _amount(text: str, sign: str | None) -> Decimal | None:
    found = _accepted(lambda: numbers.read_money(text, sign))
    return None if found is None else found[0]


def _accepted(read: Callable[[], R]) -> R | None:
    try:
        return read()
    except ValueError:
        return None


def _exponent(value: Decimal) -> int:
    exponent = value.as_tuple().exponent
    return exponent if isinstance(exponent, int) else 0


def _problem(row: int, column: str, value: str, accepted: str) -> Problem:
    shown = value if len(value) <= 60 else f"{value[:57]}..."
    return Problem(row, column or "(no heading)", shown, accepted)


def _error(row: SheetRow, problems: Sequence[Problem]) -> ReadRow:
    return ReadRow(
        row.number, RowKind.ERROR, "to be mended: listed above", row.cells, problems=tuple(problems)
    )


def _read(row: SheetRow, kind: RowKind, why: str) -> ReadRow:
    return ReadRow(row.number, kind, why, row.cells)
