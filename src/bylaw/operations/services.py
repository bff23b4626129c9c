"""Service accounts: programs with keys of their own, so that no person's account runs a machine.

One is made by whoever manages users and may all that it is to; somebody answers for it, by a mail address
that news of it goes to. It has no password, no mailbox, no second factor and no sessions, and its name is no
mail address, so that no door that takes one opens to it.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from sqlalchemy.exc import IntegrityError

from bylaw.controls import api_keys, audit, email, errors, roles, signup
from bylaw.house import House
from bylaw.identity import Identity
from bylaw.operations import authority
from bylaw.reasons import Refused
from bylaw.store import api_keys as keys
from bylaw.store import users
from bylaw.store.users import User

_NAME: Final = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,38}[a-z0-9])?")


@dataclass(frozen=True, slots=True)
class Service:
    """A service account, with how many keys it has and when one was last used (0: never)."""

    user: User
    keys: int
    used_at: float

    @property
    def name(self) -> str:
        return self.user.email.removeprefix(api_keys.ADDRESS)


def make(house: House, by: Identity, *, name: str, contact: str = "", granted: Iterable[str] = ()) -> User:
    """Make a service account called `name` with these roles. `contact` is the mail address of who answers for
    it; empty: whoever makes it. Raises Refused, also for a name that is taken (409)."""
    authority.may_change(house, by)
    name = name.strip()
    if not _NAME.fullmatch(name):
        wanted = "lower-case letters, digits and hyphens, at most 40, e.g. nightly-import"
        raise Refused(errors.INVALID, fields={"name": wanted})
    contact = _contact(contact or by.email)
    granted = authority.known_roles(house, granted)
    user_id = str(uuid.UUID(bytes=house.ports.entropy(16), version=4))
    try:
        with house.store.transaction() as connection:
            authority.demand_still(house, connection, by)
            for role in granted:
                authority.demand_to_give(house, connection, by, role)
            users.add(
                connection,
                {
                    "id": user_id,
                    "email": f"{api_keys.ADDRESS}{name}",
                    "name": name,
                    "epoch": 1,
                    "created_at": house.now(),
                    "confirmed_at": house.now(),
                    "contact": contact,
                },
            )
            users.set_roles(connection, user_id, granted, by=by.id or None)
            audit.record(
                house,
                connection,
                action="user_created",
                actor=by,
                entity_type="user",
                entity_id=user_id,
                changes={
                    "service": {"old": None, "new": name},
                    "contact": {"old": None, "new": contact},
                    "roles": {"old": [], "new": sorted(granted)},
                },
            )
            made = users.by_id(connection, user_id)
    except IntegrityError:
        raise Refused(signup.TAKEN, fields={"name": "another service account's"}) from None
    if made is None:
        raise Refused(roles.NO_SUCH_USER)
    return made


def _contact(address: str) -> str:
    """The mail address of who answers for it. Raises Refused."""
    try:
        found = signup.address(address)
    except Refused:
        found = ""
    if not found or not email.reachable(found):
        raise Refused(errors.INVALID, fields={"contact": "the mail address of who answers for it"})
    return found


def listing(house: House, by: Identity) -> list[Service]:
    """Every service account, by name."""
    by.demand(roles.MANAGE_USERS)
    with house.store.reading() as connection:
        counts = keys.counts(connection, house.now())
        return [Service(user, *counts.get(user.id, (0, 0.0))) for user in users.services(connection)]
