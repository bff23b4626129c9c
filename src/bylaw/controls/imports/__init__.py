"""Imports: a table becomes rows of the application as its sender meant it, or not at all, and he sees why.

Threat: a table that takes the server down (one endless cell, a quotation mark that is never closed, a
hundred thousand columns: CWE-400); values that nobody has looked at (CWE-20); rows that a crash loses or
doubles, and imports that two processes work on at once (CWE-362); somebody else's rows and errors, read by
an id (CWE-639, CVE-2026-46691); a role that was taken away while the import waited (CWE-367).
Mechanism: files come through the one way in (see uploads); a table is read row by row within limits; each
row is validated by the importer's Pydantic model and told by row, column, value and what is accepted; a dry
run asks the database, too, and is rolled back; what is imported is committed together with how far it is,
behind a fence that a worker who was taken over cannot pass; the permission is asked at the beginning, at
the start and before each batch; an import is its owner's alone. Source: OWASP File Upload and Input
Validation, ASVS 5.0.0 1.3.3, 2.2.1, 2.3.3, 5.1.1 and 8.2.2; S1-087 to S1-089; C-29.
It does not know whether a value is true, and undoes no import that is done.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from pydantic import Field

from bylaw import control
from bylaw.control import Conflict, Control
from bylaw.controls import uploads
from bylaw.controls.imports import probes, sabotages
from bylaw.controls.imports.reasons import (
    ALL,
    COLUMNS,
    OPTIONS,
    REPEATED,
    STATE,
    TOO_MANY,
    UNKNOWN,
    UNREADABLE,
)
from bylaw.policy import Policy
from bylaw.quantities import Duration, spoken
from bylaw.spreadsheet import Limits

__all__ = [
    "COLUMNS",
    "CONTROL",
    "OPTIONS",
    "REPEATED",
    "STATE",
    "TOO_MANY",
    "UNKNOWN",
    "UNREADABLE",
    "Settings",
    "limits",
    "used",
]

KINDS: Final = ("csv", "xlsx")
"""What a table may be written in."""
MOST_COLUMNS: Final = 150
"""A form's fields: one for each column (see pages.forms)."""


class Settings(control.Settings):
    """How much an import may be, and how long it is kept."""

    rows: int = Field(200_000, ge=1, le=1_048_576)
    """Rows of one table."""

    columns: int = Field(MOST_COLUMNS, ge=1, le=MOST_COLUMNS)
    """Columns of one table."""

    cells: int = Field(5_000_000, ge=1)
    """Cells of one table."""

    cell: int = Field(10_000, ge=1, le=1_000_000)
    """Characters of one cell."""

    running: int = Field(2, ge=1, le=100)
    """Imports that one person may have under way."""

    unfinished: int = Field(20, ge=1, le=1_000)
    """Imports that one person may have begun and not finished."""

    errors: int = Field(1_000, ge=1, le=10_000)
    """Rows of one import that are told as errors, and as many as skipped; the others are counted."""

    kept: Duration = Field(30 * 86_400, ge=3_600)
    """How long an import and its file are kept after the last change of it."""


def used(policy: Policy) -> bool:
    """Whether there are imports."""
    return not policy.of(Settings).off and not _idle(policy)


def limits(policy: Policy) -> Limits:
    """Within what a table is read."""
    settings = policy.of(Settings)
    return Limits(rows=settings.rows, columns=settings.columns, cells=settings.cells, cell=settings.cell)


def _idle(policy: Policy) -> str:
    if set(KINDS).isdisjoint(policy.of(uploads.Settings).kinds):
        return "[uploads] kinds has neither csv nor xlsx"
    return ""


def _conflicts(policy: Policy) -> Iterable[Conflict]:
    settings = policy.of(Settings)
    if settings.cells < settings.rows:
        yield Conflict(
            "imports.cells",
            f"less than one cell for each of {settings.rows:,} rows",
            "at least as many cells as rows",
        )
    if settings.unfinished < settings.running:
        yield Conflict(
            "imports.unfinished",
            f"fewer than may be under way (running = {settings.running})",
            "at least as many as may be under way",
        )


def _statement(policy: Policy) -> list[str]:
    settings = policy.of(Settings)
    return [
        (
            f"A table is read row by row within limits: {settings.rows:,} rows, {settings.columns} columns, "
            f"{settings.cells:,} cells of at most {settings.cell:,} characters. Nothing in it is evaluated "
            "or followed."
        ),
        (
            "Each row is validated by the importer's model. What cannot be taken is told by row, column, "
            "value and what is accepted, and can be downloaded as CSV that no spreadsheet program runs."
        ),
        (
            "A dry run validates every row and asks the database, and leaves nothing behind. Whoever imports "
            "chooses: all rows or none, or the good ones. The same file with the same columns and options is "
            "imported a second time only when asked for."
        ),
        (
            "What is imported is committed together with how far the import is: a worker that dies loses "
            "nothing and doubles nothing, and one that was taken over writes nothing more."
        ),
        (
            "The permission is asked at the beginning, at the start and before each batch. An import, its "
            "rows and its errors are its owner's alone: everybody else is answered as if it were not there."
        ),
        (
            f"One person has at most {settings.running} imports under way and {settings.unfinished} "
            f"unfinished. Imports and their files are kept for {spoken(settings.kept)}."
        ),
        "Beginning, starting, finishing, failing and cancelling are recorded, with the counts.",
    ]


CONTROL = Control(
    name="imports",
    title="Imports",
    settings=Settings,
    statement=_statement,
    reasons=ALL,
    probes=probes.PROBES,
    sabotages=sabotages.SABOTAGES,
    conflicts=_conflicts,
    idle=_idle,
    requirements=("S1-087", "S1-088", "S1-089", "C-29"),
    asvs=("1.3.3", "2.2.1", "2.2.2", "2.3.3", "2.4.1", "8.2.2"),
)
