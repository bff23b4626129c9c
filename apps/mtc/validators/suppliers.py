"""Suppliers, prices and exchange rates."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated

from pydantic import BeforeValidator, Field

from apps.mtc.validators.base import (
    Currency,
    Day,
    Id,
    Input,
    LongText,
    Money,
    Name,
    Quantity,
    Rate,
    WebAddress,
    no_bool,
)

MinQuantity = Annotated[Decimal, BeforeValidator(no_bool), Field(ge=0, le=1_000_000, decimal_places=6)]


class SupplierDraft(Input):
    name: Name
    website: WebAddress = ""
    note: LongText = ""


class PriceDraft(Input):
    """`amount` buys `per` pieces, if at least `min_quantity` are bought."""

    variant_id: Id
    supplier_id: Id
    amount: Money
    currency: Currency
    per: Quantity = Decimal(1)
    min_quantity: MinQuantity = Decimal(0)
    valid_from: Day


class RateDraft(Input):
    """From `valid_from` on, one unit of `currency` is worth `rate` units of the base currency."""

    currency: Currency
    valid_from: Day
    rate: Rate
