"""The address of the database: one that a start can open."""

from __future__ import annotations

from typing import Final

from sqlalchemy import URL
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError

ACCEPTED: Final = "e.g. postgresql+psycopg://user:password@host/name or sqlite:///app.db"


def address(text: str) -> URL:
    """The address in `text`. Raises ValueError, which says why it is none and never repeats a password."""
    try:
        found = make_url(text)
    except (ArgumentError, ValueError):  # ValueError: a port that is no number
        raise ValueError("not the URL of a database") from None
    if found.drivername in ("postgres", "postgresql"):
        # As hosts hand it out; the driver that bylaw brings along is psycopg.
        found = found.set(drivername="postgresql+psycopg")
    if found.drivername.startswith("sqlite") and (not found.database or found.database == ":memory:"):
        raise ValueError("SQLite needs a file: a database in memory is another one per connection")
    try:
        found.get_dialect().import_dbapi()
    except (NoSuchModuleError, ImportError):
        raise ValueError(
            f"there is no driver for {found.drivername} databases here; sqlite is built in, "
            "postgresql+psycopg comes with bylaw[postgresql]"
        ) from None
    return found
