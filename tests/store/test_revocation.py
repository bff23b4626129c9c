"""What is ended ends at once: sessions, access tokens and API keys, in every process, or nobody is let in.

What each control remembers is its own; that memory is trusted only as long as the revocation feed says so is
one promise, and is attacked here for all of them together.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from sqlalchemy import event
from sqlalchemy.exc import OperationalError

from benchmarks import revocation
from bylaw.controls import sessions
from bylaw.keys import digest
from bylaw.operations import administering, token_families
from bylaw.store import feed, notice
from bylaw.testing import Client, Laboratory
from bylaw.verify.client import Reply
from tests.store import relay
from tests.store.test_feed import until

KINDS = ("session", "jwt", "api_key")
each_kind = pytest.mark.parametrize("kind", KINDS)


@dataclass
class Bearer:
    """Somebody's credential, copied: what a thief sends, and how its owner ends it."""

    owner: Client
    ask: Callable[[], Reply]
    end: Callable[[], object]

    def known(self) -> bool:
        """Whether it is anybody's. Raises AssertionError where it is neither let in nor refused."""
        reply = self.ask()
        assert reply.status in (200, 401), reply
        return reply.status == 200


def bearer(laboratory: Laboratory, kind: str) -> Bearer:
    """A credential of each kind, of somebody new."""
    owner = laboratory.client("user")
    house = laboratory.site.house
    if kind == "session":
        secret = owner.cookies[laboratory.cookie]
        headers, path = [("Cookie", f"{laboratory.cookie}={secret}")], laboratory.api("me")

        def end() -> object:
            return owner.act("POST", laboratory.api("sign_out"), json={})
    else:
        path = "/bearer/me"
        if kind == "jwt":
            pair = laboratory.pair(owner)
            text, end = pair.access, lambda: token_families.revoke(house, pair.refresh)
        else:
            made = laboratory.key(owner, "note:read")
            text, end = made.text, lambda: laboratory.revoke_key(owner, made.id)
        headers = [("Authorization", f"Bearer {text}")]
    return Bearer(owner, lambda: laboratory.visitor().get(path, headers=headers, keep=False), end)


class Gone:
    """A database that is away."""

    def connect(self) -> Any:
        raise OperationalError("connect", None, ConnectionError())

    def begin(self) -> Any:
        raise OperationalError("connect", None, ConnectionError())

    def dispose(self) -> None:
        """Nothing to let go of."""


@contextmanager
def away(holder: Any, *names: str) -> Iterator[None]:
    before = {name: getattr(holder, name) for name in names}
    for name in names:
        setattr(holder, name, Gone())
    try:
        yield
    finally:
        for name, value in before.items():
            setattr(holder, name, value)


@contextmanager
def asked(laboratory: Laboratory) -> Iterator[list[str]]:
    """What requests ask of the database meanwhile."""
    found: list[str] = []
    engine = laboratory.site.house.store.engine

    def note(connection: Any, cursor: Any, statement: str, *rest: Any) -> None:
        if not threading.current_thread().name.startswith(("bylaw-feed", "bylaw-chores", "bylaw-notice")):
            found.append(statement)

    event.listen(engine, "before_cursor_execute", note)
    try:
        yield found
    finally:
        event.remove(engine, "before_cursor_execute", note)


@pytest.mark.requirement("C-05", "S3-017", "S3-072", "C-32")
def test_what_ends_in_one_process_is_refused_in_another_within_the_bound(url: str) -> None:
    """Two processes, on both databases: one holds each kind of credential in memory and asks nobody; the
    other ends it; it is not let in any longer than the bound allows."""
    rows = revocation.of(url, url.partition(":")[0], 3)
    assert [row.kind for row in rows] == ["session", "access token (JWT)", "API key"]
    for row in rows:
        assert row.latency.worst / 1000 <= revocation.BOUND
        assert (row.queries, row.asked > 0) == (0, True)


@each_kind
@pytest.mark.requirement("C-05", "S3-017")
def test_a_process_cut_off_from_the_feed_asks_the_database(laboratory: Laboratory, kind: str) -> None:
    """The reader alone has lost its connection: within the bound memory counts for nothing, each request asks
    the database, and what another process has ended is refused."""
    thief = bearer(laboratory, kind)
    assert thief.known()
    followed = laboratory.site.house.store.feed
    with away(followed, "_engine"):
        began = asked_at = time.monotonic()
        while followed.current:
            assert asked_at - began <= followed.bound
            asked_at = time.monotonic()
        with asked(laboratory) as queries:
            for _ in range(3):
                queries.clear()
                assert thief.known()
                assert queries, "let in by a memory that nobody keeps up to date"
        memory = laboratory.site.house.store.memory
        forget, memory.forget = memory.forget, lambda *named: None  # type: ignore[method-assign]
        try:
            thief.end()  # as another process does: this one's memory is not told
        finally:
            memory.forget = forget  # type: ignore[method-assign]
        assert not thief.known()


@each_kind
@pytest.mark.requirement("C-05", "S3-017")
def test_without_a_database_nobody_is_let_in_by_memory(laboratory: Laboratory, kind: str) -> None:
    """The whole database is away: within the bound every credential is refused with 503 and when to come
    back, whoever has it; once it is there again, what was good is."""
    thief = bearer(laboratory, kind)
    assert thief.known()
    store = laboratory.site.house.store
    with away(store, "engine", "_writing"), away(store.feed, "_engine"):
        assert until(lambda: not store.feed.current)
        refused = thief.ask()
        assert refused.status == 503
        assert int(refused.header("retry-after")) > 0
        assert refused.code in ("sessions.unavailable", "jwt.unavailable", "api_keys.unavailable")
    assert until(lambda: store.feed.current)
    assert thief.known()
    thief.end()
    assert not thief.known()


@each_kind
@pytest.mark.requirement("C-05", "S3-017")
def test_a_look_up_that_is_under_way_brings_nothing_back(laboratory: Laboratory, kind: str) -> None:
    """A slow request has read a good credential from the database when it ends: the request may be answered,
    and what it has read is not remembered for the next one."""
    thief = bearer(laboratory, kind)
    store = laboratory.site.house.store
    store.feed.follow()
    store.memory.clear()
    read, ended = threading.Event(), threading.Event()
    real = store.memory.remember

    def slow(*found: Any) -> None:
        read.set()
        assert ended.wait(20)
        real(*found)

    store.memory.remember = slow  # type: ignore[method-assign]
    seen: list[Reply] = []
    request = threading.Thread(target=lambda: seen.append(thief.ask()))
    request.start()
    try:
        assert read.wait(20)
        store.memory.remember = real  # type: ignore[method-assign]
        thief.end()
    finally:
        ended.set()
        request.join(20)
    assert seen[0].status in (200, 401)
    assert not thief.known()
    assert not [held for held in store.memory._by_digest.values() if held.identity.id == thief.owner.id]


@each_kind
@pytest.mark.requirement("C-05", "S3-017")
def test_a_storm_around_the_end_leaves_nothing(laboratory: Laboratory, kind: str) -> None:
    """Twenty requests, a reading of the feed and the writing of what was seen at the very moment of the end:
    afterwards it is nobody's."""
    thief = bearer(laboratory, kind)
    house = laboratory.site.house
    thief.known()
    laboratory.clock.advance(sessions.WRITE_SEEN_AFTER + 1)

    def one(number: int) -> object:
        if number == 7:
            return thief.end()
        if number % 5 == 0:
            house.store.memory.clear()
            for chore in house.store.feed.chores:
                chore()
        return thief.ask().status

    answers = laboratory.burst(one, 20)
    assert {each for number, each in enumerate(answers) if number != 7} <= {200, 401}
    assert not thief.known()
    house.store.feed.read()
    for chore in house.store.feed.chores:
        chore()
    assert not thief.known()


@pytest.mark.requirement("C-05", "S3-072")
def test_one_change_of_standing_ends_all_kinds(laboratory: Laboratory) -> None:
    """Somebody has a session, an access token and a key, all in memory; the account is shut: none is good at
    the next request, and none comes back with it."""
    owner = laboratory.client("user")
    secret = owner.cookies[laboratory.cookie]
    borne = [
        ("Authorization", f"Bearer {text}")
        for text in (laboratory.pair(owner).access, laboratory.key(owner, "note:read").text)
    ]
    asks = [(laboratory.api("me"), ("Cookie", f"{laboratory.cookie}={secret}"))]
    asks += [("/bearer/me", header) for header in borne]

    def seen() -> list[int]:
        return [laboratory.visitor().get(path, headers=[header], keep=False).status for path, header in asks]

    assert seen() == [200, 200, 200]
    administering.disable(laboratory.site.house, administering.SYSTEM, owner.id, reason="left")
    assert seen() == [401, 401, 401]
    administering.enable(laboratory.site.house, administering.SYSTEM, owner.id)
    assert seen() == [401, 401, 401]
    assert laboratory.site.house.store.memory.get(digest(secret)) is None


@pytest.mark.parametrize("url", ["postgresql"], indirect=True)
@pytest.mark.requirement("C-05")
def test_a_frozen_database_refuses_and_does_not_hang(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The server takes each question and never answers: whoever asks is refused at once with 503, and not one
    thread after another lost to waiting."""
    monkeypatch.setattr(feed, "HANGS", 0.2)
    monkeypatch.setattr(notice, "ARRIVES", 60)
    from bylaw.verify.target import Target
    from tests.applications import flask_app

    Laboratory(Target("flask", flask_app.create_app), database=url).close()  # the tables
    with (
        relay.before(url) as (between, through),
        Laboratory(Target("flask", flask_app.create_app), database=through) as laboratory,
    ):
        thief = bearer(laboratory, "session")
        assert thief.known()
        between.freeze()
        followed = laboratory.site.house.store.feed
        assert until(lambda: not followed.current)
        with pytest.raises(OperationalError):
            followed.demand_answers()
        assert [thief.ask().status for _ in range(20)] == [503] * 20
        between.mend()
        assert until(lambda: followed.current)
        assert thief.known()
