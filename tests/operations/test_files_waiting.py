"""Files that belong to nothing yet: nobody fills the disk with them."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy.orm import Session

from bylaw.house import House
from bylaw.identity import ANONYMOUS, Identity
from bylaw.operations.files import Files, sweeping
from bylaw.reasons import Refused
from tests.operations import filing
from tests.operations.filing import SUBJECT, bytes_of, given, kept, person, records
from tests.store import postgresql

POLICY = f"{filing.POLICY}waiting = 3\n"
both = pytest.mark.parametrize("house", ["sqlite", "postgresql"], indirect=True)


@pytest.fixture
def house(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[House]:
    """A policy by which three files may wait."""
    environ = {}
    if getattr(request, "param", "sqlite") == "postgresql":
        environ["DATABASE_URL"] = postgresql.emptied(request.getfixturevalue("postgresql_url"))
    with filing.house(tmp_path, POLICY, **environ) as made:
        yield made


def take(house: House, by: Identity) -> str:
    """The id of a file that belongs to nothing; or the reason why it was not taken."""
    try:
        return Files(house).take(given(), by=by).id
    except Refused as error:
        return error.reason.code


@pytest.mark.requirement("C-29")
def test_who_attaches_nothing_is_stopped(house: House) -> None:
    """Somebody uploads again and again and attaches nothing: ten megabytes each, until the disk is full."""
    ann, bob = person(house), person(house, "bob")
    taken = [take(house, ann) for _ in range(3)]
    assert take(house, ann) == "uploads.waiting"
    assert records(house)[-1]["outcome"] == "failure"
    assert len(bytes_of(house)) == 3
    kept(house, ann)  # what belongs somewhere is the application's to bound
    take(house, bob)
    with Session(house.store.engine) as session, session.begin():
        Files(house).attach(session, taken[0], SUBJECT, by=ann)
    assert take(house, ann) != "uploads.waiting"
    assert take(house, ann) == "uploads.waiting"
    house.ports.clock.advance(90_000)  # type: ignore[attr-defined]
    sweeping.sweep(house)
    assert take(house, ann) != "uploads.waiting"


def test_strangers_count_together(house: House) -> None:
    """Whoever has no account may not fill the disk either."""
    taken = [take(house, ANONYMOUS) for _ in range(5)]
    assert [each == "uploads.waiting" for each in taken] == [False] * 3 + [True] * 2


@both
def test_of_many_at_once_none_is_one_too_many(house: House) -> None:
    """Eight uploads at the same moment, each of which finds room: three are kept, no other's bytes stay."""
    ann, gate = person(house), threading.Barrier(8)

    def one(_: int) -> str:
        gate.wait(30)
        return take(house, ann)

    with ThreadPoolExecutor(8) as pool:
        said = list(pool.map(one, range(8)))
    assert said.count("uploads.waiting") == 5
    assert sorted(bytes_of(house)) == sorted(each for each in said if each != "uploads.waiting")


@both
def test_within_a_transaction_its_own_files_count(house: House) -> None:
    """An application takes several files in one transaction of its own."""
    ann = person(house)
    with Session(house.store.engine) as session, session.begin(), pytest.raises(Refused) as caught:
        for _ in range(4):
            Files(house).take(given(), by=ann, connection=session)
    assert caught.value.reason.code == "uploads.waiting"
    assert len(bytes_of(house)) == 3
