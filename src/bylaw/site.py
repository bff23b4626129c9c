"""A policy at work in one application: what every adapter wraps, and what the command line opens.

site = Site("bylaw.toml")        # PolicyError names every problem at once
site.open()                      # the database is of this version, mail and sessions are minded
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from bylaw import controls, policy
from bylaw.controls import audit, passwords
from bylaw.controls import secrets as secrets_control
from bylaw.errors import PolicyError, Problem
from bylaw.exchange import current
from bylaw.gate import Gate
from bylaw.hashing import SCHEMES, HashPool
from bylaw.house import House
from bylaw.identity import ANONYMOUS, Identity
from bylaw.keys import KeyRing
from bylaw.operations import chores
from bylaw.pages import Pages
from bylaw.policy import Policy
from bylaw.ports import DirectoryMailer, Mailer, Ports, SmtpMailer, ports
from bylaw.store import Store, migrate


class Site:
    """One application's policy, compiled: house, gate and pages."""

    def __init__(
        self,
        file: str | os.PathLike[str],
        *,
        environ: Mapping[str, str] | None = None,
        world: Ports | None = None,
    ) -> None:
        world = world or ports()
        self.policy = policy.load(file, controls.CONTROLS, environ or world.environ)
        self.house = build(self.policy, world)
        self.pages = Pages(self.house)
        self.house.routes.add(self.pages.route)
        self.gate = Gate(
            self.house,
            controls.CONTROLS,
            endpoints=self.pages.endpoint,
            render=self.pages.refusal,
            sign_in=self.pages.urls["sign_in"],
        )
        self._open = False

    def open(self) -> None:
        """Be ready to serve. Raises PolicyError where the database is of another version.

        In development the database is brought to this version; in production that is the
        operator's decision (`bylaw db upgrade`).
        """
        if self._open:
            return
        engine = self.house.store.engine
        if migrate.current(engine) != migrate.latest():
            if self.policy.production:
                raise PolicyError(
                    f"{self.policy.app.name} has a database that it cannot use",
                    [
                        Problem(
                            "store.database",
                            "is of another version",
                            f"it has {migrate.current(engine) or 'no tables'}, this bylaw needs "
                            f"{migrate.latest()}",
                            "run: bylaw db upgrade",
                        )
                    ],
                )
            migrate.upgrade(engine)
        chores.install(self.house)
        self._open = True

    def close(self) -> None:
        """Write what is still only remembered, and let go of the database."""
        self.house.store.feed.stop()
        self.house.store.close()
        self._open = False

    def record(self, connection: Any, *, action: str, **facts: Any) -> None:
        """Record a change of the application in its own transaction (a Session or Connection).

        Keywords as of `bylaw.controls.audit.record`: entity_type, entity_id, changes, outcome.
        """
        # An ORM session's pending changes and the record leave in one transaction.
        raw = (
            connection.connection()
            if hasattr(connection, "connection") and callable(connection.connection)
            else connection
        )
        audit.record(self.house, raw, action=action, **facts)


def identity() -> Identity:
    """Whoever makes the current request; the anonymous identity outside of one."""
    exchange = current()
    return (exchange.identity if exchange is not None else None) or ANONYMOUS


def build(rules: Policy, world: Ports) -> House:
    """The house of a policy: key ring, store, hashing and mail."""
    settings = rules.of(passwords.Settings)
    scheme = SCHEMES[settings.hash]()
    return House(
        policy=rules,
        ports=world,
        keys=KeyRing(secrets_control.ring(rules)),
        store=Store(
            world.database or rules.store.database.get_secret_value(),
            root=Path.cwd(),
            clock=world.clock,
            bound=rules.store.revocation_bound,
            cached=rules.store.cached_sessions,
        ),
        scheme=scheme,
        hashes=HashPool(mebibytes=settings.memory, each=scheme.mebibytes, waiting=settings.waiting),
        mailer=world.mailer(_mailer(rules)),
        decoy=_decoy(settings.hash),
    )


@cache
def _decoy(scheme: str) -> str:
    """A hash for those who have none; one per process will do, it protects nothing."""
    return SCHEMES[scheme]().make("nobody's password")


def _mailer(rules: Policy) -> Mailer | None:
    if rules.mail.directory:
        return DirectoryMailer(Path(rules.mail.directory))
    if rules.mail.server is not None:
        return SmtpMailer(rules.mail.server.get_secret_value())
    return None
