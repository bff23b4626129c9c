"""Rows as JSON. Amounts are strings: a JSON number would pass through a float in most clients."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from apps.mtc.models import (
    ExchangeRate,
    Item,
    Lot,
    LotLine,
    LotNote,
    OtherCost,
    Price,
    Process,
    Subprocess,
    Supplier,
    Usage,
    Variant,
)
from apps.mtc.models.base import tidy
from apps.mtc.services.costing import Estimate
from apps.mtc.services.report import Report
from bylaw.operations.files import StoredFile

Json = dict[str, Any]


def item(row: Item) -> Json:
    return {"id": row.id, "name": row.name, "unit": row.unit, "category": row.category}


def variant(row: Variant) -> Json:
    parts = [
        {"supplier_id": part.supplier_id, "part_number": part.part_number, "url": part.url}
        for part in row.supplier_parts
    ]
    return {
        "id": row.id,
        "item_id": row.item_id,
        "name": row.name,
        "manufacturer": row.manufacturer,
        "description": row.description,
        "supplier_parts": parts,
    }


def supplier(row: Supplier) -> Json:
    return {"id": row.id, "name": row.name, "website": row.website, "note": row.note}


def price(row: Price) -> Json:
    return {
        "id": row.id,
        "variant_id": row.variant_id,
        "supplier_id": row.supplier_id,
        "amount": _number(row.amount),
        "currency": row.currency,
        "per": _number(row.per),
        "min_quantity": _number(row.min_quantity),
        "valid_from": row.valid_from.isoformat(),
    }


def rate(row: ExchangeRate) -> Json:
    return {
        "id": row.id,
        "base": row.base,
        "currency": row.currency,
        "valid_from": row.valid_from.isoformat(),
        "rate": _number(row.rate),
    }


def process(row: Process) -> Json:
    return {"id": row.id, "name": row.name, "description": row.description}


def whole_process(row: Process) -> Json:
    return {**process(row), "subprocesses": [subprocess(part) for part in row.subprocesses]}


def subprocess(row: Subprocess) -> Json:
    return {
        "id": row.id,
        "process_id": row.process_id,
        "position": row.position,
        "name": row.name,
        "description": row.description,
        "usages": [usage(part) for part in row.usages],
        "costs": [cost(part) for part in row.costs],
    }


def usage(row: Usage) -> Json:
    return {
        "id": row.id,
        "subprocess_id": row.subprocess_id,
        "label": row.label,
        "quantity": _number(row.quantity),
        "variant_ids": [alternative.variant_id for alternative in row.alternatives],
    }


def cost(row: OtherCost) -> Json:
    return {
        "id": row.id,
        "subprocess_id": row.subprocess_id,
        "name": row.name,
        "cost_kind": row.cost_kind.value,
        "amount": _number(row.amount),
        "currency": row.currency,
        "basis": row.basis.value,
    }


def lot(row: Lot) -> Json:
    return {
        "id": row.id,
        "number": row.number,
        "process_id": row.process_id,
        "quantity": row.quantity,
        "due": _day(row.due),
        "state": row.state.value,
        "planned_at": row.planned_at.isoformat(),
        "closed_at": row.closed_at.isoformat() if row.closed_at else None,
        "cancel_reason": row.cancel_reason,
        "cost": _number(row.cost),
        "currency": row.currency,
        "cost_complete": row.cost_complete,
        "choices": {str(usage_id): variant_id for usage_id, variant_id in row.chosen.items()},
    }


def whole_lot(row: Lot) -> Json:
    return {
        **lot(row),
        "lines": [lot_line(line) for line in row.lines],
        "notes": [lot_note(note) for note in row.notes],
    }


def lot_line(row: LotLine) -> Json:
    return {
        "variant_id": row.variant_id,
        "label": row.label,
        "source": row.source,
        "quantity": _number(row.quantity),
        "amount": _number(row.amount),
        "currency": row.currency,
        "cost": _number(row.cost),
        "problem": row.problem,
    }


def lot_note(row: LotNote) -> Json:
    return {"id": row.id, "text": row.text, "written_at": row.written_at.isoformat()}


def attachment(row: StoredFile, place: str) -> Json:
    """A file; `place` is where it is downloaded, once it has been checked."""
    return {
        "id": row.id,
        "name": row.name,
        "kind": row.kind,
        "media_type": row.media_type,
        "size": row.size,
        "sha256": row.digest,
        "state": row.state,
        "attached": datetime.fromtimestamp(row.created_at, UTC).isoformat(timespec="seconds"),
        "url": place if row.ready else None,
    }


def estimate(row: Estimate) -> Json:
    return {
        "currency": row.currency,
        "units": _number(row.units),
        "total": _number(row.total),
        "per_unit": _number(row.per_unit),
        "complete": row.complete,
        "problems": list(row.problems),
    }


def report(row: Report) -> Json:
    lots = [
        {
            "lot_id": line.lot,
            "process_id": line.process_id,
            "process": line.process,
            "quantity": line.quantity,
            "executed": line.executed.isoformat(),
            "cost": _number(line.cost),
            "currency": line.currency,
            "complete": line.complete,
        }
        for line in row.rows
    ]
    by_process = [{"process": name, "cost": _number(cost)} for name, cost in row.by_process]
    total = _number(row.total)
    return {"currency": row.currency, "total": total, "by_process": by_process, "lots": lots}


def _number(value: Decimal | None) -> str | None:
    return None if value is None else f"{tidy(value):f}"


def _day(value: date | None) -> str | None:
    return None if value is None else value.isoformat()
