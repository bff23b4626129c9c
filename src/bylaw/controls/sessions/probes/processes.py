"""Attacks by way of another process, and what a known session costs."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any

from bylaw.control import Broken, CouldNotLook, probe
from bylaw.controls import api_keys, jwt, roles, sessions
from bylaw.controls.sessions.probes.common import as_somebody, asking_with, demand_done
from bylaw.exchange import Exchange, PairHeaders
from bylaw.keys import digest
from bylaw.store import sessions as store


@probe("low")
def a_known_session_costs_no_query(lab: Any) -> str:
    """Whoever is known is decided from memory: not one query for a request."""
    person = lab.client()
    lab.whoami(person)
    with lab.queries() as asked:
        for _ in range(10):
            lab.site.house.store.feed.read()
            asked.clear()
            if lab.whoami(person).status != 200:
                raise Broken("a known session was not recognised")
            if asked:
                raise Broken(f"a known session cost {len(asked)} queries: {asked[0][:80]}")
    return "ten requests of a known session, no query"


@probe("critical", "C-32")
def another_process_heeds_the_end(lab: Any) -> str:
    """A session that ends in one process has ended in every other within the bound."""
    bound = lab.policy.store.revocation_bound
    person = lab.client()
    secret = person.cookies[lab.cookie]
    token = person.token()
    other = type(lab.site)(lab.policy.file, world=lab.site.house.ports)
    try:
        if not _identified(other, lab.cookie, secret) or len(other.house.store.memory) != 1:
            raise Broken("another process does not know the session")
        demand_done(
            person.send(
                "POST",
                lab.api("sign_out"),
                json={},
                headers=[*person.from_here, (person.token_header, token)],
            ),
            "signing out",
        )
        ended = time.monotonic()
        while True:
            asked = time.monotonic() - ended
            if not _identified(other, lab.cookie, secret):
                return f"another process, which knew the session, refused it after {asked:.2f} s"
            if asked > bound:
                raise Broken(f"{asked:.1f} s after the sign-out another process still lets it in")
    finally:
        other.close()


@probe("critical", "C-05", "S3-017", "S3-072")
def every_credential_ends_everywhere(lab: Any) -> str:
    """Access tokens and API keys end as sessions do: one that another process holds in memory is refused
    there within the bound, and costs it no query until then."""
    bound, found = lab.policy.store.revocation_bound, _borne(lab)
    if not found:
        raise CouldNotLook("the policy has neither JWT access tokens nor API keys")
    other, said = type(lab.site)(lab.policy.file, world=lab.site.house.ports), []
    try:
        for kind, path, text, end in found:
            header = ("Authorization", f"Bearer {text}")
            if not _knows(other, path, header):
                raise Broken(f"another process refuses {kind} that is good")
            other.house.store.feed.read()  # however slow this machine is just now
            with lab.queries(other) as asked:
                if not _knows(other, path, header) or asked:
                    raise Broken(f"another process does not know {kind} by memory: {asked[:1]}")
            end()
            ended = time.monotonic()
            while (waited := time.monotonic() - ended) >= 0 and _knows(other, path, header):
                if waited > bound:
                    raise Broken(f"{waited:.1f} s after its end {kind} is good in another process")
            said.append(f"{kind} after {waited:.2f} s")
    finally:
        other.close()
    return f"another process refused {', '.join(said)}"


def _borne(lab: Any) -> list[tuple[str, str, str, Callable[[], object]]]:
    """What people and programs bear by the policy: its kind, where it is taken, the text, and how it ends."""
    found: list[tuple[str, str, str, Callable[[], object]]] = []
    if jwt.used(lab.policy):
        path, families = lab.policy.of(jwt.Settings).paths[0], sys.modules["bylaw.operations.token_families"]
        pair = lab.pair(lab.client())
        revoke = families.revoke
        found.append(("an access token", path, pair.access, lambda: revoke(lab.site.house, pair.refresh)))
    settings, grants = lab.policy.of(api_keys.Settings), lab.policy.of(roles.Settings).grants
    role = min((role for role, held in grants.items() if held), default="")
    if settings.paths and not settings.off and role:
        owner = lab.client(role)
        made = lab.key(owner, grants[role][0])
        found.append(("an API key", settings.paths[0], made.text, lambda: lab.revoke_key(owner, made.id)))
    return [(kind, lab.sample(path), text, end) for kind, path, text, end in found]


@probe("high")
def one_that_cannot_follow_asks_the_database(lab: Any) -> str:
    """A process that cannot read the feed trusts its memory no more, and refuses without a database."""
    person = lab.client()
    secret = person.cookies[lab.cookie]
    if not as_somebody(lab, secret):
        raise Broken("a new session is not good")
    kept = lab.site.house.store
    with lab.cut_off():
        with lab.queries() as asked:
            if not as_somebody(lab, secret) or not asked:
                raise Broken("the session was taken from a memory that nobody keeps up to date")
        with lab.unreachable(kept, "engine"):
            reply = asking_with(lab, secret)
            if (reply.status, reply.code) != (503, sessions.UNAVAILABLE.code):
                raise Broken(f"without feed and database: {reply}")
        with kept.transaction() as connection:  # as another process does it
            store.end(connection, digest(secret))
        if as_somebody(lab, secret):
            raise Broken("a session that another process has ended still answers")
    return "asked the database for each request, and refused with 503 without it"


def _identified(site: Any, cookie: str, secret: str) -> bool:
    """Whether another process, asked at its gate, knows who this is."""
    return _knows(site, "/no/such/path-7f3a", ("Cookie", f"{cookie}={secret}"))


def _knows(site: Any, path: str, header: tuple[str, str]) -> bool:
    """The same of whatever a header bears."""
    scheme, _, host = site.policy.app.origin.partition("://")
    headers = PairHeaders([("Host", host), header])
    exchange = Exchange(method="GET", path=path, headers=headers, scheme=scheme)
    for _ in site.gate.deciding(exchange):
        pass  # it may wait here as long as it needs to
    return exchange.identity is not None
