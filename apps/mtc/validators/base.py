"""The building blocks of MTC's input models: which text, numbers, dates and ids are accepted."""

from __future__ import annotations

import unicodedata
from datetime import date
from decimal import Decimal
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

LARGEST_ID = 2**31 - 1
# Characters that reorder what a person reads: a name could show as another (CVE-2021-42574).
_REORDERING = frozenset("\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


class Input(BaseModel):
    """A body, form or query: an unknown field is an error, so that a misspelt one is noticed."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True, frozen=True)


class Nothing(Input):
    """A form that only asks for something to be done: the address says to what."""


def printable(text: str) -> str:
    for character in text:
        if unicodedata.category(character) in {"Cc", "Cs"} or character in _REORDERING:
            raise ValueError("must not contain control characters")
    return text


def printable_lines(text: str) -> str:
    text = text.replace("\r\n", "\n")
    printable(text.replace("\n", " ").replace("\t", " "))
    return text


def no_bool(value: Any) -> Any:
    """`true` is no number, although Python says so."""
    if isinstance(value, bool):
        raise ValueError("must be a number")
    return value


def _web_address(text: str) -> str:
    if text and not text.lower().startswith(("https://", "http://")):
        raise ValueError("must start with https:// or http://")
    if any(character.isspace() or character in "\"'<>\\" for character in text):
        raise ValueError("must be a web address without spaces or quotes")
    return text


def _currency(text: str) -> str:
    code = text.upper()
    if not (code.isascii() and code.isalpha()):
        raise ValueError("must be a currency code of three letters, for example EUR")
    return code


def _written(value: Any) -> Any:
    """A number is no date, although it could be read as seconds since 1970."""
    digits = isinstance(value, str) and value.strip().isdecimal()
    if isinstance(value, bool | int | float) or digits:
        raise ValueError("must be a day written as YYYY-MM-DD")
    return value


def _plausible(day: date) -> date:
    if not 1970 <= day.year <= 2200:
        raise ValueError("must be a day between 1970 and 2200")
    return day


def _at_most_six_places(value: Decimal) -> Decimal:
    exponent = value.as_tuple().exponent
    if isinstance(exponent, int) and exponent < -6:
        raise ValueError("must not have more than six decimal places")
    return value


Name = Annotated[str, Field(min_length=1, max_length=200), AfterValidator(printable)]
ShortText = Annotated[str, Field(max_length=200), AfterValidator(printable)]
LongText = Annotated[str, Field(max_length=2000), AfterValidator(printable_lines)]
WebAddress = Annotated[str, Field(max_length=500), AfterValidator(printable), AfterValidator(_web_address)]
Currency = Annotated[str, Field(min_length=3, max_length=3), AfterValidator(_currency)]
Id = Annotated[int, BeforeValidator(no_bool), Field(ge=1, le=LARGEST_ID)]
Count = Annotated[int, BeforeValidator(no_bool), Field(ge=1, le=1_000_000)]
Quantity = Annotated[
    Decimal,
    BeforeValidator(no_bool),
    Field(gt=0, le=1_000_000, allow_inf_nan=False),
    AfterValidator(_at_most_six_places),
]
Money = Annotated[
    Decimal,
    BeforeValidator(no_bool),
    Field(ge=0, le=1_000_000_000, allow_inf_nan=False),
    AfterValidator(_at_most_six_places),
]
Rate = Annotated[
    Decimal,
    BeforeValidator(no_bool),
    Field(ge=Decimal("0.000001"), le=1_000_000, allow_inf_nan=False),
    AfterValidator(_at_most_six_places),
]
Day = Annotated[date, BeforeValidator(_written), AfterValidator(_plausible)]
