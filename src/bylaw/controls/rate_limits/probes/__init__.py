"""Attacks on the limits: too often, all at once, by other names and from made-up places."""

from __future__ import annotations

from typing import Final

from bylaw.control import Probe
from bylaw.controls.rate_limits.probes.counting import (
    a_route_has_its_own_limit,
    an_excess_is_recorded_once,
    answers_say_what_is_left,
    many_at_once_are_not_more,
    strangers_get_no_more_than_the_policy_says,
    waiting_as_long_as_it_says_restores,
    what_is_refused_uses_up_nothing,
)
from bylaw.controls.rate_limits.probes.losing import (
    an_outage_is_met_as_the_policy_says,
    no_process_counts_for_itself,
    nothing_switches_it_off_in_production,
)
from bylaw.controls.rate_limits.probes.whom import (
    every_name_of_a_route_shares_one_budget,
    everybody_together_has_a_limit,
    no_header_makes_another_of_a_client,
    people_do_not_pay_for_their_neighbours,
    static_files_cost_nothing,
)

PROBES: Final[tuple[Probe, ...]] = (
    strangers_get_no_more_than_the_policy_says,
    a_route_has_its_own_limit,
    waiting_as_long_as_it_says_restores,
    answers_say_what_is_left,
    what_is_refused_uses_up_nothing,
    many_at_once_are_not_more,
    no_header_makes_another_of_a_client,
    every_name_of_a_route_shares_one_budget,
    people_do_not_pay_for_their_neighbours,
    everybody_together_has_a_limit,
    static_files_cost_nothing,
    an_excess_is_recorded_once,
    no_process_counts_for_itself,
    an_outage_is_met_as_the_policy_says,
    nothing_switches_it_off_in_production,
)
