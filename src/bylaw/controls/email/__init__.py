"""Mail and addresses."""

from __future__ import annotations

from bylaw import control
from bylaw.control import Control
from bylaw.policy import Policy


class Settings(control.Settings):
    """Mail and addresses."""

    confirm: bool = False
    """Whether somebody who signed up must show that the address is his before he is signed in."""


def must_confirm(policy: Policy) -> bool:
    """Whether an address counts only once its owner has confirmed it."""
    settings = policy.of(Settings)
    return settings.confirm and not settings.off


def _statement(policy: Policy) -> list[str]:
    return []


CONTROL = Control(
    name="email",
    title="Mail and addresses",
    settings=Settings,
    statement=_statement,
)
