"""Mail that waits to be sent: written in the transaction of what it announces."""

from __future__ import annotations

from sqlalchemy import Connection, delete, insert, select, update

from bylaw.store.tables import outbox

ATTEMPTS = 20


def add(connection: Connection, *, to: str, subject: str, text: str, now: float) -> None:
    connection.execute(
        insert(outbox).values(recipient=to, subject=subject, text=text, created_at=now)
    )


def waiting(connection: Connection) -> list[tuple[int, str, str, str]]:
    """Messages that may still be tried: (id, recipient, subject, text), the oldest first."""
    rows = connection.execute(
        select(outbox.c.id, outbox.c.recipient, outbox.c.subject, outbox.c.text)
        .where(outbox.c.attempts < ATTEMPTS)
        .order_by(outbox.c.id)
        .limit(20)
    )
    return [(row.id, row.recipient, row.subject, row.text) for row in rows]


def claim(connection: Connection, number: int) -> bool:
    """Count an attempt; False when another process has just sent the message."""
    done = connection.execute(
        update(outbox).where(outbox.c.id == number).values(attempts=outbox.c.attempts + 1)
    )
    return done.rowcount == 1


def sent(connection: Connection, number: int) -> None:
    connection.execute(delete(outbox).where(outbox.c.id == number))
