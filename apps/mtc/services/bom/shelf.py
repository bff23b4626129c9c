"""Items, variants and suppliers by name: found if they exist, made if not, each at most once."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from itertools import islice
from typing import TypeVar

from sqlalchemy import select
from sqlalchemy.orm import Session, selectinload

from apps.mtc.models import Base, Item, Price, Supplier, SupplierPart, Variant
from apps.mtc.services.bom.parts import UNNAMED_SUPPLIER
from apps.mtc.validators.import_validators import BomPart, ItemRow

# Databases bound how many values one statement may name.
_CHUNK = 500
K = TypeVar("K", bound=Hashable)
E = TypeVar("E", bound=Base)


class Shelf:
    """Loads in a few queries all that the parts name, so that a row of the file costs none."""

    def __init__(self, session: Session, parts: Sequence[BomPart | ItemRow]) -> None:
        self.made: list[Base] = []
        items = _by_name(session, {part.item for part in parts})
        self.items: dict[str, Item] = {item.name: item for item in items}
        self._variants: dict[tuple[str, str, str], Variant] = {
            (item.name, variant.name, variant.manufacturer): variant
            for item in items
            for variant in item.variants
        }
        self._suppliers: dict[str, Supplier] = {
            supplier.name: supplier for supplier in _suppliers(session, parts)
        }

    def variant(self, part: BomPart | ItemRow) -> Variant:
        """The variant of a part, with its item."""
        made: dict[str, str] = {"unit": part.unit} if part.unit else {}
        item = self._get(self.items, part.item, lambda: Item(name=part.item, **made))
        return self._get(
            self._variants,
            (part.item, part.variant_name, part.manufacturer),
            lambda: Variant(
                item=item,
                name=part.variant_name,
                manufacturer=part.manufacturer,
                description=part.description,
            ),
        )

    def supplier(self, name: str) -> Supplier:
        return self._get(self._suppliers, name, lambda: Supplier(name=name))

    def price(self, variant: Variant, price: Price) -> None:
        """Add a price unless the variant has the very same already."""
        if any(_same_price(price, other) for other in variant.prices):
            return
        variant.prices.append(price)
        self.made.append(price)

    def listing(self, variant: Variant, supplier: Supplier, number: str, url: str) -> None:
        """Note under which number a supplier lists the variant, unless that is known."""
        known = {(part.supplier, part.part_number) for part in variant.supplier_parts}
        if (number or url) and (supplier, number) not in known:
            part = SupplierPart(supplier=supplier, part_number=number, url=url)
            variant.supplier_parts.append(part)
            self.made.append(part)

    def made_of(self, kind: type[Base]) -> list[Base]:
        return [entity for entity in self.made if isinstance(entity, kind)]

    def _get(self, known: dict[K, E], key: K, make: Callable[[], E]) -> E:
        if key not in known:
            known[key] = make()
            self.made.append(known[key])
        return known[key]


def supplier_names(part: BomPart | ItemRow) -> list[str]:
    """Every supplier that a part names; one without a name if it only has a price."""
    named = [part.supplier or (UNNAMED_SUPPLIER if part.price or part.supplier_part else "")]
    listed = [name for name, _ in part.listings] if isinstance(part, BomPart) else []
    return [name for name in (*named, *listed) if name]


def _by_name(session: Session, names: set[str]) -> list[Item]:
    variants = selectinload(Item.variants)
    loaded = (variants.selectinload(Variant.prices), variants.selectinload(Variant.supplier_parts))
    return [
        item
        for chunk in _chunks(sorted(names))
        for item in session.scalars(select(Item).where(Item.name.in_(chunk)).options(*loaded))
    ]


def _suppliers(session: Session, parts: Sequence[BomPart | ItemRow]) -> list[Supplier]:
    names = {name for part in parts for name in supplier_names(part)}
    return [
        supplier
        for chunk in _chunks(sorted(names))
        for supplier in session.scalars(select(Supplier).where(Supplier.name.in_(chunk)))
    ]


def _chunks(names: Iterable[str]) -> Iterator[list[str]]:
    remaining = iter(names)
    while chunk := list(islice(remaining, _CHUNK)):
        yield chunk


def _same_price(one: Price, other: Price) -> bool:
    def terms(price: Price) -> tuple[object, ...]:
        return (
            price.supplier,
            price.amount,
            price.per,
            price.currency,
            price.min_quantity,
            price.valid_from,
        )

    return terms(one) == terms(other)
