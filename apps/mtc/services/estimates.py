"""From the database to `costing`: what a process needs and what is asked for it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from decimal import Decimal

from sqlalchemy import select
from sqlalchemy.orm import Session, selectinload

from apps.mtc.models import (
    Alternative,
    CostBasis,
    Price,
    Process,
    Subprocess,
    Usage,
    Variant,
)
from apps.mtc.services import costing, prices
from apps.mtc.services.costing import Choice, Estimate, Need, Overhead, Rates
from apps.mtc.services.errors import MissingError


def load(session: Session, process_id: int) -> Process:
    """A process with all that an estimate reads, in a handful of queries whatever its size."""
    variants = (
        selectinload(Process.subprocesses)
        .selectinload(Subprocess.usages)
        .selectinload(Usage.alternatives)
        .joinedload(Alternative.variant)
    )
    query = (
        select(Process)
        .where(Process.id == process_id)
        .options(
            selectinload(Process.subprocesses).selectinload(Subprocess.costs),
            variants.joinedload(Variant.item),
            variants.selectinload(Variant.prices).joinedload(Price.supplier),
        )
    )
    process = session.scalar(query)
    if process is None:
        raise MissingError("There is no process with this number.")
    return process


def worst_and_best(
    process: Process, *, rates: Rates, on: date, units: Decimal = Decimal(1)
) -> tuple[Estimate, Estimate]:
    wanted, other = needs(process), overheads(process)
    return (
        costing.worst_case(wanted, other, units=units, on=on, rates=rates),
        costing.best_case(wanted, other, units=units, on=on, rates=rates),
    )


def needs(process: Process, chosen: Mapping[int, int] | None = None) -> list[Need]:
    """What one unit needs. `chosen` (usage id to variant id) narrows the alternatives."""
    picks = chosen or {}
    return [_need(usage, picks.get(usage.id)) for part in process.subprocesses for usage in part.usages]


def overheads(process: Process) -> list[Overhead]:
    return [
        Overhead(f"{part.name}: {cost.name}", cost.amount, cost.currency, cost.basis == CostBasis.LOT)
        for part in process.subprocesses
        for cost in part.costs
    ]


def _need(usage: Usage, chosen: int | None) -> Need:
    allowed = [v for v in usage.variants if chosen is None or v.id == chosen]
    return Need(usage.id, usage.label, usage.quantity, tuple(_choice(v) for v in allowed))


def _choice(variant: Variant) -> Choice:
    return Choice(variant.id, variant.label, prices.offers(variant))
