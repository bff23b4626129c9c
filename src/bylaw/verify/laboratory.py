"""The laboratory: an application started on a database of its own, with people of every role.

Everything an attack needs is at hand: a clock that can be turned, a mailbox, what was logged and
recorded, clients at any address, bursts of them, and faults to inject. It never touches the
application's real database, mail or environment.
"""

from __future__ import annotations

import logging
import multiprocessing
import shutil
import tempfile
import threading
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, suppress
from email.message import EmailMessage
from pathlib import Path
from typing import Any, TypeVar

from bylaw.errors import PolicyError
from bylaw.identity import AccessRule
from bylaw.operations import chores
from bylaw.site import Site
from bylaw.store import audit as audit_rows
from bylaw.store.engine import connect
from bylaw.verify import live
from bylaw.verify.client import AsgiTransport, Reply, Sent, Transport, WsgiTransport
from bylaw.verify.fakes import FakeClock, Logs, Mailbox
from bylaw.verify.faults import Faults
from bylaw.verify.starting import Elsewhere, prepare, start
from bylaw.verify.target import Target
from bylaw.verify.world import defaults

T = TypeVar("T")


class Laboratory(Faults):
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
