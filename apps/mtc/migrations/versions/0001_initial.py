"""The catalogue, processes, lots and imports."""

import sqlalchemy as sa
from alembic import op

from apps.mtc.models.base import Exact, UtcDateTime

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "exchange_rates",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("base", sa.String(length=3), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("valid_from", sa.Date(), nullable=False),
        sa.Column("rate", Exact(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_exchange_rates"),
        sa.UniqueConstraint(
            "base", "currency", "valid_from", name="uq_exchange_rates_base_currency_valid_from"
        ),
        sqlite_autoincrement=True,
    )
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

    op.create_table(
        "items",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("unit", sa.String(length=20), nullable=False),
        sa.Column("category", sa.String(length=100), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_items"),
        sa.UniqueConstraint("name", name="uq_items_name"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_items_category", "items", ["category"])

    op.create_table(
        "processes",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("description", sa.String(length=2000), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_processes"),
        sa.UniqueConstraint("name", name="uq_processes_name"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "suppliers",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("website", sa.String(length=500), nullable=False),
        sa.Column("note", sa.String(length=2000), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_suppliers"),
        sa.UniqueConstraint("name", name="uq_suppliers_name"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "lots",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("process_id", sa.Integer(), nullable=False),
        sa.Column("quantity", sa.Integer(), nullable=False),
        sa.Column("due", sa.Date(), nullable=True),
        sa.Column(
            "state",
            sa.Enum("planned", "executed", "cancelled", name="lotstate", native_enum=False, length=10),
            nullable=False,
        ),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("planned_at", UtcDateTime(), nullable=False),
        sa.Column("planned_by", sa.String(length=64), nullable=False),
        sa.Column("closed_at", UtcDateTime(), nullable=True),
        sa.Column("closed_by", sa.String(length=64), nullable=True),
        sa.Column("cancel_reason", sa.String(length=500), nullable=False),
        sa.Column("cost", Exact(), nullable=True),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("cost_complete", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(["process_id"], ["processes.id"], name="fk_lots_process_id_processes"),
        sa.PrimaryKeyConstraint("id", name="pk_lots"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_lots_process_id", "lots", ["process_id"])
    op.create_index("ix_lots_state", "lots", ["state"])

    op.create_table(
        "subprocesses",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("process_id", sa.Integer(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("description", sa.String(length=2000), nullable=False),
        sa.ForeignKeyConstraint(
            ["process_id"],
            ["processes.id"],
            name="fk_subprocesses_process_id_processes",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name="pk_subprocesses"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_subprocesses_process_id", "subprocesses", ["process_id"])

    op.create_table(
        "variants",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("item_id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("manufacturer", sa.String(length=200), nullable=False),
        sa.Column("description", sa.String(length=2000), nullable=False),
        sa.ForeignKeyConstraint(
            ["item_id"], ["items.id"], name="fk_variants_item_id_items", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_variants"),
        sa.UniqueConstraint("item_id", "name", "manufacturer", name="uq_variants_item_id_name_manufacturer"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "lot_lines",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("lot_id", sa.Integer(), nullable=False),
        sa.Column("variant_id", sa.Integer(), nullable=True),
        sa.Column("label", sa.String(length=2500), nullable=False),
        sa.Column("source", sa.String(length=200), nullable=False),
        sa.Column("quantity", Exact(), nullable=False),
        sa.Column("amount", Exact(), nullable=True),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("cost", Exact(), nullable=True),
        sa.Column("problem", sa.String(length=500), nullable=False),
        sa.ForeignKeyConstraint(["lot_id"], ["lots.id"], name="fk_lot_lines_lot_id_lots", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["variant_id"], ["variants.id"], name="fk_lot_lines_variant_id_variants"),
        sa.PrimaryKeyConstraint("id", name="pk_lot_lines"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_lot_lines_lot_id", "lot_lines", ["lot_id"])
    op.create_index("ix_lot_lines_variant_id", "lot_lines", ["variant_id"])

    op.create_table(
        "lot_notes",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("lot_id", sa.Integer(), nullable=False),
        sa.Column("author", sa.String(length=64), nullable=False),
        sa.Column("text", sa.String(length=2000), nullable=False),
        sa.Column("written_at", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(["lot_id"], ["lots.id"], name="fk_lot_notes_lot_id_lots", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name="pk_lot_notes"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_lot_notes_lot_id", "lot_notes", ["lot_id"])

    op.create_table(
        "other_costs",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("subprocess_id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column(
            "cost_kind",
            sa.Enum("labour", "tooling", "other", name="costkind", native_enum=False, length=10),
            nullable=False,
        ),
        sa.Column("amount", Exact(), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column(
            "basis",
            sa.Enum("unit", "lot", name="costbasis", native_enum=False, length=10),
            nullable=False,
        ),
        sa.ForeignKeyConstraint(
            ["subprocess_id"],
            ["subprocesses.id"],
            name="fk_other_costs_subprocess_id_subprocesses",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name="pk_other_costs"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_other_costs_subprocess_id", "other_costs", ["subprocess_id"])

    op.create_table(
        "prices",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("variant_id", sa.Integer(), nullable=False),
        sa.Column("supplier_id", sa.Integer(), nullable=False),
        sa.Column("amount", Exact(), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("per", Exact(), nullable=False),
        sa.Column("min_quantity", Exact(), nullable=False),
        sa.Column("valid_from", sa.Date(), nullable=False),
        sa.ForeignKeyConstraint(["supplier_id"], ["suppliers.id"], name="fk_prices_supplier_id_suppliers"),
        sa.ForeignKeyConstraint(
            ["variant_id"],
            ["variants.id"],
            name="fk_prices_variant_id_variants",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name="pk_prices"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_prices_supplier_id", "prices", ["supplier_id"])
    op.create_index("ix_prices_variant_id", "prices", ["variant_id"])

    op.create_table(
        "supplier_parts",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("variant_id", sa.Integer(), nullable=False),
        sa.Column("supplier_id", sa.Integer(), nullable=False),
        sa.Column("part_number", sa.String(length=200), nullable=False),
        sa.Column("url", sa.String(length=500), nullable=False),
        sa.ForeignKeyConstraint(
            ["supplier_id"], ["suppliers.id"], name="fk_supplier_parts_supplier_id_suppliers"
        ),
        sa.ForeignKeyConstraint(
            ["variant_id"],
            ["variants.id"],
            name="fk_supplier_parts_variant_id_variants",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name="pk_supplier_parts"),
        sa.UniqueConstraint(
            "variant_id",
            "supplier_id",
            "part_number",
            name="uq_supplier_parts_variant_id_supplier_id_part_number",
        ),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_supplier_parts_supplier_id", "supplier_parts", ["supplier_id"])

    op.create_table(
        "usages",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("subprocess_id", sa.Integer(), nullable=False),
        sa.Column("label", sa.String(length=2000), nullable=False),
        sa.Column("quantity", Exact(), nullable=False),
        sa.ForeignKeyConstraint(
            ["subprocess_id"],
            ["subprocesses.id"],
            name="fk_usages_subprocess_id_subprocesses",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name="pk_usages"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_usages_subprocess_id", "usages", ["subprocess_id"])

    op.create_table(
        "lot_choices",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("lot_id", sa.Integer(), nullable=False),
        sa.Column("usage_id", sa.Integer(), nullable=False),
        sa.Column("variant_id", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["lot_id"], ["lots.id"], name="fk_lot_choices_lot_id_lots", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["usage_id"], ["usages.id"], name="fk_lot_choices_usage_id_usages", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["variant_id"], ["variants.id"], name="fk_lot_choices_variant_id_variants"),
        sa.PrimaryKeyConstraint("id", name="pk_lot_choices"),
        sa.UniqueConstraint("lot_id", "usage_id", name="uq_lot_choices_lot_id_usage_id"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_lot_choices_usage_id", "lot_choices", ["usage_id"])
    op.create_index("ix_lot_choices_variant_id", "lot_choices", ["variant_id"])

    op.create_table(
        "usage_alternatives",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("usage_id", sa.Integer(), nullable=False),
        sa.Column("variant_id", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["usage_id"],
            ["usages.id"],
            name="fk_usage_alternatives_usage_id_usages",
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["variant_id"], ["variants.id"], name="fk_usage_alternatives_variant_id_variants"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_usage_alternatives"),
        sa.UniqueConstraint("usage_id", "variant_id", name="uq_usage_alternatives_usage_id_variant_id"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_usage_alternatives_variant_id", "usage_alternatives", ["variant_id"])


def downgrade() -> None:
    op.drop_table("usage_alternatives")
    op.drop_table("lot_choices")
    op.drop_table("usages")
    op.drop_table("supplier_parts")
    op.drop_table("prices")
    op.drop_table("other_costs")
    op.drop_table("lot_notes")
    op.drop_table("lot_lines")
    op.drop_table("variants")
    op.drop_table("subprocesses")
    op.drop_table("lots")
    op.drop_table("suppliers")
    op.drop_table("processes")
    op.drop_table("items")
    op.drop_table("import_drafts")
    op.drop_table("exchange_rates")
