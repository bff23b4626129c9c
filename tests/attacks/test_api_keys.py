"""API keys: every entrance, every process, storage, and what comes at the same moment."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import event

from bylaw.controls.api_keys import CONTROL, text
from bylaw.exchange import ALLOW, Exchange, PairHeaders
from bylaw.operations import api_keys
from bylaw.operations.authority import SYSTEM
from bylaw.site import Site
from bylaw.verify.client import AsgiTransport, Reply
from bylaw.verify.laboratory import Laboratory
from bylaw.verify.starting import Elsewhere
from tests.applications import flask_app
from tests.controls.houses import decided

BOUND = 1.0


def bearing(key: str) -> list[tuple[str, str]]:
    return [("Authorization", f"Bearer {key}")]


def entrances(laboratory: Laboratory) -> Iterator[tuple[str, str]]:
    """(method, path) of every route of the application on which keys are taken."""
    for method, path, _ in laboratory.bylaw.routes():
        if path.startswith("/bearer/"):
            yield method, laboratory.sample(path)


@pytest.mark.requirement("S3-084", "C-05")
@pytest.mark.parametrize("end", ["revoked", "expired", "rotated", "disabled"])
def test_a068_a_key_that_has_ended_opens_no_entrance(laboratory: Laboratory, end: str) -> None:
    """A key that was good a moment ago, and is in memory, is refused at every route, method and handshake."""
    person = laboratory.person("manager")
    made = laboratory.key(person, "note:*", lifetime="1h")
    visitor = laboratory.visitor()
    assert visitor.get("/bearer/notes", headers=bearing(made.text)).status == 200
    match end:
        case "revoked":
            laboratory.revoke_key(person, made.id)
        case "expired":
            laboratory.clock.advance(3600)
        case "rotated":
            laboratory.rotate_key(person, made.id, 0)
        case "disabled":
            laboratory.disable(person)
    seen = 0
    for method, path in entrances(laboratory):
        for headers in (bearing(made.text), [("X-API-Key", made.text)]):
            reply = visitor.send(
                method, path, headers=headers, json=None if method == "GET" else {"text": "x"}
            )
            assert (reply.status, reply.code) == (401, "api_keys.invalid"), (method, path)
            seen += 1
    for path in ("/bearer/", "/bearer/nothing", "/bearer/notes/", "/bearer//notes"):
        assert visitor.get(path, headers=bearing(made.text)).status == 401, path
    assert seen >= 8
    transport = laboratory.transport
    if isinstance(transport, AsgiTransport):
        sent = visitor.prepared("GET", "/bearer/notes", headers=bearing(made.text))
        assert transport.handshake(sent).status == 403


@contextmanager
def statements(laboratory: Laboratory) -> Iterator[list[tuple[str, str]]]:
    """What the database is asked meanwhile, with its values."""
    asked: list[tuple[str, str]] = []
    engine = laboratory.site.house.store.engine

    def note(connection: object, cursor: object, statement: str, values: object, *rest: object) -> None:
        if "api_keys" in statement and statement.startswith("SELECT"):
            asked.append((statement, str(values)))

    event.listen(engine, "before_cursor_execute", note)
    try:
        yield asked
    finally:
        event.remove(engine, "before_cursor_execute", note)


def alike(key: str, length: int) -> str:
    """A well-formed key that begins as `key` does, for so many letters of its secret."""
    head, _, rest = key.rpartition("_")
    secret = rest[:43]
    other = "".join("a" if letter != "a" else "b" for letter in secret[length:])
    body = f"{head}_{secret[:length]}{other}"
    return body + text._check(body)


@pytest.mark.requirement("S3-084", "C-40", "S3-038")
def test_a071_storage_and_work_tell_nothing_of_a_key(laboratory: Laboratory) -> None:
    """A key is shown once, the table holds a digest, and a key that is nearly right is one query by its own
    digest, as is one that is all wrong: no time tells how many letters fit."""
    alice = laboratory.client("user")
    root = laboratory.administrator()
    made = alice.act(
        "POST", laboratory.api("keys"), json={"action": "make", "name": "a", "scope": ["note:read"]}
    )
    key = made.json()["key"]
    secret = key.rpartition("_")[2]
    for reader, path in (
        (alice, laboratory.api("keys")),
        (root, laboratory.api("user_keys").replace("{id}", alice.id)),
        (alice, laboratory.url("keys")),
        (root, f"{laboratory.url('user_keys')}/{alice.id}"),
        (root, f"{laboratory.url('user_history')}/{alice.id}"),
    ):
        reply = reader.page(path) if "api" not in path else reader.get(path)
        assert reply.status == 200
        assert secret not in reply.text, path
        assert text.kept("production", key) not in reply.text, path
    assert secret not in laboratory.dump()
    assert secret not in laboratory.logs.text
    visitor, work = laboratory.visitor(), set()
    for length in (0, 8, 16, 42):
        wrong = alike(key, length)
        assert text.well_formed(wrong)
        assert wrong != key
        with statements(laboratory) as asked:
            reply = visitor.get("/bearer/me", headers=bearing(wrong))
        assert (reply.status, reply.code) == (401, "api_keys.invalid")
        assert text.kept("production", wrong) in asked[0][1]
        assert wrong not in str(asked)
        work.add(tuple(statement for statement, _ in asked))
    assert len(work) == 1


@pytest.mark.requirement("S3-084")
def test_a_known_key_asks_the_database_nothing(laboratory: Laboratory) -> None:
    """Twenty requests with a key that is known: not one look at it."""
    key = laboratory.key(laboratory.person("user"), "note:read").text
    visitor = laboratory.visitor()
    assert visitor.get("/bearer/notes", headers=bearing(key)).status == 200
    with statements(laboratory) as asked:
        for _ in range(20):
            assert visitor.get("/bearer/notes", headers=bearing(key)).status == 200
    assert asked == []


def good(site: Site, key: str) -> bool:
    """Whether a process lets a key in."""
    exchange = Exchange("GET", "/bearer/me", PairHeaders(bearing(key)), peer="192.0.2.1")
    return decided(CONTROL.steps["identify"](site.house), exchange) is ALLOW


def watch(elsewhere: Elsewhere, number: int) -> float:
    """In another process: know the key, then see how long after its end it is still let in; -1: never was."""
    site = elsewhere.site(Path(flask_app.POLICY))
    key, owner, key_id, folder = elsewhere.environ["WATCHED"].split()
    ended = Path(folder) / "ended"
    try:
        if not good(site, key):
            return -1.0
        (Path(folder) / f"ready-{number}").touch()
        until = time.monotonic() + 20
        while len(list(Path(folder).glob("ready-*"))) < 2 and time.monotonic() < until:
            time.sleep(0.005)
        if number == 0:
            api_keys.revoke(site.house, SYSTEM, key_id, owner=owner)
            ended.write_text(str(time.time()))
        while not ended.exists() and time.monotonic() < until:
            good(site, key)
        last = 0.0
        begun = float(ended.read_text() or time.time())
        while (asked := time.time()) < begun + 2 * BOUND:  # before: what delays this process lets nobody in
            if good(site, key):
                last = asked - begun
            elif last == 0.0 or asked - begun > last + 0.3:
                break
        return last
    finally:
        site.close()


@pytest.mark.requirement("S3-084", "C-05", "C-32")
def test_a068_a_key_is_over_in_every_process(flask_laboratory: Laboratory, tmp_path: Path) -> None:
    """One process revokes a key that two have in memory: both refuse it within the bound."""
    person = flask_laboratory.person("user")
    made = flask_laboratory.key(person, "note:read")
    flask_laboratory.environ["WATCHED"] = f"{made.text} {person.id} {made.id} {tmp_path}"
    lasted = flask_laboratory.processes(watch, 2)
    assert all(0 <= each <= BOUND for each in lasted), lasted
    assert flask_laboratory.visitor().get("/bearer/me", headers=bearing(made.text)).status == 401


@pytest.mark.requirement("S3-084")
def test_a_demoted_owner_has_a_lesser_key_among_many_requests(laboratory: Laboratory) -> None:
    """While forty requests write with a key, its owner loses the role: after that none writes any more."""
    from bylaw.operations import granting

    person = laboratory.person("manager")
    key = laboratory.key(person, "note:*").text

    def ask(number: int) -> Reply | None:
        if number == 20:
            granting.set_roles(laboratory.site.house, SYSTEM, person.id, ["user"])
            return None
        return laboratory.visitor().send("POST", "/bearer/notes", headers=bearing(key), json={"text": "x"})

    replies = [reply for reply in laboratory.burst(ask, 40) if reply is not None]
    assert {reply.status for reply in replies} <= {201, 403}
    for _ in range(3):
        reply = laboratory.visitor().send("POST", "/bearer/notes", headers=bearing(key), json={"text": "x"})
        assert (reply.status, reply.code) == (403, "roles.forbidden")


@pytest.mark.requirement("S3-084")
def test_an_own_object_is_an_own_object_with_a_key(laboratory: Laboratory) -> None:
    """A key that may change its owner's notes changes these, and nobody else's."""
    erin, ben = laboratory.person("editor"), laboratory.person("manager")
    mine = laboratory.key(erin, "note:create", "note:update:own").text
    theirs = laboratory.key(ben, "note:create").text
    visitor = laboratory.visitor()
    numbers = [
        visitor.send("POST", "/bearer/notes", headers=bearing(key), json={"text": "x"}).json()["id"]
        for key in (mine, theirs)
    ]
    statuses = [
        visitor.send("PUT", f"/bearer/notes/{number}", headers=bearing(mine), json={"text": "y"}).status
        for number in numbers
    ]
    assert statuses == [200, 403]


@pytest.mark.requirement("S3-084", "C-12")
def test_keys_have_budgets_of_their_own_beside_the_persons(laboratory: Laboratory) -> None:
    """A program that asks too often is stopped; its owner and her other programs are not."""
    person = laboratory.client("user")
    small, other = (laboratory.key(person, "note:read", rate=rate).text for rate in ("3/minute", ""))
    visitor = laboratory.visitor()
    with laboratory.paced():
        replies = [visitor.get("/bearer/notes", headers=bearing(small)) for _ in range(5)]
        assert [reply.status for reply in replies] == [200, 200, 200, 429, 429]
        assert replies[0].header("x-ratelimit-limit") == "3"
        assert visitor.get("/bearer/notes", headers=bearing(other)).status == 200
        assert person.get("/api/notes").status == 200
