"""A copy of a SQLite database that is whole, while others write to it.

Copying the file alone loses what is still in the write-ahead log, or catches half a transaction. SQLite's
backup API copies pages inside of one read transaction: in WAL it sees one moment and keeps nobody waiting.
The copy is checked before it gets its name, and only its owner may read it: it holds whatever the database
does. Source: SQLite backup API, PRAGMA integrity_check; S2-042.
"""

from __future__ import annotations

import os
import re
import secrets
import sqlite3
import stat
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from bylaw.errors import StoreError

PAGES: Final = 2000
"""Pages between two words about the progress: eight megabytes of the usual size."""
TABLES: Final = ("users", "sessions", "audit_log")
"""Whose rows are counted, to see at a glance what a copy holds."""
_STAMP: Final = re.compile(r"(\d{8}T\d{6})Z")
_MAGIC: Final = b"SQLite format 3\0"
Progress = Callable[[int, int], None]
"""Told of the pages that were copied, and of how many there are."""


@dataclass(frozen=True, slots=True)
class Copy:
    """A copy that was looked at."""

    file: Path
    taken_at: float
    """When (seconds since 1970): by its name or by its file, whichever is longer ago."""
    bytes: int
    version: str
    """The migrations that it has."""
    rows: dict[str, int]


def name(of: Path, at: float) -> str:
    """What a copy is called that was taken then."""
    return f"{of.stem}-{datetime.fromtimestamp(at, UTC):%Y%m%dT%H%M%SZ}.db"


def make(source: Path, target: Path, *, force: bool = False, progress: Progress | None = None) -> Copy:
    """Copy the database to `target`, where nothing stands yet unless `force`; the copy as it was checked.

    Raises StoreError: there is no such database, the target is part of it, something is there, or the copy
    is not whole.
    """
    if not source.is_file():
        raise StoreError(f"there is no database at {source}")
    parts = [Path(f"{source}{end}") for end in ("", "-wal", "-shm", "-journal")]
    if any(target.resolve() == part.resolve() for part in parts) or (
        target.exists() and target.samefile(source)
    ):
        raise StoreError(f"{target} is the database itself")
    if target.is_symlink() or (target.exists() and not target.is_file()):
        raise StoreError(f"{target} is no file")
    if target.exists() and not force:
        raise StoreError(f"{target} is there already; --force replaces it")
    with _beside(target) as partial:
        _copied(source, partial, progress)
        found = look(partial, thorough=True)
        _flush(partial)
        if force:
            partial.replace(target)
        else:
            _named(partial, target)
        _flush(target.parent)
    return Copy(target, found.taken_at, found.bytes, found.version, found.rows)


def look(file: Path, *, thorough: bool = False) -> Copy:
    """What a copy holds; `thorough`: every page is checked. Raises StoreError where it is not whole."""
    try:
        facts = file.stat()
        with file.open("rb") as head:
            magic = head.read(len(_MAGIC))
    except OSError as error:
        raise StoreError(f"{file}: {error.strerror}") from None
    if magic != _MAGIC or not stat.S_ISREG(facts.st_mode):
        raise StoreError(f"{file} is no SQLite database")
    try:
        # Not immutable, not writable: a copy is one file, and looking at it leaves none beside it.
        with closing(sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True)) as connection:
            said = connection.execute(f"PRAGMA {'integrity' if thorough else 'quick'}_check(1)").fetchone()
            if said != ("ok",):
                raise StoreError(f"{file} is damaged: {said[0] if said else 'nothing is said of it'}")
            [version] = connection.execute("SELECT version_num FROM bylaw_version").fetchone() or ("",)
            rows = {each: _count(connection, each) for each in TABLES}
    except sqlite3.Error as error:
        raise StoreError(f"{file} is not whole, or no database of bylaw: {error}") from None
    return Copy(file, _taken(file, facts.st_mtime), facts.st_size, str(version), rows)


def newest(place: Path) -> Copy | None:
    """The last copy in a folder that is whole, or the one that a file is; None where there is none."""
    if not place.is_dir():
        return look(place) if place.exists() else None
    files = [file for file in place.iterdir() if file.suffix == ".db" and not file.name.startswith(".")]
    for file in sorted(files, key=lambda file: _taken(file, file.stat().st_mtime), reverse=True):
        with suppress(StoreError):  # one that is not whole is no copy
            return look(file)
    return None


def last_taken(place: Path) -> float | None:
    """When the last copy in a folder was taken, by its name and date alone (seconds since 1970)."""
    try:
        files = [place] if place.is_file() else [f for f in place.iterdir() if f.suffix == ".db"]
        taken = [_taken(file, file.stat().st_mtime) for file in files if not file.name.startswith(".")]
    except OSError:
        return None
    return max(taken, default=None)


def _taken(file: Path, changed: float) -> float:
    """A file that was copied once more looks younger than what it holds: its name knows better."""
    stamp = _STAMP.search(file.name)
    if stamp is None:
        return changed
    with suppress(ValueError):
        return min(changed, datetime.strptime(stamp[1], "%Y%m%dT%H%M%S").replace(tzinfo=UTC).timestamp())
    return changed


def _count(connection: sqlite3.Connection, table: str) -> int:
    return int(connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0])  # noqa: S608  # nosec B608 - TABLES


@contextmanager
def _beside(target: Path) -> Iterator[Path]:
    """A file of its own name beside the target, for its owner alone; gone if it is not given another."""
    partial = target.with_name(f".{target.name}.{secrets.token_hex(4)}.partial")
    os.close(os.open(partial, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    try:
        yield partial
    finally:
        for end in ("", "-journal", "-wal", "-shm"):
            Path(f"{partial}{end}").unlink(missing_ok=True)


def _copied(source: Path, partial: Path, progress: Progress | None) -> None:
    try:
        with (
            closing(sqlite3.connect(f"{source.absolute().as_uri()}?mode=rw", uri=True, timeout=30)) as read,
            closing(sqlite3.connect(partial)) as written,
        ):
            read.isolation_level = None
            read.execute("BEGIN")  # one moment for all steps: a writer does not have it begin again
            read.execute("SELECT count(*) FROM sqlite_master").fetchone()
            read.backup(
                written,
                pages=PAGES,
                progress=lambda _, left, total: progress(total - left, total) if progress else None,
                sleep=0,
            )
            read.execute("ROLLBACK")
            written.execute("PRAGMA journal_mode = DELETE").fetchone()  # one file, without a log beside it
    except sqlite3.Error as error:
        raise StoreError(f"the database could not be copied: {error}") from None


def _named(partial: Path, target: Path) -> None:
    """Give a file its name, unless another has taken it meanwhile."""
    try:
        os.link(partial, target)  # in one step, and never over another file
    except FileExistsError:
        raise StoreError(f"{target} is there already; --force replaces it") from None
    except OSError:  # a file system without links
        partial.replace(target)


def _flush(path: Path) -> None:
    number = os.open(path, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)
