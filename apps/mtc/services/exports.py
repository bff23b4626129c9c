"""The tables that leave: their headings, and their rows one after the other."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from sqlalchemy import select
from sqlalchemy.orm import Session, joinedload

from apps.mtc.models import Item, Price, Variant
from apps.mtc.services.report import ReportRow

_AT_ONCE = 500

LOTS = ("lot", "process", "quantity", "executed", "cost", "currency", "complete", "per unit")
ITEMS = (
    "item",
    "category",
    "unit",
    "variant",
    "manufacturer",
    "description",
    "supplier",
    "price",
    "currency",
    "per",
    "from quantity",
    "valid from",
)


def lots(rows: Iterable[ReportRow]) -> Iterator[tuple[object, ...]]:
    """The report, lot by lot."""
    for row in rows:
        yield (
            row.lot,
            row.process,
            row.quantity,
            row.executed,
            row.cost,
            row.currency,
            "yes" if row.complete else "no",
            row.per_unit,
        )


def items(session: Session, part: str) -> Iterator[tuple[object, ...]]:
    """The catalogue: a row for each price, or for what has none; of items with `part` in their name."""
    found = (
        select(Item, Variant, Price)
        .outerjoin(Variant, Variant.item_id == Item.id)
        .outerjoin(Price, Price.variant_id == Variant.id)
        .options(joinedload(Price.supplier))
        .where(Item.name.icontains(part, autoescape=True))
        .order_by(Item.name, Variant.name, Variant.manufacturer, Price.valid_from.desc(), Price.id)
        .execution_options(yield_per=_AT_ONCE)
    )
    for item, variant, price in session.execute(found):
        yield (item.name, item.category, item.unit, *_named(variant), *_asked(price))


def _named(variant: Variant | None) -> tuple[object, ...]:
    return (None,) * 3 if variant is None else (variant.name, variant.manufacturer, variant.description)


def _asked(price: Price | None) -> tuple[object, ...]:
    if price is None:
        return (None,) * 6
    return (
        price.supplier.name,
        price.amount,
        price.currency,
        price.per,
        price.min_quantity,
        price.valid_from,
    )
