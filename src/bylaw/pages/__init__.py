"""bylaw's own pages and their JSON twins: one table of endpoints, the same in every framework."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import resources

from bylaw.controls import csrf, errors
from bylaw.errors import PolicyError, Problem
from bylaw.exchange import Answer, Deciding, Exchange, Refuse, Response
from bylaw.gate import Gate
from bylaw.house import House
from bylaw.identity import AccessRule
from bylaw.pages import (
    access_review,
    account,
    addresses,
    administration,
    api_keys,
    factors,
    federated,
    granting,
    imports,
    mailbox,
    overview,
    passkeys,
    passwords,
    recovery,
    sessions,
    token_families,
    tokens,
    unlocking,
)
from bylaw.pages.endpoints import Endpoint, answer
from bylaw.pages.rendering import Renderer
from bylaw.policy import Policy
from bylaw.reasons import Refused
from bylaw.routes import Route as Matched

ENDPOINTS: tuple[Endpoint, ...] = (
    *account.ENDPOINTS,
    *unlocking.ENDPOINTS,
    *recovery.ENDPOINTS,
    *federated.ENDPOINTS,
    *factors.ENDPOINTS,
    *passkeys.ENDPOINTS,
    *overview.ENDPOINTS,
    *passwords.ENDPOINTS,
    *addresses.ENDPOINTS,
    *sessions.ENDPOINTS,
    *tokens.ENDPOINTS,
    *administration.ENDPOINTS,
    *granting.ENDPOINTS,
    *access_review.ENDPOINTS,
    *api_keys.ENDPOINTS,
    *mailbox.ENDPOINTS,
    *token_families.ENDPOINTS,
    *imports.ENDPOINTS,
)


@dataclass(frozen=True, slots=True)
class Route:
    """A path that bylaw answers itself, for the access matrix and the OpenAPI document."""

    path: str
    methods: tuple[str, ...]
    rule: AccessRule
    endpoint: Endpoint
    api: bool


def standing(policy: Policy) -> Iterator[Endpoint]:
    """The endpoints that the policy has: what belongs to a control that is off is not there."""
    for endpoint in ENDPOINTS:
        under = endpoint.under(policy)
        if under is not None:
            yield under


def table(policy: Policy) -> dict[str, tuple[Endpoint, bool]]:
    """What answers at each path, and whether for programs. Raises PolicyError for a lost alias."""
    prefix = policy.pages.prefix
    found: dict[str, tuple[Endpoint, bool]] = {}
    for endpoint in standing(policy):
        if endpoint.page:
            found[f"{prefix}/{endpoint.page}"] = (endpoint, False)
        if endpoint.api:
            found[f"{prefix}/{endpoint.api}"] = (endpoint, True)
    own = dict(found)
    problems = []
    for alias, path in policy.pages.aliases.items():
        if path in own and alias not in own and alias.startswith("/"):
            found[alias] = own[path]
            continue
        why, accepted = ("bylaw answers nothing there", f"one of {', '.join(sorted(own))}")
        if path in own:
            why, accepted = ("no further path of this site", 'e.g. "/login"')
        problems.append(
            Problem(
                policy.where.at(("pages", "aliases", alias)),
                f'pages.aliases."{alias}" = "{path}"',
                why,
                accepted,
            )
        )
    if problems:
        raise PolicyError(f"{policy.file} is not a policy that can be kept", problems)
    return found


class Pages:
    """The table at work for one application."""

    def __init__(self, house: House) -> None:
        self._house = house
        prefix = house.policy.pages.prefix
        self.urls = {e.name: f"{prefix}/{(e.page or e.api).rstrip('/')}" for e in standing(house.policy)}
        self._token_field = house.policy.of(csrf.Settings).field
        files = resources.files("bylaw.pages").joinpath("static").iterdir()
        self._static = {f"{prefix}/static/{file.name}": file.read_bytes() for file in files}
        # Another text has another address: no browser shows a new page in yesterday's style.
        version = hashlib.sha256(b"".join(self._static.values())).hexdigest()[:8]
        self._renderer = Renderer(house, self.urls, f"{prefix}/static/", version)
        self._table = table(house.policy)
        self._roots = (house.policy.pages.prefix, *house.policy.pages.aliases)

    def routes(self) -> Iterator[Route]:
        for path, (endpoint, api) in self._table.items():
            shown = path + "{id}" if path.endswith("/") else path
            yield Route(shown, endpoint.methods, endpoint.rule, endpoint, api)

    def twins(self) -> dict[str, tuple[str, ...]]:
        """The paths of each endpoint under its route's name; one that takes an argument ends in `/`."""
        found: dict[str, tuple[str, ...]] = {}
        for path, (endpoint, _) in self._table.items():
            name = f"bylaw.{endpoint.like or endpoint.name}"
            found[name] = (*found.get(name, ()), path)
        return found

    def route(self, method: str, path: str) -> Matched | None:
        """The route of a path that is bylaw's own: a page, its JSON twin and every alias are one."""
        if path in self._static:
            return Matched("bylaw.static", frozenset({"GET", "HEAD"}), static=True)
        found, _ = self._found(path)
        if found is None:
            return None
        endpoint, _ = found
        name = endpoint.like or endpoint.name
        return Matched(f"bylaw.{name}", frozenset(endpoint.methods), rule=endpoint.rule)

    def _found(self, path: str) -> tuple[tuple[Endpoint, bool] | None, str]:
        """The endpoint at a path and the argument after it."""
        found = self._table.get(path)
        if found is not None:
            return found, ""
        base, slash, argument = path.rpartition("/")
        return (self._table.get(base + slash) if argument else None), argument

    def endpoint(self, gate: Gate, exchange: Exchange) -> Deciding | None:
        """What answers the exchange; None where it is not bylaw's to answer."""
        path = exchange.path
        if not path.startswith(self._roots):  # the application's, as most are
            return None
        found, argument = self._found(path)
        if found is None:
            return self._file(exchange) if path in self._static else None
        endpoint, api = found
        if not api and endpoint.do is not None:
            exchange.note("form", True)  # a token is asked for, signed in or not (see csrf)
        return answer(
            gate,
            self._renderer,
            endpoint,
            exchange,
            argument=argument,
            urls=self.urls,
            api=api,
            token_field=self._token_field,
        )

    def refusal(self, exchange: Exchange, refuse: Refuse) -> Response:
        return self._renderer.refusal(exchange, refuse)

    def _file(self, exchange: Exchange) -> Deciding:
        if exchange.method not in ("GET", "HEAD"):
            raise Refused(errors.METHOD, headers=(("Allow", "GET, HEAD"),))
        exchange.static = True
        return _sent(exchange.path, self._static[exchange.path])


_TYPES = {"css": "text/css; charset=utf-8", "js": "text/javascript; charset=utf-8", "svg": "image/svg+xml"}


def _sent(path: str, content: bytes) -> Deciding:
    yield from ()  # decided without asking for anything
    kind = _TYPES[path.rpartition(".")[2]]
    return Answer(Response(200, [("Content-Type", kind), ("Cache-Control", "public, max-age=3600")], content))
