"""The tables. What they mean is in the controls; how they came to be, in `migrations/`."""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
)

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_name)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
    }
)

users = Table(
    "users",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("email", String(254), nullable=False, unique=True),
    Column("name", String(120), nullable=False, default=""),
    Column("password_hash", String(512)),
    # The counter of standing: a credential that bears an older number is dead.
    Column("epoch", Integer, nullable=False, default=1),
    Column("created_at", Float, nullable=False),
    Column("disabled_at", Float),
)

role_assignments = Table(
    "role_assignments",
    metadata,
    Column("user_id", ForeignKey("users.id", ondelete="CASCADE"), primary_key=True),
    Column("role", String(64), primary_key=True),
    Column("granted_by", String(36)),
    Column("granted_at", Float, nullable=False),
    # Which roles there are is the policy's to say; what no role can be called never gets in (S3-024).
    CheckConstraint("role <> '' AND role = lower(trim(role))", name="role"),
)

sessions = Table(
    "sessions",
    metadata,
    # SHA-256 of the cookie's value: a copy of this table opens nothing (C-40).
    Column("digest", String(64), primary_key=True),
    # What people and administrators see; it opens nothing either.
    Column("id", String(22), nullable=False, unique=True),
    Column("user_id", ForeignKey("users.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("epoch", Integer, nullable=False),
    Column("method", String(32), nullable=False),
    Column("authenticated_at", Float, nullable=False),
    Column("created_at", Float, nullable=False),
    Column("seen_at", Float, nullable=False),
    Column("expires_at", Float, nullable=False, index=True),
    Column("address", String(64), nullable=False, default=""),
    Column("agent", String(256), nullable=False, default=""),
    # The user's privileges have changed: give the session a new id at its next use.
    Column("renew", Boolean, nullable=False, default=False),
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

audit_log = Table(
    "audit_log",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("timestamp", DateTime(timezone=True), nullable=False),
    Column("user_id", String(36)),
    Column("actor_role", String(120), nullable=False, default=""),
    Column("action", String(80), nullable=False),
    Column("outcome", String(16), nullable=False, default="success"),
    Column("entity_type", String(80), nullable=False, default=""),
    Column("entity_id", String(80), nullable=False, default=""),
    Column("ip_address", String(64), nullable=False, default=""),
    Column("user_agent", String(256), nullable=False, default=""),
    Column("request_id", String(64), nullable=False, default=""),
    Column("changes", JSON, nullable=False),
)
Index("ix_audit_log_user", audit_log.c.user_id, audit_log.c.timestamp)
Index("ix_audit_log_entity", audit_log.c.entity_type, audit_log.c.entity_id)

outbox = Table(
    "outbox",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("recipient", String(254), nullable=False),
    Column("subject", String(200), nullable=False),
    Column("text", Text, nullable=False),
    Column("created_at", Float, nullable=False),
    Column("attempts", Integer, nullable=False, default=0),
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
