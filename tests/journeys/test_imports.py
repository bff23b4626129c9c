"""Bills of materials: four that people really made, and files that are none."""

from __future__ import annotations

from typing import NamedTuple

import pytest
from playwright.sync_api import FilePayload

from apps.mtc.sample_data import BOMS
from tests.journeys.conftest import Visit
from tests.journeys.served import Served
from tests.journeys.visitor import Visitor


class Bill(NamedTuple):
    """A sample file: what its preview must say, and one column that a person understands otherwise."""

    file: str
    parts: int
    says: tuple[str, ...]
    correct: tuple[str, str]
    subprocesses: int = 1


BILLS = (
    Bill("micromanipulator.csv", 19, (
        "no cell is filled", "the total, 281.38: the rows above add up to it", "“$” is read as US dollars",
        "lost before the upload in rows 13, 14",
    ), ("Notes", "ignore")),
    Bill("mixtape.csv", 21, (
        "a single text: starts a new subprocess", "There are no prices in this file",
    ), ("Digikey", "ignore"), subprocesses=2),
    Bill("lands.csv", 4, ("There are prices in several currencies: GBP, USD.",), ("Description", "ignore")),
    Bill("heat-controller.csv", 1, (
        "no quantity in the file: 1 is assumed", "There are no prices in this file",
    ), ("Name", "item")),
)  # fmt: skip


@pytest.fixture
def manager(mtc: Served, visit: Visit) -> Visitor:
    visitor = visit(mtc, mtc.person("manager"))
    visitor.go("/imports")
    return visitor


def upload(visitor: Visitor, name: str, data: bytes) -> int:
    payload: FilePayload = {"name": name, "mimeType": "text/csv", "buffer": data}
    visitor.page.get_by_label("CSV file").set_input_files(payload)
    return visitor.press("Upload and look")


@pytest.mark.requirement("S1-028", "S1-088")
@pytest.mark.parametrize("bill", BILLS, ids=lambda bill: bill.file.removesuffix(".csv"))
def test_a_real_bill_of_materials_is_looked_at_corrected_and_imported(manager: Visitor, bill: Bill) -> None:
    """Every row says what it is taken for and why before anything is imported; a column can be corrected."""
    assert upload(manager, bill.file, (BOMS / bill.file).read_bytes()) == 200
    for sentence in bill.says:
        assert sentence in manager.text
    button = f"Import {bill.parts} parts" if bill.parts > 1 else "Import 1 part"
    assert manager.page.get_by_role("button", name=button, exact=True).count() == 1
    heading, meaning = bill.correct
    column = manager.page.get_by_label(heading, exact=True)
    assert column.input_value() != meaning
    column.select_option(meaning)
    assert manager.press("Show the rows with these columns") == 200
    assert column.input_value() == meaning
    manager.picture(f"import-{bill.file.removesuffix('.csv')}")
    name = f"Journey of {bill.file}"
    manager.fill("Name of the process", name)
    assert manager.press(button) == 200
    assert manager.heading == name
    assert manager.page.get_by_role("status").inner_text() == "Saved."
    assert manager.page.locator("section.part").count() == bill.subprocesses
    manager.go("/imports")
    assert manager.page.get_by_role("link", name=bill.file).count() == 0


@pytest.mark.requirement("S1-088")
def test_rows_with_errors_are_left_out_only_when_a_person_says_so(manager: Visitor) -> None:
    """A formula and a quantity of nonsense are named by row and column, with what would be accepted."""
    text = b"Qty,Component,Price each\n4,bolt,0.10\nmany,nut,0.05\n2,=HYPERLINK(A1),0.02\n"
    assert upload(manager, "bolts.csv", text) == 200
    wrong = manager.page.locator("section.problems").get_by_role("row")
    assert "many" in wrong.filter(has_text="greater than 0").inner_text()
    assert "=HYPERLINK(A1)" in wrong.filter(has_text="run it as a formula").inner_text()
    manager.picture("import-errors")
    assert manager.press("Import 1 part") == 422
    assert "Some rows have errors" in manager.page.get_by_role("alert").inner_text()
    manager.page.get_by_label("Leave out the rows with errors").check()
    assert manager.press("Import 1 part") == 200
    assert manager.heading == "bolts"
    assert "nut" not in manager.text


NONSENSE = {
    "a picture": ("bom.csv", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "it contains NUL characters"),
    "a spreadsheet": ("bom.xlsx", b"PK\x03\x04", "save a spreadsheet as CSV first"),
    "nothing": ("bom.csv", b"", "The file is empty."),
    "an open quote": ("bom.csv", b'Qty,Part\n1,"bolt\n2,nut\n', "a quotation mark is not closed (row 2)"),
    "too much": ("bom.csv", b"Qty,Part\n" + b"1,bolt\n" * 350_000, "The file is larger than 2 MB."),
    "far too much": ("bom.csv", b"x" * 4 * 1024 * 1024, "The file is larger than 2 MB."),
}  # fmt: skip


@pytest.mark.requirement("S1-088")
@pytest.mark.parametrize("what", NONSENSE)
def test_a_file_that_is_no_bill_of_materials_is_refused_with_what_to_do(manager: Visitor, what: str) -> None:
    """Whoever uploads something else learns why it was not taken, and can try again on the same page."""
    name, data, sentence = NONSENSE[what]
    assert upload(manager, name, data) in (413, 422)
    assert sentence in manager.text
    manager.picture(f"upload-{what.replace(' ', '-')}")
