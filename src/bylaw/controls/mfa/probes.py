"""Attacks on the running application around a second factor by whoever has the first, or a session that
was left open.
"""

from __future__ import annotations

import base64
import itertools
import sys
from typing import Any, Final

import pyotp

from bylaw.control import Broken, CouldNotLook, probe
from bylaw.controls import lockout, mfa, passwords, signup
from bylaw.keys import base64url
from bylaw.store import factors
from bylaw.store.tables import totp_secrets

AT_ONCE: Final = 20
WRONG: Final = "q" * 24
"""No recovery code: the letter is in none, and no app shows it."""
_addresses: Final = itertools.count(1)
_SECRET_PLACES: Final = ("second_factor", "passkey_proof", "passkey_proof_options")


class App:
    """An authenticator app, as its owner has it."""

    def __init__(self, lab: Any, secret: str, codes: list[str]) -> None:
        self._lab = lab
        self.secret = secret
        self.codes = codes
        """The recovery codes that came with it."""

    def shown(self, *, steps: int = 0) -> str:
        """The code that it shows now, or so many steps from now."""
        return pyotp.TOTP(self.secret).at(int(self._lab.clock()) + mfa.STEP * steps)

    def next(self) -> str:
        """A code that it has not shown before."""
        self._lab.clock.advance(mfa.STEP)
        return self.shown()

    def wrong(self) -> str:
        """Six digits that are right at no time near now."""
        near = {self.shown(steps=n) for n in range(-4, 5)}
        return next(code for code in ("000000", "111111", "222222", "333333") if code not in near)


def enrol(lab: Any, client: Any) -> App:
    """Have somebody set up an authenticator app. Raises Broken where that does not work."""
    began = client.act("POST", lab.api("authenticator"), json={})
    if began.status != 200:
        raise Broken(f"an authenticator app cannot be set up: {began}")
    app = App(lab, began.json()["secret"], [])
    made = client.act(
        "POST", lab.api("authenticator"), json={"code": app.shown(), "name": "of the laboratory"}
    )
    if made.status != 200:
        raise Broken(f"an authenticator app cannot be confirmed: {made}")
    app.codes = made.json().get("recovery_codes", [])
    return app


def _someone(lab: Any) -> Any:
    client = lab.ordinary()
    client.peer = _anywhere()
    client.token_page = lab.url("factors")
    return client


def _anywhere() -> str:
    number = next(_addresses)
    return f"2001:db8:f:{number:x}::1"


def _half(lab: Any, of: Any) -> Any:
    """Another browser, in which the password was shown."""
    made = lab.browser(of)
    made.peer = _anywhere()
    return made


def _try(lab: Any, client: Any, code: str) -> Any:
    reply = client.act("POST", lab.api("second_factor"), json={"code": code})
    if reply.code.partition(".")[0] in ("rate_limits", "ip_allowlist", "hosts", "proxies", "csrf"):
        raise CouldNotLook(f"the page for the second factor is refused before: {reply}")
    return reply


def _is_in(lab: Any, client: Any) -> bool:
    return bool(lab.whoami(client).status == 200)


@probe("critical", "S3-083", "A074")
def one_factor_opens_nothing(lab: Any) -> str:
    """With the first factor alone nothing opens but the page for the second: no route of the application's
    and none of bylaw's own."""
    owner = _someone(lab)
    enrol(lab, owner)
    tried = 0
    places = {lab.site.pages.urls[name] for name in _SECRET_PLACES if name in lab.site.pages.urls}
    places |= {route.path for route in lab.site.pages.routes() if route.endpoint.name in _SECRET_PLACES}
    thief = _half(lab, owner)
    token = thief.token()
    for method, path, rule in lab.routes():
        if rule.kind == "public" or method in ("WEBSOCKET", "TRACE") or path in places:
            continue
        headers = [*thief.from_here, (thief.token_header, token)]
        own = any(route.path == path and not route.api for route in lab.site.pages.routes())
        body: dict[str, Any] = {}
        if method not in ("GET", "HEAD", "OPTIONS"):
            body = {"form": [("x", "1")]} if own else {"json": {}}
        reply = thief.send(method, lab.sample(path), headers=headers, **body)
        if reply.status != 401 and not reply.code.startswith(("csrf.", "body.", "errors.")):
            raise Broken(f"{method} {path}: {reply}, with a password alone")
        tried += reply.status == 401
    if not tried:
        raise CouldNotLook("no route asks for anybody")
    page = thief.page(lab.url("factors"))
    if page.status != 303 or not page.header("location").startswith(lab.url("second_factor")):
        raise Broken(f"a browser is not sent to the second factor: {page} {page.header('location')}")
    return f"{tried} routes refused; a browser is sent to the second factor"


@probe("critical", "S3-083", "A075")
def every_way_in_asks_for_it(lab: Any) -> str:
    """Whichever way somebody signs in with one factor, the second is asked for."""
    owner = _someone(lab)
    app = enrol(lab, owner)
    ways = {}
    script = lab.visitor(peer=_anywhere())
    script.email, script.password, script.access_token = owner.email, owner.password, owner.access_token
    ways["a script's sign-in"] = script if lab.sign_in(script).status == 200 else None
    page = lab.visitor(peer=_anywhere())
    field = lab.policy.of(sys.modules["bylaw.controls.csrf"].Settings).field
    form = [(field, page.token()), *lab.shown(owner).items()]
    reply = page.send(
        "POST", lab.url(lab.door), form=form, headers=[("Accept", "text/html"), *page.from_here]
    )
    ways["the sign-in page"] = page if reply.status == 303 else None
    for method in ("federated", "reset", "remembered"):
        browser = lab.visitor(peer=_anywhere())
        browser.id = owner.id
        lab.open_session(browser, method=method, assurance=1)
        ways[f"a session opened by {method}"] = browser
    for what, client in ways.items():
        if client is None:
            raise CouldNotLook(f"{what} does not work here")
        if _is_in(lab, client):
            raise Broken(f"{what} opens the account without the second factor")
    script.token_page = lab.url("second_factor")
    if _try(lab, script, app.next()).status != 200 or not _is_in(lab, script):
        raise Broken("the second factor does not finish signing in")
    return f"{len(ways)} ways in, each ends at the second factor"


@probe("critical", "S3-083", "A076")
def a_code_counts_once(lab: Any) -> str:
    """A code of an app and a recovery code each let in once: not again later, not twenty times at once, and
    no code that is older than the last."""
    owner = _someone(lab)
    app = enrol(lab, owner)
    lab.clock.advance(10 * mfa.STEP)
    first, older = app.shown(), app.shown(steps=-1)
    for what, code in (("a code of the app", first), ("a recovery code", app.codes[0])):
        browsers = [_half(lab, owner) for _ in range(AT_ONCE)]
        tokens = [browser.token() for browser in browsers]

        def send(number: int, code: str = code, browsers: Any = browsers, tokens: Any = tokens) -> Any:
            browser = browsers[number]
            headers = [*browser.from_here, (browser.token_header, tokens[number])]
            return browser.send("POST", lab.api("second_factor"), headers=headers, json={"code": code})

        replies = lab.burst(send, AT_ONCE)
        right = sum(reply.status == 200 for reply in replies)
        if right != 1:
            raise Broken(f"{what} let {right} of {AT_ONCE} in that came at once ({replies[0]})")
        again = _try(lab, _half(lab, owner), code)
        if again.status == 200:
            raise Broken(f"{what} lets in twice")
    if _try(lab, _half(lab, owner), older).status == 200:
        raise Broken("a code from before the last one lets in")
    left = owner.get(lab.api("factors")).json()["recovery_codes_left"]
    if left != len(app.codes) - 1:
        raise Broken(f"{left} recovery codes are left of {len(app.codes)} after one was used")
    return f"{AT_ONCE} at once, one of them was let in; the same for a recovery code; older ones: none"


@probe("critical", "S3-083", "S1-156", "A078")
def guessing_codes_waits(lab: Any) -> str:
    """After the free failures not even the right code is looked at; signing in anew, or another kind of code,
    begins no new count, and the owner learns that his password is known."""
    settings = lab.policy.of(lockout.Settings)
    owner = _someone(lab)
    app = enrol(lab, owner)
    lab.clock.advance(10 * mfa.STEP)
    with lab.paced():
        for number in range(settings.free):
            thief = _half(lab, owner)
            reply = _try(lab, thief, WRONG if number % 2 else app.wrong())
            if reply.code != mfa.WRONG.code:
                raise Broken(f"wrong code {number + 1}: {reply}")
        for what, code in (("the right code", app.shown()), ("a right recovery code", app.codes[0])):
            reply = _try(lab, _half(lab, owner), code)
            if reply.status != 429 or reply.header("retry-after") != str(settings.first):
                raise Broken(f"{what} after {settings.free} wrong ones, in a new session: {reply}")
        known = "knows your password" if passwords.on(lab.policy) else "can begin to sign in as you"
        told = [m for m in lab.mail() if m["To"] == owner.email and known in m["Subject"]]
        if len(told) != 1:
            raise Broken(f"{len(told)} mails tell the owner that somebody {known}")
        if not lab.audit(action="authn_factor_lock", entity_id=owner.id):
            raise Broken("nothing in the audit log tells that codes are guessed")
        lab.clock.advance(settings.first)
        if _try(lab, _half(lab, owner), app.shown()).status != 200:
            raise Broken("the owner cannot sign in after waiting")
    return f"{settings.free} wrong codes, then 429 for {settings.first} s for right ones too; one mail"


@probe("high", "S3-083", "C-40")
def a_copy_of_the_database_makes_no_codes(lab: Any) -> str:
    """No secret of an app and no recovery code stands in the database, and an encrypted secret is good for
    nobody else."""
    owner, other = _someone(lab), _someone(lab)
    app, others = enrol(lab, owner), enrol(lab, other)
    everything = lab.dump()
    raw = base64.b32decode(app.secret)
    plain = {app.secret, raw.hex(), repr(raw), base64.b64encode(raw).decode().rstrip("=")}
    plain |= {base64url(raw)}
    plain |= set(app.codes) | {code.replace("-", "") for code in app.codes}
    if found := [text for text in plain if text in everything]:
        raise Broken(f"the database holds {len(found)} secrets as they are")
    with lab.site.house.store.transaction() as connection:
        sealed = factors.apps(connection, owner.id)[0]["secret"]
        mine = factors.apps(connection, other.id)[0]
        connection.execute(totp_secrets.update().where(totp_secrets.c.id == mine["id"]).values(secret=sealed))
    if _try(lab, _half(lab, other), app.next()).status == 200:
        raise Broken("a secret that was copied to another account makes its codes there")
    if _try(lab, _half(lab, other), others.codes[0]).status != 200:
        raise Broken("the other account's recovery code does not work")
    return "neither the secret nor a code is in any table; moved to another account it is unreadable"


@probe("high", "S3-083", "A081")
def factors_are_their_owners(lab: Any) -> str:
    """Nobody sees, renames or removes somebody else's factor, and whoever has the password alone sets up
    none."""
    owner, other = _someone(lab), _someone(lab)
    enrol(lab, owner)
    enrol(lab, other)
    held = owner.get(lab.api("factors"))
    theirs = held.json()["apps"][0]["id"]
    for action in ("rename", "remove"):
        reply = other.act(
            "POST", lab.api("factors"), json={"action": action, "factor": theirs, "name": "mine now"}
        )
        if reply.status != 404:
            raise Broken(f"{action} of somebody else's factor: {reply}")
    if owner.get(lab.api("factors")).json() != held.json():
        raise Broken("somebody else's factor was changed")
    if theirs in other.get(lab.api("factors")).text:
        raise Broken("somebody else's factor is shown")
    thief = _half(lab, owner)
    for what, place, body in (
        ("sets up an app", "authenticator", {}),
        ("makes new recovery codes", "factors", {"action": "codes"}),
        ("removes the factor", "factors", {"action": "remove", "factor": theirs}),
    ):
        reply = thief.act("POST", lab.api(place), json=body)
        if reply.status != 401:
            raise Broken(f"whoever has the password alone {what}: {reply}")
    return "404 for somebody else's, 401 for whoever has the password alone"


@probe("high", "S3-083")
def a_sensitive_step_asks_again(lab: Any) -> str:
    """With a proof that is too old nothing is changed: a program is told what is asked for, a browser is
    sent to show it again, and from there back, to no other site."""
    fresh = lab.policy.of(mfa.Settings).fresh
    for enrolled in (False, True):
        client = _someone(lab)
        app = enrol(lab, client) if enrolled else None
        lab.clock.advance(fresh + 1)
        if not _is_in(lab, client):
            raise CouldNotLook("sessions end before a proof is too old")
        reply = client.act("POST", lab.api("authenticator"), json={})
        challenge = reply.header("www-authenticate")
        if reply.status != 401 or 'error="insufficient_user_authentication"' not in challenge:
            raise Broken(f"with a proof of {fresh + 1} s ago: {reply}, {challenge!r}")
        field = lab.policy.of(sys.modules["bylaw.controls.csrf"].Settings).field
        form = [(field, client.token()), ("action", "codes")]
        sent = client.send("POST", lab.url("factors"), form=form, headers=client.from_here)
        if sent.status != 303 or not sent.header("location").startswith(f"{lab.url('step_up')}?next="):
            raise Broken(f"a browser is not sent to show it again: {sent} {sent.header('location')!r}")
        right = {"code": app.next()} if app else lab.proof(client)
        less: dict[str, str] = lab.proof(client) if app else lab.proof(client, "no")
        for wrong in (less, {}):
            reply = client.act("POST", lab.api("step_up"), json=wrong)
            if reply.status not in (401, 422):
                raise Broken(f"less than the account's strongest is enough: {reply} to {sorted(wrong)}")
        back = client.send(
            "POST",
            lab.url("step_up"),
            form=[(field, client.token()), *right.items(), ("next", "//elsewhere.test/")],
            headers=client.from_here,
        )
        if back.status != 303 or "elsewhere" in back.header("location"):
            raise Broken(f"showing it again leads to {back} {back.header('location')!r}")
        reply = client.act("POST", lab.api("authenticator"), json={})
        if reply.status != 200:
            raise Broken(f"after showing it again: {reply}")
    return f"after {fresh} s: 401 with RFC 9470's challenge, 303 for a browser; then as before"


@probe("high", "S3-083")
def whose_role_asks_for_one_has_one(lab: Any) -> str:
    """Somebody whose role must have a second factor is in once he has set one up, and keeps the last one."""
    role = lab.policy.of(signup.Settings).role or next(iter(lab.roles), "")
    if not role:
        raise CouldNotLook("the policy names no roles")
    with lab.under(mfa.Settings, required=(role,)):
        client = lab.person(role)
        client.peer = _anywhere()
        lab.open_session(client, assurance=1)
        client.token_page = lab.url("factors")
        if _is_in(lab, client):
            raise Broken(f"{role} is in with one factor")
        reply = client.page(lab.url("sessions"))
        if reply.status != 303 or not reply.header("location").startswith(lab.url("factors")):
            raise Broken(f"a browser is not sent to set one up: {reply} {reply.header('location')!r}")
        enrol(lab, client)
        if not _is_in(lab, client):
            raise Broken("setting one up does not finish signing in")
        app = client.get(lab.api("factors")).json()["apps"][0]["id"]
        reply = client.act("POST", lab.api("factors"), json={"action": "remove", "factor": app})
        if reply.code != mfa.NEEDED.code:
            raise Broken(f"the last factor of {role} was removed: {reply}")
    return f"{role}: first a second factor, then everything else; the last one stays"


@probe("high", "S3-083")
def a_new_factor_ends_weaker_sessions(lab: Any) -> str:
    """When a second factor is added, sessions that have shown one end; when it is removed, every other one;
    the owner is told of both."""
    owner = _someone(lab)
    left_open = _half(lab, owner)
    if not _is_in(lab, left_open):
        raise CouldNotLook("a session with one factor is not in, even before")
    before = owner.cookies[lab.cookie]
    app = enrol(lab, owner)
    if _is_in(lab, left_open):
        raise Broken("a session with the password alone lives on")
    if owner.cookies[lab.cookie] == before:
        raise Broken("the session keeps its id while it rises")
    elsewhere = _half(lab, owner)
    if _try(lab, elsewhere, app.next()).status != 200:
        raise Broken("the app does not sign in")
    held = owner.get(lab.api("factors")).json()["apps"][0]["id"]
    reply = owner.act("POST", lab.api("factors"), json={"action": "remove", "factor": held})
    if reply.status != 200 or not _is_in(lab, owner):
        raise Broken(f"the factor cannot be removed: {reply}")
    if _is_in(lab, elsewhere):
        raise Broken("another session lives on when the factor is removed")
    told = [m["Subject"] for m in lab.mail() if m["To"] == owner.email]
    for what in ("second factor was added", "second factor was removed"):
        if not any(what in subject for subject in told):
            raise Broken(f"nobody tells the owner: {what}")
    return "the weaker session ended, the other one with the removal; two mails"


PROBES: Final = (
    one_factor_opens_nothing,
    every_way_in_asks_for_it,
    a_code_counts_once,
    guessing_codes_waits,
    a_copy_of_the_database_makes_no_codes,
    factors_are_their_owners,
    a_sensitive_step_asks_again,
    whose_role_asks_for_one_has_one,
    a_new_factor_ends_weaker_sessions,
)
