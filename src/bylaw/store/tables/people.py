"""Accounts, and the roles that they hold."""

from __future__ import annotations

import unicodedata

from sqlalchemy import Boolean, CheckConstraint, Column, Float, ForeignKey, Index, Integer, String, Table

from bylaw.store.tables.base import metadata


def name_key(name: str) -> str:
    """A name as it is searched for."""
    letters = unicodedata.normalize("NFKD", name.casefold())
    return "".join(c for c in letters if not unicodedata.combining(c))[:240]


users = Table(
    "users",
    metadata,
    Column("id", String(36), primary_key=True),
    # Compared and ordered by its bytes in every database: pages of a listing follow each other, and what
    # begins alike is found with the index, whatever the database's language.
    Column(
        "email",
        String(254).with_variant(String(254, collation="C"), "postgresql"),
        nullable=False,
        unique=True,
    ),
    Column("name", String(120), nullable=False, default=""),
    # The name as it is searched for: without case and accents, which no database folds like another.
    Column(
        "name_key",
        String(240).with_variant(String(240, collation="C"), "postgresql"),
        nullable=False,
        default=lambda context: name_key(context.get_current_parameters().get("name") or ""),
    ),
    Column("password_hash", String(512)),
    # The counter of standing: a credential that bears an older number is dead.
    Column("epoch", Integer, nullable=False, default=1),
    Column("created_at", Float, nullable=False),
    Column("disabled_at", Float),
    # When the address was shown to be the owner's; null: nobody has shown it yet.
    Column("confirmed_at", Float),
    # The rules that the password was judged by when it was set (see passwords); empty: by none.
    Column("password_rules", String(120), nullable=False, default=""),
    # An administrator wants another password: the next sign-in asks for one.
    Column("renew_password", Boolean, nullable=False, default=False),
    # Set: no person but a service, which has keys alone; this is the mail address of who answers for it.
    Column("contact", String(254)),
)

# What an administrator looks for: names, and who cannot sign in (see store.users.page).
Index("ix_users_name_key", users.c.name_key, users.c.email)

for _name, _column in (
    ("disabled", users.c.disabled_at.is_not(None)),
    ("unconfirmed", users.c.confirmed_at.is_(None)),
    ("service", users.c.contact.is_not(None)),
):
    Index(f"ix_users_{_name}", users.c.email, sqlite_where=_column, postgresql_where=_column)

role_assignments = Table(
    "role_assignments",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("user_id", ForeignKey("users.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("role", String(64), nullable=False),
    # Empty: everywhere. Otherwise one object, as the application names it: `planning:17`.
    Column("scope", String(120), nullable=False, default=""),
    Column("granted_by", String(36)),
    Column("granted_at", Float, nullable=False),
    Column("because", String(500), nullable=False, default=""),
    Column("expires_at", Float),
    # Ended, not deleted: what somebody held on a day can be told afterwards.
    Column("ended_at", Float),
    Column("ended_by", String(36)),
    # Which roles there are is the policy's to say; what no role can be called never gets in (S3-024).
    CheckConstraint("role <> '' AND role = lower(trim(role))", name="role"),
    CheckConstraint("scope = trim(scope)", name="scope"),
    CheckConstraint("expires_at > granted_at", name="expires_at"),
    Index("ix_role_assignments_role", "role", "user_id"),
)

Index(
    "uq_role_assignments_held",
    role_assignments.c.user_id,
    role_assignments.c.role,
    role_assignments.c.scope,
    unique=True,
    sqlite_where=role_assignments.c.ended_at.is_(None),
    postgresql_where=role_assignments.c.ended_at.is_(None),
)
