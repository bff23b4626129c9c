"""Suppliers' prices and exchange rates."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

from sqlalchemy import select
from sqlalchemy.orm import Session

from apps.mtc.models import ExchangeRate, Price, Supplier, SupplierPart, Variant
from apps.mtc.services import records
from apps.mtc.services.costing import Offer, Rates
from apps.mtc.validators.suppliers import PriceDraft, RateDraft


def add_price(session: Session, draft: PriceDraft) -> Price:
    """Record what a supplier asks. Raises `RejectedError` for an unknown variant or supplier."""
    records.refer(session, Variant, draft.variant_id, "variant_id")
    records.refer(session, Supplier, draft.supplier_id, "supplier_id")
    return records.add(session, Price(**draft.model_dump()))


def alter_price(session: Session, price: Price, draft: PriceDraft) -> Price:
    records.refer(session, Variant, draft.variant_id, "variant_id")
    records.refer(session, Supplier, draft.supplier_id, "supplier_id")
    return records.alter(session, price, draft.model_dump())


def add_rate(session: Session, draft: RateDraft, base: str) -> ExchangeRate:
    return records.add(session, ExchangeRate(base=base, **draft.model_dump()))


def rates(session: Session, base: str) -> Rates:
    """Every rate to `base` that was ever entered."""
    query = select(ExchangeRate).where(ExchangeRate.base == base)
    known = ((rate.currency, rate.valid_from, rate.rate) for rate in session.scalars(query))
    return Rates(base, tuple(known))


def offers(variant: Variant) -> tuple[Offer, ...]:
    return tuple(offer(price) for price in variant.prices)


def offer(price: Price) -> Offer:
    return Offer(
        price.supplier.name,
        price.amount,
        price.currency,
        price.valid_from,
        price.per,
        price.min_quantity,
    )


def is_listed(session: Session, price: Price) -> bool:
    """Whether the very same price stands there already (an import is repeated)."""
    same = select(Price).where(
        Price.variant_id == price.variant_id,
        Price.supplier_id == price.supplier_id,
        Price.currency == price.currency,
        Price.valid_from == price.valid_from,
    )
    terms = (price.amount, price.per, price.min_quantity)
    return any((p.amount, p.per, p.min_quantity) == terms for p in session.scalars(same))


def list_part(
    session: Session, variant_id: int, supplier_id: int, part_number: str, url: str
) -> SupplierPart | None:
    """Note where a supplier lists a variant, unless that is known. Not recorded: see the caller."""
    same = select(SupplierPart).where(
        SupplierPart.variant_id == variant_id,
        SupplierPart.supplier_id == supplier_id,
        SupplierPart.part_number == part_number,
    )
    if not (part_number or url) or session.scalar(same) is not None:
        return None
    part = SupplierPart(variant_id=variant_id, supplier_id=supplier_id, part_number=part_number, url=url)
    session.add(part)
    return part


def new_price(
    variant_id: int,
    supplier_id: int,
    *,
    amount: Decimal,
    per: Decimal,
    currency: str,
    valid_from: date,
) -> Price:
    return Price(
        variant_id=variant_id,
        supplier_id=supplier_id,
        amount=amount,
        per=per,
        currency=currency,
        min_quantity=Decimal(0),
        valid_from=valid_from,
    )
