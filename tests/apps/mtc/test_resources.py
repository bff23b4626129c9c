"""Everything that can be made can be read, changed and deleted, by program and by form."""

from __future__ import annotations

from typing import Any

import pytest

from bylaw.testing import Client, Laboratory

API = "/api/upf"
PRICE = {"variant_id": 1, "supplier_id": 1, "currency": "EUR", "valid_from": "2026-01-01"}
USE = {"quantity": "2", "variant_ids": [1, 2]}
COST = {"name": "polish", "amount": "4", "currency": "EUR"}

RESOURCES: list[tuple[str, str, dict[str, Any], dict[str, Any]]] = [
    ("items", "items", {"name": "Nut"}, {"name": "Nut M3", "unit": "kg"}),
    ("items/1/variants", "variants", {"name": "M4"}, {"name": "M4", "manufacturer": "Acme"}),
    ("suppliers", "suppliers", {"name": "Acme"}, {"name": "Acme & Sons"}),
    ("prices", "prices", {**PRICE, "amount": "5"}, {**PRICE, "amount": "6.25"}),
    ("processes", "processes", {"name": "Saw"}, {"name": "Saw twice"}),
    ("processes/1/subprocesses", "subprocesses", {"name": "one"}, {"name": "two"}),
    ("subprocesses/1/usages", "usages", USE, {**USE, "quantity": "3", "variant_ids": [2]}),
    ("subprocesses/1/costs", "costs", COST, {**COST, "amount": "5"}),
]


@pytest.fixture
def manager(mtc: Laboratory) -> Client:
    return mtc.client("manager")


def _changes(mtc: Laboratory, client: Client) -> list[dict[str, Any]]:
    """What the audit log has of this person, the newest first, without the signing in."""
    return [row for row in mtc.audit(user_id=client.id) if row["entity_type"] not in ("", "user", "session")]


@pytest.mark.requirement("S1-112", "S1-114")
@pytest.mark.parametrize(("parent", "name", "body", "other"), RESOURCES, ids=[r[1] for r in RESOURCES])
def test_a_resource_through_its_life_with_one_audit_row_for_each_step(
    mtc: Laboratory, parent: str, name: str, body: dict[str, Any], other: dict[str, Any]
) -> None:
    """A resource through its life with one audit row for each step."""
    manager = mtc.client("manager")
    made = manager.act("POST", f"{API}/{parent}", json=body)
    assert made.status == 201, made.text
    place = f"{API}/{name}/{made.json()['id']}"
    assert made.header("Location") == place
    assert manager.get(place).json().items() >= made.json().items()
    changed = manager.act("PUT", place, json=other)
    assert changed.status == 200, changed.text
    for field, value in other.items():
        assert changed.json()[field] == value
    assert manager.act("PUT", place, json=other).status == 200
    assert manager.act("DELETE", place).status == 204
    for method in ("GET", "PUT", "DELETE"):
        assert manager.act(method, place, json=other if method == "PUT" else None).status == 404
    rows = _changes(mtc, manager)
    assert [row["action"] for row in rows] == ["delete", "update", "create"]
    assert {row["entity_id"] for row in rows} == {str(made.json()["id"])}
    assert all({"old", "new"} == set(change) for row in rows for change in row["changes"].values())


def test_a_rate_is_added_and_deleted_but_never_rewritten(manager: Client) -> None:
    """A rate is added and deleted but never rewritten."""
    body = {"currency": "CHF", "rate": "1.05", "valid_from": "2026-01-01"}
    place = manager.act("POST", f"{API}/rates", json=body).header("Location")
    assert manager.get(place).json()["base"] == "EUR"
    assert manager.act("POST", f"{API}/rates", json=body).status == 409
    assert manager.act("PUT", place, json=body).status == 405
    assert manager.act("DELETE", place).status == 204


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("items/1", "is used in a process"),
        ("variants/2", "is used in a process"),
        ("suppliers/1", "has prices or parts"),
        ("processes/1", "has production lots"),
    ],
)
def test_what_is_in_use_cannot_be_deleted(manager: Client, path: str, reason: str) -> None:
    """What is in use cannot be deleted."""
    reply = manager.act("DELETE", f"{API}/{path}")
    assert reply.status == 409
    assert reason in reply.json()["detail"]
    page = manager.act("POST", f"/{path}/delete", form={})
    assert page.status == 409
    assert reason in page.text


def test_what_a_lot_consumed_stays_even_when_no_process_uses_it_any_more(manager: Client) -> None:
    """What a lot consumed stays even when no process uses it any more."""
    assert manager.act("DELETE", f"{API}/usages/1").status == 204
    reply = manager.act("DELETE", f"{API}/variants/1")
    assert (reply.status, "was consumed by a lot" in reply.text) == (409, True)


def test_lists_can_be_narrowed(manager: Client) -> None:
    """Lists can be narrowed."""

    def total(query: str) -> int:
        return int(manager.get(f"{API}/{query}").json()["total"])

    assert total("prices?variant_id=1") == 1
    assert 0 < total("prices?supplier_id=1") < total("prices")
    assert total("lots?state=planned&process_id=1") == 1
    assert total("processes/2/subprocesses") == 2
    assert total("items/1/variants?q=steel") == 1
    assert total("processes?q=mixtape") == 1
    assert total("rates") == 2
    assert len(manager.get(f"{API}/lots/6/notes").json()["data"]) == 1
    assert manager.get(f"{API}/report?since=2999-01-01").status == 422
    assert manager.get(f"{API}/report?since=2199-01-01").json()["lots"] == []
    assert len(manager.get(f"{API}/report?until=2199-01-01&process_id=1").json()["lots"]) == 4


def test_subprocesses_change_places(manager: Client) -> None:
    """Subprocesses change places."""

    def order() -> list[str]:
        return [part["name"] for part in manager.get(f"{API}/processes/2").json()["subprocesses"]]

    assert order() == ["Parts", "External components"]
    place = f"{API}/subprocesses/3/move"
    assert manager.act("POST", place, json={"direction": "up"}).status == 200
    assert order() == ["External components", "Parts"]
    assert manager.act("POST", place, json={"direction": "up"}).status == 200
    assert order() == ["External components", "Parts"]
    assert manager.act("POST", "/subprocesses/3/move", form={"direction": "down"}).status == 302
    assert order() == ["Parts", "External components"]
    assert manager.act("POST", "/subprocesses/3/move", form={"direction": "left"}).status == 422


def test_a_planned_lot_can_be_changed_and_cancelled(manager: Client) -> None:
    """A planned lot can be changed and cancelled."""
    changed = manager.act("PUT", f"{API}/lots/6", json={"quantity": 7, "due": None})
    assert (changed.json()["quantity"], changed.json()["due"]) == (7, None)
    wrong = manager.act("PUT", f"{API}/lots/6/choices", json={"choices": {"1": 2}})
    assert wrong.status == 422
    done = manager.act("POST", f"{API}/lots/6/cancel", json={"reason": "No bearings."})
    assert (done.json()["state"], done.json()["cancel_reason"]) == ("cancelled", "No bearings.")


FORMS: list[tuple[str, dict[str, Any]]] = [
    ("/items", {"name": "Nut", "unit": "kg"}),
    ("/items/1", {"name": "Ball bearing", "unit": "pcs", "category": "Mechanics"}),
    ("/items/1/variants", {"name": "G10"}),
    ("/variants/1", {"name": "G10", "manufacturer": "Acme"}),
    ("/prices", {**PRICE, "amount": "5", "per": "", "min_quantity": "10"}),
    ("/prices/1/delete", {}),
    ("/suppliers", {"name": "Acme", "website": "https://acme.example"}),
    ("/suppliers/1", {"name": "Amazon"}),
    ("/rates", {"currency": "CHF", "rate": "1.05", "valid_from": "2026-01-01"}),
    ("/rates/1/delete", {}),
    ("/processes/4", {"name": "Heating"}),
    ("/processes/4/delete", {}),
    ("/subprocesses/1", {"name": "Everything"}),
    ("/subprocesses/2/delete", {}),
    ("/usages/1", {"quantity": "13", "variant_ids": ["1"], "label": "all round"}),
    ("/usages/1/delete", {}),
    ("/costs/1/delete", {}),
    ("/lots/6", {"quantity": "9", "due": "2027-01-01"}),
    ("/lots/6/notes", {"text": "First line\r\nsecond line"}),
]


@pytest.mark.parametrize(("path", "form"), FORMS, ids=[path for path, _ in FORMS])
def test_a_form_does_what_it_says_and_leads_on(mtc: Laboratory, path: str, form: dict[str, Any]) -> None:
    """A form does what it says and leads on."""
    manager = mtc.client("manager")
    reply = manager.act("POST", path, form=form)
    assert reply.status == 302, reply.text
    page = manager.page(reply.header("Location"))
    assert (page.status, ("Deleted." if path.endswith("/delete") else "Saved.") in page.text) == (200, True)
    assert len(_changes(mtc, manager)) == 1


@pytest.mark.parametrize(
    ("path", "form"),
    [
        ("/items", {"name": "x" * 201}),
        ("/items", {"name": "Bearing"}),
        ("/items/1", {"name": ""}),
        ("/items/1/variants", {"name": "a\x00"}),
        ("/variants/1", {"name": "v", "description": "x" * 2001}),
        ("/prices", {**PRICE, "amount": "cheap"}),
        ("/prices", {**PRICE, "amount": "1", "variant_id": "999999"}),
        ("/suppliers", {"name": "s", "website": "ftp://x"}),
        ("/suppliers/1", {"name": "s", "website": "https://a b"}),
        ("/rates", {"currency": "EURO", "rate": "1", "valid_from": "2026-01-01"}),
        ("/rates", {"currency": "CHF", "rate": "1", "valid_from": "1066-01-01"}),
        ("/processes/1", {"name": ""}),
        ("/processes/1/subprocesses", {"name": ""}),
        ("/subprocesses/1", {"name": ""}),
        ("/subprocesses/1/usages", {"quantity": "1"}),
        ("/subprocesses/1/costs", {**COST, "basis": "year"}),
        ("/usages/1", {"quantity": "0", "variant_ids": ["1"]}),
        ("/lots", {"process_id": "1", "quantity": "0"}),
        ("/lots/6", {"quantity": "many"}),
        ("/lots/6/choices", {"choices": ["1:x"]}),
        ("/lots/6/cancel", {"reason": ""}),
        ("/lots/6/notes", {"text": "a\x07b"}),
    ],
)
def test_a_form_that_is_refused_changes_nothing_and_says_why(
    mtc: Laboratory, path: str, form: dict[str, Any]
) -> None:
    """A form that is refused changes nothing and says why."""
    manager = mtc.client("manager")
    reply = manager.act("POST", path, form=form)
    assert reply.status == 422, reply.text
    assert "Not saved." in reply.text or "Not recorded" in reply.text
    assert _changes(mtc, manager) == []


def test_deleting_an_unused_item_and_variant_and_supplier_by_form(manager: Client) -> None:
    """Deleting an unused item and variant and supplier by form."""
    item = manager.act("POST", f"{API}/items", json={"name": "Spare"}).json()["id"]
    variant = manager.act("POST", f"{API}/items/{item}/variants", json={"name": "s"}).json()["id"]
    supplier = manager.act("POST", f"{API}/suppliers", json={"name": "Spare Ltd"}).json()["id"]
    for path in (f"/variants/{variant}", f"/items/{item}", f"/suppliers/{supplier}"):
        gone = manager.act("POST", f"{path}/delete", form={})
        assert (gone.status, gone.header("Location").endswith("saved=deleted")) == (302, True)
        assert manager.page(path).status == 404


def test_long_lists_lead_to_their_other_pages(manager: Client) -> None:
    """Long lists lead to their other pages."""
    first = manager.page("/items?limit=10").text
    assert 'rel="next"' in first
    assert 'rel="prev"' not in first
    second = manager.page("/items?limit=10&offset=10").text
    assert 'rel="prev"' in second
    assert "11 to 20 of 34" in second
