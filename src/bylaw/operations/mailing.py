"""Mail: written in the transaction of what it announces, and sent by a chore (see `chores.send`).

What waits is encrypted: a copy of the table, or of a backup, holds no link that opens anything (C-40).
"""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import formatdate
from functools import cache
from typing import Final
from urllib.parse import urlsplit

from jinja2 import Environment, PackageLoader, StrictUndefined, Template
from sqlalchemy import Connection

from bylaw.controls import audit, email, passwords
from bylaw.house import House
from bylaw.store import mail_counts, outbox, users
from bylaw.store.outbox import Waiting

log = logging.getLogger("bylaw.mail")

PURPOSE: Final = "mail"
"""Of the key that waiting mail is encrypted with, and of the one that counts recipients."""
_LONGEST_LINE: Final = 998  # RFC 5322 section 2.1.1
_SLACK: Final = 0.001
"""Seconds by which sums of fractions of an hour may be off."""


@dataclass(frozen=True, slots=True)
class Link:
    """A link in a mail: what it does, in words, and its whole address."""

    label: str
    url: str


@dataclass(frozen=True, slots=True)
class Content:
    """What a message says: the same as text and as HTML."""

    text: str
    html: str


def post(
    house: House,
    connection: Connection,
    *,
    to: str,
    subject: str,
    paragraphs: Sequence[str],
    link: Link | None = None,
) -> bool:
    """Have a message sent once this transaction is there. The link stands after the first paragraph.

    `to` is an address in its one form (`signup.address`). False where the recipient has had as many mails
    with this subject within the hour as [email] lets one have: the message is dropped, with a record. Each
    subject counts by itself, so that nobody can keep the news of a new password from its owner by asking
    for ten links first. Nor is anything sent to an account that has no address.
    """
    if not email.reachable(to):
        return False
    subject = " ".join(audit.printable(subject, 200).split())
    if not _within_budget(house, connection, to, subject):
        owner = users.by_email(connection, to)
        audit.record(
            house,
            connection,
            action="mail_withheld",
            outcome="refused",
            actor="",
            entity_type="user",
            entity_id=owner.id if owner is not None else "",
            changes={"subject": subject},
        )
        return False
    number = house.ports.entropy(16).hex()
    message_id = f"<{number}@{urlsplit(house.policy.app.origin).hostname}>"
    said = {"text": _text(paragraphs, link), "html": _html(house, subject, paragraphs, link)}
    text = house.keys.encrypt(
        PURPOSE, json.dumps(said).encode(), bound=_bound(message_id, to), entropy=house.ports.entropy
    )
    outbox.add(connection, to=to, subject=subject, text=text, message_id=message_id, now=house.now())
    return True


def address_of(house: House, *path: str) -> str:
    """The whole address of one of bylaw's own pages: of the policy's base_url, whatever a request says."""
    return "/".join((f"{house.policy.app.origin}{house.policy.pages.prefix}", *path))


def regain(house: House) -> str:
    """What comes first for whoever finds somebody else in his account: part of a sentence."""
    return "change your password" if passwords.on(house.policy) else "end your other sessions"


def _within_budget(house: House, connection: Connection, to: str, subject: str) -> bool:
    """Whether the recipient may have another one, which is counted (GCRA: the budget fills up evenly)."""
    settings = house.policy.of(email.Settings)
    if settings.off or not house.paced:
        return True
    keys = house.keys.seals(PURPOSE, f"{to} {subject}")
    now, each = house.now(), 3600 / settings.per_recipient
    whole = max(mail_counts.hold(connection, keys), now)
    if whole - now > (settings.per_recipient - 1) * each + _SLACK:
        return False
    mail_counts.put(connection, keys[0], whole + each)
    return True


def _text(paragraphs: Sequence[str], link: Link | None) -> str:
    lines = list(paragraphs)
    if link is not None:
        lines.insert(1, f"{link.label}:\n{link.url}")
    return "\n\n".join(lines) + "\n"


def _html(house: House, subject: str, paragraphs: Sequence[str], link: Link | None) -> str:
    """The same for people who like buttons: nothing in it is loaded, nothing tells who read it."""
    app, origin = house.policy.app.name, house.policy.app.origin
    return _layout().render(subject=subject, paragraphs=paragraphs, link=link, app=app, origin=origin)


@cache
def _layout() -> Template:
    return Environment(
        loader=PackageLoader("bylaw.operations"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    ).get_template("mail.html")


def _bound(message_id: str, to: str) -> str:
    """Where a waiting message belongs: whoever can write to the table cannot send it to somebody else."""
    return f"{message_id} {to}"


def opened(house: House, waiting: Waiting) -> Content:
    """What a waiting message says. Raises keys.Unreadable."""
    plain, _ = house.keys.decrypt(PURPOSE, waiting.text, bound=_bound(waiting.message_id, waiting.recipient))
    return Content(**json.loads(plain))


AGAIN: Final = (
    "This mail may have reached you before: sending it was interrupted, and nobody knows whether it arrived."
)


def message(house: House, waiting: Waiting) -> EmailMessage:
    """The message as it is sent. Each attempt has the same Message-ID and date, and one that may be a second
    copy says so. Raises keys.Unreadable; ValueError for an address that no header can hold."""
    content = opened(house, waiting)
    text, html = content.text, content.html
    made = EmailMessage(policy=SMTP)
    made["From"] = house.policy.mail.sender
    made["To"] = Address(addr_spec=waiting.recipient)
    made["Subject"] = waiting.subject
    made["Date"] = formatdate(waiting.created_at)
    made["Message-ID"] = waiting.message_id
    # No robot answers a robot, and no holiday notice tells a stranger who is away (RFC 3834 section 5).
    made["Auto-Submitted"] = "auto-generated"
    made["X-Auto-Response-Suppress"] = "All"
    if waiting.claimed:
        made["X-Sent-Before"] = "perhaps"
        text = f"{text}\n{AGAIN}\n"
        html = html.replace("</div>\n</body>", f'<p class="small">{AGAIN}</p>\n</div>\n</body>')
    made.set_content(text, cte=_encoding(text))
    made.add_alternative(html, subtype="html", cte=_encoding(html))
    return made


def _encoding(text: str) -> str:
    """How text is sent so that every server on the way takes it, also one without 8BITMIME."""
    short = all(len(line) < _LONGEST_LINE for line in text.splitlines())
    return "7bit" if text.isascii() and short else "quoted-printable"
