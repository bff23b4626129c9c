"""Starting an application on a laboratory's database, in this process or in another one."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bylaw import ports
from bylaw.errors import MisuseError
from bylaw.site import Site
from bylaw.store import migrate
from bylaw.store.engine import connect
from bylaw.verify import stubs
from bylaw.verify.fakes import FakeClock, Mailbox
from bylaw.verify.people import Protected
from bylaw.verify.target import Target
from bylaw.verify.world import BUILDING, environment


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """What another process needs to work on a laboratory's database."""

    database: str
    environ: dict[str, str]
    now: float
    counters: str = "memory"
    files: str | None = None

    def site(self, policy: Path) -> Site:
        """The policy at work there; whoever opens it closes it."""
        site = Site(
            policy,
            world=ports.Ports(
                clock=FakeClock(self.now),
                mail=Mailbox(),
                database=self.database,
                counters=self.counters,
                files=self.files,
                environ=self.environ,
            ),
        )
        site.open()
        return site


def prepare(target: Target, database: str, environ: Mapping[str, str]) -> None:
    """Bring an empty database to where the application can start."""
    engine = connect(database)
    try:
        migrate.upgrade(engine)
        if target.prepare is not None:
            with BUILDING, environment(environ):
                target.prepare(engine)
    finally:
        engine.dispose()


def start(
    target: Target,
    environ: Mapping[str, str],
    clock: FakeClock,
    mailbox: Mailbox,
    counters: str = "memory",
    files: str | None = None,
) -> tuple[Any, Protected]:
    """Start the application in this process, with the laboratory's world. Raises PolicyError."""
    with (
        BUILDING,
        environment(environ),
        ports.using(
            clock=clock,
            mail=mailbox,
            network=stubs.offline,
            database=environ["DATABASE_URL"],
            counters=counters,
            files=files,
            environ={**os.environ, **environ},  # what else the policy names comes from whoever started us
        ),
    ):
        app = target.factory()
    found: Any = getattr(app, "extensions", {}).get("bylaw") or getattr(
        getattr(app, "state", None), "bylaw", None
    )
    if found is None and hasattr(app, "site"):
        found = app  # an adapter's Gated: any WSGI or ASGI application
    if found is None:
        raise LookupError(f"{target.name} is an application without Bylaw(app, …)")
    if found.site.house.ports.clock is not clock:
        # Made elsewhere: it would be attacked on its real database, with its real mail.
        raise MisuseError(f"{target.name} was made before the laboratory; name a factory")
    found.ready()
    found.site.house.paced = False  # until an attack is on the pace itself (Laboratory.paced)
    found.site.house.fenced = False  # until an attack is on the lists of addresses (Laboratory.fenced)
    return app, found
