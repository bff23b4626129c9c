"""Attacks on API keys.

Keys are taken on bylaw's own pages while a probe lasts: every application has these, whatever paths the
policy names. Cookies say nothing there meanwhile, so that whatever needs one is done before or after.
"""

from __future__ import annotations

import base64
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from bylaw.control import Broken, CouldNotLook, probe
from bylaw.controls import roles
from bylaw.controls.api_keys import reasons, text
from bylaw.identity import BY_KEY, FORBIDDEN, STEP_UP
from bylaw.reasons import Refused
from bylaw.store import api_keys as rows

HEADER: Final = "X-API-Key"
_PASSWORD: Final = "a word that is nobody's 7 but a probe's"  # noqa: S105 - a probe's own  # nosec B105
_FORM: Final = re.compile(r"bylaw_key_[0-9A-Za-z]{11}_[0-9A-Za-z]{49}")


def _control() -> Any:
    return sys.modules["bylaw.controls.api_keys"]


@contextmanager
def _taken(lab: Any, **changes: Any) -> Iterator[None]:
    """Have keys taken on bylaw's own pages."""
    named = {"paths": (f"{lab.policy.pages.prefix}/*",), "header": HEADER, **changes}
    with lab.under(_control().Settings, **named):
        yield


def _ask(lab: Any, key: str, *, path: str = "", peer: str = "198.51.100.7", scheme: str = "Bearer") -> Any:
    """Ask for something with a key: who it speaks for, unless it is said."""
    field = [("Authorization", f"{scheme} {key}")]
    return lab.visitor(peer=peer).get(path or lab.api("me"), headers=field)


def _good(reply: Any) -> Any:
    if reply.status != 200:
        raise Broken(f"a good key is refused: {reply}")
    return reply


def _refused(reply: Any, reason: Any, what: str) -> None:
    if (reply.status, reply.code) != (reason.status, reason.code):
        raise Broken(f"{what}: {reply}")


def _ordinary(lab: Any) -> Any:
    """Somebody who holds a role, and a permission of it."""
    grants = lab.policy.of(roles.Settings).grants
    for role, patterns in grants.items():
        if patterns and "*" not in patterns:
            return lab.person(role), patterns[0]
    raise CouldNotLook("no role of the policy holds less than everything, and something")


def _root(lab: Any) -> Any:
    """Somebody who may do everything."""
    return lab.administrator()


@probe("critical", "S3-084", "C-40", "S3-038")
def only_a_digest_is_kept(lab: Any) -> str:
    """A key has a prefix that scanners know and 256 random bits; shown once, and its digest alone is kept."""
    person, scope = _ordinary(lab)
    with _taken(lab):
        made = [lab.key(person, scope) for _ in range(2)]
        listed = str(lab.keys_of(person))
        mailed = "".join(message.as_string() for message in lab.mail())
        _good(_ask(lab, made[0].text))
    kept, logged = lab.dump(), lab.logs.text
    for each in made:
        if not _FORM.fullmatch(each.text) or not text.well_formed(each.text):
            raise Broken("the key is short, or no scanner would know it")
        secret = each.text.rpartition("_")[2]
        for where, said in (
            ("database", kept),
            ("list of keys", listed),
            ("mail", mailed),
            ("log", logged),
            ("repr", repr(each)),
        ):
            if secret in said:
                raise Broken(f"the {where} holds the key itself")
    if made[0].text == made[1].text or text.kept(lab.policy.environment, made[0].text) not in kept:
        raise Broken("two keys are one, or the database does not know them by their digest")
    return "two keys of 256 bits behind a prefix; the database knows their digests alone"


@probe("high", "S3-084")
def a_key_comes_in_one_header(lab: Any) -> str:
    """A key counts in its header; in an address, a cookie or twice it is refused, or says nothing."""
    person, scope = _ordinary(lab)
    with _taken(lab):
        key = lab.key(person, scope).text
        field, own = ("Authorization", f"Bearer {key}"), (HEADER, key)
        me, visitor = lab.api("me"), lab.visitor()
        for pairs in ([field], [own]):
            _good(visitor.get(me, headers=pairs))
        _refused(visitor.get(me, headers=[field, own]), reasons.TWICE, "a key in two headers")
        encoded = key.replace("_", "%5F")
        for query in (f"?api_key={key}", f"?access_token={key}", f"?a=b&{encoded}", f"?x={key[:30]}"):
            for pairs in ([], [field]):
                _refused(visitor.get(me + query, headers=pairs), reasons.IN_QUERY, f"a key in {query[:10]}…")
        basic = base64.b64encode(f"key:{key}".encode()).decode()
        for pairs in ([("Cookie", f"{lab.cookie}={key}")], [("Authorization", f"Basic {basic}")]):
            reply = visitor.get(me, headers=pairs)
            if reply.status != 401:
                raise Broken(f"a key in {pairs[0][0]}, otherwise than as a bearer's: {reply}")
    return "taken in Authorization or in the header of the policy; refused in both, and in 4 addresses"


@probe("critical", "S3-084")
def a_key_may_what_scopes_and_owner_may(lab: Any) -> str:
    """A key opens what its scopes say, of what its owner may; a key beyond its owner is not made."""
    root = _root(lab)
    person, scope = _ordinary(lab)
    with _taken(lab):
        users = lab.api("users")
        for held in ((roles.MANAGE_USERS,), ("user:*",), ("*",)):
            _good(_ask(lab, lab.key(root, *held).text, path=users))
        for other in ("laboratory:read", "*:read"):
            reply = _ask(lab, lab.key(root, other).text, path=users)
            _refused(reply, FORBIDDEN, f"a key that holds {other} at a page that asks for more")
        for beyond in ("*", roles.MANAGE_USERS, "laboratory:*"):
            try:
                lab.key(person, scope, beyond)
            except Refused as refused:
                if refused.reason is reasons.SCOPE:
                    continue
            raise Broken(f"somebody who may not is given a key that holds {beyond}")
    return "three scopes that open, two that do not, three that no owner could give"


@probe("critical", "S3-084")
def an_owner_who_may_less_has_keys_that_may_less(lab: Any) -> str:
    """When a role is taken away, or its owner disabled, a key that is in use loses it at once."""
    root, other = _root(lab), _root(lab)
    with _taken(lab):
        key, users = lab.key(root, "*").text, lab.api("users")
        _good(_ask(lab, key, path=users))
    path = lab.api("user").replace("{id}", root.id)
    for change, reason in (
        ({"action": "roles", "role": []}, FORBIDDEN),
        ({"action": "disable"}, reasons.INVALID),
    ):
        reply = other.act("POST", path, json={**change, "reason": "a probe"})
        if reply.status != 200:
            raise CouldNotLook(f"{change['action']} by an administrator: {reply}")
        with _taken(lab):
            _refused(_ask(lab, key, path=users), reason, f"a key after its owner's {change['action']}")
    return "a demoted owner's key was refused the next request, a disabled one's is none"


@probe("critical", "S3-084")
def what_has_ended_opens_nothing(lab: Any) -> str:
    """A revoked, an expired and an invented key are refused alike, though they were good and in use."""
    person, scope = _ordinary(lab)
    with _taken(lab):
        revoked, short = lab.key(person, scope), lab.key(person, scope, lifetime="1h")
        for each in (revoked, short):
            _good(_ask(lab, each.text))
        invented = text.mint(lab.site.house.ports.entropy).text
        lab.revoke_key(person, revoked.id)
        answers = [_answer(_ask(lab, invented)), _answer(_ask(lab, revoked.text))]
        lab.clock.advance(3600)
        answers.append(_answer(_ask(lab, short.text)))
    if any(answer != answers[0] for answer in answers) or answers[0][0] != 401:
        raise Broken(f"invented, revoked and expired are answered {[a[:2] for a in answers]}")
    return "three kinds of keys that are none, one answer"


def _answer(reply: Any) -> tuple[Any, ...]:
    said = {k: v for k, v in reply.json().items() if k != "instance"}
    return reply.status, reply.code, said, reply.header("www-authenticate")


@probe("high", "S3-084")
def a_rotated_key_ends_by_itself(lab: Any) -> str:
    """A successor is good at once; the old key is good until the end of the overlap, and no longer."""
    person, scope = _ordinary(lab)
    with _taken(lab):
        old = lab.key(person, scope)
        _good(_ask(lab, old.text))
        new = lab.rotate_key(person, old.id, "1h")
        for each in (old, new):
            _good(_ask(lab, each.text))
        shown = next(k for k in lab.keys_of(person) if k["id"] == old.id)
        if shown["expires_at"] != lab.clock() + 3600:
            raise Broken("the list does not say when the old key ends")
        lab.clock.advance(3599)
        _good(_ask(lab, old.text))
        lab.clock.advance(1)
        _refused(_ask(lab, old.text), reasons.INVALID, "the old key after the overlap")
        _good(_ask(lab, new.text))
        at_once = lab.rotate_key(person, new.id, 0)
        _refused(_ask(lab, new.text), reasons.INVALID, "a key that was rotated without an overlap")
        _good(_ask(lab, at_once.text))
    return "both were good for the hour of the overlap, then the new one alone"


@probe("high", "S3-084")
def a_key_is_bound_to_its_networks(lab: Any) -> str:
    """A key that was given networks is refused from elsewhere, also once it is known, and it is recorded."""
    person, scope = _ordinary(lab)
    inside, outside = "192.0.2.7", "203.0.113.9"
    with _taken(lab):
        key = lab.key(person, scope, networks=("192.0.2.0/24", "2001:db8:7::/48"))
        _refused(_ask(lab, key.text, peer=outside), reasons.NETWORK, "a key from elsewhere")
        for address in (inside, "2001:db8:7::1", "::ffff:192.0.2.8"):
            _good(_ask(lab, key.text, peer=address))
        _refused(_ask(lab, key.text, peer=outside), reasons.NETWORK, "a known key from elsewhere")
    records = lab.audit(action="api_key_refused", entity_type="api_key", entity_id=key.id)
    if len(records) != 1 or records[0]["ip_address"] != outside:
        raise Broken(f"{len(records)} records of the use from elsewhere")
    return "good from three addresses of its networks; twice refused from elsewhere, recorded once"


@probe("critical", "S3-084", "A190")
def a_key_manages_no_credentials(lab: Any) -> str:
    """With a key nobody changes an account, a credential or a role, whatever it holds; it proves nothing."""
    root = _root(lab)
    tried = []
    with _taken(lab):
        key = lab.key(root, "*").text
        field = [("Authorization", f"Bearer {key}")]
        for route in lab.site.pages.routes():
            if not route.api or "POST" not in route.methods or route.rule.kind == "public":
                continue
            path = route.path.replace("{id}", root.id)
            reply = lab.visitor().send("POST", path, headers=field, json={})
            if (reply.status, reply.code) != (403, BY_KEY.code):
                raise Broken(f"{route.endpoint.name} with a key: {reply}")
            tried.append(route.endpoint.name)
        who = lab.site.house.store.memory.get(text.kept(lab.policy.environment, key))
        if who is not None:
            for proof in ({"max_age": "10m"}, {"max_age": 0, "second_factor": True}):
                try:
                    who.identity.demand_fresh(**proof)
                except Refused as refused:
                    if refused.reason is STEP_UP:
                        continue
                raise Broken(f"a key that was made just now passes for a proof: {proof}")
    return f"{len(tried)} of bylaw's own pages refused the key of somebody who may do everything"


@probe("medium", "S3-084", "C-12")
def a_key_has_a_budget_of_its_own(lab: Any) -> str:
    """A key that has used up its limit is refused; its owner's other keys are not."""
    person, scope = _ordinary(lab)
    if lab.policy.controls["rate_limits"].off:
        raise CouldNotLook("the policy has no rate limits")
    with _taken(lab), lab.paced():
        small, other = (lab.key(person, scope, rate=rate).text for rate in ("3/minute", ""))
        statuses = [_ask(lab, small, peer=f"203.0.113.{n}").status for n in range(1, 6)]
        if statuses != [200, 200, 200, 429, 429]:
            raise Broken(f"with a limit of 3 a minute: {statuses}")
        _good(_ask(lab, other))
    return "three requests from three addresses, then 429; another key of its owner goes on"


@probe("high", "S3-084", "A072")
def what_is_no_key_is_refused_alike(lab: Any) -> str:
    """Whatever is offered and is no good key is refused with 401, on a public route too."""
    person, scope = _ordinary(lab)
    with _taken(lab):
        key = lab.key(person, scope).text
        public = lab.url("sign_in")
        wrong = [
            "null",
            "undefined",
            "0",
            text.PREFIX,
            key[:-1],
            key[:-1] + ("0" if key[-1] != "0" else "1"),
            key.lower(),
            f"{key}=",
            key + key,
            "x" * 5000,
            "' OR 1=1 --",
            "eyJhbGciOiJub25lIn0",
        ]
        answers = {_answer(_ask(lab, each))[:2] for each in wrong}
        for pairs in ([(HEADER, "")], [(HEADER, " ")], [(HEADER, "\xff\xfe")], [("Authorization", "")]):
            answers.add(_answer(lab.visitor().get(lab.api("me"), headers=pairs))[:2])
        if answers != {(401, reasons.INVALID.code)}:
            raise Broken(f"what is no key is answered {sorted(answers)}")
        if lab.visitor().get(public).status != 200:
            raise CouldNotLook("the page for signing in is not open to strangers")
        reply = _ask(lab, wrong[5], path=public)
        _refused(reply, reasons.INVALID, "a bad key on a public route")
        if 'error="invalid_token"' not in reply.header("www-authenticate"):
            raise Broken("the refusal does not say what is wrong (RFC 6750 section 3)")
    return f"{len(wrong) + 4} values that are no key, one answer; on a public page too"


@probe("high", "S3-084")
def a_service_account_signs_in_nowhere(lab: Any) -> str:
    """A service account has no way in but its keys, not even where somebody gives it a password."""
    service = lab.service()
    contact = f"{service.email.partition(':')[2]}@people.test"
    with lab.site.house.store.transaction() as connection:  # as a mistake, or a restored backup, would
        connection.execute(
            _users().update().where(_users().c.id == service.id).values(password_hash=_hash(lab))
        )
    doors = [
        route.path for route in lab.site.pages.routes() if route.api and route.endpoint.name == "sign_in"
    ]
    for email in (service.email, contact, service.email.upper()):
        for door in doors:
            visitor = lab.visitor()
            reply = visitor.send(
                "POST", door, headers=visitor.from_here, json={"email": email, "password": _PASSWORD}
            )
            if reply.status in (200, 303) or lab.cookie in visitor.cookies:
                raise Broken(f"somebody signs in as {email}: {reply}")
    try:
        lab.open_session(service)
    except Refused:
        return "no address of it signs in, and no session is opened by whatever means"
    raise Broken("a session was opened for it")


def _users() -> Any:
    from bylaw.store.tables import users

    return users


def _hash(lab: Any) -> str:
    return str(lab.site.house.scheme.make(_PASSWORD))


@probe("high", "S3-084")
def one_that_cannot_follow_asks_the_database(lab: Any) -> str:
    """A known key costs no query; a process that cannot read the feed asks for each, and refuses without."""
    person, scope = _ordinary(lab)
    store = lab.site.house.store
    with _taken(lab):
        key = lab.key(person, scope)
        _good(_ask(lab, key.text))
        with lab.unreachable(store, "engine"):
            _good(_ask(lab, key.text))  # from memory: there is nothing to ask
        with lab.cut_off():
            with lab.unreachable(store, "engine"):
                _refused(_ask(lab, key.text), reasons.UNAVAILABLE, "without feed and database")
            with store.transaction() as connection:  # as another process does it
                rows.end_at(connection, key.id, lab.clock())
            _refused(_ask(lab, key.text), reasons.INVALID, "a key that another process has ended")
    return "known from memory; asked for when cut off; 503 without a database"


PROBES: Final = (
    only_a_digest_is_kept,
    a_key_comes_in_one_header,
    a_key_may_what_scopes_and_owner_may,
    an_owner_who_may_less_has_keys_that_may_less,
    what_has_ended_opens_nothing,
    a_rotated_key_ends_by_itself,
    a_key_is_bound_to_its_networks,
    a_key_manages_no_credentials,
    a_key_has_a_budget_of_its_own,
    what_is_no_key_is_refused_alike,
    a_service_account_signs_in_nowhere,
    one_that_cannot_follow_asks_the_database,
)
