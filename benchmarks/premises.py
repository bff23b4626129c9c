"""Where the guarded applications live: a database of their own, the environment of production, people."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from sqlalchemy import event

from bylaw.controls import cookies, csrf, passwords, secrets, sessions
from bylaw.exchange import Exchange, PairHeaders, current
from bylaw.keys import digest
from bylaw.operations import administering, signing_in
from bylaw.operations.administering import SYSTEM
from bylaw.site import Site
from bylaw.store import migrate, users
from bylaw.store.engine import connect

HOST: Final = "bench.acme.eu"
ORIGIN: Final = f"https://{HOST}"
PASSWORD: Final = "a sentence that nobody guesses"  # noqa: S105 - of people who live as long as a measurement


@contextmanager
def production() -> Iterator[dict[str, str]]:
    """The variables of a production start on a new, empty database; set in this process meanwhile."""
    with tempfile.TemporaryDirectory(prefix="bylaw-benchmark-") as directory:
        url = f"sqlite:///{Path(directory) / 'store.db'}"
        engine = connect(url)
        migrate.upgrade(engine)
        engine.dispose()
        variables = {
            "BYLAW_ENV": "production",
            "SECRET_KEY": secrets.new(),
            "DATABASE_URL": url,
            "BASE_URL": ORIGIN,
        }
        before = {name: os.environ.get(name) for name in variables}
        os.environ.update(variables)
        try:
            yield variables
        finally:
            for name, value in before.items():
                os.environ.pop(name, None)
                if value is not None:
                    os.environ[name] = value


def person(site: Site, email: str) -> users.User:
    """A new account with the role `user` and a confirmed address, without a password."""
    return administering.create(site.house, SYSTEM, email=email, granted=["user"], confirmed=True)


def crowd(site: Site, count: int) -> list[str]:
    """Addresses of so many new accounts, whose password is PASSWORD; it is hashed once for all of them."""
    kept = passwords.make(site.house, PASSWORD)
    people = [person(site, f"crowd-{number}@people.test") for number in range(count)]
    with site.house.store.transaction() as connection:
        for one in people:
            users.change(connection, one.id, **kept.columns)
    return [one.email for one in people]


class Visit:
    """A signed-in person's session: what a browser would send along."""

    def __init__(self, site: Site, email: str) -> None:
        self._site = site
        self._opened: sessions.Opened = signing_in.open_session(
            site.house, person(site, email), method="password"
        )
        self.cookie = f"{cookies.name(site.policy, cookies.SESSION)}={self._opened.secret}"

    def token(self) -> str:
        """A CSRF token of the session, which the process must know by now."""
        exchange = Exchange(method="GET", path="/", headers=PairHeaders([("host", HOST)]))
        exchange.session = self._site.house.store.memory.get(digest(self._opened.secret))
        return csrf.token(self._site.house, exchange)


class Queries:
    """Counts what requests ask of the database: following the revocation feed is nobody's request."""

    def __init__(self, site: Site) -> None:
        self.count = 0
        event.listen(site.house.store.engine, "before_cursor_execute", self._seen)

    def _seen(self, *_: Any) -> None:
        if current() is not None:
            self.count += 1
