"""A file as a request brought it: nothing of it is believed yet."""

from __future__ import annotations

from dataclasses import dataclass
from typing import BinaryIO


@dataclass(frozen=True, slots=True)
class Given:
    """A file as a request brought it."""

    name: str
    """What its sender calls it."""
    media_type: str
    """What its sender says it is; empty where that was left out."""
    stream: BinaryIO
    """Its bytes, from the beginning."""
    kinds: tuple[str, ...] = ()
    """What the route has declared that it may be (`pdf`, `png`); empty: all that the policy takes."""
