"""What a sign-in leaves behind, right or wrong: sessions, what ended them, known devices, failures."""

from __future__ import annotations

from sqlalchemy import Boolean, Column, Float, ForeignKey, Index, Integer, String, Table

from bylaw.store.tables.base import metadata

sessions = Table(
    "sessions",
    metadata,
    # SHA-256 of the cookie's value: a copy of this table opens nothing (C-40).
    Column("digest", String(64), primary_key=True),
    # What people and administrators see; it opens nothing either.
    Column("id", String(22), nullable=False, unique=True),
    Column("user_id", ForeignKey("users.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("epoch", Integer, nullable=False),
    Column("method", String(64), nullable=False),
    Column("authenticated_at", Float, nullable=False),
    Column("created_at", Float, nullable=False),
    Column("seen_at", Float, nullable=False),
    Column("expires_at", Float, nullable=False, index=True),
    Column("address", String(64), nullable=False, default=""),
    Column("agent", String(256), nullable=False, default=""),
    # The user's privileges have changed: give the session a new id at its next use.
    Column("renew", Boolean, nullable=False, default=False),
    # How many factors were shown, by which `authenticated_at` says when (NIST SP 800-63B-4: AAL1, AAL2).
    Column("assurance", Integer, nullable=False, default=1),
    # What is still to be done before anybody is signed in, in this order (see sessions.owing).
    Column("owes", String(64), nullable=False, default=""),
    # The administrator who acts as this user, null where the user himself does.
    Column("acting", String(36)),
    # The access token that opened it: what ends the one ends the other.
    Column("credential", String(22), index=True),
)

Index(
    "ix_sessions_acting",
    sessions.c.acting,
    sqlite_where=sessions.c.acting.is_not(None),
    postgresql_where=sessions.c.acting.is_not(None),
)

revocations = Table(
    "revocations",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("user_id", String(36), nullable=False),
    # Set: this session only. Null: whatever the user holds.
    Column("digest", String(64)),
    Column("at", Float, nullable=False, index=True),
)

devices = Table(
    "devices",
    metadata,
    # SHA-256 of the number in the device's cookie together with its account (see lockout).
    Column("digest", String(64), primary_key=True),
    # What people see; it opens nothing.
    Column("id", String(22), nullable=False, unique=True),
    Column("user_id", ForeignKey("users.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("agent", String(256), nullable=False, default=""),
    Column("address", String(64), nullable=False, default=""),
    Column("created_at", Float, nullable=False),
    Column("seen_at", Float, nullable=False),
)

failures = Table(
    "failures",
    metadata,
    # A keyed hash of whose failures they are (an account's, a device's, an address's): this table tells
    # nobody who was attacked, nor from where.
    Column("key", String(32), primary_key=True),
    # The key of the account that they are about; empty where they are an address's.
    Column("account", String(32), nullable=False, default="", index=True),
    Column("failures", Integer, nullable=False, default=0),
    # An account's and a device's: when the last was counted. An address's: when its budget is whole again
    # (and `failures` is 1 once it was used up, until then).
    Column("at", Float, nullable=False, index=True),
)
