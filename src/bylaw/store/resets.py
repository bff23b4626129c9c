"""Queries over links that somebody has asked for, and that are not mailed yet."""

from __future__ import annotations

from sqlalchemy import Connection, delete, insert, select

from bylaw.store.tables import reset_requests, users


def ask(connection: Connection, email: str, now: float) -> str:
    """Put a request down; the id of the account that it is about, empty where the address is nobody's.

    The same two statements for every address, and a row whatever they find.
    """
    found = connection.execute(select(users.c.id).where(users.c.email == email)).scalar_one_or_none()
    connection.execute(insert(reset_requests).values(user_id=found, asked_at=now))
    return found or ""


def waiting(connection: Connection, limit: int = 500) -> list[tuple[int, str]]:
    """Requests that nobody has answered: (number, account or empty), the oldest first."""
    rows = connection.execute(
        select(reset_requests.c.id, reset_requests.c.user_id).order_by(reset_requests.c.id).limit(limit)
    )
    return [(row.id, row.user_id or "") for row in rows]


def take(connection: Connection, number: int) -> bool:
    """Take a request to answer it; False when another process has."""
    taken = connection.execute(delete(reset_requests).where(reset_requests.c.id == number))
    return taken.rowcount == 1


def end_before(connection: Connection, then: float) -> None:
    """Drop requests that could not be answered since `then`: whoever asked has asked again."""
    connection.execute(delete(reset_requests).where(reset_requests.c.asked_at < then))
