"""MTC's tables."""

from apps.mtc.models.base import Base
from apps.mtc.models.catalogue import ExchangeRate, Item, Price, Supplier, SupplierPart, Variant
from apps.mtc.models.lots import Lot, LotChoice, LotLine, LotNote, LotState
from apps.mtc.models.processes import (
    Alternative,
    CostBasis,
    CostKind,
    OtherCost,
    Process,
    Subprocess,
    Usage,
)

__all__ = [
    "Alternative",
    "Base",
    "CostBasis",
    "CostKind",
    "ExchangeRate",
    "Item",
    "Lot",
    "LotChoice",
    "LotLine",
    "LotNote",
    "LotState",
    "OtherCost",
    "Price",
    "Process",
    "Subprocess",
    "Supplier",
    "SupplierPart",
    "Usage",
    "Variant",
]
