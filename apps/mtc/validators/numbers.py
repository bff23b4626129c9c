"""Numbers and money as people write them: 1,234.50 and 1.234,50 and $42.53 and 4.20 GBP."""

from __future__ import annotations

import re
from collections.abc import Iterable
from decimal import Decimal

# Those that stand for one currency: "¥" and "kr" are those of several countries.
_SYMBOLS = {
    "$": "USD", "US$": "USD", "€": "EUR", "£": "GBP", "Fr.": "CHF", "SFr.": "CHF", "zł": "PLN", "Kč": "CZK",
    "Ft": "HUF", "₹": "INR", "₩": "KRW", "₪": "ILS", "₺": "TRY",
}  # fmt: skip
_NAMED = r"US\$|S?Fr\.|zł|Kč|Ft|[$€£₹₩₪₺]|[A-Za-z]{3}"
_GROUPS = re.compile(r"[0-9]{1,3}([.,][0-9]{3})+")
_NUMBER = r"[+-]?[0-9][0-9.,'’\s]*?"
# "12,-" and "12.–": whole amounts as German and Swiss price lists write them
_MONEY = re.compile(
    rf"(?P<before>{_NAMED})?\s*(?P<number>{_NUMBER})(?:[.,]\s?[-–—]{{1,2}})?\s*(?P<after>{_NAMED})?"
)
PIECES = frozenset({"", "x", "pc", "pcs", "piece", "pieces", "ea", "stk", "st", "stück", "stueck"})
_UNITS = frozenset(
    {"mm", "cm", "m", "g", "kg", "ml", "l", "h", "set", "sets", "pair", "pairs", "roll", "sheet"}
)
_COUNT = re.compile(rf"(?P<number>{_NUMBER})\s*(?P<unit>[A-Za-zü]*)\.?")
_HEADED = re.compile(
    rf"\s*(?:[\[(]\s*(?P<braced>{_NAMED})\s*[\])]|(?:\bin\s+|/\s*)?(?<![A-Za-z])(?P<bare>{_NAMED}))\s*$"
)
_CODES = frozenset(
    {"USD", "EUR", "GBP", "CHF", "JPY", "CNY", "SEK", "NOK", "DKK", "PLN", "CZK", "CAD", "AUD"}
)
_MOST_DIGITS = 20
# No number is longer; the patterns above take a time that grows with the square of what they look at.
_LONGEST = 60


def read_number(text: str, decimal_sign: str | None) -> Decimal:
    """The number in `text`. Raises ValueError, also when it could be two different numbers.

    `decimal_sign` is what the rest of the file uses (see `decimal_sign_of`), None if unknown.
    """
    digits = re.sub(r"[\s'’]", "", text)
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


def read_count(text: str, decimal_sign: str | None) -> tuple[Decimal, str]:
    """A quantity and its unit: "12", "12x" and "12 pcs" have none, "2.5 m" is in "m". Raises ValueError."""
    match = _COUNT.fullmatch(text.strip()) if len(text) <= _LONGEST else None
    unit = match["unit"].lower() if match else ""
    if match is None or unit not in PIECES | _UNITS:
        raise ValueError("not a number")
    return read_number(match["number"], decimal_sign), "" if unit in PIECES else match["unit"]


def read_money(text: str, decimal_sign: str | None) -> tuple[Decimal, str]:
    """The amount, and the currency if the text names one, else "". Raises ValueError."""
    match = _MONEY.fullmatch(text.strip()) if len(text) <= _LONGEST else None
    if match is None or (match["before"] and match["after"]):
        raise ValueError("not an amount of money")
    named = match["before"] or match["after"] or ""
    return read_number(match["number"], decimal_sign), _code(named)


def currency_in(heading: str) -> tuple[str, str]:
    """A heading without the currency that it ends with, and that currency: "Price (USD)", "Preis in €"."""
    match = _HEADED.search(heading) if len(heading) <= _LONGEST else None
    if match is None or not match.start():
        return heading, ""
    code = _code(match["braced"] or match["bare"])
    return (heading[: match.start()], code) if code in _CODES else (heading, "")


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


def _code(named: str) -> str:
    return _SYMBOLS.get(named, named.upper())


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
