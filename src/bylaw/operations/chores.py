"""What a process does besides answering: after each reading of the revocation feed."""

from __future__ import annotations

import logging
from typing import Final

from sqlalchemy import Connection

from bylaw.controls import api_keys, audit, jwt, lockout, monitoring, sessions, uploads
from bylaw.house import House
from bylaw.operations import bearing, devices, granting, mailing, recovering, rescanning
from bylaw.operations.files import keeping, sweeping
from bylaw.operations.imports import working as importing
from bylaw.ports import Deferred, Refusal, Unanswered, nowhere
from bylaw.store import ceremonies, failures, links, mail_counts, outbox, resets, token_families, users
from bylaw.store import sessions as session_rows
from bylaw.store.outbox import Waiting

log = logging.getLogger("bylaw.chores")

TIDY_EVERY = 300
BATCH: Final = 20
"""Messages of one round: between rounds the other chores have their turn."""
LEASE: Final = 300
"""Seconds for which a message is its sender's alone. Longer than a server may take for all its answers
(ports.SmtpMailer.seconds for each): whoever is slower has died."""
LONGEST_WAIT: Final = 7200
ATTEMPTS: Final = 36
"""The wait doubles with each attempt, up to two hours: 36 of them are two days."""


def install(house: House) -> None:
    """Have this process write sessions' last use, send waiting mail and clear away what ended."""
    tidied = [0.0]

    def tidy() -> None:
        if house.now() - tidied[0] > TIDY_EVERY:
            tidied[0] = house.now()
            idle = house.policy.of(sessions.Settings).idle + sessions.SLACK
            with house.store.transaction() as connection:
                session_rows.end_expired(connection, house.now(), idle)
                token_families.end_expired(connection, house.now(), jwt.LONGEST)
                house.store.feed.prune(connection)
                failures.clear(connection, now=house.now(), since=house.now() - lockout.FORGOTTEN)
                mail_counts.clear(connection, house.now())
                links.end_expired(connection, house.now())
                ceremonies.end_expired(connection, house.now())
                devices.tidy(house, connection)
                resets.end_before(connection, house.now() - recovering.TRIED_FOR)
            bearing.warn(house)
            granting.close_expired(house)

    def post() -> None:
        send(house)

    if house.policy.of(uploads.Settings).kinds:
        keeping.storage_of(house)  # now: a relative directory is below where the process was started
        house.checks["files"] = lambda: keeping.check(house)
    house.store.feed.chores = [
        lambda: api_keys.write_used(house),
        lambda: jwt.write_seen(house),
        lambda: sessions.write_seen(house),
        post,
        monitoring.measuring(house),
        importing.tending(house),
        sweeping.chore(house),
        rescanning.chore(house),
        tidy,
    ]


def send(house: House) -> int:
    """Answer who has asked for mail, and send what is due in the outbox; how many messages left.

    A message is claimed for `LEASE` seconds, sent, and dropped: nothing is lost when a process dies in
    between, and whoever takes it up afterwards cannot know whether it had left, so the second copy says that
    it may be one. What a server does not take waits longer each time; what it refuses for good, and what
    nobody took in two days, is given up with a record.
    """
    with house.sending:
        recovering.answer(house)
        return 0 if house.mailer is nowhere else _send(house)  # nowhere: it waits, no attempt is counted


def _send(house: House) -> int:
    with house.store.reading() as connection:
        messages = outbox.due(connection, house.now(), BATCH)
    left = 0
    for message in messages:
        with house.store.transaction() as connection:
            if not outbox.claim(connection, message, now=house.now(), until=house.now() + LEASE):
                continue
            if message.claimed:
                _say_again(house, connection, message)
        try:
            house.mailer(mailing.message(house, message))
        except Refusal as error:
            _give_up(house, message, str(error))
        except Deferred as error:
            _later(house, message, str(error))
        except OSError as error:
            _later(house, message, type(error).__name__, unsure=isinstance(error, Unanswered))
            break  # a server that is away is asked once a round, not once for each message
        except Exception as error:  # noqa: BLE001 - a message that cannot be made must not end the round
            # Whatever it is, it is this message's own: those behind it must not wait for it.
            log.error("mail %s cannot be made: %s", message.number, type(error).__name__)
            _give_up(house, message, type(error).__name__)
        else:
            with house.store.transaction() as connection:
                outbox.drop(connection, message)
            house.count("mail.sent")
            left += 1
    return left


def _later(house: House, message: Waiting, why: str, *, unsure: bool = False) -> None:
    """Have a message wait, or give it up when it has been tried often enough."""
    attempts = message.attempts + 1
    if attempts >= ATTEMPTS:
        _give_up(house, message, why)
        return
    house.count("mail.not_taken")
    log.warning("mail %s was not taken and is tried again: %s", message.number, why)
    at = house.now() + min(2**attempts, LONGEST_WAIT)
    with house.store.transaction() as connection:
        # What may have arrived at an earlier attempt may have done so still.
        outbox.postpone(connection, message, at=at, unsure=unsure or message.claimed)


def _give_up(house: House, message: Waiting, why: str) -> None:
    """Drop a message that will not arrive, with a record: its links have ended, and it is about a person."""
    with house.store.transaction() as connection:
        if outbox.drop(connection, message):
            _record(house, connection, "mail_given_up", "failure", message, {"why": why})
    house.count("mail.given_up")
    log.error("mail %s is given up: %s", message.number, why)


def _say_again(house: House, connection: Connection, message: Waiting) -> None:
    house.count("mail.sent_again")
    log.warning("mail %s is sent although a copy may have arrived", message.number)
    _record(house, connection, "mail_sent_again", "success", message, {})


def _record(
    house: House,
    connection: Connection,
    action: str,
    outcome: str,
    message: Waiting,
    more: dict[str, str],
) -> None:
    """Record what became of a message by its Message-ID, as the mail server's log names it."""
    owner = users.by_email(connection, message.recipient)
    audit.record(
        house,
        connection,
        action=action,
        outcome=outcome,
        actor="",
        entity_type="mail",
        entity_id=message.message_id,
        changes={
            "to": owner.id if owner is not None else "",
            "subject": message.subject,
            "attempts": message.attempts + 1,
            **more,
        },
    )
