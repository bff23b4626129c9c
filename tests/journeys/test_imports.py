"""bylaw's pages of an import: columns, errors, progress, cancelling; no script, a phone, a keyboard."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, NamedTuple

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import FilePayload

from bylaw.controls.imports.bench import who_is
from bylaw.operations.imports import desk, verbs
from bylaw.store import imports as store
from tests.applications import parts
from tests.journeys.conftest import Visit
from tests.journeys.served import Served
from tests.journeys.visitor import PHONE, Visitor


class Laboratory(NamedTuple):
    site: Any


class Somebody(NamedTuple):
    id: str


SMALL = (
    "Our parts;;;;\n;;;;\nPart no;Bezeichnung;Stück;Price;Remark\nR-101;Résistance 10k;4;0.02;old\n"
    "C-12;Capacitor;many;0.10;\n;;;;\nL-7;Coil;0;2.5;\nQ-9;Transistor;12;1;\n"
)


@pytest.fixture
def clerk(notes: Served, visit: Visit) -> Visitor:
    return visit(notes, notes.person("manager", name="Mara"))


def upload(visitor: Visitor, data: str, name: str = "parts.csv") -> None:
    visitor.go("/import")
    payload: FilePayload = {"name": name, "mimeType": "text/csv", "buffer": data.encode()}
    visitor.page.get_by_label("Table of parts").set_input_files(payload)
    assert visitor.press("Upload and look") == 200


def grave(visitor: Visitor) -> list[str]:
    found = Axe().run(visitor.page).response["violations"]
    return [f"{v['id']}: {v['nodes'][0]['html']}" for v in found if v["impact"] in ("serious", "critical")]


@pytest.mark.requirement("S1-087", "S1-088")
def test_a_person_takes_a_table_from_its_columns_to_its_rows(clerk: Visitor) -> None:
    """Without a script: columns are suggested and corrected, errors are told and downloaded, the good rows
    come in; the same file again says that it is there already."""
    upload(clerk, SMALL)
    assert clerk.heading == "Parts"
    column = clerk.page.get_by_label("Stück", exact=True)
    assert (column.input_value(), clerk.page.get_by_label("Part no").input_value()) == ("", "number")
    clerk.picture("import-columns")
    assert clerk.press("Check the file") == 422
    assert "Quantity: needed, and no column stands for it" in clerk.text
    column = clerk.page.get_by_label("Stück", exact=True)
    column.select_option("quantity")
    clerk.page.get_by_label("Shelf").select_option("attic")
    assert clerk.press("Check the file") == 200
    assert "2 rows that cannot be taken" in clerk.text
    assert "Stück: “many”, a whole number is accepted" in clerk.text
    assert "above the headings" in clerk.text
    clerk.picture("import-checked")
    with clerk.page.expect_download() as download:
        clerk.page.get_by_role("link", name="As CSV").click()
    assert download.value.suggested_filename == "import-errors.csv"
    assert clerk.press("Import the 2 good rows") == 200
    assert "What was imported" in clerk.text
    clerk.picture("import-done")
    upload(clerk, SMALL)
    assert clerk.page.get_by_label("Stück", exact=True).input_value() == "quantity"
    clerk.page.get_by_label("Shelf").select_option("attic")
    assert clerk.press("Check the file") == 200
    assert "This file was imported already" in clerk.text
    assert clerk.press("Import the 2 good rows again") == 200
    clerk.follow("Your imports", within="main")
    assert clerk.page.get_by_role("link", name="parts.csv").count() == 2
    clerk.picture("imports")


@pytest.mark.requirement("S1-088")
def test_a_file_is_read_another_way(clerk: Visitor) -> None:
    """Letters look wrong: another encoding is chosen, and the columns are looked at anew."""
    upload(clerk, SMALL)
    clerk.page.get_by_text("How the file is read").click()
    clerk.page.get_by_label("Encoding").select_option("iso-8859-1")
    assert clerk.press("Read it like this") == 200
    assert "RÃ©sistance" in clerk.page.content()
    clerk.page.get_by_text("How the file is read").click()
    clerk.fill("Row of the headings", "99")
    assert clerk.press("Read it like this") == 422
    assert "not among the first" in clerk.text


@pytest.fixture
def slow(notes: Served, monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """The importer waits in its second batch until it is told to go on."""
    go_on, calls = threading.Event(), []
    here = desk.of(notes.site.house)
    importer = here.importers["parts"]

    def save(*given: Any) -> Any:
        calls.append(1)
        if len(calls) == 2:
            go_on.wait(60)
        return parts.save(*given)

    monkeypatch.setitem(here.importers, "parts", replace(importer, save=save))
    yield go_on
    go_on.set()


@pytest.mark.requirement("S1-088")
@pytest.mark.parametrize("script", [True, False], ids=["script", "none"])
def test_progress_is_told_and_it_can_be_cancelled(
    notes: Served, visit: Visit, slow: threading.Event, script: bool
) -> None:
    """A larger table: how far it is tells itself, with a script and without; cancelling keeps what is in."""
    mara = visit(notes, notes.person("manager"), script=script)
    letter = "S" if script else "N"
    rows = "".join(f"{letter}-{n},part number {n} of a long table,{n + 1}\n" for n in range(2_000))
    upload(mara, f"number,name,quantity\n{rows}")
    number = mara.path.rpartition("/")[2]
    with notes.site.house.store.reading() as connection:
        row = store.find(connection, number)
    assert row is not None
    who = who_is(Laboratory(notes.site), Somebody(str(row.user_id)))
    verbs.start(notes.site.house, who, number, mode="good")
    mara.page.reload()
    # The second batch is read, and waits to be saved: with the headings it ends at row 1,001.
    mara.page.get_by_text("1,001 rows").first.wait_for()
    if script:
        assert grave(mara) == []
    mara.picture(f"import-progress-{'script' if script else 'none'}")
    work = desk.of(notes.site.house).works[number]
    mara.page.get_by_role("button", name="Cancel").click(no_wait_after=True)
    assert work.cancelled.wait(10)
    slow.set()
    mara.page.get_by_text("rows that were imported until then stay").wait_for()
    assert "cancelled" in mara.text


@pytest.mark.requirement("S1-087", "S1-088")
def test_an_import_on_a_phone_and_by_keyboard(notes: Served, visit: Visit) -> None:
    """At 360 pixels nothing is wider than the screen, every control is reached by Tab, and axe finds nothing
    grave on any page of it, by night."""
    phone = {"viewport": {**PHONE, "width": 360}, "color_scheme": "dark"}
    mara = visit(notes, notes.person("manager"), script=True, **phone)
    upload(mara, SMALL)
    assert (mara.is_wider_than_the_screen, grave(mara)) == (False, [])
    mara.picture("import-columns-phone")
    mara.page.get_by_label("Part no").focus()
    for wanted in ("column-2", "column-3"):
        mara.page.keyboard.press("Tab")
        assert mara.page.evaluate("document.activeElement.id") == wanted
    mara.page.keyboard.type("Q")
    assert mara.page.get_by_label("Stück", exact=True).input_value() == "quantity"
    with mara.page.expect_navigation():
        mara.page.get_by_role("button", name="Check the file").focus()
        mara.page.keyboard.press("Enter")
    assert (mara.is_wider_than_the_screen, grave(mara)) == (False, [])
    mara.picture("import-checked-phone")
    mara.follow("All of them", within="main")
    assert (mara.is_wider_than_the_screen, grave(mara)) == (False, [])
    mara.picture("import-errors-phone")
    mara.follow("parts.csv", within="main")
    assert mara.press("Import the 2 good rows") == 200
    assert (mara.is_wider_than_the_screen, grave(mara)) == (False, [])
    mara.picture("import-done-phone")
    mara.follow("Your imports", within="main")
    assert (mara.is_wider_than_the_screen, grave(mara)) == (False, [])
    mara.picture("imports-phone")
