"""Attacks with forged, stale, stolen and misplaced tokens."""

from __future__ import annotations

from typing import Final

from bylaw.control import Probe
from bylaw.controls.jwt.probes.forging import (
    every_claim_is_asked_for,
    nothing_else_passes_for_it,
    only_our_own_signature_counts,
)
from bylaw.controls.jwt.probes.giving import (
    a_pair_is_given_for_a_password,
    no_cookie_gets_a_token,
    this_door_is_the_same_door,
)
from bylaw.controls.jwt.probes.refreshing import a_refresh_token_is_good_once, at_once_one_refreshes
from bylaw.controls.jwt.probes.standing import a_known_token_costs_no_query, standing_ends_it_at_once

PROBES: Final[tuple[Probe, ...]] = (
    a_pair_is_given_for_a_password,
    only_our_own_signature_counts,
    every_claim_is_asked_for,
    standing_ends_it_at_once,
    a_refresh_token_is_good_once,
    at_once_one_refreshes,
    nothing_else_passes_for_it,
    no_cookie_gets_a_token,
    a_known_token_costs_no_query,
    this_door_is_the_same_door,
)
