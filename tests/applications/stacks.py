"""Every way to put the gate around an application: what holds in one must hold in all of them."""

from __future__ import annotations

from typing import Any

from bylaw.verify.laboratory import Laboratory, Target
from tests.applications import bare, fastapi_app, flask_app

FRAMEWORKS = ("flask", "fastapi")
TARGETS = {
    "flask": Target("flask", flask_app.create_app),
    "fastapi": Target("fastapi", fastapi_app.create_app),
    "core": Target("core", bare.Core, transport=bare.transport),
    "wsgi": Target("wsgi", bare.BareWsgi),
    "asgi": Target("asgi", bare.BareAsgi),
}


def state(laboratory: Laboratory) -> Any:
    """The state of the application in a laboratory: `changes` counts what was changed."""
    app: Any = laboratory.app
    return app.extensions["notes"] if hasattr(app, "extensions") else app.state.notes
