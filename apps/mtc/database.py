"""MTC's part of the database: sessions that audit, migrations and the `database` commands.

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

from apps.mtc.services.audit import AuditedSession, Recorder

VERSION_TABLE = "alembic_version_mtc"
UPGRADE = "flask --app apps.mtc database upgrade"
commands = AppGroup("database", help="MTC's tables.")


def open_session(engine: Engine, record: Recorder, *, writing: bool = True) -> AuditedSession:
    """A session whose changes must be recorded; `record` is ``Bylaw.record``.

    One that is going to write says so when it begins (bylaw's engine knows the option): SQLite
    refuses to turn a reader into a writer once another has written in between.
    """
    bind = engine.execution_options(immediate=True) if writing else engine
    return AuditedSession(bind, record=record)


def get_session() -> AuditedSession:
    """The session of this request."""
    if "mtc_session" not in g:
        bylaw = current_app.extensions["bylaw"]
        writing = not has_request_context() or request.method not in {"GET", "HEAD", "OPTIONS"}
        g.mtc_session = open_session(bylaw.engine, bylaw.record, writing=writing)
    session: AuditedSession = g.mtc_session
    return session


def close_session(_: BaseException | None = None) -> None:
    """Give the connection back; what was not committed is undone."""
    session = g.pop("mtc_session", None)
    if session is not None:
        session.close()


def upgrade(engine: Engine) -> None:
    """Bring MTC's tables to this program's version. Safe to call again."""
    config = _configuration()
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


def check(app: Flask, engine: Engine) -> None:
    """Upgrade in development; in production that is the operator's decision. Raises RuntimeError.

    The command that upgrades needs the application too, so it alone gets one.
    """
    if app.config["DEVELOPMENT"]:
        upgrade(engine)
    elif not _loads_commands() and not is_current(engine):
        raise RuntimeError(f"MTC's tables are missing or old; run: {UPGRADE}")


def _loads_commands() -> bool:
    """Whether ``flask`` is looking for a command of this application; ``flask run`` is not one."""
    context = click.get_current_context(silent=True)
    return context is not None and isinstance(context.command, FlaskGroup)


def is_current(engine: Engine) -> bool:
    """Whether MTC's tables are those of this program."""
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
    """Create MTC's tables or bring them up to date."""
    upgrade(current_app.extensions["bylaw"].engine)
    click.echo("MTC's tables are up to date.")


@commands.command("sample")
def sample_command() -> None:
    """Load the sample data: four real bills of materials, prices, a few lots, and two files."""
    from apps.mtc import sample_data

    with get_session() as session:
        sample_data.load(session)
        sample_data.attach(session, current_app.extensions["bylaw"].files)
    click.echo("The sample data is loaded.")


def init_app(app: Flask) -> None:
    app.teardown_appcontext(close_session)
    app.cli.add_command(commands)
