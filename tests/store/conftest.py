"""Stores on both databases that bylaw keeps: SQLite and PostgreSQL, each test on an empty one."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from bylaw.store import Store, migrate
from bylaw.verify.fakes import FakeClock
from tests.store import postgresql


@pytest.fixture(scope="session")
def postgresql_url() -> Iterator[str]:
    """A real PostgreSQL server, started by the tests."""
    with postgresql.server() as url:
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of an empty database."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'store.db'}"
    server = request.getfixturevalue("postgresql_url")
    name = f"t{uuid.uuid4().hex}"
    engine = create_engine(f"{server}/postgres", isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(f'CREATE DATABASE "{name}"'))
    engine.dispose()
    return f"{server}/{name}"


def opened(url: str, clock: FakeClock | None = None) -> Store:
    return Store(url, root=None, clock=clock or FakeClock(), bound=1, cached=1000)


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    """A store with its tables."""
    made = opened(url)
    migrate.upgrade(made.engine)
    yield made
    made.close()
