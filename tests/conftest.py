"""What every test may ask for: laboratories of the two test applications."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest

from bylaw.verify.laboratory import Bench, Laboratory
from bylaw.verify.target import Target
from tests.applications import fastapi_app, flask_app
from tests.scanner import Daemon

FACTORIES = {"flask": flask_app.create_app, "fastapi": fastapi_app.create_app}

gc.disable()  # until all tests are collected: of modules and tests nothing is garbage


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop() -> None:
    """Let no collection of garbage look at half a gigabyte of tests again: that takes a second in which no
    thread runs, and some tests count seconds."""
    gc.enable()
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def benches() -> Iterator[dict[str, Bench]]:
    """A prepared database for each test application, copied for every laboratory."""
    made = {name: Bench(Target(name, factory)) for name, factory in FACTORIES.items()}
    yield made
    for bench in made.values():
        bench.close()


@pytest.fixture(params=sorted(FACTORIES))
def laboratory(request: pytest.FixtureRequest, benches: dict[str, Bench]) -> Iterator[Laboratory]:
    """The notes application, in Flask and in FastAPI, each test on a database of its own."""
    with benches[request.param].laboratory() as made:
        yield made


@pytest.fixture
def flask_laboratory(benches: dict[str, Bench]) -> Iterator[Laboratory]:
    """The notes application in Flask alone, for what no framework can change."""
    with benches["flask"].laboratory() as made:
        yield made


@pytest.fixture(scope="session")
def clamd() -> Iterator[Daemon]:
    """ClamAV's own scanner with a handful of signatures; whoever stops it starts it again."""
    made = Daemon()
    yield made
    made.close()
