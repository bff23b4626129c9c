"""Finding, adding, altering and deleting any row, with its audit row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from sqlalchemy import Select, func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from apps.mtc.models import Base
from apps.mtc.services import audit
from apps.mtc.services.errors import ConflictError, MissingError, RejectedError

T = TypeVar("T", bound=Base)


def find(session: Session, kind: type[T], identity: int) -> T:
    """The row with this id. Raises `MissingError`."""
    entity = session.get(kind, identity)
    if entity is None:
        raise MissingError(f"There is no {_words(kind)} with this number.")
    return entity


def refer(session: Session, kind: type[T], identity: int, field: str) -> T:
    """The row that `field` of the input names. Raises `RejectedError`."""
    entity = session.get(kind, identity)
    if entity is None:
        raise RejectedError(field, f"There is no {_words(kind)} with this number.")
    return entity


def add(session: Session, entity: T) -> T:
    try:
        audit.created(session, entity)
    except IntegrityError as error:
        raise _taken(session, type(entity)) from error
    return entity


def alter(session: Session, entity: T, values: Mapping[str, Any]) -> T:
    kind = type(entity)
    try:
        with audit.changing(session, entity):
            for name, value in values.items():
                setattr(entity, name, value)
    except IntegrityError as error:
        raise _taken(session, kind) from error
    return entity


def remove(session: Session, entity: Base, contents: Mapping[str, object] | None = None) -> None:
    kind = type(entity)
    try:
        audit.deleted(session, entity, contents)
    except IntegrityError as error:
        session.rollback()
        raise ConflictError(f"This {_words(kind)} is in use and cannot be deleted.") from error


def page(session: Session, query: Select[T], *, limit: int, offset: int) -> tuple[Sequence[T], int]:
    """One page of a query's rows, and how many there are in all."""
    total = session.scalar(select(func.count()).select_from(query.order_by(None).subquery())) or 0
    return session.scalars(query.limit(limit).offset(offset)).all(), total


def _taken(session: Session, kind: type[Base]) -> ConflictError:
    session.rollback()
    return ConflictError(f"This {_words(kind)} exists already.")


def _words(kind: type[Base]) -> str:
    return kind.kind().replace("_", " ")
