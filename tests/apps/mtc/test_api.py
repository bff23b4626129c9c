"""The JSON API: what it takes, what it refuses and how it says so."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bylaw.testing import Bench, Client, Laboratory

API = "/api/upf"


@pytest.fixture
def manager(mtc: Laboratory) -> Client:
    return mtc.client("manager")


def errors(reply: Any) -> dict[str, str]:
    return {error["field"]: error["reason"] for error in reply.json()["errors"]}


def test_a_process_is_made_changed_and_deleted(manager: Client) -> None:
    """A process is made changed and deleted."""
    made = manager.act("POST", f"{API}/processes", json={"name": "Bracket"})
    assert made.status == 201
    place = made.header("Location")
    assert manager.get(place).json()["name"] == "Bracket"
    changed = manager.act("PUT", place, json={"name": "Bracket 2", "description": "bent"})
    assert changed.json() == {"id": made.json()["id"], "name": "Bracket 2", "description": "bent"}
    assert manager.act("DELETE", place).status == 204
    assert manager.get(place).status == 404


def test_a_whole_process_can_be_built_and_costed(manager: Client) -> None:
    """A whole process can be built and costed."""

    def post(path: str, **body: Any) -> int:
        reply = manager.act("POST", f"{API}/{path}", json=body)
        assert reply.status == 201, reply.text
        return int(reply.json()["id"])

    item = post("items", name="Sheet", unit="m2")
    variant = post(f"items/{item}/variants", name="2 mm steel")
    supplier = post("suppliers", name="Steel & Co", website="https://steel.example")
    offer = {"variant_id": variant, "supplier_id": supplier, "valid_from": "2026-01-01"}
    post("prices", amount="19.90", currency="eur", **offer)
    process = post("processes", name="Box")
    part = post(f"processes/{process}/subprocesses", name="Fold")
    post(f"subprocesses/{part}/usages", quantity="0.5", variant_ids=[variant], label="sides")
    post(f"subprocesses/{part}/costs", name="work", amount=3, currency="EUR", basis="unit")
    cost = manager.get(f"{API}/processes/{process}/cost").json()
    assert cost["worst"] == {
        "currency": "EUR",
        "units": "1",
        "total": "12.95",
        "per_unit": "12.95",
        "complete": True,
        "problems": [],
    }
    lot = post("lots", process_id=process, quantity=3)
    done = manager.act("POST", f"{API}/lots/{lot}/execute", json={})
    assert (done.json()["state"], done.json()["cost"]) == ("executed", "38.85")
    again = manager.act("POST", f"{API}/lots/{lot}/execute", json={})
    assert again.status == 409
    assert again.json()["detail"] == f"Lot {lot} is executed; only a planned lot can be executed."


@pytest.mark.requirement("S1-089")
@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("processes", {}, "name"),
        ("processes", {"name": " "}, "name"),
        ("processes", {"name": "a\u0000b"}, "name"),
        ("processes", {"name": "a\u202eb"}, "name"),
        ("processes", {"name": "x" * 201}, "name"),
        ("processes", {"name": "ok", "admin": True}, "admin"),
        ("processes", {"name": ["ok"]}, "name"),
        ("processes/1/subprocesses", {"name": None}, "name"),
        ("processes/1/subprocesses", {"name": "ok", "position": 1}, "position"),
        ("items/1/variants", {"manufacturer": "x"}, "name"),
        ("items/1/variants", {"name": "v", "description": "x" * 2001}, "description"),
        ("subprocesses/1/usages", {"quantity": 1, "variant_ids": []}, "variant_ids"),
        ("subprocesses/1/usages", {"quantity": 0, "variant_ids": [1]}, "quantity"),
        ("subprocesses/1/usages", {"quantity": "NaN", "variant_ids": [1]}, "quantity"),
        ("subprocesses/1/usages", {"quantity": True, "variant_ids": [1]}, "quantity"),
        ("subprocesses/1/usages", {"quantity": 1, "variant_ids": [1, 1]}, "variant_ids"),
        ("subprocesses/1/usages", {"quantity": 1, "variant_ids": [10**30]}, "variant_ids.0"),
        ("subprocesses/1/usages", {"quantity": 1, "variant_ids": [987654]}, "variant_ids"),
        ("lots", {"process_id": 987654, "quantity": 1}, "process_id"),
        ("lots", {"process_id": 1, "quantity": 1.5}, "quantity"),
        ("lots", {"process_id": 1, "quantity": 1, "due": 0}, "due"),
        ("lots/6/cancel", {"reason": ""}, "reason"),
        ("suppliers", {"name": "s", "website": "javascript:alert(1)"}, "website"),
        ("rates", {"currency": "E1R", "rate": 1, "valid_from": "2026-01-01"}, "currency"),
        ("rates", {"currency": "USD", "rate": "1e-7", "valid_from": "2026-01-01"}, "rate"),
    ],
)
def test_what_is_not_accepted_is_named_by_field_and_never_repeated(
    manager: Client, path: str, body: dict[str, Any], field: str
) -> None:
    """What is not accepted is named by field and never repeated."""
    marked = {**body, "canary": "tell-nobody"}
    for sent in (body, marked):
        reply = manager.act("POST", f"{API}/{path}", json=sent)
        assert reply.status == 422, reply.text
        assert reply.header("Content-Type") == "application/problem+json"
        assert "tell-nobody" not in reply.text
    assert field in errors(manager.act("POST", f"{API}/{path}", json=body))


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"{", 400),
        (b"\xff\xfe", 400),
        (b'{"name": "\\ud800"}', 400),
        (b"[" * 100_000, 400),
        (b'{"name": ' + b"9" * 10_000 + b"}", 400),
        (b"[]", 422),
        (b"null", 422),
    ],
)
def test_a_body_that_is_no_json_object_is_refused(manager: Client, body: bytes, status: int) -> None:
    """A body that is no json object is refused."""
    kind = [("Content-Type", "application/json")]
    reply = manager.act("POST", f"{API}/processes", body=body, headers=kind)
    assert reply.status == status


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "*/*"])
def test_another_content_type_is_refused(manager: Client, kind: str) -> None:
    """Another content type is refused."""
    body = b'{"name": "Bracket"}'
    reply = manager.act("POST", f"{API}/items", body=body, headers=[("Content-Type", kind)])
    assert reply.status in (400, 403, 415)
    assert "Bracket" not in manager.get(f"{API}/items?q=Bracket").text


@pytest.mark.parametrize(
    "identity", ["0", "-1", "999999", "2147483648", "9" * 30, "9" * 5000, "1.0", "x", "%00"]
)
def test_an_id_that_names_nothing_is_not_found(manager: Client, identity: str) -> None:
    """An id that names nothing is not found."""
    for path in ("processes", "items", "variants", "suppliers", "prices", "lots", "usages"):
        assert manager.get(f"{API}/{path}/{identity}").status in (400, 404, 414)


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=201", "offset=-1", "limit=x", "offset=" + "9" * 40, "nope=1", "q=%00"]
)
def test_a_query_out_of_bounds_is_refused(manager: Client, query: str) -> None:
    """A query out of bounds is refused."""
    assert manager.get(f"{API}/items?{query}").status in (400, 422)


@pytest.mark.requirement("S1-085")
@pytest.mark.parametrize("text", ["'", "' OR '1'='1", '"; DROP TABLE items; --', "%", "_", "\\"])
def test_quotes_and_wildcards_are_text_like_any_other(manager: Client, text: str) -> None:
    """Quotes and wildcards are text like any other."""
    before = manager.get(f"{API}/items").json()["total"]
    made = manager.act("POST", f"{API}/items", json={"name": text})
    assert made.json()["name"] == text
    found = manager.send("GET", f"{API}/items?q={_quoted(text)}").json()["data"]
    assert all(text in row["name"] for row in found)
    assert text in [row["name"] for row in found]
    assert manager.get(f"{API}/items").json()["total"] == before + 1


def _quoted(text: str) -> str:
    from urllib.parse import quote

    return quote(text, safe="")


@pytest.mark.requirement("S1-028", "S1-029")
def test_a_user_reads_and_records_prices_and_notes_and_no_more(mtc: Laboratory) -> None:
    """A user reads and records prices and notes and no more."""
    user = mtc.client("user")
    for path in ("items", "variants", "suppliers", "prices", "processes/1", "lots/1", "report"):
        assert user.get(f"{API}/{path}").status == 200, path
    offer = {"variant_id": 1, "supplier_id": 1, "amount": 1, "currency": "EUR"}
    price = user.act("POST", f"{API}/prices", json={**offer, "valid_from": "2026-01-01"})
    note = user.act("POST", f"{API}/lots/6/notes", json={"text": "Two are missing."})
    assert (price.status, note.status) == (201, 201)
    for method, path in (
        ("POST", "processes"), ("PUT", "processes/1"), ("DELETE", "processes/1"),
        ("POST", "items"), ("POST", "suppliers"), ("DELETE", "prices/1"), ("POST", "lots"),
        ("POST", "lots/6/execute"), ("POST", "lots/6/cancel"), ("POST", "rates"),
    ):  # fmt: skip
        assert user.act(method, f"{API}/{path}", json={}).status == 403, path


@pytest.mark.requirement("S1-112", "S1-114")
def test_a_change_is_in_the_audit_log_with_who_and_what(mtc: Laboratory) -> None:
    """A change is in the audit log with who and what."""
    manager = mtc.client("manager")
    manager.act("PUT", f"{API}/processes/1", json={"name": "Renamed", "description": ""})
    rows = mtc.audit(action="update", entity_type="process", entity_id="1")
    assert len(rows) == 1
    assert (rows[0]["user_id"], rows[0]["outcome"]) == (manager.id, "success")
    assert rows[0]["changes"]["name"] == {"old": "Micromanipulator stepper", "new": "Renamed"}


def test_a_refused_change_leaves_no_trace_of_success(mtc: Laboratory) -> None:
    """A refused change leaves no trace of success."""
    manager = mtc.client("manager")
    assert manager.act("DELETE", f"{API}/processes/1").status == 409
    assert mtc.audit(action="delete") == []


def test_a_name_taken_is_a_conflict(manager: Client) -> None:
    """A name taken is a conflict."""
    reply = manager.act("POST", f"{API}/processes", json={"name": "8Bit mixtape"})
    assert (reply.status, reply.json()["detail"]) == (409, "This process exists already.")


def test_of_two_who_execute_at_once_one_wins(mtc: Laboratory) -> None:
    """Of two who execute at once one wins."""
    people = [mtc.client("manager") for _ in range(4)]
    people[0].act("PUT", f"{API}/lots/6/choices", json={"choices": {"1": 1}})
    replies = mtc.burst(lambda n: people[n].act("POST", f"{API}/lots/6/execute", json={}).status, 4)
    assert sorted(replies) == [200, 409, 409, 409]
    assert len(mtc.audit(action="execute")) == 1


def test_lists_are_paged(manager: Client) -> None:
    """Lists are paged."""
    page = manager.get(f"{API}/items?limit=2&offset=1").json()
    assert (len(page["data"]), page["limit"], page["offset"]) == (2, 2, 1)
    assert page["total"] > 2


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["name", "quantity", "variant_ids", "x"]), inner, max_size=4)
    ),
    max_leaves=8,
)
BODIES = [
    "processes", "processes/1/subprocesses", "subprocesses/1/usages", "subprocesses/1/costs",
    "items", "items/1/variants", "suppliers", "prices", "rates", "lots", "lots/6/notes",
]  # fmt: skip


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(path=st.sampled_from(BODIES), body=anything)
def test_no_body_whatever_makes_a_server_error(bench: Bench, path: str, body: Any) -> None:
    """No body whatever makes a server error."""
    client = _shared(bench)
    sent = json.dumps(body).encode("utf-8", "surrogatepass")
    headers = [*client.from_here, ("Content-Type", "application/json")]
    reply = client.send("POST", f"{API}/{path}", body=sent, headers=headers)
    assert reply.status in (201, 400, 409, 422), reply.text


_CLIENTS: dict[int, tuple[Laboratory, Client]] = {}


def _shared(bench: Bench) -> Client:
    """One laboratory for all examples: starting one for each would take minutes."""
    if id(bench) not in _CLIENTS:
        laboratory = bench.laboratory()
        _CLIENTS[id(bench)] = (laboratory, laboratory.client("manager"))
    return _CLIENTS[id(bench)][1]
