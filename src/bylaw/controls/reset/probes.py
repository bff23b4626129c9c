"""Attacks on the running application by mailed links."""

from __future__ import annotations

import logging
import re
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from sqlalchemy import event

from bylaw.control import Broken, CouldNotLook, probe
from bylaw.controls import cookies, csrf, reset, signup
from bylaw.controls.reset import events
from bylaw.keys import digest
from bylaw.store import links, users
from bylaw.store.tables import password_resets, totp_secrets

AT_ONCE: Final = 12
_LINK: Final = re.compile(r"(https?://\S+/reset-password/)(\S+)")


# The mailbox


def _person(lab: Any, **how: Any) -> Any:
    """Somebody with the role that signing up gives, not signed in."""
    role = lab.policy.of(signup.Settings).role
    return lab.person(*([role] if role else []), **how)


def _browser(lab: Any, person: Any) -> Any:
    """Another browser of somebody's, in which nobody is signed in."""
    client = lab.visitor()
    client.id, client.email, client.password = person.id, person.email, person.password
    return client


def _ask(lab: Any, email: str, *, headers: tuple[tuple[str, str], ...] = (), peer: str = "") -> Any:
    visitor = lab.visitor(**({"peer": peer} if peer else {}))
    return visitor.send(
        "POST",
        lab.api("forgot_password"),
        headers=[*visitor.from_here, *headers],
        json={"email": email},
    )


def _links(lab: Any, email: str) -> list[tuple[str, str]]:
    """The links that an address has been mailed: (where they lead, secret), the newest last."""
    texts = [m.get_body(("plain",)).get_content() for m in lab.mail() if m["To"] == email]
    return [(found[1], found[2]) for text in texts for found in _LINK.finditer(text)]


def _mailed(lab: Any, email: str) -> str:
    """The secret of a link that is asked for now. Raises Broken where none is mailed."""
    before = len(_links(lab, email))
    reply = _ask(lab, email)
    if reply.status != 202:
        raise Broken(f"asking for a link: {reply}")
    found = _links(lab, email)[before:]
    if len(found) != 1:
        raise Broken(f"asked once, mailed {len(found)} links")
    return found[0][1]


def _new() -> str:
    """A password that any policy takes."""
    return f"Quiet {uuid.uuid4().hex[:12]} River 7!"


def _choose(lab: Any, token: Any, password: str) -> Any:
    visitor = lab.visitor()
    return visitor.send(
        "POST",
        lab.api("reset_password"),
        headers=visitor.from_here,
        json={"token": token, "password": password},
    )


def _opens(lab: Any, client: Any, password: str) -> bool:
    return bool(lab.sign_in(_browser(lab, client), password).status == 200)


def _refused(what: str, reply: Any) -> None:
    if (reply.status, reply.code) != (reset.ENDED.status, reset.ENDED.code):
        raise Broken(f"{what}: {reply}")


@contextmanager
def _statements(lab: Any) -> Iterator[list[str]]:
    """What is asked of the database while the block lasts, without what this process does by itself."""
    seen: list[str] = []

    def listen(_: Any, __: Any, statement: str, *rest: Any) -> None:
        if threading.current_thread().name not in ("bylaw-feed", "bylaw-chores"):
            seen.append(statement)

    engine = lab.site.house.store.engine
    event.listen(engine, "before_cursor_execute", listen)
    try:
        yield seen
    finally:
        event.remove(engine, "before_cursor_execute", listen)


# Probes


@probe("critical", "S1-011", "S1-012", "C-41", "A017")
def asking_tells_nothing(lab: Any) -> str:
    """Asking for a link is answered alike, after the same work, whoever's address it is; the mail goes to
    the owner."""
    people = {name: _person(lab) for name in ("an account", "a disabled account", "an unconfirmed address")}
    people["an account without a password"] = _person(lab, password=None)
    with lab.site.house.store.transaction() as connection:
        users.change(connection, people["a disabled account"].id, disabled_at=lab.clock())
        users.change(connection, people["an unconfirmed address"].id, confirmed_at=None)
    addresses = {name: person.email for name, person in people.items()}
    addresses["no account"] = f"nobody-{uuid.uuid4().hex[:8]}@people.test"
    _ask(lab, addresses["no account"])  # what a process does once has been done
    seen = {}
    for name, email in addresses.items():
        with _statements(lab) as statements:
            reply = _ask(lab, email)
        if reply.status != 202:
            raise Broken(f"{name}: {reply}")
        headers = sorted(key.lower() for key, _ in reply.headers)
        seen[name] = (reply.status, reply.body, headers, reply.all("set-cookie"), tuple(statements))
    if not seen["no account"][-1]:
        raise CouldNotLook("no statement to the database was seen")
    for name, answer in seen.items():
        if answer != seen["no account"]:
            raise Broken(f"{name} is told from no account: {_difference(answer, seen['no account'])}")
    got = {name for name, email in addresses.items() if _links(lab, email)}
    if got != {"an account", "an unconfirmed address", "an account without a password"}:
        raise Broken(f"mail went to: {', '.join(sorted(got)) or 'nobody'}")
    return f"{len(seen)} addresses, one answer, {len(seen['no account'][-1])} statements each; three mails"


def _difference(one: tuple[Any, ...], other: tuple[Any, ...]) -> str:
    names = ("status", "body", "headers", "cookies", "work")
    return ", ".join(name for name, a, b in zip(names, one, other, strict=True) if a != b)


@probe("critical", "S1-013", "S1-016", "S1-017", "C-35", "A001", "A010")
def a_link_is_good_once_and_in_time(lab: Any) -> str:
    """A link sets one password, until its time is up, a newer one was mailed or it was used; a refused
    password uses up nothing."""
    lifetime, person = lab.policy.of(reset.Settings).lifetime, _person(lab)
    late, older = _mailed(lab, person.email), None
    lab.clock.advance(lifetime + 1)
    _refused("a second too late", _choose(lab, late, _new()))
    older, token = _mailed(lab, person.email), _mailed(lab, person.email)
    _refused("a link that a newer one has replaced", _choose(lab, older, _new()))
    lab.clock.advance(lifetime - 1)
    reply = _choose(lab, token, "short")
    if reply.status != 422 or _opens(lab, person, "short"):
        raise Broken(f"a password that is no good: {reply}")
    if not _opens(lab, person, person.password):
        raise Broken("a refused link has changed the password")
    first, second = _new(), _new()
    reply = _choose(lab, token, first)
    if reply.status != 200:
        raise Broken(f"a second before its end: {reply}")
    _refused("the second use", _choose(lab, token, second))
    if not _opens(lab, person, first) or _opens(lab, person, second):
        raise Broken("the password is not the first that was set")
    return f"good {lifetime - 1} s after it was mailed and once; refused late, replaced and used"


@probe("critical", "S1-017", "A001")
def many_at_once_are_one(lab: Any) -> str:
    """Of many who redeem one link at the same moment, one sets the password."""
    person = _person(lab)
    token, chosen = _mailed(lab, person.email), [_new() for _ in range(AT_ONCE)]
    replies = lab.burst(lambda number: _choose(lab, token, chosen[number]), AT_ONCE)
    won = [number for number, reply in enumerate(replies) if reply.status == 200]
    strange = [reply for reply in replies if reply.status not in (200, 400, 503)]
    if len(won) != 1 or strange:
        raise Broken(f"{len(won)} of {AT_ONCE} have set the password; {[str(r) for r in strange[:2]]}")
    if not _opens(lab, person, chosen[won[0]]):
        raise Broken("the password is not the winner's")
    return f"{AT_ONCE} at once, one winner"


@probe("critical", "S1-014", "S1-015", "C-34", "C-38", "C-40", "A115", "A132")
def only_the_mail_has_it(lab: Any) -> str:
    """The link's secret stands in the mail alone: not in the database, an answer, the log or another site's
    Referer, and no Host makes the link. Opening it uses up nothing."""
    person = _person(lab)
    for header in (
        ("X-Forwarded-Host", "evil.test"),
        ("Host", "evil.test"),
        ("X-Original-Host", "evil.test"),
    ):
        _ask(lab, person.email, headers=(header,))
    token = _mailed(lab, person.email)
    ours = f"{lab.policy.app.origin}{lab.url('reset_password')}/"
    if strange := {where for where, _ in _links(lab, person.email)} - {ours}:
        raise Broken(f"links lead to {', '.join(sorted(strange))}")
    where = f"{lab.url('reset_password')}/{token}"
    logging.getLogger("access").info('198.51.100.7 "GET %s HTTP/1.1" 303', where)
    shown = []
    for visitor in (lab.visitor(), lab.visitor()):  # a mail scanner, and whoever the mail is for
        visitor.send("HEAD", where)
        opened = visitor.page(where)
        if (opened.status, opened.header("location")) != (303, lab.url("reset_password")):
            raise Broken(f"opening the link: {opened}, on to {opened.header('location') or 'nowhere'}")
        ceremony = [c for c in opened.all("set-cookie") if cookies.CEREMONY in c]
        if len(ceremony) != 1 or "httponly" not in ceremony[0].lower():
            raise Broken("opening the link does not leave one cookie that scripts cannot read")
        page = visitor.page(lab.url("reset_password"))
        if page.status != 200:
            raise Broken(f"choosing after opening: {page}")
        shown += [opened, page]
    for reply in shown:
        if (reply.header("referrer-policy"), reply.header("cache-control")) != ("no-referrer", "no-store"):
            raise Broken("a page that a link leads to may be kept, or tells other sites where it was")
    said = "\n".join(f"{reply.headers}{reply.text}" for reply in shown)
    places = {"the database": lab.dump(), "the log": lab.logs.text, "an answer": said}
    if found := [place for place, text in places.items() if token in text]:
        raise Broken(f"the secret stands in {', '.join(found)}")
    with lab.site.house.store.reading() as connection:
        kept = links.find(connection, password_resets, digest(token), lab.clock())
    if kept is None:
        raise Broken("what is kept is not its SHA-256, or opening the link has used it up")
    form = [(lab.policy.of(csrf.Settings).field, _token(page)), ("password", password := _new())]
    page_headers = [("Accept", "text/html"), *visitor.from_here]
    reply = visitor.send("POST", lab.url("reset_password"), form=form, headers=page_headers)
    if reply.status != 303 or not _opens(lab, person, password):
        raise Broken(f"choosing in the browser that has opened the link: {reply}")
    return "SHA-256 alone is kept; opened twice, then used; three forged hosts changed no link"


def _token(page: Any) -> str:
    found = re.search(r'<input type="hidden" name="[^"]+" value="([^"]+)"', page.text)
    return found[1] if found else ""


@probe("critical", "S1-016", "C-40", "A012", "A013", "A066")
def nothing_else_opens(lab: Any) -> str:
    """No password is set without a mailed link: by nothing, by what is no text, by another kind of secret
    or by skipping the mail."""
    person, other = _person(lab), lab.ordinary()
    mine = _mailed(lab, person.email)
    given: list[Any] = ["", " ", None, 0, 1, True, [], {}, [mine], {"token": mine}, "null", "undefined", "0"]
    given += [digest(mine), mine[:-1], f"{mine}x", f" {mine}", mine.swapcase(), "%00", "\x00", "A" * 100_000]
    given += [other.cookies[lab.cookie], other.token(), person.id, person.email]
    for what in given:
        reply = _choose(lab, what, _new())
        if not 400 <= reply.status < 500:
            raise Broken(f"{str(what)[:40]!r} as a secret: {reply}")
    visitor = lab.visitor()
    _ask(lab, person.email)
    visitor.token_page = lab.url("forgot_password")
    name = cookies.name(lab.policy, cookies.CEREMONY)
    for cookie in (None, mine, other.cookies[lab.cookie], "A" * 43):
        visitor.cookies.pop(name, None)
        if cookie is not None:
            visitor.cookies[name] = cookie
        form = [(lab.policy.of(csrf.Settings).field, visitor.token()), ("password", _new())]
        headers = [("Accept", "text/html"), *visitor.from_here]
        reply = visitor.send("POST", lab.url("reset_password"), form=form, headers=headers)
        if not 400 <= reply.status < 500:
            raise Broken(f"choosing without having opened a link: {reply}")
    if not _opens(lab, person, person.password) or lab.whoami(other).status != 200:
        raise Broken("somebody's password was changed")
    return f"{len(given)} that are no link, and the form alone: all refused"


@probe("critical", "S1-011", "C-41", "A005", "A075")
def a_reset_ends_tells_and_signs_nobody_in(lab: Any) -> str:
    """A new password ends every session, is told to the owner, and leads to the front door: the second
    factor is asked for as before."""
    person = _person(lab)
    thief = _browser(lab, person)
    lab.open_session(thief)
    if lab.whoami(thief).status != 200:
        raise CouldNotLook("the policy asks more of a session than a laboratory opens")
    now = lab.clock()
    row = {"id": "laboratory", "user_id": person.id, "name": "app", "secret": "-"}  # nosec B105 - nobody's
    with lab.site.house.store.transaction() as connection:
        connection.execute(totp_secrets.insert().values(**row, last_step=0, created_at=now))
    token, password = _mailed(lab, person.email), _new()
    before = len(lab.mail())
    reply = _choose(lab, token, password)
    if reply.status != 200:
        raise Broken(f"the link of somebody with a second factor: {reply}")
    if lab.cookie in str(reply.all("set-cookie")):
        raise Broken("the link signs somebody in")
    if lab.whoami(thief).status != 401:
        raise Broken("a session from before lives on")
    told = [m for m in lab.mail()[before:] if m["To"] == person.email]
    texts = " ".join(m.get_body(("plain",)).get_content() for m in told)
    if len(told) != 1 or password in texts or person.password in texts:
        raise Broken(f"the owner got {len(told)} mails of it, or one with a password")
    client = _browser(lab, person)
    if lab.sign_in(client, password).status != 200 or lab.whoami(client).status != 401:
        raise Broken("with the new password alone somebody is signed in, past the second factor")
    return "the session was over, the owner knows, the second factor is asked for"


@probe("high", "C-41", "A146")
def asking_is_limited(lab: Any) -> str:
    """One mailbox is sent a few links an hour and keeps the last; one address may ask for so many."""
    settings, person = lab.policy.of(reset.Settings), _person(lab)
    for _ in range(settings.per_account + 3):
        if _ask(lab, person.email).status != 202:
            raise Broken("asking on is answered otherwise")
    sent = _links(lab, person.email)
    if len(sent) != settings.per_account:
        raise Broken(f"{len(sent)} links in an hour, {settings.per_account} are allowed")
    if _choose(lab, sent[-1][1], _new()).status != 200:
        raise Broken("somebody else's asking has ended the last link")
    lab.clock.advance(3601)
    _mailed(lab, person.email)
    home, neighbour = "2001:db8:ee:1::1", "2001:db8:ee:1::2"
    with lab.paced():
        for number in range(settings.per_address):
            reply = _ask(lab, f"nobody-{number}@people.test", peer=home)
            if reply.code.startswith("rate_limits"):
                raise CouldNotLook(f"a narrower limit of [rate_limits] comes first: {reply}")
            if reply.status != 202:
                raise Broken(f"request {number + 1} of {settings.per_address}: {reply}")
        for email in ("nobody@people.test", person.email):
            reply = _ask(lab, email, peer=neighbour)
            if reply.code.startswith("rate_limits"):
                raise CouldNotLook(f"a narrower limit of [rate_limits] comes first: {reply}")
            if (reply.status, reply.code) != (429, reset.WAIT.code) or not reply.header("retry-after"):
                raise Broken(f"one more from the same /64: {reply}")
    return f"{settings.per_account} an hour for one account, {settings.per_address} for one address"


PROBES: Final = (
    asking_tells_nothing,
    a_link_is_good_once_and_in_time,
    many_at_once_are_one,
    only_the_mail_has_it,
    nothing_else_opens,
    a_reset_ends_tells_and_signs_nobody_in,
    asking_is_limited,
    *events.PROBES,
)
