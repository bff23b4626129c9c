"""Attacks on the limits: too often, all at once, by other names and from made-up places."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

from bylaw.control import Broken, CouldNotLook, probe
from bylaw.controls import rate_limits
from bylaw.controls.rate_limits.rates import parsed
from bylaw.store.counters import Limit, Lost

MANY: Final = 1000
"""Requests that a probe makes of one limit at most."""
FORGED: Final = (
    ("X-Forwarded-For", "203.0.113.{n}"),
    ("X-Real-IP", "203.0.113.{n}"),
    ("Forwarded", "for=203.0.113.{n}"),
    ("True-Client-IP", "203.0.113.{n}"),
    ("CF-Connecting-IP", "203.0.113.{n}"),
    ("x-FORWARDED-for", "203.0.113.{n}, 203.0.113.9"),
    ("User-Agent", "probe/{n}"),
    ("Cookie", "visit={n}"),
    ("Accept-Language", "x-{n}"),
)
_peers = iter(range(1, 1 << 30))


def _somebody(lab: Any) -> Any:
    """A visitor at an address that nobody had before: 198.18.0.0/15 is there for tests (RFC 2544)."""
    number = next(_peers) % (1 << 17)
    return lab.visitor(peer=f"198.{18 + (number >> 16)}.{number >> 8 & 255}.{number & 255}")


def _refused(reply: Any) -> bool:
    return bool(reply.code == rate_limits.EXCEEDED.code)


def _spend(ask: Callable[[], Any], most: int) -> int:
    """How many of `most` requests were let through before one was refused."""
    for count in range(most):
        if _refused(ask()):
            return count
    return most


@contextmanager
def _limited(lab: Any, **settings: Any) -> Iterator[None]:
    """Limits of the probe's own, and none beside them."""
    none: dict[str, Any] = {"default": (), "signed_in": (), "routes": {}, "total": ()}
    with lab.under(rate_limits.Settings, **{**none, **settings}), lab.paced():
        yield


class _Hashing:
    """The pool of hashes, and how many were asked of it."""

    def __init__(self, pool: Any) -> None:
        self._pool = pool
        self.count = 0

    def run(self, work: Any, *args: object) -> Any:
        self.count += 1
        return self._pool.run(work, *args)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._pool, name)


@contextmanager
def _hashing(lab: Any) -> Iterator[_Hashing]:
    house = lab.site.house
    before = house.hashes
    house.hashes = counted = _Hashing(before)
    try:
        yield counted
    finally:
        house.hashes = before


# How often


@probe("high", "S1-097", "S1-098", "S2-073", "C-12")
def strangers_get_no_more_than_the_policy_says(lab: Any) -> str:
    """Of one address each window of each default limit lets through its number, and not one more."""
    rates = [parsed(text) for text in lab.policy.of(rate_limits.Settings).default]
    if not rates:
        raise CouldNotLook("the policy has no default limit")
    looked = [rate for rate in rates if rate.count <= MANY]
    if not looked:
        raise CouldNotLook(f"every default limit is above {MANY} requests")
    longest = max(looked, key=lambda rate: rate.seconds)
    with lab.paced():
        visitor, began, passed, asked = _somebody(lab), lab.clock(), 0, 0
        while passed <= longest.count and lab.clock() - began < longest.seconds:
            asked += 1
            reply = visitor.get(f"/nothing-is-here-{asked}")  # one route, however many paths are made up
            if _refused(reply):
                lab.clock.advance(int(reply.header("retry-after")))
            else:
                passed += 1
    if passed != longest.count:
        raise Broken(f"{passed} requests passed in a window of {longest}")
    return f"{passed} of one address in a window of {longest}, with {', '.join(map(str, rates))}"


@probe("critical", "S1-099", "S2-006", "S2-007")
def a_route_has_its_own_limit(lab: Any) -> str:
    """The request after a route's last is refused before a password is looked at."""
    path = lab.url(lab.door)
    with _limited(lab, routes={path: ("5/minute",)}):
        visitor, person, guess = _somebody(lab), lab.person(), "wrong, but long enough"
        with _hashing(lab) as hashed:
            replies = [
                visitor.send(
                    "POST",
                    lab.api(lab.door),
                    headers=visitor.from_here,
                    json=lab.shown(person, guess),
                )
                for _ in range(6)
            ]
    if any(map(_refused, replies[:5])) or not _refused(replies[5]):
        raise Broken(f"six attempts of 5/minute: {', '.join(map(str, replies))}")
    if hashed.count > 5:
        raise Broken("the refused attempt's password was looked at")
    return f"five attempts of 5/minute, then {replies[5]}, with {hashed.count} passwords looked at"


@probe("high", "S1-103")
def waiting_as_long_as_it_says_restores(lab: Any) -> str:
    """A refused client is let through after Retry-After, and not a second before."""
    with _limited(lab, default=("2/minute",)):
        visitor = _somebody(lab)

        def ask() -> Any:
            return visitor.get(lab.url("sign_in"))

        _spend(ask, 3)
        lab.clock.advance(20)
        refused = ask()
        if not _refused(refused):
            raise Broken(f"the third of 2/minute was answered with {refused}")
        if refused.status != 429:
            raise Broken(f"refused with {refused.status}")
        after = refused.header("retry-after")
        if after != "40":
            raise Broken(f"20 seconds into a minute, Retry-After is {after!r}")
        lab.clock.advance(39)
        if not _refused(ask()):
            raise Broken("it was let through a second early")
        lab.clock.advance(1)
        if _refused(ask()):
            raise Broken("it was refused after the time that it was told")
    return "429 with Retry-After 40, refused after 39 seconds and answered after 40"


@probe("medium", "S1-102")
def answers_say_what_is_left(lab: Any) -> str:
    """Number, remainder and end of the tightest limit stand on each answer, and agree in both forms."""
    with _limited(lab, default=("3/minute", "100/hour")):
        visitor = _somebody(lab)
        reset = str(int(lab.clock()) + 60)
        for left in (2, 1, 0, 0):
            reply = visitor.get(lab.url("sign_in"))
            said = [reply.header(f"x-ratelimit-{name}") for name in ("limit", "remaining", "reset")]
            if said != ["3", str(left), reset]:
                raise Broken(f"with {left} left, the answer says {said}")
            draft = reply.header("ratelimit-policy"), reply.header("ratelimit")
            if draft != ('"default";q=3;w=60', f'"default";r={left};t=60'):
                raise Broken(f"with {left} left, the answer says {draft}")
    return "3, with 2, 1, 0 and 0 left; X-RateLimit and RateLimit agree"


@probe("high", "S1-097", "S1-098")
def what_is_refused_uses_up_nothing(lab: Any) -> str:
    """A client that keeps trying while one limit refuses it has not lost its others meanwhile."""
    path = lab.url("sign_in")
    with _limited(lab, default=("9/hour",), routes={path: ("2/minute",)}, total=("1000/hour",)):
        visitor = _somebody(lab)
        passed = 0
        for _ in range(4):
            passed += _spend(lambda: visitor.get(path), 3)
            for _ in range(5):
                visitor.get(path)
            lab.clock.advance(60)
        passed += _spend(lambda: visitor.get(path), 1)
    if passed != 9:
        raise Broken(f"of 9/hour beside 2/minute only {passed} passed in five minutes of trying")
    return "9 of 9/hour passed beside 2/minute, with 20 refused in between"


@probe("high", "S1-099")
def many_at_once_are_not_more(lab: Any) -> str:
    """Of forty requests that come together, a limit of five lets five through."""
    with _limited(lab, default=("5/minute",)):
        visitor = _somebody(lab)
        sent = [visitor.prepared("GET", lab.url("sign_in")) for _ in range(40)]
        replies = lab.tasks(sent)
    passed = sum(not _refused(reply) for reply in replies)
    # An event loop takes one request after the other; the counters are asked by threads as well.
    take = lab.site.house.counters.over(((Limit(5, 60, "probe"),),))
    counted = sum(left >= 0 for _, left, _ in lab.burst(lambda n: take((visitor.peer,), lab.clock()), 40))
    if (passed, counted) != (5, 5):
        raise Broken(f"{passed} requests and {counted} threads of 40 at once passed a limit of 5")
    return "5 of 40 requests at once, and of 40 threads"


# Whose


@probe("critical", "S2-071", "S2-072")
def no_header_makes_another_of_a_client(lab: Any) -> str:
    """Whatever a peer that nobody trusts writes about itself, its requests are counted as its own."""
    with _limited(lab, default=("3/minute",)):
        one, other = _somebody(lab), _somebody(lab)
        for name, value in FORGED:
            for number in range(1, 4):
                one.get(lab.url("sign_in"), headers=[(name, value.format(n=number))], cookies=False)
            reply = one.get(lab.url("sign_in"), headers=[(name, value.format(n=7))])
            if not _refused(reply):
                raise Broken(f"with another {name} the fourth of 3/minute was answered with {reply}")
            if _refused(other.get(lab.api("me"))):
                raise Broken("another address was refused")
            lab.clock.advance(60)
    return f"{len(FORGED)} headers, none of which made another client"


@probe("high", "S1-099")
def every_name_of_a_route_shares_one_budget(lab: Any) -> str:
    """A page, its JSON twin, its aliases, other methods and a query are one route to the limit."""
    path = lab.url("sign_in")
    endpoint = lab.site.house.routes.at("GET", path).name
    names = sorted(r.path for r in lab.site.pages.routes() if f"bylaw.{r.endpoint.name}" == endpoint)
    spelt = [*names, f"{path}?x=1", f"{path}?x=2"]

    def ask(visitor: Any, method: str, target: str) -> Any:
        # JSON, which every control lets as far as this one: also where no token is asked for.
        body: dict[str, Any] = {"json": {}} if method == "POST" else {}
        return visitor.send(method, target, headers=visitor.from_here, **body)

    with _limited(lab, routes={path: ("3/minute",)}):
        for method in ("GET", "HEAD", "POST", "OPTIONS"):
            visitor = _somebody(lab)
            for number in range(3):
                ask(visitor, method, spelt[number % len(spelt)])
            for other in spelt:
                for again in ("GET", "HEAD", "POST"):
                    reply = ask(visitor, again, other)
                    if reply.status != rate_limits.EXCEEDED.status:
                        raise Broken(
                            f"after three {method} of {path}, {again} {other} was answered with {reply}"
                        )
    return f"one budget for {', '.join(spelt)}"


@probe("high", "C-12")
def people_do_not_pay_for_their_neighbours(lab: Any) -> str:
    """Somebody signed in has a budget of their own, over all routes, whatever their address has used."""
    with _limited(lab, default=("2/minute",), signed_in=("4/minute",)):
        neighbour = _somebody(lab)
        _spend(lambda: neighbour.get(lab.url("sign_in")), 3)
        one, other = lab.ordinary(), lab.ordinary()
        one.peer = other.peer = neighbour.peer
        places = (lab.api("me"), lab.url("sessions"))
        replies = [one.get(places[n % 2]) for n in range(5)]
        if any(map(_refused, replies[:4])):
            raise Broken(f"somebody signed in was refused early: {', '.join(map(str, replies))}")
        if not _refused(replies[4]):
            raise Broken(f"the fifth of 4/minute over two routes was answered with {replies[4]}")
        if _refused(other.get(lab.api("me"))):
            raise Broken("another person at the same address was refused")
        if not _refused(neighbour.get(lab.url("sign_in"))):
            raise Broken("the address was given a new budget")
    return "4 of 4/minute over two routes, beside an address without any left; another person has 4 more"


@probe("medium")
def everybody_together_has_a_limit(lab: Any) -> str:
    """A limit of everybody counts strangers and people, from wherever they come."""
    with _limited(lab, total=("6/minute",)):
        person = lab.ordinary()
        ask = (lambda: _somebody(lab).get(lab.url("sign_in")), lambda: person.get(lab.api("me")))
        passed = sum(not _refused(ask[n % 2]()) for n in range(10))
    if passed != 6:
        raise Broken(f"{passed} of 10 passed a total of 6")
    return "6 of 10, by strangers and by somebody signed in"


@probe("low")
def static_files_cost_nothing(lab: Any) -> str:
    """A page's own stylesheet is no request of a person: it is never counted."""
    with _limited(lab, default=("2/minute",), total=("2/minute",)):
        visitor = _somebody(lab)
        replies = [visitor.get(lab.url("stylesheet")) for _ in range(5)]
        passed = _spend(lambda: visitor.get(lab.url("sign_in")), 3)
    if any(reply.status != 200 for reply in replies) or passed != 2:
        raise Broken(f"five stylesheets: {', '.join(map(str, replies))}; {passed} of 2 pages after them")
    return "five stylesheets, and two pages of 2/minute after them"


@probe("medium", "S1-103")
def an_excess_is_recorded_once(lab: Any) -> str:
    """The audit log has who was refused, by which limit: once in a window, however often they try."""
    with _limited(lab, default=("2/minute",)):
        visitor = _somebody(lab)
        for _ in range(2):
            for _ in range(6):
                visitor.get(lab.url("sign_in"))
            lab.clock.advance(60)
    rows = [r for r in lab.audit(action="excess_rate_limit_exceeded") if r["ip_address"] == visitor.peer]
    if len(rows) != 2:
        raise Broken(f"{len(rows)} records of two windows with four refusals each")
    return f"2 records for 8 refusals: {rows[0]['entity_id']}"


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
        with _limited(lab, default=("2/minute",), on_outage=choice):
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
            visitor = _somebody(lab)
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


PROBES: Final = (
    strangers_get_no_more_than_the_policy_says,
    a_route_has_its_own_limit,
    waiting_as_long_as_it_says_restores,
    answers_say_what_is_left,
    what_is_refused_uses_up_nothing,
    many_at_once_are_not_more,
    no_header_makes_another_of_a_client,
    every_name_of_a_route_shares_one_budget,
    people_do_not_pay_for_their_neighbours,
    everybody_together_has_a_limit,
    static_files_cost_nothing,
    an_excess_is_recorded_once,
    no_process_counts_for_itself,
    an_outage_is_met_as_the_policy_says,
    nothing_switches_it_off_in_production,
)
