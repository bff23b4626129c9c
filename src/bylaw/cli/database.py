"""bylaw db: the database's version."""

from __future__ import annotations

import click

from bylaw.cli.common import POLICY, fail, out, site, spoken
from bylaw.store import migrate


@click.group()
def db() -> None:
    """The database: its version."""


@db.command()
@POLICY
@spoken
def upgrade(policy: str | None) -> None:
    """Bring the database to this version.

    Safe to run again, and by two at once.
    """
    opened = site(policy)
    engine = opened.house.store.engine
    try:
        before = migrate.current(engine)
        migrate.upgrade(engine)
        out.print(f"{before or 'empty'} → {migrate.current(engine)}")
    finally:
        opened.close()


@db.command()
@POLICY
@spoken
def current(policy: str | None) -> None:
    """Say which version the database has.

    Exit code 1 when it is not the one that this bylaw needs.
    """
    opened = site(policy)
    try:
        have, need = migrate.current(opened.house.store.engine), migrate.latest()
    finally:
        opened.close()
    out.print(f"{have or 'empty'} (needed: {need})")
    if have != need:
        fail("run: bylaw db upgrade")
