"""The ways in which the control is broken on purpose, to see that its probes notice."""

from __future__ import annotations

import sys
from typing import Any, Final

from bylaw.control import Patch, sabotage
from bylaw.controls import roles, signup
from bylaw.policy import Policy
from bylaw.reasons import Refused
from bylaw.store import users


@sabotage
def strangers_become_administrators(patch: Patch) -> None:
    """Whoever signs up gets every role."""
    patch(signup, "new_roles", lambda policy: frozenset(policy.of(roles.Settings).grants))


@sabotage
def taken_is_told(patch: Patch) -> None:
    """Whoever signs up with a taken address is told so."""

    def told(*args: Any) -> None:
        raise Refused(signup.TAKEN)

    patch(sys.modules["bylaw.operations.accounts"], "_tell", told)


@sabotage
def taken_costs_nothing(patch: Patch) -> None:
    """A taken address is answered at once, without the work of a free one."""
    accounts = sys.modules["bylaw.operations.accounts"]
    real = accounts.sign_up

    def sign_up(house: Any, *, email: str, password: str, name: str = "") -> None:
        with house.store.reading() as connection:
            taken = users.by_email(connection, email)
        if taken is None:
            real(house, email=email, password=password, name=name)
            return
        with house.store.transaction() as connection:
            accounts._tell(house, connection, taken)

    patch(accounts, "sign_up", sign_up)


@sabotage
def addresses_as_they_come(patch: Patch) -> None:
    """An address is what was typed."""
    patch(signup, "address", lambda text, field="email": text)


@sabotage
def always_open(patch: Patch) -> None:
    """Nobody looks whether sign-up is open."""

    def new_roles(policy: Policy) -> frozenset[str]:
        return frozenset(filter(None, [policy.of(signup.Settings).role]))

    patch(signup, "new_roles", new_roles)


SABOTAGES: Final = (
    strangers_become_administrators,
    taken_is_told,
    taken_costs_nothing,
    addresses_as_they_come,
    always_open,
)
