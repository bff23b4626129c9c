"""Which row holds the headings, and what each column is."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from apps.mtc.validators.import_validators import Role, Sheet, SheetRow, UploadError

_SEARCHED_ROWS = 30
_FEWEST_HEADINGS = 2
_DESIGNATOR = re.compile(r"[A-Za-z]{1,6}[0-9]{1,4}([ ,;-]+[A-Za-z]{1,6}[0-9]{1,4})*")

_HEADINGS: dict[Role, str] = {
    Role.IGNORE: "no|item no|line|line no|row|pos|position|id",
    Role.REFERENCES: "references|reference|refs|ref|refdes|designator|designators"
    "|reference designator|reference designators|parts",
    Role.QUANTITY: "qty|quantity|count|pcs|pieces|qnty|qty per unit|anzahl|menge|stueck|stück",
    Role.ITEM: "component|item|part|article|item name|part name|material|bauteil|artikel",
    Role.VARIANT: "specification|spec|part number|part no|partnumber|pn|mpn|value|type|model|size"
    "|manufacturer part number|manufacturer part no|mfr part no|mfg part no|wert|typ",
    Role.DESCRIPTION: "description|notes|note|comment|comments|remarks|details|beschreibung",
    Role.MANUFACTURER: "manufacturer|mfr|mfg|maker|brand|hersteller",
    Role.SUPPLIER: "supplier|vendor|distributor|seller|shop|lieferant",
    Role.SUPPLIER_PART: "supplier part no|supplier part number|supplier part|vendor part no|sku"
    "|vendor part number|order no|order number|order code|bestellnummer",
    Role.DISTRIBUTOR: "mouser|digikey|digi key|farnell|newark|element14|rs|rs components|lcsc"
    "|tme|reichelt|conrad|arrow|mcmaster|mcmaster carr",
    Role.UNIT_PRICE: "price each|unit price|price|each|unit cost|price per unit|einzelpreis|preis",
    Role.LINE_PRICE: "line price|line total|total price|extended price|ext price|cost|total|amount"
    "|subtotal|total cost|gesamtpreis",
    Role.CURRENCY: "currency|price unit|cur|waehrung|währung",
    Role.URL: "source|url|link|source url|website|web|product link",
}
_ROLE_OF = {heading: role for role, text in _HEADINGS.items() for heading in text.split("|")}
# Words that some people write over the price of one and others over the price of all.
AMBIGUOUS_PRICES = frozenset({"cost", "price", "amount", "total"})
_REPEATABLE = frozenset({Role.IGNORE, Role.DISTRIBUTOR})


@dataclass(frozen=True)
class Columns:
    """The headings and their roles, side by side; `row` is the number of the heading row."""

    row: int
    headings: tuple[str, ...]
    roles: tuple[Role, ...]

    def at(self, role: Role) -> int | None:
        """The index of the first column in this role."""
        return self.roles.index(role) if role in self.roles else None

    def all_at(self, role: Role) -> list[int]:
        return [index for index, found in enumerate(self.roles) if found is role]

    def cell(self, cells: Sequence[str], role: Role) -> str:
        """The text of the column in this role; empty if there is none."""
        index = self.at(role)
        return cells[index] if index is not None and index < len(cells) else ""


def find_columns(sheet: Sheet) -> Columns:
    """The row that looks most like headings, with a suggestion for each. Raises `UploadError`."""
    candidates = sheet.rows[:_SEARCHED_ROWS]
    best = max(candidates, key=_recognised, default=None)
    if best is None or _recognised(best) < _FEWEST_HEADINGS:
        raise UploadError(
            f"No row of headings found in the first {_SEARCHED_ROWS} rows. Accepted is a row with "
            "at least two such as: Quantity, Component, Part number, Description, Price each."
        )
    rows = [row for row in sheet.rows if row.number > best.number]
    roles = [_role(heading, index, rows) for index, heading in enumerate(best.cells)]
    return Columns(best.number, best.cells, tuple(_once_each(roles)))


def mapped(sheet: Sheet, roles: Sequence[Role]) -> Columns:
    """The columns as a person corrected them. Raises `UploadError` if they do not fit."""
    found = find_columns(sheet)
    if len(roles) != len(found.headings):
        raise UploadError(f"The file has {len(found.headings)} columns, {len(roles)} were named.")
    doubled = {role for role in roles if role not in _REPEATABLE and list(roles).count(role) > 1}
    if doubled:
        names = ", ".join(sorted(role.value.replace("_", " ") for role in doubled))
        raise UploadError(f"Only one column each can be: {names}.")
    return Columns(found.row, found.headings, tuple(roles))


def normal(heading: str) -> str:
    """A heading without case and punctuation; "Part #" is "part no"."""
    words = heading.lower().replace("#", " no ").replace("№", " no ")
    return " ".join(re.sub(r"[^\w ]|_", " ", words).split())


def looks_like_designators(cells: Sequence[str]) -> bool:
    filled = [cell for cell in cells if cell]
    hits = sum(1 for cell in filled if _DESIGNATOR.fullmatch(cell))
    return bool(filled) and hits * 2 > len(filled)


def _recognised(row: SheetRow) -> int:
    """How many different roles the cells of a row would name, not counting line numbers."""
    roles = {_ROLE_OF.get(normal(cell)) for cell in row.cells}
    name = {Role.ITEM} if any(normal(cell) == "name" for cell in row.cells) else set()
    return len((roles | name) - {None, Role.IGNORE})


def _role(heading: str, index: int, rows: Sequence[SheetRow]) -> Role:
    if normal(heading) == "name":
        # R101 under "Name" is a place on the board, not the name of a part.
        below = [row.cells[index] for row in rows if index < len(row.cells)]
        return Role.REFERENCES if looks_like_designators(below) else Role.ITEM
    return _ROLE_OF.get(normal(heading), Role.IGNORE)


def _once_each(roles: list[Role]) -> list[Role]:
    """The leftmost column keeps a role that may stand only once."""
    taken: set[Role] = set()
    kept = []
    for role in roles:
        kept.append(Role.IGNORE if role in taken and role not in _REPEATABLE else role)
        taken.add(role)
    return kept
