"""Every way to put the gate around an application: what holds in one must hold in all of them."""

from __future__ import annotations

from typing import Any, Final

from argon2 import PasswordHasher, Type

from bylaw.hashing import Argon2id
from bylaw.verify.laboratory import Laboratory
from bylaw.verify.target import Target
from tests.applications import bare, bottle_app, django_app, fastapi_app, flask_app, starlette_app

FRAMEWORKS = ("flask", "fastapi")
TARGETS = {
    "flask": Target("flask", flask_app.create_app),
    "fastapi": Target("fastapi", fastapi_app.create_app),
    "core": Target("core", bare.Core, transport=bare.transport),
    "wsgi": Target("wsgi", bare.BareWsgi),
    "asgi": Target("asgi", bare.BareAsgi),
}


BY_PATH = {
    "django": Target("django", django_app.create_app),
    "bottle": Target("bottle", bottle_app.create_app),
    "starlette": Target("starlette", starlette_app.create_app),
}
"""Frameworks that bylaw does not know: who may call what stands in the policy."""


class Quick(Argon2id):
    """Argon2id at a price that a thousand sign-ins of a test can pay."""

    name = "quick"

    def __init__(self) -> None:
        super().__init__()
        self._hasher = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1, type=Type.ID)


COSTLY: Final = frozenset({"passwords"})
"""Controls whose probes look at what a hash costs; those of the others sign in a hundred times whatever it
costs."""


def hurry(laboratory: Laboratory) -> None:
    """Have this laboratory make and check passwords at that price."""
    house = laboratory.site.house
    house.scheme, house.decoy = Quick(), Quick().make("nobody's password")


def state(laboratory: Laboratory) -> Any:
    """The state of the application in a laboratory: `changes` counts what was changed."""
    app: Any = laboratory.app
    return app.extensions["notes"] if hasattr(app, "extensions") else app.state.notes
