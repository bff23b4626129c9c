"""Attacks on the running application by way of its passwords."""

from __future__ import annotations

from typing import Final

from bylaw.control import Probe
from bylaw.controls.passwords.probes.choosing import (
    change_asks_for_the_current,
    forms_let_managers_in,
    leaks_are_asked_and_told_nothing,
    least_follows_the_factor,
    meter_tells_and_keeps_nothing,
    tighter_rules_reach_everybody,
    weak_is_refused,
)
from bylaw.controls.passwords.probes.keeping import (
    kept_as_promised,
    older_hash_is_upgraded,
    table_alone_is_worth_nothing,
)
from bylaw.controls.passwords.probes.signing_in import (
    impossible_costs_nothing,
    sign_in_tells_nothing,
    storm_is_told_to_return,
)

PROBES: Final[tuple[Probe, ...]] = (
    kept_as_promised,
    weak_is_refused,
    sign_in_tells_nothing,
    impossible_costs_nothing,
    older_hash_is_upgraded,
    storm_is_told_to_return,
    change_asks_for_the_current,
    least_follows_the_factor,
    tighter_rules_reach_everybody,
    leaks_are_asked_and_told_nothing,
    table_alone_is_worth_nothing,
    meter_tells_and_keeps_nothing,
    forms_let_managers_in,
)
