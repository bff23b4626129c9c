"""Monitoring: whether the process answers, whether it is ready, and what it has done, for operators alone.

Threat: nobody notices that limits no longer count or that sessions are no longer revoked (S1-139); or
everybody can read how the application is doing, and with what (CWE-497, ASVS 5.0.0 13.4.5). Mechanism: three
paths that answer before hosts and schemes count, since a balancer asks by address; what is wrong, and all
counts, are told to listed networks; no label of a metric is taken from a request. Source: ASVS 5.0.0 13.4.5,
Prometheus' text format 0.0.4.
It does not keep or send anything: whoever watches must ask, and must ask each process. How large the database
is and how old its last copy are measured off the request path, and warned of in the log.
"""

from __future__ import annotations

import json
import logging
import os
import threading
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from typing import Final

from pydantic import Field

from bylaw import control
from bylaw.control import Conflict, Control
from bylaw.controls import errors, proxies
from bylaw.controls.monitoring import measures, probes, sabotages
from bylaw.controls.proxies import addresses
from bylaw.exchange import (
    ALLOW,
    BLOCK,
    Answer,
    Deciding,
    Depart,
    Exchange,
    Head,
    Refuse,
    Response,
    Step,
    Verdict,
)
from bylaw.house import House
from bylaw.policy import Policy
from bylaw.quantities import Duration, Size, spoken, weighed
from bylaw.reasons import Reason
from bylaw.store import migrate

log = logging.getLogger("bylaw.monitoring")

NOT_READY = Reason(
    "monitoring.not_ready",
    503,
    "Not ready.",
    "One of the checks failed: the database, its version, the revocation feed, or the store of the limits. "
    "Asked from a network in monitoring.networks, the answer names it; an error is in the log.",
)

PRIVATE: Final = ("127.0.0.0/8", "::1", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7")
"""Loopback and the private networks (RFC 1918, RFC 4193)."""
FRESH: Final = 1
"""Seconds for which a look at the checks is good: however many ask, the database is asked once."""
METHODS: Final = ("GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE")
OTHER: Final = "other"
_PATH: Final = r"^((/[A-Za-z0-9._-]+)+)?$"
_TEXT: Final = "text/plain; version=0.0.4; charset=utf-8"


class Settings(control.Settings):
    """Where the application says how it is, and to whom."""

    health: str = Field("/healthz", pattern=_PATH, examples=["/healthz"])
    """Whether the process answers: 200, and no more. Empty: not there."""

    ready: str = Field("/readyz", pattern=_PATH, examples=["/readyz"])
    """Whether it can do its work: 200 or 503. Empty: not there."""

    metrics: str = Field("/metrics", pattern=_PATH, examples=["/metrics"])
    """What it has done, for Prometheus. Empty: not there."""

    networks: tuple[str, ...] = PRIVATE
    """Who sees metrics, and what is not ready. For everybody else there are no metrics."""

    database_size: Size = Field(0, ge=0)
    """From this size on the log warns, once a day. 0: the size is measured, and nothing is said of it."""

    backups: str = Field("", max_length=1000, examples=["/backups/app"])
    """Where `bylaw db backup` leaves its copies: a folder. Empty: nobody looks how old the last one is."""

    backup_age: Duration = Field(93600, ge=3600)
    """How old the last copy may be before the log warns, once a day."""


# Whether it is ready


class Readiness:
    """What the checks said lately."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._looked = threading.Lock()
        self._at: float | None = None
        self._faults: dict[str, str] = {}

    @property
    def fresh(self) -> bool:
        return self._at is not None and abs(self._house.now() - self._at) < FRESH

    def faults(self) -> dict[str, str]:
        """What is wrong, by the check's name. Waits for at most one look, and only one caller does.

        While a check hangs, everybody else gets what was seen before: this path is open to strangers,
        and must not take the threads that others wait for.
        """
        if not self.fresh and self._looked.acquire(blocking=False):
            try:
                if not self.fresh:  # somebody may have looked between the question and the lock
                    self._faults = self._look()
                    self._at = self._house.now()
            finally:
                self._looked.release()
        return {"readiness": "is being looked at for the first time"} if self._at is None else self._faults

    def _look(self) -> dict[str, str]:
        found = {}
        for name, check in self._house.checks.items():
            try:
                fault = check()
            except Exception as error:
                # Whatever it is: its text is the inside's, for the log alone.
                log.warning("the check %s failed", name, exc_info=error)
                fault = "does not answer"
            if fault:
                found[name] = fault
        return found


def checks(house: House) -> dict[str, Callable[[], str]]:
    """What every application needs. Others add theirs to `house.checks`."""
    latest = cache(migrate.latest)

    def database() -> str:
        with house.store.reading() as connection:
            connection.exec_driver_sql("SELECT 1")
        return ""

    def migrations() -> str:
        current = migrate.current(house.store.engine)
        return (
            "" if current == latest() else f"the version is {current}, {latest()} is needed: bylaw db upgrade"
        )

    def feed() -> str:
        house.store.feed.follow()  # a process that has had no session yet follows from now on
        return "" if house.store.feed.current else f"was not read for {house.store.feed.bound} s"

    return {"database": database, "migrations": migrations, "feed": feed}


# What it has done


def exposition(house: House, reasons: frozenset[str]) -> str:
    """The counts in Prometheus' text format. No label is from a request: what a stranger sends can
    neither fill a memory with series nor write a line of its own."""
    process = f'process="{os.getpid()}"'

    def family(name: str, kind: str, help_: str, rows: Iterable[tuple[str, float]]) -> Iterator[str]:
        yield f"# HELP bylaw_{name} {help_}"
        yield f"# TYPE bylaw_{name} {kind}"
        for labels, value in rows:
            yield f"bylaw_{name}{{{labels}{process}}} {value}"

    counts = sorted(house.counts.items())
    lines = [
        *family(
            "requests_total",
            "counter",
            "Answers that left.",
            (
                (f'method="{method}",outcome="{kind}xx",', count)
                for method, row in sorted(house.requests.items())
                for kind, count in enumerate(row)
                if count
            ),
        ),
        *family(
            "refusals_total",
            "counter",
            "Refusals by reason.",
            ((f'reason="{code}",', count) for code, count in counts if code in reasons),
        ),
        *family(
            "events_total",
            "counter",
            "What else was counted, outages of the limiter among it.",
            ((f'event="{code}",', count) for code, count in counts if code not in reasons),
        ),
        *family("hash_places", "gauge", "Password hashes at once and waiting.", [("", house.hashes.places)]),
        *family("hash_places_taken", "gauge", "Those that are taken.", [("", house.hashes.taken)]),
        *family("sessions_remembered", "gauge", "Sessions in memory.", [("", len(house.store.memory))]),
        *family(
            "feed_current",
            "gauge",
            "Whether the revocation feed was read within its bound.",
            [("", int(house.store.feed.current))],
        ),
        *family(
            "feed_woken",
            "gauge",
            "Whether changes wake the reader of the feed; where not, it reads within the bound all the same.",
            [("", int(house.store.feed.notices.arriving))],
        ),
    ]
    for name, text in measures.HELP.items():
        if rows := house.gauges.get(name):
            lines += family(name, "gauge", text, sorted(rows.items()))
    return "\n".join(lines) + "\n"


def _reasons() -> frozenset[str]:
    from bylaw.controls import CONTROLS  # the registry holds this control as well

    return frozenset(reason.code for each in CONTROLS for reason in each.reasons)


# A request


def _inside(networks: addresses.Networks, exchange: Exchange) -> bool:
    """Whether an operator asks: an address that a header only claims, or hides, is nobody's."""
    return proxies.known(exchange) and exchange.client in networks


def _arrive(house: House) -> Step:
    settings = house.policy.of(Settings)
    networks = addresses.Networks(settings.networks)
    for name, check in checks(house).items():
        house.checks.setdefault(name, check)
    readiness = Readiness(house)
    reasons = _reasons()

    def health(exchange: Exchange) -> Verdict:
        return _answer("application/json", '{"status": "ok"}')

    def ready(exchange: Exchange) -> Verdict | Deciding:
        return told(exchange) if readiness.fresh else looking(exchange)

    def looking(exchange: Exchange) -> Deciding:
        yield BLOCK
        return told(exchange)

    def told(exchange: Exchange) -> Verdict:
        faults = readiness.faults()
        if not faults:
            said: dict[str, object] = {"status": "ready"}
            if _inside(networks, exchange):
                said["checks"] = sorted(house.checks)
            return _answer("application/json", json.dumps(said))
        return Refuse(NOT_READY, fields=faults if _inside(networks, exchange) else {})

    def metrics(exchange: Exchange) -> Verdict:
        if not _inside(networks, exchange):
            return Refuse(errors.NOT_FOUND)
        return _answer(_TEXT, exposition(house, reasons))

    places: dict[str, Callable[[Exchange], Verdict | Deciding]] = {
        settings.health: health,
        settings.ready: ready,
        settings.metrics: metrics,
    }
    places.pop("", None)
    answering = places.get

    def step(exchange: Exchange) -> Verdict | Deciding:
        answer = answering(exchange.path)
        if answer is None:
            return ALLOW
        if exchange.method not in ("GET", "HEAD") and (answer is not metrics or _inside(networks, exchange)):
            return Refuse(errors.METHOD, headers=(("Allow", "GET, HEAD"),))
        return answer(exchange)

    return step


def measuring(house: House) -> Callable[[], None]:
    """The chore that measures what `/metrics` shows of the database and its copies."""
    return measures.Measures(house, lambda: house.policy.of(Settings)).look


def _answer(kind: str, text: str) -> Answer:
    return Answer(Response(200, [("Content-Type", kind), ("Cache-Control", "no-store")], text.encode()))


def _rows(house: House) -> dict[str, list[int]]:
    """A row for each method that there is: all that anybody makes up share one."""
    for method in (*METHODS, OTHER):
        house.requests.setdefault(method, [0] * 10)
    return house.requests


def _depart(house: House) -> Depart:
    rows = _rows(house)
    other, row = rows[OTHER], rows.get

    def depart(exchange: Exchange, head: Head) -> None:
        # No lock: adding to an item of a list is not interrupted where Python has its global lock, and
        # where it has none the worst is one answer that was not counted. Nothing decides by it.
        row(exchange.method, other)[head.status // 100 % 10] += 1

    return depart


def _conflicts(policy: Policy) -> Iterable[Conflict]:
    settings = policy.of(Settings)
    yield from addresses.faults("monitoring.networks", settings.networks)
    seen: set[str] = set()
    for key in ("health", "ready", "metrics"):
        path = getattr(settings, key)
        if path and path in seen:
            yield Conflict(f"monitoring.{key}", f"{path} is another one's path already", "a path of its own")
        if (
            path == policy.pages.prefix
            or path.startswith(f"{policy.pages.prefix}/")
            or path in policy.pages.aliases
        ):
            yield Conflict(
                f"monitoring.{key}", f"{path} is where bylaw's own pages are", "a path outside pages.prefix"
            )
        seen.add(path)


def _statement(policy: Policy) -> list[str]:
    settings = policy.of(Settings)
    # As written: which networks a variable names is nobody's business.
    written = policy.written.get("monitoring", {}).get("networks", settings.networks)
    networks = ", ".join(f"`{text}`" for text in written) or "nobody"
    sentences = []
    if settings.health:
        sentences.append(f"`{settings.health}` says that the process answers, and nothing else.")
    if settings.ready:
        sentences.append(
            f"`{settings.ready}` answers 503 when the database, its version, the revocation feed or the "
            f"store of the limits is not as it must be; which of them is told to {networks} alone."
        )
    if settings.metrics:
        sentences.append(
            f"`{settings.metrics}` shows counts to {networks} and is not there for anybody else; nothing "
            "that was sent in a request stands in it."
        )
    if settings.database_size:
        sentences.append(
            f"From {weighed(settings.database_size)} on the database's size is warned of, daily."
        )
    if settings.backups:
        sentences.append(
            f"A last copy of the database that is older than {spoken(settings.backup_age)} is warned of, "
            "daily."
        )
    return sentences or ["The application does not say how it is."]


CONTROL = Control(
    name="monitoring",
    title="Monitoring",
    settings=Settings,
    statement=_statement,
    reasons=(NOT_READY,),
    steps={"arrive": _arrive, "depart": _depart},
    probes=probes.PROBES,
    sabotages=sabotages.SABOTAGES,
    conflicts=_conflicts,
    requirements=("S1-139", "S2-042", "S2-043"),
    asvs=("13.4.5",),
)
