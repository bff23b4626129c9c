"""The planner's part of the database: sessions, migrations and the `database` commands.

The engine is bylaw's: both keep their tables in one database, so that a change and its audit row
are one transaction.
"""

from __future__ import annotations

from pathlib import Path

import click
from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from flask import Flask, current_app, g, has_request_context, request
from flask.cli import AppGroup, FlaskGroup
from sqlalchemy import Engine
from sqlalchemy.orm import Session

VERSION_TABLE = "alembic_version_planner"
UPGRADE = "flask --app apps.planner database upgrade"
commands = AppGroup("database", help="The planner's tables.")


def open_session(engine: Engine, *, writing: bool = True) -> Session:
    """A session; one that is going to write says so when it begins (bylaw's engine knows the option): SQLite
    refuses to turn a reader into a writer once another has written in between."""
    return Session(engine.execution_options(immediate=True) if writing else engine)


def get_session() -> Session:
    """The session of this request."""
    if "planner_session" not in g:
        writing = not has_request_context() or request.method not in {"GET", "HEAD", "OPTIONS"}
        g.planner_session = open_session(current_app.extensions["bylaw"].engine, writing=writing)
    session: Session = g.planner_session
    return session


def close_session(_: BaseException | None = None) -> None:
    """Give the connection back; what was not committed is undone."""
    session = g.pop("planner_session", None)
    if session is not None:
        session.close()


def upgrade(engine: Engine) -> None:
    """Bring the planner's tables to this program's version. Safe to call again."""
    config = _configuration()
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


def check(app: Flask, engine: Engine) -> None:
    """Upgrade in development; in production that is the operator's decision. Raises RuntimeError.

    The command that upgrades needs the application too, so it alone gets one.
    """
    if not app.extensions["bylaw"].policy.production:
        upgrade(engine)
    elif not _loads_commands() and not is_current(engine):
        raise RuntimeError(f"the planner's tables are missing or old; run: {UPGRADE}")


def _loads_commands() -> bool:
    """Whether ``flask`` is looking for a command of this application; ``flask run`` is not one."""
    context = click.get_current_context(silent=True)
    return context is not None and isinstance(context.command, FlaskGroup)


def is_current(engine: Engine) -> bool:
    """Whether the planner's tables are those of this program."""
    newest = ScriptDirectory.from_config(_configuration()).get_current_head()
    with engine.connect() as connection:
        options = {"version_table": VERSION_TABLE}
        context = MigrationContext.configure(connection, opts=options)
        return context.get_current_revision() == newest


def _configuration() -> Config:
    config = Config()
    # A percent sign in the path would be read as an interpolation.
    place = str(Path(__file__).parent / "migrations").replace("%", "%%")
    config.set_main_option("script_location", place)
    return config


@commands.command("upgrade")
def upgrade_command() -> None:
    """Create the planner's tables or bring them up to date."""
    upgrade(current_app.extensions["bylaw"].engine)
    click.echo("The planner's tables are up to date.")


def init_app(app: Flask) -> None:
    app.teardown_appcontext(close_session)
    app.cli.add_command(commands)
