"""Suppliers' prices and exchange rates."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session

from apps.mtc.models import ExchangeRate, Price, Supplier, Variant
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
