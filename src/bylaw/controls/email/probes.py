"""Attacks on the running application by way of mail and addresses."""

from __future__ import annotations

import itertools
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from email.message import EmailMessage
from typing import Any, Final

from bylaw.control import Broken, probe
from bylaw.keys import digest
from bylaw.store import users
from bylaw.store.users import User

PASSWORD: Final = "Vq7! mZ4_kRw8-tYp2"  # noqa: S105 - of people who exist only in a laboratory
_people: Final = itertools.count(1)
_LINK: Final = re.compile(r"https?://\S+?(/[^\s/]+)*/confirm-email/([\w-]{43})")
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


_BLANK: Final[tuple[object, ...]] = ("", " ", None, 0, True, [], {}, "null")


class _Killed(BaseException):
    """The process is gone."""


def _email() -> Any:
    return sys.modules["bylaw.controls.email"]


def _operations(name: str) -> Any:
    return sys.modules[f"bylaw.operations.{name}"]


@contextmanager
def _standard(lab: Any) -> Iterator[Any]:
    """The laboratory where strangers may sign up, and must confirm; no factor is asked for besides."""
    signup, mfa = sys.modules["bylaw.controls.signup"], sys.modules["bylaw.controls.mfa"]
    email = _email()
    with (
        lab.under(signup.Settings, open=True, off=False),
        lab.under(mfa.Settings, required=()),
        lab.under(email.Settings, confirm=True, off=False),
    ):
        yield lab.site.house.policy.of(email.Settings)


def _address() -> str:
    return f"mira{next(_people)}@people.test"


def _sign_up(lab: Any, email: str, name: str = "") -> Any:
    """Somebody who has signed up, and a browser of his without a session."""
    visitor = lab.visitor()
    body = {"email": email, "name": name, "password": PASSWORD}
    reply = visitor.send("POST", lab.api("sign_up"), headers=visitor.from_here, json=body)
    if reply.status != 202:
        raise Broken(f"a plain sign-up: {reply}")
    visitor.email, visitor.password = email, PASSWORD
    return visitor


def _signed_up(lab: Any) -> tuple[Any, str]:
    """The same, having given the right password, and the secret that was mailed to him."""
    who = _sign_up(lab, _address())
    secret = _secret(lab, who.email)
    _sign_in(lab, who)
    return who, secret


def _sign_in(lab: Any, who: Any) -> None:
    reply = lab.sign_in(who)
    if reply.status != 200:
        raise Broken(f"the right password of a new account: {reply}")
    who.token_page = lab.url("confirm_email")
    who.id = _user(lab, who.email).id


def _user(lab: Any, email: str) -> User:
    with lab.site.house.store.reading() as connection:
        found = users.by_email(connection, email)
    if found is None:
        raise Broken("the account is not there")
    return found


def _mail(lab: Any, to: str) -> list[EmailMessage]:
    return [message for message in lab.mail() if message["To"] == to]


def _said(message: EmailMessage) -> str:
    body = message.get_body(("plain",))
    return str(body.get_content()) if body is not None else ""


def _secret(lab: Any, to: str) -> str:
    """The secret of the newest link that was mailed to an address."""
    for message in reversed(_mail(lab, to)):
        if match := _LINK.search(_said(message)):
            return match[2]
    raise Broken(f"no link was mailed; {len(_mail(lab, to))} mails")


def _use(lab: Any, who: Any, secret: object) -> Any:
    return who.act("POST", lab.api("confirm_email"), json={"token": secret})


def _confirmed(lab: Any, email: str) -> bool:
    return _user(lab, email).confirmed_at is not None


@probe("critical", "C-10", "A088")
def an_unconfirmed_account_opens_nothing(lab: Any) -> str:
    """Whoever signed up is nobody to the application until the address is confirmed."""
    with _standard(lab):
        who, secret = _signed_up(lab)
        for what, reply in {
            "who he is": lab.whoami(who),
            "his sessions": who.get(lab.api("sessions")),
            "changing the address": who.act("POST", lab.api("change_email"), json={"email": _address()}),
        }.items():
            if reply.status != 401:
                raise Broken(f"without confirming, {what}: {reply}")
        reply = _use(lab, who, secret)
        if reply.status != 200 or lab.whoami(who).status != 200 or not _confirmed(lab, who.email):
            raise Broken(f"with the mailed link and the password: {reply}")
    return "three doors shut before, and open after the mailed link and the password together"


@probe("critical", "C-10")
def opening_a_link_confirms_nothing(lab: Any) -> str:
    """An owner's click, or a mail scanner's, does not make a stranger's password good for the address."""
    with _standard(lab):
        stranger, secret = _signed_up(lab)
        page = f"{lab.url('confirm_email')}/{secret}"
        owner, neighbour = lab.visitor(), lab.ordinary()
        for number in range(3):
            for method, client in (("GET", owner), ("HEAD", owner), ("GET", neighbour)):
                reply = client.send(method, page, headers=[("Accept", "text/html")])
                where = reply.header("location").partition("?")[0]
                if reply.status != 303 or secret in where or not where.startswith("/"):
                    raise Broken(f"opening it ({number + 1}): {reply} to {where}")
        if _confirmed(lab, stranger.email) or lab.whoami(stranger).status != 401:
            raise Broken("looking at the link has confirmed the account")
        for what, client in (("nobody", owner), ("somebody else", neighbour)):
            headers = client.from_here
            if client is neighbour:
                headers = [*headers, (client.token_header, client.token())]
            body = {"token": secret}
            reply = client.send("POST", lab.api("confirm_email"), headers=headers, json=body)
            if reply.status < 400 or _confirmed(lab, stranger.email):
                raise Broken(f"{what} used the link: {reply}")
        if _use(lab, stranger, secret).status != 200:
            raise Broken("after all this the link does not open its own account any more")
    return "nine looks and two tries by others changed nothing; the link still opened its own account"


@probe("high", "C-40", "A010", "A013")
def a_link_opens_once_and_not_for_ever(lab: Any) -> str:
    """A link that was used, is too old or was followed by a newer one opens nothing; nor does a blank one."""
    with _standard(lab) as settings:
        used, first = _signed_up(lab)
        replies = [_use(lab, used, first) for _ in range(2)]
        if [reply.status for reply in replies] != [200, _email().LINK.status]:
            raise Broken(f"used twice: {replies[0]}, {replies[1]}")
        late, second = _signed_up(lab)
        lab.clock.advance(settings.lifetime)
        for client in (used, late):  # no session lives for as long
            _sign_in(lab, client)
        newer, third = _signed_up(lab)
        newer.act("POST", lab.api("send_confirmation"), json={})
        fourth = _secret(lab, newer.email)
        for what, client, secret in (
            ("a link that was used long ago", used, first),
            ("a link that is too old", late, second),
            ("a link before the newest", newer, third),
            ("a link of its digest", newer, digest(fourth)),
        ):
            reply = _use(lab, client, secret)
            if reply.code != _email().LINK.code:
                raise Broken(f"{what}: {reply}")
        for blank in _BLANK:
            reply = _use(lab, newer, blank)
            if not 400 <= reply.status < 500:
                raise Broken(f"the token {blank!r}: {reply}")
        if _confirmed(lab, late.email) or _confirmed(lab, newer.email):
            raise Broken("an account is confirmed after all")
        if _use(lab, newer, fourth).status != 200:
            raise Broken("the newest link does not open its account")
    return "used, too old, superseded, hashed and eight blank ones: refused; the newest: taken"


@probe("critical", "C-05", "C-10")
def an_address_changes_when_its_owner_says_so(lab: Any) -> str:
    """Another address takes a late proof, the link mailed to it and a session; the old one is told twice."""
    with _standard(lab):
        who = lab.ordinary()
        other, new = lab.visitor(), _address()
        other.id = who.id
        lab.open_session(other)
        fresh = lab.policy.of(sys.modules["bylaw.controls.mfa"].Settings).fresh
        lab.clock.advance(fresh + 1)
        reply = who.act("POST", lab.api("change_email"), json={"email": new})
        if reply.status != 401 or _mail(lab, new):
            raise Broken(f"asked for in a session without a late proof: {reply}")
        lab.open_session(who)
        lab.open_session(other)
        if who.act("POST", lab.api("change_email"), json={"email": new}).status != 202:
            raise Broken("asking for another address was refused")
        secret, told = _secret(lab, new), len(_mail(lab, who.email))
        if lab.whoami(who).json()["email"] != who.email or told != 1:
            raise Broken(
                f"before the new owner spoke the address is changed, or {told} mails told the old one"
            )
        reply = _use(lab, who, secret)
        after = lab.whoami(who)
        if reply.status != 200 or after.status != 200 or after.json()["email"] != new:
            raise Broken(f"with the link: {reply}, then {after}")
        if lab.whoami(other).status != 401:
            raise Broken("another session of the account goes on")
        if len(_mail(lab, who.email)) != 2:
            raise Broken("the old address was not told that it was changed")
    return "no late proof: 401; then one mail to each side; after the link the old one was told again"


@probe("high", "C-41", "A019")
def a_taken_address_is_not_told_here_either(lab: Any) -> str:
    """Whoever asks for a taken address gets the answer that a free one gets; its owner gets a mail."""
    with _standard(lab):
        who, owner, free = lab.ordinary(), lab.person(), _address()
        seen = []
        for email in (owner.email, free):
            reply = who.act("POST", lab.api("change_email"), json={"email": email})
            state = who.get(lab.api("change_email")).text.replace(email, "…")
            headers = sorted(key.lower() for key, _ in reply.headers)
            seen.append((reply.status, reply.body, headers, state))
        if seen[0] != seen[1] or seen[0][0] != 202:
            raise Broken(f"taken: {seen[0]}, free: {seen[1]}")
        told = _mail(lab, owner.email)
        if len(told) != 1 or _LINK.search(_said(told[0])):
            raise Broken(f"the owner of the taken address got {len(told)} mails, or a link")
    return "both 202 and shown alike; the owner was told, without a link"


@probe("high", "S1-090", "C-10")
def nobody_else_is_reached_by_spelling(lab: Any) -> str:
    """No way to write somebody's address signs up, or changes to, a second account of it."""
    with _standard(lab):
        who, victim = lab.ordinary(), lab.person(email=_address())
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
        mails = [m for m in lab.mail() if _LINK.search(_said(m)) and m["To"] != victim.email]
        if _count(lab) != before or [m for m in mails if local in str(m["To"])]:
            raise Broken(f"{_count(lab) - before} accounts more, or a link went to a look-alike")
        if any(_LINK.search(_said(m)) for m in _mail(lab, victim.email)):
            raise Broken("the owner was mailed a link that confirms somebody else's account")
    return f"{len(_SPELLINGS)} spellings at both doors: no account, no link"


def _tried(lab: Any, email: str) -> Any:
    visitor = lab.visitor()
    body = {"email": email, "name": "", "password": PASSWORD}
    return visitor.send("POST", lab.api("sign_up"), headers=visitor.from_here, json=body)


def _count(lab: Any) -> int:
    with lab.site.house.store.reading() as connection:
        return users.count(connection)


@probe("high", "C-41")
def mail_is_neither_lost_nor_doubled_in_silence(lab: Any) -> str:
    """A server that is away and a process that dies lose no mail; a copy that may be a second one says so."""
    house, to = lab.site.house, _address()
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
    sent += _mail(lab, to)
    if len(sent) != 2:
        raise Broken(f"{len(sent)} copies were handed over: one before the process died, and one after")
    first, second = sent
    if first["Message-ID"] != second["Message-ID"] or "before" in _said(first):
        raise Broken("the two copies cannot be seen to be one message")
    records = lab.audit(action="mail_sent_again", entity_id=str(first["Message-ID"]))
    if second["X-Sent-Before"] is None or "before" not in _said(second) or len(records) != 1:
        raise Broken("the second copy does not say that it may be one")
    return "away twice, then dead after sending: it came again, said so, and there is a record"


@probe("medium", "C-41")
def nobody_is_flooded(lab: Any) -> str:
    """An address gets so many mails of a kind an hour, however often one asks; other kinds still come."""
    house = lab.site.house
    with _standard(lab) as settings, lab.paced():
        who = _sign_up(lab, _address())
        _sign_in(lab, who)
        with lab.under(sys.modules["bylaw.controls.rate_limits"].Settings, off=True):
            replies = {
                who.act("POST", lab.api("send_confirmation"), json={}).status
                for _ in range(2 * settings.per_recipient)
            }
        got = len(_mail(lab, who.email))
        if replies != {202} or got != settings.per_recipient:
            raise Broken(f"{got} mails of {settings.per_recipient} an hour; answers: {sorted(replies)}")
        if _use(lab, who, _secret(lab, who.email)).status != 200:
            raise Broken("the last link that was mailed opens nothing: asking on has ended it")
        with house.store.transaction() as connection:
            _operations("mailing").post(
                house, connection, to=who.email, subject="News", paragraphs=["News of your account."]
            )
        if len(_mail(lab, who.email)) != got + 1:
            raise Broken("a mail of another kind was kept from its owner")
        if not lab.audit(action="mail_withheld", entity_id=who.id):
            raise Broken("what was dropped left no record")
    return f"{got} of {2 * settings.per_recipient + 1}, then another kind came through; the last link worked"


@probe("high", "C-40")
def mail_carries_nothing_else(lab: Any) -> str:
    """No header, recipient or script comes along with a name or subject; what waits can be read by nobody."""
    house, to = lab.site.house, _address()
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
    messages = _mail(lab, to)
    if len(messages) != 1 or _mail(lab, "m@people.test"):
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
    if link.url not in _said(message) or shown.count(link.url) < 2:
        raise Broken("the link is not there as a button and as text")
    return (
        f"{len(once)} headers once each, the same link in text and HTML, nothing loaded; encrypted meanwhile"
    )


PROBES: Final = (
    an_unconfirmed_account_opens_nothing,
    opening_a_link_confirms_nothing,
    a_link_opens_once_and_not_for_ever,
    an_address_changes_when_its_owner_says_so,
    a_taken_address_is_not_told_here_either,
    nobody_else_is_reached_by_spelling,
    mail_is_neither_lost_nor_doubled_in_silence,
    nobody_is_flooded,
    mail_carries_nothing_else,
)
