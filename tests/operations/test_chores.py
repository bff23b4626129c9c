"""Chores: mail leaves once, and is not lost; what ended is cleared away. On both databases."""

from __future__ import annotations

import smtplib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from email.message import EmailMessage
from typing import Any

import pytest
from sqlalchemy import func, select

from bylaw.house import House
from bylaw.operations import administering, chores, signing_in
from bylaw.operations.administering import SYSTEM
from bylaw.store import outbox, tables
from bylaw.verify.laboratory import Mailbox

PASSWORD = "wide green fields and quiet water"


def write(house: House, count: int = 1) -> None:
    with house.store.transaction() as connection:
        for number in range(count):
            outbox.add(
                connection,
                to=f"p{number}@people.test",
                subject=f"No {number}\r\nBcc: x@people.test",
                text="Text ünd so",
                now=house.now(),
            )


def left(house: House) -> int:
    with house.store.reading() as connection:
        return int(connection.execute(select(func.count()).select_from(tables.outbox)).scalar_one())


class Failing:
    """A mail server that refuses, and says when it was asked."""

    def __init__(self, house: House, error: Callable[[], Exception]) -> None:
        self.house, self.error = house, error
        self.asked: list[float] = []

    def __call__(self, message: EmailMessage) -> None:
        self.asked.append(self.house.now())
        raise self.error()


def advance(house: House, seconds: float) -> None:
    clock: Any = house.ports.clock
    clock.advance(seconds)


def test_mail_leaves_and_is_gone(house: House, mailbox: Mailbox) -> None:
    """What waits is sent in order, a page at a time, and not sent again."""
    write(house, 25)
    assert chores.send(house) == 20
    assert chores.send(house) == 5
    assert chores.send(house) == 0
    assert left(house) == 0
    assert [message["To"] for message in mailbox.messages] == [f"p{n}@people.test" for n in range(25)]


def test_a_message_is_what_was_meant(house: House, mailbox: Mailbox) -> None:
    """From the policy's sender, to one address; a line break in a subject adds no header."""
    write(house)
    chores.send(house)
    [message] = mailbox.messages
    assert message["From"] == house.policy.mail.sender
    assert message["Subject"] == "No 0 Bcc: x@people.test"
    assert message["Bcc"] is None
    assert message.get_content().strip() == "Text ünd so"


@pytest.mark.parametrize(
    "error",
    [
        lambda: OSError("unreachable"),
        lambda: ConnectionRefusedError(),
        lambda: TimeoutError(),
        lambda: smtplib.SMTPServerDisconnected("gone"),
        lambda: smtplib.SMTPRecipientsRefused({}),
    ],
)
def test_mail_that_is_not_taken_waits_longer_each_time(
    house: House, mailbox: Mailbox, error: Callable[[], Exception]
) -> None:
    """An outage of hours loses nothing: each attempt comes later than the last, and then it leaves."""
    server = Failing(house, error)
    house.mailer = server
    write(house)
    began = house.now()
    for _ in range(200):
        assert chores.send(house) == 0
        advance(house, 60)
    tried = [at - began for at in server.asked]
    # Asked once a minute for 200 minutes: at 0 and then at the first minute past 2^n - 1 seconds.
    assert tried == [*range(0, 600, 60), 1080, 2100, 4140, 8220]
    assert left(house) == 1
    house.mailer = mailbox
    advance(house, 86400)
    assert chores.send(house) == 1
    assert len(mailbox.messages) == 1


def test_mail_that_nobody_takes_is_given_up_and_kept(house: House) -> None:
    """After the last attempt it is not tried any more, and stands in the table for the operator."""
    house.mailer = server = Failing(house, lambda: OSError("no"))
    write(house)
    for _ in range(outbox.ATTEMPTS + 5):
        chores.send(house)
        advance(house, 7 * 86400)
    assert len(server.asked) == outbox.ATTEMPTS
    assert left(house) == 1


def test_a_server_that_is_away_is_asked_once_a_round(house: House) -> None:
    """With a hundred messages waiting, one refusal ends the round: nobody waits a hundred times."""
    house.mailer = server = Failing(house, lambda: OSError("no"))
    write(house, 100)
    chores.send(house)
    assert len(server.asked) == 1


def test_one_message_does_not_stop_the_others(house: House, mailbox: Mailbox) -> None:
    """The message whose turn failed waits, and those behind it leave in the next round."""
    refused = iter([OSError("not this one")])

    def picky(message: EmailMessage) -> None:
        error = next(refused, None)
        if error is not None:
            raise error
        mailbox(message)

    house.mailer = picky
    write(house, 3)
    assert chores.send(house) == 0
    assert chores.send(house) == 2
    advance(house, 1)
    assert chores.send(house) == 1
    assert [message["To"][:2] for message in mailbox.messages] == ["p1", "p2", "p0"]


def test_many_processes_send_each_message_once(house: House, mailbox: Mailbox) -> None:
    """Four that read the outbox at the same moment do not send the same mail four times."""
    write(house, 12)
    with ThreadPoolExecutor(4) as pool:
        sent = sum(pool.map(lambda _: chores.send(house), range(4)))
    assert sent == 12
    assert sorted(str(message["To"]) for message in mailbox.messages) == sorted(
        f"p{n}@people.test" for n in range(12)
    )
    assert left(house) == 0


def test_a_claim_is_good_once(house: House) -> None:
    """Whoever read the same number of attempts as another comes second."""
    write(house)
    with house.store.transaction() as connection:
        [(number, attempts, *_)] = outbox.waiting(connection, house.now())
        assert outbox.claim(connection, number, attempts)
        assert not outbox.claim(connection, number, attempts)
        assert outbox.claim(connection, number, attempts + 1)


def test_what_is_done_after_each_reading(house: House, mailbox: Mailbox) -> None:
    """Installed on the feed: last use is written, mail sent, and what ended is cleared away in time."""
    chores.install(house)
    user = administering.create(house, SYSTEM, email="ann@people.test", password=PASSWORD, granted=["user"])
    signing_in.open_session(house, user, method="password")
    write(house)

    def count(table: Any) -> int:
        with house.store.reading() as connection:
            return int(connection.execute(select(func.count()).select_from(table)).scalar_one())

    def due() -> None:
        for chore in house.store.feed.chores:
            chore()

    due()
    assert len(mailbox.messages) == 1
    assert count(tables.sessions) == 1
    administering.set_roles(house, SYSTEM, user.id, ["user", "clerk"])
    assert count(tables.revocations) == 1
    advance(house, 3 * 86400)
    due()
    assert (count(tables.sessions), count(tables.revocations)) == (0, 0)
    signing_in.open_session(house, user, method="password")
    advance(house, chores.TIDY_EVERY - 1)
    due()
    assert count(tables.sessions) == 1
