"""What a process does besides answering: after each reading of the revocation feed."""

from __future__ import annotations

import logging
from email.message import EmailMessage

from bylaw.controls import lockout, sessions
from bylaw.house import House
from bylaw.store import failures, outbox
from bylaw.store import sessions as session_rows

log = logging.getLogger("bylaw.chores")

TIDY_EVERY = 300


def install(house: House) -> None:
    """Have this process write sessions' last use, send waiting mail and clear away what ended."""
    tidied = [0.0]

    def tidy() -> None:
        if house.now() - tidied[0] > TIDY_EVERY:
            tidied[0] = house.now()
            idle = house.policy.of(sessions.Settings).idle + sessions.SLACK
            with house.store.transaction() as connection:
                session_rows.end_expired(connection, house.now(), idle)
                house.store.feed.prune(connection)
                failures.clear(connection, now=house.now(), since=house.now() - lockout.FORGOTTEN)

    def post() -> None:
        send(house)

    house.store.feed.chores = [lambda: sessions.write_seen(house), post, tidy]


def send(house: House) -> int:
    """Send what waits in the outbox; how many messages left.

    A message is claimed before it is sent and dropped after: a crash in between may send it twice,
    never lose it. One that was not taken waits longer each time.
    """
    with house.store.reading() as connection:
        messages = outbox.waiting(connection, house.now())
    left = 0
    for number, attempts, recipient, subject, text in messages:
        with house.store.transaction() as connection:
            if not outbox.claim(connection, number, attempts):
                continue
        try:
            house.mailer(_message(house, recipient, subject, text))
        except OSError as error:
            log.warning("mail %d was not taken and is tried again: %s", number, type(error).__name__)
            break
        with house.store.transaction() as connection:
            outbox.sent(connection, number)
        left += 1
    return left


def _message(house: House, recipient: str, subject: str, text: str) -> EmailMessage:
    message = EmailMessage()
    message["From"] = house.policy.mail.sender
    message["To"] = recipient
    message["Subject"] = " ".join(subject.split())
    message.set_content(text)
    return message
