"""Versions: the one way in which anything in the register is written, and the ways to look back.

Every verb asks itself whether whoever calls may do it (S3-023): a route that forgot to would open nothing.
"""

from __future__ import annotations

import difflib
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, Protocol

from sqlalchemy import ColumnElement, Select, and_, func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

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


class Recorder(Protocol):
    """`Bylaw.record`: the audit row of a change, in its transaction."""

    def __call__(self, connection: Any, /, *, action: str, **facts: Any) -> None: ...


@dataclass(frozen=True, slots=True)
class Found:
    """A thing at one of its versions."""

    thing: Any
    version: Any

    def shown(self) -> dict[str, Any]:
        """What the API gives: the thing, its version and the content, in one."""
        columns = [c.key for c in self.version.__table__.columns]
        content = {
            name: getattr(self.version, name)
            for name in columns
            if name not in ("number", "change", "restored_from", "author_id", "at")
        }
        kept = {c.key: getattr(self.thing, c.key) for c in self.thing.__table__.columns}
        return {
            **content,
            **kept,
            "version": self.version.number,
            "changed_by": self.version.author_id,
            "changed_at": self.version.at,
        }


@dataclass(frozen=True, slots=True)
class Register:
    """The register for one request: its database session, and whoever asks."""

    db: AsyncSession
    who: Identity
    record: Recorder

    # Writing

    async def create(self, kind: Kind, content: Mapping[str, Any], **about: Any) -> Found:
        """A new thing, owned by whoever makes it."""
        self.who.demand(f"{kind.noun}:create")
        thing = kind.thing(id=str(uuid.uuid4()), owner_id=self.who.id, **about)
        self.db.add(thing)
        await self.db.flush()
        return await self._write(kind, thing, 1, "created", content, {})

    async def change(self, kind: Kind, thing_id: str, based_on: int, content: Mapping[str, Any]) -> Found:
        """A further version. Raises OutdatedError where somebody was faster."""
        found = await self._changing(kind, "update", thing_id, based_on)
        return await self._write(
            kind, found.thing, based_on + 1, "updated", content, self._content(kind, found.version)
        )

    async def restore(self, kind: Kind, thing_id: str, based_on: int, number: int) -> Found:
        """A further version with the content of an earlier one. A deleted thing comes back that way."""
        found = await self._changing(kind, "update", thing_id, based_on, deleted=True)
        earlier = await self.version(kind, thing_id, number)
        return await self._write(
            kind,
            found.thing,
            based_on + 1,
            "restored",
            self._content(kind, earlier),
            self._content(kind, found.version),
            restored_from=number,
        )

    async def delete(self, kind: Kind, thing_id: str, based_on: int) -> None:
        """A last version that says so: what was there can be looked at and restored."""
        found = await self._changing(kind, "delete", thing_id, based_on)
        content = self._content(kind, found.version)
        await self._write(kind, found.thing, based_on + 1, "deleted", content, content)

    async def _changing(
        self, kind: Kind, verb: str, thing_id: str, based_on: int, *, deleted: bool = False
    ) -> Found:
        found = await self.current(kind, thing_id, deleted=deleted)
        self.who.demand(f"{kind.noun}:{verb}", owner=found.thing.owner_id)
        if found.version.number != based_on:
            raise OutdatedError(found.version.number)
        return found

    async def _write(
        self,
        kind: Kind,
        thing: Any,
        number: int,
        change: Change,
        content: Mapping[str, Any],
        before: Mapping[str, Any],
        **more: Any,
    ) -> Found:
        version = kind.version(
            **{kind.of.key: thing.id},
            number=number,
            change=change,
            author_id=self.who.id,
            at=datetime.now(UTC),
            **content,
            **more,
        )
        self.db.add(version)
        try:
            await self.db.flush()
        except IntegrityError:  # another request has written this number in between
            await self.db.rollback()
            newest = (await self._newest(kind, thing.id)).version.number
            raise OutdatedError(newest) from None
        changes = {
            name: {"old": before.get(name), "new": content[name]}
            for name in kind.fields
            if before.get(name) != content[name]
        }
        await self.db.run_sync(
            lambda session: self.record(
                session,
                action=f"{kind.noun}_{change}",
                entity_type=kind.noun,
                entity_id=thing.id,
                changes={**changes, "version": number},
            )
        )
        await self.db.commit()
        return Found(thing, version)

    # Reading

    async def current(self, kind: Kind, thing_id: str, *, deleted: bool = False) -> Found:
        """A thing as it is. Raises NotThereError, also where it was deleted, unless `deleted`."""
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
        """Its versions, the newest first, from before the number `before` on."""
        self.who.demand(f"{kind.noun}:read")
        query = select(kind.version).where(kind.of == thing_id).order_by(kind.version.number.desc())
        if before is not None:
            query = query.where(kind.version.number < before)
        found = (await self.db.execute(query.limit(PAGE))).scalars().all()
        if not found and before is None:
            raise NotThereError(thing_id)
        return found

    async def listed(
        self, kind: Kind, *conditions: ColumnElement[bool], after: str = "", at: datetime | None = None
    ) -> list[Found]:
        """A page of things as they are, or were at a moment, in the order of their ids from `after` on."""
        self.who.demand(f"{kind.noun}:read")
        newest = select(kind.of.label("id"), func.max(kind.version.number).label("number")).group_by(kind.of)
        if at is not None:
            newest = newest.where(kind.version.at <= at)
        of_each = newest.subquery()
        query: Select[Any] = (
            select(kind.thing, kind.version)
            .join(of_each, of_each.c.id == kind.thing.id)
            .join(kind.version, and_(kind.of == of_each.c.id, kind.version.number == of_each.c.number))
            .where(kind.thing.id > after, kind.version.change != "deleted", *conditions)
            .order_by(kind.thing.id)
            .limit(PAGE)
        )
        return [Found(*row) for row in (await self.db.execute(query)).all()]

    async def difference(self, kind: Kind, thing_id: str, older: int, newer: int) -> dict[str, list[str]]:
        """What changed between two versions, by field, as lines of a unified diff."""
        first, second = await self.version(kind, thing_id, older), await self.version(kind, thing_id, newer)
        found = {}
        for name in kind.fields:
            before, now = (str(getattr(version, name)).splitlines() for version in (first, second))
            lines = list(difflib.unified_diff(before, now, f"{name} {older}", f"{name} {newer}", lineterm=""))
            if lines:
                found[name] = lines
        return found

    @staticmethod
    def _content(kind: Kind, version: Any) -> dict[str, Any]:
        return {name: getattr(version, name) for name in kind.fields}
