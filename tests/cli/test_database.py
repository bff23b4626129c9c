"""`bylaw db backup` and `bylaw db backups`: what an operator types, and what a timer is told."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest

from bylaw.store import backup
from tests.cli.transcript import here

PG = {"DATABASE_URL": "postgresql+psycopg://app:Zq8v-T2mW-5xKr-9LpY-c3Nd@db.acme.eu/notes"}


@pytest.fixture
def made(project: Path) -> Path:
    """A project with a database, and a folder for copies."""
    assert here("bylaw db upgrade", {})[1] == 0
    (project / "copies").mkdir()
    return project


@pytest.mark.requirement("S2-042")
def test_a_backup_says_what_it_holds(made: Path) -> None:
    """One command copies the database, names the copy by the time, and says what is in it."""
    said, code = here("bylaw db backup copies", {})
    assert code == 0, said
    [copy] = (made / "copies").iterdir()
    assert copy.name.startswith("notes-20")
    assert copy.stat().st_mode & 0o777 == 0o600
    assert "whole" in said
    assert "0 users" in said
    assert "just now" in said


@pytest.mark.requirement("S2-042")
def test_a_program_reads_the_same(made: Path) -> None:
    """`--json` prints facts and nothing else."""
    facts = json.loads(here("bylaw db backup copies/one.db --json", {})[0])
    assert facts["file"] == "copies/one.db"
    assert facts["rows"]["users"] == 0
    assert json.loads(here("bylaw db backups copies --json", {})[0])["bytes"] == facts["bytes"]


@pytest.mark.requirement("S2-042")
def test_a_backup_that_is_there_stays(made: Path) -> None:
    """The same command twice is refused, in a sentence; --force replaces the file."""
    assert here("bylaw db backup one.db", {})[1] == 0
    said, code = here("bylaw db backup one.db", {})
    assert (code, "is there already; --force replaces it" in said) == (1, True)
    assert here("bylaw db backup one.db --force", {})[1] == 0
    said, code = here("bylaw db backup notes.db --force", {})
    assert (code, "is the database itself" in said) == (1, True)


@pytest.mark.requirement("S2-042")
def test_an_old_backup_raises_the_alarm(made: Path) -> None:
    """A timer asks whether there is a copy of today: none, an old one and a broken one are failures."""
    said, code = here("bylaw db backups copies", {})
    assert (code, "there is no copy in copies" in said) == (1, True)
    here("bylaw db backup copies/one.db", {})
    assert here("bylaw db backups copies", {})[1] == 0
    old = time.time() - 3 * 86400
    os.utime(made / "copies/one.db", (old, old))
    said, code = here("bylaw db backups copies", {})
    assert (code, "it is 3 days old; 24 hours is the most" in said) == (1, True)
    assert here("bylaw db backups copies --within 7d", {})[1] == 0
    assert here("bylaw db backups copies --within soon", {})[1] == 2
    (made / "copies/one.db").write_bytes(b"SQLite format 3\0")
    assert here("bylaw db backups copies/one.db", {})[1] == 1


@pytest.mark.requirement("S2-042")
def test_without_a_database_there_is_no_empty_copy(project: Path) -> None:
    """A backup of nothing is a failure, and leaves neither a copy nor a new database behind."""
    said, code = here("bylaw db backup one.db", {})
    assert (code, "there is no database" in said) == (1, True)
    assert not (project / "one.db").exists()
    assert not (project / "notes.db").exists()


@pytest.mark.requirement("S2-042")
def test_of_postgresql_the_command_is_said(project: Path) -> None:
    """The database's own tool does it: what to type is printed whole, without the password."""
    said, code = here("bylaw db backup one.dump", PG)
    assert code == 1
    assert "pg_dump --format=custom --file=one.dump postgresql://app@db.acme.eu/notes" in said
    assert "Zq8v-T2mW-5xKr-9LpY-c3Nd" not in said
    assert not (project / "one.dump").exists()


def test_a_moment_is_in_the_name() -> None:
    """Copies sort by their names as by their age."""
    assert backup.name(Path("/data/app.db"), 1_800_000_000.0) == "app-20270115T080000Z.db"


@pytest.mark.requirement("S2-062", "S2-063")
def test_many_people_on_sqlite_are_warned_of(project: Path) -> None:
    """Whoever says that more than a hundred people use it at the same moment is told to take PostgreSQL."""
    policy = project / "bylaw.toml"
    text = policy.read_text()
    for count, warned in ((100, False), (101, True)):
        policy.write_text(f"{text}\n[store]\nconcurrent_users = {count}\n")
        said, code = here("bylaw check", {})
        assert (code, "store.concurrent_users" in said) == (0, warned)
        assert ("100, or PostgreSQL" in said) is warned
        assert here("bylaw check --strict", {})[1] == int(warned)
    assert "store.concurrent_users" not in here("bylaw check", PG)[0]
    said = here("bylaw document bylaw.toml", {})[0] + (project / "SECURITY.md").read_text()
    assert "`store.concurrent_users` | 101 on SQLite | 100, or PostgreSQL" in said
