"""The ways in which the control is broken on purpose, to see that its probes notice."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any, Final

from bylaw.control import Patch, sabotage
from bylaw.controls import proxies, rate_limits
from bylaw.controls.rate_limits import outage, pace, processes
from bylaw.routes import Routes
from bylaw.store import counters
from bylaw.store.counters import Memory


@sabotage
def one_more_is_let_through(patch: Patch) -> None:
    """The limit is looked at before the request is counted: the one after the last passes."""
    before = pace.limits

    def limits(rates: Any, name: str) -> Any:
        return tuple(counters.Limit(one.count + 1, one.seconds, one.name) for one in before(rates, name))

    patch(pace, "limits", limits)


@sabotage
def looking_and_counting_are_two_steps(patch: Patch) -> None:
    """What is left is read, and written back a moment later."""

    def several(self: Memory, table: Any) -> Any:
        def take(keys: Any, now: float) -> Any:
            held = table.get(keys[0])
            if held is None or held.until <= now:
                held = self._renewed(table, keys[0], now)
            left = held.left
            time.sleep(0.01)  # as the round trip to a database is
            if left <= 0:
                return counters._refusal((held,), now)
            held.left = left - 1
            return held.limit, left - 1, held.ends

        return take

    patch(Memory, "_one", several)


@sabotage
def refusals_are_counted_by_the_others(patch: Patch) -> None:
    """What one limit refuses uses up the rest."""
    before = counters._refusal

    def refusal(every: Any, now: float) -> Any:
        for held in every:
            held.left = max(0, held.left - 1)
        return before(every, now)

    patch(counters, "_refusal", refusal)


@sabotage
def each_path_has_a_budget_of_its_own(patch: Patch) -> None:
    """The limit is the path's as it was written, not the route's."""
    patch(pace.Plans, "_covers", lambda self, entry, route, path: path == entry.path)


@sabotage
def the_client_says_who_it_is(patch: Patch) -> None:
    """The address is taken from a header that anybody can write."""

    def address(exchange: Any) -> str:
        said = exchange.headers.all("x-forwarded-for")
        return str(said[0]) if said else proxies.group(exchange.client)

    patch(pace, "address", address)


@sabotage
def an_office_has_one_budget(patch: Patch) -> None:
    """People are counted by the address that they share."""
    patch(pace, "_identity", lambda exchange: exchange.client)


@sabotage
def it_says_to_come_back_at_once(patch: Patch) -> None:
    """Whoever is refused is told to try again, and refused again."""
    patch(pace, "_wait", lambda ends, now: 1)


@sabotage
def every_process_may_count_for_itself(patch: Patch) -> None:
    """Several processes start, each with counters in its own memory."""
    patch(processes, "workers", lambda environ, command: ())
    patch(rate_limits, "_degraded", lambda policy: False)


@sabotage
def an_outage_lets_everybody_through(patch: Patch) -> None:
    """While the counters are lost, nothing is counted, whatever the policy says."""
    before = pace.pace
    open_ = {"on_outage": "allow"}
    patch(pace, "pace", lambda house, settings: before(house, settings.model_copy(update=open_)))


@sabotage
def nobody_hears_of_an_outage(patch: Patch) -> None:
    """The counters are lost without a word: no record, and ready as ever."""
    patch(outage.Outage, "begin", lambda self, why: None)
    patch(outage.Outage, "check", lambda self: "")


@sabotage
def every_refusal_is_recorded(patch: Patch) -> None:
    """A client that keeps trying fills the audit log."""
    patch(pace, "FIRST", counters.AGAIN)


@sabotage
def files_are_counted(patch: Patch) -> None:
    """A page with ten pictures is eleven requests."""
    before = Routes.at
    patch(Routes, "at", lambda self, method, path: replace(before(self, method, path), static=False))


@sabotage
def it_can_be_switched_off(patch: Patch) -> None:
    """A line in the policy ends all limits, in production too."""
    patch(rate_limits, "_open", lambda policy: False)


SABOTAGES: Final = (
    one_more_is_let_through,
    looking_and_counting_are_two_steps,
    refusals_are_counted_by_the_others,
    each_path_has_a_budget_of_its_own,
    the_client_says_who_it_is,
    an_office_has_one_budget,
    it_says_to_come_back_at_once,
    every_process_may_count_for_itself,
    an_outage_lets_everybody_through,
    nobody_hears_of_an_outage,
    every_refusal_is_recorded,
    files_are_counted,
    it_can_be_switched_off,
)
