"""Attacks with files: on what is taken, and on what was."""

from __future__ import annotations

from typing import Final

from bylaw.control import Probe
from bylaw.controls.uploads.probes.stored import (
    files_are_given_out_as_attachments,
    files_are_kept_where_nobody_looks,
    what_belongs_elsewhere_is_not_there,
    what_is_kept_is_never_written_again,
    what_is_not_clean_is_given_to_nobody,
    what_nobody_needs_is_cleared_away,
    what_was_changed_is_not_given_out,
)
from bylaw.controls.uploads.probes.taken import (
    a_file_is_what_it_says,
    files_are_measured_while_they_come,
    names_lead_nowhere,
    no_route_takes_what_it_has_not_declared,
    what_a_file_costs_is_bounded,
)

PROBES: Final[tuple[Probe, ...]] = (
    no_route_takes_what_it_has_not_declared,
    files_are_measured_while_they_come,
    a_file_is_what_it_says,
    what_a_file_costs_is_bounded,
    names_lead_nowhere,
    files_are_kept_where_nobody_looks,
    what_is_kept_is_never_written_again,
    files_are_given_out_as_attachments,
    what_belongs_elsewhere_is_not_there,
    what_is_not_clean_is_given_to_nobody,
    what_was_changed_is_not_given_out,
    what_nobody_needs_is_cleared_away,
)
