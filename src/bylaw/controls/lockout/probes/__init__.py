"""Attacks on the running application by guessing passwords. Most guesses come from an address of
their own each, as a botnet's do.
"""

from __future__ import annotations

from typing import Final

from bylaw.control import Probe
from bylaw.controls.lockout.probes.guessing import (
    a_forgotten_device_is_a_stranger,
    an_address_may_fail_only_so_often,
    at_once_is_one_by_one,
    every_door_waits,
    guessing_ends,
    guessing_takes_longer_each_time,
    strangers_do_not_lock_the_owner_out,
)
from bylaw.controls.lockout.probes.letting_in import (
    asking_for_a_link_tells_nothing,
    the_owner_is_let_in_by_mail,
)
from bylaw.controls.lockout.probes.telling import slowing_down_is_told_once, waiting_tells_nothing

PROBES: Final[tuple[Probe, ...]] = (
    guessing_takes_longer_each_time,
    guessing_ends,
    at_once_is_one_by_one,
    strangers_do_not_lock_the_owner_out,
    waiting_tells_nothing,
    an_address_may_fail_only_so_often,
    every_door_waits,
    slowing_down_is_told_once,
    a_forgotten_device_is_a_stranger,
    the_owner_is_let_in_by_mail,
    asking_for_a_link_tells_nothing,
)
