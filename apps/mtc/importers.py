"""What MTC takes by imports: bills of materials, items with their prices, production lots."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any

from sqlalchemy import Connection

from apps.mtc.services import importing
from apps.mtc.services.audit import AuditedSession
from apps.mtc.services.bom import arranging, columns, loading
from apps.mtc.services.bom.parts import Found, Left, Remark
from apps.mtc.services.errors import ConflictError, RejectedError
from apps.mtc.validators.import_validators import BomOptions, BomPart, ItemOptions, ItemRow, LotRow
from bylaw.flask import Bylaw
from bylaw.identity import Identity
from bylaw.imports import Columns, Counts, Noted, Record, Rejected, Skipped
from bylaw.spreadsheet import Row

PERMISSION = "import:create"
TITLES = {"bills": "A bill of materials", "items": "Items and their prices", "lots": "Production lots"}


def init_app(bylaw: Bylaw) -> None:
    """Register every importer. The rows are MTC's business, everything around them is bylaw's."""

    def session(connection: Connection, who: Identity) -> AuditedSession:
        """MTC's session within bylaw's transaction; its records name who imports, whatever thread this is."""
        return AuditedSession(
            connection,
            record=partial(bylaw.record, actor=who),
            join_transaction_mode="create_savepoint",
        )

    @bylaw.imports.importer(
        "bills",
        title=TITLES["bills"],
        model=BomPart,
        permission=PERMISSION,
        options=BomOptions,
        arrange=_arranged,
        headings=columns.heading_row,
        suggest=_suggested,
        whole=True,
    )
    def save_bill(
        connection: Connection, rows: Sequence[BomPart], who: Identity, options: BomOptions
    ) -> Counts:
        terms = loading.Terms(options.process_name, options.currency, options.valid_from, options.merge)
        with session(connection, who) as mtc:
            try:
                process = loading.load(mtc, rows, terms, source="a bill of materials").process
            except RejectedError as error:
                raise Rejected(str(error), field=error.field) from None
            except ConflictError as error:
                raise Rejected(str(error)) from None
            counts = Counts(created=len(rows), url=f"/processes/{process.id}", title=process.name)
            mtc.commit()
            return counts

    @bylaw.imports.importer(
        "items",
        title=TITLES["items"],
        model=ItemRow,
        permission=PERMISSION,
        options=ItemOptions,
        key=("item", "variant", "manufacturer"),
    )
    def save_items(
        connection: Connection, rows: Sequence[ItemRow], who: Identity, options: ItemOptions
    ) -> Counts:
        with session(connection, who) as mtc:
            tally = importing.save_items(mtc, rows, options)
            mtc.commit()
        return _counts(tally, "/items", "Items")

    @bylaw.imports.importer(
        "lots", title=TITLES["lots"], model=LotRow, permission=PERMISSION, key=("number",)
    )
    def save_lots(connection: Connection, rows: Sequence[LotRow], who: Identity, _: object) -> Counts:
        with session(connection, who) as mtc:
            tally = importing.save_lots(mtc, rows, by=who.id, now=datetime.now(UTC))
            mtc.commit()
        return _counts(tally, "/lots", "Lots")


def _counts(tally: importing.Tally, url: str, title: str) -> Counts:
    return Counts(tally.created, tally.updated, tally.unchanged, url=url, title=title)


def _suggested(headings: Sequence[str], below: Sequence[Row]) -> Mapping[int, str]:
    return {index: field for index, field in enumerate(columns.suggested(headings, below)) if field}


def _arranged(rows: Iterator[Row], found: Columns, options: Any) -> Iterator[Record | Skipped | Noted]:
    """A bill of materials in bylaw's words."""
    here = columns.Columns(found.row, found.headings, found.fields)
    try:
        for entry in arranging.arranged(rows, here, options):
            match entry:
                case Found(row, values):
                    yield Record(row, values)
                case Left(row, why):
                    yield Skipped(row, why)
                case Remark(text):
                    yield Noted(text)
    except arranging.TooLongError as error:
        raise Rejected(str(error)) from None
