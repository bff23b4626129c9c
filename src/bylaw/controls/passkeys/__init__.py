"""Passkeys."""

from __future__ import annotations

from bylaw import control
from bylaw.control import Control
from bylaw.policy import Policy


class Settings(control.Settings):
    """Passkeys."""


def _statement(policy: Policy) -> list[str]:
    return []


CONTROL = Control(
    name="passkeys",
    title="Passkeys",
    settings=Settings,
    statement=_statement,
)
