"""A file of a corpus."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass

Make = Callable[[], bytes]


@dataclass(frozen=True)
class Sample:
    """A file, said to be of a kind, and the fault that it is refused for; none where it is ordinary."""

    id: str
    kind: str
    make: Make
    fault: str = ""

    @functools.cached_property
    def data(self) -> bytes:
        """Its bytes, made when they are asked for."""
        return self.make()
