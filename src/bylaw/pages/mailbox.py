"""What would have been mailed, in development: the page is not there in production."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from itertools import islice
from pathlib import Path

from bylaw.controls import headers
from bylaw.house import House
from bylaw.identity import AccessRule
from bylaw.keys import Unreadable
from bylaw.operations import mailing
from bylaw.pages.endpoints import Call, Endpoint, Show
from bylaw.store import outbox

MOST = 50
"""Messages that are shown."""
_ADDRESS = re.compile(r"https?://[^\s<>\"]+")


@dataclass(frozen=True, slots=True)
class Mail:
    """One message, as the page shows it."""

    to: str
    subject: str
    date: str
    text: str
    html: str
    links: list[str]
    waits: bool


def _show(call: Call) -> Show:
    # Styles of the mail's own bear the page's nonce: the frame inherits its policy.
    styled = f'<style nonce="{headers.nonce(call.exchange)}">'
    shown = [(mail, mail.html.replace("<style>", styled)) for mail in mails(call.house)]
    return Show("mailbox.html", {"mails": shown, "directory": call.house.policy.mail.directory})


def mails(house: House) -> list[Mail]:
    """What waits and what was written, the newest of each first."""
    return [*_waiting(house), *_written(house)][:MOST]


def _waiting(house: House) -> Iterator[Mail]:
    """What has not left yet, the newest first."""
    with house.store.reading() as connection:
        messages = outbox.newest(connection, MOST)
    for each in messages:
        try:
            yield _mail(mailing.message(house, each), waits=True)
        except (Unreadable, ValueError):
            continue  # of an earlier secret


def _written(house: House) -> Iterator[Mail]:
    """What was written into the directory instead of being sent, the newest first."""
    if house.policy.mail.directory is None:
        return
    files = sorted(Path(house.policy.mail.directory).glob("*.eml"), reverse=True)
    for file in islice(files, MOST):
        yield _mail(message_from_bytes(file.read_bytes(), policy=default), waits=False)


def _mail(message: EmailMessage, *, waits: bool) -> Mail:
    plain, html = message.get_body(("plain",)), message.get_body(("html",))
    text = str(plain.get_content()) if plain is not None else ""
    return Mail(
        to=str(message["To"]),
        subject=str(message["Subject"]),
        date=str(message["Date"]),
        text=text,
        html=str(html.get_content()) if html is not None else "",
        links=list(dict.fromkeys(_ADDRESS.findall(text))),
        waits=waits,
    )


_DEVELOPER = AccessRule("public", because="in development alone; whoever develops is nobody yet")

ENDPOINTS: tuple[Endpoint, ...] = (
    Endpoint("mailbox", "mailbox", "", _DEVELOPER, _show, title="Mail of the development", development=True),
)
