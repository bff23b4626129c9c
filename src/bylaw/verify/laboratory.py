"""The laboratory: an application started on a database of its own, with people of every role.

Everything an attack needs is at hand: a clock that can be turned, a mailbox, what was logged and
recorded, clients at any address, bursts of them, and faults to inject. It never touches the
application's real database, mail or environment.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import shutil
import tempfile
import threading
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from email.message import EmailMessage
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import event

from bylaw import ports
from bylaw.controls import audit, federated
from bylaw.errors import MisuseError, PolicyError
from bylaw.identity import AccessRule
from bylaw.operations import chores
from bylaw.pages import Pages
from bylaw.routes import Taking
from bylaw.site import Site
from bylaw.store import audit as audit_rows
from bylaw.store import migrate
from bylaw.store.engine import connect
from bylaw.verify import live, stubs
from bylaw.verify.client import AsgiTransport, Reply, Sent, Transport, WsgiTransport
from bylaw.verify.fakes import FakeClock, Logs, Mailbox
from bylaw.verify.issuer import Issuer
from bylaw.verify.people import PASSWORD, People, Protected, forget_hashes
from bylaw.verify.scanner import Scanner, scanning
from bylaw.verify.target import Target
from bylaw.verify.world import BASE_URL, BUILDING, defaults, environment

T = TypeVar("T")
FOLLOWING = frozenset({"bylaw-feed", "bylaw-chores", "bylaw-notice", "bylaw-imports"})
"""Threads that ask the database for themselves, and for nobody's request."""


class Laboratory(People):
    """One start of an application, under attack."""

    def __init__(
        self,
        target: Target,
        *,
        environ: Mapping[str, str] | None = None,
        template: Path | None = None,
        database: str | None = None,
        counters: str = "memory",
    ) -> None:
        self.target = target
        self.counters = counters
        self.clock = FakeClock()
        self.mailbox = Mailbox()
        self.logs = Logs()
        self._directory = Path(tempfile.mkdtemp(prefix="bylaw-laboratory-"))
        self.database = database or f"sqlite:///{self._directory / 'laboratory.db'}"
        self.files = str(self._directory / "files")
        self.environ = {**defaults(self.database), **(target.environ or {}), **(environ or {})}
        self._stack = ExitStack()
        self._stack.callback(shutil.rmtree, self._directory, ignore_errors=True)
        logging.getLogger().addHandler(self.logs)
        self._stack.callback(logging.getLogger().removeHandler, self.logs)
        try:
            if template is not None:
                shutil.copy(template, self._directory / "laboratory.db")
            else:
                prepare(target, self.database, self.environ)
            self._start()
        except BaseException:
            self._stack.close()
            raise

    def _start(self) -> None:
        self.app, self.bylaw = start(
            self.target, self.environ, self.clock, self.mailbox, self.counters, self.files
        )
        self._stack.callback(self.site.close)
        self.transport = self._transport()
        if isinstance(self.transport, WsgiTransport | AsgiTransport):
            self._stack.callback(self.transport.close)

    def _transport(self) -> Transport:
        if self.target.transport is not None:
            return self.target.transport(self.app)
        if hasattr(self.app, "wsgi_app"):
            return WsgiTransport(self.app.wsgi_app)
        return AsgiTransport(self.app)

    def __enter__(self) -> Laboratory:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop, and leave nothing behind."""
        self._stack.close()

    # What was left behind

    def audit(self, **filters: Any) -> list[dict[str, Any]]:
        """Records of the audit log, the newest first."""
        with self.site.house.store.reading() as connection:
            return audit_rows.rows(connection, **filters)

    def mail(self) -> list[EmailMessage]:
        """Everything that was sent, after sending what waits."""
        chores.send(self.site.house)
        return self.mailbox.messages

    def dump(self) -> str:
        """Every table, as text: to look for what must not be in it."""
        from sqlalchemy import MetaData

        metadata = MetaData()
        metadata.reflect(self.site.house.store.engine)
        with self.site.house.store.reading() as connection:
            return "\n".join(
                str(tuple(row))
                for table in metadata.sorted_tables
                for row in connection.execute(table.select())
            )

    # Faults

    @contextmanager
    def instead(self, application: Callable[..., Any]) -> Iterator[None]:
        """Have another application answer behind the gate, to which no rules by path belong."""
        gated, gate = self.gated, self.site.gate
        before, gated.application = gated.application, application
        by_path, gate.by_path = gate.by_path, None
        try:
            yield
        finally:
            gated.application, gate.by_path = before, by_path

    @property
    def gated(self) -> Any:
        gated = self.bylaw.gated  # type: ignore[attr-defined]
        if gated is None:
            self.visitor().get("/")  # an ASGI stack is built at its first request
            gated = self.bylaw.gated  # type: ignore[attr-defined]
        return gated

    @contextmanager
    def queries(self, site: Site | None = None) -> Iterator[list[str]]:
        """What is asked of the database meanwhile, except by the threads that follow the feed."""
        asked: list[str] = []
        engine = (site or self.site).house.store.engine

        def note(connection: Any, cursor: Any, statement: str, *rest: Any) -> None:
            if threading.current_thread().name not in FOLLOWING:
                asked.append(statement)

        event.listen(engine, "before_cursor_execute", note)
        try:
            yield asked
        finally:
            event.remove(engine, "before_cursor_execute", note)

    @contextmanager
    def unreachable(self, holder: Any, name: str) -> Iterator[None]:
        """Have an engine, an attribute of `holder`, be that of a database that does not answer."""
        before = getattr(holder, name)
        setattr(holder, name, stubs.Unreachable())
        try:
            yield
        finally:
            setattr(holder, name, before)

    def raising(self, error: Exception) -> Any:
        """Have the application raise `error` on every request."""
        return self.instead(stubs.answering(self.is_wsgi, error=error))

    def answering(
        self, status: int = 200, headers: Iterable[tuple[str, str]] = (), body: bytes = b"ok"
    ) -> Any:
        """Have the application answer with this on every request."""
        return self.instead(stubs.answering(self.is_wsgi, status=status, headers=list(headers), body=body))

    @property
    def is_wsgi(self) -> bool:
        return isinstance(self.transport, WsgiTransport)

    def refuses_to_start(self, policy: str | None = None, **environ: str) -> PolicyError | None:
        """What a start with other variables (or another policy text) is refused with, if it is."""
        changed = {**self.environ, **environ}
        try:
            if policy is None:
                _, other = start(self.target, changed, self.clock, self.mailbox, self.counters, self.files)
                other.site.close()
            else:
                file = self._directory / "other" / "bylaw.toml"
                file.parent.mkdir(exist_ok=True)
                file.write_text(policy)
                Site(file, environ=changed).close()
        except PolicyError as error:
            return error
        return None

    @contextmanager
    def paced(self) -> Iterator[None]:
        """Have limits and lockout count, which otherwise would end every other attack early."""
        house = self.site.house
        before, house.paced = house.paced, True
        try:
            yield
        finally:
            house.paced = before

    @contextmanager
    def fenced(self) -> Iterator[None]:
        """Have lists of addresses count: otherwise people come from anywhere."""
        house = self.site.house
        before, house.fenced = house.fenced, True
        try:
            yield
        finally:
            house.fenced = before

    @contextmanager
    def under(self, settings: type[Any], **changes: Any) -> Iterator[None]:
        """Have a control's settings be others while the block lasts: for attacks on what this policy
        leaves empty. `lab.under(proxies.Settings, trusted=("192.0.2.0/24",), x_for=1)`."""
        site, before, gate = self.site, self.site.policy, self.site.gate
        name = next(name for name, found in before.controls.items() if type(found) is settings)
        changed = before.controls[name].model_copy(update=changes)
        pages = site.pages
        site.policy = site.house.policy = replace(before, controls={**before.controls, name: changed})
        self._serve(Pages(site.house))
        site.gate = site.compiled()
        try:
            yield
        finally:
            site.policy = site.house.policy = before
            self._serve(pages)
            site.gate = gate

    def _serve(self, pages: Pages) -> None:
        """Have these of bylaw's own pages answer: which there are, a policy decides."""
        self.site.pages = pages
        self.site.house.routes.twins = pages.twins()
        self.site.house.routes.forget()

    @contextmanager
    def issuer(self, name: str = "laboratory") -> Iterator[Issuer]:
        """Have people sign in with a provider that exists only here, whatever the policy says of others."""
        house, number = self.site.house, uuid.uuid4().hex[:8]
        made = Issuer(self.clock, url=f"https://issuer-{number}.lab")
        settings = federated.Provider.model_validate(
            {
                "issuer": made.url,
                "label": "Laboratory",
                "client_id": made.client_id,
                "client_secret": made.client_secret,
            }
        )
        before, house.ports = house.ports, replace(house.ports, network=made)
        try:
            with self.under(federated.Settings, off=False, **{name: settings}):
                yield made
        finally:
            house.ports = before
            house.issuers.pop(made.url, None)

    def scanner(self, **how: Any) -> AbstractContextManager[Scanner]:
        """Have files be looked into by a scanner that exists only here, whatever the policy says of one;
        `how` are other settings of [malware]."""
        return scanning(self, **how)

    @contextmanager
    def reading(self, files: Taking | None = None) -> Iterator[stubs.Reader]:
        """Have an application behind the gate that reads all it is given and answers with its SHA-256;
        with `files`, its routes take these."""
        reader = stubs.Reader(wsgi=self.is_wsgi)
        routes, prefix = self.site.house.routes, self.policy.pages.prefix + "/"
        before = routes.takes
        routes.takes = lambda _, path: None if path.startswith(prefix) else files
        routes.forget()
        try:
            with self.instead(reader.application):
                yield reader
        finally:
            routes.takes = before
            routes.forget()

    @contextmanager
    def witnessing(self) -> Iterator[list[stubs.Seen]]:
        """Have an application behind the gate that keeps what it was told of each request."""
        seen: list[stubs.Seen] = []
        with self.instead(stubs.witness(seen, wsgi=self.is_wsgi)):
            yield seen

    # Many at once

    def burst(self, work: Callable[[int], T], count: int) -> list[T]:
        """`work(0)` to `work(count - 1)`, begun at the same moment in as many threads."""
        gate = threading.Barrier(count)

        def one(number: int) -> T:
            gate.wait(30)
            return work(number)

        with ThreadPoolExecutor(count) as pool:
            return list(pool.map(one, range(count)))

    def tasks(self, sent: Iterable[Sent]) -> list[Reply]:
        """All of them at once: as tasks of one event loop, or as threads where there is none."""
        if isinstance(self.transport, AsgiTransport):
            return self.transport.together(sent)
        requests = list(sent)
        return self.burst(lambda number: self.transport(requests[number]), len(requests))

    def processes(self, work: Callable[[Elsewhere, int], T], count: int) -> list[T]:
        """`work(elsewhere, 0)` to `work(elsewhere, count - 1)`, each in a process of its own.

        `work` is a function of a module: it is found by its name there.
        """
        elsewhere = Elsewhere(self.database, dict(self.environ), self.clock(), self.counters, self.files)
        # Started afresh, not forked: the threads of this process would not be there.
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(count, mp_context=context) as pool:
            return [f.result() for f in [pool.submit(work, elsewhere, n) for n in range(count)]]

    def live(self) -> AbstractContextManager[live.Live]:
        """The application behind a real server: `with laboratory.live() as server: server.raw(…)`."""
        scheme = "https" if self.policy.app.secure else "http"
        if isinstance(self.transport, WsgiTransport):
            return live.wsgi(self.app.wsgi_app, scheme)
        return live.asgi(self.app, scheme)

    def routes(self) -> list[tuple[str, str, AccessRule]]:
        """Every (method, path, rule): the application's and bylaw's own."""
        own = [
            (method, route.path, route.rule)
            for route in self.site.pages.routes()
            for method in route.methods
            if method != "HEAD"
        ]
        return [*self.bylaw.routes(), *own]


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


class Bench:
    """Laboratories of one target: the first prepares a database, the others begin with its copy.

    `template` is the database that another process has prepared, and keeps as long as this one works.
    """

    def __init__(self, target: Target, template: Path | None = None) -> None:
        self.target = target
        self._directory = Path(tempfile.mkdtemp(prefix="bylaw-bench-"))
        self.template = template or self._directory / "template.db"
        if template is None:
            self._prepare(target)

    def _prepare(self, target: Target) -> None:
        database = f"sqlite:///{self.template}"
        prepare(target, database, {**defaults(database), **(target.environ or {})})
        # One file, nothing left in the write-ahead log: it is copied as it is.
        engine = connect(database)
        with engine.connect() as connection:
            connection.exec_driver_sql("COMMIT")
            connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
        engine.dispose()

    def laboratory(self, environ: Mapping[str, str] | None = None, *, counters: str = "memory") -> Laboratory:
        return Laboratory(self.target, environ=environ, template=self.template, counters=counters)

    def close(self) -> None:
        with suppress(OSError):
            shutil.rmtree(self._directory)


__all__ = [
    "BASE_URL",
    "PASSWORD",
    "Bench",
    "Elsewhere",
    "FakeClock",
    "Laboratory",
    "Logs",
    "Mailbox",
    "Protected",
    "Target",
    "audit",
    "defaults",
    "environment",
    "forget_hashes",
]
