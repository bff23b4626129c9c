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
    _imports()


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
        sa.Column("claimed_until", sa.Float),
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


def _imports() -> None:
    op.create_table(
        "imports",
        sa.Column("id", sa.String(22), nullable=False),
        sa.Column("importer", sa.String(64), nullable=False),
        sa.Column("user_id", sa.String(36)),
        sa.Column("acting", sa.String(36)),
        sa.Column("scopes", sa.JSON),
        sa.Column("file_id", sa.String(22), nullable=False),
        sa.Column("name", sa.String(255), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("size", sa.BigInteger, nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("mode", sa.String(8), nullable=False),
        sa.Column("chosen", sa.JSON, nullable=False),
        sa.Column("seen", sa.JSON, nullable=False),
        sa.Column("found", sa.JSON, nullable=False),
        sa.Column("fingerprint", sa.String(64), nullable=False),
        sa.Column("done", sa.Integer, nullable=False),
        sa.Column("at_row", sa.Integer, nullable=False),
        sa.Column("rows", sa.Integer),
        sa.Column("because", sa.String(500), nullable=False),
        sa.Column("created_at", sa.Float, nullable=False),
        sa.Column("changed_at", sa.Float, nullable=False),
        sa.Column("started_at", sa.Float),
        sa.Column("finished_at", sa.Float),
        sa.Column("cancel_at", sa.Float),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_imports_user_id", ondelete="SET NULL"),
        sa.PrimaryKeyConstraint("id", name="pk_imports"),
    )
    op.create_index("ix_imports_state", "imports", ["state"])
    op.create_index("ix_imports_changed_at", "imports", ["changed_at"])
    op.create_index("ix_imports_user", "imports", ["user_id", "created_at"])
    op.create_table(
        "import_claims",
        sa.Column("import_id", sa.String(22), nullable=False),
        sa.Column("fence", sa.Integer, nullable=False),
        sa.Column("until", sa.Float, nullable=False),
        sa.ForeignKeyConstraint(
            ["import_id"], ["imports.id"], name="fk_import_claims_import_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("import_id", name="pk_import_claims"),
    )
    op.create_table(
        "import_notes",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("import_id", sa.String(22), nullable=False),
        sa.Column("kind", sa.String(8), nullable=False),
        sa.Column("row", sa.Integer, nullable=False),
        sa.Column("column", sa.String(120), nullable=False),
        sa.Column("value", sa.String(120), nullable=False),
        sa.Column("said", sa.String(300), nullable=False),
        sa.ForeignKeyConstraint(
            ["import_id"], ["imports.id"], name="fk_import_notes_import_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_import_notes"),
    )
    op.create_index("ix_import_notes_import", "import_notes", ["import_id", "kind", "id"])
    op.create_table(
        "import_mappings",
        sa.Column("user_id", sa.String(36), nullable=False),
        sa.Column("importer", sa.String(64), nullable=False),
        sa.Column("headings", sa.String(64), nullable=False),
        sa.Column("columns", sa.JSON, nullable=False),
        sa.Column("used_at", sa.Float, nullable=False),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name="fk_import_mappings_user_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("user_id", "importer", "headings", name="pk_import_mappings"),
    )


def downgrade() -> None:
    for table in ("import_mappings", "import_notes", "import_claims", "imports"):
        op.drop_table(table)
    op.drop_table("files")
