"""Drawings, certificates and test reports of a process or a lot.

The files are bylaw's; what they belong to and who may see them is MTC's.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import column, select, table
from sqlalchemy.orm import Session

from apps.mtc.models import Lot, Process
from apps.mtc.services.errors import MissingError
from bylaw.identity import Identity
from bylaw.operations.files import Files, Given, StoredFile
from bylaw.reasons import Refused

KINDS = ("pdf", "png", "jpg", "csv", "xlsx")
MOST = 10
"""Files that one form brings at most."""
_PEOPLE = table("users", column("id"), column("name"), column("email"))


@dataclass(frozen=True)
class Refusal:
    """A file that was not taken, as a person named it, and why in words."""

    name: str
    code: str
    status: int
    why: str


def subject(entity: Process | Lot) -> str:
    """What its files belong to: ``process:17``."""
    return f"{entity.kind()}:{entity.id}"


def attach(
    files: Files, session: Session, entity: Process | Lot, given: Sequence[Given], by: Identity
) -> tuple[list[StoredFile], list[Refusal]]:
    """Attach what can be taken; the others with why not. Raises `MissingError` for what is not there.

    Files are examined and scanned before the transaction begins: it must not wait for a scanner.
    """
    where, words = subject(entity), entity.kind()
    kind, identity = type(entity), entity.id
    session.rollback()
    taken: list[StoredFile] = []
    refused: list[Refusal] = []
    for file in given:
        try:
            taken.append(files.take(file, by=by))
        except Refused as error:
            if error.status >= 500 and not error.reason.code.startswith("malware."):
                raise
            refused.append(_refusal(file, error))
    # The row is locked: whoever deletes the process meanwhile waits, and then removes these files too.
    if session.get(kind, identity, with_for_update={"read": True}) is None:
        raise MissingError(f"There is no {words} with this number.")
    attached = [files.attach(session, file.id, where, by=by) for file in taken]
    session.commit()
    return attached, refused


def givers(session: Session, files: Iterable[StoredFile]) -> dict[str, str]:
    """What those are called who attached these; whoever is gone has no name."""
    ids = {file.user_id for file in files if file.user_id}
    found = session.execute(select(_PEOPLE).where(_PEOPLE.c.id.in_(ids)))
    return {row.id: row.name or row.email.partition("@")[0] for row in found}


def _refusal(file: Given, error: Refused) -> Refusal:
    title = error.reason.title
    # What a scanner has found is for the record, and not for whoever tries out names of malware.
    detail = "" if error.reason.code.startswith("malware.") else error.detail
    # Windows sends the path of a folder along.
    name = file.name.replace("\\", "/").rpartition("/")[2][:100]
    shown = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in name)
    return Refusal(shown or "a file", error.reason.code, error.status, f"{title} {detail}".strip())
