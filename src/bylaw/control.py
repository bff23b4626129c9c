"""What a control is made of: one promise and everything about it, in one room.

A room holds, in this order: docstring (threat, mechanism, source, what it does not do), reasons,
`Settings`, enforcement, probes, sabotages, statement, and on its last line `CONTROL`.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field

if TYPE_CHECKING:
    from bylaw.policy import Policy
    from bylaw.reasons import Reason


@dataclass(frozen=True, slots=True)
class Below:
    """A value that is allowed but below today's standard: where it differs, and who says so."""

    key: str
    value: str
    standard: str
    source: str


@dataclass(frozen=True, slots=True)
class Conflict:
    """A value that makes a promise impossible: the key, what it would lead to, what to write."""

    key: str
    why: str
    accepted: str = ""


class Section(BaseModel):
    """A table of the policy: closed, typed, frozen, each key documented beside it."""

    EACH: ClassVar[type[Section] | None] = None
    """What a table under a name of one's own holds, where there may be such tables."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, use_attribute_docstrings=True)


class Settings(Section):
    """What the policy may say about a control."""

    off: bool = False
    """Switch the control off. Demands `because`, and is printed in SECURITY.md."""

    because: str | None = None
    """Why a value here is below the standard, or the control off. Printed in SECURITY.md."""

    def below_standard(self) -> Iterable[Below]:
        """The values that are below today's standard."""
        return ()


class Exemption(Section):
    """A path on which a control leaves something out for a while: why, until when, who answers for it,
    and what stands in its place."""

    INSTEAD: ClassVar[str] = ""
    """What always stands in its place: the control's own words."""
    MEND: ClassVar[str] = "drop the entry"
    """How to do without it."""

    path: str = Field(pattern=r"^/[^?#]*$")
    """The path, or everything below it when it ends in `/*`."""
    reason: str = Field(min_length=10)
    """Why it cannot be done without."""
    owner: str = Field(min_length=2)
    """Who answers for it."""
    expires: datetime.date
    """The last day (UTC) on which it holds; afterwards the application refuses to start."""
    instead: str | None = Field(None, min_length=10)
    """What protects the path besides what the control always keeps there."""

    @property
    def standing(self) -> str:
        """What stands in its place: what the control keeps, and what the policy adds."""
        return "; ".join(filter(None, (self.INSTEAD, self.instead)))

    def covers(self, path: str) -> bool:
        if self.path.endswith("/*"):
            # What something further in might shorten to a path outside is not inside (CVE-2025-47910).
            return path.startswith(self.path[:-1]) and "//" not in path and "/." not in path
        return path == self.path

    def holds(self, now: float) -> bool:
        """Whether it still stands at `now` (seconds since 1970)."""
        return datetime.datetime.fromtimestamp(now, datetime.UTC).date() <= self.expires


class Broken(Exception):
    """A probe saw the promise broken. The text is the evidence."""


class CouldNotLook(Exception):
    """A probe could not look, and says why. Never counted as a pass."""


Severity = Literal["low", "medium", "high", "critical"]


@dataclass(frozen=True, slots=True)
class Probe:
    """An attack on the running application by its control.

    `run` gets a laboratory (`bylaw.testing.Laboratory`) and returns what it saw, or raises Broken
    or CouldNotLook.
    """

    name: str
    title: str
    run: Callable[[Any], str]
    severity: Severity = "high"
    requirements: tuple[str, ...] = ()


def probe(severity: Severity, *requirements: str) -> Callable[[Callable[[Any], str]], Probe]:
    """Make a probe of a function: its name, and its docstring's first paragraph as the promise."""

    def decorate(run: Callable[[Any], str]) -> Probe:
        return Probe(run.__name__, _first_paragraph(run), run, severity, requirements)

    return decorate


Patch = Callable[[Any, str, Any], None]
"""Puts another value in the place of an object's attribute, until the sabotage is over."""


@dataclass(frozen=True, slots=True)
class Sabotage:
    """A deliberately broken variant of a control, which one of its probes must catch."""

    name: str
    title: str
    apply: Callable[[Patch], None]


def sabotage(apply: Callable[[Patch], None]) -> Sabotage:
    """Make a sabotage of a function: its name, and its docstring's first paragraph as the defect."""
    return Sabotage(apply.__name__, _first_paragraph(apply), apply)


def _first_paragraph(function: Callable[..., Any]) -> str:
    return " ".join((function.__doc__ or "").strip().partition("\n\n")[0].split())


def _nothing(_: Any) -> Iterable[Conflict]:
    return ()


def _never(_: Any) -> str:
    return ""


@dataclass(frozen=True, slots=True)
class Control:
    """One promise: its name in code, policy, docs, tests and reasons, and all that belongs to it.

    `steps` maps a phase of `bylaw.order` to a function that builds the control's step for it.
    `statement` gives the sentences of SECURITY.md; `requirements` and `asvs` (ASVS 5.0.0) name what
    they answer. `conflicts` finds values that contradict other controls or cannot be kept.
    """

    name: str
    title: str
    settings: type[Settings]
    statement: Callable[[Policy], list[str]]
    reasons: tuple[Reason, ...] = ()
    steps: Mapping[str, Callable[[Any], Any]] = field(default_factory=dict)
    probes: tuple[Probe, ...] = ()
    sabotages: tuple[Sabotage, ...] = ()
    conflicts: Callable[[Policy], Iterable[Conflict]] = _nothing
    start: Callable[[Any], Iterable[Conflict]] = _nothing
    """What only the process that is about to answer can know (its House): not asked by commands."""
    routed: Callable[[Any], Iterable[Conflict]] = _nothing
    """What is known once the application has all its routes."""
    idle: Callable[[Policy], str] = _never
    """Why it has nothing to do under a policy that has something else off; empty where it has. It is off
    then, and nothing is lost by that."""
    requirements: tuple[str, ...] = ()
    asvs: tuple[str, ...] = ()
