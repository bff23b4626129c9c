"""Files that people uploaded, and where each stands."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Float, ForeignKey, Integer, String, Table

from bylaw.store.tables.base import metadata

files = Table(
    "files",
    metadata,
    # Also the name under which storage keeps it: nothing of what somebody called it is in there.
    Column("id", String(22), primary_key=True),
    # What it belongs to, in the application's words (`process:17`); empty until the transaction that needs it
    # has said so: what stays empty is swept.
    Column("subject", String(120), nullable=False, default="", index=True),
    Column("user_id", ForeignKey("users.id", ondelete="SET NULL"), index=True),
    # As people called it, cleaned: for showing, never for a path.
    Column("name", String(255), nullable=False),
    Column("kind", String(16), nullable=False),
    Column("size", BigInteger, nullable=False),
    # SHA-256 of what is stored: what is read later must still be that.
    Column("digest", String(64), nullable=False),
    # `held` until a scanner has said that it is clean, `clean`, `refused`, `removed`.
    Column("state", String(16), nullable=False, index=True),
    # The scanner's own words for its version and signatures; empty where none looked.
    Column("scanned_by", String(120), nullable=False, default=""),
    Column("scanned_at", Float),
    # Whoever scans it again has it until then; where that failed, nobody tries before.
    Column("claimed_until", Float),
    Column("because", String(200), nullable=False, default=""),
    Column("width", Integer),
    Column("height", Integer),
    Column("created_at", Float, nullable=False, index=True),
    Column("attached_at", Float),
    Column("removed_at", Float),
    Column("removed_by", String(36)),
)
