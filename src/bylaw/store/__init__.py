"""What is kept: one database, its transactions, and what a process remembers of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Connection

from bylaw.store.assignments import CLOCK
from bylaw.store.engine import IMMEDIATE, connect
from bylaw.store.feed import Feed
from bylaw.store.memory import SessionMemory

__all__ = ["Store"]


class Store:
    """The database and its memory."""

    def __init__(
        self,
        url: str,
        *,
        root: Path | None,
        clock: Callable[[], float],
        bound: int,
        cached: int,
    ) -> None:
        self.engine = connect(url, root).execution_options(**{CLOCK: clock})
        self.memory = SessionMemory(cached)
        # Connections of its own: who takes all of the pool must not keep a process from hearing of the end
        # of a session.
        self.feed = Feed(
            connect(url, root, pool_size=1, max_overflow=2),
            self.memory,
            clock,
            bound,
            moved=self.engine.dispose,
        )
        self._writing = self.engine.execution_options(**{IMMEDIATE: True})

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A connection to read with, for as short as possible. Raises OperationalError, at once where the
        database has not answered the feed for seconds: nobody else need wait for it as well."""
        self.feed.demand_answers()
        with self.engine.connect() as connection:
            yield connection

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """A transaction that writes: all of it is kept, or nothing. Raises as `reading` does."""
        self.feed.demand_answers()
        with self._writing.begin() as connection:
            yield connection

    def close(self) -> None:
        self.feed.close()
        self.engine.dispose()
