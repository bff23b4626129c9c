"""What an application takes by imports: one row as a Pydantic model, and what becomes of the rows."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from pydantic import BaseModel

from bylaw.errors import MisuseError
from bylaw.identity import PERMISSION, Identity
from bylaw.operations.imports.columns import Columns, Target, targets
from bylaw.spreadsheet import Row

_NAME: Final = re.compile(r"[a-z][a-z0-9_-]{0,63}")


@dataclass(frozen=True, slots=True)
class Counts:
    """What became of the rows that were saved."""

    created: int = 0
    updated: int = 0
    unchanged: int = 0
    url: str = ""
    """Where what was made can be seen: a path of this site."""
    title: str = ""
    """What it is called there."""

    def __add__(self, other: Counts) -> Counts:
        return Counts(
            self.created + other.created,
            self.updated + other.updated,
            self.unchanged + other.unchanged,
            other.url or self.url,
            other.title or self.title,
        )


@dataclass(frozen=True, slots=True)
class Record:
    """What a row says, by the fields of the model; `rows` are further rows that it was read from."""

    row: int
    values: Mapping[str, Any]
    rows: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Skipped:
    """A row that is no record, and why."""

    row: int
    why: str


@dataclass(frozen=True, slots=True)
class Wrong:
    """A row that was meant as a record and cannot be one: where, what was given, what is accepted."""

    row: int
    column: str
    value: str
    accepted: str


@dataclass(frozen=True, slots=True)
class Noted:
    """Something about the whole file that whoever imports it should know."""

    why: str


class Rejected(ValueError):
    """What `save` cannot take, in words for people: of the `field` of the options, or of a row."""

    def __init__(self, said: str, *, field: str = "") -> None:
        super().__init__(said)
        self.field = field


Arranged = Record | Skipped | Wrong | Noted
Save = Callable[[Any, Sequence[Any], Identity, Any], Counts | None]
Arrange = Callable[[Iterator[Row], Columns, Any], Iterable[Arranged]]
Headings = Callable[[Sequence[Row]], "int | None"]
Suggest = Callable[[Sequence[str], Sequence[Row]], Mapping[int, str]]


@dataclass(frozen=True, slots=True)
class Importer:
    """One kind of import."""

    name: str
    title: str
    model: type[BaseModel]
    permission: str
    save: Save
    key: tuple[str, ...] = ()
    options: type[BaseModel] | None = None
    arrange: Arrange | None = None
    headings: Headings | None = None
    suggest: Suggest | None = None
    whole: bool = False
    """All rows in one call of `save`, in one transaction: together they are one thing."""

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise MisuseError(f"importer {self.name!r}: a name in lower case, such as production-lots")
        if not PERMISSION.fullmatch(self.permission):
            raise MisuseError(f"importer {self.name!r}: permission = {self.permission!r} is no noun:verb")
        unknown = set(self.key) - set(self.model.model_fields)
        if unknown:
            raise MisuseError(f"importer {self.name!r}: key names no field: {', '.join(sorted(unknown))}")

    @property
    def targets(self) -> tuple[Target, ...]:
        """The fields of the model that a column may stand for."""
        return targets(self.model)


WHOLE: Final = 5_000
"""Records at most of an importer that takes them in one call."""
