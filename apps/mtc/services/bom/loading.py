"""The parts of a bill of materials into the database: all of them or nothing, with one audit row."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from apps.mtc.models import Alternative, Item, Price, Process, Subprocess, Supplier, Usage, Variant
from apps.mtc.services import audit
from apps.mtc.services.bom.parts import UNNAMED_SUPPLIER
from apps.mtc.services.bom.shelf import Shelf
from apps.mtc.services.errors import ConflictError, RejectedError
from apps.mtc.validators.cells import Priced
from apps.mtc.validators.import_validators import BomPart

_LONGEST_LABEL = 2000


@dataclass(frozen=True)
class Terms:
    """What the file does not say."""

    process_name: str
    currency: str
    valid_from: date
    merge: bool = True


@dataclass(frozen=True)
class Outcome:
    process: Process
    parts: int
    items: int
    variants: int
    suppliers: int
    prices: int


def load(session: Session, parts: Sequence[BomPart], terms: Terms, *, source: str) -> Outcome:
    """Create the process with its items, variants, suppliers and prices.

    Raises `RejectedError` if there are no parts or the process exists; `ConflictError` if another import made
    the same just now.
    """
    _refuse_unless_ready(session, parts, terms)
    shelf = Shelf(session, parts)
    process = Process(
        name=terms.process_name,
        description=f"Imported from {source}.",
        subprocesses=[
            Subprocess(
                position=position,
                name=name,
                usages=[_usage(part, label, quantity, shelf, terms) for part, label, quantity in usages],
            )
            for position, (name, usages) in enumerate(_sections(parts, merge=terms.merge), start=1)
        ],
    )
    session.add_all([*shelf.made, process])
    try:
        session.flush()
    except IntegrityError as error:
        session.rollback()
        raise ConflictError("Somebody else imported the same parts just now; try again.") from error
    outcome = _outcome(process, parts, shelf)
    audit.note(session, "import", process, _changes(outcome, shelf, source))
    return outcome


def _refuse_unless_ready(session: Session, parts: Sequence[BomPart], terms: Terms) -> None:
    if not parts:
        raise RejectedError("columns", "With these columns no row is a part.")
    if session.scalar(select(Process.id).where(Process.name == terms.process_name)) is not None:
        raise RejectedError("process_name", "There is already a process of this name.")


Placed = tuple[BomPart, str, Decimal]
"""A part with the places that it goes to and how many of it: several rows of a file may be one."""


def _sections(parts: Iterable[BomPart], *, merge: bool) -> list[tuple[str, list[Placed]]]:
    """Subprocesses to be: the parts under one heading, in the order of the file."""
    found: dict[str, list[Placed]] = {}
    for part in parts:
        found.setdefault(part.section or "Parts", []).append((part, part.references, part.quantity))
    return [(name, _merged(placed) if merge else placed) for name, placed in found.items()]


def _merged(placed: Iterable[Placed]) -> list[Placed]:
    """The same part in several rows as one usage: quantities added, places side by side."""
    kept: dict[tuple[object, ...], Placed] = {}
    for part, references, quantity in placed:
        key = (part.item, part.variant_name, part.manufacturer, part.supplier, part.price, part.url)
        if key in kept:
            first, before, number = kept[key]
            joined = ", ".join(name for name in (before, references) if name)
            kept[key] = (first, joined, number + quantity)
        else:
            kept[key] = (part, references, quantity)
    return list(kept.values())


def _usage(part: BomPart, label: str, quantity: Decimal, shelf: Shelf, terms: Terms) -> Usage:
    variant = shelf.variant(part)
    named = part.supplier or UNNAMED_SUPPLIER
    if part.price:
        shelf.price(variant, _price(part.price, shelf.supplier(named), terms))
    if part.supplier_part or part.url:
        shelf.listing(variant, shelf.supplier(named), part.supplier_part, part.url)
    for name, number in part.listings:
        shelf.listing(variant, shelf.supplier(name), number, "")
    return Usage(label=label[:_LONGEST_LABEL], quantity=quantity, alternatives=[Alternative(variant=variant)])


def _price(price: Priced, supplier: Supplier, terms: Terms) -> Price:
    return Price(
        supplier=supplier,
        amount=price.amount,
        per=price.per,
        currency=price.currency or terms.currency,
        min_quantity=Decimal(0),
        valid_from=terms.valid_from,
    )


def _outcome(process: Process, parts: Sequence[BomPart], shelf: Shelf) -> Outcome:
    return Outcome(
        process=process,
        parts=len(parts),
        items=len(shelf.made_of(Item)),
        variants=len(shelf.made_of(Variant)),
        suppliers=len(shelf.made_of(Supplier)),
        prices=len(shelf.made_of(Price)),
    )


def _changes(outcome: Outcome, shelf: Shelf, source: str) -> audit.Changes:
    """One row for the whole import: what it made, by id; later changes carry the old values."""
    made = {
        f"{kind.kind()}_ids": [getattr(entity, "id", None) for entity in shelf.made_of(kind)]
        for kind in (Item, Variant, Supplier, Price)
    }
    told = {"file": source, "rows": outcome.parts}
    return audit.diff({}, {**outcome.process.audited(), **told, **made})
