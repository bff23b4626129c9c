"""Numbers of a sheet as somebody sees them: a date is a date, and 0.125 as a percentage is 12.5%.

Not as they are rounded for the eye: 1234.5678 stays that under the format `0.00`. A currency of the format
is kept, since the same number is another price without it; so are zeros in front, as of part numbers and
postal codes.
"""

from __future__ import annotations

import re
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from functools import lru_cache
from typing import Final

_NUMBER: Final = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d{1,3})?", re.ASCII)
_LITERAL: Final = re.compile(r'"[^"]*"|\\.|_.|\*.')
_SYMBOLS: Final = "$€£¥₹₩₽₺₫₪"
_CODED: Final = re.compile(r"\[\$([^\]\-]*)[^\]]*\]")
_QUOTED: Final = re.compile(r'"([^"]*)"')
_CODE: Final = re.compile(r"[A-Z]{3}|CHF|Fr\.|zł|kr|Kč|Ft|лв")
_ZEROS: Final = re.compile("00+")
_LONGEST: Final = 40
_DIGITS: Final = 20


def number(raw: str, form: str, *, since_1904: bool) -> str | None:
    """The text of a number that is stored as `raw`, by its format; None where it is no number."""
    text = raw.strip()
    if len(text) > _LONGEST or not _NUMBER.fullmatch(text):
        return None
    how = _kind(form)
    if how in ("date", "time", "span"):
        return _moment(float(text), how, form, since_1904) or _decimal(text)
    if how == "percent":
        return f"{_shown(_rounded(text) * 100)}%"
    shown = _decimal(text)
    if _ZEROS.fullmatch(how):
        return shown if "." in shown else shown.zfill(len(how))
    return _priced(shown, how) if how else shown


@lru_cache(maxsize=512)
def _kind(form: str) -> str:
    """What a format makes of a number: date, time, span, percent, a currency, as many
    digits as it has zeros, or nothing in particular."""
    if form == "General":
        return ""
    from openpyxl.styles.numbers import is_date_format, is_timedelta_format

    if is_timedelta_format(form):
        return "span"
    if is_date_format(form):
        first = _LITERAL.sub("", form.split(";", 1)[0])
        return "date" if re.search("[dyDY]|mmm", re.sub(r"\[[^\]]*\]", "", first)) else "time"
    first = form.split(";", 1)[0]
    if _ZEROS.fullmatch(first):
        return first
    return "percent" if "%" in _LITERAL.sub("", first) else _currency(first)


def _currency(first: str) -> str:
    """What a format says that the number is of: any word in the place that is made for it (`[$R$-416]`, not
    taken for dollars), or a quoted one that can be nothing else."""
    if (coded := _CODED.search(first)) and (word := coded[1].strip()):
        return word
    for word in map(str.strip, _QUOTED.findall(first)):
        if word and (word[-1] in _SYMBOLS or _CODE.fullmatch(word)):
            return word
    bare = _LITERAL.sub(lambda found: found[0][1:] if found[0][0] == "\\" else "", _CODED.sub("", first))
    return next((each for each in bare if each in _SYMBOLS), "")


def _priced(shown: str, currency: str) -> str:
    if currency not in _SYMBOLS:
        return f"{shown} {currency}"
    return f"-{currency}{shown[1:]}" if shown.startswith("-") else f"{currency}{shown}"


def _rounded(text: str) -> Decimal:
    """To fifteen digits, as many as spreadsheet programs have: 42.530000000000001 was typed as 42.53."""
    return Decimal(format(float(text), ".15g"))


def _decimal(text: str) -> str:
    plain = text.removeprefix("+")
    return plain if plain.removeprefix("-").isdigit() else _shown(_rounded(text))


def _shown(value: Decimal) -> str:
    if not value.is_finite() or abs(value.adjusted()) > _DIGITS:
        return str(value)
    shown = format(value, "f")
    return shown.rstrip("0").rstrip(".") if "." in shown else shown


def _moment(value: float, how: str, form: str, since_1904: bool) -> str:
    """The text of a moment or a span; nothing for a date that spreadsheet programs show as ####."""
    from openpyxl.utils.datetime import MAC_EPOCH, WINDOWS_EPOCH, from_excel

    if value < 0 and how != "span":
        return ""
    try:
        found = from_excel(value, MAC_EPOCH if since_1904 else WINDOWS_EPOCH, timedelta=how == "span")
    except (OverflowError, ValueError):
        return ""
    if isinstance(found, timedelta):
        return _span(found)
    if isinstance(found, datetime):
        if how == "time":
            return found.time().isoformat(timespec="seconds")
        timed = found.time() != time() or re.search("[hH]", _LITERAL.sub("", form))
        return found.isoformat(sep=" ", timespec="seconds") if timed else found.date().isoformat()
    if isinstance(found, time):
        return found.isoformat(timespec="seconds")
    return found.isoformat() if isinstance(found, date) else ""


def _span(value: timedelta) -> str:
    seconds = round(value.total_seconds())
    hours, rest = divmod(abs(seconds), 3600)
    return f"{'-' if seconds < 0 else ''}{hours}:{rest // 60:02}:{rest % 60:02}"
