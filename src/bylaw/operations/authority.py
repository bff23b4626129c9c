"""Who may act on whose account: what every verb of an administrator asks before it does anything.

Whoever asks is known from memory, which may be as old as the request. What changes somebody's standing
therefore reads in its own transaction what the actor holds now: an administrator who was demoted while his
request was under way changes nobody any more (CWE-367).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from sqlalchemy import Connection

from bylaw.controls import audit, errors, mfa, roles
from bylaw.house import House
from bylaw.identity import UNAUTHENTICATED, Identity, Permissions, permissions_of
from bylaw.operations import accounts
from bylaw.reasons import Refused
from bylaw.store import assignments, users
from bylaw.store.assignments import Assignment
from bylaw.store.users import User

MAX_REASON: Final = 500
"""Characters of a reason."""

SYSTEM = Identity(
    id="", name="system", roles=frozenset({"system"}), permissions=permissions_of(["*"], {"*": ["*"]})
)
"""Who acts at the command line: somebody who may already read the database."""


def may_change(house: House, by: Identity) -> None:
    """Go on only for somebody who manages users, as himself, and has shown lately that it is he."""
    by.demand(roles.MANAGE_USERS)
    if by is not SYSTEM:
        mfa.demand_fresh(house, by)


def held(connection: Connection, user_id: str) -> list[Assignment]:
    """What somebody holds now, everywhere and within single objects."""
    return assignments.of_users(connection, [user_id]).get(user_id, [])


def as_now(house: House, connection: Connection, by: Identity) -> Identity:
    """`by` with what he holds now, not when his request began. Raises Refused where he was shut or signed out
    meanwhile."""
    if by is SYSTEM:
        return by
    me = users.by_id(connection, by.id)
    if me is None or me.disabled_at is not None or me.epoch != by.epoch:
        raise Refused(UNAUTHENTICATED)
    return roles.holding(house, by, held(connection, by.id))


def demand_still(house: House, connection: Connection, by: Identity) -> None:
    """Go on only where `by` manages users now. Raises Refused."""
    as_now(house, connection, by).demand(roles.MANAGE_USERS)


def as_held(house: House, user: User, mine: Iterable[Assignment]) -> Identity:
    """An account as a session that was opened now would have it."""
    known = Identity(
        id=user.id,
        email=user.email,
        name=user.name,
        authenticated_at=house.now(),
        epoch=user.epoch,
    )
    return roles.holding(house, known, mine)


def below(house: House, connection: Connection, by: Identity, user_id: str) -> User:
    """An account whose owner may no more than `by` does, now as well as when his request began. Raises
    Refused."""
    now = as_now(house, connection, by)
    now.demand(roles.MANAGE_USERS)
    user = accounts.found(connection, user_id)
    theirs = held(connection, user_id)
    for who in (by, now):
        roles.demand_no_less_than(house, who, theirs)
    return user


def not_outlasting(house: House, connection: Connection, by: Identity, user_id: str) -> User:
    """The same, and one that holds nothing for longer: whoever makes a credential of another account's is
    that account until it ends. Raises Refused."""
    user = below(house, connection, by, user_id)
    theirs = held(connection, user_id)
    if any(_outlasts(house, connection, by, each.role, each.scope, each.expires_at) for each in theirs):
        raise Refused(roles.OUTLASTS, detail="The account holds a role for longer than you do.")
    return user


def another(house: House, connection: Connection, by: Identity, user_id: str) -> User:
    """An account as of `below`, and not his own. Raises Refused."""
    user = below(house, connection, by, user_id)
    if user.id == by.id:
        raise Refused(roles.ONESELF)
    return user


def demand_to_give(
    house: House,
    connection: Connection,
    by: Identity,
    role: str,
    *,
    within: str = "",
    until: float | None = None,
) -> None:
    """Go on only where `by` holds now all that the role may, and for as long. Raises Refused.

    Whoever is an administrator until Friday could otherwise make himself, or a friend, one for ever.
    """
    for who in (by, as_now(house, connection, by)):
        roles.demand_no_less(house, who, [role], within=within)
    if _outlasts(house, connection, by, role, within, until):
        raise Refused(roles.OUTLASTS, fields={"until": "not later than your own role ends"})


def _outlasts(
    house: House, connection: Connection, by: Identity, role: str, within: str, until: float | None
) -> bool:
    """Whether a role that is held until then is held for longer than `by` holds what it gives."""
    if by is SYSTEM:
        return False
    mine = held(connection, by.id)
    ends = [until_when(house, mine, pattern, within) for pattern in _patterns(house, role)]
    longest = min((at for at in ends if at is not None), default=None)
    return longest is not None and (until is None or until > longest)


def _patterns(house: House, role: str) -> tuple[str, ...]:
    return house.policy.of(roles.Settings).grants.get(role, ())


def until_when(house: House, mine: Iterable[Assignment], pattern: str, within: str) -> float | None:
    """When somebody holds a permission no longer: None where it is never."""
    ends = []
    for each in mine:
        if each.scope not in ("", within):
            continue
        covered = Permissions(_patterns(house, each.role))
        if covered.allow(pattern) or covered.allow(pattern.removesuffix(":own")):
            if each.expires_at is None:
                return None
            ends.append(each.expires_at)
    return max(ends, default=None)


def stated(reason: str) -> str:
    """A reason, as it is recorded. Raises Refused where there is none."""
    said = audit.printable(reason.strip(), MAX_REASON)
    if not said:
        raise Refused(errors.INVALID, fields={"reason": "needed: it is recorded with what you do"})
    return said


def weighed(by: Identity, reason: str) -> str:
    """The reason of what cannot be taken back. At the command line there may be none: whoever is there could
    do the same without us."""
    return audit.printable(reason.strip(), MAX_REASON) if by is SYSTEM else stated(reason)


def record(
    house: House,
    connection: Connection,
    by: Identity,
    action: str,
    user_id: str,
    reason: str = "",
    changes: dict[str, Any] | None = None,
) -> None:
    """Record what was done to an account, in its transaction."""
    said = audit.printable(reason.strip(), MAX_REASON)
    audit.record(
        house,
        connection,
        action=action,
        actor=by,
        entity_type="user",
        entity_id=user_id,
        changes={**(changes or {}), **({"reason": said} if said else {})},
    )


def known_roles(house: House, granted: Iterable[str]) -> frozenset[str]:
    """Roles that are all in the policy. Raises Refused."""
    granted = frozenset(granted)
    unknown = sorted(role for role in granted if not roles.known(house.policy, role))
    if unknown:
        raise Refused(roles.NO_SUCH_ROLE, fields={"role": "one of the policy's roles"})
    return granted
