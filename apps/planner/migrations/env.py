"""Alembic's entry: runs on the connection that `apps.planner.database` hands over."""

from alembic import context

from apps.planner.database import VERSION_TABLE
from apps.planner.models import Base

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Base.metadata,
    version_table=VERSION_TABLE,
    # SQLite cannot alter a column in place; Alembic copies the table instead.
    render_as_batch=True,
)
with context.begin_transaction():
    context.run_migrations()
