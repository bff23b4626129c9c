"""Chores: mail leaves, is not lost, and is not doubled in silence; what ended is cleared away. On both
databases."""

from __future__ import annotations

import logging
import smtplib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from email.message import EmailMessage
from typing import Any

import pytest
from sqlalchemy import func, select, update

from bylaw.house import House
from bylaw.keys import KeyRing
from bylaw.operations import administering, chores, granting, mailing, signing_in
from bylaw.operations.administering import SYSTEM
from bylaw.operations.mailing import Link
from bylaw.ports import Deferred, Refusal, Unanswered, nowhere
from bylaw.store import audit as audit_rows
from bylaw.store import outbox, tables
from bylaw.verify.fakes import Mailbox

PASSWORD = "wide green fields and quiet water"


class Killed(BaseException):
    """The process is gone: no code of it runs any more."""


def write(house: House, count: int = 1) -> None:
    with house.store.transaction() as connection:
        for number in range(count):
            mailing.post(
                house,
                connection,
                to=f"p{number}@people.test",
                subject=f"No {number}\r\nBcc: x@people.test",
                paragraphs=["Text ünd so", "Bye."],
                link=Link("Go on", "https://app.lab/on"),
            )


def left(house: House) -> int:
    with house.store.reading() as connection:
        return outbox.count(connection)[0]


def records(house: House, action: str) -> list[dict[str, Any]]:
    with house.store.reading() as connection:
        return audit_rows.rows(connection, action=action)


class Failing:
    """A mail server that refuses, and says when it was asked."""

    def __init__(self, house: House, error: Callable[[], BaseException]) -> None:
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
    write(house, chores.BATCH + 5)
    assert left(house) == chores.BATCH + 5
    assert chores.send(house) == chores.BATCH
    assert chores.send(house) == 5
    assert chores.send(house) == 0
    assert left(house) == 0
    assert [message["To"] for message in mailbox.messages] == [
        f"p{n}@people.test" for n in range(chores.BATCH + 5)
    ]


def test_mail_of_what_was_not_kept_is_never_sent(house: House, mailbox: Mailbox) -> None:
    """A transaction that fails takes its announcement along: nobody reads of what did not happen."""
    with pytest.raises(RuntimeError), house.store.transaction() as connection:
        mailing.post(house, connection, to="a@people.test", subject="Done", paragraphs=["It is done."])
        raise RuntimeError
    assert chores.send(house) == 0
    assert mailbox.messages == []


@pytest.mark.parametrize(
    "error",
    [
        lambda: OSError("unreachable"),
        lambda: ConnectionRefusedError(),
        lambda: TimeoutError(),
        lambda: smtplib.SMTPServerDisconnected("gone"),
        lambda: smtplib.SMTPAuthenticationError(535, b"no"),
        lambda: Deferred("the mail server said 450"),
    ],
)
def test_mail_that_is_not_taken_waits_longer_each_time(
    house: House, mailbox: Mailbox, error: Callable[[], Exception]
) -> None:
    """An outage of hours loses nothing: each attempt comes later than the last, and then it leaves."""
    house.mailer = server = Failing(house, error)
    write(house)
    began = house.now()
    for _ in range(180):
        assert chores.send(house) == 0
        advance(house, 60)
    tried = [at - began for at in server.asked]
    # Asked once a minute: after n attempts at the first minute past 2^n seconds from the last of them.
    assert tried == [0, 60, 120, 180, 240, 300, 420, 600, 900, 1440, 2520, 4620, 8760]
    assert left(house) == 1
    house.mailer = mailbox
    advance(house, chores.LONGEST_WAIT)
    assert chores.send(house) == 1
    [message] = mailbox.messages
    assert message["X-Sent-Before"] is None  # nobody had taken it: it is the first


def test_mail_that_nobody_takes_in_two_days_is_given_up(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    """After the last attempt it is gone, with a record and an error in the log that names its number: its
    link has ended, and it is about a person."""
    house.mailer = server = Failing(house, lambda: OSError("no"))
    user = administering.create(house, SYSTEM, email="p0@people.test", password=PASSWORD, granted=["user"])
    write(house)
    with house.store.reading() as connection:
        [message] = outbox.newest(connection, 1)
    began = house.now()
    with caplog.at_level(logging.ERROR):
        for _ in range(chores.ATTEMPTS + 5):
            chores.send(house)
            advance(house, chores.LONGEST_WAIT + 1)
    assert len(server.asked) == chores.ATTEMPTS
    assert server.asked[-1] - began > 2 * 86400
    assert left(house) == 0
    [record] = records(house, "mail_given_up")
    assert (record["outcome"], record["entity_id"]) == ("failure", message.message_id)
    assert record["changes"] == {
        "to": user.id,
        "subject": "No 0??Bcc: x@people.test",
        "attempts": chores.ATTEMPTS,
        "why": "OSError",
    }
    assert message.number in caplog.text
    assert "p0@people.test" not in caplog.text
    assert house.counts["mail.given_up"] == 1


def test_what_is_refused_for_good_is_given_up_at_once(house: House, mailbox: Mailbox) -> None:
    """A mailbox that is not there is asked once, with a record; mail behind it leaves in the same round."""

    def picky(message: EmailMessage) -> None:
        if message["To"] == "p0@people.test":
            raise Refusal("the mail server said 550")
        mailbox(message)

    house.mailer = picky
    write(house, 3)
    assert chores.send(house) == 2
    assert left(house) == 0
    [record] = records(house, "mail_given_up")
    assert (record["changes"]["why"], record["changes"]["attempts"]) == ("the mail server said 550", 1)


def test_a_server_that_is_away_is_asked_once_a_round(house: House) -> None:
    """With a hundred messages waiting, one refusal ends the round: nobody waits a hundred times."""
    house.mailer = server = Failing(house, lambda: OSError("no"))
    write(house, 100)
    chores.send(house)
    assert len(server.asked) == 1


@pytest.mark.parametrize("error", [lambda: OSError("not this one"), lambda: Deferred("450")])
def test_one_message_does_not_stop_the_others(
    house: House, mailbox: Mailbox, error: Callable[[], Exception]
) -> None:
    """The message whose turn failed waits, and those behind it leave at once or in the next round."""
    refused = iter([error()])

    def picky(message: EmailMessage) -> None:
        found = next(refused, None)
        if found is not None:
            raise found
        mailbox(message)

    house.mailer = picky
    write(house, 3)
    assert chores.send(house) + chores.send(house) == 2
    advance(house, 2)
    assert chores.send(house) == 1
    assert [message["To"][:2] for message in mailbox.messages] == ["p1", "p2", "p0"]


def test_a_message_that_cannot_be_made_does_not_stop_the_others(house: House, mailbox: Mailbox) -> None:
    """One of an earlier secret, or changed in the table, is given up with a record; the others leave."""
    write(house, 3)
    with house.store.transaction() as connection:
        first = select(func.min(tables.outbox.c.id)).scalar_subquery()
        connection.execute(update(tables.outbox).where(tables.outbox.c.id == first).values(text="in clear"))
    assert chores.send(house) == 2
    assert [message["To"][:2] for message in mailbox.messages] == ["p1", "p2"]
    assert [record["changes"]["why"] for record in records(house, "mail_given_up")] == ["Unreadable"]


def test_mail_cannot_be_sent_to_somebody_else(house: House, mailbox: Mailbox) -> None:
    """Whoever can write to the table does not get another's link by putting his own address there."""
    write(house)
    with house.store.transaction() as connection:
        connection.execute(update(tables.outbox).values(recipient="mallory@people.test"))
    assert chores.send(house) == 0
    assert mailbox.messages == []


def test_a_new_secret_leaves_waiting_mail_readable(house: House, mailbox: Mailbox) -> None:
    """What waited while the application's secret was changed is sent, as long as the old one is accepted."""
    write(house)
    house.keys = KeyRing([b"another secret", *house.keys._secrets])
    assert chores.send(house) == 1
    assert mailbox.messages


@pytest.mark.parametrize("error", [Killed, lambda: Unanswered("TimeoutError")])
def test_what_may_have_left_says_so_when_it_is_sent_again(
    house: House,
    mailbox: Mailbox,
    caplog: pytest.LogCaptureFixture,
    error: Callable[[], BaseException],
) -> None:
    """The process dies between sending and noting it, or the server does not answer: the mail comes again,
    with its Message-ID, a header, a line, a record and a warning."""

    def dying(message: EmailMessage) -> None:
        mailbox(message)
        raise error()

    house.mailer = dying
    write(house)
    with suppress(Killed):
        chores.send(house)
    house.mailer = mailbox
    if error is Killed:
        assert chores.send(house) == 0  # for all that others know it is being sent
    advance(house, chores.LEASE)
    with caplog.at_level(logging.WARNING):
        assert chores.send(house) == 1
    first, second = mailbox.messages
    assert first["Message-ID"] == second["Message-ID"]
    assert first["Date"] == second["Date"]
    assert (first["X-Sent-Before"], second["X-Sent-Before"]) == (None, "perhaps")
    for kind in ("plain", "html"):
        parts = [message.get_body((kind,)) for message in (first, second)]
        texts = [" ".join(part.get_content().split()) for part in parts if part is not None]
        assert [mailing.AGAIN in text for text in texts] == [False, True]
    [record] = records(house, "mail_sent_again")
    assert (record["entity_id"], record["changes"]["attempts"]) == (first["Message-ID"], 2)
    assert "a copy may have arrived" in caplog.text
    assert house.counts["mail.sent_again"] == 1


def test_a_doubt_outlives_an_outage(house: House, mailbox: Mailbox) -> None:
    """A copy that may have arrived stays one through attempts that failed for certain afterwards."""
    write(house)
    for error in (Unanswered("gone"), ConnectionRefusedError(), Deferred("450")):
        house.mailer = Failing(house, lambda error=error: error)
        chores.send(house)
        advance(house, 100)
    house.mailer = mailbox
    assert chores.send(house) == 1
    assert mailbox.messages[0]["X-Sent-Before"] == "perhaps"


def test_many_processes_send_each_message_once(house: House, mailbox: Mailbox) -> None:
    """Four that send at the same moment do not send the same mail four times (processes: test_smtp.py)."""
    write(house, 12)
    with ThreadPoolExecutor(4) as pool:
        sent = sum(pool.map(lambda _: chores.send(house), range(4)))
    assert sent == 12
    assert sorted(str(message["To"]) for message in mailbox.messages) == sorted(
        f"p{n}@people.test" for n in range(12)
    )
    assert left(house) == 0
    assert records(house, "mail_sent_again") == []


def test_a_claim_is_good_once(house: House) -> None:
    """Whoever read the same as another comes second; when the lease is over it is anybody's again."""
    write(house)
    now = house.now()
    with house.store.transaction() as connection:
        [message] = outbox.due(connection, now, 5)
        assert outbox.claim(connection, message, now=now, until=now + 300)
        assert not outbox.claim(connection, message, now=now, until=now + 300)
        assert outbox.due(connection, now + 299, 5) == []
        [again] = outbox.due(connection, now + 300, 5)
        assert (again.attempts, again.claimed) == (1, True)
        assert outbox.claim(connection, again, now=now + 300, until=now + 600)
        # Whoever was thought dead and comes back late changes nothing for the one who has it now.
        outbox.postpone(connection, message, at=now, unsure=False)
        assert outbox.due(connection, now + 599, 5) == []
        assert outbox.drop(connection, again)
        assert not outbox.drop(connection, again)


def test_without_a_server_mail_waits_and_no_attempt_is_counted(house: House, mailbox: Mailbox) -> None:
    """Where the policy names no server, nothing is lost until it does."""
    house.mailer = nowhere
    write(house)
    for _ in range(100):
        assert chores.send(house) == 0
        advance(house, 86400)
    house.mailer = mailbox
    assert chores.send(house) == 1


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
    assert count(tables.mail_counts) == 1
    granting.set_roles(house, SYSTEM, user.id, ["user", "clerk"])
    assert count(tables.revocations) == 1
    advance(house, 3 * 86400)
    due()
    assert (count(tables.sessions), count(tables.revocations), count(tables.mail_counts)) == (0, 0, 0)
    signing_in.open_session(house, user, method="password")
    advance(house, chores.TIDY_EVERY - 1)
    due()
    assert count(tables.sessions) == 1
