"""What is made: production lots, what was chosen and consumed, and what it cost at that moment."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum

from sqlalchemy import ForeignKey, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from apps.mtc.models.base import KEEP_IDS, Base, one_of
from apps.mtc.models.catalogue import Variant
from apps.mtc.models.processes import Process, Usage


class LotState(StrEnum):
    PLANNED = "planned"
    EXECUTED = "executed"
    CANCELLED = "cancelled"


class Lot(Base):
    """People are named by their id only: a name would outlive its owner's wish to be forgotten."""

    __tablename__ = "lots"
    unaudited = frozenset({"revision"})

    id: Mapped[int] = mapped_column(primary_key=True)
    # What people call it, where they number their lots; imports find it by this.
    number: Mapped[str | None] = mapped_column(String(40), unique=True, index=True)
    process_id: Mapped[int] = mapped_column(ForeignKey("processes.id"), index=True)
    quantity: Mapped[int]
    due: Mapped[date | None]
    state: Mapped[LotState] = mapped_column(one_of(LotState), default=LotState.PLANNED, index=True)
    # Counts every change, so that each one is an UPDATE which locks the row and checks the state.
    revision: Mapped[int] = mapped_column(default=1)
    planned_at: Mapped[datetime]
    planned_by: Mapped[str] = mapped_column(String(64))
    closed_at: Mapped[datetime | None]
    closed_by: Mapped[str | None] = mapped_column(String(64))
    cancel_reason: Mapped[str] = mapped_column(String(500), default="")
    cost: Mapped[Decimal | None]
    currency: Mapped[str] = mapped_column(String(3), default="")
    cost_complete: Mapped[bool] = mapped_column(default=False)

    process: Mapped[Process] = relationship()
    choices: Mapped[list[LotChoice]] = relationship(back_populates="lot", cascade="all, delete-orphan")
    lines: Mapped[list[LotLine]] = relationship(
        back_populates="lot", cascade="all, delete-orphan", order_by="LotLine.id"
    )
    notes: Mapped[list[LotNote]] = relationship(
        back_populates="lot", cascade="all, delete-orphan", order_by="LotNote.id"
    )

    @property
    def title(self) -> str:
        return f"Lot {self.number}" if self.number else f"Lot {self.id}"

    @property
    def chosen(self) -> dict[int, int]:
        """Usage id to the id of the variant chosen for it."""
        return {choice.usage_id: choice.variant_id for choice in self.choices}

    def audited(self) -> dict[str, object]:
        return {
            **super().audited(),
            **{f"choice_{usage}": variant for usage, variant in sorted(self.chosen.items())},
        }


class LotChoice(Base):
    __tablename__ = "lot_choices"
    __table_args__ = (UniqueConstraint("lot_id", "usage_id"), KEEP_IDS)

    id: Mapped[int] = mapped_column(primary_key=True)
    lot_id: Mapped[int] = mapped_column(ForeignKey("lots.id", ondelete="CASCADE"))
    usage_id: Mapped[int] = mapped_column(ForeignKey("usages.id", ondelete="CASCADE"), index=True)
    variant_id: Mapped[int] = mapped_column(ForeignKey("variants.id"), index=True)

    lot: Mapped[Lot] = relationship(back_populates="choices")
    usage: Mapped[Usage] = relationship()
    variant: Mapped[Variant] = relationship()


class LotLine(Base):
    """What was consumed or paid. Words and amounts are copies: prices and names change later."""

    __tablename__ = "lot_lines"

    id: Mapped[int] = mapped_column(primary_key=True)
    lot_id: Mapped[int] = mapped_column(ForeignKey("lots.id", ondelete="CASCADE"), index=True)
    variant_id: Mapped[int | None] = mapped_column(ForeignKey("variants.id"), index=True)
    label: Mapped[str] = mapped_column(String(2500))
    source: Mapped[str] = mapped_column(String(200), default="")
    quantity: Mapped[Decimal]
    amount: Mapped[Decimal | None]
    currency: Mapped[str] = mapped_column(String(3), default="")
    cost: Mapped[Decimal | None]
    problem: Mapped[str] = mapped_column(String(500), default="")

    lot: Mapped[Lot] = relationship(back_populates="lines")


class LotNote(Base):
    __tablename__ = "lot_notes"

    id: Mapped[int] = mapped_column(primary_key=True)
    lot_id: Mapped[int] = mapped_column(ForeignKey("lots.id", ondelete="CASCADE"), index=True)
    author: Mapped[str] = mapped_column(String(64))
    text: Mapped[str] = mapped_column(String(2000))
    written_at: Mapped[datetime]

    lot: Mapped[Lot] = relationship(back_populates="notes")
