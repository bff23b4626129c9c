"""Attacks on access tokens: used after their end, taken from where none may be, given to whoever may not."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from pydantic import SecretStr

from bylaw.control import Broken, CouldNotLook, probe
from bylaw.controls import roles
from bylaw.controls.tokens import form
from bylaw.store.tables import access_tokens

_PUBLISHED: Final = (
    "ADMIN123",
    "admin",
    "your_admin_token_here",
    "changeme" * 4,
    "0123456789abcdefghijklmnop",
)
"""Tokens that stand in somebody's documentation, or that somebody guesses (S2-079)."""
_BUDGET: Final = ("ratelimit", "x-request-id", "content-security-policy", "date")
_HERE: Final = re.compile(rb"[0-9a-f]{8,}|\"instance\": ?\"[^\"]*\"")


def _control() -> Any:
    return sys.modules["bylaw.controls.tokens"]


def _verbs(name: str) -> Any:
    return sys.modules[f"bylaw.operations.{name}"]


@contextmanager
def _on(lab: Any, **changes: Any) -> Iterator[None]:
    """Have people sign in with tokens, whether the policy does or not."""
    with lab.under(_control().Settings, off=False, sign_in=True, **changes):
        yield


def _signed_in(lab: Any, token: str) -> Any:
    browser = lab.visitor()
    reply = lab.sign_in_with(browser, token)
    if reply.status != 200:
        raise CouldNotLook(f"nobody signs in with a good token: {reply}")
    if reply.json().get("owes"):
        raise CouldNotLook("the policy asks for more than a token")
    return browser


def _refused(reply: Any, what: str) -> None:
    if reply.status != 401 or reply.code != "tokens.wrong":
        raise Broken(f"{what}: {reply}")


@probe("critical", "S2-004", "S2-008", "S2-009", "S2-011", "S2-065", "S2-067", "C-06")
def it_opens_a_session_and_is_not_in_its_cookie(lab: Any) -> str:
    """A token opens a session that ends as any other; its cookie is HttpOnly, Secure and not it."""
    from bylaw.controls.sessions import Settings as Sessions

    with _on(lab):
        person = lab.person()
        token = lab.token(person).secret
        browser = _signed_in(lab, token)
        cookie = browser.cookies[lab.cookie]
        if cookie in token or token in cookie or form.grouped(token) in cookie:
            raise Broken("the cookie holds the token")
        sent = lab.sign_in_with(lab.visitor(), token).all("set-cookie")
        fields = [field.lower() for field in sent if lab.cookie in field]
        wanted = ["httponly", *(["secure"] if lab.policy.app.secure else [])]
        if not fields or not all(word in fields[-1] for word in wanted):
            raise Broken(f"the session's cookie: {fields}")
        until = max(each["expires_at"] for each in browser.get(lab.api("sessions")).json()["sessions"])
        longest = lab.policy.of(Sessions).absolute
        if until - lab.clock() > longest:
            raise Broken(f"the session lives for {until - lab.clock():.0f} s, not {longest}")
    return f"a session of {longest} s at most, with a cookie of its own"


@probe("critical", "S2-046", "S2-068", "C-06")
def revoked_it_is_refused_and_its_sessions_end(lab: Any) -> str:
    """A revoked token is refused at once, and every session that it opened has ended; another's go on."""
    with _on(lab):
        person = lab.person()
        old, other = lab.token(person), lab.token(person)
        opened = [_signed_in(lab, old.secret) for _ in range(2)]
        neighbour = _signed_in(lab, other.secret)
        reply = neighbour.act("POST", lab.api("tokens"), json={"action": "revoke", "token": old.id})
        if reply.status != 200:
            raise CouldNotLook(f"revoking it: {reply}")
        _refused(lab.sign_in_with(lab.visitor(), old.secret), "a revoked token")
        if any(lab.whoami(browser).status != 401 for browser in opened):
            raise Broken("a session of a revoked token is still good")
        if lab.whoami(neighbour).status != 200:
            raise Broken("a session of another token has ended as well")
    return "the token and two sessions ended; another token's session did not"


@probe("critical", "S2-045", "S2-046", "S2-049")
def replaced_it_is_refused_at_once(lab: Any) -> str:
    """Whoever replaces a token stays signed in with the new one; the old one and its other sessions end."""
    with _on(lab):
        person = lab.person()
        old = lab.token(person)
        here, elsewhere = _signed_in(lab, old.secret), _signed_in(lab, old.secret)
        reply = here.act("POST", lab.api("tokens"), json={"action": "replace", "token": old.id})
        if reply.status != 201:
            raise CouldNotLook(f"replacing it: {reply}")
        _refused(lab.sign_in_with(lab.visitor(), old.secret), "a token that was replaced")
        if lab.whoami(elsewhere).status != 401:
            raise Broken("a session of the old token is still good")
        if lab.whoami(here).status != 200 or lab.whoami(_signed_in(lab, reply.json()["token"])).status != 200:
            raise Broken("the new token, or the session in which it was made, is not good")
    return "the new token signs in; the old one, and its session elsewhere, do not"


@probe("high", "S2-038", "C-06")
def it_expires_and_so_does_its_session(lab: Any) -> str:
    """A token is refused after its last second, and a session that it opened does not outlive it."""
    with _on(lab):
        person = lab.person()
        token = lab.token(person, lifetime=3600).secret
        lab.clock.advance(3540)
        browser = _signed_in(lab, token)
        lab.clock.advance(61)
        _refused(lab.sign_in_with(lab.visitor(), token), "an expired token")
        if lab.whoami(browser).status != 401:
            raise Broken("a session outlives the token that opened it")
    return "refused after its hour, with a session that was a minute old"


@probe("critical", "S2-005", "S2-012", "C-40")
def a_copy_of_the_database_holds_none(lab: Any) -> str:
    """No table, record or log line holds a token: the digest that is kept cannot be signed in with."""
    with _on(lab):
        person = lab.person()
        token = lab.token(person, name="a probe").secret
        _signed_in(lab, token)
        lab.sign_in_with(lab.visitor(), token[:-1] + ("0" if token[-1] != "0" else "1"))
        body = token.rpartition("_")[2]
        for what, text in (("the database", lab.dump()), ("the log", lab.logs.text)):
            if body[:16] in text:
                raise Broken(f"{what} holds the token")
        _refused(lab.sign_in_with(lab.visitor(), _control().stored(lab.policy, token)), "the stored digest")
    return "nothing but a digest, which opens nothing"


@probe("high", "S2-005", "S2-035", "S2-040")
def it_is_long_random_and_known_to_scanners(lab: Any) -> str:
    """Tokens hold 128 random bits or more, no two are equal, and each looks as scanners are told."""
    with _on(lab):
        person, made = lab.person(), set()
        settings = lab.policy.of(_control().Settings)
        looks = re.compile(form.pattern(settings.prefix, random=max(16, settings.bytes)))
        for _ in range(5):
            token = lab.token(person).secret
            made.add(token)
            if not looks.fullmatch(token) or not form.valid(token):
                raise Broken(f"a token of {len(token)} characters is not what scanners are told of")
        if len(made) < 5:
            raise Broken("two tokens are equal")
    return f"five of five match {looks.pattern}"


@probe("high", "S2-066", "A062")
def it_is_taken_from_a_body_alone(lab: Any) -> str:
    """A token in an address, a header or a cookie signs nobody in, and no log has it."""
    with _on(lab):
        token = lab.token(lab.person()).secret
        tries: list[tuple[str, str, str, list[tuple[str, str]], dict[str, str]]] = [
            ("POST", lab.api("sign_in_token"), "token", [], {"next": "/"}),
            *(("GET", lab.api("me"), name, [], {}) for name in ("token", "access_token", "t")),
            ("GET", lab.api("me"), "", [("Authorization", f"Bearer {token}")], {}),
            ("GET", lab.api("me"), "", [("Authorization", f"Token {token}")], {}),
        ]
        for method, path, name, headers, body in tries:
            stranger = lab.visitor()
            sent = {"json": body} if method == "POST" else {}
            reply = stranger.send(
                method,
                f"{path}?{name}={token}" if name else path,
                headers=[*headers, *(stranger.from_here if method == "POST" else [])],
                **sent,
            )
            if reply.status < 400:
                raise Broken(f"{method} {path} with the token in {name or 'a header'}: {reply}")
        thief = lab.visitor()
        thief.cookies[lab.cookie] = token
        if lab.whoami(thief).status != 401:
            raise Broken("the token is good as a cookie")
        if token in lab.logs.text:
            raise Broken("the log has the token of an address")
    return f"{len(tries) + 1} other places, all refused"


def _said(reply: Any) -> tuple[object, ...]:
    """What an answer tells, without what is another in each."""
    fields = sorted((k.lower(), v) for k, v in reply.headers if not k.lower().startswith(_BUDGET))
    return reply.status, _HERE.sub(b"", reply.body), tuple(fields)


@probe("high", "C-41")
def every_refusal_is_alike(lab: Any) -> str:
    """Unknown, mistyped, expired, revoked, and of a disabled account: the answers are the same."""
    with _on(lab):
        person, shut = lab.person(), lab.person()
        control, house = _control(), lab.site.house
        unknown = form.make(control.head(lab.policy), house.ports.entropy(32))
        good, expired, revoked, theirs = (
            lab.token(who, lifetime=life)
            for who, life in ((person, 90_000), (person, 3600), (person, 90_000), (shut, 90_000))
        )
        mistyped = good.secret[:-2] + ("00" if good.secret[-2:] != "00" else "11")
        lab.clock.advance(3601)
        _verbs("tokens").revoke(house, _verbs("authority").SYSTEM, revoked.id)
        lab.disable(shut)
        tried = (unknown, mistyped, expired.secret, revoked.secret, theirs.secret, "?")
        said = {_said(lab.sign_in_with(lab.visitor(), token)) for token in tried}
        if len(said) != 1:
            raise Broken(f"{len(said)} answers for {len(tried)} tokens that are not good")
    return f"{len(tried)} tokens, one answer"


@probe("high", "A065")
def it_is_shown_once(lab: Any) -> str:
    """No page or list shows a token again, nor what is kept of it."""
    with _on(lab):
        browser = _signed_in(lab, lab.token(lab.person()).secret)
        reply = browser.act("POST", lab.api("token_new"), json={"name": "a probe", "days": "1"})
        if reply.status != 201:
            raise CouldNotLook(f"making one: {reply}")
        token = reply.json()["token"]
        kept = _control().stored(lab.policy, token)
        for path in (lab.url("tokens"), lab.api("tokens"), lab.url("token_new"), lab.api("token_new")):
            text = browser.get(path).text
            if token in text or form.grouped(token) in text or kept in text:
                raise Broken(f"GET {path} shows a token, or what is kept of it")
    return "four addresses, none of which shows it"


@probe("critical", "S1-033", "A088")
def nobody_gives_more_than_he_holds(lab: Any) -> str:
    """Whoever manages users, but may less than an administrator, makes no token for one; strangers make,
    see and revoke nobody's."""
    with _on(lab), lab.under(roles.Settings, laboratory=(roles.MANAGE_USERS,)):
        chief = lab.administrator()
        helper, other = lab.client("laboratory"), lab.ordinary()
        made = {"name": "a probe", "days": "1"}
        path = f"{lab.url('user_tokens')}/{chief.id}".replace("users/tokens", "api_users/tokens/new")
        for who, name in ((helper, "a manager of users"), (other, "a stranger")):
            reply = who.act("POST", path, json=made)
            if reply.status != 403:
                raise Broken(f"{name} makes a token for an administrator: {reply}")
        mine = lab.token(chief)
        for who in (helper, other):
            reply = who.act("POST", lab.api("tokens"), json={"action": "revoke", "token": mine.id})
            if reply.status != 404:
                raise Broken(f"a token of somebody else's is revoked: {reply}")
        if lab.whoami(_signed_in(lab, mine.secret)).status != 200:
            raise Broken("the administrator's token has ended")
    return "neither a manager of users nor a stranger gets or ends an administrator's token"


@probe("high", "S2-039")
def another_environments_is_refused(lab: Any) -> str:
    """A token of development does not sign in in production, though its table were copied there."""
    control = _control()
    with _on(lab):
        given = lab.token(lab.person())
        copied = control.elsewhere(lab.policy, given.secret)
        with lab.site.house.store.transaction() as connection:
            connection.execute(
                access_tokens.update().where(access_tokens.c.id == given.id).values(digest=copied)
            )
        _refused(lab.sign_in_with(lab.visitor(), given.secret), "a row of another environment")
    return "a row that was copied from the other environment opens nothing"


@probe("critical", "S2-037")
def the_first_one_opens_its_change_alone(lab: Any) -> str:
    """The first administrator's token opens the page on which it is changed and nothing else; once changed it
    is refused for good."""
    with _on(lab):
        chief = lab.administrator()
        given = lab.token(chief)
        mine = access_tokens.c.id == given.id
        with lab.site.house.store.transaction() as connection:
            connection.execute(access_tokens.update().where(mine).values(origin="first"))
        browser = lab.visitor()
        reply = lab.sign_in_with(browser, given.secret)
        owes = reply.json().get("owes", []) if reply.status == 200 else []
        if {"second", "enrol"} & set(owes):
            raise CouldNotLook("the policy asks for a second factor first")
        if "token" not in owes or lab.whoami(browser).status != 401:
            raise Broken(f"the first token signs in as any other: {reply}")
        browser.token_page = lab.url("change_token")
        changed = browser.act("POST", lab.api("change_token"), json={})
        if changed.status != 201:
            raise Broken(f"the first token cannot be changed: {changed}")
        _refused(lab.sign_in_with(lab.visitor(), given.secret), "the first token, once changed")
        if lab.whoami(_signed_in(lab, changed.json()["token"])).status != 200:
            raise Broken("what took its place is not good")
    return "it owed its change; then another took its place"


@probe("critical", "S2-012", "S2-079")
def a_published_one_does_not_start(lab: Any) -> str:
    """ADMIN123, placeholders, and what is short or regular make no administrator: the start is refused."""
    control = _control()
    for text in _PUBLISHED:
        with _on(lab, bootstrap=SecretStr(text)):
            found = [c for c in control.CONTROL.conflicts(lab.policy) if c.key == "tokens.bootstrap"]
        if not found:
            raise Broken(f"a first token that anybody knows starts: {text!r}")
        if any(text in c.why + c.accepted for c in found):
            raise Broken("the refusal repeats the token")
    return f"{len(_PUBLISHED)} of {len(_PUBLISHED)} refused"


PROBES: Final = (
    it_opens_a_session_and_is_not_in_its_cookie,
    revoked_it_is_refused_and_its_sessions_end,
    replaced_it_is_refused_at_once,
    it_expires_and_so_does_its_session,
    a_copy_of_the_database_holds_none,
    it_is_long_random_and_known_to_scanners,
    it_is_taken_from_a_body_alone,
    every_refusal_is_alike,
    it_is_shown_once,
    nobody_gives_more_than_he_holds,
    another_environments_is_refused,
    the_first_one_opens_its_change_alone,
    a_published_one_does_not_start,
)
