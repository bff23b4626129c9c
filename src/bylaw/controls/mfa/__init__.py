"""Second factors."""

from __future__ import annotations

from pydantic import Field

from bylaw import control
from bylaw.control import Control, Duration
from bylaw.house import House
from bylaw.identity import STEP_UP, Identity
from bylaw.policy import Policy
from bylaw.reasons import Refused


class Settings(control.Settings):
    """Second factors."""

    required: tuple[str, ...] = ()
    """Roles that must have a second factor."""

    fresh: Duration = Field(600, ge=60, le=3600)
    """How long ago the latest proof may be where an account itself is changed."""


def required(policy: Policy, held: frozenset[str]) -> bool:
    """Whether somebody with these roles must show a second factor."""
    settings = policy.of(Settings)
    return not settings.off and not held.isdisjoint(settings.required)


def demand_fresh(house: House, who: Identity) -> None:
    """Go on only if whoever asks has shown lately that it is he. Raises Refused (STEP_UP)."""
    if house.now() - who.authenticated_at > house.policy.of(Settings).fresh:
        raise Refused(STEP_UP)


def _statement(policy: Policy) -> list[str]:
    return []


CONTROL = Control(
    name="mfa",
    title="Second factors",
    settings=Settings,
    statement=_statement,
)
