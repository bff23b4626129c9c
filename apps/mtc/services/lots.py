"""Production lots: planned, then executed or cancelled, and nothing else ever.

Each transition begins with one UPDATE that names the state it expects. Of two people who execute
the same lot at the same moment the database lets one through and the other is told.
"""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal

from sqlalchemy import update
from sqlalchemy.engine import CursorResult
from sqlalchemy.orm import Session

from apps.mtc.models import Lot, LotChoice, LotLine, LotNote, LotState, Process, Usage
from apps.mtc.services import audit, costing, estimates, records
from apps.mtc.services.costing import Estimate, Line, Rates
from apps.mtc.services.errors import ConflictError, RejectedError
from apps.mtc.validators.lots import LotChange, LotPlan


def plan(session: Session, draft: LotPlan, *, by: str, now: datetime) -> Lot:
    """Plan a lot; which variants it takes is chosen afterwards."""
    records.refer(session, Process, draft.process_id, "process_id")
    return records.add(session, Lot(**draft.model_dump(), planned_at=now, planned_by=by))


def alter(session: Session, lot_id: int, draft: LotChange) -> Lot:
    lot = _claim(session, lot_id, "changed")
    return records.alter(session, lot, draft.values())


def choose(session: Session, lot_id: int, choices: dict[int, int]) -> Lot:
    """Choose variants for usages of the lot's process; others keep what was chosen."""
    lot = _claim(session, lot_id, "changed")
    allowed = {usage.id: {variant.id for variant in usage.variants} for usage in _usages(lot.process)}
    for usage_id, variant_id in choices.items():
        if variant_id not in allowed.get(usage_id, set()):
            raise RejectedError("choices", "This variant is not allowed for this usage.")
    with audit.changing(session, lot, action="choose"):
        wanted = lot.chosen | choices
        current = {choice.usage_id: choice for choice in lot.choices}
        for usage_id, variant_id in wanted.items():
            if usage_id in current:
                current[usage_id].variant_id = variant_id
            else:
                lot.choices.append(LotChoice(usage_id=usage_id, variant_id=variant_id))
    return lot


def execute(session: Session, lot_id: int, *, by: str, now: datetime, rates: Rates) -> Lot:
    """Record that the lot was made: what was consumed and what it cost on this day.

    Raises `ConflictError` if the lot is not planned any more, or if a usage with several
    variants has none chosen. What has no price is recorded without one, and the lot says so:
    the parts are consumed whether anybody knows their price or not.
    """
    lot = _claim(session, lot_id, "executed")
    _demand_choices(lot)
    estimate = estimated(session, lot, rates=rates, on=now.date())
    with audit.changing(session, lot, action="execute"):
        _close(lot, LotState.EXECUTED, by, now)
        lot.lines = [_line(line) for line in estimate.lines]
        lot.cost, lot.currency = estimate.total, estimate.currency
        lot.cost_complete = estimate.complete
    return lot


def cancel(session: Session, lot_id: int, *, reason: str, by: str, now: datetime) -> Lot:
    lot = _claim(session, lot_id, "cancelled")
    with audit.changing(session, lot, action="cancel"):
        _close(lot, LotState.CANCELLED, by, now)
        lot.cancel_reason = reason
    return lot


def add_note(session: Session, lot_id: int, text: str, *, by: str, now: datetime) -> LotNote:
    lot = records.find(session, Lot, lot_id)
    return records.add(session, LotNote(lot=lot, text=text, author=by, written_at=now))


def estimated(session: Session, lot: Lot, *, rates: Rates, on: date) -> Estimate:
    """What the lot would cost on this day, with the chosen variants at their cheapest offers.

    Where nothing is chosen yet, the dearest variant counts (and the estimate stays cautious).
    """
    process = estimates.load(session, lot.process_id)
    wanted, other = estimates.needs(process, lot.chosen), estimates.overheads(process)
    units = Decimal(lot.quantity)
    if missing_choices(lot):
        return costing.worst_case(wanted, other, units=units, on=on, rates=rates)
    return costing.best_case(wanted, other, units=units, on=on, rates=rates)


def open_choices(lot: Lot) -> list[Usage]:
    """The usages that leave a choice; where one variant is allowed there is none."""
    return [usage for usage in _usages(lot.process) if len(usage.alternatives) > 1]


def missing_choices(lot: Lot) -> list[Usage]:
    return [usage for usage in open_choices(lot) if usage.id not in lot.chosen]


def _claim(session: Session, lot_id: int, verb: str) -> Lot:
    """Lock the lot if it is still planned, else say in which state it is."""
    claim = (
        update(Lot)
        .where(Lot.id == lot_id, Lot.state == LotState.PLANNED)
        .values(revision=Lot.revision + 1)
        .execution_options(synchronize_session=False)
    )
    result = session.execute(claim)
    won = isinstance(result, CursorResult) and result.rowcount == 1
    lot = records.find(session, Lot, lot_id)
    session.refresh(lot)
    if not won:
        raise ConflictError(f"Lot {lot.id} is {lot.state.value}; only a planned lot can be {verb}.")
    return lot


def _demand_choices(lot: Lot) -> None:
    missing = missing_choices(lot)
    if missing:
        names = ", ".join(usage.label or f"usage {usage.id}" for usage in missing[:5])
        more = f" and {len(missing) - 5} more" if len(missing) > 5 else ""
        raise ConflictError(f"Choose a variant first for: {names}{more}.")


def _close(lot: Lot, state: LotState, by: str, now: datetime) -> None:
    lot.state, lot.closed_by, lot.closed_at = state, by, now


def _usages(process: Process) -> list[Usage]:
    return [usage for part in process.subprocesses for usage in part.usages]


def _line(line: Line) -> LotLine:
    return LotLine(
        variant_id=line.variant_id,
        label=line.label[:2500],
        source=line.supplier,
        quantity=line.quantity,
        amount=line.amount,
        currency=line.currency,
        cost=line.cost,
        problem=line.problem[:500],
    )
