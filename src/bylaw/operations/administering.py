"""Accounts in an administrator's hands: made, given roles, disabled, unlocked.

Each verb asks for `user:manage` itself, and that nobody gives or takes what he does not hold.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from sqlalchemy.exc import IntegrityError

from bylaw.controls import audit, roles, signup
from bylaw.house import House
from bylaw.identity import Identity, permissions_of
from bylaw.operations import accounts, proving, standing
from bylaw.operations.standing import Event
from bylaw.reasons import Refused
from bylaw.store import users
from bylaw.store.users import User

PAGE: Final = 50
"""Accounts on one page of the listing."""

SYSTEM = Identity(
    id="", name="system", roles=frozenset({"system"}), permissions=permissions_of(["*"], {"*": ["*"]})
)
"""Who acts at the command line: somebody who may already read the database."""


def create(
    house: House,
    by: Identity,
    *,
    email: str,
    name: str = "",
    password: str | None = None,
    granted: Iterable[str] = (),
) -> User:
    """Make an account as an administrator. Raises Refused, also for a taken address (409)."""
    by.demand(roles.MANAGE_USERS)
    email = signup.address(email)
    granted = _known_roles(house, granted)
    roles.demand_no_less(house, by, granted)
    hashed = None if password is None else accounts.hashed(house, email, password)
    try:
        with house.store.transaction() as connection:
            user_id = accounts.add(house, connection, email, hashed, name, granted, by=by)
            return accounts.found(connection, user_id)
    except IntegrityError:
        raise Refused(signup.TAKEN, fields={"email": "somebody else's address"}) from None


def _known_roles(house: House, granted: Iterable[str]) -> frozenset[str]:
    granted = frozenset(granted)
    unknown = sorted(role for role in granted if not roles.known(house.policy, role))
    if unknown:
        raise Refused(roles.NO_SUCH_ROLE, fields={"role": "one of the policy's roles"})
    return granted


def set_roles(house: House, by: Identity, user_id: str, granted: Iterable[str]) -> None:
    """Give a user exactly these roles. Holds at the user's next request, in every process."""
    by.demand(roles.MANAGE_USERS)
    granted = _known_roles(house, granted)
    with house.store.transaction() as connection:
        users.one_at_a_time(connection)
        user = accounts.found(connection, user_id)
        if granted == user.roles:
            return
        roles.demand_no_less(house, by, granted ^ user.roles)
        users.set_roles(connection, user_id, granted, by=by.id or None, now=house.now())
        roles.keep_an_administrator(house, connection, user)
        standing.end(house, connection, user_id, Event.ROLES_CHANGED)
        audit.record(
            house,
            connection,
            action="privilege_permissions_changed",
            actor=by,
            entity_type="user",
            entity_id=user_id,
            changes={"roles": {"old": sorted(user.roles), "new": sorted(granted)}},
        )
    house.store.memory.forget(user_id)


def disable(house: House, by: Identity, user_id: str) -> None:
    """Shut an account: whatever it holds ends now, in every process within the bound."""
    by.demand(roles.MANAGE_USERS)
    with house.store.transaction() as connection:
        users.one_at_a_time(connection)
        user = accounts.found(connection, user_id)
        if user.disabled_at is not None:
            return
        roles.demand_no_less(house, by, user.roles)
        users.change(connection, user_id, disabled_at=house.now())
        roles.keep_an_administrator(house, connection, user)
        standing.end(house, connection, user_id, Event.DISABLED)
        audit.record(
            house, connection, action="user_disabled", actor=by, entity_type="user", entity_id=user_id
        )
    house.store.memory.forget(user_id)


def enable(house: House, by: Identity, user_id: str) -> None:
    """Open a shut account again. Nothing that it held before comes back."""
    by.demand(roles.MANAGE_USERS)
    with house.store.transaction() as connection:
        user = accounts.found(connection, user_id)
        if user.disabled_at is None:
            return
        roles.demand_no_less(house, by, user.roles)
        users.change(connection, user_id, disabled_at=None)
        audit.record(
            house, connection, action="user_enabled", actor=by, entity_type="user", entity_id=user_id
        )


def unlock(house: House, by: Identity, user_id: str) -> None:
    """Let strangers try the account's password again: its failures are forgotten."""
    by.demand(roles.MANAGE_USERS)
    with house.store.transaction() as connection:
        user = accounts.found(connection, user_id)
        roles.demand_no_less(house, by, user.roles)
        if proving.forgive(house, connection, user.email):
            audit.record(
                house,
                connection,
                action="authn_login_unlock",
                actor=by,
                entity_type="user",
                entity_id=user_id,
            )


def set_password(house: House, by: Identity, user_id: str, password: str) -> None:
    """Set a forgotten password at the command line. Everything that the account holds ends."""
    by.demand(roles.MANAGE_USERS)
    with house.store.reading() as connection:
        user = accounts.found(connection, user_id)
    roles.demand_no_less(house, by, user.roles)
    hashed = accounts.hashed(house, user.email, password)
    with house.store.transaction() as connection:
        users.change(connection, user_id, password_hash=hashed)
        standing.end(house, connection, user_id, Event.PASSWORD_RESET)
        proving.forgive(house, connection, user.email)
        audit.record(
            house, connection, action="authn_password_change", actor=by, entity_type="user", entity_id=user_id
        )
    house.store.memory.forget(user_id)


def listing(house: House, by: Identity, *, search: str = "", after: str = "") -> list[User]:
    """A page of accounts, for administrators."""
    by.demand(roles.MANAGE_USERS)
    if "\0" in search + after:
        return []  # in nobody's address or name, and PostgreSQL would raise
    with house.store.reading() as connection:
        return users.page(connection, search=search, after=after, limit=PAGE)


def find(house: House, by: Identity, user_id: str) -> User:
    by.demand(roles.MANAGE_USERS)
    with house.store.reading() as connection:
        return accounts.found(connection, user_id)
