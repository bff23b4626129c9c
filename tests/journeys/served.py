"""An application on a port of this machine, in development, with people who can sign in."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from bylaw import ports
from bylaw.controls import cookies
from bylaw.controls import secrets as keys
from bylaw.hashing import SCHEMES
from bylaw.operations import administering, signing_in
from bylaw.site import Site
from bylaw.store import users
from bylaw.verify import live
from bylaw.verify.fakes import Mailbox
from bylaw.verify.world import environment

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

    def person(self, *roles: str, name: str = "") -> Person:
        """Somebody new with these roles."""
        email = f"{'-'.join(roles) or 'nobody'}-{uuid.uuid4().hex[:8]}@people.example"
        house = self.site.house
        made = administering.create(
            house, administering.SYSTEM, email=email, name=name, granted=roles, confirmed=True
        )
        # Everybody has the same password, which is hashed once: it takes a quarter of a second.
        with house.store.transaction() as connection:
            users.change(connection, made.id, password_hash=_hash(house.scheme.name))
        return Person(made.id, email, name)

    def session(self, person: Person, *, owes: tuple[str, ...] = ()) -> str:
        """The secret of a new session, as a sign-in would have set it; `owes` what it still owes."""
        user = administering.find(self.site.house, administering.SYSTEM, person.id)
        return signing_in.open_session(self.site.house, user, method="password", owes=owes).secret


@cache
def _hash(scheme: str) -> str:
    return SCHEMES[scheme]().make(PASSWORD)


# The port comes first, then the application: its policy names the address that it answers at.


def _wsgi(made: Future[Any]) -> Callable[..., Any]:
    def later(environ: Any, start_response: Any) -> Any:
        return made.result(60)(environ, start_response)

    return later


def _asgi(made: Future[Any]) -> Callable[..., Any]:
    async def later(scope: Any, receive: Any, send: Any) -> None:
        app = await asyncio.to_thread(made.result, 60)
        await app(scope, receive, send)

    return later


@contextmanager
def serve(
    factory: Callable[[], Any], directory: Path, *, asgi: bool = False, host: str = ""
) -> Iterator[Served]:
    """`factory`'s application on a free port, on a database of its own.

    `host` is the name that people reach it by: passkeys are bound to a name, and `localhost` is one.
    """
    made: Future[Any] = Future()
    mailbox = Mailbox()
    with live.asgi(_asgi(made)) if asgi else live.wsgi(_wsgi(made)) as at:
        url = f"http://{host or at.host}:{at.port}"
        variables = {
            "BYLAW_ENV": "development",
            "BASE_URL": url,
            "DATABASE_URL": f"sqlite:///{directory / 'journeys.db'}",
            "SECRET_KEY": keys.new(),
            "SMTP_URL": "",
        }
        with (
            environment(variables),
            ports.using(clock=time.time, mail=mailbox, environ=variables, files=str(directory / "files")),
        ):
            app = factory()
        bylaw = app.state.bylaw if asgi else app.extensions["bylaw"]
        bylaw.ready()
        bylaw.site.house.paced = False  # everybody here comes from one address, and signs in often
        made.set_result(app)
        yield Served(url, app, bylaw, mailbox)
    bylaw.site.close()
