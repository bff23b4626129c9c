"""Houses on both databases that bylaw keeps, with hashes that cost little."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from bylaw.house import House
from bylaw.ports import Ports
from bylaw.site import build
from bylaw.store import migrate
from bylaw.verify.fakes import FakeClock, Mailbox
from tests.applications.stacks import Quick
from tests.controls.houses import Builder
from tests.store import postgresql

POLICY = """
[app]
name = "Rooms"
[roles]
admin = ["*"]
clerk = ["user:manage"]
user = ["note:read"]
[signup]
open = true
role = "user"
[tokens]
sign_in = true
bootstrap = "env:ADMIN_TOKEN?"
"""


@pytest.fixture(scope="session")
def postgresql_url() -> Iterator[str]:
    """A real PostgreSQL server, started by the tests."""
    with postgresql.server() as url:
        yield url


@pytest.fixture
def mailbox() -> Mailbox:
    return Mailbox()


@pytest.fixture(params=["sqlite", "postgresql"])
def house(request: pytest.FixtureRequest, tmp_path: Path, mailbox: Mailbox) -> Iterator[House]:
    """A policy at work on an empty database, without an application."""
    if request.param == "sqlite":
        yield from _house(tmp_path, mailbox)
        return
    url = postgresql.emptied(request.getfixturevalue("postgresql_url"))
    yield from _house(tmp_path, mailbox, DATABASE_URL=url)


def _house(tmp_path: Path, mailbox: Mailbox, **environ: str) -> Iterator[House]:
    policy = Builder(tmp_path).policy(POLICY, **environ)
    made = build(policy, Ports(clock=FakeClock(), mail=mailbox))
    made.scheme = Quick()
    made.decoy = made.scheme.make("nobody's password")
    migrate.upgrade(made.store.engine)
    yield made
    made.store.close()
