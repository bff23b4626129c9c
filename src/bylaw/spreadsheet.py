"""Tables for spreadsheet programs, as CSV: no cell of which is run as a formula.

A cell that begins with `=`, `+`, `-`, `@`, a tab or a line break is a formula to most of them, whoever wrote
it into a name (OWASP, CSV Injection; CWE-1236); so is their full-width form, and either behind a space.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from typing import Final

_BEGINS: Final = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")


def cell(value: object) -> str:
    """The text of a cell; what would begin a formula gets an apostrophe, which spreadsheets do not show."""
    if value is None:
        return ""
    text = str(value)
    if isinstance(value, int | float):
        return text
    if text.startswith(_BEGINS) or text.lstrip(" \u00a0\u200b\ufeff").startswith(_BEGINS):
        return f"'{text}"
    return text


def line(values: Iterable[object]) -> str:
    """One line of CSV (RFC 4180), with its end."""
    out = io.StringIO()
    csv.writer(out).writerow([cell(value) for value in values])
    return out.getvalue()
