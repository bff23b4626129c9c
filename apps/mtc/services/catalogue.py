"""Items, variants and suppliers: what they may be deleted under."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import InstrumentedAttribute, Session

from apps.mtc.models import Alternative, Item, LotLine, Price, Supplier, SupplierPart, Variant
from apps.mtc.services import records
from apps.mtc.services.errors import ConflictError
from apps.mtc.validators.items import VariantDraft


def add_variant(session: Session, item: Item, draft: VariantDraft) -> Variant:
    return records.add(session, Variant(item=item, **draft.model_dump()))


def remove_item(session: Session, item: Item) -> None:
    """Delete an item with its variants and their prices, unless one of them is in use."""
    for variant in item.variants:
        _refuse_if_used(session, variant)
    contents = {**item.audited(), "variants": [variant.audited() for variant in item.variants]}
    records.remove(session, item, contents)


def remove_variant(session: Session, variant: Variant) -> None:
    _refuse_if_used(session, variant)
    contents = {**variant.audited(), "prices": [price.audited() for price in variant.prices]}
    records.remove(session, variant, contents)


def remove_supplier(session: Session, supplier: Supplier) -> None:
    for column in (Price.supplier_id, SupplierPart.supplier_id):
        if _names(session, column, supplier.id):
            raise ConflictError(f"{supplier.name} has prices or parts and cannot be deleted.")
    records.remove(session, supplier)


def _refuse_if_used(session: Session, variant: Variant) -> None:
    if _names(session, Alternative.variant_id, variant.id):
        raise ConflictError(f"{variant.label} is used in a process and cannot be deleted.")
    if _names(session, LotLine.variant_id, variant.id):
        raise ConflictError(f"{variant.label} was consumed by a lot and cannot be deleted.")


def _names(
    session: Session,
    column: InstrumentedAttribute[int] | InstrumentedAttribute[int | None],
    identity: int,
) -> bool:
    """Whether any row's `column` names this id."""
    return session.scalar(select(column).where(column == identity).limit(1)) is not None
