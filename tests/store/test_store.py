"""The store keeps what it was told, on SQLite and on PostgreSQL alike."""

from __future__ import annotations

import sqlite3
import threading
import uuid
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import inspect, text
from sqlalchemy.exc import DatabaseError, IntegrityError

from bylaw.errors import StoreError
from bylaw.identity import Identity
from bylaw.store import Store, assignments, audit, engine, feed, migrate, outbox, sessions, users
from bylaw.store.engine import connect
from bylaw.store.memory import Remembered, SessionMemory
from bylaw.store.tables import metadata
from tests.store.conftest import opened


def _user(store: Store, *roles: str) -> str:
    user_id = str(uuid.uuid4())
    with store.transaction() as connection:
        users.add(
            connection,
            {
                "id": user_id,
                "email": f"{user_id}@x.test",
                "name": "N",
                "password_hash": "h",
                "epoch": 1,
                "created_at": 1.0,
            },
        )
        users.set_roles(connection, user_id, frozenset(roles), by=None)
    return user_id


def _session(store: Store, user_id: str, digest: str, *, epoch: int = 1, at: float = 10.0) -> None:
    row: dict[str, Any] = {
        "digest": digest,
        "id": digest[:22],
        "user_id": user_id,
        "epoch": epoch,
        "method": "password",
        "authenticated_at": at,
        "created_at": at,
        "seen_at": at,
        "expires_at": at + 100,
        "address": "",
        "agent": "",
        "renew": False,
    }
    with store.transaction() as connection:
        sessions.add(connection, row)


def test_migrations_make_the_tables_that_the_code_uses(store: Store) -> None:
    """An upgraded database differs in nothing from the tables of the code."""
    with store.reading() as connection:
        context = MigrationContext.configure(connection, opts={"version_table": migrate.VERSION_TABLE})
        assert compare_metadata(context, metadata) == []
    assert migrate.current(store.engine) == migrate.latest()
    migrate.upgrade(store.engine)  # once more: nothing happens


class Locked:
    """A cursor on a file that another process is opening for the first time: locked, and then not."""

    def __init__(self, times: int, code: int = sqlite3.SQLITE_BUSY) -> None:
        self.times, self.asked = times, 0
        self.error = sqlite3.OperationalError("this is not possible")
        self.error.sqlite_errorcode = code

    def execute(self, statement: str) -> None:
        self.asked += 1
        if self.asked <= self.times:
            raise self.error


def test_two_processes_open_a_new_file_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers that start together on no database yet all start. A file that stays locked is said to be, and
    one that cannot be written at once."""
    patient = Locked(2)
    engine._write_ahead(patient)
    assert patient.asked == 3
    unwritable = Locked(2, sqlite3.SQLITE_READONLY)
    with pytest.raises(sqlite3.OperationalError):
        engine._write_ahead(unwritable)
    assert unwritable.asked == 1
    monkeypatch.setattr(engine, "LOCKED", -1)
    with pytest.raises(sqlite3.OperationalError):
        engine._write_ahead(Locked(2))


def test_two_processes_upgrade_at_once(url: str) -> None:
    """Two that start at the same moment leave one database, and neither fails."""
    engines = [connect(url) for _ in range(2)]
    failures: list[BaseException] = []

    def upgrade(number: int) -> None:
        try:
            migrate.upgrade(engines[number])
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=upgrade, args=(n,)) for n in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert failures == []
    assert migrate.current(engines[0]) == migrate.latest()
    for each in engines:
        each.dispose()


@pytest.mark.requirement("S1-003", "C-40")
def test_a_session_is_found_with_its_users_standing(store: Store) -> None:
    """A session brings the user's name and roles, as the database has them now."""
    user_id = _user(store, "admin", "user")
    _session(store, user_id, "a" * 64)
    with store.reading() as connection:
        found = sessions.find(connection, "a" * 64)
        assert sessions.find(connection, "b" * 64) is None
    assert found is not None
    everywhere = assignments.everywhere(found.assignments)
    assert (found.user_id, everywhere) == (user_id, frozenset({"admin", "user"}))


def test_a_session_of_an_older_epoch_or_a_disabled_user_is_none(store: Store) -> None:
    """What was opened before the account's standing ended opens nothing any more."""
    user_id = _user(store)
    _session(store, user_id, "a" * 64)
    with store.transaction() as connection:
        assert users.next_epoch(connection, user_id) == 2
        assert sessions.find(connection, "a" * 64) is None
    _session(store, user_id, "b" * 64, epoch=2)
    with store.transaction() as connection:
        assert sessions.find(connection, "b" * 64) is not None
        users.change(connection, user_id, disabled_at=5.0)
        assert sessions.find(connection, "b" * 64) is None


def test_seen_never_goes_back_in_time(store: Store) -> None:
    """A process that writes late does not shorten a session that another has seen since."""
    user_id = _user(store)
    _session(store, user_id, "a" * 64, at=10)
    with store.transaction() as connection:
        sessions.touch(connection, [("a" * 64, 50.0)])
        sessions.touch(connection, [("a" * 64, 40.0)])
        sessions.touch(connection, [])
        found = sessions.find(connection, "a" * 64)
    assert found is not None
    assert found.seen_at == 50.0


def test_ending_sessions(store: Store) -> None:
    """One, all but one, all, and those that are over."""
    user_id = _user(store)
    for digest in ("a", "b", "c"):
        _session(store, user_id, digest * 64)
    with store.transaction() as connection:
        assert sessions.end(connection, "a" * 64)
        assert not sessions.end(connection, "a" * 64)
        assert sessions.end_of_user(connection, user_id, but="b" * 64) == 1
        assert sessions.end_expired(connection, now=20, idle=100) == 0
        assert sessions.end_expired(connection, now=1000, idle=100) == 1
        assert sessions.count(connection) == 0


def test_a_session_is_renewed_once_by_two_at_the_same_time(store: Store) -> None:
    """Two requests meet a session that needs a new id: one makes it, the other does not."""
    user_id = _user(store)
    _session(store, user_id, "a" * 64)
    with store.transaction() as connection:
        sessions.mark_for_renewal(connection, user_id)
    won: list[bool] = []

    def renew(number: int) -> None:
        with store.transaction() as connection:
            won.append(sessions.renew(connection, "a" * 64, str(number) * 64, f"id{number}", 11.0))

    threads = [threading.Thread(target=renew, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(won) == [False, False, False, True]
    with store.reading() as connection:
        assert sessions.count(connection) == 2


def test_an_address_is_one_account(store: Store) -> None:
    """The database refuses a second account with the same address."""
    _user(store)
    with store.reading() as connection:
        email = users.page(connection).users[0].email
    with pytest.raises(IntegrityError), store.transaction() as connection:
        users.add(connection, {"id": "2", "email": email, "name": "", "epoch": 1, "created_at": 1.0})


def test_a_stronger_hash_never_undoes_a_new_password(store: Store) -> None:
    """An upgrade at sign-in that races with a change of the password loses."""
    user_id = _user(store)
    with store.transaction() as connection:
        assert users.replace_hash(connection, user_id, "h", "new")
        assert not users.replace_hash(connection, user_id, "h", "late upgrade")


@pytest.mark.requirement("S1-111", "S1-113")
def test_a_record_is_never_changed_or_dropped(store: Store) -> None:
    """Whoever reaches the database as the application cannot edit the audit log."""
    import datetime

    with store.transaction() as connection:
        audit.add(
            connection,
            {
                "timestamp": datetime.datetime(2026, 11, 21, tzinfo=datetime.UTC),
                "user_id": "u",
                "action": "update",
                "entity_type": "process",
                "entity_id": "7",
                "ip_address": "198.51.100.7",
                "changes": {"name": {"old": "a", "new": "b"}},
            },
        )
    for statement in ("UPDATE audit_log SET action = 'x'", "DELETE FROM audit_log"):
        with pytest.raises(DatabaseError, match="append-only"), store.transaction() as connection:
            connection.execute(text(statement))
    with store.reading() as connection:
        rows = audit.rows(connection, action="update", user_id="u", entity_type="process", entity_id="7")
        assert rows[0]["changes"] == {"name": {"old": "a", "new": "b"}}
        assert audit.rows(connection, before=rows[0]["id"]) == []


def test_a_follower_forgets_what_another_process_ended(store: Store, url: str) -> None:
    """Two processes on one database: what one ends, the other forgets when it reads the feed."""
    other = opened(url)
    identity = Identity(id="u")
    for digest in ("a", "b"):
        other.memory.remember(Remembered(digest, identity, 9e9, 0, 0), other.memory.generation)
    other.feed.read()
    with store.transaction() as connection:
        feed.revoke(connection, 1.0, "u", "a")
    other.feed.read()
    assert other.memory.get("a") is None
    assert other.memory.get("b") is not None
    with store.transaction() as connection:
        feed.revoke(connection, 1.0, "u")
    other.feed.read()
    assert len(other.memory) == 0
    other.close()


# SQLite has one writer at a time: numbers are given out in the order of the commits.
@pytest.mark.parametrize("url", ["postgresql"], indirect=True)
def test_an_entry_that_commits_late_is_still_heeded(store: Store, url: str) -> None:
    """A transaction took its number before another and commits after it: it is not overlooked."""
    other = opened(url)
    with store.transaction() as late:
        feed.revoke(late, 1.0, "late")
        with store.transaction() as early:
            feed.revoke(early, 1.0, "early")
        other.feed.read()
        other.memory.remember(Remembered("x", Identity(id="late"), 9e9, 0, 0), other.memory.generation)
    other.feed.read()
    assert other.memory.get("x") is None
    other.close()


def test_a_feed_that_cannot_be_read_is_not_current(store: Store) -> None:
    """A process that lost its database stops trusting what it remembers."""
    store.feed.read()
    assert store.feed.current
    with store.transaction() as connection:
        connection.execute(text("ALTER TABLE revocations RENAME TO gone"))
    before = store.feed._read_at
    store.feed.read()
    assert store.feed._read_at == before


def test_old_entries_are_pruned(store: Store) -> None:
    """The feed does not grow for ever."""
    with store.transaction() as connection:
        feed.revoke(connection, 1.0, "u")
        store.feed.prune(connection)
        assert connection.execute(text("SELECT count(*) FROM revocations")).scalar_one() == 0


def test_mail_waits_until_it_was_sent(store: Store) -> None:
    """A message is there in the transaction of what it announces, until it has left."""
    with store.transaction() as connection:
        outbox.add(connection, to="a@x.test", subject="S", text="T", message_id="<1@x.test>", now=1.0)
        assert outbox.count(connection) == (1, 1.0)
        [message] = outbox.due(connection, 1.0, 5)
        assert (message.recipient, message.number) == ("a@x.test", "1")
        assert outbox.claim(connection, message, now=1.0, until=9.0)
        assert outbox.drop(connection, message)
        assert outbox.count(connection) == (0, None)
        assert not outbox.claim(connection, message, now=1.0, until=9.0)


@pytest.mark.requirement("S2-014", "S2-064", "C-25")
@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
def test_sqlite_is_in_wal(store: Store) -> None:
    """Readers and a writer do not keep each other out."""
    with store.reading() as connection:
        assert connection.execute(text("PRAGMA journal_mode")).scalar_one() == "wal"
        assert connection.execute(text("PRAGMA foreign_keys")).scalar_one() == 1
    assert "users" in inspect(store.engine).get_table_names()


@pytest.mark.parametrize("bad", ["sqlite://", "sqlite:///:memory:", "not a url"])
def test_a_url_that_cannot_be_kept_is_refused_without_showing_it(bad: str) -> None:
    """A database in memory is another one per connection; a URL's password is not repeated."""
    with pytest.raises(StoreError) as refused:
        connect(bad)
    assert "not a url" not in str(refused.value)


def test_memory_is_bounded_and_never_takes_what_was_forgotten_meanwhile() -> None:
    """A session that was read before a revocation is not remembered after it."""
    memory = SessionMemory(2)
    for number in range(5):
        memory.remember(Remembered(str(number), Identity(id="u"), 9e9, 0, 0), memory.generation)
    assert len(memory) == 2
    before = memory.generation
    memory.forget("u", "4")
    memory.remember(Remembered("9", Identity(id="u"), 9e9, 0, 0), before)
    assert memory.get("9") is None
    memory.forget("u")
    assert len(memory) == 0
    SessionMemory(0).remember(Remembered("1", Identity(id="u"), 9e9, 0, 0), 0)
