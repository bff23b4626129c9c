"""Parts, which both applications import from tables: a table of the application's own, and its importer."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from decimal import Decimal
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StringConstraints
from sqlalchemy import (
    Column,
    Connection,
    Engine,
    Integer,
    MetaData,
    Numeric,
    String,
    Table,
    insert,
    select,
    update,
)

from bylaw.controls import errors
from bylaw.identity import Identity
from bylaw.imports import Counts
from bylaw.operations.imports import Imports
from bylaw.reasons import Refused

KINDS = ("csv", "xlsx")
FORM = (
    "<!doctype html><html lang=en><title>Import parts</title><main><h1>Import parts</h1>"
    "<form method=post enctype=multipart/form-data>{{ csrf_field() }}"
    "<label>Table of parts <input type=file name=file required></label>"
    "<button>Upload and look</button></form></main></html>"
)
metadata = MetaData()
parts = Table(
    "parts",
    metadata,
    Column("number", String(20), primary_key=True),
    Column("name", String(80), nullable=False),
    Column("quantity", Integer, nullable=False),
    Column("price", Numeric(12, 4, asdecimal=True).with_variant(String(20), "sqlite")),
    Column("shelf", String(20), nullable=False),
    Column("by", String(36), nullable=False),
)


class PartRow(BaseModel):
    """A row of a table of parts."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True)
    number: Annotated[str, StringConstraints(pattern=r"^[A-Z]-\d{1,6}$")] = Field(
        title="Part number",
        examples=["R-101"],
        json_schema_extra={"also": ["Part no", "Artikelnummer", "PN"]},
    )
    name: str = Field(min_length=1, max_length=80, json_schema_extra={"also": ["Description", "Bezeichnung"]})
    quantity: int = Field(gt=0, le=1_000_000, json_schema_extra={"also": ["Qty", "Menge", "Count"]})
    price: Decimal | None = Field(None, ge=0, max_digits=12, decimal_places=4)


class Where(enum.StrEnum):
    main = "main"
    attic = "attic"


class PartOptions(BaseModel):
    """What is asked beside the file."""

    shelf: Where = Field(Where.main, description="Where the parts are kept.")


def prepare(engine: Engine) -> None:
    metadata.create_all(engine)


def save(connection: Connection, rows: Sequence[PartRow], who: Identity, options: PartOptions) -> Counts:
    """New parts are added, those that are there are changed; rows of one call name each part once."""
    held = {
        row.number: row
        for row in connection.execute(select(parts).where(parts.c.number.in_([row.number for row in rows])))
    }
    added: list[dict[str, Any]] = []
    updated = unchanged = 0
    for row in rows:
        values = {
            "name": row.name,
            "quantity": row.quantity,
            "price": None if row.price is None else str(row.price),
            "shelf": options.shelf.value,
        }
        before = held.get(row.number)
        if before is None:
            added.append({"number": row.number, "by": who.id, **values})
        elif (before.name, before.quantity, before.shelf) == (row.name, row.quantity, options.shelf.value):
            unchanged += 1
        else:
            connection.execute(update(parts).where(parts.c.number == row.number).values(**values))
            updated += 1
    if added:
        connection.execute(insert(parts), added)
    return Counts(len(added), updated, unchanged)


def declare(imports: Imports) -> None:
    imports.importer(
        "parts",
        title="Parts",
        model=PartRow,
        permission="note:create",
        key=("number",),
        options=PartOptions,
    )(save)


def begun(imports: Imports, engine: Engine, given: Any, who: Identity) -> dict[str, str]:
    """Begin an import of the file that came; there may be none."""
    if not given:
        raise Refused(errors.INVALID, fields={"file": "needed"})
    prepare(engine)
    made = imports.begin("parts", given[0], by=who)
    return {"id": made.id, "url": made.url}
