"""Attacks on the running application by guessing passwords. Most guesses come from an address of
their own each, as a botnet's do.
"""

from __future__ import annotations

import itertools
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from bylaw import hashing
from bylaw.control import Broken, CouldNotLook, probe
from bylaw.controls import cookies, lockout, passwords
from bylaw.reasons import Reason, Refused

WRONG: Final = "no password of anybody's here"
_NONE: Final = "\0"
"""What cannot be a password: it is wrong without being hashed."""
AT_ONCE: Final = 24
LINKS: Final = 5
"""Links a day at most that one account is sent."""
_addresses: Final = itertools.count(1)


def _settings(lab: Any) -> lockout.Settings:
    settings: lockout.Settings = lab.policy.of(lockout.Settings)
    return settings


def _anywhere() -> str:
    """An address of a network that nobody has sent anything from yet."""
    number = next(_addresses)
    return f"2001:db8:{number >> 16:x}:{number & 0xFFFF:x}::1"


@contextmanager
def _hashed() -> Iterator[list[str]]:
    """A line for each hash that is verified while the block lasts."""
    real = hashing.verify
    seen: list[str] = []

    def counting(stored: str, password: str) -> bool | None:
        seen.append("verified")
        return real(stored, password)

    setattr(hashing, "verify", counting)  # noqa: B010 - mypy knows that a function is no variable
    try:
        yield seen
    finally:
        setattr(hashing, "verify", real)  # noqa: B010 - (the same)


def _try(lab: Any, email: str, password: str, *, peer: str = "", jar: dict[str, str] | None = None) -> Any:
    """Try a password over HTTP, from anywhere. Raises CouldNotLook where another control is in the way."""
    visitor = lab.visitor(peer=peer or _anywhere())
    visitor.cookies = dict(jar or {})
    reply = visitor.send(
        "POST", lab.api("sign_in"), headers=visitor.from_here, json={"email": email, "password": password}
    )
    _unobstructed(reply)
    return reply


def _unobstructed(reply: Any) -> None:
    if reply.code.partition(".")[0] in ("rate_limits", "ip_allowlist", "hosts", "proxies"):
        raise CouldNotLook(f"sign-ins from many addresses are refused before: {reply}")


def _fail(lab: Any, email: str, *, address: str = "", times: int = 1) -> Reason:
    """Fail without a request and without hashing (what cannot be a password is wrong at once); the
    reason of the last refusal."""
    reason = passwords.WRONG
    for _ in range(times):
        try:
            sys.modules["bylaw.operations.signing_in"].sign_in(
                lab.site.house, email=email, password=_NONE, address=address or _anywhere()
            )
        except Refused as refused:
            reason = refused.reason
    return reason


def _expect(what: str, reply: Any, reason: Reason, wait: int | None = None) -> None:
    if (reply.status, reply.code) != (reason.status, reason.code):
        raise Broken(f"{what}: {reply}, not {reason.status} {reason.code}")
    if wait is not None and reply.header("retry-after") != str(wait):
        raise Broken(f"{what}: Retry-After {reply.header('retry-after')!r}, not {wait}")


@probe("critical", "S1-156", "C-12", "A141", "A143")
def guessing_takes_longer_each_time(lab: Any) -> str:
    """After its free failures an account waits, however it is spelt and from everywhere, longer each time."""
    settings, person = _settings(lab), lab.person()
    local, _, domain = person.email.partition("@")
    spellings = itertools.cycle(
        (
            person.email,
            person.email.upper(),
            f" {person.email} ",
            f"{local.title()}@{domain}",
            f"{local}@{domain.replace('.', chr(0x3002))}",
            f"{local}@{''.join(chr(ord(c) + 0xFEE0) if c.isalpha() else c for c in domain)}",
            f"{chr(ord(local[0]) + 0xFEE0)}{local[1:]}@{domain}",
        )
    )
    with lab.paced():
        for number in range(settings.free):
            reply = _try(lab, next(spellings), WRONG)
            if reply.status != 401:
                raise Broken(f"failure {number + 1} of {settings.free} free ones: {reply}")
        wait = settings.first
        for _ in range(3):
            with _hashed() as seen:
                _expect("the right password", _try(lab, next(spellings), person.password), lockout.WAIT, wait)
                lab.clock.advance(wait - 1)
                _expect("a second too early", _try(lab, person.email, person.password), lockout.WAIT, 1)
            if seen:
                raise Broken(f"{len(seen)} hashes while it had to wait")
            lab.clock.advance(1)
            reply = _try(lab, person.email, WRONG)
            if reply.status != 401:
                raise Broken(f"one more try after {wait} seconds: {reply}")
            wait = min(2 * wait, settings.longest)
        lab.clock.advance(wait)
        if _try(lab, person.email, person.password).status != 200:
            raise Broken("nobody can sign in after waiting")
        for number in range(settings.free):
            if _try(lab, person.email, WRONG).status != 401:
                raise Broken(f"after a success failure {number + 1} is not free again")
        _expect("after a success and as many failures", _try(lab, person.email, WRONG), lockout.WAIT)
    return f"{settings.free} free failures, then {settings.first} s, then twice as long; no hash meanwhile"


@probe("critical", "C-12", "A143")
def guessing_ends(lab: Any) -> str:
    """After `most` failures in a row no stranger may try any more, until an administrator unlocks it."""
    settings, person = _settings(lab), lab.person()
    with lab.paced():
        for number in range(settings.most):
            if _fail(lab, person.email) is not passwords.WRONG:
                raise Broken(f"try {number + 1} after the longest wait was not taken")
            lab.clock.advance(settings.longest)
        for days in (0, 30):
            lab.clock.advance(days * 86400)
            with _hashed() as seen:
                _expect("the right password", _try(lab, person.email, person.password), lockout.SHUT)
            if seen:
                raise Broken("a password was looked at after the last failure that is allowed")
        reply = lab.administrator().act("POST", f"{lab.api('users')}/{person.id}", json={"action": "unlock"})
        if reply.status != 200 or _try(lab, person.email, person.password).status != 200:
            raise Broken(f"unlocking it does not let anybody in: {reply}")
    return f"{settings.most} failures, then {lockout.SHUT.status} for a month, until it was unlocked"


@probe("critical", "C-12")
def at_once_is_one_by_one(lab: Any) -> str:
    """Guesses that come at the same moment are no more than guesses that come one by one."""
    settings, person = _settings(lab), lab.person()
    with lab.paced(), _hashed() as seen:
        replies = lab.burst(lambda number: _try(lab, person.email, f"{WRONG} {number}"), AT_ONCE)
    strange = [reply for reply in replies if reply.status not in (401, 429, 503)]
    if strange or len(seen) > settings.free:
        raise Broken(f"{len(seen)} passwords were looked at, {settings.free} are free; {strange[:1]}")
    return f"{AT_ONCE} at once, {len(seen)} looked at"


@probe("high", "S1-156", "A145")
def strangers_do_not_lock_the_owner_out(lab: Any) -> str:
    """A browser that signed in before has a count of its own; nobody else's cookie does."""
    settings, owner, other = _settings(lab), lab.person(), lab.person()
    name = cookies.name(lab.policy, cookies.DEVICE)
    with lab.paced():
        for client in (owner, other):
            client.peer = _anywhere()
            reply = lab.sign_in(client)
            _unobstructed(reply)
            if reply.status != 200 or not client.cookies.get(name):
                raise Broken(f"signing in leaves no cookie {name}: {reply}")
        _fail(lab, owner.email, times=settings.free)
        device = owner.cookies[name]
        number, issued, seal = device.split(".")
        for what, jar in (
            ("no cookie", {}),
            ("a cookie for another account", {name: other.cookies[name]}),
            ("a cookie that was made up", {name: f"{number}.{issued}.{'A' * len(seal)}"}),
            ("a cookie whose number was changed", {name: f"{number[::-1]}.{issued}.{seal}"}),
            ("a cookie that was made to last", {name: f"{number}.{int(issued) + 1}.{seal}"}),
        ):
            _expect(what, _try(lab, owner.email, owner.password, jar=jar), lockout.WAIT)
        if _try(lab, owner.email, owner.password, jar={name: device}).status != 200:
            raise Broken("strangers have locked the owner out")
        for _ in range(settings.free):
            _try(lab, owner.email, WRONG, jar={name: device})
        _expect("the device's own failures", _try(lab, owner.email, WRONG, jar={name: device}), lockout.WAIT)
    return "the owner signed in while strangers had to wait; five other cookies had to wait as well"


@probe("high", "C-41", "A020")
def waiting_tells_nothing(lab: Any) -> str:
    """An account that does not exist waits like one that does: the same answers, the same work."""
    settings, person = _settings(lab), lab.person()
    people = {"an account": person.email, "no account": f"x{person.email}"}
    seen: dict[str, list[Any]] = {}
    with lab.paced():
        for name, email in people.items():
            seen[name] = []
            for _ in range(settings.free + 2):
                with _hashed() as hashed:
                    reply = _try(lab, email, WRONG)
                body = {k: v for k, v in reply.json().items() if k != "instance"}
                headers = sorted(key.lower() for key, _ in reply.headers)
                seen[name].append((reply.status, body, reply.header("retry-after"), headers, len(hashed)))
            lab.clock.advance(settings.longest)
            _fail(lab, email, times=1)
            reply = _try(lab, email, WRONG)
            seen[name].append((reply.status, reply.code, reply.header("retry-after")))
    for number, (known, unknown) in enumerate(zip(*seen.values(), strict=True), 1):
        if known != unknown:
            raise Broken(f"answer {number} to an account: {known}, to none: {unknown}")
    return f"{settings.free + 3} answers, the same for both"


@probe("high", "C-12")
def an_address_may_fail_only_so_often(lab: Any) -> str:
    """One password tried at many accounts is ended by the address's own budget, which no success fills."""
    settings, person, own = _settings(lab), lab.person(), lab.person()
    home = _anywhere()
    neighbour, stranger = home.replace("::1", "::dead:beef"), _anywhere()
    with lab.paced():
        for number in range(settings.per_address):
            if (
                number == settings.per_address // 2
                and _try(lab, own.email, own.password, peer=home).status != 200
            ):
                raise Broken("the attacker's own account could not sign in")
            _fail(lab, f"target-{number}-{person.email}", address=home)
        for what, peer in (("the address", home), ("its neighbour in the /64", neighbour)):
            with _hashed() as seen:
                _expect(what, _try(lab, person.email, person.password, peer=peer), lockout.WAIT)
            if seen:
                raise Broken(f"{what}: a password was looked at")
        if _try(lab, person.email, person.password, peer=stranger).status != 200:
            raise Broken("another address has to wait as well")
        lab.clock.advance(int(lockout.interval(settings)) + 1)
        if _try(lab, person.email, person.password, peer=neighbour).status != 200:
            raise Broken("the address never gets anything back")
    return f"{settings.per_address} failures of one /64, then it waited; others did not"


@probe("high", "A146")
def every_door_waits(lab: Any) -> str:
    """While an account waits, its right password opens no other door either."""
    settings, thief = _settings(lab), lab.ordinary()
    thief.peer = _anywhere()
    new = {"current": thief.password, "password": f"{WRONG} Vq7!"}
    with lab.paced():
        _fail(lab, thief.email, times=settings.free)
        visitor = lab.visitor(peer=_anywhere())
        form = [(lab.policy.of(_csrf().Settings).field, visitor.token())]
        form += [("email", thief.email), ("password", thief.password)]
        page = [("Accept", "text/html"), *visitor.from_here]
        doors = {
            "the sign-in page": visitor.send("POST", lab.url("sign_in"), form=form, headers=page),
            "changing the password": thief.act("POST", lab.api("change_password"), json=new),
        }
        for what, reply in doors.items():
            _unobstructed(reply)
            if reply.status != 429 or reply.header("retry-after") != str(settings.first):
                raise Broken(f"{what}: {reply}, Retry-After {reply.header('retry-after')!r}")
        lab.clock.advance(settings.first)
        reply = thief.act("POST", lab.api("change_password"), json={**new, "current": WRONG})
        if reply.status != 401:
            raise Broken(f"guessing with a session, after the wait: {reply}")
        _expect("signing in after that guess", _try(lab, thief.email, thief.password), lockout.WAIT)
    return f"{' and '.join(doors)}: 429, and a guess there counts here"


@probe("medium", "S1-138")
def slowing_down_is_told_once(lab: Any) -> str:
    """The failure that begins the waiting raises an alarm; a flood behind it adds nothing to the log."""
    settings, person = _settings(lab), lab.person()
    with lab.paced():
        _fail(lab, person.email, times=settings.free)
        lab.clock.advance(1)
        before = len(lab.audit(limit=1000))
        for _ in range(2 * settings.free):
            _fail(lab, person.email)
        flood = len(lab.audit(limit=1000)) - before
    alarms = lab.audit(action="authn_login_lock", entity_id=person.id)
    logged = [line for line in lab.logs.lines if "bylaw.lockout" in line and person.id in line]
    if len(alarms) != 1 or len(logged) != 1 or not logged[0].startswith("WARNING"):
        raise Broken(f"{len(alarms)} records and {len(logged)} warnings of {settings.free} failures")
    if flood or person.email in logged[0]:
        raise Broken(f"{flood} records of tries that were not taken, or the log names the address")
    return f"{settings.free} failures: one record, one warning; {2 * settings.free} refused tries: none"


@probe("high", "S1-156")
def a_forgotten_device_is_a_stranger(lab: Any) -> str:
    """Once its owner forgets a device, its cookie counts for nothing; nobody forgets another's."""
    settings, owner, other = _settings(lab), lab.person(), lab.person()
    with lab.paced():
        for client in (owner, other):
            client.peer = _anywhere()
            _unobstructed(lab.sign_in(client))
        jar = {k: v for k, v in owner.cookies.items() if k != lab.cookie}
        listed = owner.get(lab.api("devices")).json()["devices"]
        if [(d["current"], d["address"]) for d in listed] != [(True, owner.peer)]:
            raise Broken(f"the owner's devices are shown as {listed}")
        other.act("POST", lab.api("devices"), json={"device": listed[0]["id"]})
        _fail(lab, owner.email, times=settings.free)
        if _try(lab, owner.email, owner.password, jar=jar).status != 200:
            raise Broken("a device that nobody forgot has to wait")
        reply = owner.act("POST", lab.api("devices"), json={"device": listed[0]["id"]})
        if reply.status != 200 or owner.get(lab.api("devices")).json()["devices"]:
            raise Broken(f"the device is not forgotten: {reply}")
        _expect("the forgotten device", _try(lab, owner.email, owner.password, jar=jar), lockout.WAIT)
    return "known, and let in while strangers waited; forgotten, and made to wait like them"


@probe("high", "S1-156", "C-12")
def the_owner_is_let_in_by_mail(lab: Any) -> str:
    """Long guessing is told to the owner once; the mailed link lets one browser try, once, and no other."""
    settings, person = _settings(lab), lab.person()
    with lab.paced():
        for _ in range(settings.most):
            _fail(lab, person.email)
            lab.clock.advance(settings.longest)
        told = _mails(lab, person)
        if not 1 <= len(told) <= 1 + settings.most * settings.longest // 86400:
            raise Broken(f"{len(told)} mails of {settings.most} failures")
        token = _token(lab, told[-1])
        lab.clock.advance(-settings.longest)  # the link is as old as the last failure
        visitor = lab.visitor(peer=_anywhere())
        for _ in range(2):
            seen = visitor.page(f"{lab.url('unlock_link')}?token={token}")
            if seen.status != 200 or seen.all("set-cookie") != _visits(lab, seen):
                raise Broken(f"looking at the link: {seen}")
        _expect("after looking", _try(lab, person.email, person.password), lockout.SHUT)
        opened = [
            visitor.send("POST", lab.api("unlock_link"), headers=visitor.from_here, json={"token": token})
            for _ in range(2)
        ]
        if [reply.status for reply in opened] != [200, lockout.LINK.status]:
            raise Broken(f"the link, used twice: {opened}")
        if lab.whoami(visitor).status != 401:
            raise Broken("the link signs somebody in, without a password")
        _expect("another browser", _try(lab, person.email, person.password), lockout.SHUT)
        wrong = _try(lab, person.email, WRONG, jar=visitor.cookies)
        if wrong.status != 401 or _try(lab, person.email, person.password, jar=visitor.cookies).status != 200:
            raise Broken("the owner is not let in by the link")
        _expect("another browser, then", _try(lab, person.email, person.password), lockout.SHUT)
    return f"{len(told)} mail(s) of {settings.most} failures; its link let one browser try, once"


@probe("high", "C-41")
def asking_for_a_link_tells_nothing(lab: Any) -> str:
    """Who asks for a link gets one answer for every address; a mail goes to owners alone, a few a day."""
    settings = _settings(lab)
    waiting, calm, nobody = lab.person(), lab.person(), lab.person().email.replace("@", "-x@")
    answers: dict[str, set[str]] = {}
    with lab.paced():
        for email in (waiting.email, nobody):
            _fail(lab, email, times=settings.free)
        for email in (waiting.email, calm.email, nobody, "no address"):
            for _ in range(LINKS + 1):
                visitor = lab.visitor(peer=_anywhere())
                reply = visitor.send(
                    "POST", lab.api("unlock"), headers=visitor.from_here, json={"email": email}
                )
                _unobstructed(reply)
                headers = sorted(key.lower() for key, _ in reply.headers)
                answers.setdefault(f"{reply.status} {reply.text} {headers}", set()).add(email)
    sent, told = len(_mails(lab, waiting)), len(_mails(lab, calm))
    if len(answers) != 1 or not next(iter(answers)).startswith("202"):
        raise Broken(f"{len(answers)} different answers: {list(answers)[:2]}")
    if not 1 <= sent <= LINKS or told or any(m["To"] == nobody for m in lab.mail()):
        raise Broken(f"{sent} mails to whoever must wait, {told} to whoever need not")
    return f"one answer to {4 * (LINKS + 1)} requests; {sent} mails, all to whoever must wait"


def _mails(lab: Any, person: Any) -> list[Any]:
    """Mails to a person that hold a link to try the password."""
    return [m for m in lab.mail() if m["To"] == person.email and lab.url("unlock_link") in _text(m)]


def _text(message: Any) -> str:
    return str((message.get_body(("plain",)) or message).get_content())


def _token(lab: Any, message: Any) -> str:
    found = re.search(re.escape(lab.url("unlock_link")) + r"\?token=([\w-]+)", _text(message))
    if found is None:
        raise Broken("the mail has no link to try the password")
    return found[1]


def _visits(lab: Any, reply: Any) -> list[str]:
    """The cookies of an answer that only tell a visit from another."""
    visitor = cookies.name(lab.policy, cookies.VISITOR)
    return [cookie for cookie in reply.all("set-cookie") if cookie.startswith(f"{visitor}=")]


def _csrf() -> Any:
    return sys.modules["bylaw.controls.csrf"]


PROBES: Final = (
    guessing_takes_longer_each_time,
    guessing_ends,
    at_once_is_one_by_one,
    strangers_do_not_lock_the_owner_out,
    waiting_tells_nothing,
    an_address_may_fail_only_so_often,
    every_door_waits,
    slowing_down_is_told_once,
    a_forgotten_device_is_a_stranger,
    the_owner_is_let_in_by_mail,
    asking_for_a_link_tells_nothing,
)
