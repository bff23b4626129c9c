"""The plans and maps that contributions are placed on. They come with the application: nobody uploads one."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

WIDTH: Final = 960
HEIGHT: Final = 640
_STEP: Final = 80
COLUMNS: Final = "ABCDEFGHIJKL"
ROWS: Final = tuple(str(number) for number in range(1, HEIGHT // _STEP + 1))
_DRAWN: Final = Path(__file__).parent / "plans"
_INSIDE: Final = re.compile(r"<svg[^>]*>(.*)</svg>", re.DOTALL)
COLOURS: Final = (
    "#1b5e8c", "#a13d2d", "#2c6e49", "#7a4a9c", "#8a5a00", "#00696b",
    "#9c2f6b", "#4b5320", "#33418f", "#6d4533", "#5b5f66", "#b3410e",
)  # fmt: skip
"""A colour for each category of a planning: white figures can be read on all of them (WCAG 1.4.3)."""


@dataclass(frozen=True, slots=True)
class Plan:
    """A drawing of 960 by 640 units."""

    name: str
    title: str
    drawing: str


@dataclass(frozen=True, slots=True)
class Square:
    """A square of the grid: its column's letter and its row's number."""

    column: int
    row: int

    @classmethod
    def named(cls, name: str) -> Square:
        """The square `C4`. Raises ValueError."""
        column, row = name[:1], name[1:]
        if column not in COLUMNS or row not in ROWS or not column:
            raise ValueError(f"a square from A1 to {COLUMNS[-1]}{ROWS[-1]}")
        return cls(COLUMNS.index(column), ROWS.index(row))

    @classmethod
    def at(cls, x: float, y: float) -> Square:
        """The square of a point, each of 0 to 1."""
        return cls(min(int(x * len(COLUMNS)), len(COLUMNS) - 1), min(int(y * len(ROWS)), len(ROWS) - 1))

    @property
    def middle(self) -> tuple[float, float]:
        return (self.column + 0.5) / len(COLUMNS), (self.row + 0.5) / len(ROWS)

    def __str__(self) -> str:
        return f"{COLUMNS[self.column]}{ROWS[self.row]}"


@dataclass(frozen=True, slots=True)
class Marker:
    """A contribution on the plan: the number that it has in the list beside it."""

    number: int
    x: float
    y: float
    colour: str
    chosen: bool = False


def _read(name: str, title: str) -> Plan:
    found = _INSIDE.search((_DRAWN / f"{name}.svg").read_text(encoding="utf-8"))
    if found is None:
        raise RuntimeError(f"plans/{name}.svg is no drawing")
    return Plan(name, title, found[1].strip())


PLANS: Final = {
    plan.name: plan
    for plan in (
        _read("square", "A town square"),
        _read("street", "A street with houses"),
        _read("schoolyard", "A school and its yard"),
        _read("sheet", "An empty sheet"),
    )
}


def drawn(plan: Plan, markers: Iterable[Marker] = ()) -> str:
    """The plan with its grid and markers as SVG.

    Presentation attributes alone, and nothing of what people wrote: there is no style, no script and no
    text of theirs that a Content-Security-Policy would have to keep in check.
    """
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
        f'width="{WIDTH}" height="{HEIGHT}" font-family="system-ui, sans-serif">'
        f"{plan.drawing}{_GRID}{''.join(map(_marker, markers))}</svg>"
    )


def _grid() -> str:
    lines = [f"M{x} 0V{HEIGHT}" for x in range(_STEP, WIDTH, _STEP)]
    lines += [f"M0 {y}H{WIDTH}" for y in range(_STEP, HEIGHT, _STEP)]
    letters = [
        f'<text x="{at * _STEP + _STEP // 2}" y="20">{letter}</text>' for at, letter in enumerate(COLUMNS)
    ]
    figures = [
        f'<text x="12" y="{at * _STEP + _STEP // 2 + 6}">{figure}</text>' for at, figure in enumerate(ROWS)
    ]
    return (
        f'<path d="{"".join(lines)}" stroke="#37474f" stroke-opacity=".18" fill="none"/>'
        f'<g font-size="18" font-weight="600" fill="#37474f" text-anchor="middle">'
        f"{''.join(letters + figures)}</g>"
    )


_GRID: Final = _grid()


def _marker(marker: Marker) -> str:
    x, y = round(marker.x * WIDTH, 1), round(marker.y * HEIGHT, 1)
    ring = f'<circle cx="{x}" cy="{y}" r="27" fill="none" stroke="#111" stroke-width="4"/>' * marker.chosen
    return (
        f'{ring}<circle cx="{x}" cy="{y}" r="20" fill="{marker.colour}" stroke="#fff" stroke-width="3"/>'
        f'<text x="{x}" y="{round(y + 7, 1)}" font-size="20" font-weight="700" fill="#fff" '
        f'text-anchor="middle">{marker.number}</text>'
    )
