"""The pytest plugin: `bylaw_app` in the configuration names the application, and fixtures serve it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from bylaw.testing import Client, Laboratory


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addini("bylaw_app", "the application under test: package.module or package.module:factory")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "requirement(*ids): the requirements that the test proves")


@pytest.fixture
def bylaw_laboratory(request: pytest.FixtureRequest) -> Iterator[Laboratory]:
    """The application on a database of its own, with people, mailbox and clock."""
    from bylaw.testing import bench

    app = request.config.getini("bylaw_app")
    if not app:
        raise pytest.UsageError("set bylaw_app in the pytest configuration, e.g. bylaw_app = myapp")
    with bench(str(app)).laboratory() as laboratory:
        yield laboratory


@pytest.fixture
def bylaw_visitor(bylaw_laboratory: Laboratory) -> Client:
    """Somebody who is not signed in."""
    return bylaw_laboratory.visitor()


@pytest.fixture
def bylaw_administrator(bylaw_laboratory: Laboratory) -> Client:
    """Somebody who may do everything, signed in."""
    return bylaw_laboratory.administrator()
