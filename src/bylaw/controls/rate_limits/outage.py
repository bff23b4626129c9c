"""When the shared counters do not answer: known to whoever watches, and recorded once."""

from __future__ import annotations

import logging
import threading

from sqlalchemy.exc import SQLAlchemyError

from bylaw import exchange
from bylaw.controls import audit
from bylaw.house import House
from bylaw.store.counters import Lost

log = logging.getLogger("bylaw.rate_limits")

OUTAGES = "limiter_outages"
"""The name under which `house.counts` has how often the counters were lost."""


class Outage:
    """Whether the shared counters are lost, for one application in this process."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._lock = threading.Lock()
        self.lasts = False

    def begin(self, why: str) -> None:
        """They did not answer. May write a record: to be called where waiting is allowed."""
        if not self.lasts and self._turn(lasts=True):
            self._house.count(OUTAGES)
            log.error("the counters of [rate_limits] store do not answer: %s", why)
            self._record("limiter_lost", "failure", why)

    def end(self) -> None:
        """One request was counted: they answer again, unless it was asked before they were lost."""
        if self.lasts and not self._house.counters.wrong and self._turn(lasts=False):
            log.warning("the counters of [rate_limits] store answer again")
            self._record("limiter_back", "success", "")

    def check(self) -> str:
        """What is wrong, for readiness. Asks, unless that has failed a moment ago; may wait."""
        try:
            self._house.counters.ping()
        except Lost as lost:
            self.begin(str(lost))
            return f"the counters of rate limits do not answer ({lost})"
        self.end()
        return ""

    def _turn(self, *, lasts: bool) -> bool:
        """Whether it is this thread that changes it."""
        with self._lock:
            changed = self.lasts is not lasts
            self.lasts = lasts
        return changed

    def _record(self, action: str, outcome: str, why: str) -> None:
        # Nobody's request: it was not the visitor who happened to find out.
        token = exchange.enter(None)
        try:
            with self._house.store.transaction() as connection:
                audit.record(
                    self._house,
                    connection,
                    action=action,
                    outcome=outcome,
                    entity_type="control",
                    entity_id="rate_limits",
                    changes={"why": why} if why else {},
                )
        except SQLAlchemyError:
            log.exception("%s could not be recorded", action)
        finally:
            exchange.leave(token)
