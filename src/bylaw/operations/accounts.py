"""Accounts: made, changed, disabled."""

from __future__ import annotations

import re
import uuid
from typing import Final

from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from bylaw.controls import audit, passwords, roles, sessions, signup
from bylaw.controls.lockout import Whence
from bylaw.controls.sessions import Opened
from bylaw.house import House
from bylaw.identity import Identity
from bylaw.operations import proving, standing
from bylaw.operations.standing import Event
from bylaw.reasons import Refused
from bylaw.store import audit as audit_rows
from bylaw.store import outbox, users
from bylaw.store import sessions as session_rows
from bylaw.store.users import User

TOLD_EVERY: Final = 3600
"""Seconds between two mails that tell somebody of sign-ups with his address (mail bombing)."""

_ID: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def sign_up(house: House, *, email: str, password: str, name: str = "") -> None:
    """Make an account for a stranger. Says nothing: a taken address is told to its owner by mail.

    Raises Refused: closed, no address, weak password, no place to hash now.
    """
    granted = signup.new_roles(house.policy)
    email = signup.address(email)
    kept = hashed(house, email, password)  # for a taken address too: equal work (C-41)
    try:
        with house.store.transaction() as connection:
            owner = users.by_email(connection, email)
            if owner is None:
                add(house, connection, email, kept, name, granted, by=None)
            else:
                _tell(house, connection, owner)
    except IntegrityError:  # two sign-ups at once: the second is like a taken address
        with house.store.transaction() as connection:
            owner = users.by_email(connection, email)
            if owner is not None:
                _tell(house, connection, owner)


def hashed(house: House, email: str, password: str) -> str:
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


def found(connection: Connection, user_id: str) -> User:
    """The account. Raises Refused: an id that is none is not even looked up (NUL, PostgreSQL)."""
    user = users.by_id(connection, user_id) if _ID.fullmatch(user_id) else None
    if user is None:
        raise Refused(roles.NO_SUCH_USER)
    return user


def add(
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


def change_password(
    house: House, who: Identity, *, digest: str, current: str, new: str, whence: Whence | None = None
) -> Opened:
    """Change one's own password. Other sessions end; this one goes on under a new id.

    Raises Refused: the current password is wrong, the new one weak, no place to hash now; or the
    account's failures make it wait, as at the sign-in page (whoever took a session must not guess here).
    """
    with house.store.reading() as connection:
        user = found(connection, who.id)
    user = proving.prove(
        house,
        email=user.email,
        password=current,
        whence=whence or Whence(),
        failure="authn_password_change_fail",
        actor=who,
    ).user
    kept = hashed(house, user.email, new)
    with house.store.transaction() as connection:
        row = session_rows.find(connection, digest)
        if row is None or not users.replace_hash(connection, user.id, user.password_hash or "", kept):
            raise Refused(passwords.WRONG)  # ended or changed meanwhile, by somebody else
        users.change(connection, user.id, renew_password=False)
        opened = sessions.mint(house, owes=sessions.without(row.owes, "password"))
        epoch = standing.end(house, connection, user.id, Event.PASSWORD_CHANGED)
        session_rows.add(
            connection,
            sessions.row(
                house,
                opened,
                user.id,
                epoch,
                row.method,
                address=row.address,
                agent=row.agent,
                assurance=row.assurance,
            ),
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
