"""CSV that a spreadsheet program only reads and never runs."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Sequence

# A cell that begins so is run as a formula by spreadsheet programs (OWASP, CSV injection).
_STARTERS = ("=", "+", "-", "@", "\t", "\r")
_PLAIN_NUMBER = re.compile(r"[+-]?[0-9]+([.,][0-9]+)?")


def neutral(value: object) -> str:
    """The text of a cell; what would start a formula gets a leading apostrophe, numbers do not."""
    text = "" if value is None else str(value)
    if text.startswith(_STARTERS) and not _PLAIN_NUMBER.fullmatch(text):
        return f"'{text}"
    return text


def write_csv(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """The rows as CSV (RFC 4180)."""
    out = io.StringIO(newline="")
    writer = csv.writer(out)
    writer.writerow(head)
    writer.writerows([neutral(cell) for cell in row] for row in rows)
    return out.getvalue()
