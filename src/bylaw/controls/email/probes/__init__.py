"""Attacks on the running application by way of mail and addresses."""

from __future__ import annotations

from typing import Final

from bylaw.control import Probe
from bylaw.controls.email.probes.changing import (
    a_taken_address_is_not_told_here_either,
    an_address_changes_when_its_owner_says_so,
    nobody_else_is_reached_by_spelling,
)
from bylaw.controls.email.probes.confirming import (
    a_link_opens_once_and_not_for_ever,
    an_unconfirmed_account_opens_nothing,
    opening_a_link_confirms_nothing,
)
from bylaw.controls.email.probes.sending import (
    mail_carries_nothing_else,
    mail_is_neither_lost_nor_doubled_in_silence,
    nobody_is_flooded,
)

PROBES: Final[tuple[Probe, ...]] = (
    an_unconfirmed_account_opens_nothing,
    opening_a_link_confirms_nothing,
    a_link_opens_once_and_not_for_ever,
    an_address_changes_when_its_owner_says_so,
    a_taken_address_is_not_told_here_either,
    nobody_else_is_reached_by_spelling,
    mail_is_neither_lost_nor_doubled_in_silence,
    nobody_is_flooded,
    mail_carries_nothing_else,
)
