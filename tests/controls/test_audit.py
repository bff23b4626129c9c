"""The audit log: no change without its record, no record without its change, and nothing edits it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Column, Integer, MetaData, Table, Text, func, select, text
from sqlalchemy.exc import IntegrityError, OperationalError
from sqlalchemy.orm import Session

from bylaw.controls import audit
from bylaw.controls.audit import CONTROL, MASK, masked, printable
from bylaw.exchange import Exchange, PairHeaders, enter, leave
from bylaw.house import House
from bylaw.identity import Identity
from bylaw.operations import administering, granting
from bylaw.store import audit as rows
from bylaw.store import migrate, users
from bylaw.store.tables import audit_log, outbox
from bylaw.store.tables import sessions as session_table
from bylaw.verify.client import Client, Reply
from bylaw.verify.laboratory import Laboratory
from tests.controls.houses import Builder

PASSWORD = "wide green fields and quiet water"
CANARY = "canary-5150"


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    """A house with its tables, without an application."""
    made = Builder(tmp_path).house()
    migrate.upgrade(made.store.engine)
    yield made
    made.store.close()


def recorded(house: House, **facts: Any) -> dict[str, Any]:
    """The row that a record becomes."""
    with house.store.transaction() as connection:
        audit.record(house, connection, **{"action": "update", **facts})
    with house.store.reading() as connection:
        return rows.rows(connection, limit=1)[0]


def change(laboratory: Laboratory, by: Client, of: Client, action: str, *granted: str) -> Reply:
    return by.act(
        "POST",
        laboratory.api("user").replace("{id}", of.id),
        json={"action": action, "role": list(granted), "reason": "a test"},
    )


@contextmanager
def no_room(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No record can be written while the block lasts."""

    def failing(*args: Any) -> None:
        raise OperationalError("INSERT", {}, Exception("disk full"))

    with monkeypatch.context() as patch:
        patch.setattr(rows, "add", failing)
        yield


# Fields


@pytest.mark.requirement("S1-111", "S1-113")
def test_a_record_has_all_its_fields(house: House) -> None:
    """Who, what, to what, when (UTC), from where, with what outcome, old and new: each in its type."""
    who = Identity(id="u1", roles=frozenset({"user", "manager"}))
    request = Exchange(
        method="PUT",
        path="/x",
        peer="192.0.2.7",
        request_id="r1",
        headers=PairHeaders([("User-Agent", "curl/8"), ("User-Agent", "second")]),
    )
    request.identity = who
    token = enter(request)
    try:
        row = recorded(house, entity_type="lot", entity_id=17, changes={"n": {"old": 1, "new": 2}})
    finally:
        leave(token)
    assert row.pop("id") == 1
    assert row == {
        "timestamp": datetime.fromtimestamp(house.now(), UTC),
        "user_id": "u1",
        "actor_role": "manager,user",
        "acting": None,
        "action": "update",
        "outcome": "success",
        "entity_type": "lot",
        "entity_id": "17",
        "ip_address": "192.0.2.7",
        "user_agent": "curl/8",
        "request_id": "r1",
        "changes": {"n": {"old": 1, "new": 2}},
    }
    assert row["timestamp"].utcoffset() == timedelta(0)


@pytest.mark.requirement("S1-113")
@pytest.mark.parametrize(
    ("actor", "user_id", "roles"),
    [
        (None, None, ""),
        ("u2", "u2", ""),
        ("", None, ""),
        (Identity(id=""), None, ""),
        (administering.SYSTEM, None, "system"),
    ],
)
def test_who_it_was_outside_of_a_request(house: House, actor: Any, user_id: str | None, roles: str) -> None:
    """An account, the system or nobody; without a request there is no address to tell."""
    row = recorded(house, actor=actor)
    assert (row["user_id"], row["actor_role"]) == (user_id, roles)
    assert (row["ip_address"], row["user_agent"], row["request_id"]) == ("", "", "")


def test_a_request_without_an_agent(house: House) -> None:
    """A program that does not say what it is leaves an empty field."""
    token = enter(Exchange(method="GET", path="/", headers=PairHeaders([])))
    try:
        assert recorded(house)["user_agent"] == ""
    finally:
        leave(token)


@pytest.mark.requirement("S1-113")
@pytest.mark.parametrize("name", ["action", "outcome", "entity_type", "entity_id"])
def test_a_field_is_one_line_that_fits(house: House, name: str) -> None:
    """Control characters, bidirectional tricks, NUL and length never break a line or a database."""
    row = recorded(house, **{name: "a\r\nb\x1b[2J\0\u202e\ud800\x85" + "x" * 3000})
    assert row[name].startswith("a??b?[2J????")
    assert len(row[name]) == {"outcome": 16}.get(name, 80)


@given(st.text(), st.integers(0, 300))
def test_printable_is_one_line(value: str, limit: int) -> None:
    """Whatever a request brings: printable, storable as UTF-8, and no longer than the limit."""
    line = printable(value, limit)
    assert line.isprintable()
    assert len(line) == min(len(value), limit)
    line.encode()


# Values


@pytest.mark.requirement("S1-114", "S1-010")
@pytest.mark.parametrize(
    "name",
    [
        "password",
        "Password",
        "new_password",
        "passwordHash",
        "passwd",
        "pwd",
        "passphrase",
        "secret",
        "client_secret",
        "clientSecret",
        "token",
        "access_token",
        "refreshToken",
        "csrf-token",
        "api_key",
        "apiKey",
        "api-key",
        "X-API-Key",
        "apikey",
        "private_key",
        "privateKey",
        "hash",
        "Authorization",
        "cookie",
        "Set-Cookie",
        "credentials",
        "totp",
        "otp_code",
        "recovery_codes",
        "session_id",
    ],
)
def test_a_secrets_field_is_masked(name: str) -> None:
    """Whatever way a field is spelt, its old and new values are not recorded."""
    assert masked({name: {"old": CANARY, "new": CANARY}}) == {name: {"old": MASK, "new": MASK}}
    assert masked({name: CANARY}) == {name: MASK}
    assert masked({"settings": {"old": [{name: [CANARY]}], "new": None}})["settings"]["old"] == [{name: MASK}]


@pytest.mark.requirement("S1-114")
@pytest.mark.parametrize(
    ("value", "kept"),
    [
        ({"name": {"old": "Ann", "new": "Anne"}}, {"name": {"old": "Ann", "new": "Anne"}}),
        ({"keyboard": "de", "monkey": 1, "author": "x"}, {"keyboard": "de", "monkey": 1, "author": "x"}),
        ({"n": [1, 2.5, True, None]}, {"n": [1, 2.5, True, None]}),
        ({"n": (1, 2)}, {"n": [1, 2]}),
        ({"price": Decimal("1.10"), "day": date(2026, 11, 21)}, {"price": "1.10", "day": "2026-11-21"}),
        ({"n": float("nan"), "m": float("-inf")}, {"n": "nan", "m": "-inf"}),
        ({"n": b"raw"}, {"n": "b'raw'"}),
        ({"text": "two\nlines\0\ud800"}, {"text": "two\nlines??"}),
        ({1: 2, "\0": 3}, {"1": 2, "?": 3}),
        ({}, {}),
    ],
)
def test_other_values_are_kept(value: Any, kept: Any) -> None:
    """Old and new values are recorded as JSON can hold them, on every database."""
    assert masked(value) == kept


def test_a_set_is_a_list() -> None:
    """Sets have no JSON; their members are kept."""
    assert masked({"n": {"a"}, "m": frozenset({"b"})}) == {"n": ["a"], "m": ["b"]}


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary() | st.decimals(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.text(), _JSON, max_size=4))
def test_any_change_can_be_recorded(changes: dict[str, Any]) -> None:
    """Whatever an application hands over is JSON afterwards, and stays so when masked again."""
    once = masked(changes)
    assert masked(once) == once


# One transaction


@pytest.mark.requirement("S1-112")
def test_an_undone_change_leaves_no_record(house: House) -> None:
    """When the transaction fails after the record, the record is gone with the change."""
    with pytest.raises(ZeroDivisionError), house.store.transaction() as connection:
        audit.record(house, connection, action="update")
        _ = 1 / 0
    with house.store.reading() as connection:
        assert rows.rows(connection) == []


@pytest.mark.requirement("S1-112")
def test_a_change_without_its_record_is_undone(
    laboratory: Laboratory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With no room for the record: no account, no role, no session, no mail, and a neutral answer."""
    admin, person, house = laboratory.administrator(), laboratory.client("user"), laboratory.site.house
    visitor = laboratory.visitor()

    def state() -> list[Any]:
        with house.store.reading() as connection:
            return [
                users.count(connection),
                users.by_id(connection, person.id),
                connection.execute(select(func.count()).select_from(session_table)).scalar(),
                connection.execute(select(func.count()).select_from(outbox)).scalar(),
            ]

    before = state()
    with no_room(monkeypatch):
        replies = [
            change(laboratory, admin, person, "roles", "admin"),
            change(laboratory, admin, person, "disable"),
            visitor.send(
                "POST",
                laboratory.api("sign_up"),
                headers=visitor.from_here,
                json={"email": "a@people.test", "name": "", "password": PASSWORD},
            ),
            visitor.send(
                "POST",
                laboratory.api("sign_up"),
                headers=visitor.from_here,
                json={"email": person.email, "name": "", "password": PASSWORD},
            ),
            person.act(
                "POST",
                laboratory.api("change_password"),
                json={"current": person.password, "password": PASSWORD},
            ),
            person.act("POST", laboratory.api("sign_out"), json={}),
            laboratory.sign_in(laboratory.visitor()),
        ]
    assert {reply.status for reply in replies} == {503, 422}
    assert not any("disk full" in reply.text or reply.all("set-cookie") for reply in replies[:-2])
    assert state() == before
    assert laboratory.whoami(person).status == 200


@pytest.mark.requirement("S3-067")
def test_a_refusal_stands_without_its_record(laboratory: Laboratory, monkeypatch: pytest.MonkeyPatch) -> None:
    """When a 403 cannot be recorded it is a 403 all the same, and the log says what is missing."""
    client = laboratory.client()
    with no_room(monkeypatch):
        assert client.get(laboratory.api("users")).status == 403
    assert "disk full" in laboratory.logs.text


@pytest.mark.requirement("S1-112", "S1-114")
def test_an_applications_change_and_its_record_are_one(laboratory: Laboratory) -> None:
    """An ORM session of the application is recorded in its own transaction, or not at all."""
    engine, site = laboratory.site.house.store.engine, laboratory.site
    metadata = MetaData()
    lots = Table("lots", metadata, Column("id", Integer, primary_key=True), Column("name", Text, unique=True))
    metadata.create_all(engine)

    def rename(name: str) -> None:
        with Session(engine) as session, session.begin():
            session.execute(lots.insert().values(name=name))
            site.record(
                session,
                action="create",
                entity_type="lot",
                entity_id=name,
                changes={"name": {"old": None, "new": name}},
            )
            session.execute(lots.insert().values(name=f"{name} again"))

    rename("first")
    with pytest.raises(IntegrityError):
        rename("first")
    assert [row["changes"] for row in laboratory.audit(entity_type="lot")] == [
        {"name": {"old": None, "new": "first"}}
    ]
    with engine.connect() as connection:
        assert connection.execute(select(func.count()).select_from(lots)).scalar() == 2


# What is recorded


@pytest.mark.requirement("S1-112", "S3-066", "S3-067", "S3-069")
def test_each_event_leaves_one_record(laboratory: Laboratory) -> None:
    """Signing up, in and out, failing, being refused and what administrators do: one row each."""
    admin, visitor = laboratory.administrator(), laboratory.visitor()
    visitor.send(
        "POST",
        laboratory.api("sign_up"),
        headers=visitor.from_here,
        json={"email": "ann@people.test", "name": "", "password": PASSWORD},
    )
    with laboratory.site.house.store.transaction() as connection:
        ann = users.by_email(connection, "ann@people.test")
        assert ann is not None
        users.change(connection, ann.id, confirmed_at=laboratory.site.house.now())
    visitor.email, visitor.password, visitor.id = ann.email, PASSWORD, ann.id
    laboratory.sign_in(visitor, "wrong " + PASSWORD)
    laboratory.sign_in(visitor)
    visitor.token_page = laboratory.url("change_password")
    visitor.get(laboratory.api("users"))
    visitor.act(
        "POST", laboratory.api("change_password"), json={"current": "wrong", "password": PASSWORD + " anew"}
    )
    visitor.act(
        "POST", laboratory.api("change_password"), json={"current": PASSWORD, "password": PASSWORD + " anew"}
    )
    visitor.act("POST", laboratory.api("sessions"), json={"session": "others"})
    visitor.act("POST", laboratory.api("sign_out"), json={})
    for action in (
        ("roles", "user"),
        ("roles", "user", "manager"),
        ("roles", "manager", "user"),
        ("disable",),
        ("disable",),
        ("enable",),
        ("enable",),
    ):
        assert change(laboratory, admin, visitor, *action).status == 200
    own = {(row["action"], row["outcome"]) for row in laboratory.audit(user_id=ann.id)}
    assert own == {
        ("user_created", "success"),
        ("authn_login_fail", "failure"),
        ("authn_login_success", "success"),
        ("authz_fail", "refused"),
        ("authn_password_change_fail", "failure"),
        ("authn_password_change", "success"),
        ("session_ended_others", "success"),
        ("session_logout", "success"),
    }
    assert len(laboratory.audit(user_id=ann.id)) == len(own), "one each"
    done = [row["action"] for row in laboratory.audit(user_id=admin.id) if row["entity_id"] == ann.id]
    assert sorted(done) == ["privilege_permissions_changed", "user_disabled", "user_enabled"], (
        "what changes nothing is not recorded"
    )
    assert {row["ip_address"] for row in laboratory.audit(user_id=ann.id)} == {visitor.peer}


@pytest.mark.requirement("S3-066")
def test_a_failure_of_nobody_is_recorded(flask_laboratory: Laboratory) -> None:
    """A sign-in with an unknown address leaves a record without the address: it may be a password."""
    visitor = flask_laboratory.visitor()
    visitor.email = f"{CANARY}@people.test"
    flask_laboratory.sign_in(visitor, PASSWORD)
    [row] = flask_laboratory.audit(action="authn_login_fail")
    assert (row["user_id"], row["entity_id"], row["outcome"]) == (None, "", "failure")
    assert CANARY not in flask_laboratory.dump()


@pytest.mark.requirement("S3-069")
def test_the_command_lines_changes_are_recorded(flask_laboratory: Laboratory) -> None:
    """What is done without a request is recorded as the system's."""
    house, person = flask_laboratory.site.house, flask_laboratory.person()
    administering.set_password(house, administering.SYSTEM, person.id, PASSWORD)
    granting.set_roles(house, administering.SYSTEM, person.id, ["user"])
    for row in flask_laboratory.audit(entity_id=person.id):
        assert (row["user_id"], row["actor_role"], row["ip_address"]) == (None, "system", "")


@pytest.mark.requirement("S1-010", "S1-114")
def test_no_secret_is_in_the_table(laboratory: Laboratory) -> None:
    """After all that people do with passwords and sessions, none of them stands in the log."""
    person = laboratory.person()
    laboratory.sign_in(person)
    secret = person.cookies[laboratory.cookie]
    person.token_page = laboratory.url("change_password")
    person.act(
        "POST", laboratory.api("change_password"), json={"current": person.password, "password": PASSWORD}
    )
    everything = repr(laboratory.audit(limit=1000))
    for hidden in (person.password, PASSWORD, secret, person.cookies[laboratory.cookie], "$argon2"):
        assert hidden not in everything


@pytest.mark.requirement("S3-066")
@pytest.mark.parametrize("agent", ["curl\t1", "a\x7fb\x85c", "\x1b[31mred\x1b[0m", "A" * 9000, "\xff\xfe"])
def test_a_user_agent_cannot_forge_a_line(laboratory: Laboratory, agent: str) -> None:
    """Whatever a client calls itself: one printable line of 256 characters, in log and session list."""
    person = laboratory.person()
    person.send(
        "POST",
        laboratory.api("sign_in"),
        headers=[*person.from_here, ("User-Agent", agent)],
        json={"email": person.email, "password": person.password},
    )
    [row] = laboratory.audit(action="authn_login_success", user_id=person.id)
    assert row["user_agent"].isprintable()
    assert len(row["user_agent"]) <= 256
    listed = person.get(laboratory.api("sessions")).json()["sessions"]
    assert all(each["agent"].isprintable() for each in listed)


# Nothing edits it


@pytest.mark.requirement("S1-111", "S1-113")
@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit_log SET outcome = 'success'",
        "UPDATE audit_log SET changes = '{}' WHERE id = 1",
        "DELETE FROM audit_log",
        "DELETE FROM audit_log WHERE id = 1",
        "REPLACE INTO audit_log SELECT * FROM audit_log WHERE id = 1",
        "INSERT OR REPLACE INTO audit_log SELECT * FROM audit_log",
        "INSERT INTO audit_log SELECT * FROM audit_log WHERE true ON CONFLICT (id) DO UPDATE SET action='x'",
        "INSERT OR IGNORE INTO audit_log SELECT * FROM audit_log",
    ],
)
def test_the_database_keeps_its_records(house: House, statement: str) -> None:
    """Changing, deleting and replacing a record fail in the database, whoever asks."""
    before = recorded(house, entity_id="one")
    with pytest.raises(IntegrityError, match="append-only"), house.store.transaction() as connection:
        connection.execute(text(statement))
    with house.store.reading() as connection:
        assert rows.rows(connection) == [before]


def test_an_account_may_go_and_its_records_stay(house: House) -> None:
    """Records name an account by its id; they do not go with it."""
    with house.store.transaction() as connection:
        users.add(
            connection, {"id": "u", "email": "a@people.test", "name": "", "epoch": 1, "created_at": 0.0}
        )
    recorded(house, actor="u", entity_id="u")
    with house.store.transaction() as connection:
        connection.execute(text("DELETE FROM users"))
    with house.store.reading() as connection:
        assert [row["user_id"] for row in rows.rows(connection)] == ["u"]


def test_a_record_number_is_never_given_twice(house: House) -> None:
    """After an undone record the next one has a number of its own, in order."""
    numbers = [recorded(house)["id"] for _ in range(3)]
    assert numbers == sorted(set(numbers))


def test_reading_filters_and_pages(house: House) -> None:
    """The newest first; by action, user, entity, and from behind a row on."""
    for number in range(5):
        recorded(house, actor=f"u{number % 2}", action=f"a{number}", entity_type="t", entity_id=str(number))

    def found(**filters: Any) -> list[str]:
        with house.store.reading() as connection:
            return [row["entity_id"] for row in rows.rows(connection, **filters)]

    assert found() == ["4", "3", "2", "1", "0"]
    assert found(limit=2) == ["4", "3"]
    assert found(before=3) == ["1", "0"]
    assert found(user_id="u1") == ["3", "1"]
    assert found(action="a2") == found(entity_id="2") == ["2"]
    assert found(entity_type="other") == []


# The policy


@pytest.mark.parametrize(
    ("line", "said"),
    [('off = true\nbecause = "no"', "changes would leave no record"), ("retention = 1", "no such key")],
)
def test_a_policy_that_cannot_be_kept(tmp_path: Path, line: str, said: str) -> None:
    """Nobody can choose not to record."""
    assert said in Builder(tmp_path).refusal(f"[audit]\n{line}")


def test_the_statement_names_the_table(tmp_path: Path) -> None:
    """SECURITY.md says where the records are and what keeps them."""
    said = " ".join(CONTROL.statement(Builder(tmp_path).policy()))
    assert "`audit_log`" in said
    assert "refuses to change or delete" in said
    assert {"timestamp", "user_id", "action", "entity_type", "entity_id", "ip_address", "changes"} <= set(
        audit_log.c.keys()
    )
