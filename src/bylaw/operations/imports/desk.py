"""What this process knows of imports: the application's importers, and what it works on at this moment."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

from bylaw.errors import MisuseError
from bylaw.house import House
from bylaw.operations.imports.importers import Importer


@dataclass(slots=True)
class Work:
    """A run that is under way here. On SQLite nobody else can write meanwhile: whoever looks on or cancels
    finds it here first."""

    row: int = 0
    cancelled: threading.Event = field(default_factory=threading.Event)


@dataclass(slots=True)
class Desk:
    """The importers by name, and the runs of this process by import."""

    importers: dict[str, Importer] = field(default_factory=dict)
    works: dict[str, Work] = field(default_factory=dict)
    busy: threading.Lock = field(default_factory=threading.Lock)
    """Held by whoever runs imports in this process: one after the other."""
    closing: threading.Event = field(default_factory=threading.Event)
    thread: threading.Thread | None = None
    by_hand: bool = False
    """A laboratory says when work is done: nobody begins by himself."""

    def add(self, importer: Importer) -> None:
        if importer.name in self.importers:
            raise MisuseError(f"importer {importer.name!r} is there already")
        self.importers[importer.name] = importer

    def find(self, name: str) -> Importer | None:
        """The importer; None for one of an earlier version of the application."""
        return self.importers.get(name)


def of(house: House) -> Desk:
    """The desk of a house: one for all that goes on in it."""
    if house.imports is None:
        house.imports = Desk()
    desk: Desk = house.imports
    return desk
