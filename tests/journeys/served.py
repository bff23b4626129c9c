"""An application on a port of this machine, in development, with people who can sign in."""

from __future__ import annotations

import asyncio
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bylaw import ports
from bylaw.controls import cookies
from bylaw.controls import secrets as keys
from bylaw.operations import accounts, signing_in
from bylaw.site import Site
from bylaw.verify import live
from bylaw.verify.laboratory import Mailbox, environment

PASSWORD = "Tr4vel by night, sleep by day!"


@dataclass(frozen=True, slots=True)
class Person:
    """An account, as whoever owns it knows it."""

    id: str
    email: str
    name: str
    password: str = PASSWORD


@dataclass(frozen=True, slots=True)
class Served:
    """Where an application answers, and a way in behind its back to make people."""

    url: str
    app: Any
    bylaw: Any
    mailbox: Mailbox

    @property
    def site(self) -> Site:
        site: Site = self.bylaw.site
        return site

    def page(self, name: str) -> str:
        """The path of one of bylaw's own pages."""
        return self.site.pages.urls[name]

    @property
    def cookie(self) -> str:
        return cookies.name(self.site.policy, cookies.SESSION)

    def person(self, *roles: str, name: str = "", password: str | None = PASSWORD) -> Person:
        """Somebody new with these roles; None as password is quick, where nobody signs in."""
        email = f"{'-'.join(roles) or 'nobody'}-{uuid.uuid4().hex[:8]}@people.example"
        made = accounts.create(
            self.site.house, accounts.SYSTEM, email=email, name=name, password=password, granted=roles
        )
        return Person(made.id, email, name, password or "")

    def session(self, person: Person) -> str:
        """The secret of a new session, as a sign-in would have set it."""
        user = accounts.find(self.site.house, accounts.SYSTEM, person.id)
        return signing_in.open_session(self.site.house, user, method="password").secret


class _Later:
    """Takes requests before there is an application: its policy names the port that it answers on."""

    def __init__(self) -> None:
        self.app: Any = None
        self.there = threading.Event()

    def give(self, app: Any) -> None:
        self.app = app
        self.there.set()

    def wsgi(self, environ: Any, start_response: Any) -> Any:
        self.there.wait(60)
        return self.app(environ, start_response)

    async def asgi(self, scope: Any, receive: Any, send: Any) -> None:
        await asyncio.to_thread(self.there.wait, 60)
        await self.app(scope, receive, send)


@contextmanager
def serve(
    factory: Callable[[], Any], directory: Path, *, asgi: bool = False
) -> Iterator[Served]:
    """`factory`'s application on a free port, on a database of its own."""
    later, mailbox = _Later(), Mailbox()
    with live.asgi(later.asgi) if asgi else live.wsgi(later.wsgi) as at:
        url = f"http://{at.host}:{at.port}"
        variables = {
            "BYLAW_ENV": "development",
            "BASE_URL": url,
            "DATABASE_URL": f"sqlite:///{directory / 'journeys.db'}",
            "SECRET_KEY": keys.new(),
            "SMTP_URL": "",
        }
        with environment(variables), ports.using(clock=time.time, mail=mailbox, environ=variables):
            app = factory()
        bylaw = app.state.bylaw if asgi else app.extensions["bylaw"]
        bylaw.ready()
        later.give(app)
        yield Served(url, app, bylaw, mailbox)
    bylaw.site.close()
