"""The pages: people's journeys through forms, without script."""

from __future__ import annotations

import csv
import io
import re

import pytest

from bylaw.testing import Client, Laboratory


@pytest.fixture
def manager(mtc: Laboratory) -> Client:
    return mtc.client("manager")


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
        assert re.findall("<script[^>]*>", reply.text) in ([], ['<script src="/static/files.js" defer>'])
        assert not re.search(r"\son\w+=", reply.text)
    assert ("Add a process" in client.page("/processes").text) is (role != "user")
    assert ("Record a price" in client.page("/variants/1").text) is True
    assert ('href="/audit"' in client.page("/").text) is (role == "admin")


def test_who_may_not_choose_sees_what_is_to_be_chosen(mtc: Laboratory) -> None:
    """A worker reads on the lot's page what waits for somebody's choice, not an empty frame."""
    page = mtc.client("user").page("/lots/6").text
    choices = page[page.index("Variants for this lot") :]
    assert "not chosen yet" in choices[: choices.index("</section>")]


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
    assert '<a href="#f-name">Name: must have at most 200 characters</a>' in reply.text
    assert 'aria-invalid="true" aria-describedby="f-name-fault"' in reply.text
    assert "<title>Error: Processes" in reply.text


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
