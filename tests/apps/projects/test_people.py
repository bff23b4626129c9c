"""Users: who may make and change them, and who held which role on a date."""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from typing import Any

import pytest

from bylaw.operations import granting
from bylaw.operations.administering import SYSTEM
from bylaw.verify.laboratory import Laboratory
from tests.apps.projects.conftest import given, program

NOTHING = "00000000-0000-4000-8000-000000000001"
NEW = {"email": "new@people.test", "name": "New"}
LEFT = {"because": "she has left"}


@pytest.mark.requirement("S3-025", "S3-019", "S3-067")
def test_only_administrators_make_users(register: Laboratory) -> None:
    """POST /users by anybody else is 403 with the words of the published policy, and in the audit log."""
    for role in ("editor", "viewer"):
        who = program(register, role)
        for body in (NEW, {}, {"role": "admin"}):  # before the body is looked at
            reply = who.send("POST", "/users", json=body)
            assert (reply.status, reply.json()["detail"]) == (403, "Admin only")
        refused = register.audit(action="authz_fail")[0]
        assert (refused["user_id"], refused["entity_id"], refused["outcome"]) == (who.id, "/users", "refused")
    assert register.visitor().send("POST", "/users", json=NEW).status == 401
    reply = program(register, "admin").send("POST", "/users", json={**NEW, "role": "editor"})
    assert (reply.status, reply.json()["roles"], reply.json()["invited"]) == (201, ["editor"], True)
    assert reply.header("location") == f"/users/{reply.json()['id']}"
    assert [mail["To"] for mail in register.mail()] == [NEW["email"]]


@pytest.mark.requirement("S3-025", "S3-022", "C-05")
def test_the_role_is_that_of_the_newest_version(register: Laboratory) -> None:
    """An administrator who is none any more is refused at the next request, by token and role alike."""
    root, eve = program(register, "admin"), program(register, "admin")
    assert eve.get("/users").status == 200
    body = {"role": "viewer", "because": "another task"}
    assert root.send("PUT", f"/users/{eve.id}/role", json=body).status == 200
    assert eve.get("/users").status in (401, 403)
    assert given(register, eve.person).send("POST", "/users", json=NEW).status == 403
    newest = root.get(f"/users/{eve.id}/versions").json()[0]
    assert (newest["roles"], newest["author_id"], newest["because"]) == (["viewer"], root.id, "another task")


def test_who_held_which_role_on_a_date(register: Laboratory) -> None:
    """Every change is a version with author, time and reason, and any moment in between can be asked for."""
    root, ann = program(register, "admin"), register.person("viewer")
    start = register.clock()
    for days, role in ((1, "editor"), (2, "viewer"), (3, "admin")):
        register.clock.at = start + days * 86400
        boss = given(register, root.person)
        assert (
            boss.send("PUT", f"/users/{ann.id}/role", json={"role": role, "because": f"day {days}"}).status
            == 200
        )
    register.clock.advance(86400)
    boss = given(register, root.person)

    def at(days: float) -> list[str]:
        moment = datetime.fromtimestamp(start + days * 86400, UTC).isoformat().replace("+00:00", "Z")
        return [held["role"] for held in boss.get(f"/users/{ann.id}/roles?at={moment}").json()["roles"]]

    assert [at(days) for days in (-1, 0, 0.5, 1, 1.5, 2.5, 3.5)] == [
        [], ["viewer"], ["viewer"], ["editor"], ["editor"], ["viewer"], ["admin"],
    ]  # fmt: skip
    last = "9999-12-31T23:59:59.999999Z"
    assert [held["role"] for held in boss.get(f"/users/{ann.id}/roles?at={last}").json()["roles"]] == [
        "admin"
    ]
    versions = boss.get(f"/users/{ann.id}/versions").json()
    assert [(v["number"], v["roles"], v["because"]) for v in versions] == [
        (4, ["admin"], "day 3"),
        (3, ["viewer"], "day 2"),
        (2, ["editor"], "day 1"),
        (1, ["viewer"], ""),
    ]
    assert {v["author_id"] for v in versions[:3]} == {root.id}
    assert boss.get(f"/users/{ann.id}/roles").json()["roles"][0]["since"] == versions[0]["at"]


def test_a_role_that_ran_out_is_a_version_too(register: Laboratory) -> None:
    """Nobody took it: it ended by itself, and that is what the history says."""
    root, ann = program(register, "admin"), register.person("viewer")
    register.clock.advance(10)
    until = register.clock() + 60
    granting.grant(register.site.house, SYSTEM, ann.id, "editor", until=until, because="a holiday")
    register.clock.advance(61)
    versions = given(register, root.person).get(f"/users/{ann.id}/versions").json()
    assert [(v["roles"], v["author_id"], v["because"]) for v in versions] == [
        (["viewer"], None, ""),
        (["editor", "viewer"], None, "a holiday"),
        (["viewer"], None, ""),
    ]


@pytest.mark.requirement("S3-072", "S3-069", "C-05")
def test_a_disabled_account_ends_at_once(register: Laboratory) -> None:
    """Its token is refused at the next request; enabled again, its owner signs in anew."""
    root, ann = program(register, "admin"), program(register, "editor")
    assert ann.get("/projects").status == 200
    assert root.send("POST", f"/users/{ann.id}/disable", json=LEFT).json()["disabled"] is True
    assert ann.get("/projects").status == 401
    assert root.send("POST", f"/users/{ann.id}/enable", json={"because": "back"}).json()["disabled"] is False
    assert ann.get("/projects").status == 401
    assert given(register, ann.person).get("/projects").status == 200
    rows = [row for row in register.audit() if row["entity_id"] == ann.id and "abled" in row["action"]]
    assert [(row["action"], row["user_id"], row["changes"]["reason"]) for row in rows] == [
        ("user_enabled", root.id, "back"),
        ("user_disabled", root.id, LEFT["because"]),
    ]


def test_what_administrators_do_wants_a_sign_in_of_lately(register: Laboratory) -> None:
    """A token of before still reads; to change an account, its owner signs in again (RFC 9470)."""
    root, ann = program(register, "admin"), program(register, "editor")
    register.clock.advance(601)
    assert root.get("/users").status == 200
    for method, path, body in (
        ("POST", "/users", NEW),
        ("PUT", f"/users/{ann.id}/role", {"role": "viewer", **LEFT}),
        ("POST", f"/users/{ann.id}/disable", LEFT),
    ):
        reply = root.send(method, path, json=body)
        assert (reply.status, reply.code) == (401, "mfa.step_up")
        challenge = reply.header("www-authenticate")
        assert challenge.startswith("Bearer ")
        assert 'error="insufficient_user_authentication", max_age="600"' in challenge
        assert given(register, root.person).send(method, path, json=body).status in (200, 201)


@pytest.mark.parametrize(
    ("body", "wrong"),
    [
        ({"email": "not an address"}, "email"),
        ({"email": "new@people.test\n"}, "email"),
        ({"email": "new@people.test", "role": "root"}, "role"),
        ({"email": "new@people.test", "role": ["admin"]}, "role"),
        ({"email": "new@people.test", "password": "Tr4vel by night!"}, "password"),
        ({"email": 1}, "email"),
        ({"name": "x"}, "email"),
        ({"email": "new@people.test", "name": "a\nb"}, "name"),
    ],
)
@pytest.mark.requirement("S3-027", "S3-028", "S3-030", "C-08", "C-10", "C-11")
def test_an_invitation_says_which_field_is_wrong(shared: Laboratory, body: Any, wrong: str) -> None:
    """422 with the field and never its value; a password is nothing that an administrator chooses."""
    reply = program(shared, "admin").send("POST", "/users", json=body)
    assert reply.status == 422, reply.text
    assert any(wrong in each["pointer"] for each in reply.json()["errors"])
    assert not any(str(value) in reply.text for value in body.values() if len(str(value)) > 6)


@pytest.mark.requirement("S3-031", "C-08")
def test_whoever_signs_up_reads_and_no_more(register: Laboratory) -> None:
    """A registration with role = admin is refused; without, it makes a viewer. Eight characters will do."""
    door, visitor = register.api("sign_up"), register.visitor()
    body = {"email": "eve@people.test", "password": "Ky3 rfwb"}
    reply = visitor.send("POST", door, json={**body, "role": "admin"})
    assert (reply.status, [e["pointer"] for e in reply.json()["errors"]]) == (422, ["#/role"])
    assert visitor.send("POST", door, json={**body, "password": "Ky3 rfw"}).status == 422
    assert visitor.send("POST", door, json={**body, "email": "eve"}).status == 422
    assert visitor.send("POST", door, json=body).status == 202
    found = program(register, "admin").get("/users?after=es").json()["items"]
    assert [user["roles"] for user in found if user["email"] == body["email"]] in ([["viewer"]], [])
    listed = program(register, "admin").get("/users").json()["items"]
    assert [user["roles"] for user in listed if user["email"] == body["email"]] == [["viewer"]]


def test_administrators_do_not_shut_themselves_out(register: Laboratory) -> None:
    """The last one stays one, and nobody disables himself."""
    root = program(register, "admin")
    body = {"role": "viewer", "because": "tired"}
    assert root.send("PUT", f"/users/{root.id}/role", json=body).status == 409
    assert root.send("POST", f"/users/{root.id}/disable", json={"because": "tired"}).status == 409
    assert root.send("POST", "/users", json={"email": root.person.email}).status == 409


def test_nobody_is_not_found(shared: Laboratory) -> None:
    """An id that is nobody's is 404 to administrators, and no news to anybody else."""
    root, ann = program(shared, "admin"), program(shared, "editor")
    for tail in ("", "/versions", "/roles"):
        assert root.get(f"/users/{NOTHING}{tail}").status == 404
        assert ann.get(f"/users/{NOTHING}{tail}").status == 403
    assert root.send("PUT", f"/users/{NOTHING}/role", json={"role": "viewer", **LEFT}).status == 404
    assert root.send("POST", f"/users/{NOTHING}/disable", json=LEFT).status == 404


@pytest.mark.requirement("S3-066", "S3-070")
def test_signing_in_is_logged_as_the_published_policy_shows(
    register: Laboratory, caplog: pytest.LogCaptureFixture
) -> None:
    """Who, what, from where and when, as fields of the record; and never the password."""
    ann = register.person("editor")
    with caplog.at_level(logging.INFO, "bylaw.audit"):
        assert register.sign_in(ann).status == 200
        ann.cookies.clear()
        assert register.sign_in(ann, "Something else 9").status == 401
    seen = [record for record in caplog.records if record.name == "bylaw.audit"]
    fields = [(r.user_id, r.action, r.outcome, r.ip_address) for r in seen]  # type: ignore[attr-defined]
    assert fields[0] == (ann.id, "login", "success", "198.51.100.7")
    assert (fields[1][1], fields[1][3]) == ("login", "198.51.100.7")
    assert all(record.timestamp.startswith("2027-") for record in seen)  # type: ignore[attr-defined]
    assert not any(secret in register.logs.text for secret in (ann.password, "Something else 9"))
