"""Which row holds the headings, and which field of `BomPart` each column is taken for."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from apps.mtc.validators.import_validators import BomPart
from apps.mtc.validators.numbers import currency_in
from apps.mtc.validators.places import looks_like_places

SEARCHED_ROWS = 30
FEWEST_HEADINGS = 2
_LOOKED_AT = 50
_LINE_NUMBERS = frozenset({"", "no", "nr", "item no", "line", "line no", "row", "pos", "position", "id"})
_REPEATABLE = frozenset({"listings"})
_NUMBERS = ("part number", "part no", "part", "p n", "pn", "no", "sku", "order number")
_NUMBERED = re.compile(r"[\s_-]*(part\s*(number|no\.?|#)?|p/?n|no\.?|sku|#|order number)\s*$", re.IGNORECASE)
_EACH = frozenset({"price", "preis", "prix"})
_MAKERS = re.compile(r"\b(manufacturer?|mfr|mfg|mpn|hersteller\w*|fabricant)\b")


class Line(Protocol):
    """A row of a file: bylaw.spreadsheet.Row."""

    @property
    def number(self) -> int: ...
    @property
    def cells(self) -> tuple[str, ...]: ...


@dataclass(frozen=True)
class Columns:
    """The headings, and the fields that they stand over; `row` is the number of the heading row."""

    row: int
    headings: tuple[str, ...]
    fields: tuple[str, ...]
    """The field of each column, "" for one that is left out."""

    def of(self, field: str) -> int | None:
        """The index of the first column of this field."""
        return self.fields.index(field) if field in self.fields else None

    def all(self, field: str) -> tuple[int, ...]:
        return tuple(index for index, found in enumerate(self.fields) if found == field)

    def cell(self, cells: Sequence[str], field: str) -> str:
        """The text of the column of this field; empty if there is none."""
        index = self.of(field)
        return cells[index] if index is not None and index < len(cells) else ""


def normal(heading: str) -> str:
    """A heading without case, punctuation and currency: "Part #" is "part no", "Price (USD)" is "price"."""
    words = heading.lower().replace("#", " no ").replace("№", " no ")
    # "Qty (pcs)" is a quantity; "Price (per 100)" is no price of one, and stays unknown.
    bare = re.sub(r"\((?!\s*per\b)[^()0-9]*\)|\[[^\[\]0-9]*\]", " ", currency_in(words[:200])[0])
    return " ".join(re.sub(r"[^\w ]|_", " ", bare).split())


def shop(heading: str) -> str:
    """The shop that a column of its numbers is headed by: "Digi-Key Part Number" is Digi-Key's."""
    return _NUMBERED.sub("", heading).strip() or heading


def _names() -> Iterator[tuple[str, str]]:
    """What people write over a column, and the field that it is."""
    for name, field in BomPart.model_fields.items():
        extra = field.json_schema_extra
        also = extra.get("also") if isinstance(extra, dict) else None
        if isinstance(also, list):
            words = {normal(str(heading)) for heading in (field.title, name, *also)}
            yield from ((word, name) for word in words)
            if name in _REPEATABLE:
                yield from ((f"{word} {number}", name) for word in words for number in _NUMBERS)


_FIELD_OF = dict(_names())


def heading_row(rows: Sequence[Line]) -> int | None:
    """The number of the row that looks most like headings; None where none does."""
    best = max(rows[:SEARCHED_ROWS], key=lambda row: _recognised(row.cells), default=None)
    return best.number if best and _recognised(best.cells) >= FEWEST_HEADINGS else None


def suggested(headings: Sequence[str], below: Sequence[Line]) -> tuple[str, ...]:
    """The field of each column by its heading, and by what stands below where that says more."""
    columns = [
        [row.cells[index] if index < len(row.cells) else "" for row in below[:_LOOKED_AT]]
        for index in range(len(headings))
    ]
    fields = [_field(heading, cells) for heading, cells in zip(headings, columns, strict=True)]
    words = {normal(heading) for heading in headings}
    if words & {"footprint", "libref", "lib ref"} and "comment" in words and "value" not in fields:
        # Altium writes the value of a part under "Comment".
        fields[[normal(heading) for heading in headings].index("comment")] = "value"
    return _settled(headings, _once_each(_makers_own(headings, fields)))


def _makers_own(headings: Sequence[str], fields: Sequence[str]) -> list[str]:
    """The maker's number of a part wins over one that does not say whose it is: a shop's, one's own."""
    numbers = {index for index, field in enumerate(fields) if field == "variant"}
    makers = {index for index in numbers if _MAKERS.search(normal(headings[index]))}
    others = numbers - makers if makers else set()
    return ["" if index in others else field for index, field in enumerate(fields)]


def _recognised(cells: Sequence[str]) -> int:
    """How many different fields the cells of a row would name."""
    fields = {_FIELD_OF.get(normal(cell), "") for cell in cells}
    name = {"item"} if any(normal(cell) == "name" for cell in cells) else set()
    return len((fields | name) - {""})


def _field(heading: str, below: Sequence[str]) -> str:
    words = normal(heading)
    if words in _LINE_NUMBERS:
        return ""
    if words == "name":
        # R101 under "Name" is a place on the board, not the name of a part.
        return "references" if looks_like_places(list(below)) else "item"
    field = _FIELD_OF.get(words, "")
    # OrCAD counts its lines under "Item".
    return "" if field == "item" and _counts(below) else field


def _counts(cells: Sequence[str]) -> bool:
    filled = [cell for cell in cells if cell.isdecimal() and cell.isascii() and len(cell) < 6]
    numbers = [int(cell) for cell in filled]
    return bool(numbers) and numbers == list(range(numbers[0], numbers[0] + len(numbers)))


def _once_each(fields: Sequence[str]) -> list[str]:
    """The leftmost column keeps a field that may stand only once."""
    taken: set[str] = set()
    kept = []
    for field in fields:
        kept.append("" if field in taken and field not in _REPEATABLE else field)
        taken.add(field)
    return kept


def _settled(headings: Sequence[str], fields: Sequence[str]) -> tuple[str, ...]:
    """ "Cost" and "Price" beside a column that says which it is are the other; alone, the total decides."""
    known = set(fields) & {"unit_price", "line_price"}
    ambiguous = [i for i, heading in enumerate(headings) if _FIELD_OF.get(normal(heading)) == "cost"]
    settled = list(fields)
    if known == {"unit_price"} and ambiguous:
        settled[ambiguous[0]] = "line_price"
    elif known == {"line_price"} and ambiguous:
        settled[ambiguous[0]] = "unit_price"
    elif not known and len(ambiguous) > 1:
        each = next((i for i in ambiguous if normal(headings[i]) in _EACH), ambiguous[0])
        row = next(i for i in ambiguous if i != each)
        settled[each], settled[row] = "unit_price", "line_price"
    elif known:
        return tuple("" if field == "cost" else field for field in settled)
    return tuple(settled)
