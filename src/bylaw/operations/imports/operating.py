"""Imports as an operator sees them: everybody's, to look at and to end. He may read the database anyway."""

from __future__ import annotations

from bylaw.controls import audit, imports
from bylaw.house import House
from bylaw.operations.authority import SYSTEM, stated
from bylaw.operations.imports import telling, working
from bylaw.reasons import Refused
from bylaw.store import imports as store
from bylaw.store.imports import Import, Note


def listed(house: House, *, limit: int) -> list[Import]:
    """Everybody's imports, the newest first."""
    with house.store.reading() as connection:
        return store.newest(connection, limit=limit)


def find(house: House, import_id: str) -> Import:
    """An import, whosever it is. Raises Refused."""
    with house.store.reading() as connection:
        row = store.find(connection, import_id)
    if row is None:
        raise Refused(imports.UNKNOWN)
    return row


def errors(house: House, row: Import, *, limit: int) -> list[Note]:
    """What is told of rows that were not taken."""
    return telling.notes(house, row, "error", limit=limit)


def cancel(house: House, import_id: str, *, reason: str) -> Import:
    """Have an import ended between two batches, with a record. Raises Refused where it has ended."""
    said, now = stated(reason), house.now()
    row = find(house, import_id)
    with house.store.transaction() as connection:
        if row.under_way:
            done = working.end_waiting(house, connection, row) or store.change(
                connection, row.id, when=store.UNDER_WAY, now=now, cancel_at=now
            )
        else:
            ended = {"state": store.CANCELLED, "finished_at": now, "because": "Cancelled by the operator."}
            done = store.change(connection, row.id, when=[store.OPEN], now=now, **ended)
        if not done:
            raise Refused(imports.STATE)
        audit.record(
            house,
            connection,
            action="import_cancel",
            actor=SYSTEM,
            entity_type="import",
            entity_id=row.id,
            changes={"importer": row.importer, "file": row.name, "reason": said},
        )
    return find(house, import_id)
