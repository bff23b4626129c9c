"""Access tokens."""

from __future__ import annotations

from pydantic import Field

from bylaw import control
from bylaw.control import Control, Duration
from bylaw.policy import Policy


class Settings(control.Settings):
    """Access tokens."""

    lifetime: Duration = Field(90 * 86400, ge=3600)
    """How long a token is good for. Each can be given less."""


def _statement(policy: Policy) -> list[str]:
    return []


CONTROL = Control(
    name="tokens",
    title="Access tokens",
    settings=Settings,
    statement=_statement,
)
