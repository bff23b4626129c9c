"""A project's folder, and an application in one."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli import transcript

_FLASK = """
from flask import Flask
from bylaw.flask import Bylaw, permit, public


def create_app():
    app = Flask(__name__)
    bylaw = Bylaw(app)

    @app.get("/")
    @public("the front page")
    def home():
        return "hello"

    @app.post("/notes")
    @permit("note:create")
    def create():
        return {}, 201

    bylaw.ready()
    return app


def sample(bylaw):
    print("sample data")
"""
_numbers = itertools.count()


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Path]:
    """A folder with a policy, and its variables."""
    with transcript.project(tmp_path):
        yield tmp_path


@pytest.fixture
def app(project: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The name of a small application in that folder; another one for each test."""
    name = f"small_application_{next(_numbers)}"
    (project / f"{name}.py").write_text(_FLASK, "utf-8")
    monkeypatch.setattr(sys, "path", [str(project), *sys.path])
    yield name
    sys.modules.pop(name, None)
