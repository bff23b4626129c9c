"""An importer that exists only in a laboratory, on a table of its own: whatever the application imports,
and whatever its policy says of files."""

from __future__ import annotations

import io
import sys
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import Column, Connection, Integer, MetaData, String, Table, func, insert, select

from bylaw.controls import imports, uploads

_PERMISSION: Final = "bylaw-laboratory:import"


def operations(name: str) -> Any:
    """A room above this one, which the application has loaded."""
    return sys.modules[f"bylaw.operations.{name}"]


class Sample(BaseModel):
    """A row, as the importer here takes it."""

    model_config = ConfigDict(extra="forbid")
    name: str = Field(min_length=1, max_length=40)
    amount: int = Field(gt=0)


@dataclass(slots=True)
class Bench:
    """An importer and the table that it writes to."""

    lab: Any
    table: Table
    name: str
    dies_at: int = 0
    """The row of the table at which the process dies; 0: none."""
    calls: list[int] = field(default_factory=list)

    @property
    def desk(self) -> Any:
        return operations("imports.desk").of(self.lab.site.house)

    @property
    def verbs(self) -> Any:
        return operations("imports.verbs")

    def save(self, connection: Connection, rows: Sequence[Sample], who: Any, options: Any) -> None:
        """One row for each, doubles too: whatever comes twice is seen."""
        self.calls.append(len(rows))
        if self.dies_at and self.count(connection) >= self.dies_at:
            raise Died
        connection.execute(insert(self.table), [{"name": row.name, "amount": row.amount} for row in rows])
        if any(row.name == "refused by the database" for row in rows):
            connection.execute(insert(self.table), {"name": None, "amount": 0})

    def count(self, connection: Connection | None = None) -> int:
        """Rows that are in the table."""
        query = select(func.count()).select_from(self.table)
        if connection is not None:
            return int(connection.execute(query).scalar_one())
        with self.lab.site.house.store.reading() as own:
            return int(own.execute(query).scalar_one())

    def names(self) -> list[str]:
        with self.lab.site.house.store.reading() as connection:
            return sorted(connection.execute(select(self.table.c.name)).scalars())

    def begin(self, who: Any, lines: Sequence[str], heading: str = "name,amount") -> str:
        """Begin an import of a table; its id."""
        data = "\n".join([heading, *lines, ""]).encode()
        given = operations("files.given").Given("rows.csv", "text/csv", io.BytesIO(data))
        made = self.lab.site.imports.begin(self.name, given, by=who)
        return str(made.id)

    def run(self, who: Any, import_id: str, mode: str = "", *, again: bool = False) -> Any:
        """Check it, or import it in a mode; how it is then."""
        house = self.lab.site.house
        if mode:
            self.verbs.start(house, who, import_id, mode=mode, again=again)
        else:
            self.verbs.check(house, who, import_id)
        self.work()
        return self.verbs.find(house, who, import_id)

    def work(self) -> int:
        return int(self.lab.site.imports.work())


class Died(BaseException):
    """The process is killed: nothing that it would have done afterwards is done."""


@contextmanager
def bench(lab: Any, **limits: Any) -> Iterator[Bench]:
    """An importer on a table of its own, under a policy that takes tables. Nobody works unless asked to."""
    policy = lab.policy
    kinds = tuple(dict.fromkeys((*policy.of(uploads.Settings).kinds, "csv")))
    table = Table(
        f"bylaw_laboratory_{uuid.uuid4().hex[:8]}",
        MetaData(),
        Column("id", Integer, primary_key=True),
        Column("name", String(80), nullable=False),
        Column("amount", Integer, nullable=False),
    )
    with (
        lab.under(uploads.Settings, off=False, kinds=kinds),
        lab.under(imports.Settings, off=False, **limits),
        lab.scanner(),
    ):
        made = Bench(lab, table, f"laboratory-{uuid.uuid4().hex[:8]}")
        table.create(lab.site.house.store.engine)
        named = {"title": "Laboratory", "model": Sample, "permission": _PERMISSION}
        lab.site.imports.importer(made.name, **named)(made.save)
        before, made.desk.by_hand = made.desk.by_hand, True
        try:
            yield made
        finally:
            made.desk.by_hand = before
            made.desk.importers.pop(made.name, None)
            table.drop(lab.site.house.store.engine)


def who_is(lab: Any, client: Any) -> Any:
    """Somebody as the operations know him."""
    authority = operations("authority")
    house = lab.site.house
    with house.store.reading() as connection:
        user = sys.modules["bylaw.store.users"].by_id(connection, client.id)
        return authority.as_held(house, user, authority.held(connection, client.id))


def somebody(lab: Any) -> tuple[Any, Any]:
    """Somebody who may import, and as whom operations know him."""
    client = lab.administrator()
    return client, who_is(lab, client)


def numbered(count: int) -> list[str]:
    """Rows that are told apart."""
    return [f"row {number},{number + 1}" for number in range(count)]
