"""No change without its audit row: old and new values, in the transaction of the change.

A session made by `apps.mtc.database.open_session` refuses to commit rows that were added, altered
or deleted and that nobody recorded. Forgetting a record is thus an error and not a gap in the log.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import date
from decimal import Decimal
from enum import StrEnum
from typing import Any, Protocol

from sqlalchemy import event
from sqlalchemy.orm import Session

from apps.mtc.models import Base

Changes = dict[str, dict[str, object]]


class Recorder(Protocol):
    """The signature of ``Bylaw.record``."""

    def __call__(
        self,
        session: Session,
        /,
        *,
        action: str,
        entity_type: str,
        entity_id: str,
        changes: Mapping[str, object],
    ) -> object: ...


class UnrecordedChangeError(RuntimeError):
    """A programming error: a change was about to be committed without its audit row."""


class AuditedSession(Session):
    """A session that knows where to record, and that insists on it."""

    def __init__(self, bind: Any, *, record: Recorder, **options: Any) -> None:
        super().__init__(bind, **options)
        self.record = record
        self.unrecorded = False


@event.listens_for(AuditedSession, "before_flush")
def _notice(session: AuditedSession, *_: object) -> None:
    altered = any(session.is_modified(entity) for entity in session.dirty)
    session.unrecorded = session.unrecorded or altered or bool(session.new or session.deleted)


@event.listens_for(AuditedSession, "before_commit")
def _insist(session: AuditedSession) -> None:
    session.flush()
    if session.unrecorded:
        raise UnrecordedChangeError("a change was not recorded: use services.audit")


@event.listens_for(AuditedSession, "after_soft_rollback")
def _forget(session: AuditedSession, _: object) -> None:
    session.unrecorded = False


def created(session: Session, entity: Base) -> None:
    """Add `entity` and record its values."""
    session.add(entity)
    session.flush()
    new = {name: value for name, value in entity.audited().items() if name != "id"}
    note(session, "create", entity, diff({}, new))


@contextmanager
def changing(session: Session, entity: Base, action: str = "update") -> Iterator[None]:
    """Record what the block changes of `entity`; nothing if it changes nothing."""
    old = entity.audited()
    yield
    session.flush()
    changes = diff(old, entity.audited())
    if changes:
        note(session, action, entity, changes)


def deleted(session: Session, entity: Base, contents: Mapping[str, object] | None = None) -> None:
    """Delete `entity` and record what it held."""
    old = contents if contents is not None else entity.audited()
    session.delete(entity)
    session.flush()
    note(session, "delete", entity, diff(old, {}))


def note(session: Session, action: str, entity: Base, changes: Changes) -> None:
    """Record a change that the functions above do not describe."""
    identity = str(entity.id)  # type: ignore[attr-defined]
    _recorder(session)(session, action=action, entity_type=entity.kind(), entity_id=identity, changes=changes)
    session.flush()
    if isinstance(session, AuditedSession):
        session.unrecorded = False


def diff(old: Mapping[str, object], new: Mapping[str, object]) -> Changes:
    """``{"name": {"old": ..., "new": ...}}`` for each value that differs, as JSON can hold it."""
    names = [*old, *(name for name in new if name not in old)]
    pairs = {name: (_plain(old.get(name)), _plain(new.get(name))) for name in names}
    return {name: {"old": a, "new": b} for name, (a, b) in pairs.items() if a != b}


def _recorder(session: Session) -> Recorder:
    if not isinstance(session, AuditedSession):
        raise UnrecordedChangeError("this session cannot record: use database.open_session")
    return session.record


def _plain(value: object) -> object:
    match value:
        case StrEnum():
            return value.value
        case Decimal():
            return format(value, "f")
        case date():
            return value.isoformat()
        case Mapping():
            return {str(name): _plain(part) for name, part in value.items()}
        case list() | tuple():
            return [_plain(part) for part in value]
        case _:
            return value
