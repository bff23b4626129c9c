"""Attacks on how a session begins."""

from __future__ import annotations

from typing import Any

from bylaw.control import Broken, CouldNotLook, probe
from bylaw.controls.sessions.owing import OWED, PAGES
from bylaw.controls.sessions.probes.common import as_somebody, go_on
from bylaw.identity import UNFINISHED
from bylaw.keys import digest


@probe("critical", "S1-003", "C-32")
def half_a_sign_in_opens_nothing(lab: Any) -> str:
    """A session that still owes something is nobody's: no route answers it, until it owes nothing."""
    asked = 0
    owing = [owed for owed in OWED if PAGES[owed] in lab.site.pages.urls]
    for owed in owing:
        person = lab.person()
        secret = lab.open_session(person, owes=[owed])
        person.token_page = lab.url(PAGES[owed])
        if as_somebody(lab, secret):
            raise Broken(f"a session that owes {owed!r} is somebody's")
        for method, path, rule in lab.routes():
            if rule.kind in ("public", "owing") or set("{<*") & set(path) or method != "GET":
                continue
            asked += 1
            reply = person.get(path, keep=False)
            # Where credentials are borne a session says nothing, finished or not.
            if reply.status != 401 or (reply.code != UNFINISHED.code and not lab.borne(path)):
                raise Broken(f"{method} {path} answers a session that owes {owed!r}: {reply}")
        opened = go_on(lab, digest(secret), done=[owed])
        if not as_somebody(lab, opened.secret) or as_somebody(lab, secret):
            raise Broken(f"what owed {owed!r} and owes it no more is nobody's, or its old id is somebody's")
    return f"{asked} requests of {len(owing)} sessions that owed something, none answered"


@probe("medium", "S1-003")
def a_new_device_is_told_of(lab: Any) -> str:
    """A sign-in from a device that has not been there before is told to the account's owner by mail."""
    owner = lab.person()
    for what, jar, told in (
        ("the very first sign-in", {}, 0),
        ("the same device", None, 0),
        ("another device", {}, 1),
        ("that one again", None, 1),
    ):
        owner.cookies = {k: v for k, v in owner.cookies.items() if k != lab.cookie} if jar is None else jar
        if lab.sign_in(owner).status != 200:
            raise CouldNotLook("nobody can sign in")
        mails = [m for m in lab.mail() if m["To"] == owner.email and lab.url("sessions") in str(m)]
        if len(mails) != told:
            raise Broken(f"after {what}: {len(mails)} mails of a new device, not {told}")
    return "two devices, one mail: about the second"
