"""Attacks by losing the counters: several processes, an outage, a policy without them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from bylaw.control import Broken, CouldNotLook, probe
from bylaw.controls import rate_limits
from bylaw.controls.rate_limits.probes.common import limited, somebody
from bylaw.store.counters import Lost

# Counted once for everybody who answers


@probe("critical", "S1-065", "S1-100", "S1-101", "S2-069", "S2-070", "C-24")
def no_process_counts_for_itself(lab: Any) -> str:
    """Several processes share their counters, or do not start."""
    settings = lab.policy.of(rate_limits.Settings)
    if not lab.policy.production:
        raise CouldNotLook("in development each process counts for itself")
    if settings.shared:
        written = str(lab.policy.written.get("rate_limits", {}).get("store", ""))
        variable = written.removeprefix("env:").rstrip("?")
        if not written.startswith("env:"):
            return "the counters are shared, at an address that the policy names"
        older = dict.fromkeys(("RATELIMIT_STORAGE_URL", "RATELIMIT_STORAGE_URI"), "")
        for value in ("", "memory", "memory://"):
            if lab.refuses_to_start(**{**older, variable: value}) is None:
                raise Broken(f"with {variable}={value!r} it starts, and each process counts for itself")
        return f"the counters are shared, and without {variable} nothing starts"
    for variable, value in (
        ("WEB_CONCURRENCY", "4"),
        ("GRANIAN_WORKERS", "2"),
        ("UVICORN_WORKERS", "2"),
        ("GUNICORN_CMD_ARGS", "--bind :8000 -w 3"),
    ):
        refused = lab.refuses_to_start(**{variable: value})
        if refused is None or "rate_limits.store" not in str(refused):
            raise Broken(f"with {variable}={value!r} it starts, and each process counts for itself")
    return "counted in memory: several processes do not start"


class _Gone:
    """Shared counters that do not answer."""

    waits = asked = True
    wrong = "a probe"

    def over(self, groups: Any) -> Any:
        def take(keys: Any, now: float) -> Any:
            raise Lost("a probe")

        return take

    def ping(self) -> None:
        raise Lost("a probe")

    def close(self) -> None:
        """Nothing is held."""


@contextmanager
def _lost(lab: Any, choice: str) -> Iterator[Any]:
    house = lab.site.house
    before, checks = house.counters, dict(house.checks)
    house.counters = _Gone()
    try:
        with limited(lab, default=("2/minute",), on_outage=choice):
            yield house.checks.get("limiter")
    finally:
        house.counters = before
        house.checks.clear()
        house.checks.update(checks)


@probe("high", "S1-139")
def an_outage_is_met_as_the_policy_says(lab: Any) -> str:
    """While the shared counters are lost it counts in memory, refuses or allows; readiness and log know."""
    path = lab.url("sign_in")
    seen = {}
    for choice, expected in (
        ("memory", ["200", "200", "429 rate_limits.exceeded"]),
        ("refuse", ["503 rate_limits.unavailable"] * 3),
        ("allow", ["200", "200", "200"]),
    ):
        before = len(lab.audit(action="limiter_lost"))
        with _lost(lab, choice) as check:
            visitor = somebody(lab)
            replies = [visitor.get(path) for _ in range(3)]
            seen[choice] = [str(reply) for reply in replies]
            if seen[choice] != expected:
                raise Broken(f"on_outage = {choice}: {', '.join(seen[choice])}")
            if choice == "refuse" and not replies[0].header("retry-after"):
                raise Broken("it refuses without saying when to come back")
            if check is None or not check():
                raise Broken("readiness knows of no outage")
        if len(lab.audit(action="limiter_lost")) != before + 1:
            raise Broken("the outage is not recorded, or more than once")
    return "; ".join(f"{choice}: {', '.join(replies)}" for choice, replies in seen.items())


@probe("high", "S1-104")
def nothing_switches_it_off_in_production(lab: Any) -> str:
    """A policy that switches the limits off starts no application in production."""
    text = lab.policy.file.read_text("utf-8")
    section = '\n[rate_limits]\noff = true\nbecause = "a probe"\n'
    kept = _without(text, "rate_limits")
    if not lab.policy.production:
        raise CouldNotLook("in development it may be off")
    refused = lab.refuses_to_start(kept + section)
    if refused is None or "rate_limits.off" not in str(refused):
        raise Broken(f"with off = true it starts: {refused}")
    return "off = true is refused, with a reason or without"


def _without(text: str, section: str) -> str:
    """A policy's text without one of its tables."""
    kept, inside = [], False
    for line in text.splitlines():
        if line.startswith("["):
            inside = line.split("]")[0].strip("[").split(".")[0] == section
        if not inside:
            kept.append(line)
    return "\n".join(kept)
