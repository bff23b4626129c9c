"""What becomes of an import whose process is killed (kill -9), or that two processes want: on SQLite and on
PostgreSQL."""

from __future__ import annotations

import io
import multiprocessing
import threading
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import pytest
from pydantic import BaseModel
from sqlalchemy import Connection, func, select, text

from bylaw.controls import imports as control
from bylaw.controls.imports.bench import who_is
from bylaw.identity import Identity
from bylaw.operations.files import Given
from bylaw.operations.imports import columns, desk, running, telling, verbs, working
from bylaw.reasons import Refused
from bylaw.store.imports import CANCELLED, DONE, OPEN, RUNNING, Import
from bylaw.verify.laboratory import Laboratory
from bylaw.verify.starting import Elsewhere
from tests.applications import parts
from tests.applications.stacks import TARGETS, hurry
from tests.operations import killed
from tests.store import postgresql

ROWS = 1_750
"""Four batches, the last of them short."""


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def bench(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Laboratory]:
    """The notes application with its importer, where nobody works unless asked to."""
    url = f"sqlite:///{tmp_path_factory.mktemp('restart') / 'imports.db'}"
    if request.param == "postgresql":
        url = postgresql.emptied(request.getfixturevalue("postgresql_url"))
    with Laboratory(TARGETS["flask"], database=url) as laboratory:
        hurry(laboratory)
        parts.prepare(laboratory.site.house.store.engine)
        desk.of(laboratory.site.house).by_hand = True
        yield laboratory


@pytest.fixture
def who(bench: Laboratory) -> Identity:
    return who_is(bench, bench.client("manager"))


def table(letter: str, rows: int = ROWS) -> bytes:
    lines = (f"{letter}-{number},part {number},{number + 1}" for number in range(rows))
    return "\n".join(["number,name,quantity", *lines, ""]).encode()


def begun(bench: Laboratory, who: Identity, letter: str, mode: str, rows: int = ROWS) -> str:
    given = Given("parts.csv", "text/csv", io.BytesIO(table(letter, rows)))
    made = bench.site.imports.begin("parts", given, by=who)
    verbs.start(bench.site.house, who, made.id, mode=mode)
    return made.id


def found(bench: Laboratory, who: Identity, number: str) -> Import:
    return verbs.find(bench.site.house, who, number)


def count(bench: Laboratory, letter: str) -> int:
    query = select(func.count()).select_from(parts.parts).where(parts.parts.c.number.like(f"{letter}-%"))
    with bench.site.house.store.reading() as connection:
        return int(connection.execute(query).scalar_one())


@pytest.mark.requirement("S1-088")
def test_a_killed_worker_loses_and_doubles_nothing(bench: Laboratory) -> None:
    """kill -9 before and after a batch, in both modes: the next process goes on, each row is there once."""
    people = [who_is(bench, bench.client("manager")) for _ in range(3)]
    plan = [("A", "good", 3, False), ("B", "good", 2, True), ("C", "all", 3, True)]
    numbers = [begun(bench, who, letter, mode) for who, (letter, mode, *_) in zip(people, plan, strict=True)]
    steps = [(number, last, after) for number, (_, _, last, after) in zip(numbers, plan, strict=True)]
    elsewhere = Elsewhere(bench.database, dict(bench.environ), bench.clock(), bench.counters, bench.files)
    process = multiprocessing.get_context("spawn").Process(target=killed.work, args=(elsewhere, steps))
    process.start()
    process.join(60)
    assert process.exitcode == 0
    assert [count(bench, letter) for letter in "ABC"] == [1_000, 500, 0]
    assert [found(bench, *each).state for each in zip(people, numbers, strict=True)] == [RUNNING] * 3
    assert bench.site.imports.work() == 0, "the killed process still has its lease"
    bench.clock.advance(running.LEASE + 1)
    assert bench.site.imports.work() == 3
    ended = [found(bench, *each) for each in zip(people, numbers, strict=True)]
    assert [(row.state, row.found["counts"]["created"]) for row in ended] == [(DONE, ROWS)] * 3
    assert [count(bench, letter) for letter in "ABC"] == [ROWS] * 3


@pytest.mark.requirement("S1-088")
def test_two_workers_never_have_one_import(bench: Laboratory, who: Identity) -> None:
    """Eight workers at once: one runs it, the others find that it is somebody's."""
    number = begun(bench, who, "D", "good", 900)
    claims: list[Any] = []
    ready = threading.Barrier(8)

    def claim() -> None:
        ready.wait()
        claims.append(working._claimed(bench.site.house, desk.of(bench.site.house), number))

    threads = [threading.Thread(target=claim) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    mine = [each for each in claims if each is not None]
    assert len(mine) == 1
    bench.clock.advance(running.LEASE + 1)
    assert bench.site.imports.work() == 1
    house = bench.site.house
    importer = desk.of(house).find("parts")
    assert importer is not None
    with pytest.raises(running.Lost):
        running.Run(house, desk.of(house), importer, *mine[0]).go()
    assert count(bench, "D") == 900


@pytest.mark.requirement("S1-088")
@pytest.mark.parametrize(("mode", "stays"), [("good", 500), ("all", 0)])
def test_cancelling_ends_it_between_two_batches(
    bench: Laboratory, who: Identity, monkeypatch: pytest.MonkeyPatch, mode: str, stays: int
) -> None:
    """Somebody cancels while the second batch is under way: of the good rows the first batch stays and is
    told, of all rows none; nobody waits for the transaction of the worker."""
    letter = {"good": "E", "all": "F"}[mode]
    number = begun(bench, who, letter, mode)
    house, calls = bench.site.house, []
    importer = desk.of(house).importers["parts"]

    def save(*given: Any) -> Any:
        calls.append(len(given[1]))
        made = parts.save(*given)
        if len(calls) == 1:
            canceller = threading.Thread(target=verbs.cancel, args=(house, who, number))
            canceller.start()
            if house.store.engine.dialect.name == "postgresql":
                canceller.join(10)
                assert not canceller.is_alive(), "whoever cancels waits for the worker"
            else:
                desk.of(house).works[number].cancelled.wait(10)
            threads.append(canceller)
        return made

    threads: list[threading.Thread] = []
    monkeypatch.setitem(desk.of(house).importers, "parts", replace(importer, save=save))
    assert bench.site.imports.work() == 1
    threads[0].join(30)
    ended = found(bench, who, number)
    assert (ended.state, count(bench, letter)) == (CANCELLED, stays)
    assert ("Nothing was imported" in ended.because) is (mode == "all")
    assert calls == [500]


@pytest.mark.requirement("S1-088")
def test_what_takes_the_process_down_is_given_up(bench: Laboratory, who: Identity) -> None:
    """An import that kills each worker is tried some times, and then no more; its owner is told."""
    number = begun(bench, who, "G", "good", 10)
    house = bench.site.house
    for _ in range(running.TRIES):
        assert working._claimed(house, desk.of(house), number) is not None
        bench.clock.advance(running.LEASE + 1)
    assert bench.site.imports.work() == 0
    ended = found(bench, who, number)
    assert (ended.state, count(bench, "G")) == ("failed", 0)
    assert "begun 8 times" in ended.because
    assert "Nothing was imported." in ended.because


@pytest.mark.requirement("S1-088")
def test_a_dry_run_leaves_nothing_and_a_second_start_starts_nothing(bench: Laboratory, who: Identity) -> None:
    """A check is rolled back in every database; starting twice, at once even, is one import."""
    given = Given("parts.csv", "text/csv", io.BytesIO(table("H", 600)))
    made = bench.site.imports.begin("parts", given, by=who)
    house = bench.site.house
    verbs.check(house, who, made.id)
    assert bench.site.imports.work() == 1
    checked = found(bench, who, made.id)
    assert (checked.state, checked.found["good"], count(bench, "H")) == (OPEN, 600, 0)
    for _ in range(2):
        verbs.start(house, who, made.id, mode="all")
    assert bench.site.imports.work() == 1
    assert (found(bench, who, made.id).state, count(bench, "H")) == (DONE, 600)


@pytest.mark.requirement("S1-088")
def test_the_same_file_twice_at_once_is_imported_once(bench: Laboratory, who: Identity) -> None:
    """Somebody sends a table twice and starts both at the same moment: one runs, the other is told; its rows
    are there once, and a second time where that is asked for."""
    given = [Given("parts.csv", "text/csv", io.BytesIO(table("I", 30))) for _ in range(2)]
    numbers = [bench.site.imports.begin("parts", each, by=who).id for each in given]
    house = bench.site.house

    def start(which: int) -> str:
        try:
            return verbs.start(house, who, numbers[which], mode="all").state
        except Refused as refused:
            return refused.reason.code

    assert sorted(bench.burst(start, 2)) == [control.REPEATED.code, RUNNING]
    left = next(number for number in numbers if found(bench, who, number).state == OPEN)
    assert verbs.start(house, who, left, mode="all", again=True).state == RUNNING
    assert bench.site.imports.work() == 2


@pytest.mark.requirement("S1-088")
@pytest.mark.parametrize("what", ["start", "choose"])
def test_what_another_window_has_changed_meanwhile_is_not_done(
    bench: Laboratory, who: Identity, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    """One window chooses other options while another starts, or chooses columns: what nobody has judged
    together is not imported together."""
    given = Given("parts.csv", "text/csv", io.BytesIO(table("J", 3)))
    made = bench.site.imports.begin("parts", given, by=who)
    house, judged, named = bench.site.house, columns.judged, ["number", "name", "quantity"]

    def meanwhile(*args: Any, **how: Any) -> list[str]:
        monkeypatch.setattr(columns, "judged", judged)
        verbs.choose(house, who, made.id, columns=named, options={"shelf": "attic"})
        return judged(*args, **how)

    monkeypatch.setattr(columns, "judged", meanwhile)
    with pytest.raises(Refused) as refused:
        if what == "start":
            verbs.start(house, who, made.id, mode="all")
        else:
            verbs.choose(house, who, made.id, columns=["number", "quantity", "name"], options={})
    assert refused.value.reason is control.STATE
    row = found(bench, who, made.id)
    assert (row.state, row.chosen["columns"], row.chosen["options"]) == (OPEN, named, {"shelf": "attic"})


@pytest.mark.requirement("S1-088")
def test_a_text_too_long_for_an_index_is_told_with_its_row(bench: Laboratory, who: Identity) -> None:
    """PostgreSQL refuses it in the words of a database that is away: nobody waits for that, and the rows
    beside it come in."""
    house = bench.site.house
    with house.store.transaction() as connection:
        connection.execute(text("CREATE TABLE indexed (name TEXT PRIMARY KEY)"))

    class Named(BaseModel):
        name: str

    def save(connection: Connection, rows: Sequence[Named], who: Identity, options: object) -> None:
        connection.execute(text("INSERT INTO indexed VALUES (:name)"), [row.model_dump() for row in rows])

    bench.site.imports.importer("indexed", title="Names", model=Named, permission="note:create")(save)
    long = "".join(chr(33 + number * number % 89) + str(number) for number in range(2_000)).replace(",", "")
    lines = f'name\na\n"{long.replace(chr(34), "")}"\nb\n'
    made = bench.site.imports.begin(
        "indexed", Given("names.csv", "text/csv", io.BytesIO(lines.encode())), by=who
    )
    verbs.start(house, who, made.id, mode="good")
    assert bench.site.imports.work() == 1
    ended = found(bench, who, made.id)
    wrong = [note.row for note in telling.notes(house, ended, "error")]
    on_postgresql = house.store.engine.dialect.name == "postgresql"
    assert (ended.state, ended.found["good"], wrong) == (DONE, 2 + (not on_postgresql), [3] * on_postgresql)


@pytest.mark.requirement("S1-088")
def test_what_the_application_does_not_import_any_more_is_in_nobodys_way(
    bench: Laboratory, who: Identity, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A new version has lost an importer while ten of its imports waited: they are ended when somebody wants
    that, and others' imports run meanwhile."""
    house, people = bench.site.house, [who_is(bench, bench.client("manager")) for _ in range(5)]
    importers = desk.of(house).importers
    monkeypatch.setitem(importers, "gone", replace(importers["parts"], name="gone"))
    waiting: list[tuple[Identity, str]] = []
    for number in range(10):
        given = Given("parts.csv", "text/csv", io.BytesIO(table("K", number + 1)))
        made = bench.site.imports.begin("gone", given, by=people[number // 2])
        verbs.start(house, people[number // 2], made.id, mode="good")
        waiting.append((people[number // 2], made.id))
    monkeypatch.delitem(importers, "gone")
    bench.clock.advance(1)
    number = begun(bench, who, "L", "good", 3)
    assert bench.site.imports.work() == 1
    assert found(bench, who, number).state == DONE
    ended = [verbs.cancel(house, *each) for each in waiting]
    assert {(row.state, row.because) for row in ended} == {(CANCELLED, "Cancelled. Nothing was imported.")}
