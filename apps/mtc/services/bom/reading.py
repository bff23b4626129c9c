"""Each row of a bill of materials told apart: a part, a heading, a total, nothing."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from decimal import Decimal
from urllib.parse import urlsplit

from apps.mtc.services.bom.columns import Columns, Line, normal, shop
from apps.mtc.services.bom.parts import Entry, Extra, Found, Heading, Left, Total
from apps.mtc.validators import numbers
from apps.mtc.validators.cells import NOT_KNOWN, is_formula
from apps.mtc.validators.import_validators import BomOptions, Disagreement
from apps.mtc.validators.places import expanded

_TOTAL = re.compile(
    r"((grand |sub[- ]?|net |order )?total( cost| price| amount| sum)?|sum|summe|zwischensumme|"
    r"gesamt(summe|betrag|kosten|preis)?|netto(summe)?|brutto(summe)?)"
    r"([ ,(]+(incl?|excl?|inkl|exkl|zzgl|ht|ttc|net|gross|netto|brutto)\b.*)?",
    re.IGNORECASE,
)
_EXTRA = re.compile(
    r"(shipping|postage|freight|handling|delivery|tax|vat|sales tax|duty|customs|discount|"
    r"versand(kosten)?|porto|"
    r"mwst|mehrwertsteuer|ust|zoll|rabatt)\b.*",
    re.IGNORECASE,
)
_DRAWN = re.compile(r"[-_=*.~ ]{3,}")
_NOT_FITTED = frozenset(
    {"dnp", "dni", "x", "yes", "true", "1", "not fitted", "excluded from bom", "nicht bestückt"}
)
_PRICES = ("unit_price", "line_price", "cost")
NUMBERS = ("quantity", *_PRICES)
_WORDS = (
    "item", "variant", "value", "package", "description", "references", "unit", "manufacturer",
    "supplier", "supplier_part", "currency",
)  # fmt: skip
_NAMES = ("item", "variant", "value", "description", "references", "supplier_part", "url")
_LONGEST_NAME = 200


def decimal_sign(rows: Sequence[Line], columns: Columns) -> str | None:
    """The decimal sign that the numbers of the file prove."""
    return numbers.decimal_sign_of(columns.cell(row.cells, field) for row in rows for field in NUMBERS)


def read_row(row: Line, columns: Columns, sign: str | None, options: BomOptions) -> Entry:
    """What this row below the headings is."""
    filled = [cell for cell in row.cells if cell]
    if not filled:
        return Left(row.number, "no cell is filled")
    if all(_DRAWN.fullmatch(cell) for cell in filled):
        return Left(row.number, "a drawn line")
    if _repeats(row, columns):
        return Left(row.number, "repeats the headings")
    if any(_says_total(cell) for cell in filled) or _only_prices(row, columns, sign):
        return _total(row, columns, sign, filled)
    if _is_extra(filled):
        return Extra(row.number, filled[0], _last_amount(row, columns, sign, filled))
    if columns.cell(row.cells, "not_fitted").lower() in _NOT_FITTED:
        return Left(row.number, f"not fitted: “{columns.cell(row.cells, 'not_fitted')}”")
    if len(filled) == 1 and not _is_number(filled[0], sign) and not is_formula(filled[0]):
        return Heading(row.number, filled[0])
    if not any(columns.cell(row.cells, field) for field in columns.fields if field):
        return Left(row.number, "nothing in any column that is imported")
    if not any(columns.cell(row.cells, field) for field in _NAMES) and not any(map(_has_digit, filled)):
        return Left(row.number, "words that go on with the headings: no part and no number")
    return Found(row.number, _values(row, columns, sign, options))


def _has_digit(cell: str) -> bool:
    return any(character.isdigit() for character in cell)


def _repeats(row: Line, columns: Columns) -> bool:
    mine, theirs = ([normal(cell) for cell in cells if cell] for cells in (row.cells, columns.headings))
    return mine == theirs


def _is_extra(filled: Sequence[str]) -> bool:
    """Shipping and taxes have no number of pieces but one, and name no part beside themselves."""
    words = [cell for cell in filled if not _is_number(cell, None)]
    return len(words) == 1 and len(filled) > 1 and bool(_EXTRA.fullmatch(words[0]))


def _says_total(cell: str) -> bool:
    """ "Total", "Total (USD):" and "Total: $281.38"."""
    words = numbers.currency_in(cell)[0].rstrip(": ")
    head, colon, rest = cell.partition(":")
    return bool(
        _TOTAL.fullmatch(words) or (colon and _TOTAL.fullmatch(head.strip()) and _is_number(rest, None))
    )


def _only_prices(row: Line, columns: Columns, sign: str | None) -> bool:
    """A sum that nobody has labelled: amounts in columns of prices, and no other cell is filled."""
    places = {index for field in _PRICES for index in columns.all(field)}
    filled = {index for index, cell in enumerate(row.cells) if cell}
    return filled <= places and all(_is_number(row.cells[index], sign) for index in filled)


def _total(row: Line, columns: Columns, sign: str | None, filled: Sequence[str]) -> Total:
    formula = any(cell.startswith("=") for cell in filled)
    pieces = _count(columns.cell(row.cells, "quantity"), sign)
    amount = _last_amount(row, columns, sign, () if pieces else filled)
    return Total(row.number, amount, formula, pieces[0] if pieces else None)


def _last_amount(row: Line, columns: Columns, sign: str | None, filled: Sequence[str]) -> Decimal | None:
    """The amount in the column of prices, else the last that stands in the row."""
    named = [columns.cell(row.cells, field) for field in ("line_price", "cost", "unit_price")]
    told = [cell.partition(":")[2] or cell for cell in filled]
    amounts = (_money(cell, sign) for cell in (*named, *told[::-1]))
    return next((amount[0] for amount in amounts if amount is not None), None)


def _values(row: Line, columns: Columns, sign: str | None, options: BomOptions) -> Mapping[str, object]:
    values: dict[str, object] = {field: text for field in _WORDS if (text := columns.cell(row.cells, field))}
    values["item"] = _item(values)
    values |= _quantity(row, columns, sign, options, values)
    for field in _PRICES:
        text = columns.cell(row.cells, field)
        if text and text.lower() not in NOT_KNOWN:
            values[field] = _amount(text, columns, field, sign)
    url = columns.cell(row.cells, "url")
    if host := _host(url):
        values["url"] = url
        # A shop is known by the address of its pages where no column names it.
        values.setdefault("supplier", host)
    elif is_formula(url):
        values["url"] = url
    listings = [
        (shop(columns.headings[index]), row.cells[index])
        for index in columns.all("listings")
        if index < len(row.cells) and row.cells[index]
    ]
    if listings:
        values["listings"] = tuple(listings)
    if "package" in values:
        # KiCad names the library too: Resistor_SMD:R_0603_1608Metric
        values["package"] = str(values["package"]).rpartition(":")[2]
    beyond = [cell for cell in row.cells[len(columns.headings) :] if cell]
    if beyond:
        values["beyond"] = beyond[0]
    return values


def _item(values: Mapping[str, object]) -> str:
    return str(
        next((values[field] for field in ("item", "description", "value", "variant") if field in values), "")
    )


def _quantity(
    row: Line, columns: Columns, sign: str | None, options: BomOptions, values: Mapping[str, object]
) -> dict[str, object]:
    """The quantity as a plain number, or as it stands there; without one, the number of places named."""
    places = len(expanded(str(values.get("references", ""))))
    if columns.of("quantity") is None or (places and options.disagreement is Disagreement.REFERENCES):
        return {"quantity": str(places or 1)}
    text = columns.cell(row.cells, "quantity")
    found = _count(text, sign)
    read: dict[str, object] = {"quantity": f"{found[0]:f}" if found else text}
    if found and found[1]:
        read["unit"] = found[1]
    elif str(values.get("unit", "")).lower().rstrip(".") in numbers.PIECES:
        read["unit"] = ""
    if places and options.disagreement is Disagreement.REFUSE:
        read["places"] = places
    return read


def _amount(text: str, columns: Columns, field: str, sign: str | None) -> str:
    """`4.20 EUR` for whatever names it so; what is no amount stays as it is, and is refused."""
    found = _money(text, sign)
    if found is None:
        return text
    index = columns.of(field)
    named = found[1] or (numbers.currency_in(columns.headings[index])[1] if index is not None else "")
    return f"{found[0]:f} {named}".strip()


def _host(text: str) -> str:
    """The name of a shop from the address of one of its pages: www.pcbway.com is pcbway.com."""
    if not text.lower().startswith(("https://", "http://")):
        return ""
    try:
        host = urlsplit(text).hostname or ""
    except ValueError:
        return ""
    return host.removeprefix("www.")[:_LONGEST_NAME]


def _is_number(text: str, sign: str | None) -> bool:
    return _money(text, sign) is not None


def _money(text: str, sign: str | None) -> tuple[Decimal, str] | None:
    try:
        return numbers.read_money(text, sign)
    except ValueError:
        return None


def _count(text: str, sign: str | None) -> tuple[Decimal, str] | None:
    try:
        return numbers.read_count(text, sign)
    except ValueError:
        return None
