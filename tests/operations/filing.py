"""A policy that takes files at work, without an application; and people who bring them."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import select

from bylaw.house import House
from bylaw.identity import Identity
from bylaw.operations import accounts
from bylaw.operations.files import Files, Given, StoredFile
from bylaw.operations.files.keeping import storage_of
from bylaw.ports import Ports
from bylaw.site import build
from bylaw.store import migrate
from bylaw.store.tables import audit_log
from bylaw.verify.fakes import FakeClock, Mailbox
from tests.applications.stacks import Quick
from tests.content import making
from tests.controls.houses import Builder

POLICY = """
[app]
name = "Rooms"
[roles]
admin = ["*"]
user = ["note:read"]
[uploads]
kinds = ["pdf", "png", "jpg", "csv"]
size = "1MB"
"""
SUBJECT = "process:17"


@contextmanager
def house(folder: Path, text: str = POLICY, **environ: str) -> Iterator[House]:
    """Files are kept below `folder`."""
    policy = Builder(folder).policy(text, **environ)
    made = build(policy, Ports(clock=FakeClock(), mail=Mailbox(), files=str(folder / "kept")))
    made.scheme = Quick()
    migrate.upgrade(made.store.engine)
    try:
        yield made
    finally:
        made.store.close()


def person(house: House, name: str = "ann") -> Identity:
    """Somebody with an account."""
    with house.store.transaction() as connection:
        kept = accounts.hashed(house, f"{name}@acme.eu", "Tr4vel by night, sleep by day!")
        user_id = accounts.add(house, connection, f"{name}@acme.eu", kept, name, frozenset({"user"}), by=None)
    return Identity(id=user_id, name=name, roles=frozenset({"user"}))


def given(content: bytes = b"", name: str = "drawing.png", media_type: str = "image/png") -> Given:
    """A file as a request brings it."""
    return Given(name, media_type, io.BytesIO(content or making.png()))


def kept(house: House, by: Identity, subject: str = SUBJECT, **how: Any) -> StoredFile:
    """A file that belongs somewhere."""
    return Files(house).take(given(**how), by=by, subject=subject)


def records(house: House, action: str = "") -> list[dict[str, Any]]:
    """What was recorded about files, the oldest first."""
    query = select(audit_log).where(audit_log.c.entity_type == "file").order_by(audit_log.c.id)
    with house.store.reading() as connection:
        found = [dict(row) for row in connection.execute(query).mappings()]
    return [each for each in found if not action or each["action"] == action]


def bytes_of(house: House) -> list[str]:
    """The names of what is in storage."""
    return sorted(found.name for found in storage_of(house).names())
