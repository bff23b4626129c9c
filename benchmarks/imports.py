"""What importing a table costs, beside a bare `csv` and bulk-insert loop.

A hundred thousand rows of six columns, into one table of SQLite. Each variant runs in a process of its own,
in turns, so that its peak of memory is its own. What is counted is real time, from the opened file to the
commit. `python -m benchmarks.imports VARIANT FILE` is one such process.
"""

from __future__ import annotations

import csv
import io
import itertools
import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import openpyxl.styles.numbers  # noqa: F401 - its modules are not the table's memory
from pydantic import BaseModel, Field
from sqlalchemy import Column, Connection, Engine, Integer, MetaData, String, Table, create_engine, insert

from benchmarks.premises import person, production
from benchmarks.spread import Spread
from bylaw.identity import Identity, permissions_of
from bylaw.imports import Counts
from bylaw.operations.files import Given
from bylaw.operations.imports import desk, verbs
from bylaw.site import Site
from bylaw.spreadsheet import opened, write_csv, write_xlsx

ROWS: Final = 100_000
BATCH: Final = 500
HEAD: Final = ("lot", "process", "quantity", "cost", "made", "note")
POLICY: Final = """
[app]
name = "Imports"
[roles]
user = ["lot:create"]
[uploads]
kinds = ["csv"]
size = "50MB"
storage = "{storage}"
"""
lots = Table(
    "bench_lots",
    MetaData(),
    Column("lot", String(20), primary_key=True),
    Column("process", String(80)),
    Column("quantity", Integer),
    Column("cost", String(20)),
    Column("made", String(10)),
    Column("note", String(200)),
)


class Lot(BaseModel):
    """A row, as an application would ask for it."""

    lot: str = Field(pattern=r"^LOT-\d{6}$")
    process: str = Field(min_length=1, max_length=80)
    quantity: int = Field(gt=0, le=1_000_000)
    cost: Decimal = Field(ge=0, max_digits=12, decimal_places=4)
    made: date
    note: str = Field("", max_length=200)

    def row(self) -> dict[str, Any]:
        return {**self.model_dump(exclude={"cost", "made"}), "cost": str(self.cost), "made": str(self.made)}


@dataclass(frozen=True, slots=True)
class Row:
    """One way of importing the table."""

    name: str
    seconds: Spread
    ratio: Spread
    """Of the bare loop's time, round by round."""
    rows: int
    mebibytes: float
    """By which the process grew at its peak."""


def table(count: int) -> Iterator[tuple[object, ...]]:
    """Rows as an application would have them: no two alike."""
    for number in range(count):
        yield (
            f"LOT-{number:06}",
            f"Process {number % 50}",
            number % 900 + 1,
            Decimal(number) / 100,
            date.fromordinal(738_000 + number % 1_000),
            f"note {number}, with a comma",
        )


# The variants


def bare(file: Path, engine: Engine) -> int:
    """What anybody writes first: nothing is looked at, and the encoding is taken to be UTF-8."""
    with file.open(newline="", encoding="utf-8") as stream:
        return _saved(engine, csv.DictReader(stream))


def bare_validated(file: Path, engine: Engine) -> int:
    """The same with the model."""
    with file.open(newline="", encoding="utf-8") as stream:
        return _saved(engine, (Lot.model_validate(each).row() for each in csv.DictReader(stream)))


def read(file: Path, engine: Engine) -> int:
    """bylaw's reader, alone."""
    with file.open("rb") as stream:
        return sum(1 for _ in opened(stream, _kind(file)).rows()) - 1


def saved(file: Path, engine: Engine) -> int:
    """bylaw's reader in place of the bare one."""
    with file.open("rb") as stream:
        return _saved(engine, _read(file, stream))


def validated(file: Path, engine: Engine) -> int:
    """The same with the model."""
    with file.open("rb") as stream:
        return _saved(engine, (Lot.model_validate(each).row() for each in _read(file, stream)))


def engine_good(file: Path, engine: Engine) -> int:
    """An import of the good rows, with everything: progress, fences, the permission before each batch."""
    return _imported(file, engine, "good")


def engine_all(file: Path, engine: Engine) -> int:
    """An import of all rows or none, in one transaction."""
    return _imported(file, engine, "all")


VARIANTS: Final[dict[str, tuple[str, Callable[[Path, Engine], int]]]] = {
    "bare": ("csv", bare),
    "bare, validated": ("csv", bare_validated),
    "bylaw's reader, alone": ("csv", read),
    "bylaw's reader": ("csv", saved),
    "bylaw's reader, validated": ("csv", validated),
    "bylaw's reader, XLSX, alone": ("xlsx", read),
    "an import, the good rows": ("csv", engine_good),
    "an import, all or nothing": ("csv", engine_all),
}


def _kind(file: Path) -> Any:
    return file.suffix.removeprefix(".")


def _read(file: Path, stream: Any) -> Iterator[dict[str, str]]:
    rows = opened(stream, _kind(file)).rows()
    head = next(rows).cells
    return (dict(zip(head, row.cells, strict=True)) for row in rows)


def _saved(engine: Engine, rows: Iterable[dict[str, Any]]) -> int:
    total, left = 0, iter(rows)
    with engine.begin() as connection:
        while some := list(itertools.islice(left, BATCH)):
            connection.execute(insert(lots), some)
            total += len(some)
    return total


def _save(connection: Connection, rows: Sequence[Lot], who: Identity, options: object) -> Counts:
    connection.execute(insert(lots), [row.row() for row in rows])
    return Counts(len(rows), 0, 0)


def _imported(file: Path, engine: Engine, mode: str) -> int:
    """From the start that somebody has asked for to the end; the file is there already."""
    site: Any = _SITE["site"]
    who = _SITE["who"]
    made = site.imports.begin("lots", Given(file.name, "text/csv", io.BytesIO(file.read_bytes())), by=who)
    _SITE["begun"] = time.perf_counter()
    verbs.start(site.house, who, made.id, mode=mode)
    site.imports.work()
    done = verbs.find(site.house, who, made.id)
    return int(done.found.get("good", 0)) if done.state == "done" else 0


_SITE: Final[dict[str, Any]] = {}


def _settled(folder: Path) -> Engine:
    """A site of its own for the engine, whose importer saves into the table of the others."""
    policy = folder / "bylaw.toml"
    policy.write_text(POLICY.format(storage=folder / "uploads"), "utf-8")
    site = Site(policy)
    site.open(serving=False)
    desk.of(site.house).by_hand = True
    site.imports.importer("lots", title="Lots", model=Lot, permission="lot:create", key=("lot",))(_save)
    user = person(site, "importer@people.test")
    permissions = permissions_of(("user",), {"user": ["lot:create"]})
    who = Identity(id=user.id, roles=frozenset({"user"}), permissions=permissions, epoch=user.epoch)
    _SITE.update(site=site, who=who)
    return site.house.store.engine


def once(name: str, file: Path) -> dict[str, Any]:
    """One variant, once, in this process: seconds, rows, and by how much the process grew."""
    run = VARIANTS[name][1]
    with production(), TemporaryDirectory() as folder:
        engine = (
            _settled(Path(folder))
            if name.startswith("an import")
            else create_engine(f"sqlite:///{folder}/b.db")
        )
        lots.metadata.create_all(engine)
        before = _peak(afresh=True)
        _SITE["begun"] = time.perf_counter()
        rows = run(file, engine)
        seconds = time.perf_counter() - _SITE["begun"]
        grown = (_peak() - before) / 1024
        if "site" in _SITE:
            _SITE.pop("site").close()
        engine.dispose()
    return {"seconds": seconds, "rows": rows, "mebibytes": grown}


def _peak(*, afresh: bool = False) -> int:
    """The most memory that the process had, in KB, or since it was asked for `afresh` (Linux alone: elsewhere
    of the whole process). What getrusage has on Linux is the parent's as well, which outlives exec."""
    status = Path("/proc/self/status")
    if not status.exists():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    if afresh:
        Path("/proc/self/clear_refs").write_text("5", "ascii")
    line = next(each for each in status.read_text("ascii").splitlines() if each.startswith("VmHWM"))
    return int(line.split()[1])


# Measuring


def measure(*, rounds: int = 5, count: int = ROWS, apart: bool = True) -> list[Row]:
    """All variants, in turns; not `apart`, in this process, where the memory says nothing."""
    found: dict[str, list[dict[str, Any]]] = {name: [] for name in VARIANTS}
    with TemporaryDirectory() as folder:
        files = {kind: Path(folder) / f"lots.{kind}" for kind in ("csv", "xlsx")}
        files["csv"].write_bytes(b"".join(write_csv(itertools.chain([HEAD], table(count)))))
        files["xlsx"].write_bytes(b"".join(write_xlsx(table(count), HEAD)))
        for _ in range(rounds):
            for name, (kind, _run) in VARIANTS.items():
                found[name].append(_apart(name, files[kind]) if apart else once(name, files[kind]))
    base = [each["seconds"] for each in found["bare"]]
    return [
        Row(
            name,
            Spread.of([each["seconds"] for each in runs]),
            Spread.of([each["seconds"] / first for each, first in zip(runs, base, strict=True)]),
            runs[0]["rows"],
            max(each["mebibytes"] for each in runs),
        )
        for name, runs in found.items()
    ]


def _apart(name: str, file: Path) -> dict[str, Any]:
    asked = [sys.executable, "-m", "benchmarks.imports", name, str(file)]
    done = subprocess.run(asked, check=True, capture_output=True, text=True)
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


if __name__ == "__main__":
    if len(sys.argv) > 2:
        print(json.dumps(once(sys.argv[1], Path(sys.argv[2]))))
    else:
        for each in measure(rounds=3):
            print(asdict(each))
