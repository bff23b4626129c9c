"""What a run has found so far: counted, told of the first ones, and shown as it would be imported."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from bylaw.controls import audit
from bylaw.operations.imports import faults
from bylaw.operations.imports.importers import Counts
from bylaw.operations.imports.source import Good
from bylaw.store.imports import Note


@dataclass(slots=True)
class Tally:
    """What a run has found so far."""

    counts: Counts = field(default_factory=Counts)
    good: int = 0
    errors: int = 0
    skipped: int = 0
    noted: list[str] = field(default_factory=list)
    sample: list[dict[str, Any]] = field(default_factory=list)
    told: dict[str, int] = field(default_factory=dict)
    """How many errors and skipped rows are told, not only counted."""
    notes: list[Note] = field(default_factory=list)
    """Those that are not written yet."""

    @classmethod
    def of(cls, found: dict[str, Any]) -> Tally:
        """What an earlier worker had found, where it was committed."""
        if "good" not in found:
            return cls()
        return cls(
            Counts(**found["counts"]),
            found["good"],
            found["errors"],
            found["skipped"],
            list(found["noted"]),
            told=dict(found["told"]),
        )

    def as_json(self) -> dict[str, Any]:
        return {
            "counts": asdict(self.counts),
            "good": self.good,
            "errors": self.errors,
            "skipped": self.skipped,
            "noted": self.noted,
            "sample": self.sample,
            "told": self.told,
        }

    def tell(self, note: Note, most: int) -> None:
        """Count a row that is not imported, and keep what is to be told of it, of the first ones."""
        if self.told.get(note.kind, 0) < most:
            self.told[note.kind] = self.told.get(note.kind, 0) + 1
            self.notes.append(note)

    def taken(self) -> list[Note]:
        """The notes that are to be written now."""
        notes, self.notes = self.notes, []
        return notes


def counted(counts: Counts) -> dict[str, int]:
    """What became of the rows, for a record."""
    return {"created": counts.created, "updated": counts.updated, "unchanged": counts.unchanged}


def stays(good: int) -> str:
    """What the owner of an import that ended early must know before he sends its file again."""
    return f"The {good:,} rows that were imported until then stay." if good else "Nothing was imported."


def shown(good: Good) -> dict[str, Any]:
    """A record as it would be imported, for people."""
    told = {name: _text(value) for name, value in good.row if value is not None}
    return {"row": good.record.row, "values": told}


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        return audit.printable(", ".join(map(_text, value)), faults.SHOWN)
    return audit.printable(str(getattr(value, "value", value)), faults.SHOWN)
