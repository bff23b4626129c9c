"""Sample data: an editor, two projects, their documents, and what has become of them version by version."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from apps.projects.models import Document, DocumentVersion, Project, ProjectVersion
from apps.projects.versions import Recorder
from bylaw.house import House
from bylaw.operations import administering
from bylaw.operations.administering import SYSTEM
from bylaw.store.users import Wanted

EDITOR: Final = "ada@example.com"
NOBODY: Final = "00000000-0000-4000-8000-000000000000"
"""The author of sample data where there are no people."""
_SPACE: Final = uuid.UUID("5b1e5a0e-3a5c-4f0e-9d8c-2f6a1c7e9b40")

_BRIDGE: Final = [
    ("A bridge for cyclists", "A crossing at the old mill.", "proposed"),
    ("A bridge for cyclists", "A crossing at the old mill, wide enough to pass each other.", "active"),
]
_GARDEN: Final = [("A garden on the roof", "Rain water, herbs and benches.", "proposed")]
_REPORT: Final = [
    ("Report of the survey", "Ground: gravel.\nGroundwater at 3 m.\n"),
    (
        "Report of the survey",
        "Ground: gravel.\nGroundwater at 3.4 m, measured twice.\n\nNo cables were found.\n",
    ),
]


def editor(house: House) -> str:
    """The id of the account that the sample belongs to; it has no password until one is set for it."""
    known = administering.listing(house, SYSTEM, Wanted(search=EDITOR)).users
    if known:
        return known[0].id
    made = administering.create(
        house, SYSTEM, email=EDITOR, name="Ada Editor", granted=["editor"], confirmed=True
    )
    return made.id


def load(engine: Engine, author_id: str, record: Recorder, *, now: datetime | None = None) -> bool:
    """Load everything and commit; False if it is there already."""
    moment = now or datetime.now(UTC)
    with Session(engine.execution_options(immediate=True)) as session:
        bridge, garden, report = (str(uuid.uuid5(_SPACE, name)) for name in ("bridge", "garden", "report"))
        if session.scalar(select(Project.id).where(Project.id == bridge)) is not None:
            return False
        session.add_all([Project(id=bridge, owner_id=author_id), Project(id=garden, owner_id=author_id)])
        session.flush()
        session.add(Document(id=report, owner_id=author_id, project_id=bridge))
        session.flush()
        for project_id, texts in ((bridge, _BRIDGE), (garden, _GARDEN)):
            for number, (title, summary, status) in enumerate(texts, 1):
                about: dict[str, Any] = _about(number, author_id, moment)
                session.add(
                    ProjectVersion(
                        project_id=project_id, title=title, summary=summary, status=status, **about
                    )
                )
                _record(session, record, "project", project_id, about)
        for number, (title, body) in enumerate(_REPORT, 1):
            about = _about(number, author_id, moment)
            session.add(DocumentVersion(document_id=report, title=title, body=body, **about))
            _record(session, record, "document", report, about)
        session.commit()
    return True


def _about(number: int, author_id: str, now: datetime) -> dict[str, Any]:
    return {
        "number": number,
        "change": "created" if number == 1 else "updated",
        "author_id": author_id,
        "at": now - timedelta(days=30 - 7 * number),
    }


def _record(session: Session, record: Recorder, noun: str, thing_id: str, about: dict[str, Any]) -> None:
    record(
        session,
        action=f"{noun}_{about['change']}",
        actor=about["author_id"],
        entity_type=noun,
        entity_id=thing_id,
        changes={"version": {"old": about["number"] - 1 or None, "new": about["number"]}},
    )
