"""Administration over HTTP: the pages and their JSON twins, in Flask and in FastAPI."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from bylaw.controls import roles
from bylaw.controls import sessions as sessions_control
from bylaw.store import users
from bylaw.verify.client import Client, Reply
from bylaw.verify.laboratory import Laboratory

WHY = "a colleague asked for it in person"


def change(laboratory: Laboratory, by: Client, of: Client, **said: Any) -> Reply:
    return by.act("POST", laboratory.api("user").replace("{id}", of.id), json=said)


def held(laboratory: Laboratory, who: Client) -> Any:
    with laboratory.site.house.store.reading() as connection:
        return users.by_id(connection, who.id)


# Acting on an account


@pytest.mark.parametrize(
    ("said", "wrong"),
    [
        ({}, "action"),
        ({"action": ""}, "action"),
        ({"action": "delete"}, "action"),
        ({"action": "Disable", "reason": WHY}, "action"),
        ({"action": ["disable"], "reason": WHY}, "action"),
        ({"action": "roles"}, "role"),
        ({"action": "roles", "role": None}, "role"),
        ({"action": "roles", "role": "admin"}, "role"),
        ({"action": "roles", "role": [["admin"]]}, "role"),
        ({"action": "roles", "role": ["captain"]}, "role"),
        ({"action": "disable"}, "reason"),
        ({"action": "disable", "reason": " "}, "reason"),
        ({"action": "disable", "reason": WHY, "role": ["admin"]}, "role"),
        ({"action": "unlock", "session": "x"}, "session"),
        ({"action": "disable", "reason": "x" * 501}, "reason"),
        ({"action": "disable", "reason": "a\0b"}, "reason"),
        ({"action": "disable", "reason": WHY, "email": "root@x.test"}, "email"),
        ({"action": "disable", "reason": WHY, "epoch": 1}, "epoch"),
    ],
)
def test_only_what_is_said_in_full_is_done(
    flask_laboratory: Laboratory, said: dict[str, Any], wrong: str
) -> None:
    """An action of no name, one without what it takes and one with what it does not take change nothing.

    `{"action": "roles"}` would otherwise take all roles away.
    """
    admin, person = flask_laboratory.administrator(), flask_laboratory.client("user")
    before = held(flask_laboratory, person)
    reply = change(flask_laboratory, admin, person, **said)
    assert reply.status == 422
    assert wrong in reply.text
    assert held(flask_laboratory, person) == before


def test_an_empty_list_takes_all_roles_away(laboratory: Laboratory) -> None:
    """Whoever means it says so; a form says it with nothing ticked."""
    admin, person = laboratory.administrator(), laboratory.client("user")
    assert change(laboratory, admin, person, action="roles", role=[]).json()["roles"] == []
    assert change(laboratory, admin, person, action="roles", role=["user"]).json()["roles"] == ["user"]
    page = f"{laboratory.url('user')}/{person.id}"
    assert admin.act("POST", page, form={"action": "roles", "role": ""}).status == 303
    assert held(laboratory, person).roles == frozenset()


def test_an_old_proof_is_asked_for_anew(laboratory: Laboratory) -> None:
    """Ten minutes after signing in an administrator looks, and changes nothing; a browser is sent to the page
    that asks once more."""
    admin, person = laboratory.administrator(), laboratory.client("user")
    laboratory.clock.advance(601)
    reply = change(laboratory, admin, person, action="disable", reason=WHY)
    assert (reply.status, reply.code) == (401, "mfa.step_up")
    assert "insufficient_user_authentication" in reply.header("www-authenticate")
    page = f"{laboratory.url('user')}/{person.id}"
    sent = admin.act("POST", page, form={"action": "disable", "reason": WHY})
    assert sent.status == 303
    assert sent.header("location").startswith(laboratory.url("step_up"))
    assert admin.page(page).status == 200
    assert held(laboratory, person).disabled_at is None


def test_each_account_shows_what_it_may_sign_in_with(laboratory: Laboratory) -> None:
    """Sessions and factors, for people and programs alike; no column that is a secret."""
    admin, person = laboratory.administrator(), laboratory.client("user")
    shown = admin.get(laboratory.api("user").replace("{id}", person.id)).json()
    assert shown["factors"] == {"apps": 0, "passkeys": 0, "recovery codes": 0}
    [session] = shown["sessions"]
    assert set(session) == {"id", "device", "method", "address", "created_at", "seen_at", "acting"}
    assert change(laboratory, admin, person, action="end_sessions", session=session["id"]).status == 200
    assert laboratory.whoami(person).status == 401
    gone = change(laboratory, admin, person, action="end_sessions", session=session["id"])
    assert (gone.status, gone.code) == (409, "roles.nothing_to_do")


# Finding


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("search=", 200),
        ("search=%00", 200),
        ("search=%ED%A0%80", 200),
        ("search=" + "x" * 5000, 200),
        ("match=anywhere&search=x", 200),
        ("match=regex", 422),
        ("state=disabled&role=user", 200),
        ("state=admin", 422),
        ("role=captain", 422),
        ("role=", 200),
        ("after=%F0%9F%92%A9", 200),
        ("order_by=password_hash", 400),
        ("limit=1000000", 400),
        ("offset=1", 400),
        ("name_key=a", 400),
    ],
)
def test_what_a_listing_may_be_asked(laboratory: Laboratory, query: str, status: int) -> None:
    """Known parameters with known values; the rest is refused, and nothing fails (A097)."""
    admin = laboratory.administrator()
    assert admin.get(f"{laboratory.api('users')}?{query}").status == status
    assert admin.page(f"{laboratory.url('users')}?{query}").status == status


def test_pages_follow_each_other(flask_laboratory: Laboratory) -> None:
    """A program goes on with `after` until it is empty; a person follows a link that keeps the search."""
    laboratory = flask_laboratory
    admin = laboratory.administrator()
    for number in range(52):
        laboratory.person("user", email=f"crowd+{number:02}&x@people.test", password=None)
    path, found, after = laboratory.api("users"), [], ""
    while True:
        page = admin.get(
            f"{path}?search=crowd%2B&role=user&after={after.replace('&', '%26').replace('+', '%2B')}"
        )
        found += [user["email"] for user in page.json()["users"]]
        after = page.json()["after"]
        if not after:
            break
    assert found == [f"crowd+{number:02}&x@people.test" for number in range(52)]
    shown = admin.page(f"{laboratory.url('users')}?search=crowd%2B&role=user").text
    assert "search=crowd%2B&amp;role=user&amp;after=crowd%2B49%26x%40people.test" in shown


# History


@pytest.mark.requirement("S1-112", "S1-114")
def test_a_history_can_be_read_and_narrowed(laboratory: Laboratory) -> None:
    """In sentences for people, whole for programs, only for administrators (A169)."""
    admin, person = laboratory.administrator(), laboratory.client("user")
    change(laboratory, admin, person, action="disable", reason="<b>left</b>")
    path = laboratory.api("user_history").replace("{id}", person.id)
    rows = admin.get(path).json()["history"]
    assert rows[0]["said"] == f"{admin.email} disabled the account ({person.email}). Reason: <b>left</b>"
    assert rows[0]["changes"] == {"reason": "<b>left</b>"}
    page = admin.page(f"{laboratory.url('user_history')}/{person.id}")
    assert "disabled the account" in page.text
    assert "<b>left</b>" not in page.text
    assert [r["action"] for r in admin.get(f"{path}?action=user_disabled").json()["history"]] == [
        "user_disabled"
    ]
    assert admin.get(f"{path}?since=2100-01-01").json()["history"] == []
    other = laboratory.client("user")
    assert other.get(path).status == 403
    assert other.get(laboratory.api("user_history").replace("{id}", other.id)).status == 403


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("since=2026-11-21&until=2026-11-22T10:00:00Z", 200),
        ("since=9999-12-31T23:59:59-14:00", 422),
        ("until=0001-01-01T00:00:00%2B14:00", 422),
        ("since=yesterday", 422),
        ("before=7", 200),
        ("before=99999999999999999999", 422),
        ("before=4294967296", 422),
        ("before=-1", 422),
        ("before=%D9%A3", 422),
        ("action=%00", 200),
        ("user_id=x", 400),
    ],
)
def test_what_a_history_may_be_asked(flask_laboratory: Laboratory, query: str, status: int) -> None:
    """Whatever is no time, number or word of it is refused in words, and nothing fails (A184)."""
    admin = flask_laboratory.administrator()
    path = flask_laboratory.api("user_history").replace("{id}", admin.id)
    assert admin.get(f"{path}?{query}").status == status


# Acting as somebody else


@pytest.fixture
def permitted(laboratory: Laboratory) -> Iterator[Laboratory]:
    """The policy lets administrators act as others."""
    with laboratory.under(sessions_control.Settings, impersonation=True):
        yield laboratory


def act_as(laboratory: Laboratory, by: Client, whom: Client) -> Reply:
    return by.act("POST", laboratory.api("act_as").replace("{id}", whom.id), json={"reason": WHY})


@pytest.mark.requirement("S1-112", "S3-069")
def test_whoever_acts_is_seen_everywhere(permitted: Laboratory) -> None:
    """He is the person to the application; a banner, every record and the person's own sessions say who."""
    laboratory = permitted
    admin, person = laboratory.administrator(), laboratory.client("user")
    before = dict(admin.cookies)
    assert act_as(laboratory, admin, person).status == 200
    assert laboratory.whoami(admin).json()["id"] == person.id
    assert "You act as" in admin.page(laboratory.url("sessions")).text
    assert admin.get(laboratory.api("users")).status == 403
    [row] = laboratory.audit(action="authz_fail")
    assert (row["user_id"], row["acting"]) == (person.id, admin.id)
    listed = person.get(laboratory.api("sessions")).json()["sessions"]
    assert [s["acting"] for s in listed if not s["current"]] == [admin.id]
    assert "is signed in as you" in str(laboratory.mail()[-1]["Subject"])
    theirs = laboratory.visitor()
    theirs.cookies = before
    assert laboratory.whoami(theirs).status == 401, "his own session has ended"
    assert admin.act("POST", laboratory.api("sign_out"), json={}).status == 200
    assert laboratory.whoami(admin).status == 401
    assert laboratory.whoami(person).status == 200
    logout = laboratory.audit(action="session_logout")[0]
    assert (logout["user_id"], logout["acting"]) == (person.id, admin.id)
    boss = laboratory.administrator()
    said = boss.get(laboratory.api("user_history").replace("{id}", admin.id)).json()["history"][0]["said"]
    assert said == f"{admin.email}, acting as {person.email}, signed out."


def test_whoever_acts_changes_nothing_of_the_account(permitted: Laboratory) -> None:
    """Every page that bylaw has for changing something refuses, whatever is sent; those of later days too.
    Those that hear no cookie answer like a stranger: the session says nothing there."""
    laboratory = permitted
    admin, person = laboratory.administrator(), laboratory.client("user")
    act_as(laboratory, admin, person)
    records = len(laboratory.audit(limit=1000))
    asked = 0
    for route in laboratory.site.pages.routes():
        if "POST" not in route.methods or route.endpoint.name == "sign_out":
            continue
        asked += 1
        path = route.path.replace("{id}", person.id)
        how: dict[str, Any] = {"json": {}} if route.api else {"form": {}}
        reply = admin.act("POST", path, **how)
        if laboratory.borne(path):
            stranger = laboratory.visitor().send("POST", path, **how)
            assert (reply.status, reply.code) == (stranger.status, stranger.code), path
            assert 400 <= reply.status < 500, path
            continue
        assert reply.status in (401, 403), path
        if route.rule.kind != "permission":
            assert "sessions.acting" in (reply.code, reply.text) or "acts as him" in reply.text, path
    assert asked > 10
    assert len(laboratory.audit(limit=1000)) - records == len(laboratory.audit(action="authz_fail"))
    assert laboratory.whoami(person).status == 200


def test_acting_ends_within_the_hour_however_busy(permitted: Laboratory) -> None:
    """An hour after it began the session is nobody's."""
    laboratory = permitted
    admin, person = laboratory.administrator(), laboratory.client("user")
    act_as(laboratory, admin, person)
    for _ in range(3):
        laboratory.clock.advance(1199)
        assert laboratory.whoami(admin).status == 200
    laboratory.clock.advance(4)
    assert laboratory.whoami(admin).status == 401


def test_an_administrator_who_is_shut_out_acts_no_longer(permitted: Laboratory) -> None:
    """At the next request, from memory too; and the same where the person becomes an administrator."""
    laboratory = permitted
    boss = laboratory.administrator()
    for how in ({"action": "disable", "reason": WHY}, {"action": "roles", "role": []}):
        admin, person = laboratory.administrator(), laboratory.client("user")
        act_as(laboratory, admin, person)
        assert laboratory.whoami(admin).status == 200
        assert change(laboratory, boss, admin, **how).status == 200
        assert laboratory.whoami(admin).status == 401
        assert laboratory.whoami(person).status == 200
    admin, person = laboratory.administrator(), laboratory.client("user")
    act_as(laboratory, admin, person)
    assert change(laboratory, boss, person, action="roles", role=["admin"]).status == 200
    assert laboratory.whoami(admin).status == 401


@pytest.mark.requirement("S1-031")
def test_nobody_acts_without_the_policys_word_or_his_own_permission(laboratory: Laboratory) -> None:
    """Off by default; on, it is not for whoever only manages users, and never for a better's account."""
    admin, person = laboratory.administrator(), laboratory.client("user")
    reply = act_as(laboratory, admin, person)
    assert (reply.status, reply.code) == (409, "roles.no_impersonation")
    assert "Sign in as this person" not in admin.page(f"{laboratory.url('user')}/{person.id}").text
    with laboratory.under(sessions_control.Settings, impersonation=True):
        assert "Sign in as this person" in admin.page(f"{laboratory.url('user')}/{person.id}").text
        for whom in (admin, laboratory.administrator()):
            assert act_as(laboratory, admin, whom).code == "roles.not_as"
        with roles.probes.granting(
            laboratory, clerk=("user:manage",), helper=("user:impersonate",), top=("note:drop",)
        ):
            assert act_as(laboratory, laboratory.client("clerk"), person).code == "roles.forbidden"
            helper = laboratory.client("helper")
            assert act_as(laboratory, helper, laboratory.client("top")).code == "roles.forbidden"
            assert act_as(laboratory, helper, laboratory.client()).status == 200
    assert laboratory.whoami(person).json()["id"] == person.id
