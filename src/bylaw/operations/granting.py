"""Roles given and taken: by whom, why, until when, and for which object alone.

Nobody gives or takes more than he holds himself, nor for longer; nobody takes the management of users from
himself, and the last one who has it for good keeps it. Each change is one transaction with its record and its
entry in the revocation feed: it holds at the next request, in every process within the bound. Nothing is
deleted: who held what on a day can be told afterwards. Source: ASVS 5.0.0 8.2.1, 8.3.2; NIST SP 800-53 AC-2.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, Final

from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from bylaw.controls import audit, roles
from bylaw.house import House
from bylaw.identity import OBJECT, Identity, permissions_of
from bylaw.operations import accounts, standing
from bylaw.operations.authority import (
    SYSTEM,
    below,
    demand_to_give,
    held,
    known_roles,
    may_change,
    record,
    stated,
)
from bylaw.operations.standing import Event
from bylaw.reasons import Refused
from bylaw.store import assignments, users
from bylaw.store.assignments import Assignment
from bylaw.store.users import User

LONGEST: Final = 10 * 366 * 86400
"""Seconds ahead at most at which a role can end: whoever means longer means for good."""
BATCH: Final = 500
"""Expired assignments that are closed in one transaction."""
_CHANGED: Final = "privilege_permissions_changed"


def grant(
    house: House,
    by: Identity,
    user_id: str,
    role: str,
    *,
    within: str = "",
    until: float | None = None,
    because: str = "",
) -> Assignment:
    """Give a role: everywhere, or `within` one object (`planning:17`); for good, or `until` a moment (seconds
    since 1970). One that is held already gets the new end and reason. Raises Refused.

    A person says why; at the command line there may be no reason.
    """
    may_change(house, by)
    known_roles(house, [role])
    within = object_named(within)
    until = moment(house, until)
    because = because.strip() if by is SYSTEM else stated(because)
    because = audit.printable(because, LONGEST_REASON)
    try:
        with house.store.transaction() as connection:
            users.one_at_a_time(connection)
            user = below(house, connection, by, user_id)
            demand_to_give(house, connection, by, role, within=within, until=until)
            before = held(connection, user_id)
            same = _of(before, role, within)
            if same is not None and (same.expires_at, same.because) == (until, because):
                return same  # pressed twice
            assignments.grant(
                connection, user_id, role, scope=within, by=by.id or None, because=because, expires_at=until
            )
            _changed(house, connection, by, user, before, because, {"role": role, "within": within})
            made = _of(held(connection, user_id), role, within)
    except IntegrityError:  # while this waited for its turn, the moment has come
        raise Refused(roles.BAD_EXPIRY, fields={"until": "too soon"}) from None
    house.store.memory.forget(user_id)
    if made is None:
        raise Refused(roles.BAD_EXPIRY, fields={"until": "too soon"})
    return made


LONGEST_REASON: Final = 500
"""Characters of a reason, as an assignment keeps it."""


def revoke(
    house: House, by: Identity, user_id: str, role: str, *, within: str = "", because: str = ""
) -> None:
    """Take a role away, one that the policy no longer has, too. Raises Refused, also where it is not held."""
    may_change(house, by)
    within = object_named(within)
    with house.store.transaction() as connection:
        users.one_at_a_time(connection)
        user = below(house, connection, by, user_id)
        before = held(connection, user_id)
        if _of(before, role, within) is None:
            raise Refused(roles.HAS_NOTHING, detail="The role is not held there; it may have ended.")
        assignments.end(connection, user_id, role, scope=within, by=by.id or None)
        _changed(house, connection, by, user, before, because, {"role": role, "within": within})
    house.store.memory.forget(user_id)


def set_roles(house: House, by: Identity, user_id: str, granted: Iterable[str], *, reason: str = "") -> None:
    """Give a user exactly these of the policy's roles everywhere. What he holds within single objects stays
    as it is, and so do the ends of what he keeps.

    So does a role that this policy does not name: it is another application's that shares the accounts, and
    gives nothing here. `revoke` takes it by its name.
    """
    may_change(house, by)
    granted = known_roles(house, granted)
    with house.store.transaction() as connection:
        users.one_at_a_time(connection)
        user = below(house, connection, by, user_id)
        granted |= {role for role in user.roles if not roles.known(house.policy, role)}
        if granted == user.roles:
            return
        for role in granted - user.roles:
            demand_to_give(house, connection, by, role)
        before = held(connection, user_id)
        because = audit.printable(reason.strip(), LONGEST_REASON)
        users.set_roles(connection, user_id, granted, by=by.id or None, because=because)
        _changed(house, connection, by, user, before, reason, {})
    house.store.memory.forget(user_id)


def _changed(
    house: House,
    connection: Connection,
    by: Identity,
    user: User,
    before: list[Assignment],
    reason: str,
    about: dict[str, Any],
) -> None:
    """What follows a change of somebody's roles, in its transaction. Raises Refused where it may not be."""
    now = held(connection, user.id)
    roles.keep_an_administrator(house, connection, roles.administers(house, user, before))
    if user.id == by.id and _manages(house, before) and not _manages(house, now):
        raise Refused(roles.ONESELF)
    standing.end(house, connection, user.id, Event.ROLES_CHANGED)
    told = {"roles": {"old": labels(before), "new": labels(now)}, **about}
    record(house, connection, by, _CHANGED, user.id, reason, told)


def _manages(house: House, mine: Iterable[Assignment]) -> bool:
    """Whether somebody manages users for good: an end set to it by mistake is as bad as none held."""
    lasting = [each.role for each in mine if not each.scope and each.expires_at is None]
    return permissions_of(lasting, house.policy.of(roles.Settings).grants).allow(roles.MANAGE_USERS)


def _of(mine: Iterable[Assignment], role: str, within: str) -> Assignment | None:
    return next((each for each in mine if (each.role, each.scope) == (role, within)), None)


# Words


def labels(mine: Iterable[Assignment]) -> list[str]:
    """Assignments as a record tells them: `manager within planning:17 until 2026-12-01`."""
    return sorted(label(each) for each in mine)


def label(each: Assignment) -> str:
    within = f" within {each.scope}" if each.scope else ""
    if each.expires_at is None:
        return f"{each.role}{within}"
    ends = datetime.fromtimestamp(each.expires_at, UTC).strftime("%Y-%m-%d %H:%M UTC")
    return f"{each.role}{within} until {ends.removesuffix(' 00:00 UTC')}"


def object_named(text: str) -> str:
    """The name of an object, as somebody wrote it; empty for everywhere. Raises Refused."""
    if text and not OBJECT.fullmatch(text):
        raise Refused(roles.BAD_SCOPE, fields={"within": "a kind and a number or key, e.g. planning:17"})
    return text


def moment(house: House, until: float | None) -> float | None:
    """When something ends, if it does. Raises Refused for a moment that is past, or far away."""
    if until is None:
        return None
    if not math.isfinite(until) or not house.now() < until <= house.now() + LONGEST:
        raise Refused(roles.BAD_EXPIRY, fields={"until": "a moment to come, within ten years"})
    return float(until)


# Reading


def roles_of(house: House, by: Identity, user_id: str, *, ended: bool = False) -> list[Assignment]:
    """What an account holds, for administrators; with `ended` everything that it ever held, the oldest first.
    What has expired counts as ended, whether the chore has written so or not."""
    by.demand(roles.MANAGE_USERS)
    with house.store.reading() as connection:
        accounts.found(connection, user_id)
        return assignments.history(connection, user_id) if ended else held(connection, user_id)


# Expiry


def close_expired(house: House) -> int:
    """Write down, with a record, which roles have expired; how many. They had ended by themselves already:
    nothing that was remembered of their holders outlived them. Of several processes one writes each."""
    with house.store.transaction() as connection:
        due = assignments.expired(connection, house.now(), BATCH)
        closed = [each for each in due if assignments.close(connection, each)]
        for each in closed:
            record(
                house,
                connection,
                SYSTEM,
                "role_expired",
                each.user_id,
                changes={
                    "role": each.role,
                    "within": each.scope,
                    "until": each.expires_at,
                    "granted_by": each.granted_by,
                },
            )
    return len(closed)
