"""Attacks on sessions."""

from __future__ import annotations

from typing import Final

from bylaw.control import Probe
from bylaw.controls.sessions.probes.beginning import a_new_device_is_told_of, half_a_sign_in_opens_nothing
from bylaw.controls.sessions.probes.ending import (
    a_copied_cookie_ends_with_the_session,
    a_session_ends_by_itself,
    nothing_writes_a_session_back,
    signing_out_clears_the_browser,
)
from bylaw.controls.sessions.probes.ids import (
    a_change_of_roles_gives_a_new_id,
    an_id_is_given_and_never_taken,
    each_proof_gives_a_new_id,
    only_a_digest_is_kept,
    unknown_ids_leave_nothing_behind,
)
from bylaw.controls.sessions.probes.processes import (
    a_known_session_costs_no_query,
    another_process_heeds_the_end,
    every_credential_ends_everywhere,
    one_that_cannot_follow_asks_the_database,
)

PROBES: Final[tuple[Probe, ...]] = (
    only_a_digest_is_kept,
    an_id_is_given_and_never_taken,
    a_copied_cookie_ends_with_the_session,
    a_session_ends_by_itself,
    a_change_of_roles_gives_a_new_id,
    a_known_session_costs_no_query,
    another_process_heeds_the_end,
    every_credential_ends_everywhere,
    one_that_cannot_follow_asks_the_database,
    nothing_writes_a_session_back,
    unknown_ids_leave_nothing_behind,
    half_a_sign_in_opens_nothing,
    each_proof_gives_a_new_id,
    a_new_device_is_told_of,
    signing_out_clears_the_browser,
)
