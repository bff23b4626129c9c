"""How something is made: a process of ordered subprocesses, what each uses and costs besides."""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum

from sqlalchemy import ForeignKey, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from apps.mtc.models.base import KEEP_IDS, Base, one_of
from apps.mtc.models.catalogue import Variant


class CostBasis(StrEnum):
    """What an amount is paid for: each unit made, or the lot as a whole (setting up, tooling)."""

    UNIT = "unit"
    LOT = "lot"


class CostKind(StrEnum):
    LABOUR = "labour"
    TOOLING = "tooling"
    OTHER = "other"


class Process(Base):
    __tablename__ = "processes"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(200), unique=True)
    description: Mapped[str] = mapped_column(String(2000), default="")

    subprocesses: Mapped[list[Subprocess]] = relationship(
        back_populates="process",
        cascade="all, delete-orphan",
        order_by="(Subprocess.position, Subprocess.id)",
    )

    def contents(self) -> dict[str, object]:
        """Everything that goes when the process is deleted."""
        return {**self.audited(), "subprocesses": [part.contents() for part in self.subprocesses]}


class Subprocess(Base):
    __tablename__ = "subprocesses"

    id: Mapped[int] = mapped_column(primary_key=True)
    process_id: Mapped[int] = mapped_column(ForeignKey("processes.id", ondelete="CASCADE"), index=True)
    position: Mapped[int]
    name: Mapped[str] = mapped_column(String(200))
    description: Mapped[str] = mapped_column(String(2000), default="")

    process: Mapped[Process] = relationship(back_populates="subprocesses")
    usages: Mapped[list[Usage]] = relationship(
        back_populates="subprocess", cascade="all, delete-orphan", order_by="Usage.id"
    )
    costs: Mapped[list[OtherCost]] = relationship(
        back_populates="subprocess", cascade="all, delete-orphan", order_by="OtherCost.id"
    )

    def contents(self) -> dict[str, object]:
        return {
            **self.audited(),
            "usages": [usage.audited() for usage in self.usages],
            "costs": [cost.audited() for cost in self.costs],
        }


class Usage(Base):
    """So much of one of these variants, for each unit made. One is chosen when a lot is planned."""

    __tablename__ = "usages"

    id: Mapped[int] = mapped_column(primary_key=True)
    subprocess_id: Mapped[int] = mapped_column(ForeignKey("subprocesses.id", ondelete="CASCADE"), index=True)
    label: Mapped[str] = mapped_column(String(2000), default="")
    quantity: Mapped[Decimal]

    subprocess: Mapped[Subprocess] = relationship(back_populates="usages")
    alternatives: Mapped[list[Alternative]] = relationship(
        back_populates="usage", cascade="all, delete-orphan", order_by="Alternative.id"
    )

    @property
    def variants(self) -> list[Variant]:
        return [alternative.variant for alternative in self.alternatives]

    def audited(self) -> dict[str, object]:
        return {
            **super().audited(),
            "variant_ids": [alternative.variant_id for alternative in self.alternatives],
        }


class Alternative(Base):
    __tablename__ = "usage_alternatives"
    __table_args__ = (UniqueConstraint("usage_id", "variant_id"), KEEP_IDS)

    id: Mapped[int] = mapped_column(primary_key=True)
    usage_id: Mapped[int] = mapped_column(ForeignKey("usages.id", ondelete="CASCADE"))
    variant_id: Mapped[int] = mapped_column(ForeignKey("variants.id"), index=True)

    usage: Mapped[Usage] = relationship(back_populates="alternatives")
    variant: Mapped[Variant] = relationship()


class OtherCost(Base):
    """Labour, tooling and the like."""

    __tablename__ = "other_costs"

    id: Mapped[int] = mapped_column(primary_key=True)
    subprocess_id: Mapped[int] = mapped_column(ForeignKey("subprocesses.id", ondelete="CASCADE"), index=True)
    name: Mapped[str] = mapped_column(String(200))
    cost_kind: Mapped[CostKind] = mapped_column(one_of(CostKind))
    amount: Mapped[Decimal]
    currency: Mapped[str] = mapped_column(String(3))
    basis: Mapped[CostBasis] = mapped_column(one_of(CostBasis))

    subprocess: Mapped[Subprocess] = relationship(back_populates="costs")
