"""Accounts: made, changed, disabled."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterable
from typing import Final

from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from bylaw.controls import audit, passwords, roles, sessions, signup
from bylaw.controls.lockout import Whence
from bylaw.controls.sessions import Opened
from bylaw.house import House
from bylaw.identity import Identity, permissions_of
from bylaw.operations import proving
from bylaw.reasons import Refused
from bylaw.store import audit as audit_rows
from bylaw.store import feed, outbox, users
from bylaw.store import sessions as session_rows
from bylaw.store.users import User

PAGE: Final = 50
"""Accounts on one page of the listing."""
TOLD_EVERY: Final = 3600
"""Seconds between two mails that tell somebody of sign-ups with his address (mail bombing)."""

_ID: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")

SYSTEM = Identity(
    id="", name="system", roles=frozenset({"system"}), permissions=permissions_of(["*"], {"*": ["*"]})
)
"""Who acts at the command line: somebody who may already read the database."""


def sign_up(house: House, *, email: str, password: str, name: str = "") -> None:
    """Make an account for a stranger. Says nothing: a taken address is told to its owner by mail.

    Raises Refused: closed, no address, weak password, no place to hash now.
    """
    granted = signup.new_roles(house.policy)
    email = signup.address(email)
    hashed = _hash(house, email, password)  # for a taken address too: equal work (C-41)
    try:
        with house.store.transaction() as connection:
            owner = users.by_email(connection, email)
            if owner is None:
                _add(house, connection, email, hashed, name, granted, by=None)
            else:
                _tell(house, connection, owner)
    except IntegrityError:  # two sign-ups at once: the second is like a taken address
        with house.store.transaction() as connection:
            owner = users.by_email(connection, email)
            if owner is not None:
                _tell(house, connection, owner)


def _hash(house: House, email: str, password: str) -> str:
    """A hash of a new password for the account `email`. Raises Refused."""
    return passwords.make(house, password, context=(email, house.policy.app.name))


def _tell(house: House, connection: Connection, owner: User) -> None:
    """Tell the owner of an address that somebody tried to sign up with it, but not all day long."""
    users.hold(connection, owner.id)  # of two at once the second sees that the first has told
    audit.record(
        house,
        connection,
        action="user_signup_taken",
        outcome="refused",
        actor="",
        entity_type="user",
        entity_id=owner.id,
    )
    told = audit_rows.rows(
        connection, action="user_signup_told", entity_type="user", entity_id=owner.id, limit=1
    )
    if told and house.now() - told[0]["timestamp"].timestamp() < TOLD_EVERY:
        return
    outbox.add(
        connection,
        to=owner.email,
        now=house.now(),
        subject=f"You already have an account at {house.policy.app.name}",
        text="Somebody, probably you, tried to make an account at "
        f"{house.policy.app.base_url} with this address. You have one already: sign in with it. "
        "If it was not you, nothing has changed and there is nothing to do.\n",
    )
    audit.record(
        house, connection, action="user_signup_told", actor="", entity_type="user", entity_id=owner.id
    )


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
    hashed = None if password is None else _hash(house, email, password)
    try:
        with house.store.transaction() as connection:
            user_id = _add(house, connection, email, hashed, name, granted, by=by)
            return _found(connection, user_id)
    except IntegrityError:
        raise Refused(signup.TAKEN, fields={"email": "somebody else's address"}) from None


def _found(connection: Connection, user_id: str) -> User:
    """The account. Raises Refused: an id that is none is not even looked up (NUL, PostgreSQL)."""
    user = users.by_id(connection, user_id) if _ID.fullmatch(user_id) else None
    if user is None:
        raise Refused(roles.NO_SUCH_USER)
    return user


def _add(
    house: House,
    connection: Connection,
    email: str,
    hashed: str | None,
    name: str,
    granted: frozenset[str],
    by: Identity | None,
) -> str:
    user_id = str(uuid.UUID(bytes=house.ports.entropy(16), version=4))
    users.add(
        connection,
        {
            "id": user_id,
            "email": email,
            "name": audit.printable(name.strip(), signup.MAX_NAME),
            "password_hash": hashed,
            "epoch": 1,
            "created_at": house.now(),
        },
    )
    users.set_roles(connection, user_id, granted, by=by.id if by else None, now=house.now())
    audit.record(
        house,
        connection,
        action="user_created",
        actor=by or user_id,
        entity_type="user",
        entity_id=user_id,
        changes={"roles": {"old": [], "new": sorted(granted)}},
    )
    return user_id


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
        user = _found(connection, user_id)
        if granted == user.roles:
            return
        roles.demand_no_less(house, by, granted ^ user.roles)
        users.set_roles(connection, user_id, granted, by=by.id or None, now=house.now())
        roles.keep_an_administrator(house, connection, user)
        session_rows.mark_for_renewal(connection, user_id)
        feed.revoke(connection, house.now(), user_id)
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
        user = _found(connection, user_id)
        if user.disabled_at is not None:
            return
        roles.demand_no_less(house, by, user.roles)
        users.change(connection, user_id, disabled_at=house.now())
        roles.keep_an_administrator(house, connection, user)
        _end_everything(house, connection, user_id)
        audit.record(
            house, connection, action="user_disabled", actor=by, entity_type="user", entity_id=user_id
        )
    house.store.memory.forget(user_id)


def enable(house: House, by: Identity, user_id: str) -> None:
    """Open a shut account again. Nothing that it held before comes back."""
    by.demand(roles.MANAGE_USERS)
    with house.store.transaction() as connection:
        user = _found(connection, user_id)
        if user.disabled_at is None:
            return
        roles.demand_no_less(house, by, user.roles)
        users.change(connection, user_id, disabled_at=None)
        audit.record(
            house, connection, action="user_enabled", actor=by, entity_type="user", entity_id=user_id
        )


def _end_everything(house: House, connection: Connection, user_id: str) -> int:
    """End all that a user holds: a new epoch, no sessions, an entry in the feed."""
    epoch = users.next_epoch(connection, user_id)
    session_rows.end_of_user(connection, user_id)
    feed.revoke(connection, house.now(), user_id)
    return epoch


def unlock(house: House, by: Identity, user_id: str) -> None:
    """Let strangers try the account's password again: its failures are forgotten."""
    by.demand(roles.MANAGE_USERS)
    with house.store.transaction() as connection:
        user = _found(connection, user_id)
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


def change_password(
    house: House, who: Identity, *, digest: str, current: str, new: str, whence: Whence | None = None
) -> Opened:
    """Change one's own password. Other sessions end; this one goes on under a new id.

    Raises Refused: the current password is wrong, the new one weak, no place to hash now; or the
    account's failures make it wait, as at the sign-in page (whoever took a session must not guess here).
    """
    with house.store.reading() as connection:
        user = _found(connection, who.id)
    user = proving.prove(
        house,
        email=user.email,
        password=current,
        whence=whence or Whence(),
        failure="authn_password_change_fail",
        actor=who,
    ).user
    hashed = _hash(house, user.email, new)
    opened = sessions.mint(house)
    with house.store.transaction() as connection:
        row = session_rows.find(connection, digest)
        if row is None or not users.replace_hash(connection, user.id, user.password_hash or "", hashed):
            raise Refused(passwords.WRONG)  # ended or changed meanwhile, by somebody else
        epoch = _end_everything(house, connection, user.id)
        session_rows.add(
            connection,
            new_row(house, opened, user.id, epoch, row.method, address=row.address, agent=row.agent),
        )
        proving.forgive(house, connection, user.email)
        outbox.add(
            connection,
            to=user.email,
            now=house.now(),
            subject=f"Your password at {house.policy.app.name} was changed",
            text="Your password was changed just now, and all other sessions were ended. If "
            "it was not you, tell an administrator at once.\n",
        )
        audit.record(
            house,
            connection,
            action="authn_password_change",
            actor=who,
            entity_type="user",
            entity_id=user.id,
        )
    house.store.memory.forget(user.id)
    return opened


def set_password(house: House, by: Identity, user_id: str, password: str) -> None:
    """Set a forgotten password at the command line. Everything that the account holds ends."""
    by.demand(roles.MANAGE_USERS)
    with house.store.reading() as connection:
        user = _found(connection, user_id)
    roles.demand_no_less(house, by, user.roles)
    hashed = _hash(house, user.email, password)
    with house.store.transaction() as connection:
        users.change(connection, user_id, password_hash=hashed)
        _end_everything(house, connection, user_id)
        proving.forgive(house, connection, user.email)
        audit.record(
            house, connection, action="authn_password_change", actor=by, entity_type="user", entity_id=user_id
        )
    house.store.memory.forget(user_id)


def new_row(
    house: House, opened: Opened, user_id: str, epoch: int, method: str, *, address: str, agent: str
) -> dict[str, object]:
    """The row of a session that begins now."""
    now = house.now()
    absolute = house.policy.of(sessions.Settings).absolute
    return {
        "digest": opened.digest,
        "id": opened.id,
        "user_id": user_id,
        "epoch": epoch,
        "method": method,
        "authenticated_at": now,
        "created_at": now,
        "seen_at": now,
        "expires_at": now + absolute,
        "address": address,
        "agent": audit.printable(agent, 256),
        "renew": False,
    }


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
        return _found(connection, user_id)
