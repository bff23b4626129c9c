"""The ways in which the control is broken on purpose, to see that its probes notice."""

from __future__ import annotations

import time
from typing import Any, Final

from bylaw.control import Patch, sabotage
from bylaw.controls import monitoring
from bylaw.store import backup, size


@sabotage
def everybody_is_an_operator(patch: Patch) -> None:
    """Metrics and reasons are shown to whoever asks."""
    patch(monitoring, "_inside", lambda networks, exchange: True)


@sabotage
def a_claimed_operator_will_do(patch: Patch) -> None:
    """The address of whoever passes a request on is taken for the sender's."""
    patch(monitoring, "_inside", lambda networks, exchange: exchange.client in networks)


@sabotage
def it_is_always_ready(patch: Patch) -> None:
    """Readiness says that the process runs."""
    patch(monitoring.Readiness, "_look", lambda self: {})


@sabotage
def every_question_is_a_look(patch: Patch) -> None:
    """Whoever asks has the database asked."""
    patch(monitoring.Readiness, "fresh", property(lambda self: False))


@sabotage
def the_version_is_not_looked_at(patch: Patch) -> None:
    """A database of another version counts as ready."""
    before = monitoring.checks
    patch(monitoring, "checks", lambda house: {**before(house), "migrations": lambda: ""})


@sabotage
def made_up_methods_are_series(patch: Patch) -> None:
    """The label of the method is what the request says."""

    class Rows(dict[str, list[int]]):
        def get(self, method: str, other: Any = None) -> Any:
            return self.setdefault(method, [0] * 10)

    def rows(house: Any) -> Any:
        house.requests = Rows(other=[0] * 10)
        return house.requests

    patch(monitoring, "_rows", rows)


@sabotage
def the_inside_is_told(patch: Patch) -> None:
    """An error's own words are the answer."""

    def look(self: Any) -> dict[str, str]:
        found = {}
        for name, check in self._house.checks.items():
            try:
                fault = check()
            except Exception as error:  # noqa: BLE001 - that is the defect
                fault = str(error)
            if fault:
                found[name] = fault
        return found

    patch(monitoring.Readiness, "_look", look)


@sabotage
def the_database_grows_unseen(patch: Patch) -> None:
    """Nobody looks how large it is."""
    patch(size, "bytes_of", lambda connection: {"data": 0})


@sabotage
def backups_are_believed_in(patch: Patch) -> None:
    """There is always a fresh copy."""
    patch(backup, "last_taken", lambda place: time.time())


SABOTAGES: Final = (
    everybody_is_an_operator,
    a_claimed_operator_will_do,
    it_is_always_ready,
    every_question_is_a_look,
    the_version_is_not_looked_at,
    made_up_methods_are_series,
    the_inside_is_told,
    the_database_grows_unseen,
    backups_are_believed_in,
)
