"""Attacks on the mail itself: lost, doubled, too much of it, and what comes along."""

from __future__ import annotations

import re
import sys
from contextlib import suppress
from email.message import EmailMessage
from typing import Any

from bylaw.control import Broken, probe
from bylaw.controls.email.probes.common import (
    mail_to,
    mailed_secret,
    new_address,
    said,
    sign_in,
    sign_up,
    standard,
    use_link,
)


class _Killed(BaseException):
    """The process is gone."""


def _operations(name: str) -> Any:
    return sys.modules[f"bylaw.operations.{name}"]


@probe("high", "C-41")
def mail_is_neither_lost_nor_doubled_in_silence(lab: Any) -> str:
    """A server that is away and a process that dies lose no mail; a copy that may be a second one says so."""
    house, to = lab.site.house, new_address()
    chores, real = _operations("chores"), house.mailer
    sent: list[EmailMessage] = []

    def away(message: EmailMessage) -> None:
        raise ConnectionRefusedError

    def dying(message: EmailMessage) -> None:
        sent.append(message)
        raise _Killed

    lab.mail()  # what others have left there
    with house.store.transaction() as connection:
        _operations("mailing").post(house, connection, to=to, subject="A word", paragraphs=["Said once."])
    try:
        for mailer in (away, away, dying):
            house.mailer = mailer
            with suppress(_Killed):
                chores.send(house)
            lab.clock.advance(chores.LEASE)
    finally:
        house.mailer = real
    sent += mail_to(lab, to)
    if len(sent) != 2:
        raise Broken(f"{len(sent)} copies were handed over: one before the process died, and one after")
    first, second = sent
    if first["Message-ID"] != second["Message-ID"] or "before" in said(first):
        raise Broken("the two copies cannot be seen to be one message")
    records = lab.audit(action="mail_sent_again", entity_id=str(first["Message-ID"]))
    if second["X-Sent-Before"] is None or "before" not in said(second) or len(records) != 1:
        raise Broken("the second copy does not say that it may be one")
    return "away twice, then dead after sending: it came again, said so, and there is a record"


@probe("medium", "C-41")
def nobody_is_flooded(lab: Any) -> str:
    """An address gets so many mails of a kind an hour, however often one asks; other kinds still come."""
    house = lab.site.house
    with standard(lab) as settings, lab.paced():
        who = sign_up(lab, new_address())
        sign_in(lab, who)
        with lab.under(sys.modules["bylaw.controls.rate_limits"].Settings, off=True):
            replies = {
                who.act("POST", lab.api("send_confirmation"), json={}).status
                for _ in range(2 * settings.per_recipient)
            }
        got = len(mail_to(lab, who.email))
        if replies != {202} or got != settings.per_recipient:
            raise Broken(f"{got} mails of {settings.per_recipient} an hour; answers: {sorted(replies)}")
        if use_link(lab, who, mailed_secret(lab, who.email)).status != 200:
            raise Broken("the last link that was mailed opens nothing: asking on has ended it")
        with house.store.transaction() as connection:
            _operations("mailing").post(
                house, connection, to=who.email, subject="News", paragraphs=["News of your account."]
            )
        if len(mail_to(lab, who.email)) != got + 1:
            raise Broken("a mail of another kind was kept from its owner")
        if not lab.audit(action="mail_withheld", entity_id=who.id):
            raise Broken("what was dropped left no record")
    return f"{got} of {2 * settings.per_recipient + 1}, then another kind came through; the last link worked"


@probe("high", "C-40")
def mail_carries_nothing_else(lab: Any) -> str:
    """No header, recipient or script comes along with a name or subject; what waits can be read by nobody."""
    house, to = lab.site.house, new_address()
    lab.mail()
    evil = "x\r\nBcc: m@people.test\r\n\r\n<script>alert(1)</script>"
    link = _operations("mailing").Link("Go on", f"{lab.policy.app.origin}/canary-of-mail")
    with house.sending:  # the chores would send it before anybody has looked
        with house.store.transaction() as connection:
            _operations("mailing").post(
                house,
                connection,
                to=to,
                subject=f"Hello {evil}",
                paragraphs=[f"For {evil}.", "Bye."],
                link=link,
            )
        if "canary-of-mail" in lab.dump():
            raise Broken("a mailed link stands in the database for whoever reads a copy")
    messages = mail_to(lab, to)
    if len(messages) != 1 or mail_to(lab, "m@people.test"):
        raise Broken(f"{len(messages)} mails")
    [message] = messages
    html = message.get_body(("html",))
    shown = str(html.get_content()) if html is not None else ""
    once = ("from", "to", "subject", "date", "message-id", "auto-submitted")
    for name in once:
        if len(message.get_all(name) or []) != 1:
            raise Broken(f"the header {name} is there {len(message.get_all(name) or [])} times")
    if message["Bcc"] is not None or "\n" in str(message["Subject"]) or "<script" in shown:
        raise Broken("a header or a script came along")
    if re.search(r"(?i)<(img|script|iframe|form|link|base|object)|url\(|@import", shown):
        raise Broken("the HTML loads something, or asks for something")
    if link.url not in said(message) or shown.count(link.url) < 2:
        raise Broken("the link is not there as a button and as text")
    return (
        f"{len(once)} headers once each, the same link in text and HTML, nothing loaded; encrypted meanwhile"
    )
