"""Every attack that is written as data, on every way to put the gate around an application."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from bylaw.verify.laboratory import Bench
from tests.applications.stacks import FRAMEWORKS, TARGETS
from tests.attacks import interpreter
from tests.attacks.interpreter import Attempt

Case = tuple[Attempt, str]


def vectors(area: str) -> Callable[..., Any]:
    """One case for each try and each stack that it says something about."""
    cases = [
        pytest.param(attempt, stack, id=f"{attempt}-{stack}")
        for attack in interpreter.read(area) for attempt in attack.attempts
        for stack in (TARGETS if attempt.everywhere else FRAMEWORKS)
    ]
    return pytest.mark.parametrize(("attempt", "stack"), cases)


def play(stacks: dict[str, Bench], attempt: Attempt, stack: str) -> None:
    with stacks[stack].laboratory() as laboratory:
        interpreter.run(laboratory, attempt)


@pytest.mark.requirement(
    "S1-034", "S1-035", "S1-037", "S1-038", "S1-040", "S1-041", "S2-016", "C-15", "C-17"
)
@vectors("csrf")
def test_csrf(attempt: Attempt, stack: str, stacks: dict[str, Bench]) -> None:
    """Another site has a visitor's browser send something, and nothing comes of it."""
    play(stacks, attempt, stack)


@pytest.mark.requirement("S1-003", "S1-010", "S3-006", "C-03")
@vectors("passwords")
def test_passwords(attempt: Attempt, stack: str, stacks: dict[str, Bench]) -> None:
    """Whatever somebody sends as a password, it opens nothing and costs nothing."""
    play(stacks, attempt, stack)


@pytest.mark.requirement("S1-003", "C-08", "C-41")
@vectors("enumeration")
def test_enumeration(attempt: Attempt, stack: str, stacks: dict[str, Bench]) -> None:
    """No answer tells whose address has an account."""
    play(stacks, attempt, stack)


@pytest.mark.requirement(
    "S1-003", "S1-010", "S1-076", "S1-077", "S2-008", "S2-009", "S2-011", "S3-066", "S3-069",
    "C-32", "C-40",
)
@vectors("sessions")
def test_sessions(attempt: Attempt, stack: str, stacks: dict[str, Bench]) -> None:
    """A cookie that was planted, copied, kept, expired or made up is nobody's."""
    play(stacks, attempt, stack)
