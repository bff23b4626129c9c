"""Attacks with refresh tokens: used twice, by many at once, for ever."""

from __future__ import annotations

from typing import Any, Final

from bylaw.control import Broken, probe
from bylaw.controls import jwt
from bylaw.controls.jwt.probes.common import bearing, demand_good, refresh, refused

MANY: Final = 12
"""Clients that use one refresh token at the same moment."""


@probe("critical", "S3-013", "A057")
def a_refresh_token_is_good_once(lab: Any) -> str:
    """Each use gives the next one; a second use ends everything of that sign-in, is recorded and told."""
    with bearing(lab):
        person, settings = lab.person(), lab.policy.of(jwt.Settings)
        first = lab.pair(person)
        reply = refresh(lab, first.refresh)
        if reply.status != 200:
            raise Broken(f"a good refresh token: {reply}")
        second = reply.json()
        if second["refresh_token"] == first.refresh:
            raise Broken("a refresh token is given out twice")
        other = lab.pair(person)
        demand_good(lab, "the next access token", second["access_token"], person)
        if refresh(lab, first.refresh).status != 401:
            raise Broken("a refresh token was used twice")
        refused(lab, "after a second use the newest access token", second["access_token"])
        if refresh(lab, second["refresh_token"]).status != 401:
            raise Broken("after a second use the newest refresh token goes on")
        demand_good(lab, "another client's token", other.access, person)
        records = lab.audit(action="authn_token_reuse", entity_id=first.family)
        if [set(row["changes"]) for row in records] != [{"first_use", "again_at"}]:
            raise Broken(f"{len(records)} records of the second use, or not of both")
        if not [m for m in lab.mail() if m["To"] == person.email and "signed out" in m["Subject"]]:
            raise Broken("the account's owner is not told")
        idle = lab.pair(person)
        lab.clock.advance(settings.refresh_idle)
        if refresh(lab, idle.refresh).status != 401:
            raise Broken("a refresh token waits for longer than it may")
        _absolute(lab, person, settings)
    return "rotated at each use; the second use ended the family alone, was recorded and mailed; limits held"


def _absolute(lab: Any, person: Any, settings: Any) -> None:
    """However often it is refreshed, it ends."""
    secret, ends = lab.pair(person).refresh, lab.clock() + settings.refresh_absolute
    while lab.clock() < ends:
        reply = refresh(lab, secret)
        if reply.status != 200:
            raise Broken(f"before its end a family is not refreshed: {reply}")
        secret = reply.json()["refresh_token"]
        lab.clock.advance(min(settings.refresh_idle - 1, ends - lab.clock()))
    if refresh(lab, secret).status != 401:
        raise Broken("a family lives for longer than it may")


@probe("critical", "S3-013", "A057")
def at_once_one_refreshes(lab: Any) -> str:
    """Of many who use one refresh token at the same moment one gets the next, and that ends with the rest."""
    with bearing(lab):
        person = lab.person()
        pair = lab.pair(person)
        replies = lab.burst(lambda number: refresh(lab, pair.refresh), MANY)
        won = [reply for reply in replies if reply.status == 200]
        if len(won) != 1 or {reply.status for reply in replies} != {200, 401}:
            raise Broken(f"{len(won)} of {MANY} got a token")
        refused(lab, "after a second use what the first has got", won[0].json()["access_token"])
    return f"{MANY} at once: 1 pair, and the family ended"
