"""A copy of a SQLite database that somebody writes to: of one moment, whole, and for its owner alone."""

from __future__ import annotations

import os
import shutil
import sqlite3
import threading
import time
from pathlib import Path

import pytest
from sqlalchemy import text

from bylaw.errors import StoreError
from bylaw.store import Store, backup, migrate, users
from tests.store.conftest import opened

SQLITE = pytest.mark.parametrize("url", ["sqlite"], indirect=True)
pytestmark = SQLITE


@pytest.fixture
def source(url: str) -> Path:
    return Path(url.removeprefix("sqlite:///"))


def person(number: int) -> dict[str, object]:
    return {
        "id": f"u{number}",
        "email": f"u{number}@acme.eu",
        "name": "",
        "password_hash": None,
        "epoch": 1,
        "created_at": 1.0,
    }


def pair(store: Store, number: int) -> None:
    """Two people in one transaction: a copy that holds one of them is not of one moment."""
    with store.transaction() as connection:
        users.add(connection, person(2 * number))
        users.add(connection, person(2 * number + 1))


def without_secrets(folder: Path) -> list[str]:
    return sorted(file.name for file in folder.iterdir())


@pytest.mark.requirement("S2-042")
def test_a_copy_is_of_one_moment_while_others_write(
    store: Store, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Writers commit pairs all the while, between the steps of the copy too: it holds whole pairs, and all
    that was there when it began, though nothing of it had left the write-ahead log."""
    monkeypatch.setattr(backup, "PAGES", 5)  # many steps, with commits between them
    for number in range(50):
        pair(store, number)
    stop, written = threading.Event(), [50]

    def write() -> None:
        while not stop.is_set():
            pair(store, written[0])
            written[0] += 1

    writer = threading.Thread(target=write)
    writer.start()
    steps: list[int] = []

    def progress(done: int, total: int) -> None:
        steps.append(done)
        before = written[0]
        while len(steps) < 5 and written[0] == before:  # the writer commits between two steps
            time.sleep(0)

    try:
        copy = backup.make(source, tmp_path / "copy.db", progress=progress)
    finally:
        stop.set()
        writer.join()
    assert len(steps) > 4
    assert copy.rows["users"] >= 100
    assert copy.rows["users"] % 2 == 0
    assert copy.rows["users"] < 2 * written[0], "what came later is not in it"
    with sqlite3.connect(copy.file) as read:
        ids = {int(row[0][1:]) for row in read.execute("SELECT id FROM users")}
    assert ids == set(range(len(ids)))


@pytest.mark.requirement("S2-042")
def test_copying_the_file_alone_is_no_copy(store: Store, source: Path, tmp_path: Path) -> None:
    """What `cp` brings home while the application runs lacks what is in the log; the copy does not."""
    with store.reading() as reader:  # somebody reads: nothing is moved out of the log meanwhile
        reader.execute(text("SELECT count(*) FROM users")).scalar_one()
        pair(store, 1)
        shutil.copy(source, tmp_path / "cp.db")
        copy = backup.make(source, tmp_path / "copy.db")
    with sqlite3.connect(tmp_path / "cp.db") as read:
        try:
            brought = read.execute("SELECT count(*) FROM users").fetchone()[0]
        except sqlite3.DatabaseError:
            brought = 0
    assert (brought, copy.rows["users"]) == (0, 2)


@pytest.mark.requirement("S2-042")
def test_a_copy_is_one_file_for_its_owner_alone(store: Store, source: Path, tmp_path: Path) -> None:
    """It holds all hashes and addresses: whatever the umask, nobody else on the machine reads it."""
    folder = tmp_path / "copies"
    folder.mkdir()
    before = os.umask(0)
    try:
        copy = backup.make(source, folder / "copy.db")
    finally:
        os.umask(before)
    assert copy.file.stat().st_mode & 0o777 == 0o600
    assert without_secrets(folder) == ["copy.db"], "no log, and nothing unfinished, lies beside it"
    assert copy.version == migrate.latest()


@pytest.mark.requirement("S2-042")
def test_a_copy_can_be_put_back(store: Store, source: Path, tmp_path: Path) -> None:
    """The database is lost and the copy takes its place: it is there, in WAL, with append-only records."""
    pair(store, 1)
    copy = backup.make(source, tmp_path / "copy.db")
    store.close()
    for end in ("", "-wal", "-shm"):
        Path(f"{source}{end}").unlink(missing_ok=True)
    shutil.copy(copy.file, source)
    again = opened(f"sqlite:///{source}")
    with again.reading() as connection:
        assert connection.execute(text("SELECT count(*) FROM users")).scalar_one() == 2
        assert connection.execute(text("PRAGMA journal_mode")).scalar_one() == "wal"
        triggers = connection.execute(text("SELECT count(*) FROM sqlite_master WHERE type = 'trigger'"))
        assert triggers.scalar_one() > 0
    assert migrate.current(again.engine) == migrate.latest()
    again.close()


@pytest.mark.requirement("S2-042")
def test_nothing_is_overwritten_unasked(store: Store, source: Path, tmp_path: Path) -> None:
    """A file that is there stays as it was; asked to, it is replaced in one step."""
    target = tmp_path / "copy.db"
    target.write_text("mine")
    with pytest.raises(StoreError, match="is there already"):
        backup.make(source, target)
    assert target.read_text() == "mine"
    assert backup.make(source, target, force=True).rows["users"] == 0


@pytest.mark.requirement("S2-042")
@pytest.mark.parametrize("end", ["", "-wal", "-shm", "-journal"])
def test_the_database_is_not_its_own_copy(store: Store, source: Path, end: str) -> None:
    """Somebody names the running database, or a part of it, as the target, and insists."""
    with pytest.raises(StoreError, match="is the database itself"):
        backup.make(source, Path(f"{source}{end}"), force=True)


@pytest.mark.requirement("S2-042")
def test_a_link_is_no_way_round_that(store: Store, source: Path, tmp_path: Path) -> None:
    """A link to the database, hard or symbolic, and one to somewhere else, are no targets."""
    os.link(source, tmp_path / "hard.db")
    (tmp_path / "soft.db").symlink_to(source)
    (tmp_path / "away.db").symlink_to(tmp_path / "elsewhere.db")
    for name in ("hard.db", "soft.db", "away.db"):
        with pytest.raises(StoreError):
            backup.make(source, tmp_path / name, force=True)
    assert not (tmp_path / "elsewhere.db").exists()


@pytest.mark.requirement("S2-042")
def test_a_damaged_database_gives_no_copy(store: Store, source: Path, tmp_path: Path) -> None:
    """Pages that are broken are found out before the copy gets its name; nothing is left behind."""
    for number in range(200):
        pair(store, number)
    store.close()
    with sqlite3.connect(source) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    content = bytearray(source.read_bytes())
    for page in range(20, len(content) // 4096, 3):
        content[page * 4096 : page * 4096 + 200] = b"\xff" * 200
    source.write_bytes(content)
    folder = tmp_path / "copies"
    folder.mkdir()
    with pytest.raises(StoreError):
        backup.make(source, folder / "copy.db")
    assert without_secrets(folder) == []


@pytest.mark.requirement("S2-042")
@pytest.mark.parametrize(
    "content", [b"", b"SQLite format 3\0", b"no database", b"SQLite format 3\0" + b"x" * 9000]
)
def test_what_is_no_copy_is_not_taken_for_one(store: Store, tmp_path: Path, content: bytes) -> None:
    """An empty, cut off or made-up file is named, and never counts as a backup."""
    (tmp_path / "made-up.db").write_bytes(content)
    with pytest.raises(StoreError):
        backup.look(tmp_path / "made-up.db")
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "made-up.db").write_bytes(content)
    assert backup.newest(folder) is None


@pytest.mark.requirement("S2-042")
def test_the_last_copy_is_the_last_by_its_name(store: Store, source: Path, tmp_path: Path) -> None:
    """A copy that was moved elsewhere today is as old as its name says; one that is not whole is none."""
    folder = tmp_path / "copies"
    folder.mkdir()
    assert backup.newest(folder) is None
    assert backup.last_taken(folder) is None
    day = 86400.0
    for age in (3, 2):
        backup.make(source, folder / backup.name(source, time.time() - age * day))
    found = backup.newest(folder)
    assert found is not None
    assert 2 * day - 5 < time.time() - found.taken_at < 2 * day + 60
    (folder / backup.name(source, time.time())).write_bytes(b"SQLite format 3\0 cut off")
    assert backup.newest(folder) == found
    assert backup.last_taken(tmp_path / "no such folder") is None


def test_a_full_disk_leaves_nothing(
    store: Store, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever interrupts the copy, no unfinished file is left that somebody takes for one."""

    def broken(done: int, total: int) -> None:
        raise OSError(28, "No space left on device")

    folder = tmp_path / "copies"
    folder.mkdir()
    with pytest.raises(OSError, match="No space left"):
        backup.make(source, folder / "copy.db", progress=broken)
    assert without_secrets(folder) == []
