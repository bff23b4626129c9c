"""Plannings, what is contributed to them, and the cards of those who take part."""

import sqlalchemy as sa
from alembic import op

from apps.planner.models import Moment

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "plannings",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("title", sa.String(length=120), nullable=False),
        sa.Column("prompt", sa.Text(), nullable=False),
        sa.Column(
            "state",
            sa.Enum("prepared", "open", "closed", name="state", native_enum=False, length=16),
            nullable=False,
        ),
        sa.Column("placing", sa.Boolean(), nullable=False),
        sa.Column("plan_image", sa.String(length=64), nullable=False),
        sa.Column("facilitator_id", sa.String(length=36), nullable=False),
        sa.Column("created_at", Moment(), nullable=False),
        sa.Column("closed_at", Moment(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_plannings"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_plannings_facilitator_id", "plannings", ["facilitator_id"])
    op.create_table(
        "card_batches",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("planning_id", sa.Integer(), nullable=False),
        sa.Column("made_by", sa.String(length=36), nullable=False),
        sa.Column("made_at", Moment(), nullable=False),
        sa.Column("ends_at", Moment(), nullable=False),
        sa.Column("ended_at", Moment(), nullable=True),
        sa.ForeignKeyConstraint(
            ["planning_id"],
            ["plannings.id"],
            name="fk_card_batches_planning_id_plannings",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name="pk_card_batches"),
    )
    op.create_index("ix_card_batches_planning_id", "card_batches", ["planning_id"])
    op.create_table(
        "contribution_groups",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("planning_id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=80), nullable=False),
        sa.ForeignKeyConstraint(
            ["planning_id"],
            ["plannings.id"],
            name="fk_contribution_groups_planning_id_plannings",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name="pk_contribution_groups"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_contribution_groups_planning_id", "contribution_groups", ["planning_id"])
    op.create_table(
        "planning_categories",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("planning_id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=40), nullable=False),
        sa.Column("hint", sa.String(length=200), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["planning_id"],
            ["plannings.id"],
            name="fk_planning_categories_planning_id_plannings",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name="pk_planning_categories"),
        sa.UniqueConstraint("planning_id", "name", name="uq_planning_categories_planning_id_name"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_planning_categories_planning_id", "planning_categories", ["planning_id"])
    op.create_table(
        "cards",
        sa.Column("batch_id", sa.String(length=32), nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("participant_id", sa.String(length=36), nullable=False),
        sa.ForeignKeyConstraint(
            ["batch_id"], ["card_batches.id"], name="fk_cards_batch_id_card_batches", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("batch_id", "number", name="pk_cards"),
    )
    op.create_index("ix_cards_participant_id", "cards", ["participant_id"])
    op.create_table(
        "contributions",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("planning_id", sa.Integer(), nullable=False),
        sa.Column("category_id", sa.Integer(), nullable=False),
        sa.Column("group_id", sa.Integer(), nullable=True),
        sa.Column("author_id", sa.String(length=36), nullable=False),
        sa.Column("text", sa.String(length=1000), nullable=False),
        sa.Column("hidden", sa.Boolean(), nullable=False),
        sa.Column("hidden_because", sa.String(length=200), nullable=False),
        sa.Column("x", sa.Double(), nullable=True),
        sa.Column("y", sa.Double(), nullable=True),
        sa.Column("created_at", Moment(), nullable=False),
        sa.CheckConstraint("(x IS NULL) = (y IS NULL)", name="ck_contributions_placed"),
        sa.CheckConstraint("x BETWEEN 0 AND 1 AND y BETWEEN 0 AND 1", name="ck_contributions_within"),
        sa.ForeignKeyConstraint(
            ["category_id"],
            ["planning_categories.id"],
            name="fk_contributions_category_id_planning_categories",
        ),
        sa.ForeignKeyConstraint(
            ["group_id"],
            ["contribution_groups.id"],
            name="fk_contributions_group_id_contribution_groups",
            ondelete="SET NULL",
        ),
        sa.ForeignKeyConstraint(
            ["planning_id"],
            ["plannings.id"],
            name="fk_contributions_planning_id_plannings",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name="pk_contributions"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_contributions_author_id", "contributions", ["author_id"])
    op.create_index("ix_contributions_category_id", "contributions", ["category_id"])
    op.create_index("ix_contributions_planning_id", "contributions", ["planning_id"])
    op.create_table(
        "contribution_support",
        sa.Column("contribution_id", sa.Integer(), nullable=False),
        sa.Column("supporter_id", sa.String(length=36), nullable=False),
        sa.Column("at", Moment(), nullable=False),
        sa.ForeignKeyConstraint(
            ["contribution_id"],
            ["contributions.id"],
            name="fk_contribution_support_contribution_id_contributions",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("contribution_id", "supporter_id", name="pk_contribution_support"),
    )


def downgrade() -> None:
    op.drop_table("contribution_support")
    op.drop_table("contributions")
    op.drop_table("cards")
    op.drop_table("planning_categories")
    op.drop_table("contribution_groups")
    op.drop_table("card_batches")
    op.drop_table("plannings")
