"""Mail: written in the transaction of what it announces, and sent by a chore."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection

from bylaw.house import House
from bylaw.store import outbox


@dataclass(frozen=True, slots=True)
class Link:
    """A link in a mail: what it does, in words, and its whole address."""

    label: str
    url: str


def post(
    house: House,
    connection: Connection,
    *,
    to: str,
    subject: str,
    paragraphs: Sequence[str],
    link: Link | None = None,
) -> None:
    """Have a message sent once this transaction is there. The link stands after the first paragraph."""
    lines = list(paragraphs)
    if link is not None:
        lines.insert(1, f"{link.label}:\n{link.url}")
    outbox.add(connection, to=to, subject=subject, text="\n\n".join(lines) + "\n", now=house.now())
