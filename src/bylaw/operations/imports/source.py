"""From a stored file to records: opened by what its owner chose, arranged, validated; row by row."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, cast

from pydantic import AliasChoices, BaseModel, ValidationError

from bylaw import spreadsheet
from bylaw.controls.imports import UNREADABLE, limits
from bylaw.house import House
from bylaw.operations.files import Files
from bylaw.operations.imports import faults
from bylaw.operations.imports.columns import Columns, normal
from bylaw.operations.imports.importers import Arranged, Importer, Record, Skipped, Wrong
from bylaw.reasons import Refused
from bylaw.spreadsheet import Kind, Row, Sheet, Unreadable
from bylaw.store.imports import Import, Note


@dataclass(frozen=True, slots=True)
class Good:
    """A record that the model takes."""

    record: Record
    row: BaseModel


@contextmanager
def of_import(house: House, row: Import, chosen: Mapping[str, Any] | None = None) -> Iterator[Sheet]:
    """The table of an import, by what its owner chose. Raises Refused: not readable, or the file is not
    there, or still being checked (see uploads)."""
    how = row.chosen if chosen is None else chosen
    with closing(Files(house).open(row.file_id, row.subject)) as stream:
        try:
            yield spreadsheet.opened(
                stream,
                cast("Kind", row.kind),
                limits=limits(house.policy),
                encoding=str(how.get("encoding", "")),
                delimiter=str(how.get("delimiter", "")),
                sheet=str(how.get("sheet", "")),
            )
        except Unreadable as error:
            raise Refused(UNREADABLE, detail=str(error)) from None


@contextmanager
def walked(sheet: Sheet) -> Iterator[Iterator[Row]]:
    """The rows of a table. The walk ends here, however far it came: before its stream is closed."""
    rows = sheet.rows()
    try:
        yield rows
    finally:
        if isinstance(rows, Generator):
            rows.close()


def columns_of(row: Import) -> Columns:
    """What its owner said that the columns mean."""
    seen = row.seen
    return Columns(
        int(seen.get("row", 0)), tuple(seen.get("headings", ())), tuple(row.chosen.get("columns", ()))
    )


def arranged(importer: Importer, rows: Iterable[Row], columns: Columns, options: Any) -> Iterator[Arranged]:
    """What each row says, in their order: the same whenever it is asked, so that a run can be resumed."""
    below = iter(rows)
    if columns.row:
        for row in below:
            if row.number >= columns.row:
                break
            if not row.blank:
                yield Skipped(row.number, "above the headings")
    if importer.arrange is not None:
        yield from importer.arrange(below, columns, options)
    else:
        yield from _plain(importer, below, columns)


def _plain(importer: Importer, rows: Iterator[Row], columns: Columns) -> Iterator[Arranged]:
    """A table in which each row below the headings is a record."""
    several = {target.name for target in importer.targets if target.several}
    named = [(name, columns.all(name)) for name in dict.fromkeys(filter(None, columns.fields))]
    single = [(name, places[0]) for name, places in named if name not in several]
    lists = [(name, places) for name, places in named if name in several]
    width, repeats = len(columns.headings), _repeats(columns.headings)
    for row in rows:
        cells, here = row.cells, len(row.cells)
        if row.blank:
            yield Skipped(row.number, "no cell is filled")
        elif here > width and (beyond := row.beyond(width)):
            yield Wrong(
                row.number, f"column {width + 1}", beyond[0], f"nothing: the headings end at column {width}"
            )
        elif repeats(cells):
            yield Skipped(row.number, "repeats the headings")
        else:
            values: dict[str, Any] = {name: cells[i].strip() for name, i in single if i < here}
            for name, places in lists:
                texts = [cells[i].strip() for i in places if i < here]
                values[name] = [text for text in texts if text]
            yield Record(row.number, values)


def _repeats(headings: Sequence[str]) -> Callable[[Sequence[str]], bool]:
    """Whether a row is that of the headings once more, as printed pages and joined files have it."""
    wanted = [normal(each) for each in headings]
    at = next((index for index, said in enumerate(wanted) if said), 0)
    first = headings[at].casefold() if headings else ""

    def repeats(cells: Sequence[str]) -> bool:
        # One cell first: to look at all of every row would cost as much as to validate it.
        if len(cells) <= at or cells[at].strip().casefold() != first:
            return False
        return [normal(cell) for cell in cells[: len(wanted)]] == wanted

    return repeats


def validated(importer: Importer, record: Record, columns: Columns) -> Good | list[Note]:
    """The record by the importer's model, or what is wrong with it."""
    keys = _keys(importer.model)
    values = {
        keys.get(name, name): value
        for name, value in record.values.items()
        if value or value not in ("", None, [], ())
    }
    try:
        if importer.model.model_config.get("strict"):
            # Strict about what programs send; a cell is text whatever it says.
            texts = all(isinstance(value, str) for value in values.values())
            row = (
                importer.model.model_validate_strings(values)
                if texts
                else importer.model.model_validate(values)
            )
        else:
            row = importer.model.model_validate(values)
    except ValidationError as error:
        return faults.of_model(error, record.row, record.values, columns, importer)
    return Good(record, row)


@lru_cache(maxsize=256)
def _keys(model: type[BaseModel]) -> dict[str, str]:
    """What a field is called when it is validated, where that is not its name."""
    if model.model_config.get("populate_by_name") or model.model_config.get("validate_by_name"):
        return {}
    found = {}
    for name, info in model.model_fields.items():
        alias = info.validation_alias or info.alias
        if isinstance(alias, AliasChoices):
            alias = next((choice for choice in alias.choices if isinstance(choice, str)), None)
        if isinstance(alias, str):
            found[name] = alias
    return found
