"""Queries over uploaded files: what they are, whose, and what has become of them. Their bytes are in
storage."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, Select, func, insert, select, update

from bylaw.content import KINDS
from bylaw.store.tables import files as table

HELD: Final = "held"
"""Kept, and given to nobody: no scanner has said yet that it is clean."""
CLEAN: Final = "clean"
REFUSED: Final = "refused"
"""A scanner found something in it after it had been taken. Kept for whoever looks into it; nobody gets it."""
REMOVED: Final = "removed"
"""Somebody removed it; its bytes go with the next sweep."""
ERASED: Final = "erased"
"""Its bytes are gone. The row says that it was there."""
VISIBLE: Final = (HELD, CLEAN, REFUSED)


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file that was taken."""

    id: str
    subject: str
    """What it belongs to, in the application's words (`process:17`); empty until it is attached."""
    name: str
    """What people call it, cleaned: for showing, never for a path."""
    kind: str
    size: int
    """Bytes."""
    digest: str
    """SHA-256 of what is stored, in hexadecimal."""
    state: str
    """`held`, `clean`, `refused`, `removed` or `erased`."""
    created_at: float
    user_id: str | None = None
    """Who gave it; None when the account is gone."""
    width: int | None = None
    height: int | None = None
    scanned_by: str = ""
    scanned_at: float | None = None
    because: str = ""
    """Why it is in its state, where there is something to say."""
    attached_at: float | None = None

    @property
    def media_type(self) -> str:
        """What a browser is told that it is."""
        kind = KINDS.get(self.kind)
        return kind.media_types[0] if kind is not None else "application/octet-stream"

    @property
    def ready(self) -> bool:
        """Whether it may be downloaded."""
        return self.state == CLEAN

    @property
    def held(self) -> bool:
        """Whether it is still being checked."""
        return self.state == HELD

    @property
    def picture(self) -> bool:
        """Whether there is a thumbnail of it."""
        return self.ready and self.width is not None


_COLUMNS: Final = tuple(table.c[name] for name in StoredFile.__slots__)


def _files(connection: Connection, query: Select[Any]) -> list[StoredFile]:
    return [StoredFile(*row) for row in connection.execute(query)]


def add(connection: Connection, file: StoredFile) -> None:
    connection.execute(insert(table).values({name: getattr(file, name) for name in StoredFile.__slots__}))


def find(connection: Connection, file_id: str) -> StoredFile | None:
    """The file with this id, whatever has become of it."""
    return next(iter(_files(connection, select(*_COLUMNS).where(table.c.id == file_id))), None)


def of(connection: Connection, subject: str) -> list[StoredFile]:
    """What belongs to a subject and was not removed, the oldest first."""
    query = select(*_COLUMNS).where(table.c.subject == subject, table.c.state.in_(VISIBLE))
    return _files(connection, query.order_by(table.c.created_at, table.c.id))


def unattached(connection: Connection, user_id: str | None) -> int:
    """How many files of a person, or of strangers, no transaction has wanted."""
    query = select(func.count()).where(
        table.c.user_id == user_id, table.c.attached_at.is_(None), table.c.state.in_(VISIBLE)
    )
    return int(connection.execute(query).scalar_one())


def hold_unattached(connection: Connection, user_id: str | None) -> None:
    """Let no other transaction count these until this one is over (SQLite has one writer)."""
    if connection.dialect.name == "postgresql":
        connection.execute(select(func.pg_advisory_xact_lock(7237503, func.hashtext(user_id or ""))))


def attach(connection: Connection, file_id: str, user_id: str, subject: str, at: float) -> bool:
    """Say what a file belongs to, unless somebody has; whether this did. Two at once: one of them."""
    query = update(table).where(
        table.c.id == file_id,
        table.c.user_id == user_id,
        table.c.attached_at.is_(None),
        table.c.state.in_((HELD, CLEAN)),
    )
    return connection.execute(query.values(subject=subject, attached_at=at)).rowcount == 1


def remove(connection: Connection, file_id: str, by: str, at: float) -> bool:
    """Have a file go; whether it was still there."""
    query = update(table).where(table.c.id == file_id, table.c.state.in_(VISIBLE))
    changed = connection.execute(query.values(state=REMOVED, removed_at=at, removed_by=by or None))
    return changed.rowcount == 1


def remove_unattached(connection: Connection, before: float, at: float) -> list[str]:
    """Have files go that were taken before then and that no transaction has wanted; their ids."""
    query = (
        update(table)
        .where(
            table.c.attached_at.is_(None),
            table.c.created_at < before,
            table.c.state.in_(VISIBLE),
        )
        .values(state=REMOVED, removed_at=at, because="nothing needed it")
    )
    return list(connection.execute(query.returning(table.c.id)).scalars())


def removed(connection: Connection, limit: int) -> list[str]:
    """Files whose bytes are to go."""
    query = select(table.c.id).where(table.c.state == REMOVED).order_by(table.c.removed_at).limit(limit)
    return list(connection.execute(query).scalars())


def erased(connection: Connection, ids: Iterable[str]) -> None:
    """The bytes of these are gone; what somebody called them need not stay either."""
    connection.execute(
        update(table).where(table.c.id.in_(list(ids)), table.c.state == REMOVED).values(state=ERASED, name="")
    )


def known(connection: Connection, ids: Iterable[str]) -> set[str]:
    """Those of the ids whose bytes are somebody's."""
    query = select(table.c.id).where(table.c.id.in_(list(ids)), table.c.state != ERASED)
    return set(connection.execute(query).scalars())


def kept(connection: Connection, after: str = "", limit: int = 500) -> list[StoredFile]:
    """Files whose bytes must be there, by their ids from `after` on."""
    query = select(*_COLUMNS).where(table.c.state.in_(VISIBLE), table.c.id > after)
    return _files(connection, query.order_by(table.c.id).limit(limit))


def listed(
    connection: Connection, *, subject: str = "", state: str = "", limit: int = 1000
) -> list[StoredFile]:
    """Files, the newest first."""
    query = select(*_COLUMNS)
    if subject:
        query = query.where(table.c.subject == subject)
    query = query.where(table.c.state == state) if state else query.where(table.c.state.in_(VISIBLE))
    return _files(connection, query.order_by(table.c.created_at.desc(), table.c.id).limit(limit))


def totals(connection: Connection) -> dict[str, tuple[int, int]]:
    """By state: how many files, and their bytes."""
    query = select(table.c.state, func.count(), func.coalesce(func.sum(table.c.size), 0)).group_by(
        table.c.state
    )
    return {state: (int(count), int(size)) for state, count, size in connection.execute(query)}
