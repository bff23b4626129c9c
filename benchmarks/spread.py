"""A median, and how far the rounds lie apart."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median, quantiles


@dataclass(frozen=True, slots=True)
class Spread:
    """A median with the 5th and the 95th percentile of the rounds."""

    median: float
    p5: float
    p95: float

    @classmethod
    def of(cls, values: list[float]) -> Spread:
        marks = quantiles(values, n=20, method="inclusive")
        return cls(median(values), marks[0], marks[-1])

    def __str__(self) -> str:
        return f"{self.median:.2f} [{self.p5:.2f} to {self.p95:.2f}]"
