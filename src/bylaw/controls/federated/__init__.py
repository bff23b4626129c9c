"""Federated sign-in."""

from __future__ import annotations

from bylaw import control
from bylaw.control import Control
from bylaw.policy import Policy


class Settings(control.Settings):
    """Federated sign-in."""


def _statement(policy: Policy) -> list[str]:
    return []


CONTROL = Control(
    name="federated",
    title="Federated sign-in",
    settings=Settings,
    statement=_statement,
)
