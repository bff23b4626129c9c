"""Cross-origin reads: the scripts of the sites that are named may read answers, and nobody else's.

Threat: a page of another site asks with the visitor's cookies and reads what comes back (CWE-942).
Mechanism: origins are compared letter by letter with a list; a preflight is answered by the gate and
grants what both the policy and the route have; what the application says about origins is dropped, so
that there is one policy; every answer tells caches that it depends on who asks. Source: Fetch (WHATWG),
OWASP HTML5 Security, WSTG-CLNT-07, ASVS 5.0.0 3.4.2; C-17, C-18.
It does not keep another site from sending, only from reading: that is what csrf refuses.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Annotated, Final, Literal
from urllib.parse import urlsplit

from pydantic import Field

from bylaw import control
from bylaw.control import Conflict, Control
from bylaw.controls.cors import probes, sabotages
from bylaw.exchange import (
    ALLOW,
    Answer,
    Depart,
    Exchange,
    Head,
    HeaderBlock,
    HeaderNames,
    Refuse,
    Response,
    Step,
    Verdict,
    idle,
)
from bylaw.house import House
from bylaw.policy import Policy, reserved
from bylaw.quantities import Duration, spoken
from bylaw.reasons import Reason
from bylaw.routes import Route

ORIGIN = Reason(
    "cors.origin",
    403,
    "Scripts of that site may not ask this one.",
    "A preflight came from an origin that is not in cors.origins. The answer bears no CORS field, so that "
    "the browser does not send the request that it asked about.",
)
METHOD = Reason(
    "cors.method",
    403,
    "Scripts of that site may not do this here.",
    "A preflight asked for a method that cors.methods does not grant, or that the route does not answer.",
)

OWN: Final = frozenset(
    f"access-control-{name}"
    for name in (
        "allow-origin",
        "allow-credentials",
        "allow-methods",
        "allow-headers",
        "allow-private-network",
        "expose-headers",
        "max-age",
    )
)
"""The fields that are the policy's alone: whatever the application says in them is dropped."""
VARY: Final = (("Vary", "Origin"),)
_PREFLIGHT: Final = "cors"
"""The note under which a preflight's grants leave."""
_ASKED: Final = HeaderNames("access-control-request-method")
_FROM: Final = HeaderNames("origin")
_ORIGIN: Final = re.compile(r"https?://([a-z0-9]([a-z0-9.-]*[a-z0-9])?|\[[0-9a-f:]+\])(:[0-9]{1,5})?")

Verb = Literal["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
"""TRACE is none of them: it would hand a script the cookies that it must not see (Fetch 2.2.1)."""
FieldName = Annotated[str, Field(pattern=r"^[A-Za-z0-9!#$%&'+.^_`|~-]+$", examples=["Content-Type"])]
"""RFC 9110 5.1, but no `*`: to a request without credentials it means every field."""


class Settings(control.Settings):
    """Which other sites' scripts may read answers, and with what."""

    origins: tuple[str, ...] = Field((), examples=[["https://partner.acme.eu"]])
    """The origins whose scripts may: scheme, host and port, compared letter by letter."""

    credentials: bool = False
    """Whether their requests may bear the visitor's cookies. Not needed where they send a token."""

    methods: tuple[Verb, ...] = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
    """The methods that are granted at most; a route grants those of them that it answers."""

    headers: tuple[FieldName, ...] = ("Content-Type",)
    """The request's header fields that a script may set."""

    expose: tuple[FieldName, ...] = ()
    """The answer's header fields that a script may read, besides the seven that it always may."""

    max_age: Duration = Field(600, le=86400)
    """Seconds for which a browser remembers what a preflight granted."""


# On the way in


def _origin(house: House) -> Step:
    """Answer a preflight: it bears no credentials, and the application never sees it."""
    settings = house.policy.of(Settings)
    listed = frozenset(settings.origins)
    at = house.routes.at
    if not listed:
        return idle  # what an application makes of OPTIONS is its own affair

    def step(exchange: Exchange) -> Verdict:
        if exchange.method != "OPTIONS" or exchange.headers.lack(_ASKED):
            return ALLOW
        origin = exchange.headers.one("origin")
        if origin is None:
            return ALLOW  # no browser asks without saying for whom
        if not is_listed(listed, origin):
            return Refuse(ORIGIN)
        asked = exchange.headers.one("access-control-request-method") or ""
        granted = methods(settings, answered(at, asked, exchange.path))
        if asked not in granted:
            return Refuse(METHOD, f"Granted here: {', '.join(granted)}.")
        exchange.note(_PREFLIGHT, granted)
        # 200 and not 204: browsers take either, the source's worked example prints this one (S1-060).
        return Answer(Response(200, []))

    return step


def is_listed(listed: frozenset[str], origin: str) -> bool:
    """Whether the policy names this origin: the whole of it, letter by letter (RFC 6454 section 6.2)."""
    return origin in listed


def answered(at: Callable[[str, str], Route], asked: str, path: str) -> frozenset[str]:
    """The methods of the route that would answer `asked`: another route of the same path is another's."""
    route = at(asked, path)
    return frozenset(method for method in route.methods if at(method, path).name == route.name)


def methods(settings: Settings, known: frozenset[str]) -> tuple[str, ...]:
    """What is granted on a route that answers these methods, in the policy's order.

    Where nobody knows what answers (an application without a framework, one that is mounted as a whole,
    a path that leads nowhere), it is what the policy grants at most.
    """
    granted = tuple(m for m in settings.methods if m != "OPTIONS" and (not known or m in known))
    return (*granted, "OPTIONS")


# What csrf asks


def trusts(policy: Policy) -> Callable[[Exchange, str], bool] | None:
    """Whether an unsafe request of another origin is meant to come: one that is named here, by a method
    that is granted, and without cookies where it may bear none. None where nobody is named."""
    settings = policy.of(Settings)
    # This origin itself is none of them: who says it comes from here must come from here (C-18).
    listed = frozenset(settings.origins) - {policy.app.origin}
    if settings.off or not listed:
        return None

    def trusted(exchange: Exchange, origin: str) -> bool:
        if not is_listed(listed, origin) or exchange.method not in settings.methods:
            return False
        return settings.credentials or not exchange.headers.all("cookie")

    return trusted


# On the way out


def _depart(house: House) -> Depart:
    """Say who may read the answer, on refusals as well: their script shall know why."""
    settings = house.policy.of(Settings)
    if not settings.origins:
        return drop
    nobody = _blocks(())
    named = {origin: _blocks(readable(settings, origin)) for origin in settings.origins}

    def depart(exchange: Exchange, head: Head) -> None:
        blocks: Blocks | None = None
        if not exchange.headers.lack(_FROM):
            origins = exchange.headers.all("origin")
            blocks = fields_for(named, origins[0] if len(origins) == 1 else "")
        merged = "vary" in head.names
        if merged:
            vary(head, "Origin")
        head.complete((blocks or nobody)[merged])
        if blocks is not None and exchange.notes is not None and _PREFLIGHT in exchange.notes:
            grant(settings, head, exchange.notes[_PREFLIGHT])

    return depart


Blocks = tuple[HeaderBlock, HeaderBlock]
"""What is added to an answer without a Vary of its own, and to one with."""


def _blocks(fields: Iterable[tuple[str, str]]) -> Blocks:
    fields = tuple(fields)
    return HeaderBlock((*fields, *VARY), drop=OWN), HeaderBlock(fields, drop=OWN)


def fields_for(named: Mapping[str, Blocks], origin: str) -> Blocks | None:
    """What lets this origin read the answer; None for whoever is not named."""
    return named.get(origin)


def drop(exchange: Exchange, head: Head) -> None:
    """Take away what the application says about origins: two policies are none."""
    if not OWN.isdisjoint(head.names):
        for name in OWN:
            head.remove(name)


def readable(settings: Settings, origin: str) -> Iterable[tuple[str, str]]:
    yield "Access-Control-Allow-Origin", origin
    if settings.credentials:
        yield "Access-Control-Allow-Credentials", "true"
    if settings.expose:
        yield "Access-Control-Expose-Headers", ", ".join(settings.expose)


def grant(settings: Settings, head: Head, granted: tuple[str, ...]) -> None:
    """What a preflight is told. Nothing of what it asked for is repeated: the lists are the policy's."""
    head.add("access-control-allow-methods", ", ".join(granted))
    if settings.headers:
        head.add("access-control-allow-headers", ", ".join(settings.headers))
    head.add("access-control-max-age", str(settings.max_age))
    for name in ("Access-Control-Request-Method", "Access-Control-Request-Headers"):
        vary(head, name)


def vary(head: Head, name: str) -> None:
    """Have caches keep an answer for each value of the request's field `name` (RFC 9110 12.5.5)."""
    if "vary" not in head.names:
        head.add("vary", name)
        return
    said = ", ".join(value for value in head.every("vary") if value.strip())
    known = {each.strip().lower() for each in said.split(",")}
    if "*" not in known and name.lower() not in known:
        head.set("vary", f"{said}, {name}" if said else name)


# The policy


def is_origin(origin: str, policy: Policy) -> bool:
    """Whether browsers send an origin of this policy's like that: lower case, no path, no default port."""
    if policy.production and not origin.startswith("https://"):
        return False  # whoever sits on the line speaks for it
    # A browser leaves the default port out (RFC 6454 section 6.2): with it nothing would ever match.
    default = ":443" if origin.startswith("https://") else ":80"
    return _ORIGIN.fullmatch(origin) is not None and not origin.endswith(default)


def _conflicts(policy: Policy) -> Iterable[Conflict]:
    settings = policy.of(Settings)
    names = 'name the origins: ["https://partner.acme.eu"]'
    for index, origin in enumerate(settings.origins):
        key = f"cors.origins.{index}"
        if origin == "*" and settings.credentials:
            yield Conflict(
                key, "any site could read answers with the visitor's cookies (credentials are on)", names
            )
        elif origin == "*":
            yield Conflict(key, "any site could read every answer", names)
        elif origin.lower() == "null":
            yield Conflict(
                key, "null is what every sandboxed frame sends, whoever has put it on a page", names
            )
        elif re.search(r"[*?\\()\[\]|^$+{}]", origin) and not origin.lower().startswith(
            ("http://[", "https://[")
        ):
            yield Conflict(
                key, f"{origin!r} is a pattern: whoever registers a name that fits may read answers", names
            )
        elif origin != origin.lower() or not is_origin(origin, policy):
            yield Conflict(
                key,
                f"{origin!r} is not an origin as browsers send it",
                'lower case, scheme and host alone, https in production: "https://partner.acme.eu"',
            )
        elif policy.production and reserved(urlsplit(origin).hostname or ""):
            yield Conflict(key, f"{origin!r} is a placeholder, or this machine: nobody's site", names)


def _statement(policy: Policy) -> list[str]:
    settings = policy.of(Settings)
    if not settings.origins:
        return ["No script of another origin can read an answer; the application has no say in it."]
    cookies = "with" if settings.credentials else "without"
    fields = f"the fields {', '.join(settings.headers)}" if settings.headers else "no header field of its own"
    return [
        (
            f"Scripts of these origins may read answers, {cookies} cookies: {', '.join(settings.origins)}; "
            "those of any other origin, whatever it looks like, may read nothing."
        ),
        (
            "Preflights are answered before the application: they grant "
            f"{', '.join(methods(settings, frozenset()))} as far as the route answers them, {fields}, for "
            f"{spoken(settings.max_age)}, and never private networks."
        ),
        "Every answer bears `Vary: Origin`; what the application says about origins is dropped.",
    ]


CONTROL = Control(
    name="cors",
    title="Cross-origin reads",
    settings=Settings,
    statement=_statement,
    reasons=(ORIGIN, METHOD),
    steps={"origin": _origin, "depart": _depart},
    probes=probes.PROBES,
    sabotages=sabotages.SABOTAGES,
    conflicts=_conflicts,
    requirements=(
        *(f"S1-0{number}" for number in range(47, 61)),
        *(f"S3-0{number}" for number in range(46, 52)),
        "C-17",
        "C-18",
    ),
    asvs=("3.4.2",),
)
