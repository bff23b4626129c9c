"""Tables become processes, items and lots through bylaw's imports, as the person who sends them expects."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from apps.mtc.sample_data import BOMS, FILES
from bylaw.testing import Client, Laboratory, Reply
from tests.apps.mtc.conftest import send
from tests.apps.mtc.test_bom_corpus import workbook
from tests.content.making import png

CORPUS = Path(__file__).parents[1] / "boms"
CSV = "text/csv"
XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"


class Importing:
    """Somebody with a table: what he sends, and what he is told."""

    def __init__(self, lab: Laboratory, client: Client) -> None:
        self.lab = lab
        self.client = client
        self.place = ""

    def begin(self, what: str, name: str, data: bytes) -> Reply:
        sent = send(self.client, "/imports", (name, data, CSV), what=what)
        self.place = sent.header("Location").replace("/imports/", "/api_imports/")
        return sent

    def act(self, action: str, **more: Any) -> Reply:
        reply = self.client.act("POST", self.place, json={"action": action, **more})
        self.lab.bylaw.imports.work()
        return reply

    @property
    def told(self) -> dict[str, Any]:
        found: dict[str, Any] = self.client.get(self.place).json()
        return found

    def check(self, **options: str) -> dict[str, Any]:
        given = {**self.told["options"], **options}
        reply = self.act("check", column=self.told["columns"], option=list(given), value=list(given.values()))
        assert reply.status < 300, reply.text
        return self.told

    def whole(
        self, what: str, data: bytes | str, name: str = "table.csv", mode: str = "all", **options: str
    ) -> Any:
        """From the file to its rows."""
        assert self.begin(what, name, data if isinstance(data, bytes) else data.encode()).status == 302
        self.check(**options)
        assert self.act("start", mode=mode).status < 300
        return self.told


@pytest.fixture
def manager(shared: Laboratory) -> Importing:
    return Importing(shared, shared.client("manager"))


@pytest.mark.requirement("S1-088", "S1-089")
@pytest.mark.parametrize("name", sorted(FILES))
def test_a_real_bill_of_materials_becomes_a_process(manager: Importing, name: str) -> None:
    """Sent, looked at, checked, imported; the process that it has become is one link away."""
    told = manager.whole("bills", (BOMS / name).read_bytes(), name, process_name=f"Mine from {name}")
    assert (told["state"], told["errors"]) == ("done", 0), told
    assert manager.client.page(told["url"]).status == 200
    assert f"Mine from {name}" in manager.client.page(told["url"]).text


@pytest.mark.requirement("S1-088")
@pytest.mark.parametrize("name", ["german", "altium", "orcad", "kicad"])
def test_bills_of_every_encoding_and_shape_pass_the_way_in(manager: Importing, name: str) -> None:
    """UTF-16 with tabs, Windows-1252 with semicolons: detected, shown, and all of it imported."""
    told = manager.whole("bills", (CORPUS / f"{name}.csv").read_bytes(), f"{name}.csv")
    parts = {"german": 5, "altium": 3, "orcad": 4, "kicad": 5}[name]
    assert (told["state"], told["created"], told["errors"]) == ("done", parts, 0), told
    if name == "german":
        said = " ".join(note["text"] if "text" in note else str(note) for note in told["told"])
        assert "the rows above add up to it" in said
        assert "become the subprocess “Elektronik”" in said
        page = manager.client.page(told["url"]).text
        assert "Aluprofil 40×40" in page
        assert page.index("Mechanik") < page.index("Elektronik")


@pytest.mark.requirement("S1-088")
def test_a_workbook_is_imported_from_the_sheet_that_its_owner_chooses(manager: Importing) -> None:
    """The cover sheet comes first and is no bill; the right one is chosen, and its columns are found."""
    sent = send(manager.client, "/imports", ("Pumpe.xlsx", workbook().getvalue(), XLSX), what="bills")
    manager.place = sent.header("Location").replace("/imports/", "/api_imports/")
    assert manager.told["sheets"][:2] == ["Cover", "Stückliste"]
    manager.act("read", sheet="Stückliste")
    told = manager.check()
    assert (told["good"], told["errors"]) == (3, 0), told
    manager.act("start", mode="all")
    assert "Schlauch 8 mm" in manager.client.page(manager.told["url"]).text
    assert "Pumpe" in manager.client.page("/processes").text


@pytest.mark.requirement("S1-088", "S1-089")
def test_errors_are_told_and_only_the_good_rows_come_in_when_somebody_says_so(manager: Importing) -> None:
    """A formula and a quantity of nonsense are named by row and column, with what is accepted."""
    bad = "Qty,Component,Price each\n4,bolt,0.10\nmany,nut,0.05\n2,=HYPERLINK(A1),0.02\n"
    manager.begin("bills", "bolts.csv", bad.encode())
    told = manager.check(process_name="Bolts, the good ones")
    assert (told["good"], told["errors"]) == (1, 2)
    said = str(told["told"])
    assert "many" in said
    assert "greater than 0" in said
    assert "run it as a formula" in said
    assert manager.act("start", mode="all").status >= 400 or manager.told["state"] != "done"
    manager.act("start", mode="good")
    assert (manager.told["state"], manager.told["created"]) == ("done", 1)


@pytest.mark.requirement("S1-089")
def test_a_process_that_exists_is_not_overwritten_and_the_other_name_can_be_given(manager: Importing) -> None:
    """The name is said to be taken before anything is imported, and another one helps."""
    rows = b"Qty,Component\n1,bolt\n"
    manager.begin("bills", "bolt.csv", rows)
    manager.check(process_name=FILES["lands.csv"])
    assert (
        "already a process of this name"
        in str(manager.told) + manager.client.page(manager.place.replace("/api_imports/", "/imports/")).text
    )
    manager.check(process_name="Another name for it")
    manager.act("start", mode="all")
    assert manager.told["state"] == "done"


@pytest.mark.requirement("S1-088")
def test_the_columns_can_be_said_otherwise(manager: Importing) -> None:
    """A column that means something else to its owner is imported as he says."""
    manager.begin("bills", "odd.csv", b"Qty,Zeug,Component\n2,M3,bolt\n")
    columns = ["quantity", "variant", "item"]
    options = {**manager.told["options"], "process_name": "Said otherwise"}
    manager.act("check", column=columns, option=list(options), value=list(options.values()))
    manager.act("start", mode="all")
    assert "bolt: M3" in manager.client.page(manager.told["url"]).text


@pytest.mark.requirement("S1-089")
def test_a_catalogue_is_imported_twice_and_only_what_is_new_changes(manager: Importing) -> None:
    """Items with prices as a purchaser keeps them; the second time only one price is new."""
    table = "Item;Category;Part number;Supplier;Price\nKugel;Lager;K-{n};Nord;€ 4,20\nFeder;;F-1;;1,05 €\n"
    first = manager.whole("items", table.format(n=1))
    assert (first["state"], first["created"], first["errors"]) == ("done", 2, 0), first
    again = manager.whole("items", table.format(n=1).replace("4,20", "4,60"))
    assert (again["created"], again["updated"], again["unchanged"]) == (0, 1, 1)
    more = manager.whole("items", "Item;Part number;Supplier;Price;MOQ\nKugel;K-1;Nord;€ 4,20;100\n")
    assert (more["updated"], more["unchanged"]) == (1, 0), (
        "the same price from another quantity on is another"
    )
    assert "Kugel" in manager.client.page("/items?q=Kugel").text


@pytest.mark.requirement("S1-089")
def test_lots_are_planned_by_their_number_and_an_executed_one_stays_as_it_is(manager: Importing) -> None:
    """A row of lots names its process; the same number again changes the plan, never what was made."""
    process = FILES["lands.csv"]
    first = manager.whole(
        "lots", f"Lot,Process,Quantity,Due\n2026-1,{process},5,21.11.2026\n2026-2,{process},3,\n"
    )
    assert (first["state"], first["created"]) == ("done", 2), first
    page = manager.client.page("/lots").text
    number = re.findall(r'/lots/(\d+)">Lot 2026-1<', page)[0]
    assert manager.client.act("POST", f"/lots/{number}/execute", form={}).status == 302
    rows = f"Lot,Process,Quantity\n2026-1,{process},9\n2026-2,{process},4\n2026-3,nothing,1\n"
    second = manager.whole("lots", rows, mode="good")
    assert (second["updated"], second["errors"]) == (1, 2), second
    said = str(second["told"])
    assert "only a planned lot can be changed" in said
    assert "There is no process named" in said


@pytest.mark.requirement("S1-088")
def test_every_import_is_in_the_audit_log_with_who_and_what_it_made(manager: Importing) -> None:
    """Who asks later where a process comes from finds the person, and the ids of all that came with it."""
    told = manager.whole("bills", b"Qty,Component,Price each\n1,odd bolt,2 EUR\n", process_name="On record")
    rows = [row for row in manager.lab.audit(action="import") if row["entity_type"] == "process"]
    row = next(row for row in rows if row["entity_id"] == told["url"].rpartition("/")[2])
    assert row["user_id"]
    assert row["changes"]["item_ids"]["new"]
    assert row["changes"]["name"]["new"] == "On record"


NONSENSE = {
    "a program": ("bom.exe", b"MZ", 415),
    "a picture by the name of a table": ("bom.csv", png(), 415),
    "nothing": ("bom.csv", b"", 422),
    "controls": ("bom.csv", b"Qty,Part\n1,a\0b\n", 422),
}


@pytest.mark.requirement("S1-088", "S1-091", "S1-093")
@pytest.mark.parametrize("what", NONSENSE)
def test_what_is_no_table_is_refused_on_the_page_it_was_sent_from(manager: Importing, what: str) -> None:
    """Whoever sends something else learns why it was not taken, and can try again on the same page."""
    name, data, status = NONSENSE[what]
    reply = send(manager.client, "/imports", (name, data, CSV), what="bills")
    assert (reply.status, "Not saved." in reply.text) in {(status, True), (415, True), (422, True)}, (
        reply.text
    )
    assert "CSV or Excel file" in reply.text


@pytest.mark.requirement("S1-088")
@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b'Qty,Part\n1,"never closed\n', "quotation mark"),
        (b"Qty,Part\n1," + b"x" * 200_000, "characters"),
        (b"Qty,Part\n" + b"," * 5_000, "150"),
    ],
)
def test_a_table_that_cannot_be_read_says_where(manager: Importing, data: bytes, says: str) -> None:
    """A quotation mark that is never closed, an endless cell, five thousand columns: said with its row."""
    reply = manager.begin("bills", "bom.csv", data)
    told = reply.text if reply.status >= 400 else str(manager.told)
    if reply.status < 400 and says not in told:
        told = str(manager.check())
    assert says in told


@pytest.mark.requirement("S1-087")
@pytest.mark.parametrize("fields", [{}, {"what": "people"}, {"what": "bills", "id": "1"}])
def test_a_form_that_does_not_say_what_the_file_is_comes_back(
    manager: Importing, fields: dict[str, str]
) -> None:
    """An unknown kind of import and an unknown field are refused as in every other form."""
    reply = send(manager.client, "/imports", ("bom.csv", b"Qty,Part\n1,a\n", CSV), **fields)
    assert reply.status == 422


@pytest.mark.requirement("S1-028")
def test_nobody_else_imports_or_sees_an_import(shared: Laboratory, manager: Importing) -> None:
    """A user may not import; another manager cannot tell that an import exists."""
    assert (
        send(shared.client("user"), "/imports", ("a.csv", b"Qty,Part\n1,a\n", CSV), what="bills").status
        == 403
    )
    manager.begin("bills", "mine.csv", b"Qty,Component\n1,secret-part\n")
    other = shared.client("manager").get(manager.place)
    assert other.status == 404
    assert "secret-part" not in other.text
    assert "mine.csv" in manager.client.page("/imports").text
    assert "mine.csv" not in shared.client("manager").page("/imports").text
