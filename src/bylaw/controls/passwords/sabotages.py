"""The ways in which the control is broken on purpose, to see that its probes notice."""

from __future__ import annotations

import hashlib
import logging
from typing import Any, Final

from bylaw import hashing
from bylaw.control import Patch, sabotage
from bylaw.controls import passwords
from bylaw.controls.passwords import guessing, judging, leaks
from bylaw.hashing import Peppers
from bylaw.house import House
from bylaw.reasons import Refused


@sabotage
def kept_in_clear(patch: Patch) -> None:
    """Passwords are stored as they are given."""
    for scheme in hashing.SCHEMES.values():
        patch(scheme, "make", lambda self, password: password)


@sabotage
def anything_goes(patch: Patch) -> None:
    """Any password is taken."""
    patch(judging, "faults", lambda settings, password, **how: [])


@sabotage
def no_decoy(patch: Patch) -> None:
    """Where there is no account nothing is hashed: the answer comes at once."""

    def check(house: House, stored: str | None, password: str) -> str | None:
        if stored is None:
            raise Refused(passwords.WRONG)
        return passwords._pooled(house, passwords._verify, house, stored, password)

    patch(passwords, "check", check)


@sabotage
def endless(patch: Patch) -> None:
    """Passwords of any length are hashed."""
    patch(judging, "hashable", lambda settings, password: judging.normal(password))


@sabotage
def never_upgraded(patch: Patch) -> None:
    """Older hashes stay as they are."""
    for scheme in hashing.SCHEMES.values():
        patch(scheme, "outdated", lambda self, stored: False)


@sabotage
def no_budget(patch: Patch) -> None:
    """As many hashes are computed at once as people ask for."""
    patch(hashing.HashPool, "run", lambda self, work, *args: work(*args))


@sabotage
def current_not_asked(patch: Patch) -> None:
    """Any password passes for the right one."""
    patch(passwords, "check", lambda house, stored, password: None)


@sabotage
def only_whole_words(patch: Patch) -> None:
    """A common password in other spelling, or with the year behind it, is no common password."""
    patch(guessing, "listed", lambda password: False)


@sabotage
def names_are_fine(patch: Patch) -> None:
    """Whoever calls himself so may have his name for a password."""
    patch(guessing, "personal", lambda password, words: False)


@sabotage
def always_beside_a_factor(patch: Patch) -> None:
    """The shorter least length holds for everybody."""

    def least(self: passwords.Settings, *, second: bool) -> int:
        return self.min_length_with_second_factor

    patch(passwords.Settings, "least", least)


@sabotage
def rules_stay_behind(patch: Patch) -> None:
    """Tighter rules are for new passwords alone."""
    patch(judging, "uncovered", lambda settings, judged_by, *, second: [])


@sabotage
def leaks_are_not_asked(patch: Patch) -> None:
    """The policy says that leaks are looked up; nobody does."""
    patch(passwords, "breached", lambda house, password: False)


@sabotage
def leaks_are_told_all(patch: Patch) -> None:
    """The whole SHA-1 goes out, which is as good as the password."""

    def times(network: Any, url: str, password: str) -> int:
        digest = hashlib.sha1(password.encode(), usedforsecurity=False).hexdigest().upper()
        return leaks._counted(leaks._asked(network, f"{url}/{digest}"), digest[5:].encode())

    patch(leaks, "times", times)


@sabotage
def pepper_left_out(patch: Patch) -> None:
    """The stored hash names a pepper that was not used."""
    patch(Peppers, "keyed", lambda self, password, of: password)


@sabotage
def meter_remembers(patch: Patch) -> None:
    """What is typed at the strength meter is logged."""
    real = judging.strength

    def remembering(settings: Any, password: str, **how: Any) -> Any:
        logging.getLogger("bylaw.passwords").warning("measured %s", password)
        return real(settings, password, **how)

    patch(judging, "strength", remembering)


@sabotage
def meter_reads_on(patch: Patch) -> None:
    """The strength meter reads as far as somebody types."""
    patch(guessing, "_MEASURED", 500)


SABOTAGES: Final = (
    kept_in_clear,
    anything_goes,
    no_decoy,
    endless,
    never_upgraded,
    no_budget,
    current_not_asked,
    only_whole_words,
    names_are_fine,
    always_beside_a_factor,
    rules_stay_behind,
    leaks_are_not_asked,
    leaks_are_told_all,
    pepper_left_out,
    meter_remembers,
    meter_reads_on,
)
