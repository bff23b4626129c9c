"""What a row of a bill of materials turns out to be."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

FIRST_SECTION = "Parts"
UNNAMED_SUPPLIER = "Supplier not named"


@dataclass(frozen=True)
class Found:
    """A row that is a part: the values of a `BomPart` by field, still to be validated."""

    row: int
    values: Mapping[str, object]


@dataclass(frozen=True)
class Left:
    """A row that is none, and why: nothing is left out silently."""

    row: int
    why: str


@dataclass(frozen=True)
class Remark:
    """What a person should know about the whole file."""

    text: str


@dataclass(frozen=True)
class Total:
    """A row that adds up others; `amount` is None where it says none that can be read."""

    row: int
    amount: Decimal | None
    formula: bool = False
    pieces: Decimal | None = None


@dataclass(frozen=True)
class Extra:
    """A row that costs and is no part: shipping, tax, a discount."""

    row: int
    name: str
    amount: Decimal | None


@dataclass(frozen=True)
class Heading:
    """A single text: what stands below it belongs together."""

    row: int
    text: str


Entry = Found | Left | Total | Extra | Heading
