"""Roles within one object, for a time, and kept when they end; tokens, keys and refresh tokens."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    _roles()
    op.create_table(
        "access_tokens",
        sa.Column("id", sa.String(22), nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("user_id", sa.String(36), nullable=False),
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("created_by", sa.String(36)),
        sa.Column("created_at", sa.Float, nullable=False),
        sa.Column("expires_at", sa.Float),
        sa.Column("used_at", sa.Float),
        sa.Column("revoked_at", sa.Float),
        sa.Column("origin", sa.String(16), nullable=False),
        sa.Column("warned_at", sa.Float),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name="fk_access_tokens_user_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_access_tokens"),
        sa.UniqueConstraint("digest", name="uq_access_tokens_digest"),
    )
    op.create_index("ix_access_tokens_user_id", "access_tokens", ["user_id"])
    op.create_table(
        "api_keys",
        sa.Column("id", sa.String(22), nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("user_id", sa.String(36), nullable=False),
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("created_by", sa.String(36)),
        sa.Column("created_at", sa.Float, nullable=False),
        sa.Column("expires_at", sa.Float),
        sa.Column("used_at", sa.Float),
        sa.Column("revoked_at", sa.Float),
        sa.Column("scopes", sa.JSON, nullable=False),
        sa.Column("networks", sa.JSON, nullable=False),
        sa.Column("rate", sa.String(32), nullable=False),
        sa.Column("replaces", sa.String(22)),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_api_keys_user_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name="pk_api_keys"),
        sa.UniqueConstraint("digest", name="uq_api_keys_digest"),
    )
    op.create_index("ix_api_keys_user_id", "api_keys", ["user_id"])
    op.create_table(
        "token_families",
        sa.Column("id", sa.String(22), nullable=False),
        sa.Column("user_id", sa.String(36), nullable=False),
        sa.Column("epoch", sa.Integer, nullable=False),
        sa.Column("method", sa.String(32), nullable=False),
        sa.Column("assurance", sa.Integer, nullable=False),
        sa.Column("authenticated_at", sa.Float, nullable=False),
        sa.Column("created_at", sa.Float, nullable=False),
        sa.Column("seen_at", sa.Float, nullable=False),
        sa.Column("expires_at", sa.Float, nullable=False),
        sa.Column("address", sa.String(64), nullable=False),
        sa.Column("agent", sa.String(256), nullable=False),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name="fk_token_families_user_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_token_families"),
    )
    op.create_index("ix_token_families_expires_at", "token_families", ["expires_at"])
    op.create_index("ix_token_families_user_id", "token_families", ["user_id"])
    op.create_table(
        "refresh_tokens",
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("family_id", sa.String(22), nullable=False),
        sa.Column("created_at", sa.Float, nullable=False),
        sa.Column("expires_at", sa.Float, nullable=False),
        sa.Column("used_at", sa.Float),
        sa.Column("used_address", sa.String(64), nullable=False),
        sa.Column("used_agent", sa.String(256), nullable=False),
        sa.ForeignKeyConstraint(
            ["family_id"], ["token_families.id"], name="fk_refresh_tokens_family_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("digest", name="pk_refresh_tokens"),
    )
    op.create_index("ix_refresh_tokens_family_id", "refresh_tokens", ["family_id"])
    op.add_column("sessions", sa.Column("credential", sa.String(22)))
    op.create_index("ix_sessions_credential", "sessions", ["credential"])
    op.add_column("users", sa.Column("contact", sa.String(254)))
    service = sa.text("contact IS NOT NULL")
    op.create_index("ix_users_service", "users", ["email"], sqlite_where=service, postgresql_where=service)


def _roles() -> None:
    """An assignment gets a number, and what it holds for; the rows that are there hold everywhere."""
    op.execute("CREATE TABLE role_assignments_before AS SELECT * FROM role_assignments")
    op.drop_table("role_assignments")
    op.create_table(
        "role_assignments",
        sa.Column("id", sa.Integer, nullable=False, autoincrement=True),
        sa.Column("user_id", sa.String(36), nullable=False),
        sa.Column("role", sa.String(64), nullable=False),
        sa.Column("scope", sa.String(120), nullable=False),
        sa.Column("granted_by", sa.String(36)),
        sa.Column("granted_at", sa.Float, nullable=False),
        sa.Column("because", sa.String(500), nullable=False),
        sa.Column("expires_at", sa.Float),
        sa.Column("ended_at", sa.Float),
        sa.Column("ended_by", sa.String(36)),
        sa.PrimaryKeyConstraint("id", name="pk_role_assignments"),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name="fk_role_assignments_user_id", ondelete="CASCADE"
        ),
        sa.CheckConstraint("role <> '' AND role = lower(trim(role))", name="ck_role_assignments_role"),
        sa.CheckConstraint("scope = trim(scope)", name="ck_role_assignments_scope"),
        sa.CheckConstraint("expires_at > granted_at", name="ck_role_assignments_expires_at"),
    )
    op.create_index("ix_role_assignments_user_id", "role_assignments", ["user_id"])
    op.create_index("ix_role_assignments_role", "role_assignments", ["role", "user_id"])
    held = sa.text("ended_at IS NULL")
    op.create_index(
        "uq_role_assignments_held",
        "role_assignments",
        ["user_id", "role", "scope"],
        unique=True,
        sqlite_where=held,
        postgresql_where=held,
    )
    op.execute(
        "INSERT INTO role_assignments (user_id, role, scope, granted_by, granted_at, because) "
        "SELECT user_id, role, '', granted_by, granted_at, '' FROM role_assignments_before"
    )
    op.drop_table("role_assignments_before")
