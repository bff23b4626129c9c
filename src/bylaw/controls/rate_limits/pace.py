"""Counting a request: which limits it falls under, whose they are, and what the answer says of them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from math import ceil
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from sqlalchemy.exc import SQLAlchemyError

from bylaw.controls import audit, errors, proxies
from bylaw.controls.logs import redaction
from bylaw.controls.rate_limits.outage import Outage
from bylaw.controls.rate_limits.rates import parsed
from bylaw.exchange import (
    ALLOW,
    BLOCK,
    Deciding,
    Depart,
    Exchange,
    Head,
    NumberBlock,
    Refuse,
    Step,
    Verdict,
)
from bylaw.house import House
from bylaw.reasons import Reason
from bylaw.routes import NOWHERE, Route
from bylaw.store.counters import FIRST, Counters, Group, Key, Limit, Lost, Memory, Take, Taken

if TYPE_CHECKING:
    from bylaw.controls.rate_limits import Settings

log = logging.getLogger("bylaw.rate_limits")

EXCEEDED = Reason(
    "rate_limits.exceeded",
    429,
    "Too many requests. Wait a little, then try again.",
    "A limit of [rate_limits] is used up; Retry-After says when it begins anew, RateLimit-Policy which one "
    "it is. The request was not looked at further and used up nothing. Its first excess in a window is in "
    "the audit log.",
)
UNAVAILABLE = Reason(
    "rate_limits.unavailable",
    503,
    "Requests cannot be counted at the moment. Try again shortly.",
    'The store of the counters does not answer and on_outage is "refuse". What is wrong with it is in the '
    "log, and readiness says so.",
)

METHODS: Final = ("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
KEYS: Final = frozenset(
    ("x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset", "ratelimit-policy", "ratelimit")
)
RECORDS: Final = 60
"""Excesses that this process records in a minute at most: whoever has many addresses fills no disk."""
COME_BACK: Final = "2"
"""Seconds after which counters that were lost may be there again."""

PLANS: Final = 10_000
"""Plans that are kept at most."""

KeyOf = Callable[[Exchange], Key]


@dataclass(frozen=True, slots=True)
class Plan:
    """What a request falls under: all its limits, counted together."""

    take: Take
    local: Take
    """The same in the memory of this process, while the shared counters are lost."""
    keys: Callable[[Exchange], tuple[Key, ...]]


@dataclass(frozen=True, slots=True)
class Entry:
    """The limits of one path of `routes`, or of all below it."""

    path: str
    limits: Group

    @property
    def below(self) -> str:
        """The beginning of the paths that a pattern covers; empty where it is one route's path."""
        return self.path[:-1] if self.path.endswith("/*") else ""


def entries(settings: Settings) -> tuple[Entry, ...]:
    return tuple(
        Entry(path, limits(rates, quote(path, safe="/*"))) for path, rates in settings.routes.items()
    )


def limits(rates: Iterable[str], name: str) -> Group:
    return tuple(Limit(rate.count, rate.seconds, name) for rate in map(parsed, rates))


def route_names(house: House, path: str) -> frozenset[str]:
    """The routes that answer at a path, by any method; none where nothing does."""
    found = {house.routes.at(method, path) for method in METHODS}
    return frozenset(route.name for route in found if route is not NOWHERE and not route.static)


# Whose budget it is


def address(exchange: Exchange) -> str:
    """The client's address: of IPv6 the /64 that a connection is given, or it would have 2^64 budgets."""
    return proxies.group(exchange.client)


def _identity(exchange: Exchange) -> str:
    return exchange.identity.id if exchange.identity is not None else ""


def _credential(exchange: Exchange) -> str:
    """A credential by its public id, which its identity bears."""
    return exchange.identity.session if exchange.identity is not None else ""


def _everybody(exchange: Exchange) -> str:
    return ""


class Plans:
    """The plans of one application, each made when its route is first asked for."""

    def __init__(self, house: House, settings: Settings, counters: Counters, local: Memory) -> None:
        self._house = house
        self._counters = counters
        self._local = local
        self._default = limits(settings.default, "default")
        self._signed_in = limits(settings.signed_in, "signed-in")
        self._total = limits(settings.total, "total")
        self._entries = entries(settings)
        self._named: dict[str, frozenset[str]] = {}
        self.patterns = tuple(entry.below for entry in self._entries if entry.below)

    def make(self, route: Route, path: str, *, signed_in: bool, rates: tuple[str, ...] = ()) -> Plan | None:
        """The plan of a request to `route` at `path`; None where no limit is its. `rates` are a credential's
        own, in the place of its owner's: no program uses up what a person may ask."""
        budgets: list[tuple[Group, KeyOf]] = []
        if rates:
            budgets.append((limits(rates, "key"), _credential))
        elif signed_in and self._signed_in:
            budgets.append((self._signed_in, _identity))
        if not signed_in and self._default:
            name = route.name
            budgets.append((self._default, lambda exchange: (address(exchange), name)))
        for entry in self._entries:
            if self._covers(entry, route, path):
                # Where strangers may come, an account is no other person: whoever guesses passwords may
                # have as many as there are addresses for mail.
                whose = _identity if signed_in and not route.public else address
                budgets.append((entry.limits, whose))
        if self._total:
            budgets.append((self._total, _everybody))
        if not budgets:
            return None
        groups = tuple(group for group, _ in budgets)
        return Plan(self._counters.over(groups), self._local.over(groups), _keys([of for _, of in budgets]))

    def _covers(self, entry: Entry, route: Route, path: str) -> bool:
        if entry.below:
            return path.startswith(entry.below)
        names = self._named.get(entry.path)
        if names is None:
            names = self._named[entry.path] = route_names(self._house, entry.path)
        return route.name in names


def _keys(every: list[KeyOf]) -> Callable[[Exchange], tuple[Key, ...]]:
    if len(every) == 1:
        only = every[0]
        return lambda exchange: (only(exchange),)
    return lambda exchange: tuple([of(exchange) for of in every])


# On the way in


def pace(house: House, settings: Settings) -> Step:
    """Count the request, or refuse it."""
    counters = house.counters
    local = counters if isinstance(counters, Memory) else Memory()
    plans = Plans(house, settings, counters, local)
    outage = Outage(house)
    recorded = _Recorded(house)
    strangers: dict[object, Plan | None] = {}
    people: dict[object, Plan | None] = {}
    at, clock, patterns = house.routes.at, house.ports.clock, plans.patterns
    waits = counters.waits
    if waits:
        house.checks["limiter"] = outage.check

    def step(exchange: Exchange) -> Verdict | Deciding:
        if not house.paced:
            return ALLOW
        route = at(exchange.method, exchange.path)
        if route.static:
            return ALLOW
        known = strangers if exchange.identity is None else people
        name: object = route.name if not patterns else (route.name, *map(exchange.path.startswith, patterns))
        rates = exchange.credential.rates if exchange.credential is not None else ()
        if rates:
            name = (name, rates)
        try:
            plan = known[name]
        except KeyError:
            if len(known) >= PLANS:
                known.clear()  # rates are whoever makes a key's to choose: memory is not
            signed_in = exchange.identity is not None
            plan = known[name] = plans.make(route, exchange.path, signed_in=signed_in, rates=rates)
        if plan is None:
            return ALLOW
        if waits:
            return shared(exchange, plan)
        exchange.pace = taken = plan.take(plan.keys(exchange), clock())
        return ALLOW if taken[1] >= 0 else refused(exchange, taken)

    def refused(exchange: Exchange, taken: Taken) -> Verdict | Deciding:
        refusal = _refusal(exchange, taken, clock())
        return recorded.first(exchange, taken[0], refusal) if taken[1] == FIRST else refusal

    def shared(exchange: Exchange, plan: Plan) -> Deciding:
        """The same by counters that must be waited for, and by this process where they are lost."""
        keys = plan.keys(exchange)
        taken = None
        if counters.asked:
            yield BLOCK
            try:
                taken = plan.take(keys, clock())
                outage.end()
            except Lost as lost:
                outage.begin(str(lost))
        if taken is None:
            if settings.on_outage == "refuse":
                return Refuse(UNAVAILABLE, headers=(("Retry-After", COME_BACK),))
            if settings.on_outage == "allow":
                return ALLOW
            taken = plan.local(keys, clock())
        exchange.pace = taken
        if taken[1] >= 0:
            return ALLOW
        refusal = refused(exchange, taken)
        return refusal if isinstance(refusal, Verdict) else (yield from refusal)

    return step


def _refusal(exchange: Exchange, taken: Taken, now: float) -> Refuse:
    limit, _, ends = taken
    exchange.pace = limit, 0, ends
    return Refuse(EXCEEDED, headers=(("Retry-After", str(_wait(ends, now))),))


def _wait(ends: float, now: float) -> int:
    """Whole seconds until the window is over, and not one too few."""
    left = ceil(ends - now)
    return left if left > 0 else 1  # an answer may take longer than its window


class _Recorded:
    """Records the first excess of a key in a window, and of those no more than a minute can use."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._take = Memory().over(((Limit(RECORDS, 60, "records"),),))

    def first(self, exchange: Exchange, limit: Limit, refusal: Refuse) -> Deciding:
        yield BLOCK
        left = self._take(("",), self._house.now())[1]
        if left < 0:
            if left == FIRST:
                log.warning("more excesses than %d a minute: the others are only counted", RECORDS)
            return refusal
        try:
            with self._house.store.transaction() as connection:
                audit.record(
                    self._house,
                    connection,
                    action="excess_rate_limit_exceeded",
                    outcome="refused",
                    actor=exchange.identity or "",
                    entity_type="limit",
                    entity_id=f"{limit.name} {limit.count}/{limit.seconds}s",
                    # A path may hold a secret: a mailed link's.
                    changes={
                        "method": exchange.method,
                        "path": audit.printable(redaction.text(exchange.path), 200),
                    },
                )
        except SQLAlchemyError as error:
            errors.failed(exchange, error)  # it stays a refusal where it cannot be recorded
        return refusal


# On the way out


def depart(house: House) -> Depart:
    """Say what is left of the tightest limit, in the form of old and in the one of the IETF's draft."""
    clock = house.ports.clock
    blocks: dict[Limit, NumberBlock] = {}

    def step(exchange: Exchange, head: Head) -> None:
        if exchange.pace is None:
            return
        limit, left, ends = exchange.pace
        block = blocks.get(limit)
        if block is None:
            block = blocks[limit] = _block(limit)
        head.put(block, left, ceil(ends), _wait(ends, clock()))

    return step


def _block(limit: Limit) -> NumberBlock:
    """The fields of a limit (draft-ietf-httpapi-ratelimit-headers-10): of what is left, when it ends and in
    how many seconds that is."""
    name = f'"{limit.name}"'
    number = ("X-RateLimit-Limit", str(limit.count))
    policy = ("RateLimit-Policy", f"{name};q={limit.count};w={limit.seconds}")
    raw_number, raw_policy = ((key.lower().encode(), value.encode()) for key, value in (number, policy))
    raw_name = name.encode()

    def text(left: int, ends: int, wait: int) -> tuple[tuple[str, str], ...]:
        return (
            number,
            ("X-RateLimit-Remaining", str(left)),
            ("X-RateLimit-Reset", str(ends)),
            policy,
            ("RateLimit", f"{name};r={left};t={wait}"),
        )

    def raw(left: int, ends: int, wait: int) -> tuple[tuple[bytes, bytes], ...]:
        return (
            raw_number,
            (b"x-ratelimit-remaining", b"%d" % left),
            (b"x-ratelimit-reset", b"%d" % ends),
            raw_policy,
            (b"ratelimit", b"%b;r=%d;t=%d" % (raw_name, left, wait)),
        )

    return NumberBlock(KEYS, text, raw)
