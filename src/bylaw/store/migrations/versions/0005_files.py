"""Files that people upload, and imports of tables."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    _files()


def _files() -> None:
    op.create_table(
        "files",
        sa.Column("id", sa.String(22), nullable=False),
        sa.Column("subject", sa.String(120), nullable=False),
        sa.Column("user_id", sa.String(36)),
        sa.Column("name", sa.String(255), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("size", sa.BigInteger, nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("scanned_by", sa.String(120), nullable=False),
        sa.Column("scanned_at", sa.Float),
        sa.Column("because", sa.String(200), nullable=False),
        sa.Column("width", sa.Integer),
        sa.Column("height", sa.Integer),
        sa.Column("created_at", sa.Float, nullable=False),
        sa.Column("attached_at", sa.Float),
        sa.Column("removed_at", sa.Float),
        sa.Column("removed_by", sa.String(36)),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_files_user_id", ondelete="SET NULL"),
        sa.PrimaryKeyConstraint("id", name="pk_files"),
    )
    for column in ("subject", "user_id", "state", "created_at"):
        op.create_index(f"ix_files_{column}", "files", [column])


def downgrade() -> None:
    op.drop_table("files")
