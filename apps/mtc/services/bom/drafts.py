"""Uploaded texts between preview and import. Whoever did not upload one cannot tell it exists."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from apps.mtc.models import ImportDraft
from apps.mtc.services import audit
from apps.mtc.services.errors import MissingError

LIFETIME = timedelta(days=1)
MOST_PER_USER = 10


def keep(session: Session, *, user_id: str, filename: str, text: str, now: datetime) -> ImportDraft:
    """Keep an upload for its owner; what is too old, or too many of theirs, goes."""
    draft = ImportDraft(user_id=user_id, filename=filename, text=text, created=now)
    _forget_old(session, user_id, now)
    audit.created(session, draft)
    return draft


def find(session: Session, draft_id: int, user_id: str, now: datetime) -> ImportDraft:
    """The draft if it is this person's. Raises `MissingError` alike for none and another's."""
    draft = session.get(ImportDraft, draft_id)
    if draft is None or draft.user_id != user_id or draft.created < now - LIFETIME:
        raise MissingError("There is no such upload; it may have been imported or has expired.")
    return draft


def of_user(session: Session, user_id: str, now: datetime) -> list[ImportDraft]:
    query = (
        select(ImportDraft)
        .where(ImportDraft.user_id == user_id, ImportDraft.created >= now - LIFETIME)
        .order_by(ImportDraft.created.desc(), ImportDraft.id.desc())
    )
    return list(session.scalars(query))


def discard(session: Session, draft: ImportDraft) -> None:
    audit.deleted(session, draft)


def _forget_old(session: Session, user_id: str, now: datetime) -> None:
    expired = select(ImportDraft).where(ImportDraft.created < now - LIFETIME)
    surplus = of_user(session, user_id, now)[MOST_PER_USER - 1 :]
    for draft in {*session.scalars(expired), *surplus}:
        discard(session, draft)
