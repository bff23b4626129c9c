"""The four real bills of materials import as a person who knows them would expect."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

from sqlalchemy import select

from apps.mtc.models import Price, Process, Supplier, SupplierPart, Usage, Variant
from apps.mtc.sample_data import BOMS, FILES, import_bom, load
from apps.mtc.services import estimates
from apps.mtc.services.audit import AuditedSession
from apps.mtc.services.bom.bills import Bill, read_bill
from apps.mtc.services.bom.loading import Outcome
from apps.mtc.services.costing import Rates
from apps.mtc.validators.cells import Priced
from apps.mtc.validators.import_validators import BomOptions
from tests.apps.mtc.conftest import NOW, Records

DAY = date(2026, 1, 1)
OPTIONS = BomOptions(process_name="P", currency="EUR", valid_from=DAY)


def read(name: str) -> Bill:
    with (BOMS / name).open("rb") as stream:
        return read_bill(stream, "csv", OPTIONS)


def imported(session: AuditedSession, name: str) -> Outcome:
    return import_bom(session, name, FILES[name], valid_from=DAY, base="EUR")


def usage(session: AuditedSession, variant: str) -> Usage:
    return next(u for u in session.scalars(select(Usage)) if u.variants[0].name == variant)


def test_micromanipulator_rows_are_told_apart() -> None:
    """Micromanipulator rows are told apart."""
    found = read("micromanipulator.csv")
    assert len(found.parts) == 19
    assert [(left.row, left.why) for left in found.left] == [
        (21, "no cell is filled"),
        (22, "no cell is filled"),
        (23, "a total: 281.38, and the rows above add up to it"),
    ]
    assert found.problems == ()


def test_micromanipulator_cost_is_the_price_of_the_row_because_only_so_the_total_adds_up() -> None:
    """Micromanipulator cost is the price of the row because only so the total adds up."""
    found = read("micromanipulator.csv")
    assert any("price of the whole row" in remark for remark in found.remarks)
    bearing = found.parts[0]
    assert (bearing.item, bearing.variant_name) == ("Bearing", '1.25mm/0.05" Dia.')
    assert bearing.price == Priced(Decimal("42.53"), Decimal(12), "USD")


def test_micromanipulator_says_what_it_assumed() -> None:
    """Micromanipulator says what it assumed."""
    notes = " ".join(read("micromanipulator.csv").remarks)
    assert "read as US dollars" in notes
    assert "host of the web address" in notes
    assert "character seems to have been lost before the upload in rows 13, 14" in notes


def test_micromanipulator_costs_as_a_process_exactly_what_its_total_says(
    session: AuditedSession,
) -> None:
    """Micromanipulator costs as a process exactly what its total says."""
    outcome = imported(session, "micromanipulator.csv")
    session.commit()
    process = estimates.load(session, outcome.process.id)
    worst, best = estimates.worst_and_best(process, rates=Rates("USD"), on=DAY)
    assert worst.total == best.total == Decimal("281.38")
    assert worst.complete
    names = session.scalars(select(Supplier.name).order_by(Supplier.name)).all()
    assert names == ["amazon.com", "pcbway.com"]


def test_mixtape_heading_in_the_middle_starts_a_second_subprocess(session: AuditedSession) -> None:
    """Mixtape heading in the middle starts a second subprocess."""
    process = imported(session, "mixtape.csv").process
    assert [(part.name, len(part.usages)) for part in process.subprocesses] == [
        ("Parts", 7),
        ("External components", 8),
    ]


def test_mixtape_rows_of_the_same_part_are_merged_and_keep_their_references(
    session: AuditedSession,
) -> None:
    """Mixtape rows of the same part are merged and keep their references."""
    imported(session, "mixtape.csv")
    resistor = usage(session, "RC1206FR-0722KL")
    assert (resistor.label, resistor.quantity) == ("R1, R2", 2)
    numbers = {p.supplier.name: p.part_number for p in session.scalars(select(SupplierPart)) if p.id < 3}
    assert numbers == {"Mouser": "603-RC1206FR-0722KL", "Digikey": "311-22.0KFRCT-ND"}


def test_mixtape_without_a_price_says_so_and_every_part_is_listed_as_unpriced(
    session: AuditedSession,
) -> None:
    """Mixtape without a price says so and every part is listed as unpriced."""
    assert any("no prices in this file" in note for note in read("mixtape.csv").remarks)
    process = imported(session, "mixtape.csv").process
    session.commit()
    worst, _ = estimates.worst_and_best(estimates.load(session, process.id), rates=Rates("EUR"), on=DAY)
    assert len(worst.problems) == 15


def test_lands_keeps_both_currencies_and_its_part_numbers(session: AuditedSession) -> None:
    """Lands keeps both currencies and its part numbers."""
    assert (len(read("lands.csv").parts), read("lands.csv").left) == (4, ())
    imported(session, "lands.csv")
    prices = session.scalars(select(Price).order_by(Price.id)).all()
    assert [(price.amount, price.currency) for price in prices] == [
        (Decimal("881.89"), "USD"),
        (Decimal("4.2"), "GBP"),
        (Decimal("2.924"), "GBP"),
        (Decimal("0.537"), "GBP"),
    ]
    names = set(session.scalars(select(Variant.name)))
    assert {"1/8VAACO-SS+SUV67B-SS", "1SNA115541R1100 - D2.5/6.DA"} <= names


def test_lands_cannot_be_added_up_until_both_rates_are_known(session: AuditedSession) -> None:
    """Lands cannot be added up until both rates are known."""
    process = imported(session, "lands.csv").process
    session.commit()
    loaded = estimates.load(session, process.id)
    worst, _ = estimates.worst_and_best(loaded, rates=Rates("GBP"), on=DAY)
    assert worst.total == Decimal("63.754")
    assert len(worst.problems) == 1
    assert "no rate from USD to GBP" in worst.problems[0]


def test_heat_controller_name_is_a_reference_and_the_quantity_is_assumed() -> None:
    """Heat controller name is a reference and the quantity is assumed."""
    found = read("heat-controller.csv")
    (part,) = found.parts
    assert (part.references, part.variant_name, part.quantity) == ("R101", "10K", 1)
    assert any("1 is assumed" in remark for remark in found.remarks)


def test_an_import_is_one_audit_row_with_what_it_made(session: AuditedSession, audit_rows: Records) -> None:
    """An import is one audit row with what it made."""
    imported(session, "lands.csv")
    (row,) = audit_rows
    assert (row["action"], row["entity_type"]) == ("import", "process")
    assert row["changes"]["price_ids"] == {"old": None, "new": [1, 2, 3, 4]}


def test_importing_the_same_parts_again_makes_no_second_copy_of_them(
    session: AuditedSession,
) -> None:
    """Importing the same parts again makes no second copy of them."""
    imported(session, "lands.csv")
    again = import_bom(session, "lands.csv", "Another", valid_from=DAY, base="EUR")
    assert (again.items, again.variants, again.suppliers, again.prices) == (0, 0, 0, 0)


def test_the_sample_data_loads_once(session: AuditedSession) -> None:
    """The sample data loads once."""
    assert load(session, now=NOW)
    assert not load(session, now=NOW)
    assert len(session.scalars(select(Process)).all()) == 4
