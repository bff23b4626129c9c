"""Cross-site request forgery: a request that changes something must come from this site.

Threat: another site makes a visitor's browser send a request with the visitor's cookie (CWE-352).
Mechanism, in this order: every unsafe request's Sec-Fetch-Site and Origin are checked, signed in or
not (the algorithm of Go 1.25's CrossOriginProtection, and stricter: a foreign Origin is refused
whatever Sec-Fetch-Site says); a request that acts by a session also bears a token bound to that
session. Source: OWASP CSRF Prevention, Fetch Metadata (W3C), NIST SP 800-63B-4 5.1, ASVS 3.5.1-3.
It does not protect against script of this site itself (see headers).
"""

from __future__ import annotations

import datetime
import secrets
from collections.abc import Iterable
from typing import Literal
from urllib.parse import parse_qsl

from pydantic import Field
from python_multipart.multipart import MultipartParser, parse_options_header

from bylaw import control
from bylaw.control import Conflict, Control, Section
from bylaw.controls import cookies
from bylaw.exchange import ALLOW, Deciding, Exchange, Peek, Refuse, Step, Verdict
from bylaw.house import House
from bylaw.policy import Policy
from bylaw.reasons import Reason

CROSS_SITE = Reason(
    "csrf.cross_site",
    403,
    "The request came from another site.",
    "Sec-Fetch-Site or Origin names a site that is neither the application's base_url nor in "
    "csrf.trusted_origins. Behind a proxy: does base_url say what people see in the address bar?",
)
NO_ORIGIN = Reason(
    "csrf.no_origin",
    403,
    "The request does not say where it came from.",
    "The route needs no token and the request bears a session, so that it must say by Sec-Fetch-Site "
    "or Origin that this site sent it. A program should send Origin, or better no cookie.",
)
NOT_JSON = Reason(
    "csrf.not_json",
    403,
    "Only JSON is taken here.",
    "The route needs no token because a foreign page cannot send JSON without asking first (a CORS "
    "preflight); any other content type it can.",
)
TOKEN_MISSING = Reason(
    "csrf.token_missing",
    403,
    "The form is incomplete. Load the page again.",
    "The request acts by a session and bears neither the header nor the form field with the token.",
)
TOKEN_WRONG = Reason(
    "csrf.token_wrong",
    403,
    "The form is out of date. Load the page again.",
    "The token was made for another session: from before signing in, of another visitor, or made up.",
)

PEEKED = 64 * 1024
"""Bytes of a form's beginning in which its token must stand: forms have it first."""
_VISITOR_BYTES = 16


class Exemption(Section):
    """A path on which no token is asked for. Origin and content type are checked all the same."""

    path: str = Field(pattern=r"^/[^?#]*$")
    """The path, or everything below it when it ends in `/*`."""
    reason: str = Field(min_length=10)
    """Why no token can be asked for."""
    owner: str = Field(min_length=2)
    """Who answers for it."""
    expires: datetime.date
    """The last day on which it holds; afterwards the application refuses to start."""

    def covers(self, path: str) -> bool:
        if self.path.endswith("/*"):
            return path.startswith(self.path[:-1])
        return path == self.path


class Settings(control.Settings):
    """How forged requests are told."""

    status: Literal[400, 403] = 403
    """The status of a refusal."""

    header: str = Field("X-CSRF-Token", pattern=r"^[A-Za-z-]+$")
    """The header in which scripts send the token."""

    field: str = Field("csrf_token", pattern=r"^[A-Za-z_-]+$")
    """The form field in which pages send it."""

    trusted_origins: tuple[str, ...] = ()
    """Other sites whose requests are taken as this site's own."""

    exempt: tuple[Exemption, ...] = ()
    """Paths without a token, each with reason, owner and expiry."""


def token(house: House, exchange: Exchange) -> str:
    """A token for this visitor's next request; different each time (BREACH), good for the session.

    Somebody without a session gets a cookie to bind it to.
    """
    salt = secrets.token_urlsafe(6)
    return f"{salt}.{house.keys.seal('csrf', f'{salt}.{_binding(house, exchange, make=True)}')}"


def _binding(house: House, exchange: Exchange, *, make: bool = False) -> str:
    """What the token is bound to: the session, or the visitor's cookie."""
    if exchange.session is not None:
        return f"session.{exchange.session.digest}"
    visitor = exchange.cookie(cookies.name(house.policy, cookies.VISITOR))
    if visitor is None and exchange.notes and "visitor" in exchange.notes:
        visitor = exchange.notes["visitor"]
    if visitor is None and make:
        visitor = secrets.token_urlsafe(_VISITOR_BYTES)
        exchange.note("visitor", visitor)
        exchange.set_cookie(cookies.make(house.policy, cookies.VISITOR, visitor))
    return f"visitor.{visitor}" if visitor else ""


def _right(house: House, exchange: Exchange, given: str) -> bool:
    salt, _, seal = given.partition(".")
    binding = _binding(house, exchange)
    return bool(binding) and house.keys.sealed("csrf", f"{salt}.{binding}", seal)


def _origin(house: House) -> Step:
    """Where the request came from, before anybody asks who sent it."""
    settings = house.policy.of(Settings)
    own = frozenset({house.policy.app.origin, *(o.lower() for o in settings.trusted_origins)})
    session = cookies.name(house.policy, cookies.SESSION)

    def refuse(reason: Reason) -> Refuse:
        return Refuse(reason, status=settings.status)

    def step(exchange: Exchange) -> Verdict:
        if not exchange.unsafe:
            return ALLOW
        site = exchange.headers.one("sec-fetch-site")
        origin = exchange.headers.one("origin")
        stated = origin is not None and origin.lower() in own
        # `null` is what a page without referrer sends; only Sec-Fetch-Site can vouch for it.
        if origin is not None and not stated and not (origin == "null" and site is not None):
            return refuse(CROSS_SITE)
        if site is not None and site not in ("same-origin", "none") and not stated:
            return refuse(CROSS_SITE)
        exemption = _exemption(settings, exchange.path)
        if exemption is not None:
            if _could_be_a_form(exchange):
                return refuse(NOT_JSON)
            if site is None and origin is None and exchange.cookie(session) is not None:
                return refuse(NO_ORIGIN)
        return ALLOW

    return step


def _exemption(settings: Settings, path: str) -> Exemption | None:
    return next((exemption for exemption in settings.exempt if exemption.covers(path)), None)


def _could_be_a_form(exchange: Exchange) -> bool:
    """Whether a foreign page could send this without a preflight (Fetch, CORS-safelisted)."""
    kind = exchange.headers.one("content-type")
    if kind is None:
        # Without a body only POST is a simple request; the others are preflighted anyway.
        return exchange.method == "POST"
    essence = kind.partition(";")[0].strip().lower()
    return not (essence == "application/json" or essence.endswith("+json"))


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
        if _exemption(settings, exchange.path) is not None:
            return ALLOW
        given = exchange.headers.one(header)
        kind = exchange.headers.one("content-type") or ""
        if given is None and kind.partition(";")[0].strip().lower() in _FORMS:
            return from_form(exchange, kind)
        return decide(exchange, given)

    def from_form(exchange: Exchange, kind: str) -> Deciding:
        start, whole = yield Peek(PEEKED)
        return decide(exchange, _field(start, whole, kind, settings.field))

    return step


_FORMS = frozenset({"application/x-www-form-urlencoded", "multipart/form-data"})


def _field(start: bytes, whole: bool, kind: str, name: str) -> str | None:
    """The token's field in the beginning of a form; None when it is not there or came twice."""
    if kind.partition(";")[0].strip().lower() == "multipart/form-data":
        values = _multipart(start, kind, name)
    else:
        text = start.decode("latin-1")
        if not whole:
            text = text.rpartition("&")[0]  # the last field may be cut off
        try:
            pairs = parse_qsl(text, keep_blank_values=True, max_num_fields=1000)
        except ValueError:
            return None
        values = [value for key, value in pairs if key == name]
    return values[0] if len(values) == 1 else None


def _multipart(start: bytes, kind: str, name: str) -> list[str]:
    """The values of the field `name` that are complete in the beginning of a multipart body."""
    _, options = parse_options_header(kind)
    boundary = options.get(b"boundary")
    if not boundary:
        return []
    values: list[str] = []
    part: dict[str, bytes] = {}

    def header_field(data: bytes, begin: int, end: int) -> None:
        part["key"] = part.get("key", b"") + data[begin:end]

    def header_value(data: bytes, begin: int, end: int) -> None:
        part["value"] = part.get("value", b"") + data[begin:end]

    def header_end() -> None:
        if part.pop("key", b"").lower() == b"content-disposition":
            part["disposition"] = part.get("value", b"")
        part.pop("value", None)

    def part_data(data: bytes, begin: int, end: int) -> None:
        part["data"] = part.get("data", b"") + data[begin:end]

    def part_end() -> None:
        _, found = parse_options_header(part.get("disposition", b""))
        if found.get(b"name") == name.encode() and b"filename" not in found:
            values.append(part.get("data", b"").decode("latin-1"))
        part.clear()

    try:
        MultipartParser(
            boundary,
            {"on_header_field": header_field, "on_header_value": header_value,
             "on_header_end": header_end, "on_part_data": part_data, "on_part_end": part_end},
        ).write(start)
    except ValueError:
        return []
    return values


def _conflicts(policy: Policy) -> Iterable[Conflict]:
    settings = policy.of(Settings)
    today = datetime.datetime.now(datetime.UTC).date()
    for index, exemption in enumerate(settings.exempt):
        if exemption.expires < today:
            yield Conflict(f"csrf.exempt.{index}",
                           f"the exemption of {exemption.path} expired on {exemption.expires}",
                           "send the token there and drop the entry, or decide again until when")
    for index, origin in enumerate(settings.trusted_origins):
        if "*" in origin:
            yield Conflict(f"csrf.trusted_origins.{index}",
                           "any site could act with the visitor's cookies (they are sent along)",
                           'name the origins: ["https://partner.acme.eu"]')
        elif not _is_origin(origin, policy):
            yield Conflict(f"csrf.trusted_origins.{index}", f"{origin!r} is not an origin",
                           "scheme and host alone, https in production")


def _is_origin(origin: str, policy: Policy) -> bool:
    scheme, _, host = origin.partition("://")
    allowed = ("https",) if policy.production else ("https", "http")
    return scheme in allowed and bool(host) and not set(host) & set("/?#@ ")


def _statement(policy: Policy) -> list[str]:
    settings = policy.of(Settings)
    sentences = [
        "Unsafe requests must come from this site (Sec-Fetch-Site, Origin), signed in or not; those "
        f"that act by a session bear its token as well (field `{settings.field}`, header "
        f"`{settings.header}`).",
        f"A refused request gets {settings.status} and changes nothing.",
    ]
    if settings.trusted_origins:
        sentences.append(f"Trusted origins: {', '.join(settings.trusted_origins)}.")
    sentences.extend(
        f"Exempt from the token, until {e.expires}: `{e.path}` ({e.reason}; JSON only, same origin "
        f"enforced; owner: {e.owner})."
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
    conflicts=_conflicts,
    requirements=("S1-034", "S1-038", "S1-039", "S1-043", "S1-044", "S2-016", "C-15", "C-17"),
    asvs=("3.5.1", "3.5.2", "3.5.3"),
)
