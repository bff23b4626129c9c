"""Bring a database to this version of bylaw (Alembic; the scripts are in `migrations/`)."""

from __future__ import annotations

from functools import cache

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine

VERSION_TABLE = "bylaw_version"


def _config(connection: Connection | None = None) -> Config:
    config = Config()
    config.set_main_option("script_location", "bylaw:store/migrations")
    config.attributes["connection"] = connection
    return config


def upgrade(engine: Engine) -> None:
    """Run what is missing. Two processes that start at once are serialised by the database."""
    with engine.execution_options(immediate=True).begin() as connection:
        if connection.dialect.name == "postgresql":
            connection.exec_driver_sql("SELECT pg_advisory_xact_lock(7237501)")
        command.upgrade(_config(connection), "head")


def current(engine: Engine) -> str | None:
    """The version that the database has, None for an empty one."""
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE})
        return context.get_current_revision()


@cache
def latest() -> str:
    """The version that this bylaw needs."""
    return ScriptDirectory.from_config(_config()).get_current_head() or ""
