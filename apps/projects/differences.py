"""What changed between two texts, as lines of a unified diff."""

from __future__ import annotations

import difflib
from typing import Final

COMPARED: Final = 400
"""Lines of each side that are matched with each other. Matching takes the square of their number, and texts
come from strangers: more are shown as taken out and put in."""


def lines(name: str, older: str, newer: str, numbers: tuple[int, int]) -> list[str]:
    """The lines of a unified diff; none where nothing changed.

    Lines end at a line feed alone: whatever else looks like an end of line is part of what was written.
    """
    before, now = older.split("\n"), newer.split("\n")
    if before == now:
        return []
    first, last = _alike(before, now), _alike(before[::-1], now[::-1])
    last = min(last, len(before) - first, len(now) - first)
    changed = max(len(before), len(now)) - first - last
    if changed > COMPARED:
        return [
            f"--- {name} {numbers[0]}",
            f"+++ {name} {numbers[1]}",
            f"@@ -{first + 1},{len(before) - first - last} +{first + 1},{len(now) - first - last} @@",
            *(f"-{line}" for line in before[first : len(before) - last]),
            *(f"+{line}" for line in now[first : len(now) - last]),
        ]
    # What is alike at both ends is left out but for what is shown around a change, and counted in again.
    start = max(0, first - _AROUND)
    ends = [len(side) - max(0, last - _AROUND) for side in (before, now)]
    found = difflib.unified_diff(
        before[start : ends[0]],
        now[start : ends[1]],
        f"{name} {numbers[0]}",
        f"{name} {numbers[1]}",
        n=_AROUND,
        lineterm="",
    )
    return [_moved(line, start) if line.startswith("@@") else line for line in found]


_AROUND: Final = 3
"""Unchanged lines that are shown around a change."""


def _alike(before: list[str], now: list[str]) -> int:
    """How many lines both begin with."""
    return next(
        (n for n, (a, b) in enumerate(zip(before, now, strict=False)) if a != b), min(len(before), len(now))
    )


def _moved(head: str, by: int) -> str:
    """The head of a hunk, counted from where the whole text begins."""

    def side(text: str) -> str:
        start, comma, length = text[1:].partition(",")
        return f"{text[0]}{int(start) + by}{comma}{length}"

    marks, older, newer, end = head.split(" ")
    return f"{marks} {side(older)} {side(newer)} {end}"
