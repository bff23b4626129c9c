"""What MTC accepts in a cell of an imported file.

A cell that a spreadsheet program would run as a formula is refused here (OWASP, CSV Injection), and made
harmless again on every export.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field

from apps.mtc.validators.base import LARGEST_ID, Count, Day, LongText, Name, Quantity, ShortText
from apps.mtc.validators.numbers import read_count, read_money

MOST_MONEY = Decimal(1_000_000_000)
COUNT = "must be a number greater than 0 and at most 1,000,000, for example 4 or 1000"
AMOUNT = "must be an amount such as 4.20, $4.20 or 4.20 EUR, at most 1,000,000,000"
# "+5V" and "-40 °C" are what parts are called; anything more after a sign is a formula.
_SIGNED_QUANTITY = re.compile(r"[+-] ?[0-9][0-9.,]*( ?[A-Za-z%°µΩ]{1,8})?")
_PLAIN = re.compile(r"-?[0-9]{1,20}(\.[0-9]{1,20})?")
_PRICED = re.compile(rf"(?P<amount>{_PLAIN.pattern})( (?P<currency>[A-Z]{{3}}))?")
_GERMAN_DAY = re.compile(r"(?P<day>[0-9]{1,2})\.(?P<month>[0-9]{1,2})\.(?P<year>[0-9]{4})")


def is_formula(cell: str) -> bool:
    """Whether a spreadsheet program would run this cell (OWASP, CSV injection)."""
    text = cell.lstrip()
    if text.startswith(("=", "@")):
        return True
    signed = text.startswith(("+", "-")) and len(text) > 1
    return signed and not _SIGNED_QUANTITY.fullmatch(text)


def _no_formula(text: str) -> str:
    if is_formula(text):
        raise ValueError(
            "must be text that does not begin with = + - or @ (a spreadsheet would run it as a formula)"
        )
    return text


def _counted(value: Any) -> Any:
    """A number as the reading of the file has put it; what it could not read is refused as it was given."""
    if isinstance(value, str) and not (_PLAIN.fullmatch(value) and 0 < Decimal(value) <= 1_000_000):
        raise ValueError(COUNT)
    return value


def _priced(text: str) -> str:
    match = _PRICED.fullmatch(text)
    if text and (match is None or not 0 <= Decimal(match["amount"]) <= MOST_MONEY):
        raise ValueError(AMOUNT)
    return text


def _currency(text: str) -> str:
    if text and not re.fullmatch("[A-Z]{3}", text.upper()):
        raise ValueError("must be a currency code of three letters, for example EUR")
    return text.upper()


def _money(value: Any) -> Any:
    """What one cell says by itself: "1.234,50 €" does, "1,234" could be two amounts and is refused."""
    if not isinstance(value, str) or not value.strip():
        return value
    try:
        amount, code = read_money(value, None)
    except ValueError as error:
        twice = "two" in str(error)
        raise ValueError(
            f"{AMOUNT}; {value} could be two: write 1234 or 1234.00" if twice else AMOUNT
        ) from None
    return f"{amount:f} {code}".strip()


def _number(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    try:
        return read_count(value, None)[0]
    except ValueError:
        raise ValueError(COUNT) from None


def _whole(value: Any) -> Any:
    number = _number(value)
    if isinstance(number, Decimal) and (number != int(number) or not 0 < number <= LARGEST_ID):
        raise ValueError("must be a whole number greater than 0 and at most 1,000,000")
    return int(number) if isinstance(number, Decimal) else number


def _dated(value: Any) -> Any:
    """2026-11-21 and 21.11.2026; 11/12/2026 is two days and is refused."""
    match = _GERMAN_DAY.fullmatch(value.strip()) if isinstance(value, str) else None
    if match is None:
        return value
    try:
        return date(int(match["year"]), int(match["month"]), int(match["day"]))
    except ValueError:
        return value


@dataclass(frozen=True)
class Priced:
    """`amount` pays for `per` pieces; `currency` is empty if nothing in the file names it."""

    amount: Decimal
    per: Decimal
    currency: str

    def line(self, quantity: Decimal) -> Decimal:
        return self.amount * quantity / self.per


def amount_of(text: str) -> Decimal:
    return Decimal(text.partition(" ")[0])


def currency_of(text: str) -> str:
    return text.partition(" ")[2]


def column(title: str, *also: str, several: bool = False) -> Any:
    """What people call a column: `title` by MTC, `also` in the headings of their files."""
    return Field(title=title, json_schema_extra={"also": list(also), "several": several})


def found(title: str = "") -> Any:
    """What is found while the file is read; no column gives it."""
    return Field(title=title or None, json_schema_extra={"column": False})


Words = Annotated[ShortText, AfterValidator(_no_formula)]
Long = Annotated[LongText, AfterValidator(_no_formula)]
Named = Annotated[Name, AfterValidator(_no_formula)]
Amount = Annotated[str, Field(max_length=60), AfterValidator(_priced)]
"""As `services.bom.reading` has put it: `4.20 EUR`."""
Money = Annotated[str, Field(max_length=60), BeforeValidator(_money), AfterValidator(_priced)]
"""As it stands in a cell: `€ 4,20`."""
Code = Annotated[str, Field(max_length=60), AfterValidator(_currency)]
Counted = Annotated[Quantity, BeforeValidator(_counted)]
Number = Annotated[Quantity, BeforeValidator(_number)]
Whole = Annotated[Count, BeforeValidator(_whole)]
Date = Annotated[Day, BeforeValidator(_dated)]
