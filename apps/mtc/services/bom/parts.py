"""What a row of a bill of materials turns out to be."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

UNNAMED_SUPPLIER = "Supplier not named"


class RowKind(StrEnum):
    HEADER = "header"
    PART = "part"
    HEADING = "heading"
    TOTAL = "total"
    BLANK = "blank"
    ERROR = "error"


@dataclass(frozen=True)
class Problem:
    """What is wrong with a cell and what is accepted instead, for whoever uploaded the file."""

    row: int
    column: str
    value: str
    accepted: str


@dataclass(frozen=True)
class Money:
    """`amount` pays for `per` pieces; `currency` is empty if nothing in the file names it."""

    amount: Decimal
    per: Decimal
    currency: str

    def line(self, quantity: Decimal) -> Decimal:
        return self.amount * quantity / self.per


@dataclass(frozen=True)
class Part:
    references: str
    quantity: Decimal
    item: str
    variant: str
    description: str = ""
    manufacturer: str = ""
    supplier: str = ""
    supplier_part: str = ""
    # (supplier, its part number) from columns that are headed by a supplier's name
    distributors: tuple[tuple[str, str], ...] = ()
    price: Money | None = None
    url: str = ""


@dataclass(frozen=True)
class ReadRow:
    number: int
    kind: RowKind
    why: str
    cells: tuple[str, ...]
    part: Part | None = None
    total: Decimal | None = None
    problems: tuple[Problem, ...] = ()


def sum_of(parts: Iterable[Part]) -> Decimal:
    """What all rows with a price cost together, whatever their currencies."""
    priced = (part.price.line(part.quantity) for part in parts if part.price)
    return sum(priced, Decimal(0))
