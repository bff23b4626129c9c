"""Production lots go from planned to executed or cancelled, once, and keep what they cost."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from threading import Barrier

import pytest
from sqlalchemy import Engine

from apps.mtc import database
from apps.mtc.models import CostBasis, Lot, LotState, Process, Usage
from apps.mtc.services import catalogue, lots, processes, records
from apps.mtc.services.audit import AuditedSession
from apps.mtc.services.costing import Rates
from apps.mtc.services.errors import ConflictError, MissingError, MtcError, RejectedError
from apps.mtc.validators.lots import LotChange, LotPlan
from apps.mtc.validators.processes import CostDraft, SubprocessDraft, UsageDraft
from tests.apps.mtc.conftest import NOW, NoFiles, Records, Workshop

EUR = Rates("EUR")


@pytest.fixture
def process(session: AuditedSession, workshop: Workshop) -> Process:
    """One usage of two pieces with two variants (3 and 5 EUR each), and 10 EUR for a lot."""
    process = records.add(session, Process(name="Bracket"))
    part = processes.add_subprocess(session, process, SubprocessDraft(name="Bend"))
    ids = [workshop.variant("steel", "3").id, workshop.variant("brass", "5").id]
    draft = UsageDraft(label="sheet", quantity=Decimal(2), variant_ids=ids)
    processes.add_usage(session, part, draft)
    cost = CostDraft(name="jig", amount=Decimal(10), currency="EUR", basis=CostBasis.LOT)
    processes.add_cost(session, part, cost)
    session.commit()
    return process


@pytest.fixture
def usage(process: Process) -> Usage:
    return process.subprocesses[0].usages[0]


@pytest.fixture
def lot(session: AuditedSession, process: Process) -> Lot:
    lot = lots.plan(session, LotPlan(process_id=process.id, quantity=4), by="ann", now=NOW)
    session.commit()
    return lot


def chosen(session: AuditedSession, lot: Lot, usage: Usage) -> Lot:
    return lots.choose(session, lot.id, {usage.id: usage.variants[0].id})


def test_executing_keeps_what_was_consumed_and_what_it_cost_that_day(
    session: AuditedSession, lot: Lot, usage: Usage
) -> None:
    """Executing keeps what was consumed and what it cost that day."""
    chosen(session, lot, usage)
    lots.execute(session, lot.id, by="ann", now=NOW, rates=EUR)
    session.commit()
    usage.variants[0].prices[0].amount = Decimal(999)
    assert lot.state is LotState.EXECUTED
    assert (lot.cost, lot.currency, lot.cost_complete) == (Decimal(34), "EUR", True)
    assert [f"{line.quantity} for {line.cost}" for line in lot.lines] == ["8 for 24", "1 for 10"]


def test_a_usage_with_two_variants_must_be_decided_first(session: AuditedSession, lot: Lot) -> None:
    """A usage with two variants must be decided first."""
    with pytest.raises(ConflictError, match="Choose a variant first for: sheet"):
        lots.execute(session, lot.id, by="ann", now=NOW, rates=EUR)
    session.rollback()
    assert session.get(Lot, lot.id).state is LotState.PLANNED  # type: ignore[union-attr]


def test_until_it_is_decided_the_dearest_variant_is_estimated(session: AuditedSession, lot: Lot) -> None:
    """Until it is decided the dearest variant is estimated."""
    estimate = lots.estimated(session, lot, rates=EUR, on=NOW.date())
    assert estimate.total == Decimal(50)


def test_a_variant_that_the_usage_does_not_allow_is_refused(
    session: AuditedSession, lot: Lot, usage: Usage, workshop: Workshop
) -> None:
    """A variant that the usage does not allow is refused."""
    stranger = workshop.variant("gold", "1000")
    with pytest.raises(RejectedError, match="not allowed"):
        lots.choose(session, lot.id, {usage.id: stranger.id})
    with pytest.raises(RejectedError, match="not allowed"):
        lots.choose(session, lot.id, {4711: stranger.id})


def test_a_part_without_a_price_is_consumed_and_the_lot_says_its_cost_is_incomplete(
    session: AuditedSession, process: Process, workshop: Workshop
) -> None:
    """A part without a price is consumed and the lot says its cost is incomplete."""
    unpriced = workshop.variant("glue")
    part = process.subprocesses[0]
    processes.remove_usage(session, part.usages[0])
    processes.add_usage(session, part, UsageDraft(quantity=Decimal(1), variant_ids=[unpriced.id]))
    session.expire_all()
    lot = lots.plan(session, LotPlan(process_id=process.id, quantity=1), by="ann", now=NOW)
    lots.execute(session, lot.id, by="ann", now=NOW, rates=EUR)
    assert (lot.cost, lot.cost_complete) == (Decimal(10), False)
    assert "no price" in lot.lines[0].problem


@pytest.mark.parametrize("first", ["execute", "cancel"])
@pytest.mark.parametrize("second", ["execute", "cancel", "alter", "choose"])
def test_what_is_executed_or_cancelled_stays_so(
    session: AuditedSession, lot: Lot, usage: Usage, first: str, second: str
) -> None:
    """What is executed or cancelled stays so."""
    chosen(session, lot, usage)
    actions = {
        "execute": lambda: lots.execute(session, lot.id, by="ann", now=NOW, rates=EUR),
        "cancel": lambda: lots.cancel(session, lot.id, reason="late", by="ann", now=NOW),
        "alter": lambda: lots.alter(session, lot.id, LotChange(quantity=9)),
        "choose": lambda: lots.choose(session, lot.id, {}),
    }
    actions[first]()
    session.commit()
    state = lot.state.value
    with pytest.raises(ConflictError, match=f"is {state}; only a planned lot can be"):
        actions[second]()


def test_a_lot_that_does_not_exist_is_missing(session: AuditedSession) -> None:
    """A lot that does not exist is missing."""
    with pytest.raises(MissingError):
        lots.execute(session, 4711, by="ann", now=NOW, rates=EUR)


def test_of_many_who_execute_at_once_exactly_one_wins(
    engine: Engine, session: AuditedSession, lot: Lot, usage: Usage
) -> None:
    """Of many who execute at once exactly one wins."""
    chosen(session, lot, usage)
    lot_id, start = lot.id, Barrier(6)
    session.commit()
    rows = Records()

    def attempt(person: int) -> str:
        with database.open_session(engine, rows) as own:
            start.wait()
            try:
                lots.execute(own, lot_id, by=f"person {person}", now=NOW, rates=EUR)
                own.commit()
            except MtcError as error:
                return str(error)
            return "won"

    with ThreadPoolExecutor(6) as pool:
        outcomes = sorted(pool.map(attempt, range(6)))
    refused = f"Lot {lot_id} is executed; only a planned lot can be executed."
    assert outcomes == [refused] * 5 + ["won"]
    assert [row["action"] for row in rows] == ["execute"]
    session.expire_all()
    assert len(session.get(Lot, lot_id).lines) == 2  # type: ignore[union-attr]


def test_a_process_with_lots_and_a_variant_in_use_cannot_be_deleted(
    session: AuditedSession, process: Process, lot: Lot, usage: Usage
) -> None:
    """A process with lots and a variant in use cannot be deleted."""
    with pytest.raises(ConflictError, match="has production lots"):
        processes.remove_process(session, process, NoFiles())
    with pytest.raises(ConflictError, match="used in a process"):
        catalogue.remove_variant(session, usage.variants[0])
    with pytest.raises(ConflictError, match="used in a process"):
        catalogue.remove_item(session, usage.variants[0].item)


def test_a_variant_taken_out_of_a_usage_is_no_longer_chosen(
    session: AuditedSession, lot: Lot, usage: Usage
) -> None:
    """A variant taken out of a usage is no longer chosen."""
    chosen(session, lot, usage)
    brass = usage.variants[1].id
    processes.alter_usage(session, usage, UsageDraft(quantity=Decimal(2), variant_ids=[brass]))
    session.commit()
    assert lot.chosen == {}


def test_a_usage_added_after_planning_is_made_with_its_only_variant(
    session: AuditedSession, lot: Lot, usage: Usage, workshop: Workshop
) -> None:
    """A usage added after planning is made with its only variant."""
    chosen(session, lot, usage)
    rivet = workshop.variant("rivet", "0.5").id
    processes.add_usage(session, usage.subprocess, UsageDraft(quantity=Decimal(4), variant_ids=[rivet]))
    session.commit()
    lots.execute(session, lot.id, by="ann", now=NOW, rates=EUR)
    assert lot.cost == Decimal(34) + Decimal(8)


def test_a_cancelled_lot_keeps_its_reason(session: AuditedSession, lot: Lot) -> None:
    """A cancelled lot keeps its reason."""
    lots.cancel(session, lot.id, reason="No steel.", by="ann", now=NOW)
    session.commit()
    assert (lot.state, lot.cancel_reason, lot.closed_by) == (
        LotState.CANCELLED,
        "No steel.",
        "ann",
    )


@pytest.mark.requirement("S1-087")
def test_a_lot_keeps_its_number_and_no_other_gets_it(session: AuditedSession, process: Process) -> None:
    """A lot is found by the number that people gave it: no two have one, and a change keeps it."""
    lot = lots.plan(session, LotPlan(number="2026-7", process_id=process.id, quantity=1), by="ann", now=NOW)
    session.commit()
    lots.alter(session, lot.id, LotChange(quantity=2))
    session.commit()
    assert (lot.number, lot.title, lot.quantity) == ("2026-7", "Lot 2026-7", 2)
    with pytest.raises(ConflictError, match="exists already"):
        lots.plan(session, LotPlan(number="2026-7", process_id=process.id, quantity=1), by="ann", now=NOW)
