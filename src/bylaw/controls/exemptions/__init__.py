"""Exemptions: one register of whatever is left out or open, and none of it without an end.

Threat: an exception that was made for a week and is there for years, by somebody who has left; a route
that nobody remembers opening (CWE-1053, CWE-749). Mechanism: an exemption of any control names its path,
why, who answers for it and its last day, and says what stands in its place; past that day a running
process asks again and none starts; none may run longer than the policy allows. Public routes stand in the
same register, with their reason. Source: S1-040 to S1-046; PCI DSS 4.0.1 12.3.1; ASVS 5.0.0 8.1.1.
It does not judge whether a reason is a good one: it sees to it that somebody has to give it again.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from pydantic import Field

from bylaw import control
from bylaw.control import Below, Conflict, Control, Exemption
from bylaw.controls.exemptions import probes, sabotages
from bylaw.identity import AccessRule
from bylaw.policy import Policy
from bylaw.quantities import Duration, spoken

YEAR: Final = 366 * 86400
PUBLIC: Final = "public"
"""What a public route is exempt from: an identity."""
OPEN: Final = "no identity is asked for; every other control holds"
UNEXPLAINED: Final = "no reason given"
NOTHING: Final = "nothing of its own; every other control holds"


class Settings(control.Settings):
    """How long an exemption may run, and who answers for what is public."""

    owner: str | None = Field(None, min_length=2, max_length=80)
    """Who answers for public routes. None: the contact in [app]."""

    longest: Duration = Field(YEAR, ge=86400)
    """The longest time from today for which an exemption may be written."""

    warn: Duration = Field(30 * 86400, ge=0)
    """How long before its last day `bylaw check` begins to say that an exemption ends."""

    def below_standard(self) -> Iterable[Below]:
        if self.longest > YEAR:
            yield Below(
                "longest",
                spoken(self.longest),
                "a decision anew at least every 12 months",
                "PCI DSS 4.0.1 12.3.1",
            )


# The register


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the register: what is left out, where, why, until when, and what stands in its place."""

    of: str
    """The control that leaves something out, or `public`."""
    what: str
    reason: str
    owner: str
    expires: datetime.date | None
    instead: str


def found(policy: Policy) -> Iterator[tuple[str, str, Exemption]]:
    """(control, key, exemption) of every exemption that any section of the policy holds."""
    for name, settings in policy.controls.items():
        for key in type(settings).model_fields:
            value = getattr(settings, key)
            for index, each in enumerate(value if isinstance(value, tuple) else ()):
                if isinstance(each, Exemption):
                    yield name, f"{name}.{key}.{index}", each


def register(policy: Policy, routes: Iterable[tuple[str, str, AccessRule]] = ()) -> list[Row]:
    """Every row: what the policy exempts, then what is public among `routes` (method, path, rule)."""
    exempt = [
        Row(name, each.path, each.reason, each.owner, each.expires, each.standing or NOTHING)
        for name, _, each in found(policy)
    ]
    return [*exempt, *_public(policy, routes)]


def _public(policy: Policy, routes: Iterable[tuple[str, str, AccessRule]]) -> list[Row]:
    """Public routes by their path, with all the methods that are."""
    owner = policy.of(Settings).owner or policy.app.contact or "nobody is named"
    methods: dict[tuple[str, str], list[str]] = {}
    for method, path, rule in routes:
        if rule.kind == "public":
            methods.setdefault((path, rule.because), []).append(method)
    return [
        Row(PUBLIC, f"{', '.join(sorted(used))} {path}", because or UNEXPLAINED, owner, None, OPEN)
        for (path, because), used in sorted(methods.items())
    ]


def ending(policy: Policy, today: datetime.date) -> list[tuple[Row, int]]:
    """The exemptions that end soon, each with the days that are left."""
    soon = policy.of(Settings).warn // 86400
    left = [(row, (row.expires - today).days) for row in register(policy) if row.expires is not None]
    return [(row, days) for row, days in left if days <= soon]


# What cannot be kept


def _conflicts(policy: Policy) -> Iterable[Conflict]:
    settings = policy.of(Settings)
    if settings.off:
        yield Conflict("exemptions.off", "exemptions would run on unseen", "leave the key out")
    now = datetime.datetime.now(datetime.UTC)
    for _, key, each in found(policy):
        if not each.holds(now.timestamp()):
            yield Conflict(
                key,
                f"the exemption of {each.path} expired on {each.expires}",
                f"{each.MEND}, or decide again until when",
            )
        elif too_long(settings, each, now.date()):
            last = now.date() + datetime.timedelta(seconds=settings.longest)
            yield Conflict(
                f"{key}.expires",
                f"the exemption of {each.path} would run for {(each.expires - now.date()).days:,} days",
                f"{last} at the latest, and a decision anew by then",
            )


def too_long(settings: Settings, each: Exemption, today: datetime.date) -> bool:
    return (each.expires - today).days * 86400 > settings.longest


def _statement(policy: Policy) -> list[str]:
    settings = policy.of(Settings)
    sentences = [
        (
            "Whatever is exempt from a control names its path, its reason, who answers for it and its last "
            "day. Past that day no process starts, and one that runs asks again for what was left out; none "
            f"may be written for longer than {spoken(settings.longest)}."
        )
    ]
    rows = register(policy)
    if not rows:
        sentences.append("Nothing is exempt.")
    sentences.extend(
        f"- `{row.what}` from {row.of} until {row.expires}: {row.reason}. In its place: {row.instead}. "
        f"Owner: {row.owner}."
        for row in rows
    )
    sentences.append(
        "A route is public only where the application says so with a reason; `bylaw check` lists all of "
        "them. What is not public answers nobody whom it does not know."
    )
    return sentences


CONTROL = Control(
    name="exemptions",
    title="Exemptions",
    settings=Settings,
    statement=_statement,
    probes=probes.PROBES,
    sabotages=sabotages.SABOTAGES,
    conflicts=_conflicts,
    requirements=("S1-040", "S1-043", "S1-044", "S1-045", "S1-046", "C-17"),
    asvs=("8.1.1", "8.2.1"),
)
