"""Mail that waits to be sent: written in the transaction of what it announces."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, delete, func, insert, select, update

from bylaw.store.tables import outbox


@dataclass(frozen=True, slots=True)
class Waiting:
    """A message that is to be sent. `text` is encrypted: it may hold a link that opens something."""

    id: int
    recipient: str
    subject: str
    text: str
    message_id: str
    created_at: float
    attempts: int
    claimed: bool
    """Whether somebody was sending it who was not heard of again: a copy may have arrived."""

    @property
    def number(self) -> str:
        """The part of its Message-ID by which a log may name it: the whole looks like an address."""
        return self.message_id.lstrip("<").partition("@")[0]


_COLUMNS = (
    outbox.c.id,
    outbox.c.recipient,
    outbox.c.subject,
    outbox.c.text,
    outbox.c.message_id,
    outbox.c.created_at,
    outbox.c.attempts,
    outbox.c.claimed,
)


def add(connection: Connection, *, to: str, subject: str, text: str, message_id: str, now: float) -> None:
    connection.execute(
        insert(outbox).values(
            recipient=to, subject=subject, text=text, message_id=message_id, created_at=now, due_at=now
        )
    )


def due(connection: Connection, now: float, limit: int) -> list[Waiting]:
    """Messages that are to be tried now, the oldest first."""
    query = select(*_COLUMNS).where(outbox.c.due_at <= now).order_by(outbox.c.id).limit(limit)
    return [Waiting(*row) for row in connection.execute(query)]


def newest(connection: Connection, limit: int) -> list[Waiting]:
    """Messages that wait, the newest first."""
    query = select(*_COLUMNS).order_by(outbox.c.id.desc()).limit(limit)
    return [Waiting(*row) for row in connection.execute(query)]


def claim(connection: Connection, message: Waiting, *, now: float, until: float) -> bool:
    """Count an attempt and have nobody else try before `until`; False where somebody else has begun one
    since the message was read."""
    done = connection.execute(
        update(outbox)
        .where(
            outbox.c.id == message.id,
            outbox.c.attempts == message.attempts,
            outbox.c.claimed == message.claimed,
            outbox.c.due_at <= now,
        )
        .values(attempts=message.attempts + 1, claimed=True, due_at=until)
    )
    return done.rowcount == 1


def postpone(connection: Connection, message: Waiting, *, at: float, unsure: bool) -> None:
    """Have a message that was claimed tried again at `at`; `unsure` whether a copy has arrived.

    Nothing where the claim is not ours any more.
    """
    connection.execute(
        update(outbox)
        .where(outbox.c.id == message.id, outbox.c.attempts == message.attempts + 1)
        .values(due_at=at, claimed=unsure)
    )


def drop(connection: Connection, message: Waiting) -> bool:
    """Forget a message that has left, or never will; False where somebody else has."""
    return connection.execute(delete(outbox).where(outbox.c.id == message.id)).rowcount == 1


def count(connection: Connection) -> tuple[int, float | None]:
    """How many messages wait, and since when the oldest does."""
    row = connection.execute(select(func.count(), func.min(outbox.c.created_at)).select_from(outbox)).one()
    return row[0], row[1]
