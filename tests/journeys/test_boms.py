"""Bills of materials: four that people really made, one in German, and files that are none."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import pytest
from playwright.sync_api import FilePayload, expect

from apps.mtc.sample_data import BOMS
from tests.content.making import png
from tests.journeys.conftest import Visit
from tests.journeys.served import Served
from tests.journeys.visitor import PHONE, Visitor

CORPUS = Path(__file__).parents[1] / "apps" / "boms"


class Bill(NamedTuple):
    """A file: what must be said of it before it is imported, and what its process then shows."""

    path: Path
    parts: int
    says: tuple[str, ...]
    shows: tuple[str, ...]
    subprocesses: int = 1


BILLS = (
    Bill(BOMS / "micromanipulator.csv", 19, (
        "no cell is filled", "a total: 281.38, and the rows above add up to it", "“$” is read as US dollars",
        "lost before the upload in rows 13, 14",
    ), ("Bearing",)),
    Bill(BOMS / "mixtape.csv", 21, (
        "the parts below it become the subprocess “External components”", "There are no prices in this file",
    ), ("External components", "R1, R2"), subprocesses=2),
    Bill(CORPUS / "german.csv", 5, (
        "a total: 1376.30, and the rows above add up to it", "repeats the headings", "Versandkosten",
    ), ("Mechanik", "Elektronik", "Aluprofil 40×40"), subprocesses=2),
)  # fmt: skip


@pytest.fixture
def manager(mtc: Served, visit: Visit) -> Visitor:
    visitor = visit(mtc, mtc.person("manager"))
    visitor.go("/imports")
    return visitor


def upload(visitor: Visitor, name: str, data: bytes, what: str = "A bill of materials") -> int:
    payload: FilePayload = {"name": name, "mimeType": "text/csv", "buffer": data}
    visitor.page.get_by_label("What it holds").select_option(label=what)
    visitor.page.get_by_label("CSV or Excel file").set_input_files(payload)
    return visitor.press("Upload and look")


@pytest.mark.requirement("S1-028", "S1-088")
@pytest.mark.parametrize("bill", BILLS, ids=lambda bill: bill.path.stem)
def test_a_real_bill_of_materials_is_looked_at_and_imported(manager: Visitor, bill: Bill) -> None:
    """Every row that is no part says why before anything is imported; then the process is one link away."""
    assert upload(manager, bill.path.name, bill.path.read_bytes()) == 200
    manager.picture(f"bom-{bill.path.stem}-columns")
    name = f"Journey of {bill.path.stem}"
    manager.fill("Name of the process", name)
    assert manager.press("Check the file") == 200
    for sentence in bill.says:
        assert sentence in manager.text
    manager.picture(f"bom-{bill.path.stem}-checked")
    manager.page.set_viewport_size(PHONE)
    assert not manager.is_wider_than_the_screen
    manager.picture(f"bom-{bill.path.stem}-phone")
    assert manager.press(f"Import {bill.parts} rows") == 200
    assert "What was imported" in manager.text
    manager.picture(f"bom-{bill.path.stem}-done")
    manager.follow(name, within="main")
    assert manager.heading == name
    assert manager.page.locator("section.part").count() == bill.subprocesses
    for words in bill.shows:
        assert words in manager.text


@pytest.mark.requirement("S1-088")
def test_rows_with_errors_are_left_out_only_when_a_person_says_so(manager: Visitor) -> None:
    """A formula and a quantity of nonsense are named by row and column, with what would be accepted."""
    text = b"Qty,Component,Price each\n4,bolt,0.10\nmany,nut,0.05\n2,=HYPERLINK(A1),0.02\n"
    assert upload(manager, "bolts.csv", text) == 200
    assert manager.press("Check the file") == 200
    assert "many" in manager.text
    assert "greater than 0" in manager.text
    assert "run it as a formula" in manager.text
    manager.picture("bom-errors")
    assert manager.press("Import the 1 good row") == 200
    manager.follow("bolts", within="main")
    assert "nut" not in manager.text


NONSENSE = {
    "a picture": ("bom.csv", png(), "no text"),
    "a program": ("bom.exe", b"MZ", "Taken here: .csv, .xlsx"),
    "nothing": ("bom.csv", b"", "empty"),
}  # fmt: skip


@pytest.mark.requirement("S1-088", "S1-093")
@pytest.mark.parametrize("what", NONSENSE)
def test_a_file_that_is_no_bill_of_materials_is_refused_with_what_to_do(manager: Visitor, what: str) -> None:
    """Whoever uploads something else learns why it was not taken, and can try again on the same page."""
    name, data, sentence = NONSENSE[what]
    assert upload(manager, name, data) in (415, 422)
    alert = manager.page.get_by_role("alert")
    assert sentence in alert.inner_text()
    expect(manager.page.get_by_label("CSV or Excel file")).to_have_attribute("aria-invalid", "true")
    manager.picture(f"upload-{what.replace(' ', '-')}")


def test_a_table_is_dropped_on_the_page(mtc: Served, visit: Visit) -> None:
    """With script a file can be dropped; it is chosen, and sent when its owner says so."""
    visitor = visit(mtc, mtc.person("manager"), script=True)
    visitor.go("/imports")
    drop(
        visitor, "form[data-drop]", [("lots.csv", "text/csv", b"Lot,Process,Quantity\nJ-1,8Bit mixtape,3\n")]
    )
    visitor.page.get_by_label("What it holds").select_option(label="Production lots")
    visitor.picture("import-dropped")
    visitor.page.keyboard.press("Enter")
    expect(visitor.page.get_by_role("button", name="Check the file")).to_be_visible()
    visitor.press("Check the file")
    visitor.press("Import 1 row")
    visitor.go("/lots")
    assert "Lot J-1" in visitor.text


_DROP = """([selector, files]) => {
    const data = new DataTransfer();
    for (const [name, type, bytes] of files)
        data.items.add(new File([Uint8Array.from(atob(bytes), (c) => c.charCodeAt(0))], name, {type}));
    const target = document.querySelector(selector);
    for (const kind of ["dragenter", "dragover", "drop"])
        target.dispatchEvent(new DragEvent(kind, {dataTransfer: data, bubbles: true, cancelable: true}));
}"""


def drop(visitor: Visitor, selector: str, files: list[tuple[str, str, bytes]]) -> None:
    """Drag these files over something and let them go."""
    import base64

    told = [[name, kind, base64.b64encode(data).decode()] for name, kind, data in files]
    visitor.page.evaluate(_DROP, [selector, told])
