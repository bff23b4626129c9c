"""bylaw db: the database's version, and copies of it."""

from __future__ import annotations

import json
import shlex
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
from pydantic import TypeAdapter, ValidationError
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn
from sqlalchemy import Engine

from bylaw.cli.common import JSON, POLICY, err, fail, out, site, spoken
from bylaw.errors import StoreError
from bylaw.quantities import Duration
from bylaw.quantities import spoken as in_words
from bylaw.store import backup as copies
from bylaw.store import migrate
from bylaw.store.backup import Copy
from bylaw.store.engine import file_of


@click.group()
def db() -> None:
    """The database: its version, and copies of it."""


@db.command()
@POLICY
@spoken
def upgrade(policy: str | None) -> None:
    """Bring the database to this version.

    Safe to run again, and by two at once.
    """
    opened = site(policy)
    engine = opened.house.store.engine
    try:
        before = migrate.current(engine)
        migrate.upgrade(engine)
        out.print(f"{before or 'empty'} → {migrate.current(engine)}")
    finally:
        opened.close()


@db.command()
@POLICY
@spoken
def current(policy: str | None) -> None:
    """Say which version the database has.

    Exit code 1 when it is not the one that this bylaw needs.
    """
    opened = site(policy)
    try:
        have, need = migrate.current(opened.house.store.engine), migrate.latest()
    finally:
        opened.close()
    out.print(f"{have or 'empty'} (needed: {need})")
    if have != need:
        fail("run: bylaw db upgrade")


@db.command(short_help="Copy a SQLite database while the application runs.")
@click.argument("target", type=click.Path(path_type=Path))
@click.option("--force", is_flag=True, help="Replace a file that is there.")
@POLICY
@JSON
@spoken
def backup(target: Path, force: bool, policy: str | None, as_json: bool) -> None:
    """Copy a SQLite database to TARGET while the application runs: a file, or a folder.

    The copy is of one moment, and whole: every page of it is checked before it gets its name. Only its owner
    may read it; it holds all that the database does. In a folder it is named by the time, and `bylaw db
    backups` says how old the last one is. Of PostgreSQL the command is named that does the same.
    """
    opened = site(policy)
    try:
        engine = opened.house.store.engine
        source = file_of(engine)
        if source is None:
            fail(_by_pg_dump(engine, target))
        if target.is_dir():
            target /= copies.name(source, time.time())
        with _bar(hidden=as_json) as bar:
            task = bar.add_task(f"copying {source.name}", total=None)
            copy = copies.make(
                source,
                target,
                force=force,
                progress=lambda done, total: bar.update(task, completed=done, total=total),
            )
    finally:
        opened.close()
    _tell(copy, as_json)


@db.command(short_help="Say how old the last copy is.")
@click.argument("place", type=click.Path(path_type=Path))
@click.option(
    "--within", default="1d", show_default=True, metavar="AGE", help="How old the last one may be: 1d, 12h."
)
@JSON
@spoken
def backups(place: Path, within: str, as_json: bool) -> None:
    """Say how old the last copy in PLACE is: a folder, or the copy itself.

    Exit code 1 when it is older than AGE, or when there is none that is whole: for a timer that raises the
    alarm.
    """
    try:
        limit = TypeAdapter(Duration).validate_python(within)
    except ValidationError:
        raise click.BadParameter(f"{within!r} is no duration; e.g. 1d, 12h", param_hint="--within") from None
    copy = copies.newest(place)
    if copy is None:
        raise StoreError(f"there is no copy in {place}")
    _tell(copy, as_json)
    if (age := time.time() - copy.taken_at) > limit:
        fail(f"it is {_about(age)} old; {in_words(limit)} is the most")


def _about(age: float) -> str:
    """An age in its greatest unit."""
    unit = next(size for size in (2 * 86400, 3600, 60, 1) if age >= size or size == 1)
    size = min(unit, 86400)
    return in_words(int(age // size) * size)


def _by_pg_dump(engine: Engine, target: Path) -> str:
    url = engine.url.set(drivername="postgresql")._replace(password=None).render_as_string()
    dump = shlex.join(["pg_dump", "--format=custom", f"--file={target}", url])
    restore = shlex.join(["pg_restore", "--list", str(target)])
    return (
        "this database is copied by its own tool (the password: PGPASSWORD or ~/.pgpass), which sees one "
        f"moment as well:\n  {dump}\n  {restore}  # that it can be read"
    )


def _bar(*, hidden: bool) -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn())
    return Progress(*columns, console=err, transient=True, disable=hidden or not err.is_terminal)


def _tell(copy: Copy, as_json: bool) -> None:
    age = max(0, int(time.time() - copy.taken_at))
    if as_json:
        facts: dict[str, Any] = {**asdict(copy), "file": str(copy.file), "age": age}
        out.print_json(json.dumps(facts))
        return
    rows = ", ".join(f"{count:,} {table.replace('_', ' ')}" for table, count in copy.rows.items())
    needed = migrate.latest()
    version = copy.version if copy.version == needed else f"{copy.version} (this bylaw needs {needed})"
    when = "just now" if age < 60 else f"{_about(age)} ago"
    out.print(f"{copy.file}  {copy.bytes / 1e6:,.1f} MB  whole  version {version}  {rows}  {when}")
