"""Lots have a number of their own; uploads between preview and import are bylaw's now."""

import sqlalchemy as sa
from alembic import op

from apps.mtc.models.base import UtcDateTime

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.drop_index("ix_import_drafts_user_id", "import_drafts")
    op.drop_table("import_drafts")
    # Both without a copy of the table, which would lose SQLite's promise never to give an id again.
    op.add_column("lots", sa.Column("number", sa.String(length=40), nullable=True))
    op.create_index("ix_lots_number", "lots", ["number"], unique=True)


def downgrade() -> None:
    op.drop_index("ix_lots_number", "lots")
    op.drop_column("lots", "number")
    op.create_table(
        "import_drafts",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("user_id", sa.String(length=64), nullable=False),
        sa.Column("filename", sa.String(length=100), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("created", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_import_drafts"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_import_drafts_user_id", "import_drafts", ["user_id"])
