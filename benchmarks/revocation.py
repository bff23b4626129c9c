"""From the commit of a change to the refusal in another process, while that process asks nobody.

One process ends a session, an access token's family or an API key. Another one holds it in memory and asks
its gate again and again who bears it: until when it is let in, and how many queries those requests cost, is
what is measured. Both read the machine's one monotonic clock. The clock starts before the commit, so that
writing it counts as well.
"""

from __future__ import annotations

import importlib
import logging
import multiprocessing
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Engine, create_engine, event, text

from benchmarks.premises import HOST, ORIGIN, person
from benchmarks.storm import Latency
from bylaw.controls import cookies, secrets
from bylaw.exchange import Block, Exchange, PairHeaders
from bylaw.identity import Identity
from bylaw.keys import digest
from bylaw.operations import api_keys, signing_in, token_families
from bylaw.operations.administering import SYSTEM
from bylaw.operations.signing_in import Known
from bylaw.operations.token_families import Use
from bylaw.site import Site
from bylaw.store import migrate
from bylaw.store.engine import connect

CHANGES: Final = 100
BOUND: Final = 1.0
"""Seconds: what the policy promises by default, for each of them."""
PAUSE: Final = 0.0005
"""Seconds between two questions of the process that watches: it has no core of its own."""
POLICY: Final = """
[app]
name = "Revocations"
[roles]
user = ["note:*"]
[jwt]
paths = ["/bearer/*"]
key = "env:JWT_SECRET_KEY"
[api_keys]
paths = ["/bearer/*"]
"""
Ending = Callable[[], object]


@dataclass(frozen=True, slots=True)
class Row:
    """One database and one kind of credential."""

    database: str
    kind: str
    latency: Latency
    queries: int
    """Of all requests that bore what was still good."""
    asked: int
    """How many requests those were."""


def measure(*, changes: int = CHANGES, databases: tuple[str, ...] = ("SQLite", "PostgreSQL")) -> list[Row]:
    """The rows of every database that there is here."""
    rows = []
    for name in databases:
        with ExitStack() as stack:
            url = stack.enter_context(_PREMISES[name]())
            if url:
                rows += of(url, name, changes)
    return rows


def of(url: str, name: str, changes: int) -> list[Row]:
    """One database, which is empty so far: a row for each kind of credential."""
    engine = connect(url)
    migrate.upgrade(engine)
    engine.dispose()
    environ = {
        "BYLAW_ENV": "production",
        "SECRET_KEY": secrets.new(),
        "JWT_SECRET_KEY": secrets.new(),
        "DATABASE_URL": url,
        "BASE_URL": ORIGIN,
    }
    with tempfile.TemporaryDirectory(prefix="bylaw-revocation-") as folder, ExitStack() as stack:
        policy = Path(folder) / "bylaw.toml"
        policy.write_text(POLICY, "utf-8")
        site = Site(policy, environ=environ)
        stack.callback(site.close)
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        other = context.Process(target=watch, args=(theirs, str(policy), environ), daemon=True)
        other.start()
        stack.callback(other.join, 30)
        stack.callback(ours.send, None)
        _received(ours)
        return [_row(site, ours, name, kind, changes) for kind in _KINDS]


def _row(site: Site, pipe: Any, name: str, kind: str, changes: int) -> Row:
    committed = _Commits(site.house.store.engine)
    taken, queries, asked = [], 0, 0
    for _ in range(changes):
        headers, end = _KINDS[kind](site)
        pipe.send(headers)
        _received(pipe)  # it holds the credential in memory by now
        committed.at = 0.0
        end()
        began = committed.at
        last, found, times = _received(pipe)
        taken.append(max(0.0, last - began))
        queries += found
        asked += times
    committed.leave()
    return Row(name, kind, Latency.of(taken), queries, asked)


def _received(pipe: Any) -> Any:
    if not pipe.poll(60):
        raise TimeoutError("the other process says nothing")
    said = pipe.recv()
    if isinstance(said, str):
        raise RuntimeError(said)
    return said


class _Commits:
    """When the last transaction of this process was about to be committed."""

    def __init__(self, engine: Engine) -> None:
        self.at = 0.0
        self._engine = engine
        self._thread = threading.get_ident()
        event.listen(engine, "commit", self._seen)

    def _seen(self, _connection: Any) -> None:
        if threading.get_ident() == self._thread:
            self.at = time.monotonic()

    def leave(self) -> None:
        event.remove(self._engine, "commit", self._seen)


# The other process


def watch(pipe: Any, policy: str, environ: dict[str, str]) -> None:
    """Hold one credential after another, until each is refused; what was seen goes through the pipe: the
    moment of the last question that was answered with a yes, the queries and the questions until then."""
    logging.getLogger("bylaw").setLevel(logging.ERROR)  # each refusal of a key is a line
    site = Site(policy, environ=environ)
    try:
        site.house.store.feed.follow()
        queries = _own_queries(site)
        pause = threading.Event()
        pipe.send(())
        while (headers := pipe.recv()) is not None:
            if not _known(site, headers):
                pipe.send("a good credential is refused")
                return
            pipe.send(())
            last, asked, before = time.monotonic(), 0, len(queries)
            while True:
                seen, now = len(queries), time.monotonic()
                if not _known(site, headers):
                    break
                last, asked = now, asked + 1
                pause.wait(PAUSE)
            pipe.send((last, seen - before, asked))
    finally:
        site.close()


def _own_queries(site: Site) -> list[str]:
    """What this thread asks of the database: following the feed is nobody's request."""
    asked: list[str] = []
    mine = threading.get_ident()

    def note(connection: Any, cursor: Any, statement: str, *rest: Any) -> None:
        if threading.get_ident() == mine:
            asked.append(statement)

    event.listen(site.house.store.engine, "before_cursor_execute", note)
    return asked


def _known(site: Site, headers: list[tuple[str, str]]) -> bool:
    path = "/bearer/notes" if headers[0][0] == "Authorization" else "/notes"
    exchange = Exchange(
        method="GET", path=path, scheme="https", headers=PairHeaders([("Host", HOST), *headers])
    )
    deciding = site.gate.deciding(exchange)
    given: Any = None
    try:
        while True:
            need = deciding.send(given)
            given = None if isinstance(need, Block) else (b"", True)
    except StopIteration:
        return exchange.identity is not None


# What is ended


def _session(site: Site) -> tuple[list[tuple[str, str]], Ending]:
    user = _somebody(site)
    opened = signing_in.open_session(site.house, user, method="password")
    who = Identity(id=user.id, session=opened.id)
    name = cookies.name(site.policy, cookies.SESSION)
    return [("Cookie", f"{name}={opened.secret}")], lambda: signing_in.sign_out(
        site.house, who, digest(opened.secret)
    )


def _token(site: Site) -> tuple[list[tuple[str, str]], Ending]:
    user = _somebody(site)
    pair = token_families.begin(
        site.house,
        Known(user, (), None, ""),
        method="password",
        assurance=1,
        use=Use("192.0.2.1", "benchmark"),
    )
    return [("Authorization", f"Bearer {pair.access}")], lambda: token_families.revoke(
        site.house, pair.refresh
    )


def _key(site: Site) -> tuple[list[tuple[str, str]], Ending]:
    user = _somebody(site)
    made = api_keys.make(site.house, SYSTEM, owner=user.id, name="benchmark", scopes=("note:read",))
    return [("Authorization", f"Bearer {made.text}")], lambda: api_keys.revoke(
        site.house, SYSTEM, made.id, owner=user.id
    )


def _somebody(site: Site) -> Any:
    return person(site, f"{uuid.uuid4().hex}@people.test")


_KINDS: Final[dict[str, Callable[[Site], tuple[list[tuple[str, str]], Ending]]]] = {
    "session": _session,
    "access token (JWT)": _token,
    "API key": _key,
}


# Databases


@contextmanager
def _sqlite() -> Iterator[str]:
    with tempfile.TemporaryDirectory(prefix="bylaw-revocation-") as folder:
        yield f"sqlite:///{folder}/store.db"


@contextmanager
def _postgresql() -> Iterator[str]:
    """An empty database on the server that the tests start; nothing where there is none."""
    server: Any = importlib.import_module("tests.store.postgresql")
    with ExitStack() as stack:
        try:
            address = stack.enter_context(server.server())
        except RuntimeError:
            yield ""
            return
        name = f"b{uuid.uuid4().hex}"
        engine = create_engine(f"{address}/postgres", isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            connection.execute(text(f'CREATE DATABASE "{name}"'))
        engine.dispose()
        yield f"{address}/{name}"


_PREMISES: Final = {"SQLite": _sqlite, "PostgreSQL": _postgresql}
