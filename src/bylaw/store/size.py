"""How large the database is, asked for off the request path."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from sqlalchemy import Connection, func, select, text

from bylaw.store.engine import file_of
from bylaw.store.tables import audit_log, outbox, revocations, sessions, users

TABLES: Final = (users, sessions, audit_log, outbox, revocations)
"""Those that grow with people, with what they do, or with what is not done."""


def bytes_of(connection: Connection) -> dict[str, int]:
    """Bytes by part: `data`, and of SQLite the `log` that is still to be moved into it."""
    file = file_of(connection.engine)
    if file is None:
        found = connection.execute(select(func.pg_database_size(func.current_database())))
        return {"data": int(found.scalar_one())}
    return {"data": _bytes(file), "log": _bytes(Path(f"{file}-wal"))}


def rows_of(connection: Connection) -> dict[str, int]:
    """Rows by table: counted in SQLite, estimated by PostgreSQL itself, which would read them all."""
    if connection.dialect.name == "postgresql":
        estimate = text("SELECT n_live_tup FROM pg_stat_user_tables WHERE relid = to_regclass(:name)")
        asked = ((t.name, connection.execute(estimate, {"name": t.name}).scalar()) for t in TABLES)
        return {name: int(count or 0) for name, count in asked}
    return {t.name: connection.execute(select(func.count()).select_from(t)).scalar_one() for t in TABLES}


def _bytes(file: Path) -> int:
    try:
        return file.stat().st_size
    except OSError:
        return 0
