"""Attacks with tokens whose owner has changed, and what one that is known costs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from bylaw.control import Broken, CouldNotLook, probe
from bylaw.controls.jwt import reasons
from bylaw.controls.jwt.probes.common import ask, bearing, demand_good, post, refresh, refused


@probe("critical", "C-05", "S3-017", "S3-072", "A059", "A061")
def standing_ends_it_at_once(lab: Any) -> str:
    """Disabling, signing out everywhere, revoking and a lost role end access and refresh tokens together."""
    with bearing(lab):
        ways: dict[str, Callable[[Any, Any], Any]] = {
            "disabling the account": lambda person, pair: lab.disable(person),
            "signing out everywhere": lambda person, pair: _everywhere(lab, person),
            "revoking the refresh token": lambda person, pair: post(lab, "token_revoke", token=pair.refresh),
            "revoking the access token": lambda person, pair: post(lab, "token_revoke", token=pair.access),
            "deleting the account": lambda person, pair: _deleted(lab, person),
        }
        for what, way in ways.items():
            person = lab.client()
            pair = lab.pair(person)
            for _ in range(2):  # also where memory knows it
                demand_good(lab, "a good token", pair.access, person)
            way(person, pair)
            refused(lab, f"after {what} the access token", pair.access)
            reply, unknown = refresh(lab, pair.refresh), refresh(lab, "bylaw_rt_of-nobody")
            if reply.status != 401 or (reply.status, reply.code) != (unknown.status, unknown.code):
                raise Broken(f"after {what} the refresh token: {reply}, an unknown one: {unknown}")
        reply = post(lab, "token_revoke", token="nothing")  # noqa: S106 - no token  # nosec B106  # (the same)
        if reply.status != 200:
            raise Broken(f"revoking what is none tells so: {reply}")
    return f"{', '.join(ways)}: both tokens refused at the next request"


def _everywhere(lab: Any, person: Any) -> None:
    reply = person.act("POST", lab.api("sessions"), json={"session": "everywhere"})
    if reply.status != 200:
        raise CouldNotLook(f"signing out everywhere: {reply}")


def _deleted(lab: Any, person: Any) -> None:
    """As a database does it that forgets a person: what belongs to him goes along."""
    from bylaw.store import feed
    from bylaw.store.tables import users

    house = lab.site.house
    with house.store.transaction() as connection:
        connection.execute(users.delete().where(users.c.id == person.id))
        feed.revoke(connection, house.now(), person.id)
    house.store.memory.forget(person.id)


@probe("high", "C-05")
def a_known_token_costs_no_query(lab: Any) -> str:
    """A token seen before is known from memory; a process that may not trust it asks, or refuses with 503."""
    store = lab.site.house.store
    with bearing(lab):
        person = lab.person()
        pair, other = lab.pair(person), lab.pair(person)
        store.feed.read()  # what was revoked while the person was made is heeded now, not in between
        with lab.queries() as asked:
            demand_good(lab, "a good token", pair.access, person)
            first = len(asked)
            for _ in range(3):
                demand_good(lab, "a known token", pair.access, person)
            if len(asked) > first:
                raise Broken(f"a known token costs {(len(asked) - first) / 3:g} queries")
        if not first:
            raise Broken("nobody asked the database whether the token stands")
        with lab.cut_off():
            with lab.queries() as asked:
                demand_good(lab, "cut off from the feed, with a database, a good token", pair.access, person)
            if not asked:
                raise Broken("a token was taken from a memory that nobody keeps up to date")
            with lab.unreachable(store, "engine"):
                for token in (pair.access, other.access):
                    reply = ask(lab, token)
                    if (reply.status, reply.code) != (503, reasons.UNAVAILABLE.code):
                        raise Broken(f"without feed and database: {reply}")
    return f"{first} queries at first sight, none after it; cut off it asked, and refused with 503"
