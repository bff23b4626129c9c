"""Attacks by guessing: how long it takes, where it ends, and who pays for it."""

from __future__ import annotations

import itertools
import sys
from typing import Any, Final

from bylaw.control import Broken, probe
from bylaw.controls import cookies, lockout, passwords
from bylaw.controls.lockout.probes.common import (
    WRONG,
    anywhere,
    expect,
    fail,
    hashing_done,
    settings_of,
    try_password,
    unobstructed,
)

AT_ONCE: Final = 24


@probe("critical", "S1-156", "C-12", "A141", "A143")
def guessing_takes_longer_each_time(lab: Any) -> str:
    """After its free failures an account waits, however it is spelt and from everywhere, longer each time."""
    settings, person = settings_of(lab), lab.person()
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
            reply = try_password(lab, next(spellings), WRONG)
            if reply.status != 401:
                raise Broken(f"failure {number + 1} of {settings.free} free ones: {reply}")
        wait = settings.first
        for _ in range(3):
            with hashing_done() as seen:
                expect(
                    "the right password",
                    try_password(lab, next(spellings), person.password),
                    lockout.WAIT,
                    wait,
                )
                lab.clock.advance(wait - 1)
                expect(
                    "a second too early", try_password(lab, person.email, person.password), lockout.WAIT, 1
                )
            if seen:
                raise Broken(f"{len(seen)} hashes while it had to wait")
            lab.clock.advance(1)
            reply = try_password(lab, person.email, WRONG)
            if reply.status != 401:
                raise Broken(f"one more try after {wait} seconds: {reply}")
            wait = min(2 * wait, settings.longest)
        lab.clock.advance(wait)
        if try_password(lab, person.email, person.password).status != 200:
            raise Broken("nobody can sign in after waiting")
        for number in range(settings.free):
            if try_password(lab, person.email, WRONG).status != 401:
                raise Broken(f"after a success failure {number + 1} is not free again")
        expect("after a success and as many failures", try_password(lab, person.email, WRONG), lockout.WAIT)
    return f"{settings.free} free failures, then {settings.first} s, then twice as long; no hash meanwhile"


@probe("critical", "C-12", "A143")
def guessing_ends(lab: Any) -> str:
    """After `most` failures in a row no stranger may try any more, until an administrator unlocks it."""
    settings, person = settings_of(lab), lab.person()
    with lab.paced():
        for number in range(settings.most):
            if fail(lab, person.email) is not passwords.WRONG:
                raise Broken(f"try {number + 1} after the longest wait was not taken")
            lab.clock.advance(settings.longest)
        for days in (0, 30):
            lab.clock.advance(days * 86400)
            with hashing_done() as seen:
                expect("the right password", try_password(lab, person.email, person.password), lockout.SHUT)
            if seen:
                raise Broken("a password was looked at after the last failure that is allowed")
        reply = lab.administrator().act("POST", f"{lab.api('users')}/{person.id}", json={"action": "unlock"})
        if reply.status != 200 or try_password(lab, person.email, person.password).status != 200:
            raise Broken(f"unlocking it does not let anybody in: {reply}")
    return f"{settings.most} failures, then {lockout.SHUT.status} for a month, until it was unlocked"


@probe("critical", "C-12")
def at_once_is_one_by_one(lab: Any) -> str:
    """Guesses that come at the same moment are no more than guesses that come one by one."""
    settings, person = settings_of(lab), lab.person()
    with lab.paced(), hashing_done() as seen:
        replies = lab.burst(lambda number: try_password(lab, person.email, f"{WRONG} {number}"), AT_ONCE)
    strange = [reply for reply in replies if reply.status not in (401, 429, 503)]
    if strange or len(seen) > settings.free:
        raise Broken(f"{len(seen)} passwords were looked at, {settings.free} are free; {strange[:1]}")
    return f"{AT_ONCE} at once, {len(seen)} looked at"


@probe("high", "S1-156", "A145")
def strangers_do_not_lock_the_owner_out(lab: Any) -> str:
    """A browser that signed in before has a count of its own; nobody else's cookie does."""
    settings, owner, other = settings_of(lab), lab.person(), lab.person()
    name = cookies.name(lab.policy, cookies.DEVICE)
    with lab.paced():
        for client in (owner, other):
            client.peer = anywhere()
            reply = lab.sign_in(client)
            unobstructed(reply)
            if reply.status != 200 or not client.cookies.get(name):
                raise Broken(f"signing in leaves no cookie {name}: {reply}")
        fail(lab, owner.email, times=settings.free)
        device = owner.cookies[name]
        number, issued, seal = device.split(".")
        for what, jar in (
            ("no cookie", {}),
            ("a cookie for another account", {name: other.cookies[name]}),
            ("a cookie that was made up", {name: f"{number}.{issued}.{'A' * len(seal)}"}),
            ("a cookie whose number was changed", {name: f"{number[::-1]}.{issued}.{seal}"}),
            ("a cookie that was made to last", {name: f"{number}.{int(issued) + 1}.{seal}"}),
        ):
            expect(what, try_password(lab, owner.email, owner.password, jar=jar), lockout.WAIT)
        if try_password(lab, owner.email, owner.password, jar={name: device}).status != 200:
            raise Broken("strangers have locked the owner out")
        for _ in range(settings.free):
            try_password(lab, owner.email, WRONG, jar={name: device})
        expect(
            "the device's own failures",
            try_password(lab, owner.email, WRONG, jar={name: device}),
            lockout.WAIT,
        )
    return "the owner signed in while strangers had to wait; five other cookies had to wait as well"


@probe("high", "C-12")
def an_address_may_fail_only_so_often(lab: Any) -> str:
    """One password tried at many accounts is ended by the address's own budget, which no success fills."""
    settings, person, own = settings_of(lab), lab.person(), lab.person()
    home = anywhere()
    neighbour, stranger = home.replace("::1", "::dead:beef"), anywhere()
    with lab.paced():
        for number in range(settings.per_address):
            if (
                number == settings.per_address // 2
                and try_password(lab, own.email, own.password, peer=home).status != 200
            ):
                raise Broken("the attacker's own account could not sign in")
            fail(lab, f"target-{number}-{person.email}", address=home)
        for what, peer in (("the address", home), ("its neighbour in the /64", neighbour)):
            with hashing_done() as seen:
                expect(what, try_password(lab, person.email, person.password, peer=peer), lockout.WAIT)
            if seen:
                raise Broken(f"{what}: a password was looked at")
        if try_password(lab, person.email, person.password, peer=stranger).status != 200:
            raise Broken("another address has to wait as well")
        lab.clock.advance(int(lockout.interval(settings)) + 1)
        if try_password(lab, person.email, person.password, peer=neighbour).status != 200:
            raise Broken("the address never gets anything back")
    return f"{settings.per_address} failures of one /64, then it waited; others did not"


@probe("high", "A146")
def every_door_waits(lab: Any) -> str:
    """While an account waits, its right password opens no other door either."""
    settings, thief = settings_of(lab), lab.ordinary()
    thief.peer = anywhere()
    new = {"current": thief.password, "password": f"{WRONG} Vq7!"}
    with lab.paced():
        fail(lab, thief.email, times=settings.free)
        visitor = lab.visitor(peer=anywhere())
        form = [(lab.policy.of(_csrf().Settings).field, visitor.token())]
        form += [("email", thief.email), ("password", thief.password)]
        page = [("Accept", "text/html"), *visitor.from_here]
        doors = {
            "the sign-in page": visitor.send("POST", lab.url("sign_in"), form=form, headers=page),
            "changing the password": thief.act("POST", lab.api("change_password"), json=new),
        }
        for what, reply in doors.items():
            unobstructed(reply)
            if reply.status != 429 or reply.header("retry-after") != str(settings.first):
                raise Broken(f"{what}: {reply}, Retry-After {reply.header('retry-after')!r}")
        lab.clock.advance(settings.first)
        reply = thief.act("POST", lab.api("change_password"), json={**new, "current": WRONG})
        if reply.status != 401:
            raise Broken(f"guessing with a session, after the wait: {reply}")
        expect("signing in after that guess", try_password(lab, thief.email, thief.password), lockout.WAIT)
    return f"{' and '.join(doors)}: 429, and a guess there counts here"


@probe("high", "S1-156")
def a_forgotten_device_is_a_stranger(lab: Any) -> str:
    """Once its owner forgets a device, its cookie counts for nothing; nobody forgets another's."""
    settings, owner, other = settings_of(lab), lab.person(), lab.person()
    with lab.paced():
        for client in (owner, other):
            client.peer = anywhere()
            unobstructed(lab.sign_in(client))
        jar = {k: v for k, v in owner.cookies.items() if k != lab.cookie}
        listed = owner.get(lab.api("devices")).json()["devices"]
        if [(d["current"], d["address"]) for d in listed] != [(True, owner.peer)]:
            raise Broken(f"the owner's devices are shown as {listed}")
        other.act("POST", lab.api("devices"), json={"device": listed[0]["id"]})
        fail(lab, owner.email, times=settings.free)
        if try_password(lab, owner.email, owner.password, jar=jar).status != 200:
            raise Broken("a device that nobody forgot has to wait")
        reply = owner.act("POST", lab.api("devices"), json={"device": listed[0]["id"]})
        if reply.status != 200 or owner.get(lab.api("devices")).json()["devices"]:
            raise Broken(f"the device is not forgotten: {reply}")
        expect("the forgotten device", try_password(lab, owner.email, owner.password, jar=jar), lockout.WAIT)
    return "known, and let in while strangers waited; forgotten, and made to wait like them"


def _csrf() -> Any:
    return sys.modules["bylaw.controls.csrf"]
