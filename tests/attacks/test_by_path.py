"""Every attack that is written as data, on Django, Bottle and Starlette: nothing there knows of bylaw but the
adapter around it and the rules by path in the policy.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from bylaw.verify.laboratory import Bench
from tests.applications.stacks import BY_PATH
from tests.attacks import interpreter
from tests.attacks.interpreter import Attempt

AREAS = ("body", "csrf", "enumeration", "errors", "headers", "passwords", "rbac", "secrets", "sessions")
"""What is played on the policy of the notes; other areas bring one of their own."""
OTHERWISE = {
    # Django itself answers 400 to a content type in capitals.
    ("django", "the right field passes, urlencoded and multipart"),
}
CASES = [
    pytest.param(attempt, stack, id=f"{area}-{attempt}-{stack}")
    for area in AREAS
    for attack in interpreter.read(area)
    for attempt in attack.attempts
    for stack in (["django"] if attempt.everywhere else BY_PATH)  # what the gate alone decides, once
    if (stack, attempt.name) not in OTHERWISE
]


@pytest.fixture(scope="module")
def benches_by_path() -> Iterator[dict[str, Bench]]:
    """A bench for each of them."""
    made = {name: Bench(target) for name, target in BY_PATH.items()}
    yield made
    for bench in made.values():
        bench.close()


@pytest.mark.requirement("S1-027", "S1-034", "S1-038", "S1-112", "S2-015", "S3-031", "S3-052", "S3-065")
@pytest.mark.parametrize(("attempt", "stack"), CASES)
def test_every_attack(attempt: Attempt, stack: str, benches_by_path: dict[str, Bench]) -> None:
    """What holds around Flask and FastAPI holds around whatever else speaks WSGI or ASGI."""
    with benches_by_path[stack].laboratory() as laboratory:
        interpreter.run(laboratory, attempt)
