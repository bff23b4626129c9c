"""A policy at work in one application: what every adapter wraps, and what the command line opens.

site = Site("bylaw.toml")        # PolicyError names every problem at once
site.open()                      # the database is of this version, mail and sessions are minded
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from bylaw import controls, policy
from bylaw.control import Conflict, Control
from bylaw.controls import audit, logs, passwords, rate_limits, uploads
from bylaw.controls import secrets as secrets_control
from bylaw.controls.passwords import keeping
from bylaw.errors import MisuseError, PolicyError, Problem
from bylaw.exchange import Response, current
from bylaw.gate import Gate
from bylaw.hashing import HashPool, Scheme
from bylaw.house import House
from bylaw.identity import ANONYMOUS, Identity
from bylaw.keys import KeyRing
from bylaw.operations import bootstrap, chores, exporting, fetching
from bylaw.operations.exporting import Export
from bylaw.operations.files import Files
from bylaw.operations.imports import Imports, working
from bylaw.operations.tokens import Tokens
from bylaw.pages import Pages
from bylaw.policy import Policy
from bylaw.ports import DirectoryMailer, Mailer, Ports, Received, SmtpMailer, ports
from bylaw.reasons import Refused
from bylaw.routes import Route
from bylaw.rules import PathRules
from bylaw.store import Store, migrate
from bylaw.store.engine import plain


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
        logs.install(self.house)  # before anything can go wrong and be logged
        self.pages = Pages(self.house)
        uploads.declare(self.house)
        self.house.routes.add(self._page)
        self.house.routes.twins = self.pages.twins()
        self.rules = PathRules(self.policy.access.routes)
        self.house.routes.add(self.rules.find)
        self.gate = self.compiled()
        self._open = False
        self._routed = False

    def _page(self, method: str, path: str) -> Route | None:
        """The route of one of bylaw's own pages as they are now: a laboratory has others answer."""
        return self.pages.route(method, path)

    def compiled(self) -> Gate:
        """The gate of the house's policy as it stands."""
        return Gate(
            self.house,
            controls.CONTROLS,
            endpoints=self.pages.endpoint,
            render=self.pages.refusal,
            urls=self.pages.urls,
            by_path=self.rules if self.policy.access.routes else None,
        )

    def open(self, *, serving: bool = True) -> None:
        """Be ready to serve. Raises PolicyError where the database is of another version, or this process
        cannot keep the policy.

        In development the database is brought to this version; in production that is the
        operator's decision (`bylaw db upgrade`). A command does its work without serving anybody.
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
        if serving:
            self._demand(lambda control: control.start)
            bootstrap.first_administrator(self.house)
        chores.install(self.house)
        self._open = True

    def routed(self) -> None:
        """Every route is there. Raises PolicyError where the policy speaks of one that is not."""
        if not self._routed:
            self._demand(lambda control: control.routed)
            self._routed = True

    def declared_in_code(self) -> Iterator[Problem]:
        """What stands in the way of a framework whose routes say themselves who may call them."""
        if self.policy.access.routes:
            yield Problem(
                self.policy.where.at(("access", "routes")),
                "access.routes",
                "its routes say in the code who may call them: two places will differ one day",
                "leave the section out",
            )

    def refusal(self, refused: Refused) -> Response:
        """The answer to what an operation raised, for an error handler of a framework that bylaw does not
        know: status, header pairs and body, in the current request. Raises MisuseError outside of one."""
        exchange = current()
        if exchange is None:
            raise MisuseError("there is no request that could be refused")
        return self.gate.rendered(exchange, self.gate.refused(exchange, refused))

    def _demand(self, what: Callable[[Control], Callable[[House], Iterable[Conflict]]]) -> None:
        """Have every control say what it cannot keep here, all of it at once."""
        problems = [
            Problem(self.policy.where.at(tuple(found.key.split("."))), found.key, found.why, found.accepted)
            for control in controls.CONTROLS
            if not self.policy.controls[control.name].off
            for found in what(control)(self.house)
        ]
        if problems:
            raise PolicyError(f"{self.policy.file} is not a policy that can be kept here", problems)

    def close(self) -> None:
        """Write what is still only remembered, and let go of the database."""
        working.close(self.house)
        self.house.store.feed.stop()
        self.house.store.close()
        self.house.counters.close()
        logs.uninstall(self.house)
        self._open = False

    @property
    def files(self) -> Files:
        """Uploaded files: taken, given out, removed."""
        return Files(self.house)

    @property
    def imports(self) -> Imports:
        """Imports of tables: the application's importers, and what people import with them."""
        return Imports(self.house)

    @property
    def tokens(self) -> Tokens:
        """What the application does with access tokens."""
        return Tokens(self.house)

    def export(
        self,
        name: str,
        columns: Sequence[str],
        rows: Iterable[Iterable[object]],
        *,
        format: str = "csv",  # noqa: A002 - the word that everybody looks for
        filter: str = "",  # noqa: A002 - (the same)
    ) -> Export:
        """A table that leaves, as `csv` or `xlsx`: safe to open, streamed, and recorded with the number of
        its rows when it ends or breaks off. `rows` is walked while the answer leaves; `filter` says in the
        record what was asked for. Raises Refused (422) for another format."""
        return exporting.export(self.house, name, columns, rows, form=format, filtered=filter)

    def fetch(self, url: str, **how: Any) -> Received:
        """Ask the server at an address that somebody else has named (`bylaw.operations.fetching.fetch`)."""
        return fetching.fetch(self.house, url, **how)

    def record(self, connection: Any, *, action: str, **facts: Any) -> None:
        """Record a change of the application in its own transaction (a Session or Connection).

        Keywords as of `bylaw.controls.audit.record`: entity_type, entity_id, changes, outcome.
        """
        # An ORM session's pending changes and the record leave in one transaction.
        audit.record(self.house, plain(connection), action=action, **facts)


def identity() -> Identity:
    """Whoever makes the current request; the anonymous identity outside of one."""
    exchange = current()
    return (exchange.identity if exchange is not None else None) or ANONYMOUS


def build(rules: Policy, world: Ports) -> House:
    """The house of a policy: key ring, store, hashing and mail."""
    settings = rules.of(passwords.Settings)
    scheme = keeping.scheme(settings)
    keys = KeyRing(secrets_control.ring(rules))
    return House(
        policy=rules,
        ports=world,
        keys=keys,
        counters=rate_limits.counters(rules, world, keys),
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
        decoy=_decoy(scheme),
        peppers=keeping.peppers(settings),
    )


_decoys: dict[str, str] = {}


def _decoy(scheme: Scheme) -> str:
    """A hash for those who have none; one per process and cost will do, it protects nothing."""
    if scheme.prefix not in _decoys:
        _decoys[scheme.prefix] = scheme.make("nobody's password")
    return _decoys[scheme.prefix]


def _mailer(rules: Policy) -> Mailer | None:
    if rules.mail.directory:
        return DirectoryMailer(Path(rules.mail.directory))
    if rules.mail.server is not None:
        password = rules.mail.password
        return SmtpMailer(
            rules.mail.server.get_secret_value(),
            user=rules.mail.user or "",
            password="" if password is None else password.get_secret_value(),
        )
    return None
