"""Versions: the one way in which anything in the register is written, and the ways to look back.

Every verb asks itself whether whoever calls may do it (S3-023): a route that forgot to would open nothing.
A version and its audit row are one transaction, and of two changes of the same version one wins.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Protocol

from sqlalchemy import ColumnElement, Select, and_, func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from apps.projects import differences
from apps.projects.database import WRITING
from apps.projects.models import Change, Document, DocumentVersion, Project, ProjectVersion
from bylaw.fastapi import Identity

PAGE: Final = 50
"""Things on one page of a list."""


@dataclass(frozen=True, slots=True)
class Kind:
    """A sort of thing: its tables, what of a version is content, and the noun of its permissions."""

    noun: str
    thing: type[Any]
    version: type[Any]
    fields: tuple[str, ...]

    @property
    def of(self) -> Any:
        """The column of a version that says whose it is."""
        return getattr(self.version, f"{self.noun}_id")


PROJECTS: Final = Kind("project", Project, ProjectVersion, ("title", "summary", "status"))
DOCUMENTS: Final = Kind("document", Document, DocumentVersion, ("title", "body"))


class NotThereError(LookupError):
    """There is no such thing, or was none then."""


class OutdatedError(ValueError):
    """The thing has changed since the version that the change was made on; `version` is the newest."""

    def __init__(self, version: int) -> None:
        super().__init__(version)
        self.version = version


class HeldError(ValueError):
    """Something else has to go, or to come back, first."""


class Recorder(Protocol):
    """`Bylaw.record`: the audit row of a change, in its transaction."""

    def __call__(self, connection: Any, *, action: str, **facts: Any) -> None: ...


@dataclass(frozen=True, slots=True)
class Found:
    """A thing at one of its versions."""

    thing: Any
    version: Any

    def shown(self) -> dict[str, Any]:
        """What the API gives: the thing, its version and the content, in one."""
        kept = {c.key: getattr(self.thing, c.key) for c in self.thing.__table__.columns}
        said = {c.key: getattr(self.version, c.key) for c in self.version.__table__.columns}
        return {
            **said,
            **kept,
            "version": self.version.number,
            "changed_by": self.version.author_id,
            "changed_at": self.version.at,
        }


@dataclass(frozen=True, slots=True)
class Register:
    """The register for one request: its database session, whoever asks, and what time it is."""

    db: AsyncSession
    who: Identity
    record: Recorder
    now: Callable[[], datetime]

    # Writing

    async def create(self, kind: Kind, content: Mapping[str, Any], **about: Any) -> Found:
        """A new thing, owned by whoever makes it."""
        self.who.demand(f"{kind.noun}:create")
        await self._begin()
        return await self._made(kind, content, **about)

    async def create_document(self, project_id: str, content: Mapping[str, Any]) -> Found:
        """A new document. Whoever adds to a project writes in it: an editor to his own alone (S3-021)."""
        self.who.demand("document:read")
        await self._begin()
        # Held: nobody deletes the project while the document is on its way into it.
        project = await self.current(PROJECTS, project_id, hold=True)
        self.who.demand("document:create", owner=project.thing.owner_id)
        return await self._made(DOCUMENTS, content, project_id=project.thing.id)

    async def change(self, kind: Kind, thing_id: str, based_on: int, content: Mapping[str, Any]) -> Found:
        """A further version. Raises OutdatedError where somebody was faster."""
        found = await self._changing(kind, "update", thing_id, based_on)
        return await self._write(kind, found.thing, "updated", content, found.version)

    async def restore(self, kind: Kind, thing_id: str, based_on: int, number: int) -> Found:
        """A further version with the content of an earlier one. A deleted thing comes back that way; a
        document whose project was deleted only after it (HeldError)."""
        found = await self._changing(kind, "update", thing_id, based_on, deleted=True)
        earlier = await self.version(kind, thing_id, number)
        if kind is DOCUMENTS:
            project = await self.current(PROJECTS, found.thing.project_id, deleted=True, hold=True)
            if project.version.change == "deleted":
                raise HeldError("The project of this document was deleted. Restore it first.")
        content = self._content(kind, earlier)
        return await self._write(kind, found.thing, "restored", content, found.version, restored_from=number)

    async def delete(self, kind: Kind, thing_id: str, based_on: int) -> None:
        """A last version that says so: what was there can be looked at and restored.

        Nobody deletes others' documents with their project: as long as it has any it stays (HeldError).
        """
        found = await self._changing(kind, "delete", thing_id, based_on)
        if kind is PROJECTS and await self.listed(DOCUMENTS, Document.project_id == thing_id):
            raise HeldError("There are documents in this project. Delete them first.")
        content = self._content(kind, found.version)
        await self._write(kind, found.thing, "deleted", content, found.version)

    async def _begin(self) -> None:
        """Begin as a writer, before anything is read: what is read then is still so when it is written."""
        await self.db.connection(execution_options=WRITING)

    async def _made(self, kind: Kind, content: Mapping[str, Any], **about: Any) -> Found:
        thing = kind.thing(id=str(uuid.uuid4()), owner_id=self.who.id, **about)
        self.db.add(thing)
        await self.db.flush()
        return await self._write(kind, thing, "created", content, None)

    async def _changing(
        self, kind: Kind, verb: str, thing_id: str, based_on: int, *, deleted: bool = False
    ) -> Found:
        self.who.demand(f"{kind.noun}:read")
        await self._begin()
        found = await self.current(kind, thing_id, deleted=deleted, hold=True)
        self.who.demand(f"{kind.noun}:{verb}", owner=found.thing.owner_id)
        if found.version.number != based_on:
            raise OutdatedError(found.version.number)
        return found

    async def _write(
        self,
        kind: Kind,
        thing: Any,
        change: Change,
        content: Mapping[str, Any],
        before: Any | None,
        **more: Any,
    ) -> Found:
        """The version after `before`, its audit row, and the end of the transaction."""
        number, at = 1, self.now()
        if before is not None:
            # A clock that was set back must not make the newer version the older one.
            number, at = before.number + 1, max(at, before.at)
        version = kind.version(
            **{kind.of.key: thing.id},
            number=number,
            change=change,
            author_id=self.who.id,
            at=at,
            **content,
            **more,
        )
        self.db.add(version)
        try:
            await self.db.flush()
        except IntegrityError:  # the thing is held; if it were not, the number is a key all the same
            await self.db.rollback()
            raise OutdatedError((await self._newest(kind, thing.id)).version.number) from None
        await self._record(kind, version, before)
        await self.db.commit()
        return Found(thing, version)

    async def _record(self, kind: Kind, version: Any, before: Any | None) -> None:
        """Who did it, and to which fields. Their content stands in the versions, and only there: what has
        to be erased one day must not stand in a log that nobody may change."""
        old = {} if before is None else self._content(kind, before)
        changed = [name for name in kind.fields if old.get(name) != getattr(version, name)]
        changes = {
            "version": {"old": None if before is None else before.number, "new": version.number},
            "fields": changed,
        }
        await self.db.run_sync(
            lambda session: self.record(
                session,
                action=f"{kind.noun}_{version.change}",
                actor=self.who,
                entity_type=kind.noun,
                entity_id=getattr(version, kind.of.key),
                changes=changes,
            )
        )

    # Reading

    async def current(self, kind: Kind, thing_id: str, *, deleted: bool = False, hold: bool = False) -> Found:
        """A thing as it is. Raises NotThereError, also where it was deleted, unless `deleted`."""
        if hold:  # PostgreSQL: whoever else would change it waits here; SQLite has one writer anyhow
            await self.db.execute(select(kind.thing.id).where(kind.thing.id == thing_id).with_for_update())
        found = await self._newest(kind, thing_id)
        if found.version.change == "deleted" and not deleted:
            raise NotThereError(thing_id)
        return found

    async def as_of(self, kind: Kind, thing_id: str, at: datetime) -> Found:
        """A thing as it was at a moment. Raises NotThereError where it was not there then."""
        found = await self._newest(kind, thing_id, kind.version.at <= at)
        if found.version.change == "deleted":
            raise NotThereError(thing_id)
        return found

    async def _newest(self, kind: Kind, thing_id: str, *conditions: ColumnElement[bool]) -> Found:
        self.who.demand(f"{kind.noun}:read")
        query = (
            select(kind.thing, kind.version)
            .join(kind.version, kind.of == kind.thing.id)
            .where(kind.thing.id == thing_id, *conditions)
            .order_by(kind.version.number.desc())
            .limit(1)
        )
        row = (await self.db.execute(query)).one_or_none()
        if row is None:
            raise NotThereError(thing_id)
        return Found(*row)

    async def version(self, kind: Kind, thing_id: str, number: int) -> Any:
        """One of its versions. Raises NotThereError."""
        self.who.demand(f"{kind.noun}:read")
        query = select(kind.version).where(kind.of == thing_id, kind.version.number == number)
        version = (await self.db.execute(query)).scalar_one_or_none()
        if version is None:
            raise NotThereError(f"{thing_id} version {number}")
        return version

    async def history(self, kind: Kind, thing_id: str, *, before: int | None = None) -> Sequence[Any]:
        """A page of its versions, the newest first, from before the number `before` on."""
        self.who.demand(f"{kind.noun}:read")
        query = select(kind.version).where(kind.of == thing_id).order_by(kind.version.number.desc())
        if before is not None:
            await self._newest(kind, thing_id)  # there is no end to the history of nothing
            query = query.where(kind.version.number < before)
        found = (await self.db.execute(query.limit(PAGE))).scalars().all()
        if not found and before is None:
            raise NotThereError(thing_id)
        return found

    async def listed(
        self,
        kind: Kind,
        *conditions: ColumnElement[bool],
        after: str = "",
        at: datetime | None = None,
        deleted: bool = False,
    ) -> list[Found]:
        """A page of things as they are, or were at a moment, in the order of their ids from `after` on;
        with `deleted` of those that are not there any more."""
        self.who.demand(f"{kind.noun}:read")
        newest = select(kind.of.label("id"), func.max(kind.version.number).label("number")).group_by(kind.of)
        if at is not None:
            newest = newest.where(kind.version.at <= at)
        of_each = newest.subquery()
        gone = kind.version.change == "deleted"
        query: Select[Any] = (
            select(kind.thing, kind.version)
            .join(of_each, of_each.c.id == kind.thing.id)
            .join(kind.version, and_(kind.of == of_each.c.id, kind.version.number == of_each.c.number))
            .where(kind.thing.id > after, gone if deleted else ~gone, *conditions)
            .order_by(kind.thing.id)
            .limit(PAGE)
        )
        return [Found(*row) for row in (await self.db.execute(query)).all()]

    async def difference(self, kind: Kind, thing_id: str, older: int, newer: int) -> dict[str, list[str]]:
        """What changed between two versions, by field, as lines of a unified diff."""
        first, second = await self.version(kind, thing_id, older), await self.version(kind, thing_id, newer)
        # In a thread: whoever writes long texts must not have everybody else wait for their comparison.
        return await asyncio.to_thread(_compared, kind, first, second)

    @staticmethod
    def _content(kind: Kind, version: Any) -> dict[str, Any]:
        return {name: getattr(version, name) for name in kind.fields}


def _compared(kind: Kind, first: Any, second: Any) -> dict[str, list[str]]:
    numbers = (first.number, second.number)
    found = {
        name: differences.lines(name, getattr(first, name), getattr(second, name), numbers)
        for name in kind.fields
    }
    return {name: lines for name, lines in found.items() if lines}
