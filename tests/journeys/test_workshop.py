"""MTC's own work, by forms alone: what a thing is made of, what it costs, and lots of it."""

from __future__ import annotations

import csv
import io
import uuid
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.journeys.conftest import Visit
from tests.journeys.served import Served
from tests.journeys.visitor import Visitor


@pytest.fixture
def manager(mtc: Served, visit: Visit) -> Visitor:
    """Somebody who runs the workshop; their browser runs no script."""
    return visit(mtc, mtc.person("manager", name="Mara Manager"))


def add(visitor: Visitor, heading: str, button: str = "Add", **values: str) -> None:
    """Fill in and send the form under this heading; fields by their label, `_` for a space."""
    section = visitor.section(heading)
    for label, value in values.items():
        field = section.get_by_label(label.replace("_", " "), exact=True)
        if field.evaluate("e => e.tagName") == "SELECT":
            field.select_option(label=value)
        else:
            field.fill(value)
    with visitor.page.expect_navigation():
        section.get_by_role("button", name=button, exact=True).click()
    assert visitor.page.get_by_role("status").inner_text() == "Saved."


def make_variant(visitor: Visitor, item: str, variant: str, price: str) -> str:
    """A variant of a new item with a price of today; what it is called in lists."""
    visitor.go("/items")
    add(visitor, "Add an item", Name=item, Category="lamps", Unit="pcs")
    visitor.follow(item)
    add(visitor, "Add a variant", Part_number_or_specification=variant, Manufacturer="Leuchte & Co.")
    visitor.follow(variant)
    today = datetime.now(UTC).date().isoformat()
    add(visitor, "Record a price", "Record", Supplier="pcbway.com", Price=price, Valid_from=today)
    row = visitor.page.get_by_role("row").filter(has_text="pcbway.com")
    assert f"{float(price):.2f} EUR" in row.inner_text()
    return f"{item}: {variant} (Leuchte & Co.)"


@pytest.mark.requirement("S1-028", "S1-036")
def test_a_lamp_from_its_first_part_to_the_report(manager: Visitor, tmp_path: Path) -> None:
    """Items, prices, a process with an alternative, its worst-case cost, a lot, the report and its CSV."""
    lamp = f"Lamp {uuid.uuid4().hex[:6]}"
    dear = make_variant(manager, f"{lamp} bulb", "E27 dimmable", "6.00")
    cheap = make_variant(manager, f"{lamp} socket", "E27 plain", "3.50")
    manager.picture("variant")

    manager.follow("Processes")
    add(manager, "Add a process", Name=lamp, Description="A lamp for the desk.")
    manager.follow(lamp)
    add(manager, "Add a subprocess", Name="Assembly")
    manager.follow("Assembly")
    manager.fill("Show only variants with these words", lamp)
    manager.press("Search")
    use = manager.section("Use a variant")
    use.get_by_label("Quantity", exact=True).fill("2")
    use.get_by_label("For what", exact=True).fill("the light")
    use.get_by_label("Variants", exact=True).select_option(label=[dear, cheap])
    manager.press("Add", within="section#use")
    assert "the light" in manager.text
    add(
        manager,
        "Add a cost",
        For_what="Screwing together",
        Kind="Labour",
        Amount="5",
        Currency="EUR",
        For_each="unit made",
    )
    manager.picture("subprocess")
    manager.follow(lamp)
    figures = manager.page.locator(".figure")
    assert "17.00 EUR" in figures.filter(has_text="At worst").inner_text()  # 2 of the dear one, and 5
    assert "12.00 EUR" in figures.filter(has_text="At best").inner_text()
    manager.picture("process")

    manager.follow("Plan a lot")
    assert manager.page.locator("#f-process_id option:checked").inner_text() == lamp
    add(manager, "Plan a lot", "Plan", Quantity="10")
    with manager.page.expect_navigation():
        manager.page.get_by_role("row").filter(has_text=lamp).get_by_role("link").click()
    lot = manager.heading.split()[1]
    assert "170.00 EUR" in manager.text
    manager.picture("lot-planned")
    manager.page.locator("summary", has_text="Execute").click()
    assert manager.press("Execute") == 409
    assert "choose" in manager.page.get_by_role("alert").inner_text().lower()
    add(manager, "Variants for this lot", "Choose", **{"Assembly:_the_light": cheap})
    assert "120.00 EUR" in manager.text
    manager.page.locator("summary", has_text="Execute").click()
    assert manager.press("Execute") == 200
    assert "executed" in manager.heading
    assert "120.00 EUR" in manager.text
    manager.picture("lot-executed")

    manager.follow("Report")
    chart = manager.page.get_by_role("img", name="Cost of each lot, in the order they were made")
    assert f"Lot {lot}: 120.00 EUR" in (chart.text_content() or "")
    manager.page.get_by_label("Process", exact=True).select_option(label=lamp)
    manager.press("Show")
    assert "1 lot, 120.00 EUR in all." in manager.text
    manager.picture("report")
    with manager.page.expect_download() as download:
        manager.page.get_by_role("link", name="Download as CSV").click()
    file = tmp_path / download.value.suggested_filename
    download.value.save_as(file)
    assert file.suffix == ".csv"
    rows = list(csv.DictReader(io.StringIO(file.read_text("utf-8-sig"), newline="")))
    assert [(row["process"], row["lot"]) for row in rows] == [(lamp, lot)]


@pytest.mark.requirement("S1-028")
def test_a_lot_is_cancelled_with_a_reason(manager: Visitor) -> None:
    """A lot is cancelled with a reason that stays readable, and nothing can be done to it any more."""
    manager.go("/lots")
    add(manager, "Plan a lot", "Plan", Process="Micromanipulator stepper", Quantity="7")
    manager.page.get_by_role("row").nth(1).get_by_role("link").click()
    manager.page.locator("summary", has_text="Cancel the lot").click()
    manager.fill("Reason", "The customer has gone elsewhere.")
    manager.press("Cancel the lot")
    assert "cancelled" in manager.heading
    assert "The customer has gone elsewhere." in manager.text
    assert (
        manager.page.locator("main summary, main form[action$=cancel], main form[action$=execute]").count()
        == 0
    )
    manager.picture("lot-cancelled")


def test_a_form_with_a_mistake_says_which_and_keeps_what_was_typed(manager: Visitor) -> None:
    """A price of nonsense is refused beside the form, and nothing that was typed is lost."""
    manager.go("/variants/1")
    manager.fill("Price", "cheap")
    manager.page.get_by_label("Valid from").fill("2026-01-01")
    assert manager.press("Record") == 422
    assert manager.page.locator(":focus").get_attribute("role") == "alert"
    alert = manager.page.get_by_role("alert").inner_text()
    assert "Not saved." in alert
    assert manager.page.title().startswith("Error: ")
    manager.page.get_by_role("link", name="Price: must be a number, for example 4.20").click()
    price = manager.page.get_by_label("Price", exact=True)
    assert price.evaluate("it => it == document.activeElement")
    assert (price.input_value(), price.get_attribute("aria-invalid")) == ("cheap", "true")
    assert manager.page.get_by_label("Valid from").input_value() == "2026-01-01"
    manager.picture("variant-refused")
