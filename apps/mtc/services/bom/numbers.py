"""Numbers and money as people write them: 1,234.50 and 1.234,50 and $42.53 and 4.20 GBP."""

from __future__ import annotations

import re
from collections.abc import Iterable
from decimal import Decimal

_SYMBOLS = {"$": "USD", "US$": "USD", "€": "EUR", "£": "GBP"}
_GROUPS = re.compile(r"[0-9]{1,3}([.,][0-9]{3})+")
_MONEY = re.compile(
    r"(?P<before>US\$|[$€£]|[A-Za-z]{3})?\s*(?P<number>[+-]?[0-9][0-9.,' \u00a0]*)"
    r"(?P<after>US\$|[$€£]|[A-Za-z]{3})?"
)
_COUNT = re.compile(r"(?P<number>[+-]?[0-9][0-9.,' \u00a0]*?)\s*(x|pcs?\.?|stk?\.?)?", re.IGNORECASE)
_MOST_DIGITS = 20


def read_number(text: str, decimal_sign: str | None) -> Decimal:
    """The number in `text`. Raises ValueError, also when it could be two different numbers.

    `decimal_sign` is what the rest of the file uses (see `decimal_sign_of`), None if unknown.
    """
    digits = re.sub(r"[\s'\u00a0]", "", text)
    if not re.fullmatch(r"[+-]?[0-9]+([.,][0-9]+)*", digits) or len(digits) > _MOST_DIGITS:
        raise ValueError("not a number")
    signs = [character for character in digits if character in ".,"]
    if not signs:
        return Decimal(digits)
    last = signs[-1]
    if len(set(signs)) > 1:
        return _both_signs(digits, last)
    if len(signs) > 1:
        return _grouped(digits)
    if _is_decimal(digits, last, decimal_sign):
        return Decimal(digits.replace(",", "."))
    return _grouped(digits)


def read_count(text: str, decimal_sign: str | None) -> Decimal:
    """A quantity: "12", "12x" or "12 pcs". Raises ValueError."""
    match = _COUNT.fullmatch(text.strip())
    if match is None:
        raise ValueError("not a number")
    return read_number(match["number"], decimal_sign)


def read_money(text: str, decimal_sign: str | None) -> tuple[Decimal, str | None]:
    """The amount, and the currency if the text names one. Raises ValueError."""
    match = _MONEY.fullmatch(text.strip())
    if match is None or (match["before"] and match["after"]):
        raise ValueError("not an amount of money")
    named = match["before"] or match["after"]
    currency = _SYMBOLS.get(named, named.upper()) if named else None
    return read_number(match["number"], decimal_sign), currency


def decimal_sign_of(cells: Iterable[str]) -> str | None:
    """The decimal sign that these cells prove; None if they prove none or both."""
    found = set()
    for cell in cells:
        signs = re.findall(r"[.,]", cell)
        tail = re.search(r"[.,]([0-9]+)\D*$", cell)
        if not signs or tail is None:
            continue
        if len(set(signs)) > 1 or (len(signs) == 1 and len(tail[1]) != 3):
            found.add(signs[-1])
        elif len(signs) > 1:
            found.add("." if signs[0] == "," else ",")
    return found.pop() if len(found) == 1 else None


def _both_signs(digits: str, last: str) -> Decimal:
    whole, _, fraction = digits.rpartition(last)
    if last in whole:
        raise ValueError("not a number")
    return Decimal(f"{_grouped(whole)}.{fraction}")


def _grouped(digits: str) -> Decimal:
    if not _GROUPS.fullmatch(digits.lstrip("+-")):
        raise ValueError("not a number")
    return Decimal(digits.replace(",", "").replace(".", ""))


def _is_decimal(digits: str, sign: str, decimal_sign: str | None) -> bool:
    whole, _, fraction = digits.lstrip("+-").partition(sign)
    if len(fraction) != 3 or len(whole) > 3 or whole.startswith("0"):
        return True
    if decimal_sign is None and sign == ",":
        raise ValueError("could be two different numbers")
    return decimal_sign in (None, sign)
