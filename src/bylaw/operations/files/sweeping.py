"""Clearing away what nobody needs: files that nothing wanted, bytes that were removed, and what a process
that died left behind. And the opposite: finding what should be there and is not.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Final

from bylaw.controls import audit
from bylaw.house import House
from bylaw.operations.files import reading
from bylaw.operations.files.keeping import storage_of
from bylaw.storage import Storage, Unstored
from bylaw.store import files
from bylaw.store.files import StoredFile

log = logging.getLogger("bylaw.files")

UNWANTED: Final = 86_400
"""Seconds after which a file goes that no transaction has attached, and bytes that no row names."""
EVERY: Final = 300
LOOK_FOR_ORPHANS_EVERY: Final = 3600
_BATCH: Final = 500
_STRANGE: Final = 20


@dataclass(frozen=True, slots=True)
class Swept:
    """What was cleared away."""

    unattached: int = 0
    removed: int = 0
    orphans: int = 0
    parts: int = 0


def sweep(house: House, *, orphans: bool = True) -> Swept:
    """Clear away what is nobody's. Two processes at once do no harm: what is gone is gone."""
    unattached = _let_go(house)
    storage = storage_of(house)
    removed = _erase(house, storage)
    if not orphans:
        return Swept(unattached, removed)
    before = house.now() - UNWANTED
    return Swept(unattached, removed, _clear_orphans(house, storage, before), storage.sweep(before))


def _let_go(house: House) -> int:
    with house.store.transaction() as connection:
        gone = files.remove_unattached(connection, house.now() - UNWANTED, house.now())
        for file_id in gone:
            audit.record(
                house,
                connection,
                action="upload_delete",
                actor="",
                entity_type="file",
                entity_id=file_id,
                changes={"why": "nothing needed it"},
            )
    return len(gone)


def _erase(house: House, storage: Storage) -> int:
    """Delete the bytes of what was removed: only now, since a transaction that did not happen removes
    nothing."""
    erased = 0
    while True:
        with house.store.reading() as connection:
            ids = files.removed(connection, _BATCH)
        if not ids:
            return erased
        for file_id in ids:
            storage.delete(file_id)
        with house.store.transaction() as connection:
            files.erased(connection, ids)
        erased += len(ids)


def _clear_orphans(house: House, storage: Storage, before: float) -> int:
    found = list(_orphans(house, storage, before))
    with house.store.reading() as connection:
        rows = sum(count for state, (count, _) in files.totals(connection).items() if state != files.ERASED)
    if len(found) > max(_STRANGE, rows):
        # An older copy of the database was put back, or this is another application's storage.
        log.error(
            "%s files in storage are in no row, and %s are: nothing is cleared away before somebody "
            "has looked (bylaw files sweep --orphans)",
            len(found),
            rows,
        )
        return 0
    return _delete(storage, found)


def clear_all_orphans(house: House) -> int:
    """Clear away every orphan, however many: for an operator who has looked."""
    storage = storage_of(house)
    return _delete(storage, list(_orphans(house, storage, house.now() - UNWANTED)))


def _delete(storage: Storage, names: Iterable[str]) -> int:
    count = 0
    for name in names:
        storage.delete(name)
        count += 1
    if count:
        log.warning("%s files were cleared away that no row names", count)
    return count


def _orphans(house: House, storage: Storage, before: float) -> Iterator[str]:
    """Names in storage without a row. Younger ones may be on their way to one."""
    old = (kept.name for kept in storage.names() if kept.written_at < before)
    for names in _batches(old):
        with house.store.reading() as connection:
            known = files.known(connection, names)
        yield from (name for name in names if name not in known)


@dataclass(frozen=True, slots=True)
class Wrong:
    """A file that is not as it was taken, and why."""

    file: StoredFile
    why: str


def verify(house: House) -> Iterator[Wrong | None]:
    """Compare every file with what was taken: what is wrong of each, or None."""
    after = ""
    while True:
        with house.store.reading() as connection:
            found = files.kept(connection, after, _BATCH)
        if not found:
            return
        for file in found:
            yield _compared(house, file)
        after = found[-1].id


def _compared(house: House, file: StoredFile) -> Wrong | None:
    try:
        reading.compare(house, file)
    except FileNotFoundError:
        return Wrong(file, "is not there")
    except reading.Altered as error:
        return Wrong(file, str(error))
    return None


def chore(house: House) -> Callable[[], None]:
    """What a process does about files besides answering."""
    swept = [house.now()]
    looked = [house.now()]

    def tidy() -> None:
        _write_later(house)
        now = house.now()
        if now - swept[0] <= EVERY:
            return
        swept[0] = now
        orphans = now - looked[0] > LOOK_FOR_ORPHANS_EVERY
        looked[0] = now if orphans else looked[0]
        try:
            sweep(house, orphans=orphans)
            measure(house)
        except Unstored as error:
            house.count("files.unstored")
            log.error("%s", error)

    return tidy


def _write_later(house: House) -> None:
    """Record what could not be recorded within its request."""
    while house.later:
        with house.store.transaction() as connection:
            house.later[0](connection)
        house.later.popleft()


def _batches(names: Iterator[str]) -> Iterator[tuple[str, ...]]:
    while batch := tuple(islice(names, _BATCH)):
        yield batch


def measure(house: House) -> None:
    """How many files there are in each state, and their bytes, for `/metrics`."""
    with house.store.reading() as connection:
        totals = files.totals(connection)
    house.gauges["files"] = {f'state="{state}",': count for state, (count, _) in totals.items()}
    house.gauges["file_bytes"] = {f'state="{state}",': size for state, (_, size) in totals.items()}
