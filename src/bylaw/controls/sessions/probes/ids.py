"""Attacks on the ids of sessions: what they are, and when a session gets another one."""

from __future__ import annotations

import secrets
from typing import Any

from bylaw.control import Broken, CouldNotLook, probe
from bylaw.controls import sessions
from bylaw.controls.sessions.probes.common import (
    MANY,
    administer,
    as_somebody,
    asking_with,
    demand_done,
    go_on,
)
from bylaw.keys import digest
from bylaw.reasons import Refused
from bylaw.store import sessions as store


@probe("high", "S1-003", "C-40")
def only_a_digest_is_kept(lab: Any) -> str:
    """The cookie is 256 random bits, and nothing in the database could be sent in its place."""
    person = lab.person()
    given = []
    for _ in range(2):
        if lab.sign_in(person, person.password).status != 200:
            raise CouldNotLook("nobody can sign in")
        given.append(person.cookies.pop(lab.cookie))
    if given[0] == given[1] or min(map(len, given)) < 43 or person.email in given[0]:
        raise Broken("the cookie is short, the same twice or made of what is known")
    kept = lab.dump()
    if any(secret in kept for secret in (*given, *filter(None, (person.password, person.access_token)))):
        raise Broken("the database holds the cookie itself, or what it was given for")
    if digest(given[0]) not in kept:
        raise Broken("the database does not know the session")
    return "two sessions, two secrets of 43 characters; the database knows their digests alone"


@probe("high", "S1-003", "C-32")
def an_id_is_given_and_never_taken(lab: Any) -> str:
    """A value from before signing in is not adopted, and signing in again replaces the session."""
    invented = secrets.token_urlsafe(32)
    for value in (
        invented,
        "1",
        "eyJ1c2VyX2lkIjoxLCJyb2xlIjoiYWRtaW4ifQ==",
        "gASVDwAAAAAAAACMBWFkbWlulC4=",
        "\xff" * 43,
        "' OR 1=1 --" + "x" * 32,
    ):
        if as_somebody(lab, value):
            raise Broken(f"an invented value was taken for a session: {value!r}")
    person = lab.person()
    person.cookies[lab.cookie] = invented
    reply = lab.sign_in(person)
    first = person.cookies.get(lab.cookie)
    if reply.status != 200 or first in (None, invented) or as_somebody(lab, invented):
        raise Broken(f"signing in with an invented value: {reply}, and no new id")
    person.act("POST", lab.api(lab.door), json=lab.shown(person))
    if person.cookies.get(lab.cookie) == first or as_somebody(lab, first):
        raise Broken("signing in once more left the first session alive")
    return "six invented values, none adopted; a second sign-in replaced the first"


@probe("high", "C-32")
def a_change_of_roles_gives_a_new_id(lab: Any) -> str:
    """New roles hold at the next request, under a new id; the old one ends, with a sign-out at once."""
    if not lab.roles:
        raise CouldNotLook("the policy has no roles")
    for signs_out in (False, True):
        person = lab.client()
        old = person.cookies[lab.cookie]
        if not as_somebody(lab, old):
            raise Broken("a new session is not good")
        administer(lab, person, {"action": "roles", "role": [lab.roles[0]]})
        who = lab.whoami(person)
        if who.status != 200 or who.json()["roles"] != [lab.roles[0]]:
            raise Broken(f"the next request did not have the new role: {who.text}")
        if person.cookies[lab.cookie] == old:
            raise Broken("the session kept its id")
        if not as_somebody(lab, old):
            raise Broken("a request on its way with the old id was refused")
        if signs_out:
            demand_done(person.act("POST", lab.api("sign_out"), json={}), "signing out")
        else:
            lab.clock.advance(sessions.GRACE)
        if as_somebody(lab, old):
            raise Broken(f"the old id outlives {'the sign-out' if signs_out else 'its grace'}")
    return f"a new id at the next request; the old one is gone after {sessions.GRACE} s or a sign-out"


@probe("medium", "C-32")
def unknown_ids_leave_nothing_behind(lab: Any) -> str:
    """Requests with invented, empty and no ids take no place in the store."""
    before, remembered = _count(lab), len(lab.site.house.store.memory)
    visitor = lab.visitor()
    for value in (*(secrets.token_urlsafe(32) for _ in range(40)), "", "x" * 9000):
        if asking_with(lab, value).status != 401:
            raise Broken(f"an invented id was answered: {value[:50]!r}")
    for _ in range(5):
        visitor.send("POST", lab.api("sign_out"), headers=visitor.from_here, json={})
    after, kept = _count(lab), len(lab.site.house.store.memory)
    if after > before or kept > remembered:  # fewer is what the chores do meanwhile
        raise Broken(f"from {before} to {after} sessions, and from {remembered} to {kept} in memory")
    return "42 unknown ids and five sign-outs of nobody: the store is as it was"


@probe("high", "S1-003", "C-32")
def each_proof_gives_a_new_id(lab: Any) -> str:
    """Of many proofs at once one goes on, under a new id; a sign-out among them ends whatever went on."""
    for signs_out in (False, True):
        person = lab.person()
        secret = lab.open_session(person, assurance=1)
        token = [*person.from_here, (person.token_header, person.token())]

        def prove(
            number: int,
            person: Any = person,
            secret: str = secret,
            token: Any = token,
            signs_out: bool = signs_out,
        ) -> Any:
            if signs_out and number == MANY // 2:
                return person.send("POST", lab.api("sign_out"), headers=token, json={}, keep=False)
            try:
                return go_on(lab, digest(secret), method="proof", assurance=2)
            except Refused:
                return None

        opened = [each for each in lab.burst(prove, MANY) if isinstance(each, sessions.Opened)]
        if len(opened) > 1 or not (opened or signs_out):
            raise Broken(f"{len(opened)} of {MANY} proofs went on with one session")
        if as_somebody(lab, secret):
            raise Broken("the id from before the proof still opens something")
        alive = [each for each in opened if as_somebody(lab, each.secret)]
        if signs_out and alive:
            raise Broken("a proof that was under way has brought the session back after the sign-out")
        if not signs_out and not alive:
            raise Broken("the new id opens nothing")
    return f"{MANY} proofs at once: one new id, the old one dead; with a sign-out among them none"


def _count(lab: Any) -> int:
    with lab.site.house.store.reading() as connection:
        return store.count(connection)
