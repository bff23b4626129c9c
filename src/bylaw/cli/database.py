"""bylaw db: the database's version."""

from __future__ import annotations

import click

from bylaw.cli.common import POLICY, fail, out, site, spoken
from bylaw.store import migrate


@click.group()
def db() -> None:
    """The database of the policy's [store]."""


@db.command()
@POLICY
@spoken
def upgrade(policy: str | None) -> None:
    """Bring the database to this version of bylaw. Safe to run again, and by two at once."""
    opened = site(policy)
    engine = opened.house.store.engine
    before = migrate.current(engine)
    migrate.upgrade(engine)
    out.print(f"{before or 'empty'} → {migrate.current(engine)}", markup=False)


@db.command()
@POLICY
@spoken
def current(policy: str | None) -> None:
    """Say which version the database has; exit code 1 when it is not this bylaw's."""
    opened = site(policy)
    have, need = migrate.current(opened.house.store.engine), migrate.latest()
    out.print(f"{have or 'empty'} (needed: {need})", markup=False)
    if have != need:
        fail("run: bylaw db upgrade")
