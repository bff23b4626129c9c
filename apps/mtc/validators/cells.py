"""What MTC accepts in a cell of an imported file.

A cell that a spreadsheet program would run as a formula is refused here (OWASP, CSV Injection), and made
harmless again on every export.
"""

from __future__ import annotations

import re
import unicodedata
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
_UNSEEN = " \t\r\n\u00a0\u200b\ufeff"
# "1,234" where nothing else in the file says what its commas are.
_TWO_NUMBERS = re.compile(r"[^0-9]*[1-9][0-9]{0,2},[0-9]{3}[^0-9]*")
# "+5V" and "-40 °C" are what parts are called; anything more after a sign is a formula.
_SIGNED_QUANTITY = re.compile(r"[+-] ?[0-9][0-9.,]*( ?[A-Za-z%°µΩ]{1,8})?")
_PLAIN = re.compile(r"-?[0-9]{1,20}(\.[0-9]{1,20})?")
_PRICED = re.compile(rf"(?P<amount>{_PLAIN.pattern})( (?P<currency>[A-Z]{{3}}))?")
# 11/12/2026 is two days; these are one each, beside 2026-11-21.
_DAYS = (
    re.compile(r"(?P<day>[0-9]{1,2})\.(?P<month>[0-9]{1,2})\.(?P<year>[0-9]{4})"),
    re.compile(r"(?P<year>[0-9]{4})[/.](?P<month>[0-9]{1,2})[/.](?P<day>[0-9]{1,2})"),
)
# What people write where they know no price.
NOT_KNOWN = frozenset({"-", "–", "—", "?", "n/a", "na", "n.a.", "tbd", "tba", "tbc", "k.a.", "k. a."})


def is_formula(cell: str) -> bool:
    """Whether a spreadsheet program would run this cell (OWASP, CSV injection)."""
    text = cell.lstrip(_UNSEEN)
    sign = unicodedata.normalize("NFKC", text[:1])  # the full-width ones are signs too
    if sign in ("=", "@"):
        return True
    signed = sign in ("+", "-") and len(text) > 1
    return signed and not _SIGNED_QUANTITY.fullmatch(text)


def _as_typed(text: str) -> str:
    """The text as a keyboard writes it: names that look alike are one. Raises ValueError for a formula."""
    if is_formula(text):
        raise ValueError(
            "must be text that does not begin with = + - or @ (a spreadsheet would run it as a formula)"
        )
    return unicodedata.normalize("NFC", text)


def _counted(value: Any) -> Any:
    """A number as the reading of the file has put it; what it could not read is refused as it was given."""
    if isinstance(value, str) and not (_PLAIN.fullmatch(value) and 0 < Decimal(value) <= 1_000_000):
        raise ValueError(COUNT + _two_numbers(value))
    return value


def _priced(text: str) -> str:
    match = _PRICED.fullmatch(text)
    if text and (match is None or not 0 <= Decimal(match["amount"]) <= MOST_MONEY):
        raise ValueError(AMOUNT + _two_numbers(text))
    return text


def _two_numbers(text: str) -> str:
    """How to write a number that could be two; nothing for any other text."""
    if not _TWO_NUMBERS.fullmatch(text):
        return ""
    plain = "".join(c for c in text if c.isdigit() or c == ",")
    whole, _, rest = plain.partition(",")
    return f"; {plain} could be two numbers: write {whole}{rest} or {whole}.{rest}"


def _currency(text: str) -> str:
    if text and not re.fullmatch("[A-Z]{3}", text.upper()):
        raise ValueError("must be a currency code of three letters, for example EUR")
    return text.upper()


def _money(value: Any) -> Any:
    """What one cell says by itself: "1.234,50 €" does, "1,234" could be two amounts and is refused."""
    if not isinstance(value, str) or not value.strip():
        return value
    if value.strip().lower() in NOT_KNOWN:
        return ""
    try:
        amount, code = read_money(value, None)
    except ValueError:
        raise ValueError(AMOUNT + _two_numbers(value)) from None
    return f"{amount:f} {code}".strip()


def _number(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    try:
        return read_count(value, None)[0]
    except ValueError:
        raise ValueError(COUNT + _two_numbers(value)) from None


def _whole(value: Any) -> Any:
    number = _number(value)
    if isinstance(number, Decimal) and (number != int(number) or not 0 < number <= LARGEST_ID):
        raise ValueError("must be a whole number greater than 0 and at most 1,000,000")
    return int(number) if isinstance(number, Decimal) else number


def _dated(value: Any) -> Any:
    """2026-11-21, 2026/11/21 and 21.11.2026; 11/12/2026 is two days and is refused."""
    text = value.strip() if isinstance(value, str) else ""
    match = next((found for form in _DAYS if (found := form.fullmatch(text))), None)
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


Words = Annotated[ShortText, AfterValidator(_as_typed)]
Long = Annotated[LongText, AfterValidator(_as_typed)]
Named = Annotated[Name, AfterValidator(_as_typed)]
Amount = Annotated[str, Field(max_length=60), AfterValidator(_priced)]
"""As `services.bom.reading` has put it: `4.20 EUR`."""
Money = Annotated[str, Field(max_length=60), BeforeValidator(_money), AfterValidator(_priced)]
"""As it stands in a cell: `€ 4,20`."""
Code = Annotated[str, Field(max_length=60), AfterValidator(_currency)]
Counted = Annotated[Quantity, BeforeValidator(_counted)]
Number = Annotated[Quantity, BeforeValidator(_number)]
Whole = Annotated[Count, BeforeValidator(_whole)]
Date = Annotated[Day, BeforeValidator(_dated)]
