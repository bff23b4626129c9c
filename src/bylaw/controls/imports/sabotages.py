"""The ways in which the control is broken on purpose, to see that its probes notice."""

from __future__ import annotations

import sys
from typing import Any, Final

from bylaw.control import Patch, Sabotage, sabotage
from bylaw.spreadsheet import Limits
from bylaw.store import imports as store


def _operations(name: str) -> Any:
    return sys.modules[f"bylaw.operations.imports.{name}"]


@sabotage
def nothing_is_validated(patch: Patch) -> None:
    """Rows are saved as they come, whatever the model says."""
    source = _operations("source")

    def unlooked(importer: Any, record: Any, columns: Any) -> Any:
        return source.Good(record, importer.model.model_construct(name="unlooked at", amount=1))

    patch(source, "validated", unlooked)


@sabotage
def a_dry_run_is_kept(patch: Patch) -> None:
    """What a dry run saved is committed."""
    run = _operations("running").Run

    def kept(self: Any, sheet: Any, options: Any) -> None:
        with self.house.store.transaction() as connection:
            for items in self._read(sheet, options, 0):
                self._take(connection, self._still_mine(connection), items, options)
        self._end(store.OPEN, "", checked=True)

    patch(run, "_at_once", kept)


@sabotage
def half_of_it_stays(patch: Patch) -> None:
    """All rows or none are committed batch by batch."""
    patch(_operations("running").Run, "_nothing_stays", property(lambda run: run.dry))


@sabotage
def a_file_is_new_each_time(patch: Patch) -> None:
    """Nobody remembers what was imported."""
    patch(_operations("verbs"), "repeated", lambda house, row: None)


@sabotage
def how_far_it_is_is_not_committed(patch: Patch) -> None:
    """Rows are committed without how far the import is: the next worker begins anew."""
    real = store.tell
    patch(
        store,
        "tell",
        lambda connection, number, **values: real(
            connection, number, **{name: value for name, value in values.items() if name != "done"}
        ),
    )


@sabotage
def anybody_may_take_it(patch: Patch) -> None:
    """A lease is nobody's."""
    real = store.claim
    patch(
        store,
        "claim",
        lambda connection, number, *, now, until: real(connection, number, now=1e12, until=0.0),
    )


@sabotage
def there_is_no_fence(patch: Patch) -> None:
    """Whoever has begun an import goes on with it, whoever has it now."""
    patch(store, "hold", lambda connection, number, fence, *, until: True)


@sabotage
def an_id_is_enough(patch: Patch) -> None:
    """Whoever knows the id of an import sees it."""
    patch(_operations("verbs"), "_is_of", lambda row, by: True)


@sabotage
def the_permission_is_asked_once(patch: Patch) -> None:
    """The worker does not ask whether its owner still may."""
    running = _operations("running")
    authority = sys.modules["bylaw.operations.authority"]

    def asking(house: Any, connection: Any, row: Any, importer: Any) -> Any:
        user = sys.modules["bylaw.store.users"].by_id(connection, row.user_id)
        return authority.as_held(house, user, authority.held(connection, user.id))

    patch(running, "asking", asking)


@sabotage
def a_table_is_as_large_as_it_is(patch: Patch) -> None:
    """Nothing limits rows, columns and cells."""
    endless = Limits(rows=10**9, columns=10**6, cells=10**9, cell=10**9)
    patch(_operations("source"), "limits", lambda policy: endless)


@sabotage
def one_person_takes_all_workers(patch: Patch) -> None:
    """Nobody counts what is under way."""
    patch(store, "count", lambda connection, user_id, states: 0)


@sabotage
def errors_are_formulas(patch: Patch) -> None:
    """Cells of the downloaded errors are written as they came."""
    telling = _operations("telling")
    patch(
        telling,
        "_lines",
        lambda found: [f"{each.row},{each.column},{each.value},{each.said}\r\n" for each in found],
    )


SABOTAGES: Final[tuple[Sabotage, ...]] = (
    nothing_is_validated,
    a_dry_run_is_kept,
    half_of_it_stays,
    a_file_is_new_each_time,
    how_far_it_is_is_not_committed,
    anybody_may_take_it,
    there_is_no_fence,
    an_id_is_enough,
    the_permission_is_asked_once,
    a_table_is_as_large_as_it_is,
    one_person_takes_all_workers,
    errors_are_formulas,
)
