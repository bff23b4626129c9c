"""kill -9 in the middle of taking a file, at every step: nothing half-visible, nothing lost, nothing
stays."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from bylaw.house import House
from bylaw.identity import Identity
from bylaw.operations.files import Files, sweeping, taking
from bylaw.operations.files.keeping import storage_of
from bylaw.storage import local
from bylaw.store import files as rows
from tests.content import making
from tests.operations import filing
from tests.operations.filing import SUBJECT, bytes_of, given, person

STEPS: dict[str, tuple[Any, str]] = {
    "while it comes": (taking, "_write"),
    "before it is examined": (taking.content, "examine"),
    "before it is scanned": (taking.malware, "admitted"),
    "before its name is taken": (local.os, "open"),
    "after its bytes, before the disk has them": (local.os, "fsync"),
    "before its row": (taking.files, "add"),
    "before its record": (taking, "_record"),
}
"""Where the process dies: when it calls this."""
TIMES: dict[str, int] = {"before its name is taken": 2}
"""The call at which it dies, where that is not the first."""


def die(*_: object, **__: object) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _take(folder: str, user_id: str, step: str) -> None:
    """In a process of its own: take a file, and die at a step; or answer, and die then."""
    with filing.house(Path(folder)) as house:
        if step in STEPS:
            holder, name = STEPS[step]
            setattr(holder, name, counted(getattr(holder, name), TIMES.get(step, 1)))
        file = Files(house).take(
            given(content=making.png()), by=Identity(id=user_id, name="ann"), subject=SUBJECT
        )
        (Path(folder) / "answered").write_text(file.id)
        die()


def counted(call: Callable[..., Any], deadly: int) -> Callable[..., Any]:
    calls = iter(range(1, deadly + 1))
    return lambda *a, **k: die() if next(calls) == deadly else call(*a, **k)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("killed")


@pytest.fixture(scope="module")
def house(folder: Path) -> Iterator[House]:
    with filing.house(folder) as made:
        yield made


@pytest.fixture(scope="module")
def ann(house: House) -> Identity:
    return person(house)


def killed(folder: Path, ann: Identity, step: str) -> None:
    # Forked: a process that has everything imported, with no thread of its parent's that it needs.
    process = multiprocessing.get_context("fork").Process(target=_take, args=(str(folder), ann.id, step))
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL, step


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
@pytest.mark.parametrize("step", STEPS)
def test_killed_before_the_answer_nothing_is_there(
    house: House, folder: Path, ann: Identity, step: str
) -> None:
    """The process dies before it has answered: nobody sees a file, and a day later nothing is left of it."""
    killed(folder, ann, step)
    assert Files(house).of(SUBJECT) == []
    with house.store.reading() as connection:
        assert rows.kept(connection) == []
    clock: Any = house.ports.clock
    clock.at = max(clock.at, 4e9) + sweeping.UNWANTED + 1  # whatever the disk's clock said
    sweeping.sweep(house)
    assert bytes_of(house) == []
    storage: Any = storage_of(house)
    assert [path for path in storage.path.rglob("*") if path.is_file()] == []


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_killed_after_the_answer_nothing_is_lost(house: House, folder: Path, ann: Identity) -> None:
    """The process dies right after it has answered: the file is there, whole, and is given out."""
    killed(folder, ann, "")
    file_id = (folder / "answered").read_text()
    sweeping.sweep(house)
    (file,) = Files(house).of(SUBJECT)
    assert file.id == file_id
    with Files(house).open(file_id, SUBJECT) as stream:
        assert stream.read() == making.png()
    assert [found for found in sweeping.verify(house) if found] == []
    with house.store.transaction() as connection:
        Files(house).remove_all(connection, SUBJECT)
    sweeping.sweep(house)
    assert bytes_of(house) == []
