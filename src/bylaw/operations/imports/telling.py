"""An import as it is told to people and programs: where it is, what was found, what may be done with it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from bylaw import spreadsheet
from bylaw.controls import imports
from bylaw.house import House
from bylaw.operations.imports import desk, faults, verbs
from bylaw.store import imports as store
from bylaw.store.imports import Import, Note

PAGE: Final = 50
"""Errors of one page."""
STATES: Final = {
    store.OPEN: "not started",
    store.CHECKING: "being checked",
    store.RUNNING: "being imported",
    store.DONE: "imported",
    store.FAILED: "failed",
    store.CANCELLED: "cancelled",
}
DELIMITERS: Final = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar"}


def told(house: House, row: Import) -> dict[str, Any]:
    """What a program is told of an import."""
    found = row.found
    counts = found.get("counts", {})
    importer = desk.of(house).find(row.importer)
    return {
        "id": row.id,
        "importer": row.importer,
        "title": importer.title if importer is not None else row.importer,
        "name": row.name,
        "kind": row.kind,
        "size": row.size,
        "state": row.state,
        "mode": row.mode,
        "because": row.because,
        "encoding": row.seen.get("encoding", ""),
        "delimiter": row.seen.get("delimiter", ""),
        "sheet": row.seen.get("sheet", ""),
        "sheets": row.seen.get("sheets", []),
        "row": row.seen.get("row", 0),
        "headings": row.seen.get("headings", []),
        "columns": row.chosen.get("columns", []),
        "options": row.chosen.get("options", {}),
        "checked": bool(found.get("checked")),
        "good": found.get("good", 0),
        "errors": found.get("errors", 0),
        "skipped": found.get("skipped", 0),
        "created": counts.get("created", 0),
        "updated": counts.get("updated", 0),
        "unchanged": counts.get("unchanged", 0),
        "url": counts.get("url", ""),
        "noted": found.get("noted", []),
        "progress": progress(house, row),
        "created_at": row.created_at,
        "started_at": row.started_at,
        "finished_at": row.finished_at,
        "cancelling": row.under_way and row.cancel_at is not None,
    }


def progress(house: House, row: Import) -> dict[str, Any] | None:
    """How far it is: rows done, of how many, rows a second, seconds left; None where nothing is under way.

    How many there are is known once a dry run has read all of them.
    """
    if not row.under_way:
        return None
    work = desk.of(house).works.get(row.id)
    done = max(row.at_row, work.row if work is not None else 0)
    passed = house.now() - (row.started_at or house.now())
    rate = done / passed if passed > 0 and done else 0.0
    left = (row.rows - done) / rate if rate and row.rows and row.rows >= done else None
    return {
        "done": done,
        "of": row.rows,
        "a_second": round(rate),
        "left": None if left is None else round(left),
        "waiting": not done and not _claimed(house, row),
    }


def _claimed(house: House, row: Import) -> bool:
    """Whether a worker has it, somewhere."""
    with house.store.reading() as connection:
        return store.claimed(connection, row.id, house.now())


def progress_said(told: dict[str, Any]) -> str:
    """The same as a sentence."""
    if told["waiting"]:
        return "Waiting for its turn."
    if not told["done"]:
        return "It has begun."
    of = f" of {told['of']:,}" if told["of"] else ""
    said = f"{told['done']:,}{of} rows"
    if told["a_second"]:
        said += f", {told['a_second']:,} a second"
    if told["left"] is not None:
        said += f", about {_left(told['left'])} left"
    return f"{said}."


def _left(seconds: int) -> str:
    if seconds < 90:
        return f"{max(seconds, 1)} seconds" if seconds != 1 else "1 second"
    return f"{round(seconds / 60)} minutes"


def notes(house: House, row: Import, kind: str, *, after: int = 0, limit: int = PAGE) -> list[Note]:
    """What is told of its rows: `error` or `skipped`, in the order of the file."""
    with house.store.reading() as connection:
        return store.noted(connection, row.id, kind, after=after, limit=limit)


def as_json(told: Note) -> dict[str, Any]:
    return {
        "row": told.row,
        "column": told.column,
        "value": told.value,
        "said": told.said,
        "sentence": faults.sentence(told),
    }


def errors_csv(house: House, row: Import) -> bytes:
    """The rows that were not imported, as CSV that no spreadsheet program runs; marked as UTF-8 for those
    that would guess."""
    most = house.policy.of(imports.Settings).errors
    lines = [spreadsheet.line(("row", "column", "value", "what is wrong", "kind"))]
    for kind in ("error", "skipped"):
        lines.extend(_lines(notes(house, row, kind, limit=most * 20)))
    return "\ufeff".encode() + "".join(lines).encode()


def _lines(found: Iterable[Note]) -> Iterable[str]:
    for each in found:
        yield spreadsheet.line((each.row, each.column, each.value, each.said, each.kind))


def repeats(house: House, row: Import) -> Import | None:
    """The import that starting this one would only repeat."""
    if row.state != store.OPEN or not row.seen:
        return None
    with house.store.reading() as connection:
        return verbs.repeated(connection, row)
