"""MTC: manufacturing processes, production lots and what they cost."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask import Flask
from sqlalchemy import Engine
from sqlalchemy.orm import Session

from apps.mtc import api, config, database, importers, problems, sample_data, views
from apps.mtc.routing import IdConverter
from bylaw.flask import Bylaw

__all__ = ["create_app", "prepare_laboratory", "sample"]


def create_app(overrides: Mapping[str, Any] | None = None) -> Flask:
    """The application; `overrides` go over the settings of the environment."""
    app = Flask(__name__)
    app.config.update(config.from_environment())
    app.config.update(overrides or {})
    app.url_map.converters["int"] = IdConverter
    bylaw = Bylaw(app, "bylaw.toml")
    database.init_app(app)
    problems.init_app(app)
    api.init_app(app)
    views.init_app(app)
    importers.init_app(bylaw)
    bylaw.ready()
    database.check(app, bylaw.engine)
    return app


def prepare_laboratory(engine: Engine) -> None:
    """Tables and sample data in an empty database, for a verification that attacks the application.

    Nothing is recorded: there is no application yet, and its audit log is to begin with the attacks.
    """
    database.upgrade(engine.engine)
    with database.open_session(engine.engine, _nowhere) as session:
        sample_data.load(session)


def sample(bylaw: Bylaw) -> None:
    """What a developer sees at first: four real bills of materials, prices, a few lots, and two files."""
    with database.open_session(bylaw.engine, bylaw.record) as session:
        sample_data.load(session)
        sample_data.attach(session, bylaw.files)


def _nowhere(session: Session, /, **row: object) -> None:
    """The record of what happens before there is anybody to record it for."""
