"""Request bodies: a request has the size, the type and the shape that its path takes, or it is refused.

Threat: a body, a form or a header so large or so deeply nested that reading it costs more than sending it
(CWE-400, CWE-674, CWE-1333); and one that two parsers read differently, of which one decides and the other
acts (CWE-444, CWE-436). Mechanism, in this order: what headers alone tell (method, their own size, lengths,
encodings) is refused before a byte is read; JSON and urlencoded forms are read within their limits and
checked strictly, then given back, and so are multipart forms where no file is taken; those that bring files
that their route has declared, and everything else, are measured while they pass, and never held. Source: RFC
9110, RFC 9112 section 6, RFC 8259, RFC 7578, OWASP REST Security, ASVS 4.2.1, 5.2.1.
It does not know what a field means: the application's own model says what is valid in it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Annotated, Final

from pydantic import Field, StringConstraints

from bylaw import control
from bylaw.control import Below, Conflict, Control, Section
from bylaw.controls import uploads
from bylaw.controls.body import media, probes, reasons, sabotages, streams, strict
from bylaw.controls.body.forms import Forms, looked_through
from bylaw.exchange import (
    ALLOW,
    BLOCK,
    Deciding,
    Exchange,
    HeaderNames,
    Peek,
    Refuse,
    Step,
    Verdict,
    for_unsafe,
)
from bylaw.house import House
from bylaw.policy import Policy
from bylaw.quantities import Size, weighed
from bylaw.routes import Routes, Taking

OWN: Final = 64 * 1024
"""Bytes that a body for bylaw's own pages may have: far more than any of them needs."""
METHODS: Final = ("GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE")
"""The usual ones; others pass as well, to be refused by the application's own routes."""
_OWN_TYPES: Final = (media.JSON, media.URLENCODED, media.MULTIPART)
_NEVER: Final = frozenset({"TRACE", "TRACK", "CONNECT"})
_CAPITALS: Final = re.compile(r"[A-Z]{1,20}(-[A-Z]{1,20})?")
_RARE: Final = HeaderNames("content-length", "transfer-encoding", "content-encoding", "range")
_RARER: Final = HeaderNames("transfer-encoding", "content-encoding", "range")
_RANGES: Final = 10
_QUICK: Final = 32 * 1024
"""Bytes that are checked on the event loop, in a millisecond or two; what is longer goes to a worker."""
_COVERS: Final = re.compile(r"(/[^?#*]*)(/\*)?")
_KINDS: Final = 256

Type = Annotated[str, StringConstraints(pattern=media.PATTERN)]


class Path(Section):
    """What a path takes, where it differs from the rest."""

    path: str = Field(pattern=r"^/[^?#]*$", examples=["/imports/*", "/api/report"])
    """The path, or everything below it when it ends in `/*`. The longest that matches counts."""
    types: tuple[Type, ...] | None = Field(None, examples=["text/csv", "image/*"])
    """The content types that it takes, instead of body.types."""
    size: Size | None = Field(None, ge=1)
    """The bytes that a body may have there, instead of body.size."""


class Settings(control.Settings):
    """What a request may bring along."""

    size: Size = Field(1024 * 1024, ge=1)
    """The bytes that a body may have. A route that takes files has its size from what it declares."""

    types: tuple[Type, ...] = Field(
        (media.JSON, "application/*+json", media.URLENCODED, media.MULTIPART),
        examples=["text/csv", "image/*"],
    )
    """The content types that are taken: a type, or a pattern such as `image/*`."""

    routes: tuple[Path, ...] = ()
    """Paths that take other types or sizes."""

    form: Size = Field(500 * 1024, ge=1)
    """The bytes that the text of a form may have, all fields together; files are not counted."""

    fields: int = Field(1000, ge=1)
    """Fields of an urlencoded form, and parameters of a query."""

    parts: int = Field(100, ge=1)
    """Parts of a multipart form: fields and files."""

    depth: int = Field(32, ge=1, le=200)
    """Levels to which JSON may be nested."""

    headers: int = Field(100, ge=20)
    """Header fields of a request."""

    header_size: Size = Field(16 * 1024, ge=2048)
    """The bytes of all header values together."""

    address: Size = Field(8 * 1024, ge=512)
    """The bytes that path and query may have together."""

    def below_standard(self) -> Iterable[Below]:
        if self.size > 10 * 1024 * 1024:
            yield Below("size", weighed(self.size), "10 MB, and more by path", "ASVS 5.0.0 5.2.1")
        if self.depth > 100:
            yield Below("depth", str(self.depth), "100 levels", "CWE-674")


# What is taken where


class Rule:
    """What one path takes, prepared."""

    __slots__ = ("accept", "form", "size", "types")

    def __init__(self, types: Iterable[str], size: int, form: int) -> None:
        self.types = media.Taken(types)
        self.accept = (("Accept", self.types.accept),)
        self.size = size
        self.form = min(size, form)


class Rules:
    """What each path takes: the policy's, and bylaw's own pages, which are the same everywhere."""

    def __init__(self, policy: Policy, routes: Routes | None = None) -> None:
        settings = policy.of(Settings)
        files = policy.of(uploads.Settings)
        self._routes = routes
        self._file = files.size
        # The text of its fields and the headers of its parts may come on top of the files themselves.
        self._beside = settings.form + settings.parts * streams.HEADER
        self._rest = Rule(settings.types, settings.size, settings.form)
        self._own = Rule(_OWN_TYPES, OWN, OWN)
        self._prefix = policy.pages.prefix + "/"
        self._exactly: dict[str, Rule] = dict.fromkeys(policy.pages.aliases, self._own)
        below = []
        for each in settings.routes:
            rule = Rule(
                settings.types if each.types is None else each.types,
                settings.size if each.size is None else each.size,
                settings.form,
            )
            if each.path.endswith("/*"):
                below.append((each.path[:-1], rule))
            else:
                self._exactly[each.path] = rule
        self._below = sorted(below, key=lambda row: -len(row[0]))

    def at(self, path: str) -> Rule:
        if path.startswith(self._prefix):
            return self._own
        found = self._exactly.get(path)
        if found is not None:
            return found
        for prefix, rule in self._below:
            # What something further in might shorten to a path outside is not inside (CVE-2025-47910).
            if path.startswith(prefix) and "//" not in path and "/." not in path:
                return rule
        return self._rest

    def longest(self, method: str, path: str) -> int:
        """The bytes that a body may have, where only its head is known."""
        size = self.at(path).size
        files = None if self._routes is None else self._routes.at(method, path).files
        return size if files is None else max(size, self.with_files(files))

    def with_files(self, files: Taking) -> int:
        """The bytes that a form may have that brings as many files as the route takes."""
        return files.most * self._file + self._beside


def takes(policy: Policy, path: str, essence: str) -> bool:
    """Whether a body of this content type is read at `path`."""
    return policy.of(Settings).off or essence in Rules(policy).at(path).types


# From headers alone


def _arrive(house: House) -> Step:
    """What can be refused before a byte of the body is read."""
    settings = house.policy.of(Settings)
    rules = Rules(house.policy, house.routes)
    count, length, address = settings.headers, settings.header_size, settings.address
    fields, usual = settings.fields, frozenset(METHODS)

    def step(exchange: Exchange) -> Verdict:
        if exchange.method not in usual and not spoken(exchange.method):
            return Refuse(reasons.METHOD, headers=(("Allow", ", ".join(METHODS)),))
        headers, query = exchange.headers, exchange.query
        if headers.exceed(count, length):
            return Refuse(reasons.HEADERS)
        if len(exchange.path) + len(query) > address:
            return Refuse(reasons.ADDRESS)
        if query and query.count("&") >= fields:
            return Refuse(reasons.FIELDS)
        return ALLOW if headers.lack(_RARE) else announced(exchange, rules)

    return step


def spoken(method: str) -> bool:
    """Whether a method may be anybody's (RFC 9110 section 9.1: they are case-sensitive)."""
    return _CAPITALS.fullmatch(method) is not None and method not in _NEVER


def announced(exchange: Exchange, rules: Rules) -> Verdict:
    """What the fields about a body say, before it is sent. Raises Malformed where one came twice."""
    headers = exchange.headers
    if headers.lack(_RARER) and not headers.one("content-length"):
        return ALLOW  # a WSGI server may name the length of nothing: CONTENT_LENGTH=""
    if any(header.count(",") >= _RANGES for header in headers.all("range")):
        return Refuse(reasons.RANGES)
    text, transfer = headers.one("content-length"), headers.all("transfer-encoding")
    length = body_length(text)
    if length is None and text:
        return Refuse(reasons.LENGTH)
    if transfer and (text or [each.strip().lower() for each in transfer] != ["chunked"]):
        return Refuse(reasons.LENGTH)
    if not exchange.unsafe and (length or transfer):
        return Refuse(reasons.UNEXPECTED)
    if any(each.strip().lower() not in ("", "identity") for each in headers.all("content-encoding")):
        return Refuse(reasons.ENCODED, headers=(("Accept-Encoding", "identity"),))
    if length:
        limit = rules.longest(exchange.method, exchange.path)
        if length > limit:
            return Refuse(reasons.TOO_LARGE, detail=f"At most {weighed(limit)} are taken here.")
    return ALLOW


def body_length(text: str | None) -> int | None:
    """The length that Content-Length announces; None where it is no number (RFC 9110 section 8.6)."""
    return int(text) if text and len(text) < 20 and text.isascii() and text.isdigit() else None


# What is inside


@for_unsafe
def _shape(house: House) -> Step:
    """What a body is made of: looked at as a whole where it is read as a whole, else while it passes."""
    settings = house.policy.of(Settings)
    rules, route_at = Rules(house.policy, house.routes), house.routes.at
    forms = Forms(house.policy, rules, settings)
    kinds: dict[str, media.Kind] = {}

    def kind_of(text: str) -> media.Kind | None:
        known = kinds.get(text)
        if known is None:
            known = media.kind(text)
            if known is not None and not known.boundary and len(kinds) < _KINDS:
                kinds[text] = known
        return known

    def step(exchange: Exchange) -> Verdict | Deciding:
        if not exchange.unsafe or exchange.websocket:
            return ALLOW
        headers = exchange.headers
        length = body_length(headers.one("content-length"))
        if length == 0:
            return ALLOW
        rule, route = rules.at(exchange.path), route_at(exchange.method, exchange.path)
        text = headers.one("content-type")
        kind = kind_of(text) if text else None
        boundary = media.boundary(kind) if kind is not None and kind.essence == media.MULTIPART else None
        access = route.rule
        if access is not None and access.of_any().decide(exchange.asker(access), house.now()) is not None:
            # Whoever may not call the route is told so, and not what it would take. Nothing of the body is
            # read for that; it is measured all the same, should the framework see another route there.
            strict_form = boundary and forms.meter(boundary, rule, length, None)
            exchange.meter = strict_form or streams.Sized(rule.size, length)
            return ALLOW
        brings = kind is not None and kind.essence == media.MULTIPART and route.files is not None
        if kind is None or not (brings or kind.essence in rule.types) or not _readable(kind):
            if length is None:  # perhaps there is none: nobody has said so, and HTTP/2 need not
                exchange.meter = streams.Nothing(rule.types.accept)
                return ALLOW
            return Refuse(reasons.TYPE, headers=rule.accept)
        if kind.json:
            return whole(rule.size, lambda body: strict.json_fault(body, settings.depth))
        if kind.essence == media.URLENCODED:
            return whole(rule.form, lambda body: strict.form_fault(body, settings.fields))
        if kind.essence != media.MULTIPART:
            exchange.meter = streams.Sized(rule.size, length)
            return ALLOW
        if boundary is None:
            return Refuse(reasons.FORM)
        meter = forms.meter(boundary, rule, length, route.files)
        if not forms.files(route.files):
            return looked_through(meter)
        exchange.meter = meter
        return ALLOW

    return step


def _readable(kind: media.Kind) -> bool:
    """Whether the charset is the one that every parser reads alike; other types are the application's."""
    return kind.charset in ("", "utf-8", "utf8") or not (kind.json or kind.essence in media.FORMS)


def whole(limit: int, fault: strict.Fault) -> Deciding:
    """Look at the whole of a body, which the application reads again."""
    body, complete = yield Peek(limit + 1)
    if len(body) > limit:
        return Refuse(reasons.TOO_LARGE, detail=f"At most {weighed(limit)} are taken here.")
    if not complete:
        return Refuse(reasons.LENGTH)
    if not body:
        return ALLOW
    if len(body) > _QUICK:
        yield BLOCK
    reason = fault(body)
    return ALLOW if reason is None else Refuse(reason)


def _conflicts(policy: Policy) -> Iterable[Conflict]:
    settings = policy.of(Settings)
    seen = set()
    for index, each in enumerate(settings.routes):
        key = f"body.routes.{index}"
        if not _COVERS.fullmatch(each.path):
            yield Conflict(
                f"{key}.path",
                f"{each.path!r} covers the whole site, or nothing",
                'one path ("/imports") or all below one ("/imports/*")',
            )
        if each.path in seen:
            yield Conflict(f"{key}.path", f"{each.path} comes twice", "one entry for each path")
        if each.types is None and each.size is None:
            yield Conflict(key, f"nothing differs at {each.path}", "types, size or both")
        own = (policy.pages.prefix + "/", *policy.pages.aliases)
        if each.path.startswith(own):
            yield Conflict(f"{key}.path", "bylaw's own pages take what they need", "leave the entry out")
        seen.add(each.path)
    if not settings.types:
        yield Conflict("body.types", "no request could bring anything along", f'["{media.JSON}"]')


def _statement(policy: Policy) -> list[str]:
    settings = policy.of(Settings)
    sentences = [
        (
            f"A body is at most {weighed(settings.size)}, and {_listed(settings.types)}; anything else gets "
            "413 or 415, what is announced too large before a byte of it is read. Compressed bodies, and "
            "bodies of GET, HEAD and OPTIONS, are refused."
        ),
    ]
    for each in settings.routes:
        size = f"at most {weighed(settings.size if each.size is None else each.size)}"
        sentences.append(f"`{each.path}` takes {size}, {_listed(each.types or settings.types)}.")
    sentences += [
        (
            "JSON is refused (400) where parsers differ (a name twice, NaN, text that is not Unicode, a "
            f"number of more than {strict.DIGITS:,} digits), and deeper than {settings.depth} levels."
        ),
        (
            f"Forms have at most {settings.fields:,} fields or {settings.parts:,} parts, and "
            f"{weighed(settings.form)} of text; what brings files is measured while it passes, and not held."
        ),
        (
            f"More than {settings.headers} header fields, or {weighed(settings.header_size)} of them, get "
            f"431; addresses over {weighed(settings.address)} get 414."
        ),
        "A length that is no number or is said in two ways gets 400; TRACE, TRACK and CONNECT get 405.",
    ]
    return sentences


def _listed(types: Iterable[str]) -> str:
    return " or ".join(f"`{each}`" for each in types)


CONTROL = Control(
    name="body",
    title="Request bodies",
    settings=Settings,
    statement=_statement,
    reasons=reasons.REASONS,
    steps={"arrive": _arrive, "shape": _shape},
    probes=probes.PROBES,
    sabotages=sabotages.SABOTAGES,
    conflicts=_conflicts,
    requirements=("S1-087", "S1-094", "S2-015", "S3-006", "S3-026", "S3-030", "C-03"),
    asvs=("1.5.3", "2.2.1", "4.1.1", "4.1.4", "4.2.1", "5.2.1", "13.4.4"),
)
