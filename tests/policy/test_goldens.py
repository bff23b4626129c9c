"""Every kind of mistake in a policy, and what a person is told about it: see `goldens.py`."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.policy import goldens


def _check(path: Path, directory: Path) -> None:
    golden = goldens.read(path)
    assert golden.outcome, f"{path.name} has no outcome: python -m tests.policy.goldens"
    outcome, text = goldens.outcome(golden, directory)
    assert (golden.outcome, golden.expected) == (outcome, text)
    for name, value in golden.variables.items():
        if name not in ("BASE_URL", "BYLAW_ENV") and len(value) > 5:
            assert value not in text, f"the value of {name} stands in the error"


def _named(folder: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("path", goldens.files(folder), ids=lambda path: path.stem)


@_named("mistakes")
def test_a_mistake_is_named_with_line_key_and_remedy(path: Path, tmp_path: Path) -> None:
    """Unknown, of the wrong type, out of range: all of it is said at once, and nothing starts."""
    _check(path, tmp_path)


@pytest.mark.requirement(
    "S1-061", "S1-062", "S1-063", "S1-068", "S1-070", "S1-126", "S2-013", "S2-055", "C-07", "C-19"
)
@_named("secrets")
def test_a_secret_is_one_and_comes_from_outside(path: Path, tmp_path: Path) -> None:
    """Missing, published, short, repeated or written out: refused, and never shown."""
    _check(path, tmp_path)


@pytest.mark.requirement("S2-010", "C-08", "C-09", "S1-127", "S1-129")
@_named("contradictions")
def test_what_cannot_be_kept_together_is_refused(path: Path, tmp_path: Path) -> None:
    """Two values that make a promise impossible do not start."""
    _check(path, tmp_path)


@pytest.mark.requirement("S1-069", "C-30", "C-33")
@_named("environment")
def test_production_is_the_default(path: Path, tmp_path: Path) -> None:
    """Development must be asked for in so many words; the real environment wins over `.env`."""
    _check(path, tmp_path)


def test_every_golden_is_run() -> None:
    """A file in a folder that no test reads would prove nothing."""
    run = {
        path
        for folder in ("mistakes", "secrets", "contradictions", "environment")
        for path in goldens.files(folder)
    }
    assert run == set(goldens.FOLDER.rglob("*.*"))
