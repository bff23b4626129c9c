"""What goes wrong around an application, or stands behind its gate in its place, while an attack lasts."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from typing import Any

from sqlalchemy import event

from bylaw.controls import federated
from bylaw.pages import Pages
from bylaw.routes import Taking
from bylaw.site import Site
from bylaw.verify import stubs
from bylaw.verify.client import WsgiTransport
from bylaw.verify.fakes import FakeClock
from bylaw.verify.issuer import Issuer
from bylaw.verify.people import People
from bylaw.verify.scanner import Scanner, scanning

FOLLOWING = frozenset({"bylaw-feed", "bylaw-chores", "bylaw-notice", "bylaw-imports"})
"""Threads that ask the database for themselves, and for nobody's request."""


class Faults(People):
    """An application to which things are done."""

    clock: FakeClock

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

    @contextmanager
    def cut_off(self) -> Iterator[None]:
        """Have this process not have read the revocation feed for the bound. A reading that is under way just
        now would still end well, and be believed: so no bound is short enough meanwhile."""
        feed = self.site.house.store.feed
        before, feed.bound = feed.bound, 0
        try:
            with self.unreachable(feed, "_engine"):
                yield
        finally:
            feed.bound = before

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
