"""Every attack of these areas is answered, and what the data says it proves is marked on its test."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from tests.attacks import interpreter
from tests.attacks.coverage import IDS

FOLDER = Path(__file__).parent


def of_tests(area: str) -> set[str]:
    """The ids in the names of the plain tests of an area."""
    file = FOLDER / f"test_{area}.py"
    if not file.is_file():  # data can say all of it
        return set()
    tree = ast.parse(file.read_text(encoding="utf-8"))
    names = [node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    return {found[1].upper() for name in names if (found := re.match(r"test_(a\d{3})_", name))}


def test_every_area_has_its_file() -> None:
    """No file of vectors stands beside the list, and no area of the list is without its file."""
    assert interpreter.areas() == sorted(IDS)


@pytest.mark.parametrize("area", sorted(IDS))
def test_every_attack_is_answered(area: str) -> None:
    """Each id is answered by data or by a test of its own, in the file of its area."""
    answered = {attack.id for attack in interpreter.read(area)} | of_tests(area)
    assert answered == set(IDS[area])


@pytest.mark.parametrize("area", sorted(IDS))
def test_what_the_data_says_it_proves_is_marked_on_its_test(area: str) -> None:
    """The register of proofs reads markers, not data: both say the same."""
    tree = ast.parse((FOLDER / "test_vectors.py").read_text(encoding="utf-8"))
    test = next(
        node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) and node.name == f"test_{area}"
    )
    marked = {
        value.value
        for mark in test.decorator_list
        if isinstance(mark, ast.Call)
        for value in mark.args
        if isinstance(value, ast.Constant)
    } - {area}
    said = {id_ for attack in interpreter.read(area) for id_ in attack.requirements}
    assert marked == said


def test_a_key_that_means_nothing_is_refused() -> None:
    """A check with a typing mistake in its name would check nothing."""
    good = {"id": "A000", "title": "t", "story": "s"}
    for attempt in (
        {"name": "n", "send": "GET /", "expects": {"status": 200}},
        {"name": "n", "send": "GET /", "expect": {"statuses": 200}},
        {"name": "n", "step": [{"sent": "GET /"}]},
        {"name": "n", "send": "GET /", "each": {"unused": [1]}},
        {"name": "n"},
    ):
        with pytest.raises(ValueError, match=r"means nothing|sends something|speaks of"):
            interpreter.attack_of({**good, "try": [attempt]})
