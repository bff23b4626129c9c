"""What people do with an account: mailed links, known devices, second factors, passkeys, other providers."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "ceremonies",
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("kind", sa.String(32), nullable=False),
        sa.Column("user_id", sa.String(36)),
        sa.Column("facts", sa.JSON, nullable=False),
        sa.Column("expires_at", sa.Float, nullable=False),
        sa.PrimaryKeyConstraint("digest", name="pk_ceremonies"),
    )
    op.create_index("ix_ceremonies_expires_at", "ceremonies", ["expires_at"])
    op.create_table(
        "mail_counts",
        sa.Column("key", sa.String(32), nullable=False),
        sa.Column("at", sa.Float, nullable=False),
        sa.PrimaryKeyConstraint("key", name="pk_mail_counts"),
    )
    op.create_index("ix_mail_counts_at", "mail_counts", ["at"])
    op.create_table(
        "devices",
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("id", sa.String(22), nullable=False),
        sa.Column("user_id", sa.String(36), nullable=False),
        sa.Column("agent", sa.String(256), nullable=False),
        sa.Column("address", sa.String(64), nullable=False),
        sa.Column("created_at", sa.Float, nullable=False),
        sa.Column("seen_at", sa.Float, nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_devices_user_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("digest", name="pk_devices"),
        sa.UniqueConstraint("id", name="uq_devices_id"),
    )
    op.create_index("ix_devices_user_id", "devices", ["user_id"])
    op.create_table(
        "email_confirmations",
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("user_id", sa.String(36), nullable=False),
        sa.Column("created_at", sa.Float, nullable=False),
        sa.Column("expires_at", sa.Float, nullable=False),
        sa.Column("email", sa.String(254), nullable=False),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name="fk_email_confirmations_user_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("digest", name="pk_email_confirmations"),
    )
    op.create_index("ix_email_confirmations_expires_at", "email_confirmations", ["expires_at"])
    op.create_index("ix_email_confirmations_user_id", "email_confirmations", ["user_id"])
    op.create_table(
        "federated_accounts",
        sa.Column("oauth_provider", sa.String(32), nullable=False),
        sa.Column("oauth_id", sa.String(255), nullable=False),
        sa.Column("user_id", sa.String(36), nullable=False),
        sa.Column("email", sa.String(254), nullable=False),
        sa.Column("created_at", sa.Float, nullable=False),
        sa.Column("used_at", sa.Float),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name="fk_federated_accounts_user_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("oauth_provider", "oauth_id", name="pk_federated_accounts"),
    )
    op.create_index("ix_federated_accounts_user_id", "federated_accounts", ["user_id"])
    op.create_table(
        "passkeys",
        sa.Column("id", sa.String(22), nullable=False),
        sa.Column("user_id", sa.String(36), nullable=False),
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("credential_id", sa.String(1400), nullable=False),
        sa.Column("user_handle", sa.String(86), nullable=False),
        sa.Column("public_key", sa.LargeBinary, nullable=False),
        sa.Column("sign_count", sa.BigInteger, nullable=False),
        sa.Column("transports", sa.JSON, nullable=False),
        sa.Column("aaguid", sa.String(36), nullable=False),
        sa.Column("backup_eligible", sa.Boolean, nullable=False),
        sa.Column("backed_up", sa.Boolean, nullable=False),
        sa.Column("discoverable", sa.Boolean, nullable=False),
        sa.Column("created_at", sa.Float, nullable=False),
        sa.Column("used_at", sa.Float),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_passkeys_user_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name="pk_passkeys"),
        sa.UniqueConstraint("credential_id", name="uq_passkeys_credential_id"),
    )
    op.create_index("ix_passkeys_user_id", "passkeys", ["user_id"])
    op.create_table(
        "password_resets",
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("user_id", sa.String(36), nullable=False),
        sa.Column("created_at", sa.Float, nullable=False),
        sa.Column("expires_at", sa.Float, nullable=False),
        sa.Column("purpose", sa.String(16), nullable=False),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name="fk_password_resets_user_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("digest", name="pk_password_resets"),
    )
    op.create_index("ix_password_resets_expires_at", "password_resets", ["expires_at"])
    op.create_index("ix_password_resets_user_id", "password_resets", ["user_id"])
    op.create_table(
        "recovery_codes",
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("user_id", sa.String(36), nullable=False),
        sa.Column("created_at", sa.Float, nullable=False),
        sa.Column("used_at", sa.Float),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name="fk_recovery_codes_user_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("digest", name="pk_recovery_codes"),
    )
    op.create_index("ix_recovery_codes_user_id", "recovery_codes", ["user_id"])
    op.create_table(
        "reset_requests",
        sa.Column("id", sa.Integer, autoincrement=True, nullable=False),
        sa.Column("user_id", sa.String(36)),
        sa.Column("asked_at", sa.Float, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_reset_requests"),
    )
    op.create_index("ix_reset_requests_asked_at", "reset_requests", ["asked_at"])
    op.create_table(
        "totp_secrets",
        sa.Column("id", sa.String(22), nullable=False),
        sa.Column("user_id", sa.String(36), nullable=False),
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("secret", sa.String(255), nullable=False),
        sa.Column("last_step", sa.Integer, nullable=False),
        sa.Column("created_at", sa.Float, nullable=False),
        sa.Column("used_at", sa.Float),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name="fk_totp_secrets_user_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_totp_secrets"),
    )
    op.create_index("ix_totp_secrets_user_id", "totp_secrets", ["user_id"])
    op.create_table(
        "unlock_links",
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("user_id", sa.String(36), nullable=False),
        sa.Column("created_at", sa.Float, nullable=False),
        sa.Column("expires_at", sa.Float, nullable=False),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name="fk_unlock_links_user_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("digest", name="pk_unlock_links"),
    )
    op.create_index("ix_unlock_links_expires_at", "unlock_links", ["expires_at"])
    op.create_index("ix_unlock_links_user_id", "unlock_links", ["user_id"])
    op.add_column("outbox", sa.Column("message_id", sa.String(120), nullable=False, server_default=""))
    op.add_column("outbox", sa.Column("due_at", sa.Float, nullable=False, server_default="0"))
    op.add_column("outbox", sa.Column("claimed", sa.Boolean, nullable=False, server_default=sa.false()))
    op.create_index("ix_outbox_due_at", "outbox", ["due_at"])
    op.add_column("sessions", sa.Column("assurance", sa.Integer, nullable=False, server_default="1"))
    op.add_column("sessions", sa.Column("owes", sa.String(64), nullable=False, server_default=""))
    op.add_column("sessions", sa.Column("acting", sa.String(36)))
    op.add_column("users", sa.Column("confirmed_at", sa.Float))
    op.add_column("users", sa.Column("password_rules", sa.String(120), nullable=False, server_default=""))
    op.add_column("users", sa.Column("renew_password", sa.Boolean, nullable=False, server_default=sa.false()))
    key = sa.String(240, collation="C" if op.get_bind().dialect.name == "postgresql" else None)
    op.add_column("users", sa.Column("name_key", key, nullable=False, server_default=""))
    op.execute("UPDATE users SET name_key = lower(name)")
    op.create_index("ix_users_name_key", "users", ["name_key", "email"])
    disabled, unconfirmed = sa.text("disabled_at IS NOT NULL"), sa.text("confirmed_at IS NULL")
    op.create_index("ix_users_disabled", "users", ["email"], sqlite_where=disabled, postgresql_where=disabled)
    op.create_index(
        "ix_users_unconfirmed", "users", ["email"], sqlite_where=unconfirmed, postgresql_where=unconfirmed
    )
    acting = sa.text("acting IS NOT NULL")
    op.create_index(
        "ix_sessions_acting", "sessions", ["acting"], sqlite_where=acting, postgresql_where=acting
    )
    op.create_index("ix_role_assignments_role", "role_assignments", ["role", "user_id"])
    if op.get_bind().dialect.name == "postgresql":
        op.alter_column("users", "email", type_=sa.String(254, collation="C"), existing_nullable=False)
    op.add_column("audit_log", sa.Column("acting", sa.String(36)))
    op.drop_index("ix_audit_log_user", "audit_log")
    op.drop_index("ix_audit_log_entity", "audit_log")
    op.create_index("ix_audit_log_user", "audit_log", ["user_id", "id"])
    op.create_index("ix_audit_log_acting", "audit_log", ["acting", "id"])
    op.create_index("ix_audit_log_entity", "audit_log", ["entity_type", "entity_id", "id"])
    with op.batch_alter_table("sessions") as sessions:  # `federated+totp+passkey+recovery`
        sessions.alter_column("method", type_=sa.String(64), existing_nullable=False)
