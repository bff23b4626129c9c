"""What both applications do: notes that belong to somebody, kept in a dictionary."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from bylaw.identity import Identity
from bylaw.reasons import Reason, Refused

MISSING = Reason("errors.not_found", 404, "There is nothing here.", "")


@dataclass
class Note:
    id: int
    owner: str
    text: str


@dataclass
class Notes:
    """The state of one application; a counter shows whether anything was changed."""

    by_id: dict[int, Note] = field(default_factory=dict)
    changes: int = 0

    def create(self, who: Identity, text: str) -> dict[str, Any]:
        note = Note(len(self.by_id) + 1, who.id, text)
        self.by_id[note.id] = note
        self.changes += 1
        return asdict(note)

    def listed(self) -> list[dict[str, Any]]:
        return [asdict(note) for note in self.by_id.values()]

    def change(self, who: Identity, number: int, text: str) -> dict[str, Any]:
        note = self._find(number)
        who.demand("note:update", owner=note.owner)
        note.text = text
        self.changes += 1
        return asdict(note)

    def delete(self, who: Identity, number: int) -> None:
        note = self._find(number)
        who.demand("note:delete", owner=note.owner)
        del self.by_id[number]
        self.changes += 1

    def _find(self, number: int) -> Note:
        if number not in self.by_id:
            raise Refused(MISSING)
        return self.by_id[number]
