"""What a file belongs to, and its end: said in the application's own transaction, so that neither is without
the other."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection

from bylaw.controls import audit
from bylaw.controls.uploads import reasons
from bylaw.exchange import current
from bylaw.house import House
from bylaw.identity import ANONYMOUS, Identity
from bylaw.operations.files.taking import demand_subject
from bylaw.reasons import Refused
from bylaw.storage import NAME
from bylaw.store import files
from bylaw.store.engine import plain
from bylaw.store.files import VISIBLE, StoredFile


def attach(house: House, connection: Any, file_id: str, subject: str, by: Identity | None) -> StoredFile:
    """See `Files.attach`.

    Whoever learns the id of somebody else's fresh file could otherwise attach it to something that he may
    read (CWE-639).
    """
    demand_subject(subject)
    own, who = plain(connection), by or _asker()
    taken = bool(NAME.fullmatch(file_id)) and files.attach(own, file_id, who.id, subject, house.now())
    file = files.find(own, file_id) if taken else None
    if file is None:
        raise Refused(reasons.UNKNOWN)
    _record(house, own, who, "upload_attached", file)
    return file


def remove(house: House, connection: Any, file_id: str, subject: str, by: Identity | None) -> None:
    """See `Files.remove`."""
    demand_subject(subject)
    own, who = plain(connection), by or _asker()
    file = files.find(own, file_id) if NAME.fullmatch(file_id) else None
    if file is None or file.subject != subject or not _go(house, own, who, file):
        raise Refused(reasons.UNKNOWN)


def remove_all(house: House, connection: Any, subject: str, by: Identity | None) -> int:
    """See `Files.remove_all`."""
    demand_subject(subject)
    own, who = plain(connection), by or _asker()
    return sum(_go(house, own, who, file) for file in files.of(own, subject))


def _go(house: House, connection: Connection, who: Identity, file: StoredFile) -> bool:
    if file.state not in VISIBLE or not files.remove(connection, file.id, who.id, house.now()):
        return False
    _record(house, connection, who, "upload_delete", file)
    return True


def _asker() -> Identity:
    exchange = current()
    return (exchange.identity if exchange is not None else None) or ANONYMOUS


def _record(house: House, connection: Connection, who: Identity, action: str, file: StoredFile) -> None:
    audit.record(
        house,
        connection,
        action=action,
        actor=who,
        entity_type="file",
        entity_id=file.id,
        changes={"name": file.name, "subject": file.subject, "digest": file.digest},
    )
