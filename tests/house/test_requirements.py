"""The requirement lists are complete and each line can be checked."""

from __future__ import annotations

import re
import tomllib
from collections import Counter
from typing import Any

import pytest

from tools import trace

FOLDER = trace.ROOT / trace.FOLDER


def read(name: str) -> dict[str, Any]:
    return tomllib.loads((FOLDER / f"{name}.toml").read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    ("name", "done", "future", "advice"), [("s1", 122, 6, 36), ("s2", 36, 4, 46), ("s3", 54, 17, 16)]
)
def test_every_line_of_a_source_policy_is_listed(name: str, done: int, future: int, advice: int) -> None:
    """Every line of a source policy is listed."""
    rows = read(name)["requirement"]
    assert Counter(row["status"] for row in rows) == {"done": done, "future": future, "advice": advice}
    assert [row["id"] for row in rows] == [f"{name.upper()}-{n:03}" for n in range(1, len(rows) + 1)]


@pytest.mark.parametrize("name", ["s1", "s2", "s3"])
def test_every_requirement_says_what_it_is_and_how_it_would_be_shown(name: str) -> None:
    """Every requirement says what it is and how it would be shown."""
    for row in read(name)["requirement"]:
        assert set(row) == {"id", "area", "text", "shown_by", "status"}
        assert all(value.strip() == value != "" for value in row.values()), row["id"]


def test_every_contradiction_is_resolved() -> None:
    """Every contradiction is resolved."""
    rows = read("contradictions")["contradiction"]
    assert [row["id"] for row in rows] == [f"C-{number:02}" for number in range(1, 45)]
    assert all(row["where"] and row["clash"] and row["resolution"] for row in rows)


def test_what_a_line_refers_to_exists() -> None:
    """Text such as "see C-12" and "S1-097, S1-098" leads somewhere."""
    known = {line.id for line in trace.lines_of(FOLDER)}
    for path in FOLDER.glob("*.toml"):
        named = set(re.findall(r"\b(?:S[123]-\d{3}|C-\d{2})\b", path.read_text(encoding="utf-8")))
        assert named <= known, path.name


def test_the_readme_counts_the_lines_right() -> None:
    """The readme counts the lines right."""
    readme = (FOLDER / "README.md").read_text(encoding="utf-8")
    counts = {name: int(count) for name, count in re.findall(r"\[(\w+\.toml)\].*\| (\d+) \|", readme)}
    assert counts == {"s1.toml": 164, "s2.toml": 86, "s3.toml": 87, "contradictions.toml": 44}
