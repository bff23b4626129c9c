"""Rows of imported tables into the catalogue and the lots: what is new, what changes, what stays as it is.

Each function saves one batch in the transaction that it is given. A row that it cannot take is a `ValueError`
with a sentence for people; bylaw then tries the rows of the batch one by one and tells which it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import inspect, select
from sqlalchemy.orm import Session

from apps.mtc.models import Item, Lot, LotNote, LotState, Price, Process, Supplier, Variant
from apps.mtc.services import audit, records
from apps.mtc.services.bom.parts import UNNAMED_SUPPLIER
from apps.mtc.services.bom.shelf import Shelf
from apps.mtc.validators.cells import amount_of, currency_of
from apps.mtc.validators.import_validators import ItemOptions, ItemRow, LotRow


@dataclass
class Tally:
    """What became of the rows of a batch."""

    created: int = 0
    updated: int = 0
    unchanged: int = 0


def save_items(session: Session, rows: Sequence[ItemRow], options: ItemOptions) -> Tally:
    """Items, their variants and prices: found by name or made, never a second time."""
    shelf = Shelf(session, rows)
    tally = Tally()
    for row in rows:
        before = len(shelf.made)
        changed = _item(session, shelf, row, options)
        if len(shelf.made) == before:
            tally.unchanged, tally.updated = tally.unchanged + (not changed), tally.updated + changed
        elif any(isinstance(made, Item | Variant) for made in shelf.made[before:]):
            tally.created += 1
        else:
            tally.updated += 1
    session.add_all(shelf.made)
    session.flush()
    _note_made(session, shelf)
    return tally


def _item(session: Session, shelf: Shelf, row: ItemRow, options: ItemOptions) -> bool:
    """One row into what is known; whether something that was there has changed."""
    new = row.item not in shelf.items
    variant = shelf.variant(row)
    changed = not new and _altered(session, variant.item, row)
    supplier = (
        shelf.supplier(row.supplier or UNNAMED_SUPPLIER)
        if row.price or row.supplier_part or row.url
        else None
    )
    if supplier is not None and row.price:
        shelf.price(variant, _price(row, supplier, options))
    if supplier is not None:
        shelf.listing(variant, supplier, row.supplier_part, row.url)
    return changed


def _altered(session: Session, item: Item, row: ItemRow) -> bool:
    """The category and the unit, where the file says them and they are others."""
    said = row.model_fields_set
    values: dict[str, Any]
    values = {
        name: getattr(row, name) for name in ("category", "unit") if name in said and getattr(row, name)
    }
    if all(getattr(item, name) == value for name, value in values.items()):
        return False
    if not inspect(item).persistent:  # made by an earlier row of the same batch
        for name, value in values.items():
            setattr(item, name, value)
        return False
    records.alter(session, item, values)
    return True


def _price(row: ItemRow, supplier: Supplier, options: ItemOptions) -> Price:
    return Price(
        supplier=supplier,
        amount=amount_of(row.price),
        per=row.per,
        currency=row.currency or currency_of(row.price) or options.currency,
        min_quantity=row.min_quantity or Decimal(0),
        valid_from=row.valid_from or options.valid_from,
    )


def _note_made(session: Session, shelf: Shelf) -> None:
    """One record for a batch, with the numbers of all that it made; later changes carry the old values."""
    if not shelf.made:
        return
    made = {
        f"{kind.kind()}_ids": [getattr(entity, "id", None) for entity in shelf.made_of(kind)]
        for kind in (Item, Variant, Supplier, Price)
    }
    audit.note(
        session, "import", shelf.made[0], audit.diff({}, {name: ids for name, ids in made.items() if ids})
    )


def save_lots(session: Session, rows: Sequence[LotRow], *, by: str, now: datetime) -> Tally:
    """Lots by their number: planned ones are made or changed, others stay as they are."""
    processes = {
        process.name: process
        for process in session.scalars(select(Process).where(Process.name.in_({row.process for row in rows})))
    }
    known = {
        lot.number: lot
        for lot in session.scalars(select(Lot).where(Lot.number.in_({r.number for r in rows})))
    }
    tally = Tally()
    for row in rows:
        process = processes.get(row.process)
        if process is None:
            raise ValueError(f"There is no process named “{row.process}”.")
        lot = known.get(row.number)
        if lot is None:
            known[row.number] = _planned(session, row, process, by, now)
            tally.created += 1
        elif _changed(session, lot, row, process):
            tally.updated += 1
        else:
            tally.unchanged += 1
    return tally


def _planned(session: Session, row: LotRow, process: Process, by: str, now: datetime) -> Lot:
    lot = Lot(
        number=row.number, process=process, quantity=row.quantity, due=row.due, planned_at=now, planned_by=by
    )
    records.add(session, lot)
    if row.note:
        records.add(session, LotNote(lot=lot, text=row.note, author=by, written_at=now))
    return lot


def _changed(session: Session, lot: Lot, row: LotRow, process: Process) -> bool:
    values = {"quantity": row.quantity, "due": row.due if "due" in row.model_fields_set else lot.due}
    if lot.process_id != process.id:
        raise ValueError(f"Lot {row.number} is there already, and of another process: {lot.process.name}.")
    if all(getattr(lot, name) == value for name, value in values.items()):
        return False
    if lot.state is not LotState.PLANNED:
        raise ValueError(f"Lot {row.number} is {lot.state.value}; only a planned lot can be changed.")
    records.alter(session, lot, {**values, "revision": lot.revision + 1})
    return True
