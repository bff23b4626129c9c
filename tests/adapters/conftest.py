"""Laboratories of each way to put the gate around an application."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from bylaw.verify.laboratory import Bench, Laboratory
from tests.applications.stacks import TARGETS


@pytest.fixture(scope="session")
def stacks() -> Iterator[dict[str, Bench]]:
    """A bench for Flask, FastAPI, and for the gate around nothing, three lines of WSGI and of ASGI."""
    made = {name: Bench(target) for name, target in TARGETS.items()}
    yield made
    for bench in made.values():
        bench.close()


@pytest.fixture
def wsgi_laboratory(stacks: dict[str, Bench]) -> Iterator[Laboratory]:
    """Three lines of WSGI behind the gate."""
    with stacks["wsgi"].laboratory() as made:
        yield made


@pytest.fixture
def asgi_laboratory(stacks: dict[str, Bench]) -> Iterator[Laboratory]:
    """Three lines of ASGI behind the gate."""
    with stacks["asgi"].laboratory() as made:
        yield made
