"""Whether an import may go on: it is still ours, it is wanted, and its owner may."""

from __future__ import annotations

from dataclasses import replace

from sqlalchemy import Connection

from bylaw.house import House
from bylaw.identity import Identity
from bylaw.operations import authority
from bylaw.operations.imports.importers import Importer
from bylaw.store import users
from bylaw.store.imports import Import


class Lost(Exception):
    """Somebody else has taken the import over."""


class Cancelled(Exception):
    """Its owner wants it ended."""


class Ended(Exception):
    """It cannot go on, and why: for its owner to read."""


def asking(house: House, connection: Connection, row: Import, importer: Importer) -> Identity:
    """Whoever imports, as he stands now. Raises Ended where he may not any more (CWE-367)."""
    user = users.by_id(connection, row.user_id) if row.user_id else None
    if user is None or user.disabled_at is not None:
        raise Ended("The account that began it is not there any more, or is disabled.")
    who = authority.as_held(house, user, authority.held(connection, user.id))
    if row.scopes is not None:
        who = who.narrowed(row.scopes)
    who = replace(who, acting=row.acting or "")
    if not who.may(importer.permission):
        raise Ended("Whoever began it may not import this any more.")
    return who
