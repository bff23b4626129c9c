"""Mail that waits to be sent: written in the transaction of what it announces."""

from __future__ import annotations

from sqlalchemy import Connection, delete, insert, literal, select, update

from bylaw.store.tables import outbox

ATTEMPTS = 18
"""The wait doubles with each attempt: 18 of them are a day and a half."""


def add(connection: Connection, *, to: str, subject: str, text: str, now: float) -> None:
    connection.execute(insert(outbox).values(recipient=to, subject=subject, text=text, created_at=now))


def waiting(connection: Connection, now: float) -> list[tuple[int, int, str, str, str]]:
    """Messages that are to be tried now: (id, attempts, recipient, subject, text), the oldest first.

    After n attempts a message waits until 2^n - 1 seconds after it was written.
    """
    due = outbox.c.created_at + literal(1).op("<<")(outbox.c.attempts) - 1
    rows = connection.execute(
        select(outbox.c.id, outbox.c.attempts, outbox.c.recipient, outbox.c.subject, outbox.c.text)
        .where(outbox.c.attempts < ATTEMPTS, due <= now)
        .order_by(outbox.c.id)
        .limit(20)
    )
    return [(row.id, row.attempts, row.recipient, row.subject, row.text) for row in rows]


def claim(connection: Connection, number: int, attempts: int) -> bool:
    """Count an attempt; False when another process has made it since `attempts` was read."""
    done = connection.execute(
        update(outbox)
        .where(outbox.c.id == number, outbox.c.attempts == attempts)
        .values(attempts=attempts + 1)
    )
    return done.rowcount == 1


def sent(connection: Connection, number: int) -> None:
    connection.execute(delete(outbox).where(outbox.c.id == number))
