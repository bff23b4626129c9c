"""A million accounts: how long a page takes, at the beginning and at the end, and what a search costs.

python -m benchmarks.listing --accounts 1000000                       on SQLite, in a file of its own
python -m benchmarks.listing --accounts 1000000 --database postgresql+psycopg://…/empty
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from statistics import median
from typing import Any, Final

from sqlalchemy import Connection, Engine, insert, select

from bylaw.store import audit, migrate, users
from bylaw.store.engine import connect
from bylaw.store.tables import audit_log, role_assignments
from bylaw.store.tables import users as table
from bylaw.store.tables.people import name_key
from bylaw.store.users import Wanted

LIMIT: Final = 0.5
"""Seconds that a page may take."""
FIRST: Final = (
    "ann",
    "bert",
    "cora",
    "dora",
    "emil",
    "fay",
    "gus",
    "hana",
    "ida",
    "jan",
    "kim",
    "lou",
    "mia",
)
LAST: Final = ("adler", "berg", "costa", "dahl", "engel", "frank", "garcia", "huber", "ito", "jones", "kaya")
_BATCH: Final = 20_000


def rows(count: int) -> Iterator[dict[str, Any]]:
    """Accounts: one in 500 disabled, one in 50 unconfirmed, the last one alone called Zacharias."""
    for number in range(count):
        first, last = FIRST[number % len(FIRST)], LAST[number // len(FIRST) % len(LAST)]
        name = f"{first.title()} {last.title()} {number}" if number < count - 1 else "Zacharias Last"
        yield {
            "id": f"{number:036}",
            "email": f"{first}.{last}.{number:07}@people.test",
            "name": name,
            "name_key": name_key(name),
            "epoch": 1,
            "created_at": float(number),
            "disabled_at": 1.0 if number % 500 == 0 else None,
            "confirmed_at": None if number % 50 == 0 else 1.0,
        }


def fill(engine: Engine, count: int) -> None:
    """Accounts with their roles, and a history of a tenth as many rows for one of them."""
    people = rows(count)
    while batch := list(islice(people, _BATCH)):
        with engine.begin() as connection:
            connection.execute(insert(table), batch)
            roles = [
                {"user_id": r["id"], "role": "admin" if r["created_at"] < 3 else "user", "granted_at": 1.0}
                for r in batch
            ]
            connection.execute(insert(role_assignments), roles)
    with engine.begin() as connection:
        one = {"timestamp": _moment(), "user_id": f"{7:036}", "action": "update", "changes": {}}
        for _ in range(0, count // 10, _BATCH):
            connection.execute(insert(audit_log), [one] * min(_BATCH, count // 10))
    with engine.connect() as connection:
        connection.exec_driver_sql("COMMIT")
        connection.exec_driver_sql("ANALYZE")


def _moment() -> Any:
    from datetime import UTC, datetime

    return datetime(2026, 11, 21, tzinfo=UTC)


def questions(last: str) -> dict[str, Callable[[Connection], object]]:
    """What is measured: `last` is an address near the end."""

    def page(wanted: Wanted | None = None, after: str = "") -> Callable[[Connection], object]:
        return lambda connection: users.page(connection, wanted, after=after)

    return {
        "the first page": page(),
        "the last page": page(after=last),
        "begins with one letter": page(Wanted(search="j")),
        "begins with a name": page(Wanted(search="kim garcia")),
        "begins with a name that one has": page(Wanted(search="zach")),
        "begins with what nobody has": page(Wanted(search="qqq")),
        "anywhere, found often": page(Wanted(search="costa", anywhere=True)),
        "anywhere, found nowhere (one window)": page(Wanted(search="qqq", anywhere=True)),
        "a role that three have": page(Wanted(role="admin")),
        "a role that nearly all have": page(Wanted(role="user")),
        "disabled": page(Wanted(disabled=True)),
        "not confirmed, from the end": page(Wanted(unconfirmed=True), after=last),
        "without a second factor": page(Wanted(without_factor=True)),
        "a role and a state that nobody has together": page(Wanted(role="admin", unconfirmed=True)),
        "one history of many rows": lambda connection: audit.history(connection, f"{7:036}"),
    }


def measure(engine: Engine, repeat: int) -> dict[str, float]:
    """Milliseconds of each, the median."""
    with engine.connect() as connection:
        newest = select(table.c.email).order_by(table.c.email.desc()).offset(20).limit(1)
        last = str(connection.execute(newest).scalar_one())
    found = {}
    for name, ask in questions(last).items():
        taken = []
        for _ in range(repeat):
            with engine.connect() as connection:
                began = time.perf_counter()
                ask(connection)
                taken.append(time.perf_counter() - began)
        found[name] = round(median(taken) * 1000, 1)
    return found


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--accounts", type=int, default=1_000_000)
    parser.add_argument("--database", default="")
    parser.add_argument("--repeat", type=int, default=7)
    asked = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="bylaw-listing-") as directory:
        engine = connect(asked.database or f"sqlite:///{Path(directory) / 'crowd.db'}")
        migrate.upgrade(engine)
        fill(engine, asked.accounts)
        figures = measure(engine, asked.repeat)
        engine.dispose()
    print(json.dumps({"accounts": asked.accounts, "milliseconds": figures}, indent=1))
    slow = {name: ms for name, ms in figures.items() if ms > LIMIT * 1000}
    for name, ms in slow.items():
        print(f"too slow: {name}: {ms} ms", file=sys.stderr)
    return int(bool(slow))


if __name__ == "__main__":
    raise SystemExit(main())
