"""What both applications do: notes that everybody may read, and papers that belong to somebody.

Kept in dictionaries: a counter shows whether anything was changed.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from typing import Any
from urllib.parse import quote

from bylaw.controls import errors
from bylaw.identity import Identity
from bylaw.pages.rendering import local_path
from bylaw.reasons import Reason, Refused

MISSING = Reason("errors.not_found", 404, "There is nothing here.", "")
FILTERS = frozenset({"owner", "q"})
LANGUAGES = ("en", "de", "fr")


@dataclass
class Note:
    id: int
    owner: str
    text: str


@dataclass
class Paper:
    id: int
    key: str
    owner: str
    text: str


@dataclass
class Notes:
    """The state of one application."""

    by_id: dict[int, Note] = field(default_factory=dict)
    papers: dict[int, Paper] = field(default_factory=dict)
    changes: int = 0

    # Notes: whoever may read them reads all of them

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

    # Papers: whoever may not read one learns nothing of it, not even that it is there

    def write(self, who: Identity, text: str) -> dict[str, Any]:
        paper = Paper(len(self.papers) + 1, str(uuid.uuid4()), who.id, text)
        self.papers[paper.id] = paper
        self.changes += 1
        return asdict(paper)

    def mine(self, who: Identity, query: Iterable[tuple[str, str]]) -> list[dict[str, Any]]:
        """The papers that `who` may read; a filter narrows them and never widens them."""
        asked = list(query)
        unknown = {name for name, _ in asked} - FILTERS
        if unknown or len({name for name, _ in asked}) < len(asked):
            raise Refused(errors.INVALID, status=400, detail="Known, once each: owner, q.")
        filters = dict(asked)
        return [
            asdict(paper)
            for paper in self.papers.values()
            if who.may("paper:read", owner=paper.owner)
            and filters.get("owner", paper.owner) == paper.owner
            and filters.get("q", "") in paper.text
        ]

    def paper(self, who: Identity, number: int, permission: str = "paper:read") -> Paper:
        paper = self.papers.get(number)
        # Somebody else's and nobody's are answered alike: a refusal would say that it exists.
        if paper is None or not who.may(permission, owner=paper.owner):
            raise Refused(MISSING)
        return paper

    def read(self, who: Identity, number: int) -> dict[str, Any]:
        return asdict(self.paper(who, number))

    def by_key(self, who: Identity, key: str) -> dict[str, Any]:
        number = next((p.id for p in self.papers.values() if p.key == key), 0)
        return self.read(who, number)

    def rewrite(self, who: Identity, number: int, text: str) -> dict[str, Any]:
        paper = self.paper(who, number, "paper:update")
        paper.text = text
        self.changes += 1
        return asdict(paper)

    def discard(self, who: Identity, numbers: list[int]) -> None:
        """All of them, or none: a list with one foreign paper in it is refused as a whole."""
        for number in numbers:
            self.paper(who, number, "paper:delete")
        for number in set(numbers):
            del self.papers[number]
            self.changes += 1

    def export(self, who: Identity) -> Iterator[tuple[object, ...]]:
        return ((paper["id"], paper["text"]) for paper in self.mine(who, ()))


# What a request may put into a response header


def destination(to: str) -> str:
    """Where a redirect may go: a path of this site, encoded."""
    return quote(local_path(to, "/"), safe="/?&=%~+-._")


def disposition(name: str) -> str:
    """A download's name (RFC 6266), whatever somebody calls it."""
    safe = name.encode("utf-8", "replace")[:200]
    return f"attachment; filename*=UTF-8''{quote(safe, safe='')}"


def language(asked: str) -> str:
    """One of the languages that there are."""
    return asked if asked in LANGUAGES else LANGUAGES[0]


ATTACHED = ("csv", "xlsx", "pdf", "jpg", "png")
"""The kinds of files that both applications take."""


def shown(file: Any) -> dict[str, Any]:
    """What both applications say of an attachment."""
    return {"id": file.id, "name": file.name, "kind": file.kind, "size": file.size, "state": file.state}
