"""Https: nothing that came in the clear is looked at.

Threat: whoever is on the line reads a password, a cookie or a key, or changes an answer (CWE-319).
Mechanism: where base_url is https, a person who asks for a page over http is sent to the same page over
https, once and without a look at anything else; whatever else comes over http is refused, so that a
program that sends secrets in the clear breaks at once instead of never being noticed. Source: RFC 9110
section 4.2.2, ASVS 5.0.0 4.1.2 and 12.2.1, S2-020.
It does not encrypt: the server or the proxy before it does, and says so (see proxies). HSTS is `headers`.
"""

from __future__ import annotations

from typing import Final
from urllib.parse import quote

from bylaw import control
from bylaw.control import Control
from bylaw.controls.https import probes, sabotages
from bylaw.exchange import ALLOW, Answer, Exchange, Refuse, Response, Step, Verdict, idle
from bylaw.house import House
from bylaw.policy import Policy
from bylaw.reasons import Reason

REQUIRED = Reason(
    "https.required",
    403,
    "Only https is answered here. What was just sent may have been read on its way: change any secret in it.",
    "`base_url` is https and the request came over http. Behind a proxy that ends TLS: trust it, and believe "
    "its X-Forwarded-Proto (proxies.trusted, proxies.x_proto).",
)
_SECURE: Final = frozenset({"https", "wss"})


class Settings(control.Settings):
    """What is answered in the clear. There is nothing to choose: nothing is, where base_url is https."""


def secure(exchange: Exchange) -> bool:
    """Whether the request came encrypted, as the server says or a trusted proxy."""
    return exchange.scheme in _SECURE


def elsewhere(origin: str, exchange: Exchange) -> str:
    """The same address over https, with the policy's own host whatever the request names."""
    query = f"?{quote(exchange.query, safe=_QUERY, encoding='latin-1')}" if exchange.query else ""
    return f"{origin}/{quote(exchange.path.removeprefix('/'))}{query}"


_QUERY: Final = "/?!$&'()*+,;=:@%-._~[]"


def _arrive(house: House) -> Step:
    origin = house.policy.app.origin

    def step(exchange: Exchange) -> Verdict:
        if secure(exchange):
            return ALLOW
        reading = exchange.method in ("GET", "HEAD") and not exchange.websocket
        if reading and exchange.wants_html():
            # No browser keeps it: a redirect that was a mistake of the set-up ends with the mistake.
            headers = [("Location", elsewhere(origin, exchange)), ("Cache-Control", "no-store")]
            return Answer(Response(308, headers))
        return Refuse(REQUIRED)

    return step if house.policy.app.secure else idle


def _statement(policy: Policy) -> list[str]:
    if not policy.app.secure:
        return ["Requests over http are answered: this is no production policy."]
    return [
        (
            f"A page that is asked for over http is answered with a redirect to `{policy.app.origin}` (308), "
            "built from the policy and not from the request."
        ),
        (
            "Whatever else comes over http (data, forms, WebSockets) is refused with 403, before anybody "
            "asks who sent it."
        ),
    ]


CONTROL = Control(
    name="https",
    title="Https",
    settings=Settings,
    statement=_statement,
    reasons=(REQUIRED,),
    steps={"arrive": _arrive},
    probes=probes.PROBES,
    sabotages=sabotages.SABOTAGES,
    requirements=("S1-081", "S1-082", "S2-020"),
    asvs=("4.1.2", "12.2.1"),
)
