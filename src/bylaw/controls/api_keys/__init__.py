"""API keys."""

from __future__ import annotations

from pydantic import Field

from bylaw import control
from bylaw.control import Control, Duration
from bylaw.policy import Policy


class Settings(control.Settings):
    """API keys."""

    paths: tuple[str, ...] = ()
    """Paths on which keys are taken, and cookies are not. None: there are no keys."""

    lifetime: Duration = Field(90 * 86400, ge=3600)
    """How long a key is good for. Each can be given less."""


def _statement(policy: Policy) -> list[str]:
    return []


CONTROL = Control(
    name="api_keys",
    title="API keys",
    settings=Settings,
    statement=_statement,
)
