"""Who works on imports: one thread of each process, which claims what is due by a lease in the database.

A process that dies leaves its import to whoever comes next, once the lease is over.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from sqlalchemy import Connection
from sqlalchemy.exc import OperationalError

from bylaw.controls import audit, imports
from bylaw.house import House
from bylaw.operations.files import Files
from bylaw.operations.imports import desk
from bylaw.operations.imports.desk import Desk
from bylaw.operations.imports.running import LEASE, TRIES, Run
from bylaw.operations.imports.standing import Lost
from bylaw.operations.imports.tally import Tally, stays
from bylaw.store import imports as store
from bylaw.store.imports import Import

log = logging.getLogger("bylaw.imports")

TIDY_EVERY: Final = 600
_CLOSING: Final = 10.0
"""Seconds that a process waits for the batch that is under way when it ends."""


def tending(house: House) -> Callable[[], None]:
    """A chore: see to it that what is due is worked on, and that what is old goes."""
    tidied = [0.0]
    desk.of(house).closing.clear()

    def tend() -> None:
        if not imports.used(house.policy):
            return
        here = desk.of(house)
        if here.importers and not here.by_hand and not _alive(here.thread) and _due(house):
            here.thread = threading.Thread(target=_run, args=(house,), name="bylaw-imports", daemon=True)
            here.thread.start()
        if house.now() - tidied[0] > TIDY_EVERY:
            tidied[0] = house.now()
            tidy(house)

    return tend


def _alive(thread: threading.Thread | None) -> bool:
    return thread is not None and thread.is_alive()


def _run(house: House) -> None:
    try:
        work(house)
    except Exception:
        log.exception("imports could not be worked on and are tried again")


def close(house: House) -> None:
    """Let the batch that is under way end, and begin no other."""
    here = desk.of(house)
    here.closing.set()
    if here.thread is not None and here.thread is not threading.current_thread():
        here.thread.join(_CLOSING)


def work(house: House) -> int:
    """Work on what is due until nothing is; how many runs there were."""
    here, count = desk.of(house), 0
    with here.busy:
        while not here.closing.is_set() and any(_take(house, here, each) for each in _due(house)):
            count += 1
    return count


def at_once(house: House, import_id: str) -> None:
    """Work on this one now, unless this process works on another: then it waits for its turn."""
    here = desk.of(house)
    if here.busy.acquire(blocking=False):
        try:
            _take(house, here, import_id)
        finally:
            here.busy.release()


def _due(house: House) -> list[str]:
    # Only what this application imports: what it does not any more would be in the way of all others.
    importers = desk.of(house).importers
    with house.store.reading() as connection:
        return store.due(connection, house.now(), importers)


def _take(house: House, here: Desk, import_id: str) -> bool:
    """Claim an import and run it; False where it is another's."""
    claimed = _claimed(house, here, import_id)
    if claimed is None:
        return False
    row, fence = claimed
    importer = here.find(row.importer)
    if importer is None:
        return False
    try:
        Run(house, here, importer, row, fence).go()
    except Lost:
        log.warning("import %s is somebody else's now", import_id)
        _leave(house, import_id, fence)
    except OperationalError:
        # Away, not wrong: it waits for its lease to end, and is tried again.
        log.warning("import %s waits for the database", import_id, exc_info=True)
    return True


def _leave(house: House, import_id: str, fence: int) -> None:
    with house.store.transaction() as connection:
        store.release(connection, import_id, fence)


def _claimed(house: House, here: Desk, import_id: str) -> tuple[Import, int] | None:
    """The import and the fence that we work behind, where it is ours to work on now."""
    with house.store.transaction() as connection:
        row = store.find(connection, import_id)
        if row is None or not row.under_way or here.find(row.importer) is None:
            return None
        fence = store.claim(connection, import_id, now=house.now(), until=house.now() + LEASE)
        if not fence:
            return None
        row = store.find(connection, import_id)  # as it is now that nobody else can change it
        if row is None or not row.under_way:
            return None
        tries = int(row.found.get("tries", 0)) + 1
        if tries > TRIES:
            _give_up(house, row)
            because = f"{_GIVEN_UP} {stays(Tally.of(row.found).good)}"
            store.tell(connection, row.id, state=store.FAILED, finished_at=house.now(), because=because)
            audit.record(
                house,
                connection,
                action="import_failed",
                outcome="failure",
                actor=row.user_id or "",
                entity_type="import",
                entity_id=row.id,
                changes={"importer": row.importer, "file": row.name, "why": _GIVEN_UP},
            )
            return None
        found = {**row.found, "tries": tries}
        store.tell(connection, row.id, found=found)
    return replace(row, found=found), fence


_GIVEN_UP: Final = f"It was begun {TRIES} times, and whoever worked on it ended each time."


def _give_up(house: House, row: Import) -> None:
    log.error("import %s is given up", row.id)
    house.count("imports.given_up")


def end_waiting(house: House, connection: Connection, row: Import) -> bool:
    """End an import that waits where no worker has it: there may be none any more that could. False where
    one has, or it is not under way."""
    now = house.now()
    if not row.under_way or not store.claim(connection, row.id, now=now, until=0.0):
        return False
    checking = row.state == store.CHECKING
    return store.change(
        connection,
        row.id,
        when=[row.state],
        now=now,
        state=store.OPEN if checking else store.CANCELLED,
        because=f"Cancelled. {stays(Tally.of(row.found).good)}",
        finished_at=None if checking else now,
        cancel_at=None,
    )


def tidy(house: House) -> None:
    """Drop imports that nobody has touched for as long as the policy says, with their files."""
    before = house.now() - house.policy.of(imports.Settings).kept
    with house.store.transaction() as connection:
        for row in store.old(connection, before, 100):
            forget(house, connection, row)
        store.forget_mappings(connection, before - 11 * 30 * 86_400)


def forget(house: House, connection: Connection, row: Import) -> None:
    """Drop an import and have its file go."""
    store.erase(connection, row.id)
    Files(house).remove_all(connection, row.subject)
