"""MTC: manufacturing processes, production lots and what they cost."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask import Flask

from apps.mtc import api, config, database, problems, sample_data, views
from apps.mtc.routing import IdConverter
from bylaw.flask import Bylaw

__all__ = ["create_app", "prepare_laboratory"]


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
    bylaw.ready()
    database.check(app, bylaw.engine)
    return app


def prepare_laboratory(bylaw: Bylaw) -> None:
    """Tables and sample data for a verification that attacks the application."""
    database.upgrade(bylaw.engine)
    with database.open_session(bylaw.engine, bylaw.record) as session:
        sample_data.load(session)
