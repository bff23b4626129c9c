"""Rate limits: how often somebody may ask, counted once for everybody who answers.

Threat: passwords guessed, data drawn off and the application exhausted by many requests (CWE-770, CWE-799);
a limit that is dodged by another spelling of the path, a forged header, or another worker process.
Mechanism: fixed windows, each of which begins with its first request. A stranger is counted by address
and route, as the framework matches it, somebody signed in by account; named routes and everybody together
have limits of their own beside these. All limits of a request are decided at once, in this process or by
one script in Redis, and a refused request uses up none. Source: OWASP Denial of Service, API4:2023, RFC
6585, draft-ietf-httpapi-ratelimit-headers-10, ASVS 5.0.0 2.4.1 and 6.3.1; S1-097 to S1-104, C-12, C-13.
It does not tell many machines from many people: a limit by address is none against a botnet (see lockout).
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterable
from importlib.util import find_spec
from typing import Annotated, Final, Literal
from urllib.parse import urlsplit

from pydantic import Field, SecretStr

from bylaw import control
from bylaw.control import Below, Conflict, Control
from bylaw.controls.rate_limits import pace, probes, processes, sabotages
from bylaw.controls.rate_limits.pace import EXCEEDED, UNAVAILABLE
from bylaw.controls.rate_limits.processes import VARIABLES, Alone
from bylaw.controls.rate_limits.rates import Rate, parsed
from bylaw.exchange import Depart, Step
from bylaw.house import House
from bylaw.keys import KeyRing
from bylaw.policy import Policy, placeholder
from bylaw.ports import Ports
from bylaw.store.counters import Counters, Memory
from bylaw.store.redis import Redis, fault

__all__ = ["CONTROL", "EXCEEDED", "UNAVAILABLE", "VARIABLES", "Settings", "counters"]

MEMORY: Final = "memory"
_PATH: Final = re.compile(r"/[^\s?#*\"\\]*(/\*)?")
_LOCAL: Final = ("localhost", "127.0.0.1", "::1")
Rates = Annotated[tuple[Rate, ...], Field(min_length=1)]


class Settings(control.Settings):
    """How often somebody may ask."""

    default: tuple[Rate, ...] = ("300/minute",)
    """For strangers: requests from one address (of IPv6 one /64) to one route."""

    signed_in: tuple[Rate, ...] = ("600/minute",)
    """For somebody signed in: requests to all routes together."""

    routes: dict[str, Rates] = Field(default_factory=dict, examples=[{"/auth/login": ["5/minute"]}])
    """Further limits of a route, by a path that it answers, or of all paths below one (`/api/open/*`)."""

    total: tuple[Rate, ...] = ()
    """Further limits of everybody together."""

    store: SecretStr = SecretStr(MEMORY)
    """`memory` of the one process that answers, or `env:REDIS_URL`: redis://, rediss:// or unix://."""

    on_outage: Literal["memory", "refuse", "allow"] = "memory"
    """While the store does not answer: count in each process, refuse with 503, or count nothing."""

    @property
    def shared(self) -> bool:
        return self.store.get_secret_value() != MEMORY

    def below_standard(self) -> Iterable[Below]:
        if not self.default:
            yield Below("default", "none", "a limit for strangers", "ASVS 5.0.0 2.4.1")
        if self.on_outage == "allow":
            yield Below("on_outage", "allow", '"memory" or "refuse"', "ASVS 5.0.0 16.5.3")
        if self.shared and not _private(self.store.get_secret_value()):
            yield Below("store", "redis:// without TLS", "rediss:// or unix://", "ASVS 5.0.0 12.3.1")


def _private(url: str) -> bool:
    """Whether nobody on the way to Redis can listen."""
    if fault(url):
        return True  # said already
    parts = urlsplit(url)
    return parts.scheme != "redis" or parts.hostname in _LOCAL


def counters(policy: Policy, ports: Ports, keys: KeyRing) -> Counters:
    """Where requests are counted. Raises StoreError."""
    settings = policy.of(Settings)
    where = ports.counters or settings.store.get_secret_value()
    if where == MEMORY or settings.off:
        return Memory()
    name = re.sub(r"[^a-z0-9]+", "-", policy.app.name.lower()).strip("-")
    return Redis(where, prefix=name, hash=lambda text: keys.seal("rate_limits", text))


def _pace(house: House) -> Step:
    return pace.pace(house, house.policy.of(Settings))


def _depart(house: House) -> Depart:
    return pace.depart(house)


# What cannot be kept


def _open(policy: Policy) -> bool:
    """Whether nothing would be limited where it matters (S1-104, C-30)."""
    return policy.of(Settings).off and policy.production


def _degraded(policy: Policy) -> bool:
    """Whether a variable takes back what the policy says: that the counters are shared (S1-065)."""
    written = policy.written.get("rate_limits", {}).get("store", MEMORY)
    return written != MEMORY and not policy.of(Settings).shared


def _conflicts(policy: Policy) -> Iterable[Conflict]:
    settings = policy.of(Settings)
    if _open(policy):
        yield Conflict(
            "rate_limits.off",
            "in production anybody could ask without end",
            "leave the key out; a laboratory's tests are not counted anyway (docs/testing.md)",
        )
    for path in settings.routes:
        if not _PATH.fullmatch(path):
            yield Conflict(
                f"rate_limits.routes.{path}",
                f"{path!r} is no path of this site",
                'one path ("/auth/login") or all below one ("/api/open/*")',
            )
    if _degraded(policy):
        yield Conflict(
            "rate_limits.store",
            "the variable says memory, in which each process counts for itself",
            'redis://host:6379/0, or store = "memory" in the policy, where everybody reads it',
        )
    if settings.shared:
        wrong = fault(settings.store.get_secret_value())
        if not wrong and policy.production and placeholder(settings.store.get_secret_value()):
            wrong = "a published placeholder"
        if wrong:
            yield Conflict(
                "rate_limits.store", wrong, '"memory", or redis://host:6379/0, rediss://…, unix://…'
            )
        elif find_spec("redis") is None:
            yield Conflict(
                "rate_limits.store", "there is no client for Redis here", "pip install 'bylaw[redis]'"
            )


def _start(house: House) -> Iterable[Conflict]:
    """Counters in memory are right for one process alone (C-24)."""
    settings, ports = house.policy.of(Settings), house.ports
    if settings.shared:
        if house.counters.waits:
            house.checks["limiter"]()  # found out now, and not by the first visitor
        return
    if not house.policy.production:
        return
    environ, command = (os.environ, sys.argv) if ports.environ is None else (ports.environ, [])
    for where, number in processes.workers(environ, command):
        if number > 1:
            yield Conflict(
                "rate_limits.store",
                f"each of {number} processes ({where}) would count for itself: so many budgets for each",
                'one process, or counters that they share: store = "env:REDIS_URL"',
            )
            return
    if ports.counters is None and isinstance(house.counters, Memory):
        _alone(house, house.counters)


def _alone(house: House, memory: Memory) -> None:
    """Find out about another process of this machine that no variable tells of.

    It may be the one before, which is still finishing its requests: so this one starts, says so, and is
    not ready until it is the only one (docs/decisions/0015).
    """
    alone = Alone(f"{house.policy.app.name} {house.store.engine.url!r}")
    memory.beside = alone

    def check() -> str:
        return "" if alone.take() else processes.NOT_ALONE

    house.checks["limiter"] = check
    if not alone.take():
        pace.log.error("%s", processes.NOT_ALONE)


def _routed(house: House) -> Iterable[Conflict]:
    for entry in pace.entries(house.policy.of(Settings)):
        if not entry.below and not pace.route_names(house, entry.path):
            yield Conflict(
                f"rate_limits.routes.{entry.path}",
                "nothing answers there, so that nothing would be limited",
                "a path that the application or one of bylaw's own pages answers",
            )


# What SECURITY.md says


def _spoken(rates: Iterable[str]) -> str:
    return " and ".join(str(parsed(rate)) for rate in rates)


def _statement(policy: Policy) -> list[str]:
    settings = policy.of(Settings)
    sentences = []
    if settings.default:
        sentences.append(
            f"A stranger's address (of IPv6 its /64) may ask {_spoken(settings.default)} of each route."
        )
    if settings.signed_in:
        sentences.append(
            f"Somebody signed in may ask {_spoken(settings.signed_in)} of all routes together, wherever from."
        )
    sentences += [
        f"Besides, `{path}`: {_spoken(rates)}, by address where strangers may come, otherwise by account."
        for path, rates in settings.routes.items()
    ]
    if settings.total:
        sentences.append(f"Everybody together: {_spoken(settings.total)}.")
    sentences.append(
        "A window begins with its first request. Every spelling, page, JSON twin and alias of a route shares "
        "one budget, and no header of the client makes another. What is refused gets 429 with `Retry-After`, "
        "uses up nothing and is recorded once a window. Answers say what is left (`X-RateLimit-Limit`, "
        "`-Remaining`, `-Reset`, `RateLimit-Policy`, `RateLimit`). Static files are not counted."
    )
    if settings.shared:
        outage = {
            "memory": "each process counts for itself",
            "refuse": "what is limited is refused with 503",
            "allow": "nothing is counted",
        }[settings.on_outage]
        sentences.append(
            "All processes count together, in Redis, under keys that bear no address in clear. While it does "
            f"not answer, {outage}; the outage is recorded, and the application is not ready."
        )
    else:
        sentences.append("Counters live in the memory of one process; more than one refuse to start.")
    return sentences


CONTROL = Control(
    name="rate_limits",
    title="Rate limits",
    settings=Settings,
    statement=_statement,
    reasons=(EXCEEDED, UNAVAILABLE),
    steps={"pace": _pace, "depart": _depart},
    probes=probes.PROBES,
    sabotages=sabotages.SABOTAGES,
    conflicts=_conflicts,
    start=_start,
    routed=_routed,
    requirements=(
        "S1-065",
        "S1-097",
        "S1-098",
        "S1-099",
        "S1-100",
        "S1-101",
        "S1-102",
        "S1-103",
        "S1-104",
        "S1-139",
        "S2-006",
        "S2-007",
        "S2-069",
        "S2-070",
        "S2-071",
        "S2-072",
        "S2-073",
        "C-12",
        "C-13",
        "C-24",
    ),
    asvs=("2.4.1", "6.3.1"),
)
