"""The register behind bylaw, in production, and programs with tokens of people of every role."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import create_engine, text

from apps import projects
from bylaw.verify.client import Client, Reply
from bylaw.verify.laboratory import Bench, Laboratory
from bylaw.verify.target import Target
from tests.store.postgresql import server

TARGET = Target("apps.projects", projects.create_app, projects.prepare_laboratory)


class Program:
    """A program with an access token, which comes in the Authorization field."""

    def __init__(self, laboratory: Laboratory, person: Client, token: str) -> None:
        self.person, self.id, self.token = person, person.id, token
        self.laboratory = laboratory

    def send(self, method: str, path: str, *, headers: Any = (), **how: Any) -> Reply:
        headers = [("Authorization", f"Bearer {self.token}"), *headers]
        return self.person.send(method, path, headers=headers, cookies=False, keep=False, **how)

    def get(self, path: str) -> Reply:
        return self.send("GET", path)

    def made(self, title: str = "Bridge", **more: Any) -> dict[str, Any]:
        """A new project."""
        reply = self.send("POST", "/projects", json={"title": title, **more})
        assert reply.status == 201, reply.text
        return reply.json()


def given(laboratory: Laboratory, person: Client) -> Program:
    """A token for somebody, as signing in would give it (without the request)."""
    return Program(laboratory, person, laboratory.pair(person).access)


def program(laboratory: Laboratory, *roles: str) -> Program:
    """A token of somebody new with these roles."""
    return given(laboratory, laboratory.person(*roles))


@pytest.fixture(scope="session")
def bench() -> Iterator[Bench]:
    made = Bench(TARGET)
    yield made
    made.close()


@pytest.fixture(scope="module")
def shared(bench: Bench) -> Iterator[Laboratory]:
    """One laboratory for the tests of a file that leave its clock and its policy alone."""
    with bench.laboratory() as laboratory:
        yield laboratory


@pytest.fixture
def register(bench: Bench) -> Iterator[Laboratory]:
    with bench.laboratory() as laboratory:
        yield laboratory


@pytest.fixture(scope="package")
def postgresql() -> Iterator[str]:
    """A real PostgreSQL server, started for these tests."""
    with server() as url:
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def anywhere(request: pytest.FixtureRequest, bench: Bench) -> Iterator[Laboratory]:
    """The register on each of the two databases."""
    if request.param == "sqlite":
        with bench.laboratory() as laboratory:
            yield laboratory
        return
    with laboratory_at(request.getfixturevalue("postgresql")) as laboratory:
        yield laboratory


def laboratory_at(server: str) -> Laboratory:
    """The register on an empty database of a server."""
    name = f"r{uuid.uuid4().hex}"
    engine = create_engine(f"{server}/postgres", isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(f'CREATE DATABASE "{name}"'))
    engine.dispose()
    return Laboratory(TARGET, database=f"{server}/{name}")
