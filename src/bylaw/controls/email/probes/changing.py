"""Attacks on whose an address is: changed, taken, spelt otherwise."""

from __future__ import annotations

import sys
from typing import Any, Final

from bylaw.control import Broken, probe
from bylaw.controls.email.probes.common import (
    LINK,
    PASSWORD,
    mail_to,
    mailed_secret,
    new_address,
    said,
    standard,
    use_link,
)
from bylaw.store import users

_SPELLINGS: Final = (
    "{upper}",
    "{local}@{upper_domain}",
    "{local}@{wide_domain}",
    "{local}@{domain}\u3002",
    "{wide_local}@{domain}",
    "{dotless}@{domain}",
    '"{local}"@{domain}',
    "{local}@{domain}.",
    " {local}@{domain}",
    "{local}@{domain}\n",
    "{local}@{domain}\r\nBcc: m@people.test",
    "{local}\u200b@{domain}",
    "<{local}@{domain}>",
    "{local}@{domain},m@people.test",
)
"""Ways to write somebody else's address, among them what another program might fold into it."""


@probe("critical", "C-05", "C-10")
def an_address_changes_when_its_owner_says_so(lab: Any) -> str:
    """Another address takes a late proof, the link mailed to it and a session; the old one is told twice."""
    with standard(lab):
        who = lab.ordinary()
        other, new = lab.visitor(), new_address()
        other.id = who.id
        lab.open_session(other)
        fresh = lab.policy.of(sys.modules["bylaw.controls.mfa"].Settings).fresh
        lab.clock.advance(fresh + 1)
        reply = who.act("POST", lab.api("change_email"), json={"email": new})
        if reply.status != 401 or mail_to(lab, new):
            raise Broken(f"asked for in a session without a late proof: {reply}")
        lab.open_session(who)
        lab.open_session(other)
        if who.act("POST", lab.api("change_email"), json={"email": new}).status != 202:
            raise Broken("asking for another address was refused")
        secret, told = mailed_secret(lab, new), len(mail_to(lab, who.email))
        if lab.whoami(who).json()["email"] != who.email or told != 1:
            raise Broken(
                f"before the new owner spoke the address is changed, or {told} mails told the old one"
            )
        reply = use_link(lab, who, secret)
        after = lab.whoami(who)
        if reply.status != 200 or after.status != 200 or after.json()["email"] != new:
            raise Broken(f"with the link: {reply}, then {after}")
        if lab.whoami(other).status != 401:
            raise Broken("another session of the account goes on")
        if len(mail_to(lab, who.email)) != 2:
            raise Broken("the old address was not told that it was changed")
    return "no late proof: 401; then one mail to each side; after the link the old one was told again"


@probe("high", "C-41", "A019")
def a_taken_address_is_not_told_here_either(lab: Any) -> str:
    """Whoever asks for a taken address gets the answer that a free one gets; its owner gets a mail."""
    with standard(lab):
        who, owner, free = lab.ordinary(), lab.person(), new_address()
        seen = []
        for email in (owner.email, free):
            reply = who.act("POST", lab.api("change_email"), json={"email": email})
            state = who.get(lab.api("change_email")).text.replace(email, "…")
            headers = sorted(key.lower() for key, _ in reply.headers)
            seen.append((reply.status, reply.body, headers, state))
        if seen[0] != seen[1] or seen[0][0] != 202:
            raise Broken(f"taken: {seen[0]}, free: {seen[1]}")
        told = mail_to(lab, owner.email)
        if len(told) != 1 or LINK.search(said(told[0])):
            raise Broken(f"the owner of the taken address got {len(told)} mails, or a link")
    return "both 202 and shown alike; the owner was told, without a link"


@probe("high", "S1-090", "C-10")
def nobody_else_is_reached_by_spelling(lab: Any) -> str:
    """No way to write somebody's address signs up, or changes to, a second account of it."""
    with standard(lab):
        who, victim = lab.ordinary(), lab.person(email=new_address())
        local, _, domain = victim.email.partition("@")
        parts = {
            "local": local,
            "domain": domain,
            "upper": victim.email.upper(),
            "upper_domain": domain.upper(),
            "wide_domain": "".join(chr(ord(c) + 0xFEE0) if c.isalpha() else c for c in domain),
            "wide_local": "".join(chr(ord(c) + 0xFEE0) if c.isalpha() else c for c in local),
            "dotless": local.replace("i", "\u0131"),
        }
        before = _count(lab)
        for spelling in _SPELLINGS:
            email = spelling.format(**parts)
            for reply in (
                _tried(lab, email),
                who.act("POST", lab.api("change_email"), json={"email": email}),
            ):
                if reply.status not in (202, 400, 422):
                    raise Broken(f"{email!r}: {reply}")
        mails = [m for m in lab.mail() if LINK.search(said(m)) and m["To"] != victim.email]
        if _count(lab) != before or [m for m in mails if local in str(m["To"])]:
            raise Broken(f"{_count(lab) - before} accounts more, or a link went to a look-alike")
        if any(LINK.search(said(m)) for m in mail_to(lab, victim.email)):
            raise Broken("the owner was mailed a link that confirms somebody else's account")
    return f"{len(_SPELLINGS)} spellings at both doors: no account, no link"


def _tried(lab: Any, email: str) -> Any:
    visitor = lab.visitor()
    body = {"email": email, "name": "", "password": PASSWORD}
    return visitor.send("POST", lab.api("sign_up"), headers=visitor.from_here, json=body)


def _count(lab: Any) -> int:
    with lab.site.house.store.reading() as connection:
        return users.count(connection)
