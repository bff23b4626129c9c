"""A read bill of materials into the database: all of it or nothing, with one audit row."""

from __future__ import annotations

from dataclasses import dataclass, replace
from decimal import Decimal

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from apps.mtc.models import Alternative, Item, Price, Process, Subprocess, Supplier, Usage, Variant
from apps.mtc.services import audit
from apps.mtc.services.bom.parts import UNNAMED_SUPPLIER, Money, Part
from apps.mtc.services.bom.preview import Preview, Section
from apps.mtc.services.bom.shelf import Shelf
from apps.mtc.services.errors import ConflictError, RejectedError
from apps.mtc.validators.import_validators import ImportMapping

_LONGEST_LABEL = 2000


@dataclass(frozen=True)
class Outcome:
    process: Process
    parts: int
    skipped: int
    items: int
    variants: int
    suppliers: int
    prices: int


def load(session: Session, preview: Preview, mapping: ImportMapping, *, source: str) -> Outcome:
    """Create the process with its items, variants, suppliers and prices.

    Raises `RejectedError` if rows have errors that nobody agreed to leave out, if there are no
    parts, or if the process exists; `ConflictError` if another import made the same just now.
    """
    _refuse_unless_ready(session, preview, mapping)
    sections = [_merged(section) if mapping.merge else section for section in preview.sections]
    shelf = Shelf(session, preview.parts)
    process = Process(
        name=mapping.process_name,
        description=f"Imported from {source}.",
        subprocesses=[
            _subprocess(position, section, shelf, mapping)
            for position, section in enumerate(sections, start=1)
        ],
    )
    session.add_all([*shelf.made, process])
    try:
        session.flush()
    except IntegrityError as error:
        session.rollback()
        raise ConflictError("Somebody else imported the same parts just now; try again.") from error
    outcome = _outcome(process, preview, shelf)
    audit.note(session, "import", process, _changes(outcome, shelf, source))
    return outcome


def _refuse_unless_ready(session: Session, preview: Preview, mapping: ImportMapping) -> None:
    if preview.problems and not mapping.skip_errors:
        raise RejectedError("skip_errors", "Some rows have errors: mend them or leave them out.")
    if not preview.parts:
        raise RejectedError("roles", "With these columns no row is a part.")
    name = mapping.process_name
    if session.scalar(select(Process.id).where(Process.name == name)) is not None:
        raise RejectedError("process_name", "There is already a process of this name.")


def _subprocess(position: int, section: Section, shelf: Shelf, mapping: ImportMapping) -> Subprocess:
    usages = [_usage(part, shelf, mapping) for part in section.parts]
    return Subprocess(position=position, name=section.name[:200], usages=usages)


def _usage(part: Part, shelf: Shelf, mapping: ImportMapping) -> Usage:
    variant = shelf.variant(part)
    named = part.supplier or UNNAMED_SUPPLIER
    if part.price:
        shelf.price(variant, _price(part.price, shelf.supplier(named), mapping))
    if part.supplier_part or part.url:
        shelf.listing(variant, shelf.supplier(named), part.supplier_part, part.url)
    for name, number in part.distributors:
        shelf.listing(variant, shelf.supplier(name), number, "")
    return Usage(
        label=part.references[:_LONGEST_LABEL],
        quantity=part.quantity,
        alternatives=[Alternative(variant=variant)],
    )


def _price(money: Money, supplier: Supplier, mapping: ImportMapping) -> Price:
    return Price(
        supplier=supplier,
        amount=money.amount,
        per=money.per,
        currency=money.currency or mapping.currency,
        min_quantity=Decimal(0),
        valid_from=mapping.valid_from,
    )


def _merged(section: Section) -> Section:
    """The same part in several rows as one usage: quantities added, references side by side."""
    kept: list[Part] = []
    places: dict[tuple[object, ...], int] = {}
    for part in section.parts:
        key = (part.item, part.variant, part.manufacturer, part.supplier, part.price, part.url)
        place = places.setdefault(key, len(kept))
        if place == len(kept):
            kept.append(part)
            continue
        first = kept[place]
        references = ", ".join(name for name in (first.references, part.references) if name)
        total = first.quantity + part.quantity
        kept[place] = replace(first, quantity=total, references=references)
    return Section(section.name, tuple(kept))


def _outcome(process: Process, preview: Preview, shelf: Shelf) -> Outcome:
    return Outcome(
        process=process,
        parts=len(preview.parts),
        skipped=len({problem.row for problem in preview.problems}),
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
    told = {"file": source, "rows": outcome.parts, "rows_left_out": outcome.skipped}
    return audit.diff({}, {**outcome.process.audited(), **told, **made})
