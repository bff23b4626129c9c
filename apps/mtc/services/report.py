"""What executed lots cost: over time and by process."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal

from sqlalchemy import Select, select
from sqlalchemy.orm import Session, joinedload

from apps.mtc.models import Lot, LotState
from apps.mtc.validators.queries import ReportQuery


@dataclass(frozen=True)
class ReportRow:
    lot: int
    process_id: int
    process: str
    quantity: int
    executed: date
    cost: Decimal
    currency: str
    complete: bool

    @property
    def per_unit(self) -> Decimal:
        return (self.cost / self.quantity).quantize(Decimal("0.01"))


@dataclass(frozen=True)
class Report:
    rows: tuple[ReportRow, ...]
    # Lots stay in the currency they were costed in; only those in this one are added up.
    currency: str

    @property
    def comparable(self) -> tuple[ReportRow, ...]:
        return tuple(row for row in self.rows if row.currency == self.currency)

    @property
    def total(self) -> Decimal:
        return sum((row.cost for row in self.comparable), Decimal(0))

    @property
    def by_process(self) -> list[tuple[str, Decimal]]:
        """Process name and cost of all its lots, the dearest first."""
        names = {row.process_id: row.process for row in self.comparable}
        sums = {
            identity: sum((r.cost for r in self.comparable if r.process_id == identity), Decimal(0))
            for identity in names
        }
        ranked = sorted(sums.items(), key=lambda pair: (-pair[1], names[pair[0]]))
        return [(names[identity], cost) for identity, cost in ranked]

    @property
    def is_complete(self) -> bool:
        return all(row.complete for row in self.rows)


def collect(session: Session, query: ReportQuery, currency: str) -> Report:
    """The executed lots in this span, the oldest first (at most 10,000: more is no report)."""
    return Report(tuple(_row(lot) for lot in session.scalars(_executed(query).limit(10_000))), currency)


def every(session: Session, query: ReportQuery) -> Iterator[ReportRow]:
    """All of them, read as they are asked for: an export has no end where the page has one."""
    for lot in session.scalars(_executed(query).execution_options(yield_per=500)):
        yield _row(lot)


def _executed(query: ReportQuery) -> Select[Lot]:
    statement = select(Lot).options(joinedload(Lot.process)).where(Lot.state == LotState.EXECUTED)
    if query.since:
        statement = statement.where(Lot.closed_at >= _midnight(query.since))
    if query.until:
        statement = statement.where(Lot.closed_at < _midnight(query.until + timedelta(days=1)))
    if query.process_id:
        statement = statement.where(Lot.process_id == query.process_id)
    return statement.order_by(Lot.closed_at, Lot.id)


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)


def _row(lot: Lot) -> ReportRow:
    executed = lot.closed_at or lot.planned_at
    return ReportRow(
        lot.id,
        lot.process_id,
        lot.process.name,
        lot.quantity,
        executed.date(),
        lot.cost or Decimal(0),
        lot.currency,
        lot.cost_complete,
    )
