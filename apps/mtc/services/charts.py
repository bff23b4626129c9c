"""Bar charts as geometry; the template draws them as SVG without a script."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

WIDTH = 720
HEIGHT = 260
_LEFT, _RIGHT, _TOP, _BOTTOM = 72, 12, 16, 34
_ROW = 44
_MOST_COLUMNS = 60


@dataclass(frozen=True)
class Bar:
    x: float
    y: float
    width: float
    height: float
    label: str
    value: Decimal
    pale: bool = False


@dataclass(frozen=True)
class Tick:
    at: float
    label: str


@dataclass(frozen=True)
class Chart:
    width: int
    height: int
    bars: tuple[Bar, ...]
    ticks: tuple[Tick, ...]
    left: int = _LEFT
    right: int = WIDTH - _RIGHT
    top: int = _TOP
    bottom: int = HEIGHT - _BOTTOM


def columns(values: Sequence[tuple[str, Decimal, bool]]) -> Chart:
    """Upright bars in the order given: label, value, and whether to draw it pale (incomplete).

    Beyond 60 bars only the last are drawn: the table under the chart has them all.
    """
    shown = values[-_MOST_COLUMNS:]
    high = _ceiling(max((value for _, value, _ in shown), default=Decimal(0)))
    floor, room = HEIGHT - _BOTTOM, HEIGHT - _BOTTOM - _TOP
    step = (WIDTH - _LEFT - _RIGHT) / max(len(shown), 1)
    width = min(step * 0.7, 48)
    bars = []
    for index, (label, value, pale) in enumerate(shown):
        height = float(value / high) * room
        x = _LEFT + step * index + (step - width) / 2
        bars.append(Bar(_r(x), _r(floor - height), _r(width), _r(height), label, value, pale))
    quarters = [high * part / 4 for part in range(5)]
    ticks = [Tick(_r(floor - float(q / high) * room), _short(q)) for q in quarters]
    return Chart(WIDTH, HEIGHT, tuple(bars), tuple(ticks))


def rows(values: Sequence[tuple[str, Decimal]]) -> Chart:
    """Lying bars, one under the other, at most 20."""
    shown = values[:20]
    high = max((value for _, value in shown), default=Decimal(0)) or Decimal(1)
    bars = tuple(
        Bar(0, _ROW * i + 24, _r(float(value / high) * WIDTH), 12, label, value)
        for i, (label, value) in enumerate(shown)
    )
    return Chart(WIDTH, max(_ROW * len(shown), _ROW), bars, ())


def _ceiling(value: Decimal) -> Decimal:
    """The next 1, 2, 4 or 8 with zeros: its quarters are short numbers."""
    if value <= 0:
        return Decimal(1)
    magnitude = Decimal(10) ** value.adjusted()
    return next(magnitude * f for f in (1, 2, 4, 8, 10) if magnitude * f >= value)


def _short(value: Decimal) -> str:
    for limit, letter in ((Decimal(1_000_000), "M"), (Decimal(1_000), "k")):
        if value >= limit:
            return f"{(value / limit).normalize():f}{letter}"
    return f"{value.normalize():f}"


def _r(value: float) -> float:
    return round(value, 2)
