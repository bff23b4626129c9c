"""One laboratory for all examples of a module: what one of them leaves behind, the next one meets."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import apps.mtc  # noqa: F401 - now, not while another laboratory's threads are at work
from bylaw.testing import Bench, Laboratory, Target
from tests.applications.stacks import FRAMEWORKS, TARGETS
from tests.fuzz.junk import prepared


def _opened(target: Target) -> Iterator[Laboratory]:
    bench = Bench(target)
    try:
        with bench.laboratory() as laboratory:
            yield prepared(laboratory)
    finally:
        bench.close()


@pytest.fixture(scope="module", params=["core", *FRAMEWORKS])
def stack(request: pytest.FixtureRequest) -> Iterator[Laboratory]:
    """The gate around nothing, and the notes application in each framework."""
    yield from _opened(TARGETS[request.param])


@pytest.fixture(scope="module")
def notes() -> Iterator[Laboratory]:
    """The notes application in FastAPI."""
    yield from _opened(TARGETS["fastapi"])


@pytest.fixture(scope="module")
def mtc() -> Iterator[Laboratory]:
    """MTC with its sample data."""
    yield from _opened(Target.named("apps.mtc"))


@pytest.fixture(scope="module")
def core() -> Iterator[Laboratory]:
    """The gate around nothing."""
    yield from _opened(TARGETS["core"])
