"""The ways in which the control is broken on purpose, to see that its probes notice."""

from __future__ import annotations

import sys
from contextlib import suppress
from typing import Any, Final

from sqlalchemy.exc import SQLAlchemyError

from bylaw.control import Patch, sabotage
from bylaw.controls import audit
from bylaw.spreadsheet import cells
from bylaw.store import engine


@sabotage
def nothing_is_recorded(patch: Patch) -> None:
    """Changes leave no record."""
    patch(audit, "record", lambda house, connection, **facts: None)


@sabotage
def records_are_optional(patch: Patch) -> None:
    """A change goes through when its record cannot be written."""
    real = audit.record

    def record(house: Any, connection: Any, **facts: Any) -> None:
        with suppress(SQLAlchemyError):
            real(house, connection, **facts)

    patch(audit, "record", record)


@sabotage
def secrets_are_recorded(patch: Patch) -> None:
    """Old and new values are recorded as they are."""
    patch(audit, "masked", lambda value, key="": value)


@sabotage
def lines_are_not_cleaned(patch: Patch) -> None:
    """What a request brings is recorded as it came."""
    patch(audit, "printable", lambda value, limit: value)


@sabotage
def failures_are_not_told_apart(patch: Patch) -> None:
    """Every record says success."""
    real = audit.record

    def record(house: Any, connection: Any, **facts: Any) -> None:
        real(house, connection, **{**facts, "outcome": "success"})

    patch(audit, "record", record)


@sabotage
def records_can_be_edited(patch: Patch) -> None:
    """The database has no triggers that keep the log as it is."""
    real = engine._prepare

    def prepare(connection: Any, record: object) -> None:
        real(connection, record)
        for name in ("update", "delete", "replace"):
            connection.execute(f"DROP TRIGGER IF EXISTS audit_log_no_{name}")

    patch(engine, "_prepare", prepare)


@sabotage
def exports_are_not_recorded(patch: Patch) -> None:
    """Tables leave without a record."""
    patch(sys.modules["bylaw.operations.exporting"].Export, "_record", lambda export, outcome: None)


@sabotage
def exports_are_recorded_at_once(patch: Patch) -> None:
    """The record of an export is written when it begins, and says that all of it has left."""
    exporting = sys.modules["bylaw.operations.exporting"]
    real = exporting.Export._ahead

    def ahead(export: Any) -> bytes:
        export._record("success")
        return bytes(real(export))

    patch(exporting.Export, "_ahead", ahead)


@sabotage
def cells_run(patch: Patch) -> None:
    """Texts are exported as they are."""
    patch(cells, "guarded", lambda text: text)


SABOTAGES: Final = (
    nothing_is_recorded,
    records_are_optional,
    secrets_are_recorded,
    lines_are_not_cleaned,
    failures_are_not_told_apart,
    records_can_be_edited,
    exports_are_not_recorded,
    exports_are_recorded_at_once,
    cells_run,
)
