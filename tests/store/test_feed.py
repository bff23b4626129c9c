"""The revocation feed: it is read for as long as the process is, at once where something wakes it, and within
the bound whatever becomes of that."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, event, text
from sqlalchemy.exc import OperationalError

from bylaw.identity import Identity
from bylaw.store import Store, feed, migrate, notice
from bylaw.store.feed import Feed
from bylaw.store.memory import Remembered
from bylaw.store.tables import revocations
from bylaw.testing import Laboratory
from tests.store import relay
from tests.store.conftest import opened

postgresql_alone = pytest.mark.parametrize("url", ["postgresql"], indirect=True)
sqlite_alone = pytest.mark.parametrize("url", ["sqlite"], indirect=True)
SOON = 20.0
"""Seconds after which a test gives up: no measure of anything."""


def until(holds: Callable[[], bool]) -> bool:
    """Wait for something that another thread brings about; whether it came."""
    end, pause = time.monotonic() + SOON, threading.Event()
    while not holds():
        if time.monotonic() > end:
            return False
        pause.wait(0.005)
    return True


def remember(store: Store, user_id: str, digest: str = "d") -> None:
    found = Remembered(digest, Identity(id=user_id), 9e9, 0, 0)
    store.memory.remember(found, store.memory.generation)
    assert store.memory.get(digest) is not None


def revoke(store: Store, user_id: str) -> None:
    with store.transaction() as connection:
        feed.revoke(connection, 1.0, user_id)


@pytest.fixture
def other(store: Store, url: str) -> Iterator[Store]:
    """Another process on the same database, which reads once in twelve seconds unless something wakes it."""
    made = opened(url)
    made.feed.bound = 60
    yield made
    made.close()


class Stumbling(Feed):
    """A feed that fails at its second reading in a way that no database fails, and goes on."""

    readings = 0
    gone_on = threading.Event()

    def read(self) -> None:
        super().read()
        self.readings += 1
        if self.readings == 2:
            raise AttributeError("partially initialized module")
        if self.readings == 4:
            self.gone_on.set()


@pytest.mark.requirement("S3-017", "C-05")
def test_a_reading_that_fails_is_not_the_last(flask_laboratory: Laboratory) -> None:
    """Whatever goes wrong at one reading, a session that is ended later is still heard of."""
    store = flask_laboratory.site.house.store
    stumbling = Stumbling(store.engine, store.memory, flask_laboratory.clock, 1)
    stumbling.follow()
    try:
        assert stumbling.gone_on.wait(30)
    finally:
        stumbling.stop()
    assert "is tried again" in flask_laboratory.logs.text


# Woken


@pytest.mark.requirement("C-05", "C-25")
def test_a_change_wakes_the_reader_at_once(store: Store, other: Store) -> None:
    """Nobody waits for the next reading: the commit itself wakes whoever follows, on both databases."""
    other.feed.follow()
    assert until(lambda: other.feed.notices.arriving)
    for number in range(3):
        remember(other, f"u{number}", "d")
        began = time.monotonic()
        revoke(store, f"u{number}")
        assert until(lambda: other.memory.get("d") is None)
        assert time.monotonic() - began < other.feed.bound / feed.READS_PER_BOUND


@postgresql_alone
def test_what_is_rolled_back_wakes_nobody(store: Store, other: Store) -> None:
    """The notification is part of the transaction: a change that was not made is not told."""
    other.feed.follow()
    assert until(lambda: other.feed.notices.arriving)
    readings: list[int] = []
    real = other.feed.read
    other.feed.read = lambda: (readings.append(1), real())[1]  # type: ignore[method-assign]
    with pytest.raises(ZeroDivisionError), store.transaction() as connection:
        feed.revoke(connection, 1.0, "u")
        raise ZeroDivisionError
    revoke(store, "v")  # what comes after it wakes, once
    assert until(lambda: bool(readings))
    with store.reading() as connection:
        assert connection.execute(text("SELECT user_id FROM revocations")).scalars().all() == ["v"]


@postgresql_alone
def test_a_listener_leaves_nothing_open(store: Store) -> None:
    """A process that stops while its listener asks whether notifications arrive keeps no connection."""
    seen: list[Any] = []

    def left(connection: Connection, cursor: Any, *_: Any) -> None:
        seen.append(cursor.connection)
        store.engine.dispose()  # as `close` does in its own thread

    event.listen(store.engine, "before_cursor_execute", left)
    assert notice.Notices(store.engine, 1, lambda: None)._send("hello")
    assert [each.closed for each in seen] == [True]


@postgresql_alone
def test_a_killed_listener_listens_again(store: Store, other: Store) -> None:
    """An administrator ends the connection that listens: another one does, and what came between is read."""
    other.feed.follow()
    listening = text(
        "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND query = :what"
    ).bindparams(what=f"LISTEN {notice.CHANNEL}")

    def pids() -> list[int]:
        with store.reading() as connection:
            return list(connection.execute(listening).scalars())

    for number in range(2):
        assert until(lambda: len(pids()) == 1)
        [killed] = pids()
        with store.reading() as connection:
            connection.execute(text("SELECT pg_terminate_backend(:pid)"), {"pid": killed})
        remember(other, f"u{number}")
        revoke(store, f"u{number}")
        assert until(lambda: other.memory.get("d") is None)
        assert until(lambda killed=killed: pids() not in ([], [killed]))
    assert until(lambda: other.feed.notices.arriving)


@postgresql_alone
def test_a_pool_that_swallows_listen_costs_the_moment_and_not_the_bound(
    store: Store, url: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """PgBouncer in transaction mode accepts LISTEN, and nothing arrives: the table is read all the same."""
    monkeypatch.setattr(notice, "ARRIVES", 0.2)
    with relay.before(url, swallows=True) as (_, through), ExitStack() as stack:
        other = opened(through)
        stack.callback(other.close)
        other.feed.follow()
        assert until(lambda: "notifications do not arrive" in caplog.text)
        remember(other, "u")
        revoke(store, "u")
        ended = time.monotonic()
        while other.memory.get("d") is not None and other.feed.current:
            assert time.monotonic() - ended <= other.feed.bound
        assert not other.feed.notices.arriving


@postgresql_alone
@pytest.mark.requirement("C-05")
def test_a_restarted_server_is_followed_again(store: Store, url: str) -> None:
    """While the server is away memory is not trusted; once it is back, what was missed is heeded, and a
    change wakes the reader again."""
    with relay.before(url) as (between, through), ExitStack() as stack:
        other = opened(through)
        stack.callback(other.close)
        other.feed.follow()
        assert until(lambda: other.feed.notices.arriving)
        remember(other, "missed")
        between.cut()
        assert until(lambda: not other.feed.current)
        assert until(lambda: not other.feed.notices.arriving)
        revoke(store, "missed")
        assert other.memory.get("d") is not None, "it could not hear of it, and does not trust this either"
        between.mend()
        assert until(lambda: other.feed.current)
        assert other.memory.get("d") is None
        assert until(lambda: other.feed.notices.arriving)


@postgresql_alone
@pytest.mark.requirement("C-05")
def test_a_server_that_says_nothing_is_not_waited_for(
    store: Store, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A frozen server takes every question and never answers: requests are refused at once, not one thread
    after another lost to waiting, and served again when it has woken."""
    monkeypatch.setattr(feed, "HANGS", 0.2)
    with relay.before(url) as (between, through), ExitStack() as stack:
        other = opened(through)
        stack.callback(other.close)
        other.feed.follow()
        with other.reading() as connection:
            assert connection.execute(text("SELECT 1")).scalar_one() == 1
        between.freeze()

        def refused() -> bool:
            try:
                other.feed.demand_answers()
            except OperationalError:
                return True
            return False

        assert until(refused)
        assert until(lambda: not other.feed.current)
        for using in (other.reading, other.transaction):
            with pytest.raises(OperationalError), using():
                raise AssertionError("waited for")
        between.mend()
        assert until(lambda: other.feed.current)
        with other.reading() as connection:
            assert connection.execute(text("SELECT 1")).scalar_one() == 1


# The reader's own means


def test_whoever_takes_all_connections_does_not_stop_the_reader(store: Store) -> None:
    """Fifteen slow requests hold every connection of the pool: the end of a session is still heard of."""
    store.feed.follow()
    with ExitStack() as stack:
        for _ in range(15):
            stack.enter_context(store.reading())
        before = store.feed._read_at
        assert until(lambda: store.feed._read_at > before)
        assert store.feed.current


@sqlite_alone
def test_a_file_that_is_gone_is_not_trusted(store: Store, url: str) -> None:
    """Somebody removes the database under a running process, whose open connections would not notice."""
    store.feed.follow()
    assert store.feed.current
    Path(url.removeprefix("sqlite:///")).unlink()
    assert until(lambda: not store.feed.current)


@sqlite_alone
def test_a_backup_that_is_put_back_is_read_anew(store: Store, url: str, tmp_path: Path) -> None:
    """Another file takes the database's place: what was remembered of the first is forgotten, and everybody
    reads the second."""
    other_url = f"sqlite:///{tmp_path / 'other.db'}"
    second = opened(other_url)
    migrate.upgrade(second.engine)
    revoke(second, "of the second")
    second.close()
    store.feed.follow()
    remember(store, "u")
    for end in ("-wal", "-shm"):
        Path(url.removeprefix("sqlite:///") + end).unlink(missing_ok=True)
    os.replace(tmp_path / "other.db", url.removeprefix("sqlite:///"))
    assert until(lambda: store.memory.get("d") is None)
    assert until(lambda: store.feed.current)
    with store.reading() as connection:
        assert connection.execute(text("SELECT user_id FROM revocations")).scalars().all() == [
            "of the second"
        ]


def test_an_outage_is_said_once(store: Store, caplog: pytest.LogCaptureFixture) -> None:
    """A log that says the same thing five times a second hides everything else."""
    with store.transaction() as connection:
        connection.execute(text("ALTER TABLE revocations RENAME TO gone"))
    for _ in range(5):
        store.feed.read()
    with store.transaction() as connection:
        connection.execute(text("ALTER TABLE gone RENAME TO revocations"))
    for _ in range(2):
        store.feed.read()
    assert [caplog.text.count(said) for said in ("could not be read", "is read again")] == [1, 1]


@pytest.mark.requirement("S3-017", "C-05")
@pytest.mark.parametrize("clock", ["_read_at", "_read_on"])
def test_whoever_was_away_for_longer_than_entries_are_kept_trusts_nothing_of_before(
    store: Store, clock: str
) -> None:
    """A process is cut off, or its machine sleeps, while a key is revoked and the entry of it is pruned: once
    it reads again it must not go on trusting the key."""
    store.feed.read()
    remember(store, "u")
    store.feed.read()
    assert store.memory.get("d") is not None
    setattr(store.feed, clock, getattr(store.feed, clock) - feed.KEPT)
    store.feed.read()
    assert store.feed.current
    assert store.memory.get("d") is None


@postgresql_alone
@pytest.mark.requirement("S3-017", "C-05")
def test_a_long_transaction_with_many_entries_is_heeded_to_its_first(store: Store, other: Store) -> None:
    """Somebody ends 300 accounts at once; a colleague's single change, begun later, is committed before it.
    Numbers are given out before the commit: all 300 are behind the one that was read already."""
    store.feed.read()
    remember(store, "u0")
    with other.transaction() as connection:
        for number in range(300):
            feed.revoke(connection, 1.0, f"u{number}")
        revoke(store, "somebody else")
        store.feed.read()
        assert store.memory.get("d") is not None
    store.feed.read()
    assert store.memory.get("d") is None
    assert store.feed._gaps == {}


@postgresql_alone
def test_a_server_whose_backup_was_put_back_is_followed_from_the_beginning(store: Store) -> None:
    """The numbers of the entries begin again behind those of the backup: what was read before the outage says
    nothing of them."""
    for number in range(5):
        revoke(store, f"u{number}")
    store.feed.read()
    remember(store, "u")
    with store.transaction() as connection:
        revocations.drop(connection)
    store.feed.read()
    with store.transaction() as connection:
        revocations.create(connection)
    revoke(store, "u")
    store.feed.read()
    assert store.feed.current
    assert store.memory.get("d") is None
    remember(store, "u")
    revoke(store, "u")
    store.feed.read()
    assert store.memory.get("d") is None
