"""The pages: people's journeys through forms, without script."""

from __future__ import annotations

import csv
import io
import re

import pytest

from apps.mtc.sample_data import BOMS, FILES
from bylaw.testing import Client, Laboratory, Reply


@pytest.fixture
def manager(mtc: Laboratory) -> Client:
    return mtc.client("manager")


def upload(client: Client, name: str, data: bytes) -> Reply:
    edge = "a1b2c3"
    head = f'--{edge}\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n\r\n'
    body = head.encode() + data + f"\r\n--{edge}--\r\n".encode()
    kind = [("Content-Type", f"multipart/form-data; boundary={edge}")]
    return client.act("POST", "/imports", body=body, headers=kind)


def options(page: str) -> list[str]:
    """The roles selected on a preview page."""
    return re.findall(r'<option value="(\w+)" selected>', page)


PAGES = [
    "/", "/items", "/items/1", "/variants/1", "/suppliers", "/suppliers/1", "/rates", "/processes",
    "/processes/1", "/subprocesses/1", "/usages/1", "/lots", "/lots/1", "/lots/5", "/lots/6", "/report",
]  # fmt: skip


@pytest.mark.parametrize("role", ["admin", "manager", "user"])
def test_every_page_opens_and_offers_only_what_its_reader_may(mtc: Laboratory, role: str) -> None:
    """Every page opens and offers only what its reader may."""
    client = mtc.client(role)
    for page in PAGES:
        reply = client.page(page)
        assert reply.status == 200, page
        assert "style=" not in reply.text
        assert "<script" not in reply.text
        assert not re.search(r"\son\w+=", reply.text)
    assert ("Add a process" in client.page("/processes").text) is (role != "user")
    assert ("Record a price" in client.page("/variants/1").text) is True
    assert ('href="/audit"' in client.page("/").text) is (role == "admin")


@pytest.mark.requirement("S1-027")
def test_only_administrators_read_the_audit_log(mtc: Laboratory) -> None:
    """Only administrators read the audit log."""
    statuses = {role: mtc.client(role).page("/audit").status for role in ("admin", "manager", "user")}
    assert statuses == {"admin": 200, "manager": 403, "user": 403}


def test_the_audit_page_shows_old_and_new_values_escaped(mtc: Laboratory) -> None:
    """The audit page shows old and new values escaped."""
    admin = mtc.client("admin")
    admin.act("POST", "/processes/1", form={"name": "<b>New</b>"})
    page = admin.page("/audit?action=update&entity_type=process").text
    assert "&lt;b&gt;New&lt;/b&gt;" in page
    assert "Micromanipulator stepper" in page
    assert "<b>New" not in page


def test_a_form_with_a_mistake_comes_back_with_what_was_typed(manager: Client) -> None:
    """A form with a mistake comes back with what was typed."""
    reply = manager.act("POST", "/processes", form={"name": "x" * 201, "description": "keep me"})
    assert reply.status == 422
    assert "keep me" in reply.text
    assert "Name: String should have at most 200 characters" in reply.text


def test_an_unknown_or_repeated_field_is_refused(manager: Client) -> None:
    """An unknown or repeated field is refused."""
    assert manager.act("POST", "/processes", form={"name": "a", "id": "1"}).status == 422
    assert manager.act("POST", "/processes", form={"name": ["a", "b"]}).status == 422


def test_a_process_is_built_planned_and_made_by_forms_alone(manager: Client) -> None:
    """A process is built planned and made by forms alone."""

    def post(path: str, **form: object) -> None:
        reply = manager.act("POST", path, form=form)
        assert (reply.status, "saved=1" in reply.header("Location")) == (302, True), reply.text

    post("/processes", name="Box")
    number = re.findall(r"/processes/(\d+)", manager.page("/processes?q=Box").text)[0]
    post(f"/processes/{number}/subprocesses", name="Fold", description="")
    part = re.findall(r"/subprocesses/(\d+)", manager.page(f"/processes/{number}").text)[0]
    post(f"/subprocesses/{part}/usages", quantity="2", variant_ids=["1", "39"], label="")
    form = {"cost_kind": "labour", "amount": "5", "currency": "EUR", "basis": "unit"}
    post(f"/subprocesses/{part}/costs", name="bending", **form)
    post("/lots", process_id=number, quantity="3", due="")
    lot = max(re.findall(r"/lots/(\d+)", manager.page("/lots").text), key=int)
    usage = re.findall(r'value="(\d+):39"', manager.page(f"/lots/{lot}").text)[0]
    assert manager.act("POST", f"/lots/{lot}/execute", form={}).status == 409
    post(f"/lots/{lot}/choices", choices=[f"{usage}:39"])
    post(f"/lots/{lot}/execute")
    assert "executed" in manager.page(f"/lots/{lot}").text
    again = manager.act("POST", f"/lots/{lot}/cancel", form={"reason": "too late"})
    assert again.status == 409
    assert "only a planned lot can be cancelled" in again.text


@pytest.mark.parametrize("name", sorted(FILES))
def test_a_bill_of_materials_is_uploaded_looked_at_and_imported(manager: Client, name: str) -> None:
    """A bill of materials is uploaded looked at and imported."""
    sent = upload(manager, name, (BOMS / name).read_bytes())
    assert sent.status == 302
    place = sent.header("Location")
    roles = options(manager.page(place).text)
    form = {"roles": roles, "currency": "EUR", "valid_from": "2026-01-01", "process_name": "Mine"}
    assert manager.act("POST", f"{place}/preview", form=form).status == 200
    done = manager.act("POST", f"{place}/load", form=form)
    assert done.status == 302, done.text
    assert "Mine" in manager.page(done.header("Location").partition("?")[0]).text
    assert manager.page(place).status == 404


def test_a_preview_says_what_to_mend_and_imports_only_when_told(manager: Client) -> None:
    """A preview says what to mend and imports only when told."""
    sent = upload(manager, "bom.csv", b"Qty,Component,Price each\n1,bolt,2\nmany,nut,=1+1\n")
    place = sent.header("Location")
    page = manager.page(place).text
    assert "greater than 0" in page or "does not begin with" in page
    form = {"roles": options(page), "currency": "EUR", "valid_from": "2026-01-01", "process_name": "M"}
    refused = manager.act("POST", f"{place}/load", form=form)
    assert refused.status == 422
    assert "Some rows have errors" in refused.text
    form["skip_errors"] = "true"
    assert manager.act("POST", f"{place}/load", form=form).status == 302


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("bom.exe", b"Qty,Part\n1,x\n"),
        ("bom.csv", b"\x00\x01"),
        ("bom.csv", b""),
        ("bom.csv", b"no headings"),
    ],
)
def test_an_upload_that_cannot_be_read_is_refused_with_the_reason(
    manager: Client, name: str, data: bytes
) -> None:
    """An upload that cannot be read is refused with the reason."""
    reply = upload(manager, name, data)
    assert reply.status == 422
    assert "The file was not taken." in reply.text


def test_columns_that_do_not_fit_are_named_and_nothing_is_imported(manager: Client) -> None:
    """Columns that do not fit are named and nothing is imported."""
    place = upload(manager, "bom.csv", b"Qty,Component\n1,bolt\n").header("Location")
    form = {"currency": "EUR", "valid_from": "2026-01-01", "process_name": "M"}
    for roles, reason in (
        (["item"], "2 columns, 1 were named"),
        (["item", "item"], "Only one column each"),
        (["ignore", "ignore"], "Some rows have errors"),
        (["quantity", "castle"], "Roles"),
    ):
        refused = manager.act("POST", f"{place}/load", form={**form, "roles": roles})
        assert refused.status == 422
        assert reason in refused.text
    assert "M</a>" not in manager.page("/processes").text


def test_an_upload_can_be_thrown_away(manager: Client) -> None:
    """An upload can be thrown away."""
    place = upload(manager, "bom.csv", b"Qty,Component\n1,bolt\n").header("Location")
    assert "bom.csv" in manager.page("/imports").text
    assert manager.act("POST", f"{place}/discard", form={}).status == 302
    assert manager.page(place).status == 404


def test_nobody_else_sees_an_upload_or_can_tell_that_it_exists(mtc: Laboratory) -> None:
    """Nobody else sees an upload or can tell that it exists."""
    mine, other = mtc.client("manager"), mtc.client("manager")
    place = upload(mine, "bom.csv", b"Qty,Component\n1,secret-part\n").header("Location")
    form = {"roles": ["quantity", "item"], "currency": "EUR", "valid_from": "2026-01-01"}
    form["process_name"] = "Stolen"
    for reply in (
        other.page(place),
        other.act("POST", f"{place}/preview", form=form),
        other.act("POST", f"{place}/load", form=form),
        other.act("POST", f"{place}/discard", form={}),
    ):
        assert reply.status == 404
        assert "secret-part" not in reply.text
    assert "bom.csv" not in other.page("/imports").text
    assert mine.page(place).status == 200


def test_an_export_runs_nothing_and_is_on_record(mtc: Laboratory) -> None:
    """An export runs nothing and is on record."""
    manager = mtc.client("manager")
    manager.act("POST", "/processes/1", form={"name": '=HYPERLINK("http://x")'})
    reply = manager.page("/report.csv")
    rows = list(csv.DictReader(io.StringIO(reply.text)))
    assert {row["process"] for row in rows} == {'\'=HYPERLINK("http://x")'}
    assert float(rows[0]["cost"]) > 0
    assert reply.header("Content-Disposition").startswith("attachment")
    assert len(mtc.audit(action="export")) == 1


def test_the_report_draws_its_chart_without_script(manager: Client) -> None:
    """The report draws its chart without script."""
    page = manager.page("/report").text
    assert page.count('<rect class="bar-shape') == 5
    assert 'role="img"' in page


def test_a_page_that_does_not_exist_for_an_id_says_so(manager: Client) -> None:
    """A page that does not exist for an id says so."""
    reply = manager.page("/processes/999999")
    assert reply.status == 404
    assert "There is no process with this number." in reply.text
