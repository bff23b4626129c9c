"""A file as a bill of materials, read from its first byte to its last part, as it is suggested."""

from __future__ import annotations

from dataclasses import dataclass
from typing import BinaryIO, Literal

from pydantic import ValidationError

from apps.mtc.services.bom.arranging import arranged
from apps.mtc.services.bom.columns import Columns, heading_row, suggested
from apps.mtc.services.bom.parts import Found, Left, Remark
from apps.mtc.validators.import_validators import BomOptions, BomPart
from apps.mtc.validators.reasons import reasons
from bylaw.spreadsheet import opened


class NoHeadingsError(ValueError):
    """No row of the file looks like headings."""


@dataclass(frozen=True)
class Problem:
    """What is wrong with a cell and what is accepted instead."""

    row: int
    column: str
    accepted: str


@dataclass(frozen=True)
class Bill:
    columns: Columns
    parts: tuple[BomPart, ...]
    problems: tuple[Problem, ...]
    left: tuple[Left, ...]
    remarks: tuple[str, ...]


def read_bill(stream: BinaryIO, kind: Literal["csv", "xlsx"], options: BomOptions, sheet: str = "") -> Bill:
    """A whole file (`csv` or `xlsx`) by the columns that are suggested for it.

    Raises `NoHeadingsError`, and bylaw's `Unreadable` for what is no table.
    """
    rows = list(opened(stream, kind, sheet=sheet).rows())
    number = heading_row(rows)
    if number is None:
        raise NoHeadingsError(
            "No row of headings was found, such as: Quantity, Component, Part number, Price."
        )
    headings = next(row.cells for row in rows if row.number == number)
    below = [row for row in rows if row.number > number]
    columns = Columns(number, headings, suggested(headings, below))
    parts: list[BomPart] = []
    problems: list[Problem] = []
    left: list[Left] = []
    remarks: list[str] = []
    for entry in arranged(below, columns, options):
        match entry:
            case Found():
                try:
                    parts.append(BomPart.model_validate(entry.values))
                except ValidationError as error:
                    problems.extend(Problem(entry.row, column, why) for column, why in reasons(error))
            case Left():
                left.append(entry)
            case Remark(text):
                remarks.append(text)
    return Bill(columns, tuple(parts), tuple(problems), tuple(left), tuple(remarks))
