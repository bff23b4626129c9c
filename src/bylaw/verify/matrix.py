"""The access matrix, measured: every route by every role and by nobody, with real requests."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

from bylaw.controls import body, jwt, uploads
from bylaw.controls.body import media
from bylaw.controls.roles import Settings as Roles
from bylaw.exchange import Exchange
from bylaw.identity import AccessRule, Identity, permissions_of
from bylaw.verify.laboratory import Laboratory

Seen = Literal["allowed", "refused", "not_examined"]
NOBODY = "(nobody)"
_FLASK = re.compile(r"<(?:(\w+)(?:\([^)]*\))?:)?\w+>")
_BRACES = re.compile(r"\{\w+(?::(\w+))?\}")
_BY_RULE = ("roles.", "mfa.step_up", "sessions.unfinished", "jwt.invalid", "api_keys.invalid")
"""Beginnings of the reasons by which the access rule refuses, or whatever says who asks."""
_SAMPLES = {
    "int": "999999",
    "float": "999999.5",
    "uuid": "00000000-0000-4000-8000-000000000000",
    "path": "nothing/here",
}


@dataclass(frozen=True, slots=True)
class Cell:
    """What happened to one role on one route, and what the rule says should."""

    method: str
    path: str
    rule: str
    role: str
    expected: Seen
    seen: Seen
    status: int

    @property
    def as_declared(self) -> bool:
        return self.seen == self.expected


def sample(path: str) -> str:
    """A path that the route matches and that names nothing that exists."""
    if path.endswith("/*"):
        path = f"{path[:-1]}nothing/here"
    path = _FLASK.sub(lambda match: _SAMPLES.get(match[1] or "", "999999"), path)
    return _BRACES.sub(lambda match: _SAMPLES.get(match[1] or "", "999999"), path)


def measure(laboratory: Laboratory, progress: Callable[[Cell], None] = lambda cell: None) -> list[Cell]:
    """Ask every route as every role; each request by a session of its own."""
    cells = []
    with _asked(laboratory) as asked:
        for method, path, rule in sorted(laboratory.routes(), key=lambda row: (row[1], row[0])):
            for role in (NOBODY, *laboratory.roles):
                asked.clear()
                cell = _ask(laboratory, method, path, rule, role, asked)
                cells.append(cell)
                progress(cell)
    return cells


def takings(laboratory: Laboratory) -> list[dict[str, Any]]:
    """The routes that take files, and which: all others take none."""
    return [
        {
            "method": method,
            "path": path,
            "fields": sorted(files.fields),
            "kinds": list(files.kinds or laboratory.policy.of(uploads.Settings).kinds),
            "most": files.most,
        }
        for (method, path), files in sorted(laboratory.site.house.routes.files.items())
    ]


@contextmanager
def _asked(laboratory: Laboratory) -> Iterator[list[AccessRule]]:
    """The access rules that the gate is asked for: a request that asked for none met no route."""
    gate, asked = laboratory.site.gate, list[AccessRule]()
    real = gate.allows

    def allows(exchange: Exchange, rule: AccessRule) -> bool:
        asked.append(rule)
        return real(exchange, rule)

    gate.allows = allows  # type: ignore[method-assign]
    try:
        yield asked
    finally:
        del gate.allows


def _ask(
    laboratory: Laboratory,
    method: str,
    path: str,
    rule: AccessRule,
    role: str,
    asked: list[AccessRule],
) -> Cell:
    client = laboratory.visitor() if role == NOBODY else laboratory.client(role)
    if role != NOBODY and _borne(laboratory, path):
        laboratory.bear(client)
    grants = laboratory.policy.of(Roles).grants
    identity = (
        None
        if role == NOBODY
        else Identity(
            id=client.id,
            roles=frozenset({role}),
            permissions=permissions_of([role], grants),
            assurance=2,
            authenticated_at=laboratory.clock(),
        )
    )
    expected: Seen = "allowed" if rule.decide(identity, laboratory.clock()) is None else "refused"
    if method == "WEBSOCKET":
        return Cell(method, path, str(rule), role, expected, "not_examined", 0)
    if method in ("GET", "HEAD", "OPTIONS"):
        reply = client.send(method, sample(path))
    elif method == "TRACE":
        reply = client.send(method, sample(path), headers=client.from_here)
    elif role == NOBODY and not _is_form(laboratory, path):
        reply = client.send(method, sample(path), headers=client.from_here, **_something(laboratory, path))
    else:
        reply = client.act(method, sample(path), **_something(laboratory, path))
    # Another refusal (sign-up is closed) comes from behind the access rule, which let the request in.
    by_rule = not reply.code or reply.code.startswith(_BY_RULE)
    seen: Seen = "refused" if reply.status in (401, 403) and by_rule else "allowed"
    if reply.code.startswith("csrf.") or rule not in asked:
        seen = "not_examined"  # stopped before the access rule was asked, or another route answered
    return Cell(method, path, str(rule), role, expected, seen, reply.status)


def _borne(laboratory: Laboratory, path: str) -> bool:
    """Whether an access token is what says who asks there."""
    return jwt.family(laboratory.policy).covers(sample(path))


def _something(laboratory: Laboratory, path: str) -> dict[str, Any]:
    """What a request brings along: an empty object, or nothing where the path takes no JSON."""
    return {"json": {}} if body.takes(laboratory.policy, sample(path), media.JSON) else {}


def _is_form(laboratory: Laboratory, path: str) -> bool:
    return any(route.path == path and not route.api for route in laboratory.site.pages.routes())
