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
        for attack in interpreter.read(area)
        for attempt in attack.attempts
        for stack in (TARGETS if attempt.everywhere else FRAMEWORKS)
    ]
    return pytest.mark.parametrize(("attempt", "stack"), cases)


def play(stacks: dict[str, Bench], attempt: Attempt, stack: str) -> None:
    with stacks[stack].laboratory() as laboratory:
        interpreter.run(laboratory, attempt)


@pytest.mark.requirement("S1-034", "S1-035", "S1-037", "S1-038", "S1-040", "S1-041", "S2-016", "C-15", "C-17")
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
    "S1-003",
    "S1-010",
    "S1-076",
    "S1-077",
    "S2-008",
    "S2-009",
    "S2-011",
    "S3-066",
    "S3-069",
    "C-32",
    "C-40",
)
@vectors("sessions")
def test_sessions(attempt: Attempt, stack: str, stacks: dict[str, Bench]) -> None:
    """A cookie that was planted, copied, kept, expired or made up is nobody's."""
    play(stacks, attempt, stack)


@pytest.mark.requirement(
    "S1-010", "S1-027", "S1-028", "S1-030", "S1-032", "S1-033", "S1-112", "S3-031", "C-08"
)
@vectors("rbac")
def test_rbac(attempt: Attempt, stack: str, stacks: dict[str, Bench]) -> None:
    """Nobody gets a role, a field, an object, a route or a column that is not theirs."""
    play(stacks, attempt, stack)


@pytest.mark.requirement("S3-062", "S3-063", "S3-065", "C-36")
@vectors("headers")
def test_headers(attempt: Attempt, stack: str, stacks: dict[str, Bench]) -> None:
    """Every answer says what a browser and a cache may do with it, and nothing else gets in."""
    play(stacks, attempt, stack)


@pytest.mark.requirement("S3-052", "S3-053", "S3-055", "S3-062", "C-11", "C-23")
@vectors("errors")
def test_errors(attempt: Attempt, stack: str, stacks: dict[str, Bench]) -> None:
    """No error says anything about the inside, and no error page runs what was sent."""
    play(stacks, attempt, stack)


@pytest.mark.requirement("S1-061", "S1-062", "S1-063", "S1-068", "S2-012", "C-07", "C-19")
@vectors("secrets")
def test_secrets(attempt: Attempt, stack: str, stacks: dict[str, Bench]) -> None:
    """Nothing that stands in somebody's documentation opens anything, and nothing secret is shown."""
    play(stacks, attempt, stack)
