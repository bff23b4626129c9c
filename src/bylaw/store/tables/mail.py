"""Mail that is to leave, how much of it one address gets, and the links in it."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Boolean, Column, Float, ForeignKey, Integer, String, Table, Text

from bylaw.store.tables.base import metadata

outbox = Table(
    "outbox",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("recipient", String(254), nullable=False),
    Column("subject", String(200), nullable=False),
    # Encrypted with a key derived from the application's secret: a copy of this table holds no link.
    Column("text", Text, nullable=False),
    # One for all attempts: whoever gets the message twice can see that it is one.
    Column("message_id", String(120), nullable=False, default=""),
    Column("created_at", Float, nullable=False),
    Column("attempts", Integer, nullable=False, default=0),
    # When it may be tried (again); while somebody is sending it, when he is thought to have died.
    Column("due_at", Float, nullable=False, default=0.0, index=True),
    # Whether somebody was sending it when he was last heard of.
    Column("claimed", Boolean, nullable=False, default=False),
)

mail_counts = Table(
    "mail_counts",
    metadata,
    # A keyed hash of the recipient and the kind of mail: this table tells nobody who got what.
    Column("key", String(32), primary_key=True),
    # When the recipient's budget is whole again (GCRA, as in `failures`).
    Column("at", Float, nullable=False, index=True),
)


def _links(name: str, *more: Column[Any]) -> Table:
    """Secrets that were mailed as links: SHA-256 alone is kept, each opens one thing once (C-40)."""
    return Table(
        name,
        metadata,
        Column("digest", String(64), primary_key=True),
        Column("user_id", ForeignKey("users.id", ondelete="CASCADE"), nullable=False, index=True),
        Column("created_at", Float, nullable=False),
        Column("expires_at", Float, nullable=False, index=True),
        *more,
    )


password_resets = _links(
    "password_resets",
    # Who asked: `reset` the owner, `invitation` an administrator for an account that has no password yet.
    Column("purpose", String(16), nullable=False, default="reset"),
)

reset_requests = Table(
    "reset_requests",
    metadata,
    # Somebody has asked for a link: a chore mails it, so that asking is the same work for every address.
    Column("id", Integer, primary_key=True, autoincrement=True),
    # Null where the address is nobody's.
    Column("user_id", String(36)),
    Column("asked_at", Float, nullable=False, index=True),
)

email_confirmations = _links(
    "email_confirmations",
    # The address that the link was sent to: the account's own, or the one that it is to have.
    Column("email", String(254), nullable=False),
)

unlock_links = _links("unlock_links")
