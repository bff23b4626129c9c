"""Cells that no spreadsheet program runs as a formula, and their texts again.

A cell that begins with `=`, `+`, `-`, `@`, a tab or a line break is a formula to most of them, whoever wrote
it into a name (OWASP, CSV Injection; CWE-1236; GHSA-7rq4-qcpw-74gq); so is their full-width form, and either
behind a space. So is what follows a `;`, a tab or a line break inside of a cell: a program that expects
semicolons, as most of continental Europe's do, splits the line there and begins a cell of its own.

Such a text gets an apostrophe in front, and one at each such place inside. `uncell` takes them off again:
`uncell(cell(text)) == text` for every text. It works because a text that looks as if it had been guarded
(`'=1`) is itself guarded (`''=1`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import date, datetime, time
from decimal import Decimal
from typing import Final

_MARK: Final = "'"
_BEGINS: Final = r"[ \u00a0\u200b\ufeff]*[=+\-@\t\r\n\uff1d\uff0b\uff0d\uff20]"
_LIVE: Final = re.compile(rf"(?:\A|(?<=[;\t\r\n]))'*{_BEGINS}")
_GUARD: Final = re.compile(rf"(?<=[;\t\r\n])(?='*{_BEGINS})")
_GUARDED: Final = re.compile(rf"(?<=[;\t\r\n])'(?='*{_BEGINS})")
_QUOTED: Final = re.compile(r'[,;\t|"\r\n]|\A[ \ufeff]| \Z|\A[sS][eE][pP]=')
_LONGEST_EXPONENT: Final = 50


def cell(value: object) -> str:
    """The text of a cell in CSV: a text that would run is guarded, a number typed as a number stays one.

    None is empty; dates and times are ISO 8601, truth is `true` or `false`. NUL and halves of surrogate
    pairs, which are no text in any file, become U+FFFD.
    """
    if isinstance(value, str):
        return guarded(value)
    return "" if value is None else _typed(value)


def guarded(text: str) -> str:
    """The text as no program runs it."""
    if not _LIVE.search(text):
        return text
    return _MARK + _GUARD.sub(_MARK, text)


def uncell(text: str) -> str:
    """What was given to `cell`, of the text that it returned; another text stays as it is."""
    if not text.startswith(_MARK) or not _LIVE.search(text[1:]):
        return text
    return _GUARDED.sub("", text[1:])


def line(values: Iterable[object]) -> str:
    """One line of CSV (RFC 4180), with its end.

    A cell with any of the usual separators in it stands in quotation marks, so that nobody who guesses the
    separator, as this package's reader does, can guess another than the comma.
    """
    cells = [_quoted(cell(value)) for value in values]
    if cells == [""]:
        return '""\r\n'  # a blank line would be no cell at all
    return ",".join(cells) + "\r\n"


def _quoted(text: str) -> str:
    if _QUOTED.search(text):
        return '"' + text.replace('"', '""') + '"'
    return text


def _typed(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime):
        return value.isoformat(sep=" ", timespec="microseconds" if value.microsecond else "seconds")
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, int):
        return str(value)
    if isinstance(value, Decimal) and value.is_finite() and abs(value.adjusted()) < _LONGEST_EXPONENT:
        return format(value, "f")
    text = str(value)
    return text if isinstance(value, Decimal | float) and text[-1:].isdigit() else guarded(text)
