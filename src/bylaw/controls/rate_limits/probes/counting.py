"""Attacks on the numbers: too often, all at once, and too early again."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from bylaw.control import Broken, CouldNotLook, probe
from bylaw.controls import rate_limits
from bylaw.controls.rate_limits.probes.common import is_refused, let_through, limited, somebody
from bylaw.controls.rate_limits.rates import parsed
from bylaw.store.counters import Limit

MANY: Final = 1000
"""Requests that a probe makes of one limit at most."""


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
        visitor, began, passed, asked = somebody(lab), lab.clock(), 0, 0
        while passed <= longest.count and lab.clock() - began < longest.seconds:
            asked += 1
            reply = visitor.get(f"/nothing-is-here-{asked}")  # one route, however many paths are made up
            if is_refused(reply):
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
    with limited(lab, routes={path: ("5/minute",)}):
        visitor, person, guess = somebody(lab), lab.person(), "wrong, but long enough"
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
    if any(map(is_refused, replies[:5])) or not is_refused(replies[5]):
        raise Broken(f"six attempts of 5/minute: {', '.join(map(str, replies))}")
    if hashed.count > 5:
        raise Broken("the refused attempt's password was looked at")
    return f"five attempts of 5/minute, then {replies[5]}, with {hashed.count} passwords looked at"


@probe("high", "S1-103")
def waiting_as_long_as_it_says_restores(lab: Any) -> str:
    """A refused client is let through after Retry-After, and not a second before."""
    with limited(lab, default=("2/minute",)):
        visitor = somebody(lab)

        def ask() -> Any:
            return visitor.get(lab.url("sign_in"))

        let_through(ask, 3)
        lab.clock.advance(20)
        refused = ask()
        if not is_refused(refused):
            raise Broken(f"the third of 2/minute was answered with {refused}")
        if refused.status != 429:
            raise Broken(f"refused with {refused.status}")
        after = refused.header("retry-after")
        if after != "40":
            raise Broken(f"20 seconds into a minute, Retry-After is {after!r}")
        lab.clock.advance(39)
        if not is_refused(ask()):
            raise Broken("it was let through a second early")
        lab.clock.advance(1)
        if is_refused(ask()):
            raise Broken("it was refused after the time that it was told")
    return "429 with Retry-After 40, refused after 39 seconds and answered after 40"


@probe("medium", "S1-102")
def answers_say_what_is_left(lab: Any) -> str:
    """Number, remainder and end of the tightest limit stand on each answer, and agree in both forms."""
    with limited(lab, default=("3/minute", "100/hour")):
        visitor = somebody(lab)
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
    with limited(lab, default=("9/hour",), routes={path: ("2/minute",)}, total=("1000/hour",)):
        visitor = somebody(lab)
        passed = 0
        for _ in range(4):
            passed += let_through(lambda: visitor.get(path), 3)
            for _ in range(5):
                visitor.get(path)
            lab.clock.advance(60)
        passed += let_through(lambda: visitor.get(path), 1)
    if passed != 9:
        raise Broken(f"of 9/hour beside 2/minute only {passed} passed in five minutes of trying")
    return "9 of 9/hour passed beside 2/minute, with 20 refused in between"


@probe("high", "S1-099")
def many_at_once_are_not_more(lab: Any) -> str:
    """Of forty requests that come together, a limit of five lets five through."""
    with limited(lab, default=("5/minute",)):
        visitor = somebody(lab)
        sent = [visitor.prepared("GET", lab.url("sign_in")) for _ in range(40)]
        replies = lab.tasks(sent)
    passed = sum(not is_refused(reply) for reply in replies)
    # An event loop takes one request after the other; the counters are asked by threads as well.
    take = lab.site.house.counters.over(((Limit(5, 60, "probe"),),))
    counted = sum(left >= 0 for _, left, _ in lab.burst(lambda n: take((visitor.peer,), lab.clock()), 40))
    if (passed, counted) != (5, 5):
        raise Broken(f"{passed} requests and {counted} threads of 40 at once passed a limit of 5")
    return "5 of 40 requests at once, and of 40 threads"


@probe("medium", "S1-103")
def an_excess_is_recorded_once(lab: Any) -> str:
    """The audit log has who was refused, by which limit: once in a window, however often they try."""
    with limited(lab, default=("2/minute",)):
        visitor = somebody(lab)
        for _ in range(2):
            for _ in range(6):
                visitor.get(lab.url("sign_in"))
            lab.clock.advance(60)
    rows = [r for r in lab.audit(action="excess_rate_limit_exceeded") if r["ip_address"] == visitor.peer]
    if len(rows) != 2:
        raise Broken(f"{len(rows)} records of two windows with four refusals each")
    return f"2 records for 8 refusals: {rows[0]['entity_id']}"
