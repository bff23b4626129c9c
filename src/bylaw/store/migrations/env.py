"""Alembic's entry: migrates the connection that `bylaw.store.migrate` hands over."""

from __future__ import annotations

from alembic import context

from bylaw.store.migrate import VERSION_TABLE
from bylaw.store.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    version_table=VERSION_TABLE,
    render_as_batch=True,
)
context.run_migrations()
