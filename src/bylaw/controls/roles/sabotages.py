"""The ways in which the control is broken on purpose, to see that its probes notice."""

from __future__ import annotations

import sys
from typing import Final

from bylaw.control import Patch, sabotage
from bylaw.controls import roles
from bylaw.exchange import Refuse
from bylaw.identity import FORBIDDEN, AccessRule, Identity
from bylaw.store import assignments
from bylaw.store.memory import SessionMemory

# What stands above this floor is taken from the modules that are loaded.


@sabotage
def every_rule_holds(patch: Patch) -> None:
    """Access rules are asked and not heeded."""
    patch(AccessRule, "decide", lambda self, identity, now=0.0: None)


@sabotage
def forbidden_is_not_recorded(patch: Patch) -> None:
    """A refusal of somebody known leaves no record."""
    gate = sys.modules["bylaw.gate"]
    patch(gate.Gate, "forbidden", lambda self, exchange, wanted: Refuse(FORBIDDEN))


@sabotage
def no_challenge(patch: Patch) -> None:
    """401 comes without WWW-Authenticate, as frameworks send it."""
    patch(roles, "CHALLENGE", "")


@sabotage
def any_role_will_do(patch: Patch) -> None:
    """Roles that the policy does not have are given all the same."""
    patch(roles, "known", lambda policy, role: True)


@sabotage
def old_claims_are_trusted(patch: Patch) -> None:
    """A process goes on with what it remembers of a user."""
    patch(SessionMemory, "forget", lambda self, user_id, digest=None: None)


@sabotage
def the_last_one_may_go(patch: Patch) -> None:
    """Nobody looks whether an administrator is left."""
    patch(roles, "keep_an_administrator", lambda house, connection, before: None)


@sabotage
def managers_may_rise(patch: Patch) -> None:
    """Whoever manages users may give any role."""
    patch(roles, "demand_no_less", lambda house, by, touched, **where: None)


@sabotage
def memory_outlives_a_role(patch: Patch) -> None:
    """What a process remembers of somebody is good for as long as the session, whenever his roles end."""
    patch(roles, "until", lambda ends_at, held: ends_at)


@sabotage
def roles_are_given_for_longer(patch: Patch) -> None:
    """Nobody looks for how long whoever gives a role holds it himself."""
    patch(sys.modules["bylaw.operations.authority"], "until_when", lambda house, mine, pattern, within: None)


@sabotage
def an_object_is_everything(patch: Patch) -> None:
    """A role that was given for one object counts everywhere."""
    patch(assignments, "everywhere", lambda held: frozenset(each.role for each in held))


@sabotage
def whoever_acts_may_do_all(patch: Patch) -> None:
    """Whoever acts as somebody else may change the account's credentials."""
    patch(Identity, "demand_self", lambda self: None)


@sabotage
def acting_outlives_the_administrator(patch: Patch) -> None:
    """An administrator who is shut out goes on as whom he acts."""
    patch(sys.modules["bylaw.store.sessions"], "end_acting", lambda connection, user_id: 0)


@sabotage
def undeclared_answers_leave(patch: Patch) -> None:
    """Answers that no access rule was asked for are let through."""
    patch(sys.modules["bylaw.gate"].Gate, "withheld", lambda self, exchange, status: None)


@sabotage
def rows_are_shown_whole(patch: Patch) -> None:
    """The list of users holds whatever a row holds."""
    administration = sys.modules["bylaw.pages.administration"]
    shown = administration._user
    patch(administration, "_user", lambda user: {**shown(user), "password_hash": user.password_hash})


SABOTAGES: Final = (
    every_rule_holds,
    forbidden_is_not_recorded,
    no_challenge,
    any_role_will_do,
    old_claims_are_trusted,
    the_last_one_may_go,
    managers_may_rise,
    memory_outlives_a_role,
    roles_are_given_for_longer,
    an_object_is_everything,
    whoever_acts_may_do_all,
    acting_outlives_the_administrator,
    undeclared_answers_leave,
    rows_are_shown_whole,
)
