"""Cross-site request forgery: a request that changes something must come from this site.

Threat: another site makes a visitor's browser send a request with the visitor's cookie (CWE-352).
Mechanism, in this order: every unsafe request's Sec-Fetch-Site and Origin are checked, signed in or
not (the algorithm of Go 1.25's CrossOriginProtection, and stricter: a foreign Origin is refused
whatever Sec-Fetch-Site says); a request that acts by a session also bears a token bound to that
session. Source: OWASP CSRF Prevention, Fetch Metadata (W3C), NIST SP 800-63B-4 5.1, ASVS 3.5.1-3.
It does not protect against script of this site itself (see headers).
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterable
from typing import ClassVar, Final, Literal

from pydantic import Field

from bylaw import control
from bylaw.control import Conflict, Control
from bylaw.controls import cookies, cors, headers
from bylaw.controls.csrf import forms, probes, sabotages
from bylaw.exchange import ALLOW, Deciding, Exchange, Peek, Refuse, Step, Verdict, for_unsafe
from bylaw.house import House
from bylaw.policy import Policy
from bylaw.reasons import Reason

CROSS_SITE = Reason(
    "csrf.cross_site",
    403,
    "The request came from another site.",
    "Sec-Fetch-Site or Origin names a site that is neither the application's base_url nor in "
    "csrf.trusted_origins or cors.origins. Behind a proxy: does base_url say what people see in the "
    "address bar?",
)
NO_ORIGIN = Reason(
    "csrf.no_origin",
    403,
    "The request does not say where it came from.",
    "No token is asked for here (an exempt path, a WebSocket) and the request bears a session, so "
    "that it must say by Sec-Fetch-Site or Origin that this site sent it. A program should send "
    "Origin, or better no cookie.",
)
NOT_JSON = Reason(
    "csrf.not_json",
    403,
    "Only JSON is taken here.",
    "The path needs no token because a foreign page cannot send JSON without asking first (a CORS "
    "preflight); any other content type it can.",
)
TOKEN_MISSING = Reason(
    "csrf.token_missing",
    403,
    "The form is incomplete. Load the page again.",
    "The request acts by a session and bears neither the header nor, once and in the first 64 KiB of "
    "a form, the field with the token.",
)
TOKEN_WRONG = Reason(
    "csrf.token_wrong",
    403,
    "The form is out of date. Load the page again.",
    "The token was made for another session: from before signing in, of another visitor, or made up.",
)

PEEKED: Final = 64 * 1024
"""Bytes of a form's beginning in which its token must stand: forms have it first."""
_VISITOR_BYTES = 16
_EXEMPTIBLE = re.compile(r"(/[^?#*]*)(/\*)?")


class Exemption(control.Exemption):
    """A path on which no token is asked for. Origin and content type are checked all the same."""

    INSTEAD: ClassVar[str] = "JSON only, same origin enforced"
    MEND: ClassVar[str] = "send the token there and drop the entry"

    reason: str = Field(min_length=10)
    """Why no token can be asked for."""


class Settings(control.Settings):
    """How forged requests are told."""

    status: Literal[400, 403] = 403
    """The status of a refusal."""

    header: str = Field("X-CSRF-Token", pattern=r"^[A-Za-z-]+$")
    """The header in which scripts send the token."""

    field: str = Field("csrf_token", pattern=r"^[A-Za-z_-]+$")
    """The form field in which pages send it."""

    trusted_origins: tuple[str, ...] = ()
    """Other sites whose requests are taken as this site's own, besides those of cors.origins."""

    exempt: tuple[Exemption, ...] = ()
    """Paths without a token, each with reason, owner and expiry."""


# The token


def token(house: House, exchange: Exchange) -> str:
    """A token for this visitor's next request; different each time (BREACH), good for the session.

    Somebody without a session gets a cookie to bind it to. No cache may keep what bears it.
    """
    exchange.note(headers.PERSONAL, True)
    salt = secrets.token_urlsafe(6)
    return f"{salt}.{house.keys.seal('csrf', f'{salt}.{_binding(house, exchange, make=True)}')}"


def _binding(house: House, exchange: Exchange, *, make: bool = False) -> str:
    """What the token is bound to: the session, or the visitor's cookie."""
    if exchange.session is not None:
        return f"session.{exchange.session.digest}"
    visitor = exchange.cookie(cookies.name(house.policy, cookies.VISITOR))
    if not visitor and exchange.notes and "visitor" in exchange.notes:
        visitor = exchange.notes["visitor"]
    if not visitor and make:
        visitor = secrets.token_urlsafe(_VISITOR_BYTES)
        exchange.note("visitor", visitor)
        exchange.set_cookie(cookies.make(house.policy, cookies.VISITOR, visitor))
    return f"visitor.{visitor}" if visitor else ""


def _right(house: House, exchange: Exchange, given: str) -> bool:
    salt, _, seal = given.partition(".")
    binding = _binding(house, exchange)
    return bool(binding) and house.keys.sealed("csrf", f"{salt}.{binding}", seal)


# Where it came from


def from_here(site: str | None, origin: str | None, own: str, trusted: frozenset[str]) -> bool:
    """Whether Sec-Fetch-Site and Origin speak for this site, or for one that is trusted.

    Neither of them: a program, which has no visitor's cookie unless it was given one on purpose.
    """
    if origin is not None:
        origin = origin.lower()
        if origin in trusted:
            return True
        # `null` is what a page without referrer sends; only Sec-Fetch-Site can vouch for it.
        if origin != own and not (origin == "null" and site is not None):
            return False
    return site is None or site in ("same-origin", "none")


@for_unsafe
def _origin(house: House) -> Step:
    """Where the request came from, before anybody asks who sent it."""
    settings = house.policy.of(Settings)
    own = house.policy.app.origin
    trusted = frozenset(origin.lower() for origin in settings.trusted_origins)
    named = cors.trusts(house.policy)
    session = cookies.name(house.policy, cookies.SESSION)

    def refuse(reason: Reason) -> Refuse:
        return Refuse(reason, status=settings.status)

    def step(exchange: Exchange) -> Verdict:
        if not exchange.unsafe:
            return ALLOW
        site = exchange.headers.one("sec-fetch-site")
        origin = exchange.headers.one("origin")
        if not from_here(site, origin, own, trusted) and not (
            named is not None and origin is not None and named(exchange, origin)
        ):
            return refuse(CROSS_SITE)
        exempt = _exemption(house, settings, exchange.path) is not None
        if exempt and not _only_json(exchange):
            return refuse(NOT_JSON)
        # Where no token will be asked for, the origin is all there is to go by.
        silent = site is None and origin is None and exchange.cookie(session) is not None
        if silent and (exempt or exchange.websocket):
            return refuse(NO_ORIGIN)
        return ALLOW

    return step


def _exemption(house: House, settings: Settings, path: str) -> Exemption | None:
    """The exemption of `path` that holds today: one that runs out does so in a running process, too."""
    if not settings.exempt:
        return None
    covering = (exemption for exemption in settings.exempt if exemption.covers(path))
    return next((exemption for exemption in covering if exemption.holds(house.now())), None)


def _only_json(exchange: Exchange) -> bool:
    """Whether a foreign page could not send this without a preflight (Fetch, CORS-safelisted)."""
    kind = exchange.headers.one("content-type")
    if kind is None:
        # Without a body only POST is a simple request; the others are preflighted anyway.
        return exchange.method != "POST"
    essence = forms.essence(kind)
    return essence == "application/json" or essence.endswith("+json")


# Whether it was meant


@for_unsafe
def _intent(house: House) -> Step:
    """Whether the person meant it: the token of the page that the request was sent from."""
    settings = house.policy.of(Settings)
    header = settings.header.lower()

    def refuse(reason: Reason) -> Refuse:
        return Refuse(reason, status=settings.status)

    def decide(exchange: Exchange, given: str | None) -> Verdict:
        if not given:
            return refuse(TOKEN_MISSING)
        return ALLOW if _right(house, exchange, given) else refuse(TOKEN_WRONG)

    def step(exchange: Exchange) -> Verdict | Deciding:
        if not exchange.unsafe or exchange.websocket:
            return ALLOW
        own_form = exchange.notes is not None and "form" in exchange.notes
        if exchange.session is None and not own_form:
            return ALLOW  # nothing acts by a cookie here
        if _exemption(house, settings, exchange.path) is not None:
            return ALLOW
        given = exchange.headers.one(header)
        kind = exchange.headers.one("content-type") or ""
        if given is None and forms.essence(kind) in forms.TYPES:
            return from_form(exchange, kind)
        return decide(exchange, given)

    def from_form(exchange: Exchange, kind: str) -> Deciding:
        start, whole = yield Peek(PEEKED)
        return decide(exchange, forms.token(start, whole, kind, settings.field))

    return step


def _conflicts(policy: Policy) -> Iterable[Conflict]:
    settings = policy.of(Settings)
    for index, exemption in enumerate(settings.exempt):
        if not _EXEMPTIBLE.fullmatch(exemption.path):
            yield Conflict(
                f"csrf.exempt.{index}.path",
                f"{exemption.path!r} covers the whole site, or nothing",
                'one path ("/api/sign-in") or all below one ("/api/open/*")',
            )
    for alias, target in policy.pages.aliases.items():
        if _exempts(settings, alias) and not _exempts(settings, target):
            yield Conflict(
                f"pages.aliases.{alias}",
                f"an exemption would cover {target} by this name",
                "a name outside csrf.exempt, or an exemption of the endpoint itself",
            )
    for index, origin in enumerate(settings.trusted_origins):
        key = f"csrf.trusted_origins.{index}"
        if "*" in origin:
            yield Conflict(
                key,
                "any site could act with the visitor's cookies (they are sent along)",
                'name the origins: ["https://partner.acme.eu"]',
            )
        elif not cors.is_origin(origin.lower(), policy):
            yield Conflict(
                key,
                f"{origin!r} is not an origin as browsers send it",
                'scheme and host alone, https in production: "https://partner.acme.eu"',
            )


def _exempts(settings: Settings, path: str) -> bool:
    return any(exemption.covers(path) for exemption in settings.exempt)


def _statement(policy: Policy) -> list[str]:
    settings = policy.of(Settings)
    sentences = [
        (
            "Unsafe requests and WebSocket handshakes must come from this site (Sec-Fetch-Site, "
            "Origin), signed in or not; requests that act by a session bear its token as well "
            f"(field `{settings.field}`, header `{settings.header}`)."
        ),
        f"A refused request gets {settings.status} and changes nothing.",
    ]
    if settings.trusted_origins:
        sentences.append(f"Trusted origins: {', '.join(settings.trusted_origins)}.")
    if cors.trusts(policy) is not None:
        sentences.append("So are origins whose scripts may read answers, as far as that goes (see CORS).")
    sentences.extend(
        f"Exempt from the token, until {e.expires}: `{e.path}` ({e.reason}; {e.standing}; owner: {e.owner})."
        for e in settings.exempt
    )
    return sentences


CONTROL = Control(
    name="csrf",
    title="Cross-site request forgery",
    settings=Settings,
    statement=_statement,
    reasons=(CROSS_SITE, NO_ORIGIN, NOT_JSON, TOKEN_MISSING, TOKEN_WRONG),
    steps={"origin": _origin, "intent": _intent},
    probes=probes.PROBES,
    sabotages=sabotages.SABOTAGES,
    conflicts=_conflicts,
    requirements=(
        "S1-034",
        "S1-038",
        "S1-039",
        "S1-043",
        "S1-044",
        "S2-010",
        "S2-016",
        "C-09",
        "C-15",
        "C-17",
    ),
    asvs=("3.5.1", "3.5.2", "3.5.3", "4.4.2"),
)
