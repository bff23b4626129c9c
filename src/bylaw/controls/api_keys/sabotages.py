"""The ways in which the control is broken on purpose, to see that its probes notice."""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import Any, Final

from bylaw.control import Patch, sabotage
from bylaw.controls.api_keys import text
from bylaw.exchange import ALLOW
from bylaw.identity import Identity
from bylaw.store import api_keys as rows
from bylaw.store.feed import Feed
from bylaw.store.memory import SessionMemory
from bylaw.store.users import User


def _control() -> Any:
    return sys.modules["bylaw.controls.api_keys"]


@sabotage
def keys_are_kept_in_clear(patch: Patch) -> None:
    """The table holds what a thief of the database could send."""
    patch(text, "kept", lambda environment, key: key[-60:])


@sabotage
def addresses_are_not_looked_at(patch: Patch) -> None:
    """A key may stand in every log on the way."""
    patch(text, "within", lambda query: False)


@sabotage
def a_key_is_its_owner(patch: Patch) -> None:
    """Scopes are written down, and nobody looks at them."""
    patch(Identity, "narrowed", lambda self, patterns: self)


@sabotage
def anything_may_be_asked_for(patch: Patch) -> None:
    """A key is made with more than its owner may."""
    patch(sys.modules["bylaw.operations.api_keys"], "_demand_within", lambda *given: None)


@sabotage
def memory_outlives_the_key(patch: Patch) -> None:
    """What has ended, and what its owner may no more, is not forgotten."""
    patch(SessionMemory, "forget", lambda self, user_id, key=None: None)


@sabotage
def ended_keys_are_good(patch: Patch) -> None:
    """A key that is in the table is good."""
    patch(_control(), "over", lambda key, now: "")


@sabotage
def the_old_key_stays(patch: Patch) -> None:
    """Rotating makes another key, and ends none."""
    patch(rows, "end_at", lambda connection, key_id, at: None)


@sabotage
def from_anywhere(patch: Patch) -> None:
    """The networks of a key are for the eye."""
    patch(_control(), "_within", lambda exchange, networks: True)


@sabotage
def a_key_does_what_its_owner_does(patch: Patch) -> None:
    """Whoever finds a key chooses another password with it."""
    patch(Identity, "demand_self", lambda self: None)


@sabotage
def a_new_key_is_a_late_proof(patch: Patch) -> None:
    """A key proves for ten minutes that its owner is there."""
    real = _control().remembered

    def remembered(house: Any, key: Any) -> Any:
        found = real(house, key)
        return replace(found, identity=replace(found.identity, authenticated_at=key.created_at))

    patch(_control(), "remembered", remembered)


@sabotage
def all_keys_share_a_budget(patch: Patch) -> None:
    """A key counts as its owner, and its own limit is not looked at."""
    real = _control().remembered
    patch(_control(), "remembered", lambda house, key: replace(real(house, key), rates=()))


@sabotage
def a_bad_key_is_nobody(patch: Patch) -> None:
    """What is offered and bad is taken for nothing: a public route answers."""
    patch(_control(), "refusal", lambda: ALLOW)


@sabotage
def services_are_people(patch: Patch) -> None:
    """A service account that has a password signs in with it."""
    patch(User, "service", property(lambda self: False))


@sabotage
def memory_is_trusted_blindly(patch: Patch) -> None:
    """A process that cannot follow the feed goes on as if it did."""
    patch(Feed, "current", property(lambda self: True))


SABOTAGES: Final = (
    keys_are_kept_in_clear,
    addresses_are_not_looked_at,
    a_key_is_its_owner,
    anything_may_be_asked_for,
    memory_outlives_the_key,
    ended_keys_are_good,
    the_old_key_stays,
    from_anywhere,
    a_key_does_what_its_owner_does,
    a_new_key_is_a_late_proof,
    all_keys_share_a_budget,
    a_bad_key_is_nobody,
    services_are_people,
    memory_is_trusted_blindly,
)
