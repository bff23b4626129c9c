"""Which column of a file stands for which field: found by the headings, corrected by people, remembered.

A heading is held against a field's name, title, alias and the further words of its model
(`json_schema_extra={"also": ["Qty", "Menge"]}`), without case, accents, punctuation and what stands in
brackets.
"""

from __future__ import annotations

import difflib
import hashlib
import json
import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Final

from pydantic import AliasChoices, BaseModel
from pydantic.fields import FieldInfo

from bylaw.controls.imports import COLUMNS
from bylaw.reasons import Refused
from bylaw.spreadsheet import Row

LOOKED_AT: Final = 30
"""Rows at the beginning of a file among which the headings are looked for."""
_LIKE: Final = 0.86
"""How alike (difflib) a heading must be to be offered where none is the same: a letter in seven."""
_SHORTEST: Final = 4


@dataclass(frozen=True, slots=True)
class Target:
    """A field that a column may stand for."""

    name: str
    label: str
    required: bool
    several: bool = False
    hint: str = ""
    words: frozenset[str] = frozenset()
    """What its heading may be, normalised."""


@dataclass(frozen=True, slots=True)
class Columns:
    """What the columns of a file mean."""

    row: int
    """The number of the row that holds the headings; 0 where there is none."""
    headings: tuple[str, ...]
    fields: tuple[str, ...]
    """The field that each column stands for; empty: none."""
    _by_field: dict[str, tuple[int, ...]] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        found: dict[str, tuple[int, ...]] = {}
        for index, name in enumerate(self.fields):
            if name:
                found[name] = (*found.get(name, ()), index)
        object.__setattr__(self, "_by_field", found)

    def of(self, name: str) -> int | None:
        """The first column of a field, counted from 0."""
        return next(iter(self.all(name)), None)

    def all(self, name: str) -> tuple[int, ...]:
        """Every column of a field."""
        return self._by_field.get(name, ())

    def cell(self, row: Row, name: str) -> str:
        """What a row says for a field; empty where it says nothing."""
        index = self.of(name)
        return row.cells[index].strip() if index is not None and index < len(row.cells) else ""

    def cells(self, row: Row, name: str) -> list[tuple[str, str]]:
        """(heading, text) of every column of a field in which the row says something."""
        found = [(self.heading(i), row.cells[i].strip()) for i in self.all(name) if i < len(row.cells)]
        return [(heading, text) for heading, text in found if text]

    def heading(self, index: int) -> str:
        """What a column is called, or counted as where it has no heading."""
        said = self.headings[index] if index < len(self.headings) else ""
        return said or f"column {index + 1}"

    def called(self, name: str) -> str:
        """The heading of a field's column; empty where it has none."""
        index = self.of(name)
        return "" if index is None else self.heading(index)


@lru_cache(maxsize=4096)
def normal(text: str) -> str:
    """A heading as it is compared: "Unit price (EUR)" is `unitprice`, "Stück" is `stuck`."""
    text = re.sub(r"\([^()]*\)|\[[^\[\]]*\]", " ", text[:200])
    letters = unicodedata.normalize("NFKD", text.casefold())
    return "".join(c for c in letters if c.isalnum() or c in "#%€$£")


@lru_cache(maxsize=256)
def targets(model: type[BaseModel]) -> tuple[Target, ...]:
    """The fields of a model that a column may stand for."""
    found = (_target(name, info) for name, info in model.model_fields.items())
    return tuple(target for target in found if target is not None)


def _target(name: str, info: FieldInfo) -> Target | None:
    extra = info.json_schema_extra if isinstance(info.json_schema_extra, dict) else {}
    if extra.get("column") is False:
        return None
    label = info.title or name.replace("_", " ").capitalize()
    also = extra.get("also")
    words = [name, label, *_aliases(info), *(also if isinstance(also, list | tuple) else ())]
    examples = ", ".join(str(example) for example in (info.examples or ())[:2])
    return Target(
        name,
        label,
        info.is_required(),
        several=bool(extra.get("several")),
        hint=info.description or (f"e.g. {examples}" if examples else ""),
        words=frozenset(filter(None, (normal(str(word)) for word in words))),
    )


def _aliases(info: FieldInfo) -> list[str]:
    given = info.validation_alias or info.alias
    if isinstance(given, AliasChoices):
        return [choice for choice in given.choices if isinstance(choice, str)]
    return [given] if isinstance(given, str) else []


# Finding them


def heading_row(rows: Sequence[Row], fields: Sequence[Target]) -> int:
    """The number of the row that holds the headings: the one whose cells name most fields, the first of
    several; where none names any, the first that is not blank. 0 for a file without a row."""
    words = frozenset().union(*(target.words for target in fields)) if fields else frozenset()
    best, most = 0, 0
    for row in rows[:LOOKED_AT]:
        named = len({normal(cell) for cell in row.cells} & words)
        if named > most:
            best, most = row.number, named
    return best or next((row.number for row in rows if any(cell.strip() for cell in row.cells)), 0)


def suggested(headings: Sequence[str], fields: Sequence[Target]) -> list[str]:
    """The field that each heading stands for, as far as it can be told; no field twice."""
    found = [""] * len(headings)
    taken: set[str] = set()
    for same in (_is, _is_like):
        for index, heading in enumerate(headings):
            said = normal(heading)
            if found[index] or not said:
                continue
            for target in fields:
                if (target.several or target.name not in taken) and same(said, target):
                    found[index] = target.name
                    taken.add(target.name)
                    break
    return found


def _is(said: str, target: Target) -> bool:
    return said in target.words


def _is_like(said: str, target: Target) -> bool:
    return len(said) >= _SHORTEST and bool(difflib.get_close_matches(said, target.words, 1, _LIKE))


def from_hook(hook: Mapping[int, str], count: int, fields: Sequence[Target]) -> list[str]:
    """What an application's own `suggest` says, without what it cannot mean."""
    known = {target.name for target in fields}
    return [name if (name := hook.get(index, "")) in known else "" for index in range(count)]


def set_of(headings: Iterable[str]) -> str:
    """The name under which the meaning of such headings is remembered."""
    return hashlib.sha256(json.dumps([normal(each) for each in headings]).encode()).hexdigest()


# Judging them


def judged(
    given: Sequence[str],
    headings: Sequence[str],
    fields: Sequence[Target],
    *,
    needs_all: bool = True,
    shown: Callable[[int], str] = lambda index: f"column {index + 1}",
) -> list[str]:
    """What somebody said the columns mean. Raises Refused with every fault, by the column's number.

    `needs_all`: every required field must have a column; an importer that arranges its rows itself may find
    them elsewhere.
    """
    known = {target.name: target for target in fields}
    wrong: dict[str, str] = {}
    if len(given) != len(headings):
        wrong["column"] = f"{len(headings)} are expected, one for each column of the file, empty for none"
        raise Refused(COLUMNS, fields=wrong)
    first: dict[str, int] = {}
    for index, name in enumerate(given):
        if not name:
            continue
        if name not in known:
            wrong[f"column-{index + 1}"] = f"one of {', '.join(known)}, or none"
        elif name in first and not known[name].several:
            also = shown(first[name])
            wrong[f"column-{index + 1}"] = f"{known[name].label} is already taken from {also}"
        else:
            first.setdefault(name, index)
    if needs_all:
        for target in fields:
            if target.required and target.name not in first:
                wrong[target.label] = "needed, and no column stands for it"
    if wrong:
        raise Refused(COLUMNS, fields=wrong)
    return list(given)


def beginnings(rows: Iterable[Row], most: int, longest: int) -> list[list[Any]]:
    """The first rows as they are kept to be shown: number and cells, each cut."""
    kept = []
    for row in rows:
        kept.append([row.number, [cell[:longest] for cell in row.cells]])
        if len(kept) >= most:
            break
    return kept
