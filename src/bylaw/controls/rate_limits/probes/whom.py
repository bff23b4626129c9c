"""Attacks on who is counted, and as whom: by other names and from made-up places."""

from __future__ import annotations

from typing import Any, Final

from bylaw.control import Broken, probe
from bylaw.controls import rate_limits
from bylaw.controls.rate_limits.probes.common import is_refused, let_through, limited, somebody

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


# Whose


@probe("critical", "S2-071", "S2-072")
def no_header_makes_another_of_a_client(lab: Any) -> str:
    """Whatever a peer that nobody trusts writes about itself, its requests are counted as its own."""
    with limited(lab, default=("3/minute",)):
        one, other = somebody(lab), somebody(lab)
        for name, value in FORGED:
            for number in range(1, 4):
                one.get(lab.url("sign_in"), headers=[(name, value.format(n=number))], cookies=False)
            reply = one.get(lab.url("sign_in"), headers=[(name, value.format(n=7))])
            if not is_refused(reply):
                raise Broken(f"with another {name} the fourth of 3/minute was answered with {reply}")
            if is_refused(other.get(lab.api("me"))):
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

    with limited(lab, routes={path: ("3/minute",)}):
        for method in ("GET", "HEAD", "POST", "OPTIONS"):
            visitor = somebody(lab)
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
    with limited(lab, default=("2/minute",), signed_in=("4/minute",)):
        neighbour = somebody(lab)
        let_through(lambda: neighbour.get(lab.url("sign_in")), 3)
        one, other = lab.ordinary(), lab.ordinary()
        one.peer = other.peer = neighbour.peer
        places = (lab.api("me"), lab.url("sessions"))
        replies = [one.get(places[n % 2]) for n in range(5)]
        if any(map(is_refused, replies[:4])):
            raise Broken(f"somebody signed in was refused early: {', '.join(map(str, replies))}")
        if not is_refused(replies[4]):
            raise Broken(f"the fifth of 4/minute over two routes was answered with {replies[4]}")
        if is_refused(other.get(lab.api("me"))):
            raise Broken("another person at the same address was refused")
        if not is_refused(neighbour.get(lab.url("sign_in"))):
            raise Broken("the address was given a new budget")
    return "4 of 4/minute over two routes, beside an address without any left; another person has 4 more"


@probe("medium")
def everybody_together_has_a_limit(lab: Any) -> str:
    """A limit of everybody counts strangers and people, from wherever they come."""
    with limited(lab, total=("6/minute",)):
        person = lab.ordinary()
        ask = (lambda: somebody(lab).get(lab.url("sign_in")), lambda: person.get(lab.api("me")))
        passed = sum(not is_refused(ask[n % 2]()) for n in range(10))
    if passed != 6:
        raise Broken(f"{passed} of 10 passed a total of 6")
    return "6 of 10, by strangers and by somebody signed in"


@probe("low")
def static_files_cost_nothing(lab: Any) -> str:
    """A page's own stylesheet is no request of a person: it is never counted."""
    with limited(lab, default=("2/minute",), total=("2/minute",)):
        visitor = somebody(lab)
        replies = [visitor.get(lab.url("stylesheet")) for _ in range(5)]
        passed = let_through(lambda: visitor.get(lab.url("sign_in")), 3)
    if any(reply.status != 200 for reply in replies) or passed != 2:
        raise Broken(f"five stylesheets: {', '.join(map(str, replies))}; {passed} of 2 pages after them")
    return "five stylesheets, and two pages of 2/minute after them"
