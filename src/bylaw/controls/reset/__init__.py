"""Password reset."""

from __future__ import annotations

from pydantic import Field

from bylaw import control
from bylaw.control import Control, Duration
from bylaw.policy import Policy


class Settings(control.Settings):
    """Password reset."""

    lifetime: Duration = Field(3600, ge=300, le=86400)
    """How long a mailed link is good for (NIST SP 800-63B-4 3.1.6: 24 hours at most)."""


def _statement(policy: Policy) -> list[str]:
    return []


CONTROL = Control(
    name="reset",
    title="Password reset",
    settings=Settings,
    statement=_statement,
)
