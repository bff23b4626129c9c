"""The planner: sessions in which people contribute to a plan, support each other and place it on a map."""

from __future__ import annotations

from flask import Flask
from sqlalchemy import Engine

from apps.planner import database, problems, sample_data, views
from apps.planner.routing import IdConverter
from bylaw.flask import Bylaw

__all__ = ["create_app", "prepare_laboratory", "sample"]


def create_app() -> Flask:
    """The application. All that concerns security is in bylaw.toml."""
    app = Flask(__name__)
    app.url_map.converters["int"] = IdConverter
    bylaw = Bylaw(app, "bylaw.toml")
    database.init_app(app)
    problems.init_app(app)
    views.init_app(app)
    bylaw.ready()
    database.check(app, bylaw.engine)
    return app


def prepare_laboratory(engine: Engine) -> None:
    """Tables and sample data in an empty database, for a verification that attacks the application.

    Nothing is recorded: there is no application yet, and its audit log is to begin with the attacks.
    """
    database.upgrade(engine.engine)
    with database.open_session(engine.engine) as session:
        sample_data.load(session, _nowhere)


def sample(bylaw: Bylaw) -> None:
    """What a developer sees at first: a planning in full swing, one that is closed, one in preparation."""
    with database.open_session(bylaw.engine) as session:
        sample_data.load(session, bylaw.record)


def _nowhere(connection: object, *, action: str, **facts: object) -> None:
    """The record of what happens before there is anybody to record it for."""
