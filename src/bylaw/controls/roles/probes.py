"""Attacks on the running application by way of roles and routes."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, Final

from bylaw.control import Broken, CouldNotLook, probe
from bylaw.controls import roles
from bylaw.identity import ACTING, FORBIDDEN, UNAUTHENTICATED
from bylaw.store import assignments, users

_PLACEHOLDER: Final = re.compile(r"<(?:(\w+)(?:\([^)]*\))?:)?\w+>|\{\w+(?::(\w+))?\}")
_SAMPLES: Final = {"float": "999999.5", "uuid": "00000000-0000-4000-8000-000000000000"}
_READING: Final = ("GET", "HEAD", "OPTIONS")


def _refusals(lab: Any, who: Callable[[], Any], *kinds: str) -> list[tuple[str, Any]]:
    """What the routes of these kinds answer to a script of this site; a path that matches none, for
    a converter of the application's own, is left out. Raises CouldNotLook where none is left."""
    replies = []
    for method, pattern, rule in lab.routes():
        if rule.kind in kinds and method not in ("WEBSOCKET", "TRACE"):
            path = _PLACEHOLDER.sub(lambda m: _SAMPLES.get(m[1] or m[2] or "", "999999"), pattern)
            client = who()
            reply = client.send(method, path) if method in _READING else client.act(method, path, json={})
            if client.id and lab.borne(path) and not client.bearing.covers(path):
                if reply.status not in (401, 404):
                    raise Broken(f"{method} {pattern}, where a session says nothing: {reply}")
            elif reply.status != 404:
                replies.append((f"{method} {pattern}", reply))
    if not replies:
        raise CouldNotLook("the application has no such route")
    return replies


def _bearing(lab: Any, client: Any) -> Any:
    """The client, with an access token of its own where the policy has some."""
    return lab.bear(client) if sys.modules["bylaw.controls.jwt"].used(lab.policy) else client


@contextmanager
def granting(lab: Any, **granted: tuple[str, ...]) -> Iterator[None]:
    """The laboratory's policy with further roles, for as long as the block lasts."""
    house = lab.site.house
    policy = house.policy
    more = roles.Settings.model_validate({**policy.of(roles.Settings).grants, **granted})
    house.policy = replace(policy, controls={**policy.controls, "roles": more})
    try:
        yield
    finally:
        house.policy = policy


def _held(lab: Any, who: Any) -> frozenset[str]:
    """The roles of an account, none where it is disabled."""
    with lab.site.house.store.reading() as connection:
        user = users.by_id(connection, who.id)
    return frozenset() if user is None or user.disabled_at is not None else user.roles


def _change(lab: Any, by: Any, who: Any, action: str, *granted: str) -> Any:
    """Change an account over HTTP, as an administrator does."""
    path = lab.api("user").replace("{id}", who.id)
    return by.act("POST", path, json={"action": action, "role": list(granted), "reason": "an attack"})


@probe("critical", "S1-030", "S1-032", "C-37")
def nobody_is_let_in(lab: Any) -> str:
    """Whoever is not signed in gets 401 and a challenge on every route that is not public."""
    replies = _refusals(lab, lab.visitor, "signed_in", "permission")
    for route, reply in replies:
        if reply.status != 401 or (reply.body and reply.code != UNAUTHENTICATED.code):
            raise Broken(f"{route}: {reply}")
        if not reply.header("www-authenticate"):
            raise Broken(f"{route}: 401 without WWW-Authenticate")
    page = lab.visitor().page(lab.url("users"))
    if page.status != 303 or not page.header("location").startswith(lab.url("sign_in")):
        raise Broken(f"a browser is not sent to the sign-in page: {page}")
    return f"{len(replies)} routes answer 401, each with {reply.header('www-authenticate')}"


@probe("medium", "S1-032", "C-37")
def every_401_bears_a_challenge(lab: Any) -> str:
    """A 401 says how to sign in, also where the application itself answers it."""
    with lab.answering(401, body=b"who?"):
        reply = lab.visitor().get("/")
    wrong = lab.sign_in(lab.person(), "not the password, but long")
    for what, answer in (("the application's own", reply), ("a failed sign-in's", wrong)):
        if answer.status != 401 or not answer.header("www-authenticate"):
            raise Broken(f"{what} 401 has no WWW-Authenticate")
    return f"{reply.header('www-authenticate')} on the application's own 401 and a failed sign-in's"


@probe("critical", "S1-031", "S1-033", "S3-067")
def without_permission_nothing(lab: Any) -> str:
    """Somebody without the permission gets 403 on every route that asks for one, and a record."""
    client = _bearing(lab, lab.client())
    replies = _refusals(lab, lambda: client, "permission")
    for route, reply in replies:
        if reply.status != 403 or (reply.body and reply.code != FORBIDDEN.code):
            raise Broken(f"{route}: {reply}")
    records = lab.audit(action="authz_fail", user_id=client.id, limit=1000)
    if len(records) != len(replies):
        raise Broken(f"{len(replies)} refusals left {len(records)} records")
    return f"{len(replies)} routes answer 403, {len(records)} records"


@probe("critical", "S1-031", "C-08")
def a_request_brings_no_role(lab: Any) -> str:
    """What a request says about its own role is not heard."""
    admin = sorted(roles.managing(lab.policy))
    client, path = lab.client(), lab.api("users")
    said = [
        ("X-Role", admin[0]),
        ("X-User-Role", admin[0]),
        ("Remote-User", admin[0]),
        ("X-Remote-User", "root"),
        ("X-Forwarded-User", "root"),
        ("Role", admin[0]),
    ]
    jar = "; ".join(f"{k}={v}" for k, v in {**client.cookies, "role": admin[0]}.items())
    for what, reply in {
        "headers": client.get(path, headers=said),
        "a cookie": client.get(path, headers=[("Cookie", jar)]),
        "the query": client.get(f"{path}?role={admin[0]}&is_admin=true"),
        "another method's name": client.get(path, headers=[("X-HTTP-Method-Override", "HEAD")]),
    }.items():
        if reply.status != 403:
            raise Broken(f"a role in {what}: {reply}")
    unknown = _change(lab, lab.administrator(), client, "roles", "no-such-role")
    if unknown.status != 422 or _held(lab, client):
        raise Broken(f"a role that the policy does not have was given: {unknown}")
    return "403 for a role in headers, cookie and query; a role that the policy lacks is not given"


@probe("critical", "S1-031", "A092")
def a_change_holds_at_once(lab: Any) -> str:
    """Whoever loses a role loses what it allowed with his next request, in a session he had before."""
    boss, path = lab.administrator(), lab.api("users")
    admin = lab.administrator()
    if admin.get(path).status != 200:
        raise CouldNotLook("an administrator may not list the users")
    if _change(lab, boss, admin, "roles").status != 200:
        raise CouldNotLook("roles could not be taken away")
    after = admin.get(path)
    if after.status != 403:
        raise Broken(f"the next request of somebody who lost his roles: {after}")
    again = _change(lab, boss, admin, "roles", min(_held(lab, boss)))
    if again.status != 200 or admin.get(path).status != 200:
        raise Broken("a role that was given does not hold at the next request")
    return "403 with the next request, and 200 with the one after the role was given back"


@probe("high", "A092")
def the_last_administrator_stays(lab: Any) -> str:
    """The last one who may manage users can be neither demoted nor disabled, not even by two at once."""
    house = lab.site.house
    two = [lab.administrator(), lab.administrator()]
    with house.store.transaction() as connection:
        for role in roles.managing(lab.policy):
            for user_id in assignments.with_role(connection, role):
                if user_id not in {who.id for who in two}:
                    users.change(connection, user_id, disabled_at=house.now())
    paths = [lab.api("user").replace("{id}", who.id) for who in two]
    headers = [[*who.from_here, (who.token_header, who.token())] for who in two]
    actions = ({"action": "roles", "role": []}, {"action": "disable", "reason": "an attack"})
    # Each takes the other's rights away at the same moment.
    replies = lab.burst(lambda n: two[n].send("POST", paths[1 - n], headers=headers[n], json=actions[n]), 2)
    left = [who for who in two if _held(lab, who)]
    if len(left) != 1:
        raise Broken(f"two at once left {len(left)} administrators: {[str(r) for r in replies]}")
    for action in ("roles", "disable"):
        reply = _change(lab, left[0], left[0], action)
        if reply.code != roles.LAST_ADMIN.code or not _held(lab, left[0]):
            raise Broken(f"the last administrator, {action}: {reply}")
    return f"two at once: {' and '.join(str(r) for r in replies)}; the last one: {reply}"


@probe("critical", "A089")
def nobody_rises_by_himself(lab: Any) -> str:
    """Whoever may manage users gives no role that allows more than his own."""
    with granting(lab, laboratory=(roles.MANAGE_USERS,)):
        clerk, boss, other = lab.client("laboratory"), lab.administrator(), lab.client()
        if clerk.get(lab.api("users")).status != 200:
            raise CouldNotLook("the permission alone does not open the users")
        top = min(_held(lab, boss))
        made = clerk.act(
            "POST",
            lab.api("users"),
            json={
                "email": f"{other.id[:8]}-2@people.test",
                "name": "",
                "role": [top],
            },
        )
        for what, reply in {
            "himself": _change(lab, clerk, clerk, "roles", top),
            "somebody else": _change(lab, clerk, other, "roles", top),
            "a new account": made,
            "taking an administrator's": _change(lab, clerk, boss, "roles"),
            "disabling an administrator": _change(lab, clerk, boss, "disable"),
            "a new password for an administrator": _change(lab, clerk, boss, "require_password"),
            "removing an administrator's factors": _change(lab, clerk, boss, "reset_factors"),
            "a link for an administrator": _change(lab, clerk, boss, "send_link"),
            "ending an administrator's sessions": _change(lab, clerk, boss, "end_sessions"),
            "unlocking an administrator": _change(lab, clerk, boss, "unlock"),
        }.items():
            if reply.status != 403:
                raise Broken(f"{what}: {reply}")
        if top in _held(lab, clerk) | _held(lab, other) or not _held(lab, boss):
            raise Broken("a role was given or taken by somebody who does not hold it")
        if _change(lab, clerk, other, "roles", "laboratory").status != 200:
            raise Broken("a role that he holds himself cannot be given")
    return "403 for whatever he does to somebody who holds more; his own role he may give"


@probe("critical", "S1-031", "A092")
def a_role_ends_by_itself(lab: Any) -> str:
    """A role that was given until a moment is gone at that moment, in a session that is known; whoever holds
    it makes nobody its holder for longer."""
    boss, temp, path = lab.administrator(), lab.client(), lab.api("users")
    top = min(_held(lab, boss))
    soon = lab.clock() + 60
    given = _give(lab, boss, temp, top, until=soon)
    if given.status != 200 or temp.get(path).status != 200:
        raise CouldNotLook(f"a role could not be given for a minute: {given}")
    lab.open_session(temp)
    for whose, until in ((temp, None), (temp, soon + 1), (lab.client(), None)):
        reply = _give(lab, temp, whose, top, until=until)
        if reply.status != 403:
            raise Broken(f"whoever holds a role for a minute gives it for longer: {reply}")
    lab.site.house.store.feed.read()  # what is remembered from here on, no notice of before drops any more
    lab.clock.advance(59)
    if temp.get(path).status != 200:
        raise Broken("a role ended before its time")
    lab.clock.advance(1)
    after = temp.get(path)
    if after.status != 403:
        raise Broken(f"a role that has expired still opens: {after}")
    return "200 a second before, 403 at the moment; nobody could make it longer for himself"


@probe("critical", "S1-031", "S1-033")
def a_role_for_one_object_opens_no_more(lab: Any) -> str:
    """A role that was given for one object opens no route that is not about that object."""
    boss, somebody = lab.administrator(), lab.client()
    given = _give(lab, boss, somebody, min(_held(lab, boss)), within="laboratory:1")
    if given.status != 200:
        raise CouldNotLook(f"a role could not be given for an object: {given}")
    _bearing(lab, somebody)
    replies = _refusals(lab, lambda: somebody, "permission")
    for route, reply in replies:
        if reply.status != 403:
            raise Broken(f"{route}: {reply}")
    return f"{len(replies)} routes answer 403 to somebody who may do everything with one object"


def _give(lab: Any, by: Any, who: Any, role: str, *, within: str = "", until: float | None = None) -> Any:
    """Give a role over HTTP, as an administrator does."""
    ends = "" if until is None else datetime.fromtimestamp(until, UTC).isoformat()
    told = {"action": "grant", "role": role, "within": within, "until": ends, "reason": "an attack"}
    return by.act("POST", lab.api("user_roles").replace("{id}", who.id), json=told)


@probe("critical", "S1-031", "A089")
def nobody_becomes_another(lab: Any) -> str:
    """Whoever acts as somebody else does it by the policy's word, as nobody who manages users, under both
    names, and changes nothing of the account."""
    path = lab.api("act_as")

    def act(by: Any, whom: Any) -> Any:
        return by.act("POST", path.replace("{id}", whom.id), json={"reason": "an attack"})

    settings = type(lab.policy.controls["sessions"])
    with lab.under(settings, impersonation=False):
        boss, person = lab.administrator(), lab.client()
        off = act(boss, person)
        if off.code != roles.NO_IMPERSONATION.code or lab.whoami(boss).json()["id"] != boss.id:
            raise Broken(f"without the policy's word: {off}")
    with lab.under(settings, impersonation=True), granting(lab, laboratory=(roles.MANAGE_USERS,)):
        second, clerk = lab.administrator(), lab.client("laboratory")
        for what, reply in {
            "another administrator": act(boss, second),
            "himself": act(boss, boss),
            "without the permission": act(clerk, person),
        }.items():
            if reply.status == 200:
                raise Broken(f"{what}: {reply}")
        if act(boss, person).status != 200:
            raise CouldNotLook("an administrator may not act as somebody without a role")
        if lab.whoami(boss).json()["id"] != person.id:
            raise Broken("whoever acts as somebody is somebody else")
        for name in sorted({"change_password", "sessions", "factors"} & set(lab.site.pages.urls)):
            reply = boss.act("POST", lab.api(name), json={})
            if reply.code != ACTING.code:
                raise Broken(f"{name}, acting: {reply}")
        boss.get(lab.api("users"))
        [row, *_] = lab.audit(action="authz_fail", user_id=person.id) or [{"acting": None}]
        if row["acting"] is None:
            raise Broken("a record does not say who acted")
        if not [mail for mail in lab.mail() if mail["To"] == person.email]:
            raise Broken("the person was not told")
        if _change(lab, second, boss, "disable").status != 200 or lab.whoami(boss).status != 401:
            raise Broken("an administrator who was disabled goes on as somebody else")
    return f"{off} by default; then by permission, under both names, told by mail, until he is shut out"


@probe("critical", "S1-030", "A094")
def an_undeclared_answer_is_withheld(lab: Any) -> str:
    """What answers without that anybody asked its access rule does not leave."""
    canary = b"canary of a route that nobody declared"
    with lab.answering(200, body=canary):
        inner = lab.gated.application

        def undeclared(request: Any, *rest: Any) -> Any:
            """The same answer; what it says about its permission goes to a stand-in."""
            return inner({**request, "bylaw.exchange": SimpleNamespace()}, *rest)

        with lab.instead(undeclared):
            replies = [client.get("/late") for client in (lab.visitor(), lab.administrator())]
    for reply in replies:
        if reply.code != roles.UNDECLARED.code or canary in reply.body:
            raise Broken(f"{reply}: {reply.text[:80]}")
    return f"{replies[0]}, for an administrator too"


@probe("high", "A097")
def the_listing_keeps_secrets(lab: Any) -> str:
    """The list of users shows no secret column, and cannot be searched or sorted by one."""
    admin, person = lab.administrator(), lab.person()
    path = lab.api("users")
    shown = admin.get(f"{path}?search={person.email}").json()
    known = {
        "id",
        "email",
        "name",
        "roles",
        "scoped_roles",
        "created_at",
        "disabled",
        "confirmed",
        "invited",
        "renew_password",
        "service",
        "contact",
    }
    if [set(user) for user in shown["users"]] != [known]:
        raise Broken(f"the list shows {sorted(set().union(*shown['users']) - known)}")
    for query in (
        "order_by=password_hash",
        "sort=-epoch",
        "password_hash__startswith=$a",
        "fields=*",
        "where=1=1",
        "search[password_hash]=$",
        "limit=100000",
    ):
        reply = admin.get(f"{path}?{query}")
        if reply.status not in (400, 422):
            raise Broken(f"?{query}: {reply}")
    for search in ("$argon2", "pbkdf2:", "%", "_", "\\"):
        found = admin.get(path + "?search=" + search.replace("%", "%25")).json()["users"]
        if found:
            raise Broken(f"a search for {search!r} finds {len(found)} accounts")
    return "only what is listed is shown; other parameters are refused, wildcards are letters"


PROBES: Final = (
    nobody_is_let_in,
    every_401_bears_a_challenge,
    without_permission_nothing,
    a_request_brings_no_role,
    a_change_holds_at_once,
    the_last_administrator_stays,
    nobody_rises_by_himself,
    a_role_ends_by_itself,
    a_role_for_one_object_opens_no_more,
    nobody_becomes_another,
    an_undeclared_answer_is_withheld,
    the_listing_keeps_secrets,
)
