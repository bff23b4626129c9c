"""Attacks on the mailed link that lets the owner in."""

from __future__ import annotations

import re
from typing import Any, Final

from bylaw.control import Broken, probe
from bylaw.controls import cookies, lockout
from bylaw.controls.lockout.probes.common import (
    WRONG,
    anywhere,
    expect,
    fail,
    settings_of,
    try_password,
    unobstructed,
)

LINKS: Final = 5
"""Links a day at most that one account is sent."""


@probe("high", "S1-156", "C-12")
def the_owner_is_let_in_by_mail(lab: Any) -> str:
    """Long guessing is told to the owner once; the mailed link lets one browser try, once, and no other."""
    settings, person = settings_of(lab), lab.person()
    with lab.paced():
        for _ in range(settings.most):
            fail(lab, person.email)
            lab.clock.advance(settings.longest)
        told = _mails(lab, person)
        if not 1 <= len(told) <= 1 + settings.most * settings.longest // 86400:
            raise Broken(f"{len(told)} mails of {settings.most} failures")
        token = _token(lab, told[-1])
        lab.clock.advance(-settings.longest)  # the link is as old as the last failure
        visitor = lab.visitor(peer=anywhere())
        for _ in range(2):
            seen = visitor.page(f"{lab.url('unlock_link')}?token={token}")
            if seen.status != 200 or seen.all("set-cookie") != _visits(lab, seen):
                raise Broken(f"looking at the link: {seen}")
        expect("after looking", try_password(lab, person.email, person.password), lockout.SHUT)
        opened = [
            visitor.send("POST", lab.api("unlock_link"), headers=visitor.from_here, json={"token": token})
            for _ in range(2)
        ]
        if [reply.status for reply in opened] != [200, lockout.LINK.status]:
            raise Broken(f"the link, used twice: {opened}")
        if lab.whoami(visitor).status != 401:
            raise Broken("the link signs somebody in, without a password")
        expect("another browser", try_password(lab, person.email, person.password), lockout.SHUT)
        wrong = try_password(lab, person.email, WRONG, jar=visitor.cookies)
        if (
            wrong.status != 401
            or try_password(lab, person.email, person.password, jar=visitor.cookies).status != 200
        ):
            raise Broken("the owner is not let in by the link")
        expect("another browser, then", try_password(lab, person.email, person.password), lockout.SHUT)
    return f"{len(told)} mail(s) of {settings.most} failures; its link let one browser try, once"


@probe("high", "C-41")
def asking_for_a_link_tells_nothing(lab: Any) -> str:
    """Who asks for a link gets one answer for every address; a mail goes to owners alone, a few a day."""
    settings = settings_of(lab)
    waiting, calm, nobody = lab.person(), lab.person(), lab.person().email.replace("@", "-x@")
    answers: dict[str, set[str]] = {}
    with lab.paced():
        for email in (waiting.email, nobody):
            fail(lab, email, times=settings.free)
        for email in (waiting.email, calm.email, nobody, "no address"):
            for _ in range(LINKS + 1):
                visitor = lab.visitor(peer=anywhere())
                reply = visitor.send(
                    "POST", lab.api("unlock"), headers=visitor.from_here, json={"email": email}
                )
                unobstructed(reply)
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
