"""What was done, by whom: the audit log."""

from __future__ import annotations

from sqlalchemy import JSON, Column, DateTime, Index, Integer, String, Table

from bylaw.store.tables.base import metadata

audit_log = Table(
    "audit_log",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("timestamp", DateTime(timezone=True), nullable=False),
    Column("user_id", String(36)),
    # The administrator who acted as this user, null where the user himself did.
    Column("acting", String(36)),
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
# A history is read from its end, a page at a time: each index holds the rows in their order.
Index("ix_audit_log_user", audit_log.c.user_id, audit_log.c.id)
Index("ix_audit_log_acting", audit_log.c.acting, audit_log.c.id)
Index("ix_audit_log_entity", audit_log.c.entity_type, audit_log.c.entity_id, audit_log.c.id)
