"""Sessions: known from memory, ended for every copy and in every process."""

from __future__ import annotations

import asyncio
import base64
import json
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import given as examples
from hypothesis import strategies as st
from sqlalchemy import event
from sqlalchemy.exc import OperationalError

from bylaw.controls import sessions
from bylaw.controls.sessions import CONTROL, GRACE, WRITE_SEEN_AFTER, long_exchanges
from bylaw.exchange import ALLOW, Exchange, PairHeaders, Refuse
from bylaw.keys import digest
from bylaw.operations import chores, signing_in
from bylaw.site import Site
from bylaw.store import sessions as rows
from bylaw.store.sessions import SessionRow
from bylaw.verify.client import Client
from bylaw.verify.laboratory import Laboratory
from bylaw.verify.runner import attempt
from bylaw.verify.starting import Elsewhere
from bylaw.verify.target import Target
from tests.applications import fastapi_app, flask_app
from tests.controls.houses import Builder, decided

NOTES = flask_app.POLICY.read_text("utf-8")
CREATE: dict[str, Callable[[Path], Any]] = {
    "flask": flask_app.create_app,
    "fastapi": fastapi_app.create_app,
}
IDLE, ABSOLUTE = 3600, 86400
MANY = 16


@pytest.fixture(scope="module")
def build(tmp_path_factory: pytest.TempPathFactory) -> Builder:
    return Builder(tmp_path_factory.mktemp("sessions"))


@pytest.fixture(params=sorted(CREATE))
def starting(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[..., Laboratory]]:
    """Laboratories of the notes application on another policy: `starting(policy_text)`."""
    started: list[Laboratory] = []

    def start(text: str) -> Laboratory:
        file = tmp_path / f"policy-{len(started)}.toml"
        file.write_text(text, "utf-8")
        started.append(Laboratory(Target("notes", lambda: CREATE[request.param](file))))
        return started[-1]

    yield start
    for laboratory in started:
        laboratory.close()


def asking(laboratory: Laboratory, secret: str, **how: Any) -> Exchange:
    """A request with this cookie."""
    cookie = PairHeaders([("Cookie", f"{laboratory.cookie}={secret}")])
    return Exchange(method="GET", path="/", headers=cookie, **how)


def identified(site: Any, laboratory: Laboratory, secret: str, **how: Any) -> Exchange:
    """The request, after the control's step has looked at it."""
    asked = asking(laboratory, secret, **how)
    assert decided(CONTROL.steps["identify"](site.house), asked) is ALLOW
    return asked


def replayed(laboratory: Laboratory, secret: str) -> int:
    """The status that somebody gets who has copied the cookie."""
    thief = laboratory.visitor(peer="203.0.113.66")
    cookie = ("Cookie", f"{laboratory.cookie}={secret}")
    return int(thief.get(laboratory.api("me"), headers=[cookie], keep=False).status)


def kept(laboratory: Laboratory, person: Client) -> list[SessionRow]:
    with laboratory.site.house.store.reading() as connection:
        return rows.of_user(connection, person.id)


def administer(laboratory: Laboratory, person: Client, **change: Any) -> None:
    root = laboratory.administrator()
    path = laboratory.api("user").replace("{id}", person.id)
    assert root.act("POST", path, json={"reason": "a story", **change}).status == 200


# Limits


@pytest.mark.requirement("S2-011", "C-32")
@pytest.mark.parametrize(
    ("age", "unused", "alive"),
    [
        (0, 0, True),
        (99, 0, True),
        (100, 0, False),
        (101, 0, False),
        (50, 9, True),
        (50, 10, False),
        (50, 11, False),
        (50, -5, True),
    ],
)
def test_when_a_session_has_ended(age: float, unused: float, alive: bool) -> None:
    """The limits are exact, and a clock that was set back ends nothing."""
    now = 1000.0 + age
    seen = sessions.alive(now, expires_at=1100.0, seen_at=now - unused, idle=10)
    assert seen is alive


@pytest.mark.requirement("S2-011", "C-32")
def test_idle_and_absolute_limits(laboratory: Laboratory) -> None:
    """A042: past the idle or the absolute limit a kept cookie is nobody's, whatever its Max-Age says."""
    idler, busy = laboratory.client("user"), laboratory.client("user")
    began = laboratory.clock()
    laboratory.clock.advance(IDLE - 1)
    assert replayed(laboratory, busy.cookies[laboratory.cookie]) == 200
    laboratory.clock.advance(1)
    assert replayed(laboratory, idler.cookies[laboratory.cookie]) == 401
    assert replayed(laboratory, busy.cookies[laboratory.cookie]) == 200
    while laboratory.clock() < began + ABSOLUTE - IDLE:
        laboratory.clock.advance(IDLE - 1)
        assert replayed(laboratory, busy.cookies[laboratory.cookie]) == 200
    laboratory.clock.at = began + ABSOLUTE - 1
    assert replayed(laboratory, busy.cookies[laboratory.cookie]) == 200
    laboratory.clock.at = began + ABSOLUTE + 1
    assert replayed(laboratory, busy.cookies[laboratory.cookie]) == 401
    reply = busy.get(laboratory.api("me"))
    assert "Max-Age=0" in reply.header("set-cookie"), "the browser is told to drop it"


def test_what_was_seen_elsewhere_counts(flask_laboratory: Laboratory) -> None:
    """Used in another process, a session is not idle here; used here, it is not idle in the database."""
    laboratory = flask_laboratory
    person = laboratory.client("user")
    secret = person.cookies[laboratory.cookie]
    store = laboratory.site.house.store
    store.feed.read()  # what was revoked while the person was made is heeded now, not in between
    assert replayed(laboratory, secret) == 200
    laboratory.clock.advance(IDLE - 1)
    with store.transaction() as connection:  # another process writes down that it saw the session
        rows.touch(connection, [(digest(secret), laboratory.clock())])
    laboratory.clock.advance(IDLE - 1)
    assert replayed(laboratory, secret) == 200, "idle in memory, not in the database"

    held = store.memory.get(digest(secret))
    assert held is not None
    laboratory.clock.advance(IDLE - 5)
    held.seen_at = laboratory.clock()  # seen a moment ago, and not yet written down
    laboratory.clock.advance(10)
    store.feed._read_at = 0.0  # memory may not be trusted: the database is asked
    assert replayed(laboratory, secret) == 200, "idle in the database, not in memory"


# The step


@pytest.mark.parametrize(
    "cookie", ["", "x", "x" * 42, "x" * 44, "x" * 9000, "\xff" * 20, "eyJ1c2VyX2lkIjoxfQ==", "a=b; c"]
)
def test_what_was_never_given_out_costs_nothing(flask_laboratory: Laboratory, cookie: str) -> None:
    """A value of the wrong form is nobody's without a look at the database."""
    step = CONTROL.steps["identify"](flask_laboratory.site.house)
    asked = asking(flask_laboratory, cookie)
    assert step(asked) is ALLOW
    assert asked.identity is None


def test_a_known_session_is_decided_at_once(flask_laboratory: Laboratory) -> None:
    """The second request of a session is decided without waiting for anything."""
    site, secret = flask_laboratory.site, flask_laboratory.client("user").cookies[flask_laboratory.cookie]
    first = identified(site, flask_laboratory, secret)
    again = asking(flask_laboratory, secret)
    assert CONTROL.steps["identify"](site.house)(again) is ALLOW
    assert again.identity is first.identity
    assert again.session.digest == digest(secret)


LATIN = st.text(st.characters(max_codepoint=255), max_size=60)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)
@examples(value=LATIN | st.text(st.characters(max_codepoint=255), min_size=43, max_size=43))
def test_any_cookie_is_somebodys_or_nobodys(flask_laboratory: Laboratory, value: str) -> None:
    """Whatever stands in the session's cookie, the answer is nobody: no decoder is tried on it."""
    assert identified(flask_laboratory.site, flask_laboratory, value).identity is None


def test_without_a_database_nobody_is_guessed(flask_laboratory: Laboratory) -> None:
    """Where a session can be checked neither in memory nor in the database, the request is refused."""
    house = flask_laboratory.site.house
    secret = flask_laboratory.client("user").cookies[flask_laboratory.cookie]

    class Down:
        def connect(self) -> None:
            raise OperationalError("connect", None, ConnectionError())

    engine, house.store.engine = house.store.engine, Down()  # type: ignore[assignment]
    try:
        asked = asking(flask_laboratory, secret)
        verdict = decided(CONTROL.steps["identify"](house), asked)
        visitor = asking(flask_laboratory, "")
        assert decided(CONTROL.steps["identify"](house), visitor) is ALLOW
    finally:
        house.store.engine = engine
    assert isinstance(verdict, Refuse)
    assert verdict.reason is sessions.UNAVAILABLE
    assert verdict.headers == (("Retry-After", "5"),)
    assert asked.identity is None


def test_minting_takes_its_bits_from_the_world(flask_laboratory: Laboratory) -> None:
    """The secret is 256 bits of the entropy port, and speaking of a session does not show it."""
    house = flask_laboratory.site.house
    asked: list[int] = []

    def entropy(count: int) -> bytes:
        asked.append(count)
        return bytes(range(count))

    opened = sessions.mint(replace(house, ports=replace(house.ports, entropy=entropy)))
    assert asked[0] * 8 == 256
    assert base64.urlsafe_b64decode(opened.secret + "=") == bytes(range(32))
    assert opened.digest == digest(opened.secret)
    assert opened.secret not in repr(opened)
    assert opened.id in repr(opened)


# A new id when privileges change


def promoted(laboratory: Laboratory) -> tuple[Client, str]:
    """Somebody who has just been given another role, and the id from before."""
    person = laboratory.client("user")
    secret = person.cookies[laboratory.cookie]
    assert replayed(laboratory, secret) == 200
    administer(laboratory, person, action="roles", role=["editor"])
    return person, secret


@pytest.mark.requirement("C-32")
def test_new_roles_give_a_new_id(laboratory: Laboratory) -> None:
    """After a change of roles the id is another, and the old one ends when its grace is over."""
    person, old = promoted(laboratory)
    assert laboratory.whoami(person).json()["roles"] == ["editor"]
    new = person.cookies[laboratory.cookie]
    assert new != old
    laboratory.clock.advance(GRACE - 1)
    assert (replayed(laboratory, old), replayed(laboratory, new)) == (200, 200)
    laboratory.clock.advance(1)
    assert (replayed(laboratory, old), replayed(laboratory, new)) == (401, 200)


def test_of_many_requests_one_renews(laboratory: Laboratory) -> None:
    """A page with sixteen parts after a change of roles: all are answered, one brings the new id."""
    person, old = promoted(laboratory)
    replies = laboratory.burst(
        lambda _: laboratory.visitor().get(
            laboratory.api("me"), headers=[("Cookie", f"{laboratory.cookie}={old}")]
        ),
        MANY,
    )
    assert {reply.status for reply in replies} == {200}
    assert {tuple(reply.json()["roles"]) for reply in replies} == {("editor",)}
    assert len([c for reply in replies for c in reply.all("set-cookie")]) == 1
    assert len(kept(laboratory, person)) == 2


@pytest.mark.parametrize("by", ["old", "new"])
def test_signing_out_ends_both_ids(laboratory: Laboratory, by: str) -> None:
    """Whichever of a renewed session's two ids signs out, neither is left behind."""
    person, old = promoted(laboratory)
    laboratory.whoami(person)
    new = person.cookies[laboratory.cookie]
    bystander = laboratory.client("user")
    person.cookies[laboratory.cookie] = old if by == "old" else new
    assert person.act("POST", laboratory.api("sign_out"), json={}).status == 200
    assert (replayed(laboratory, old), replayed(laboratory, new)) == (401, 401)
    assert kept(laboratory, person) == []
    assert laboratory.whoami(bystander).status == 200


def test_a_handshake_renews_nothing(flask_laboratory: Laboratory) -> None:
    """A WebSocket has no way to bring a cookie back: it leaves the new id to the next request."""
    laboratory = flask_laboratory
    person, old = promoted(laboratory)
    asked = identified(laboratory.site, laboratory, old, websocket=True)
    assert asked.identity is not None
    assert asked.identity.roles == {"editor"}
    assert asked.cookie_changes is None
    assert long_exchanges.stands(laboratory.site.house, asked)
    assert laboratory.site.house.store.memory.get(digest(old)) is None
    laboratory.whoami(person)
    assert person.cookies[laboratory.cookie] != old


def test_grace_outlives_no_session(flask_laboratory: Laboratory) -> None:
    """Five seconds before the absolute limit, the old id gets five seconds and no more."""
    laboratory = flask_laboratory
    person = laboratory.client("user")
    old = person.cookies[laboratory.cookie]
    began = laboratory.clock()
    laboratory.clock.at = began + ABSOLUTE - 5
    store = laboratory.site.house.store
    with store.transaction() as connection:
        rows.touch(connection, [(digest(old), laboratory.clock())])
        rows.mark_for_renewal(connection, person.id)
    assert laboratory.whoami(person).status == 200
    assert {row.expires_at for row in kept(laboratory, person)} == {began + ABSOLUTE}


def test_a_session_that_ends_while_it_is_renewed(flask_laboratory: Laboratory) -> None:
    """Signed out by another process between the look and the renewal: nobody, and no new id."""
    laboratory = flask_laboratory
    _, old = promoted(laboratory)
    house = laboratory.site.house
    with house.store.reading() as connection:
        row = rows.find(connection, digest(old))
    assert row is not None
    assert row.renew
    with house.store.transaction() as connection:
        rows.end(connection, digest(old))
    asked = asking(laboratory, old)
    sessions._renew(house, asked, row)
    assert asked.identity is None
    assert asked.cookie_changes is None


def row(digest: str, created: float, expires: float) -> SessionRow:
    return SessionRow(
        digest=digest,
        id=digest,
        user_id="ann",
        method="password",
        authenticated_at=created,
        created_at=created,
        seen_at=created,
        expires_at=expires,
        address="",
        agent="",
        renew=False,
        email="",
        name="",
        epoch=1,
    )


@pytest.mark.parametrize(
    ("label", "held", "ended"),
    [
        ("alone", [row("a", 1, 5000)], {"a"}),
        ("another of the same moment", [row("a", 1, 5000), row("b", 1, 5000)], {"a"}),
        ("the id that it had", [row("a", 1, 5000), row("old", 1, 1008)], {"a", "old"}),
        ("what it became", [row("a", 1, 1008), row("new", 1, 5000), row("b", 2, 5000)], {"a", "new"}),
        ("not there at all", [row("b", 1, 5000)], {"a"}),
        ("nothing at all", [], {"a"}),
    ],
)
def test_what_goes_along_with_a_session(label: str, held: list[SessionRow], ended: set[str]) -> None:
    """A session that has just been renewed ends under both of its ids, and no other with it."""
    assert sessions.along_with(iter(held), "a", 1000.0) == ended


# The last use


def test_last_use_is_written_off_the_request_path(flask_laboratory: Laboratory) -> None:
    """A use is written down later, once, and never back in time."""
    laboratory = flask_laboratory
    person = laboratory.client("user")
    secret, house = person.cookies[laboratory.cookie], laboratory.site.house
    opened = laboratory.clock()
    assert replayed(laboratory, secret) == 200
    laboratory.clock.advance(WRITE_SEEN_AFTER)
    assert replayed(laboratory, secret) == 200
    sessions.write_seen(house)
    assert kept(laboratory, person)[0].seen_at == opened, "not yet: every half minute is enough"
    laboratory.clock.advance(1)
    assert replayed(laboratory, secret) == 200
    sessions.write_seen(house)
    assert kept(laboratory, person)[0].seen_at == laboratory.clock()
    assert house.store.memory.unwritten(0) == []
    with house.store.transaction() as connection:
        rows.touch(connection, [(digest(secret), opened)])
    assert kept(laboratory, person)[0].seen_at == laboratory.clock()


def test_a_failure_to_write_refuses_nobody(
    flask_laboratory: Laboratory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the last use cannot be written, people go on working and it is tried again."""
    laboratory = flask_laboratory
    person = laboratory.client("user")
    laboratory.whoami(person)
    laboratory.clock.advance(WRITE_SEEN_AFTER + 1)
    laboratory.whoami(person)
    house = laboratory.site.house

    def fail(*_: object) -> None:
        raise OperationalError("update", None, ConnectionError())

    with monkeypatch.context() as patch:
        patch.setattr(rows, "touch", fail)
        sessions.write_seen(house)
    assert "the last use of sessions was not written" in laboratory.logs.text
    assert len(house.store.memory.unwritten(WRITE_SEEN_AFTER)) == 1
    sessions.write_seen(house)
    assert house.store.memory.unwritten(WRITE_SEEN_AFTER) == []


def test_tidying_waits_for_what_others_have_seen(flask_laboratory: Laboratory) -> None:
    """A row just past the idle limit stays a minute more: another process may have seen the session."""
    laboratory = flask_laboratory
    person = laboratory.client("user")
    chores.install(laboratory.site.house)
    tidy = laboratory.site.house.store.feed.chores[-1]
    laboratory.clock.advance(IDLE + 1)
    tidy()
    assert len(kept(laboratory, person)) == 1
    laboratory.clock.advance(IDLE)
    tidy()
    assert kept(laboratory, person) == []


# Memory


def queries(laboratory: Laboratory) -> list[str]:
    """From now on: what is asked of the database, except by the feed's own threads."""
    asked: list[str] = []

    def note(connection: Any, cursor: Any, statement: str, *rest: Any) -> None:
        if threading.current_thread().name not in ("bylaw-feed", "bylaw-chores"):
            asked.append(statement)

    event.listen(laboratory.site.house.store.engine, "before_cursor_execute", note)
    return asked


def test_a_known_session_costs_no_query(laboratory: Laboratory) -> None:
    """Reading and writing with a known session, bylaw asks the database nothing."""
    editor = laboratory.client("editor")
    headers = [*editor.from_here, (editor.token_header, editor.token())]
    laboratory.site.house.store.feed.read()  # what was revoked while the editor was made is heeded now
    assert editor.get("/api/notes").status == 200
    asked = queries(laboratory)
    for _ in range(5):
        laboratory.site.house.store.feed.read()
        asked.clear()
        assert editor.get("/api/notes").status == 200
        assert editor.send("POST", "/api/notes", headers=headers, json={"text": "x"}).status == 201
        assert asked == []


def test_memory_is_bounded(starting: Callable[..., Laboratory]) -> None:
    """However many sign in, a process remembers as many sessions as the policy says."""
    laboratory = starting(NOTES + "\n[store]\ncached_sessions = 3\n")
    people = [laboratory.client("user") for _ in range(10)]
    for _ in range(2):
        for person in people:
            assert laboratory.whoami(person).status == 200
            assert len(laboratory.site.house.store.memory) <= 3


def test_without_memory_a_busy_session_lives(starting: Callable[..., Laboratory]) -> None:
    """A process that may remember nothing still writes down that a session is used."""
    laboratory = starting(NOTES + "\n[store]\ncached_sessions = 0\n")
    person = laboratory.client("user")
    for _ in range(4):
        laboratory.clock.advance(IDLE - 1)
        assert laboratory.whoami(person).status == 200
    assert len(laboratory.site.house.store.memory) == 0


# Revocation in other processes


def neighbour(laboratory: Laboratory) -> Site:
    """Another process on the same database, as far as one process can be another."""
    site = Site(laboratory.policy.file, world=laboratory.site.house.ports)
    site.open()
    return site


def until_nobody(site: Site, laboratory: Laboratory, secret: str) -> float:
    """Seconds in which requests at `site` are still somebody's: until the last such one was sent, since what
    delays this process afterwards lets nobody in."""
    began = last = time.monotonic()
    while (now := time.monotonic()) - began < 5 and identified(site, laboratory, secret).identity is not None:
        last = now
    return last - began


@pytest.mark.requirement("C-32")
@pytest.mark.parametrize("how", ["sign_out", "others", "password", "disable"])
def test_every_process_heeds_the_end(flask_laboratory: Laboratory, how: str) -> None:
    """What ends a session in one process ends it in another, which knew it, within a second."""
    laboratory = flask_laboratory
    person = laboratory.person("user")
    secret = laboratory.open_session(person)
    if how == "others":
        laboratory.open_session(person)
    person.token_page = laboratory.url("change_password")
    other = neighbour(laboratory)
    try:
        other.house.store.feed.read()  # what was revoked until now is heeded now, not in between
        assert identified(other, laboratory, secret).identity is not None
        assert other.house.store.memory.get(digest(secret)) is not None
        match how:
            case "sign_out":
                assert person.act("POST", laboratory.api("sign_out"), json={}).status == 200
            case "others":
                reply = person.act("POST", laboratory.api("sessions"), json={"session": "others"})
                assert reply.status == 200
            case "password":
                reply = person.act(
                    "POST",
                    laboratory.api("change_password"),
                    json={"current": person.password, "password": "Another horse, another battery 7!"},
                )
                assert reply.status == 200
            case "disable":
                administer(laboratory, person, action="disable")
        assert until_nobody(other, laboratory, secret) <= laboratory.policy.store.revocation_bound
    finally:
        other.close()


@pytest.mark.requirement("C-32")
def test_every_process_heeds_a_demotion(flask_laboratory: Laboratory) -> None:
    """A092: a manager who is made a user is a user in every process within a second."""
    laboratory = flask_laboratory
    manager = laboratory.client("manager")
    secret = manager.cookies[laboratory.cookie]
    other = neighbour(laboratory)
    try:
        before = identified(other, laboratory, secret).identity
        assert before is not None
        assert before.may("report:read")
        administer(laboratory, manager, action="roles", role=["user"])
        began = asked = time.monotonic()
        while (now := identified(other, laboratory, secret).identity) is before:
            assert asked - began <= laboratory.policy.store.revocation_bound
            asked = time.monotonic()
        assert now is not None
        assert not now.may("report:read")
    finally:
        other.close()


def watch(elsewhere: Elsewhere, number: int, *, policy: Path, cookie: str, secret: str, ready: Path) -> float:
    """In a process of its own: know the session, say so, and return when it was last accepted: when that was
    asked, since what delays the process afterwards lets nobody in."""
    site = elsewhere.site(policy)
    step = CONTROL.steps["identify"](site.house)

    def known() -> bool:
        headers = PairHeaders([("Cookie", f"{cookie}={secret}")])
        asked = Exchange(method="GET", path="/", headers=headers)
        decided(step, asked)
        return asked.identity is not None

    try:
        if not known():
            return 0.0
        ready.with_suffix(f".{number}").touch()
        last = time.monotonic()
        until = last + 30
        while (now := time.monotonic()) < until and known():
            last = now
        return last
    finally:
        site.close()


@pytest.mark.requirement("C-32")
def test_real_processes_heed_the_end(flask_laboratory: Laboratory, tmp_path: Path) -> None:
    """Two other operating-system processes refuse a session within a second of its sign-out here."""
    laboratory = flask_laboratory
    person = laboratory.client("user")
    secret = person.cookies[laboratory.cookie]
    headers = [*person.from_here, (person.token_header, person.token())]
    ready = tmp_path / "ready"
    ended: list[float] = []

    def sign_out() -> None:
        until = time.monotonic() + 30
        while len(list(tmp_path.glob("ready.*"))) < 2 and time.monotonic() < until:
            pass
        assert person.send("POST", laboratory.api("sign_out"), headers=headers, json={}).status == 200
        ended.append(time.monotonic())

    with ThreadPoolExecutor(1) as pool:
        signing_out = pool.submit(sign_out)
        work = partial(watch, policy=flask_app.POLICY, cookie=laboratory.cookie, secret=secret, ready=ready)
        refused = laboratory.processes(work, 2)
        signing_out.result()
    for at in refused:
        # The clock is the machine's, the same in every process.
        assert at - ended[0] <= laboratory.policy.store.revocation_bound


def test_a_process_that_lost_the_feed_stops_trusting_its_memory(flask_laboratory: Laboratory) -> None:
    """Cut off from the feed for as long as the bound, a process asks the database for each request."""
    laboratory = flask_laboratory
    person = laboratory.client("user")
    secret = person.cookies[laboratory.cookie]
    feed = laboratory.site.house.store.feed
    assert replayed(laboratory, secret) == 200

    class Gone:
        def connect(self) -> None:
            raise OperationalError("connect", None, ConnectionError())

    engine, feed._engine = feed._engine, Gone()  # type: ignore[assignment]
    try:
        began = time.monotonic()
        while True:
            asked_at = time.monotonic()
            if not feed.current:
                break
            assert asked_at - began <= feed.bound
        asked = queries(laboratory)
        for _ in range(3):
            asked.clear()
            assert replayed(laboratory, secret) == 200
            assert len(asked) == 2, "BEGIN and one SELECT"
        with laboratory.site.house.store.transaction() as connection:  # as another process does
            rows.end(connection, digest(secret))
        assert replayed(laboratory, secret) == 401
    finally:
        feed._engine = engine


# Long exchanges: a WebSocket goes on as long as its session


@pytest.mark.requirement("C-32")
def test_a_long_exchange_ends_with_its_session(flask_laboratory: Laboratory) -> None:
    """Signed out, demoted, idle or past its limit, nobody goes on in a connection that is open."""
    laboratory = flask_laboratory
    house = laboratory.site.house

    def stands(asked: Exchange) -> bool:
        return long_exchanges.remembered(house, asked) or long_exchanges.stands(house, asked)

    def conversation(role: str = "user") -> tuple[Client, Exchange]:
        person = laboratory.client(role)
        return person, identified(laboratory.site, laboratory, person.cookies[laboratory.cookie])

    leaver, left = conversation()
    demoted, demotion = conversation("manager")
    _, idle = conversation()
    _, talking = conversation()
    assert all(stands(asked) for asked in (left, demotion, idle, talking))
    assert leaver.act("POST", laboratory.api("sign_out"), json={}).status == 200
    administer(laboratory, demoted, action="roles", role=["user"])
    assert [stands(asked) for asked in (left, demotion, idle, talking)] == [False, False, True, True]
    laboratory.clock.advance(IDLE - 1)
    long_exchanges.used(house, talking)
    laboratory.clock.advance(1)
    assert [stands(asked) for asked in (idle, talking)] == [False, True]
    for _ in range(ABSOLUTE // IDLE):
        long_exchanges.used(house, talking)
        laboratory.clock.advance(IDLE - 1)
    assert not stands(talking)


def test_a_long_exchange_asks_the_database_once(flask_laboratory: Laboratory) -> None:
    """After something else of the user's has ended, one look settles that this session stands."""
    laboratory = flask_laboratory
    house = laboratory.site.house
    person = laboratory.client("user")
    house.store.feed.read()  # what was revoked while the person was made is heeded now, not in between
    asked = identified(laboratory.site, laboratory, person.cookies[laboratory.cookie])
    house.store.memory.forget(person.id)
    assert not long_exchanges.remembered(house, asked)
    assert long_exchanges.stands(house, asked)
    assert long_exchanges.remembered(house, asked)


def test_a_long_exchange_does_not_prolong_an_old_id(flask_laboratory: Laboratory) -> None:
    """A connection that was opened under an id that has been renewed ends with that id's grace."""
    laboratory = flask_laboratory
    house = laboratory.site.house
    person = laboratory.client("user")
    old = person.cookies[laboratory.cookie]
    asked = identified(laboratory.site, laboratory, old)
    with house.store.transaction() as connection:
        rows.mark_for_renewal(connection, person.id)
    house.store.memory.forget(person.id)
    assert laboratory.whoami(person).status == 200
    assert person.cookies[laboratory.cookie] != old
    assert long_exchanges.stands(house, asked)
    laboratory.clock.advance(GRACE)
    assert not long_exchanges.remembered(house, asked)
    assert not long_exchanges.stands(house, asked)
    assert replayed(laboratory, old) == 401


def test_a_long_exchange_of_nobody(flask_laboratory: Laboratory) -> None:
    """Without a session there is nothing that could end."""
    asked = asking(flask_laboratory, "")
    long_exchanges.used(flask_laboratory.site.house, asked)
    assert long_exchanges.remembered(flask_laboratory.site.house, asked)


def test_a_long_exchange_without_a_database(flask_laboratory: Laboratory) -> None:
    """Where neither memory nor database can tell, the connection is closed."""
    laboratory = flask_laboratory
    house = laboratory.site.house
    secret = laboratory.client("user").cookies[laboratory.cookie]
    asked = identified(laboratory.site, laboratory, secret)

    class Down:
        def connect(self) -> None:
            raise OperationalError("connect", None, ConnectionError())

    house.store.memory.clear()
    engine, house.store.engine = house.store.engine, Down()  # type: ignore[assignment]
    try:
        assert not long_exchanges.stands(house, asked)
    finally:
        house.store.engine = engine


# Many at once


def blocking(laboratory: Laboratory, started: threading.Semaphore, go_on: threading.Event) -> Any:
    """An application that keeps every request until it is told to go on."""
    pool = ThreadPoolExecutor(MANY)

    def wait() -> None:
        started.release()
        go_on.wait(30)

    def wsgi(environ: Any, start_response: Any) -> list[bytes]:
        environ["bylaw.exchange"].permitted = True
        wait()
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [b"done"]

    async def asgi(scope: Any, receive: Any, send: Any) -> None:
        scope["bylaw.exchange"].permitted = True
        await asyncio.get_running_loop().run_in_executor(pool, wait)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"done"})

    return wsgi if laboratory.is_wsgi else asgi


@pytest.mark.requirement("C-32")
def test_signing_out_while_sixteen_requests_are_under_way(laboratory: Laboratory) -> None:
    """Sixteen requests have begun when somebody signs out: none of them brings the session back."""
    person = laboratory.client("editor")
    secret = person.cookies[laboratory.cookie]
    headers = [*person.from_here, (person.token_header, person.token())]
    house = laboratory.site.house
    laboratory.clock.advance(WRITE_SEEN_AFTER + 1)  # their use will have to be written down
    started, go_on = threading.Semaphore(0), threading.Event()
    with laboratory.instead(blocking(laboratory, started, go_on)), ThreadPoolExecutor(MANY) as pool:
        under_way = [
            pool.submit(person.send, "POST", f"/work/{n}", headers=headers, json={}, keep=False)
            for n in range(MANY)
        ]
        for _ in range(MANY):
            assert started.acquire(timeout=30)
        signed_out = person.send("POST", laboratory.api("sign_out"), headers=headers, json={}, keep=False)
        sessions.write_seen(house)
        go_on.set()
        replies = [each.result() for each in under_way]
    assert signed_out.status == 200
    assert {reply.status for reply in replies} == {200}, "what had begun goes on"
    assert [cookie for reply in replies for cookie in reply.all("set-cookie")] == []
    sessions.write_seen(house)
    assert kept(laboratory, person) == []
    assert house.store.memory.get(digest(secret)) is None
    assert replayed(laboratory, secret) == 401


@pytest.mark.requirement("C-32")
def test_a_storm_around_a_sign_out(laboratory: Laboratory) -> None:
    """Requests, a sign-out and the memory's own housekeeping at the same moment: the session is gone."""
    house = laboratory.site.house
    for _ in range(5):
        person = laboratory.client("editor")
        secret = person.cookies[laboratory.cookie]
        headers = [*person.from_here, (person.token_header, person.token())]
        house.store.memory.clear()  # all of them ask the database

        def one(number: int, secret: str = secret, headers: Any = headers, person: Client = person) -> int:
            if number == MANY // 2:
                return int(
                    person.send(
                        "POST", laboratory.api("sign_out"), headers=headers, json={}, keep=False
                    ).status
                )
            if number % 4 == 0:
                sessions.write_seen(house)
                house.store.feed.read()
                return 0
            return replayed(laboratory, secret)

        assert laboratory.burst(one, MANY)[MANY // 2] == 200
        assert replayed(laboratory, secret) == 401
        assert kept(laboratory, person) == []
        assert house.store.memory.get(digest(secret)) is None


# The policy


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('idle = "2h"\nabsolute = "1h"', ["sessions.idle", "longer than a session lives at all"]),
        ('idle = "10s"', ["sessions.idle", "60"]),
        ("absolute = 0", ["sessions.absolute", "60"]),
        ('idle = "soon"', ["sessions.idle", "a duration"]),
        ("lifetime = 60", ["sessions.lifetime", "no such key"]),
        ('off = true\nbecause = "we wanted to"', ["sessions.off", "nobody could be signed in"]),
    ],
)
@pytest.mark.requirement("S2-011")
def test_a_policy_that_cannot_be_kept(build: Builder, text: str, said: list[str]) -> None:
    """Limits that could never be reached, or would end everything at once, refuse to start."""
    refusal = build.refusal(f"[sessions]\n{text}")
    assert all(part in refusal for part in said), refusal


@pytest.mark.parametrize(
    ("text", "below"),
    [
        ("", []),
        ('idle = "8h"', ["idle"]),
        ('absolute = "30d"', ["absolute"]),
        ('idle = "2d"\nabsolute = "30d"', ["idle", "absolute"]),
        ('idle = "1h"\nabsolute = "24h"', []),
    ],
)
@pytest.mark.requirement("S2-011", "C-32")
def test_what_is_below_the_standard(build: Builder, text: str, below: list[str]) -> None:
    """A longer life than NIST's is allowed, and marked wherever the policy is shown."""
    policy = build.policy(f"[sessions]\n{text}")
    assert [b.key for name, b, _ in policy.below_standard() if name == "sessions"] == below


@pytest.mark.requirement("S2-011")
def test_the_statement(build: Builder) -> None:
    """What SECURITY.md says is what the settings say."""
    said = " ".join(
        CONTROL.statement(
            build.policy('[sessions]\nidle = "30m"\nabsolute = "12h"\n[store]\nrevocation_bound = 2')
        )
    )
    assert "ends after 30 minutes without use, 12 hours after signing in" in said
    assert "within 2 seconds" in said
    assert "answers for 10 seconds more" in said


# Stories, through Flask and FastAPI


@pytest.mark.requirement("S1-003")
def test_a_stored_user_and_an_unknown_one(laboratory: Laboratory) -> None:
    """Somebody in the store gets a session; an unknown address gets the same failure as a wrong password."""
    known, unknown = laboratory.person("user"), laboratory.visitor()
    unknown.email, unknown.password = "nobody@people.test", known.password
    wrong = laboratory.sign_in(known, "not the password")
    stranger = laboratory.sign_in(unknown)
    assert (wrong.status, wrong.code) == (stranger.status, stranger.code)
    assert wrong.status == 401
    assert laboratory.sign_in(known).status == 200
    assert laboratory.whoami(known).status == 200


@pytest.mark.requirement("S1-003", "C-32")
def test_no_id_survives_signing_in(laboratory: Laboratory) -> None:
    """A034: the cookie from before signing in, and an invented one, are not the session's afterwards."""
    alice = laboratory.person("user")
    alice.page(laboratory.url("sign_in"))
    before = dict(alice.cookies)
    assert laboratory.sign_in(alice).status == 200
    first = alice.cookies[laboratory.cookie]
    assert first not in before.values()
    for value in before.values():
        assert replayed(laboratory, value) == 401

    invented = secrets.token_urlsafe(32)
    bob = laboratory.person("user")
    bob.cookies[laboratory.cookie] = invented
    assert laboratory.sign_in(bob).status == 200
    assert bob.cookies[laboratory.cookie] != invented
    assert replayed(laboratory, invented) == 401

    reply = alice.act(
        "POST", laboratory.api("sign_in"), json={"email": alice.email, "password": alice.password}
    )
    assert reply.status == 200
    assert replayed(laboratory, first) == 401, "signing in anew replaces what was there"


@pytest.mark.requirement("C-32")
def test_a_cookie_replayed_after_signing_out(laboratory: Laboratory) -> None:
    """A036: the copied cookie is 401, and the browser's own is ended by name, path and attributes."""
    alice = laboratory.person("user")
    [opened] = [c for c in laboratory.sign_in(alice).all("set-cookie") if c.startswith(laboratory.cookie)]
    copied = alice.cookies[laboratory.cookie]
    assert replayed(laboratory, copied) == 200
    ended = alice.act("POST", laboratory.api("sign_out"), json={}).header("set-cookie")
    assert replayed(laboratory, copied) == 401
    assert laboratory.cookie not in alice.cookies
    opened_with, ended_with = (cookie.partition(";")[2] for cookie in (opened, ended))
    assert ended_with == f"{opened_with}; Max-Age=0"


@pytest.mark.requirement("C-32")
def test_a_disabled_user_stops_at_once(laboratory: Laboratory) -> None:
    """A038: reading and writing are refused on the very next request, and the sessions are gone."""
    alice = laboratory.client("editor")
    headers = [*alice.from_here, (alice.token_header, alice.token())]
    administer(laboratory, alice, action="disable")
    assert laboratory.whoami(alice).status == 401
    reply = alice.send("POST", "/api/notes", headers=headers, json={"text": "still here"})
    assert reply.status in (401, 403)
    assert kept(laboratory, alice) == []
    administer(laboratory, alice, action="enable")
    assert laboratory.whoami(alice).status == 401, "nothing that was held before comes back"


def test_a_new_password_ends_every_other_session(laboratory: Laboratory) -> None:
    """Whoever changes the password goes on under a new id; a thief with a copy, or elsewhere, does not."""
    alice = laboratory.client("editor")
    stolen = alice.cookies[laboratory.cookie]
    elsewhere = laboratory.open_session(alice)
    alice.cookies[laboratory.cookie] = stolen
    reply = alice.act(
        "POST",
        laboratory.api("change_password"),
        json={"current": alice.password, "password": "Another horse, another battery 7!"},
    )
    assert reply.status == 200
    assert alice.cookies[laboratory.cookie] not in (stolen, elsewhere)
    assert laboratory.whoami(alice).status == 200
    assert (replayed(laboratory, stolen), replayed(laboratory, elsewhere)) == (401, 401)


def test_a_decodable_cookie_is_never_decoded(laboratory: Laboratory) -> None:
    """A044: base64 JSON, truncated and re-signed values and a pickle are nobody's, and no error."""
    secret = laboratory.client("admin").cookies[laboratory.cookie]
    claim = json.dumps({"user_id": 1, "role": "admin"})
    for value in (
        base64.b64encode(claim.encode()).decode(),
        base64.urlsafe_b64encode(claim.encode()).decode(),
        claim,
        secret[:-1],
        secret[:20],
        secret + "x",
        secret + "." + secret,
        secret.swapcase(),
        f'"{secret}"',
        base64.b64encode(b"\x80\x04\x95\x05").decode(),
        "gASVDwAAAAAAAACMBWFkbWlulC4=",
        digest(secret),
        secret.encode().hex(),
    ):
        assert replayed(laboratory, value) == 401, value
    assert laboratory.audit(action="authn_login_success") != []


@pytest.mark.requirement("C-32")
def test_unknown_ids_fill_nothing(laboratory: Laboratory) -> None:
    """A045: a thousand random ids, empty ones and sign-outs of nobody leave the store as it was."""
    somebody = laboratory.client("user")
    laboratory.whoami(somebody)
    house = laboratory.site.house

    def size() -> tuple[int, int, int]:
        with house.store.reading() as connection:
            return rows.count(connection), len(house.store.memory), len(laboratory.audit(limit=5000))

    before = size()
    for _ in range(1000):
        assert replayed(laboratory, secrets.token_urlsafe(32)) == 401
    for _ in range(20):
        assert replayed(laboratory, "") == 401
        nobody = laboratory.visitor()
        nobody.send("POST", laboratory.api("sign_out"), headers=nobody.from_here, json={})
    assert size() == before


@pytest.mark.requirement("C-40")
def test_nothing_in_the_store_can_be_replayed(laboratory: Laboratory) -> None:
    """A046: neither cookie nor record holds a password, a hash, an address or the other's secret."""
    alice = laboratory.person("user")
    laboratory.sign_in(alice)
    secret = alice.cookies[laboratory.cookie]
    decoded = base64.urlsafe_b64decode(secret + "=")
    assert len(decoded) == 32
    for text in (alice.email, alice.id, alice.password):
        assert text.encode() not in decoded
    stored = laboratory.dump()
    assert secret not in stored
    assert alice.password not in stored
    record = kept(laboratory, alice)[0]
    assert record.digest == digest(secret)
    assert replayed(laboratory, record.digest[:43]) == 401
    assert replayed(laboratory, record.id) == 401


@pytest.mark.requirement("C-32")
def test_demotion_takes_effect_at_once(laboratory: Laboratory) -> None:
    """A092: a manager who has been made a user gets 403 at the next request."""
    manager = laboratory.client("manager")
    assert manager.get("/report").status == 200
    administer(laboratory, manager, action="roles", role=["user"])
    assert manager.get("/report").status == 403
    assert manager.get("/api/notes").status == 200


def test_own_sessions_are_listed_and_ended(laboratory: Laboratory) -> None:
    """Somebody sees where they are signed in, ends one of them, and nobody else's."""
    alice, mallory = laboratory.client("user"), laboratory.client("user")
    here = alice.cookies[laboratory.cookie]
    lost = laboratory.open_session(alice)
    alice.cookies[laboratory.cookie] = here
    listed = alice.get(laboratory.api("sessions")).json()["sessions"]
    assert len(listed) == 2
    other = next(each["id"] for each in listed if not each["current"])
    mallory.act("POST", laboratory.api("sessions"), json={"session": other})
    assert replayed(laboratory, lost) == 200
    assert alice.act("POST", laboratory.api("sessions"), json={"session": other}).status == 200
    assert (replayed(laboratory, lost), replayed(laboratory, here)) == (401, 200)


def test_ending_a_renewed_session_from_another_place(flask_laboratory: Laboratory) -> None:
    """From a second session, a renewed first one is ended under both ids."""
    laboratory = flask_laboratory
    person, old = promoted(laboratory)
    laboratory.whoami(person)
    new = person.cookies[laboratory.cookie]
    listed = {each.digest: each.id for each in kept(laboratory, person)}
    second = identified(laboratory.site, laboratory, laboratory.open_session(person))
    assert second.identity is not None
    assert signing_in.end_session(laboratory.site.house, second.identity, listed[digest(new)])
    assert (replayed(laboratory, old), replayed(laboratory, new)) == (401, 401)


# Proof


def test_probes_look_only_where_the_policy_lets_them(starting: Callable[..., Laboratory]) -> None:
    """Where no role may manage users, the probes say that they could not look."""
    head, _, tail = NOTES.partition("[roles]")
    laboratory = starting(f'{head}[roles]\nuser = ["note:read"]\n[signup]{tail.partition("[signup]")[2]}')
    seen = {p.name: attempt(CONTROL, p, laboratory).outcome for p in CONTROL.probes}
    assert seen["a_copied_cookie_ends_with_the_session"] == "not_examined"
    assert seen["a_change_of_roles_gives_a_new_id"] == "not_examined"
    assert "fail" not in seen.values()
