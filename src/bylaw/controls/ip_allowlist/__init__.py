"""Allowed networks."""

from __future__ import annotations

from bylaw import control
from bylaw.control import Control
from bylaw.policy import Policy


class Settings(control.Settings):
    """To be written."""


def _statement(policy: Policy) -> list[str]:
    return []


CONTROL = Control(name="ip_allowlist", title="Allowed networks", settings=Settings, statement=_statement)
