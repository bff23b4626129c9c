"""Sample data: four real bills of materials, what a workshop would add to them, some lots and their files."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

from sqlalchemy import select
from sqlalchemy.orm import Session

from apps.mtc.models import CostBasis, CostKind, Lot, Process, Subprocess, Supplier, Usage, Variant
from apps.mtc.services import attachments, lots, prices, processes, records
from apps.mtc.services.bom import loading
from apps.mtc.services.bom.bills import read_bill
from apps.mtc.validators.import_validators import BomOptions
from apps.mtc.validators.lots import LotPlan
from apps.mtc.validators.processes import CostDraft, UsageDraft
from apps.mtc.validators.suppliers import PriceDraft, RateDraft
from bylaw.identity import ANONYMOUS
from bylaw.operations.files import Files, Given

BOMS = Path(__file__).parent / "boms"
FILES = {
    "micromanipulator.csv": "Micromanipulator stepper",
    "mixtape.csv": "8Bit mixtape",
    "lands.csv": "LANDS spray unit",
    "heat-controller.csv": "Heat controller",
}
PLANNER = "sample"
PAPERS = {
    "process": ("carrier-plate.png", "image/png"),
    "lot": ("test-report.pdf", "application/pdf"),
}


def load(session: Session, *, now: datetime | None = None, base: str = "EUR") -> bool:
    """Load everything and commit; False if it is there already."""
    moment = now or datetime.now(UTC)
    first = FILES["micromanipulator.csv"]
    if session.scalar(select(Process.id).where(Process.name == first)) is not None:
        return False
    long_ago = moment.date() - timedelta(days=200)
    for filename, name in FILES.items():
        import_bom(session, filename, name, valid_from=long_ago, base=base)
    for currency, rate in (("USD", "0.92"), ("GBP", "1.17")):
        draft = RateDraft(currency=currency, valid_from=long_ago, rate=Decimal(rate))
        prices.add_rate(session, draft, base)
    process = session.scalars(select(Process).where(Process.name == first)).one()
    _add_costs(session, process.subprocesses[0], base)
    _add_alternative(session, process.subprocesses[0].usages[0], moment.date(), base)
    _make_lots(session, process, moment, base)
    session.commit()
    return True


def attach(session: Session, files: Files) -> None:
    """A drawing on the first process and a test report on its first lot, unless they have some."""
    first = session.scalars(select(Process).where(Process.name == FILES["micromanipulator.csv"])).one()
    lot = session.scalars(select(Lot).where(Lot.process_id == first.id).order_by(Lot.id).limit(1)).one()
    subjects = {kind: attachments.subject(entity) for kind, entity in (("process", first), ("lot", lot))}
    session.rollback()  # each file is a transaction of its own
    for kind, (name, media_type) in PAPERS.items():
        if not files.of(subjects[kind]):
            with (Path(__file__).parent / "files" / name).open("rb") as stream:
                files.take(Given(name, media_type, stream), by=ANONYMOUS, subject=subjects[kind])


def import_bom(session: Session, filename: str, name: str, *, valid_from: date, base: str) -> loading.Outcome:
    """Import one of the sample files with the columns that are suggested for it."""
    options = BomOptions(process_name=name, currency=base, valid_from=valid_from)
    with (BOMS / filename).open("rb") as stream:
        bill = read_bill(stream, "csv", options)
    terms = loading.Terms(name, base, valid_from)
    return loading.load(session, bill.parts, terms, source=filename)


def _add_costs(session: Session, part: Subprocess, base: str) -> None:
    for name, kind, amount, basis in (
        ("Assembly, 90 minutes", CostKind.LABOUR, "48", CostBasis.UNIT),
        ("Setting up the jigs", CostKind.TOOLING, "120", CostBasis.LOT),
    ):
        draft = CostDraft(name=name, cost_kind=kind, amount=Decimal(amount), currency=base, basis=basis)
        processes.add_cost(session, part, draft)


def _add_alternative(session: Session, usage: Usage, today: date, base: str) -> None:
    """A second make of bearing, so that planning a lot has something to choose."""
    first = usage.variants[0]
    other = records.add(session, Variant(item=first.item, name='1.25mm/0.05" Dia., G25 steel'))
    supplier = records.add(session, Supplier(name="Kugelhandel Nord"))
    offer = PriceDraft(
        variant_id=other.id,
        supplier_id=supplier.id,
        amount=Decimal("9.80"),
        currency=base,
        per=Decimal(100),
        valid_from=today - timedelta(days=120),
    )
    prices.add_price(session, offer)
    ids = [first.id, other.id]
    draft = UsageDraft(label=usage.label, quantity=usage.quantity, variant_ids=ids)
    processes.alter_usage(session, usage, draft)


def _make_lots(session: Session, process: Process, now: datetime, base: str) -> None:
    usage = process.subprocesses[0].usages[0]
    dear, cheap = (variant.id for variant in usage.variants)
    known = prices.rates(session, base)
    for days, quantity, variant_id in ((90, 2, dear), (60, 5, dear), (30, 4, cheap), (7, 8, cheap)):
        then = now - timedelta(days=days)
        lot = _planned(session, process, quantity, then)
        lots.choose(session, lot.id, {usage.id: variant_id})
        lots.execute(session, lot.id, by=PLANNER, now=then, rates=known)
    cancelled = _planned(session, process, 20, now)
    lots.cancel(session, cancelled.id, reason="The order was withdrawn.", by=PLANNER, now=now)
    lot = _planned(session, process, 6, now)
    lots.add_note(session, lot.id, "Bearings are on order.", by=PLANNER, now=now)


def _planned(session: Session, process: Process, quantity: int, now: datetime) -> Lot:
    draft = LotPlan(process_id=process.id, quantity=quantity, due=now.date() + timedelta(days=14))
    return lots.plan(session, draft, by=PLANNER, now=now)
