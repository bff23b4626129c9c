"""What is bought: items, their variants, who sells them and for how much."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

from sqlalchemy import ForeignKey, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from apps.mtc.models.base import KEEP_IDS, Base


class Item(Base):
    """A kind of thing a process needs ("Resistor 22k"), whoever makes it."""

    __tablename__ = "items"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(200), unique=True)
    unit: Mapped[str] = mapped_column(String(20), default="pcs")
    category: Mapped[str] = mapped_column(String(100), default="", index=True)

    variants: Mapped[list[Variant]] = relationship(
        back_populates="item", cascade="all, delete-orphan", order_by="Variant.name"
    )


class Variant(Base):
    """One thing that can be bought for an item: a part number, a size, a make."""

    __tablename__ = "variants"
    __table_args__ = (UniqueConstraint("item_id", "name", "manufacturer"), KEEP_IDS)

    id: Mapped[int] = mapped_column(primary_key=True)
    item_id: Mapped[int] = mapped_column(ForeignKey("items.id", ondelete="CASCADE"))
    name: Mapped[str] = mapped_column(String(200))
    manufacturer: Mapped[str] = mapped_column(String(200), default="")
    description: Mapped[str] = mapped_column(String(2000), default="")

    item: Mapped[Item] = relationship(back_populates="variants")
    prices: Mapped[list[Price]] = relationship(
        back_populates="variant", cascade="all, delete-orphan", order_by="Price.valid_from.desc()"
    )
    supplier_parts: Mapped[list[SupplierPart]] = relationship(
        back_populates="variant", cascade="all, delete-orphan"
    )

    @property
    def label(self) -> str:
        """What a person reads in a list: the item, then the variant if it says more."""
        name = self.item.name if self.name == self.item.name else f"{self.item.name}: {self.name}"
        return f"{name} ({self.manufacturer})" if self.manufacturer else name


class Supplier(Base):
    __tablename__ = "suppliers"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(200), unique=True)
    website: Mapped[str] = mapped_column(String(500), default="")
    note: Mapped[str] = mapped_column(String(2000), default="")


class SupplierPart(Base):
    """Under which number, and where, a supplier lists a variant."""

    __tablename__ = "supplier_parts"
    __table_args__ = (UniqueConstraint("variant_id", "supplier_id", "part_number"), KEEP_IDS)

    id: Mapped[int] = mapped_column(primary_key=True)
    variant_id: Mapped[int] = mapped_column(ForeignKey("variants.id", ondelete="CASCADE"))
    supplier_id: Mapped[int] = mapped_column(ForeignKey("suppliers.id"), index=True)
    part_number: Mapped[str] = mapped_column(String(200), default="")
    url: Mapped[str] = mapped_column(String(500), default="")

    variant: Mapped[Variant] = relationship(back_populates="supplier_parts")
    supplier: Mapped[Supplier] = relationship()


class Price(Base):
    """``amount`` of ``currency`` buys ``per`` of a variant, from ``min_quantity`` upwards.

    ``per`` keeps pack prices exact: 12 bearings for 42.53 have no exact price for one.
    """

    __tablename__ = "prices"

    id: Mapped[int] = mapped_column(primary_key=True)
    variant_id: Mapped[int] = mapped_column(ForeignKey("variants.id", ondelete="CASCADE"), index=True)
    supplier_id: Mapped[int] = mapped_column(ForeignKey("suppliers.id"), index=True)
    amount: Mapped[Decimal]
    currency: Mapped[str] = mapped_column(String(3))
    per: Mapped[Decimal] = mapped_column(default=Decimal(1))
    min_quantity: Mapped[Decimal] = mapped_column(default=Decimal(0))
    valid_from: Mapped[date]

    variant: Mapped[Variant] = relationship(back_populates="prices")
    supplier: Mapped[Supplier] = relationship()


class ExchangeRate(Base):
    """From ``valid_from`` on, one unit of ``currency`` is worth ``rate`` units of ``base``."""

    __tablename__ = "exchange_rates"
    __table_args__ = (UniqueConstraint("base", "currency", "valid_from"), KEEP_IDS)

    id: Mapped[int] = mapped_column(primary_key=True)
    base: Mapped[str] = mapped_column(String(3))
    currency: Mapped[str] = mapped_column(String(3))
    valid_from: Mapped[date]
    rate: Mapped[Decimal]
