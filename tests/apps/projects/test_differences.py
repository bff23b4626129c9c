"""Differences: what is shown is what changed, all of it, and in bounded time."""

from __future__ import annotations

import re
import time

from hypothesis import given
from hypothesis import strategies as st

from apps.projects import differences

HUNK = re.compile(r"@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@")
TEXTS = st.lists(st.sampled_from(["a", "b", "", "c\r", "d\x0b", "+a", "-b", "@@"]), max_size=40).map(
    "\n".join
)


def applied(older: str, diff: list[str]) -> str:
    """The text that a unified diff makes of another: what `patch` does."""
    before, made, at = older.split("\n"), [], 0
    for line in diff[2:]:
        head = HUNK.fullmatch(line) if line.startswith("@@ -") else None
        if head is not None:
            start = int(head[1]) - (0 if head[2] == "0" else 1)
            made += before[at:start]
            at = start
        elif line[0] == "+":
            made.append(line[1:])
        else:
            assert before[at] == line[1:]
            at += 1
            if line[0] == " ":
                made.append(line[1:])
    return "\n".join(made + before[at:])


@given(TEXTS, TEXTS)
def test_a_difference_makes_the_newer_of_the_older(older: str, newer: str) -> None:
    """Nothing is left out, line ends and empty lines included, and nothing changed is no difference."""
    diff = differences.lines("body", older, newer, (1, 2))
    assert (diff == []) == (older == newer)
    if diff:
        assert diff[:2] == ["--- body 1", "+++ body 2"]
        assert applied(older, diff) == newer


@given(TEXTS, TEXTS, st.integers(0, 30))
def test_a_change_far_down_is_told_where_it_is(older: str, newer: str, above: int) -> None:
    """What is alike before it is skipped, and counted."""
    head = "\n".join(f"line {n}" for n in range(above + 1)) + "\n"
    diff = differences.lines("body", head + older, head + newer, (3, 7))
    if diff:
        assert applied(head + older, diff) == head + newer


def test_the_longest_comparison_there_is() -> None:
    """Lines that are matched with each other are few, whatever strangers write."""
    begun = time.process_time()
    for size in (differences.COMPARED, 25_000):
        older = "\n".join("ab"[n % 2] for n in range(size))
        newer = "\n".join("ab"[(n // 3) % 2] for n in range(size))
        assert applied(older, differences.lines("body", older, newer, (1, 2))) == newer
    assert time.process_time() - begun < 3
