"""Accounts: made by whom they belong to, and given another password by them."""

from __future__ import annotations

import re
import uuid
from typing import Final

from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from bylaw.controls import audit, federated, passwords, roles, sessions, signup, tokens
from bylaw.controls.email import must_confirm, unaddressed
from bylaw.controls.lockout import Whence
from bylaw.controls.passwords import Kept, judging
from bylaw.controls.sessions import Opened, owing
from bylaw.house import House
from bylaw.identity import UNFINISHED, Identity
from bylaw.operations import addresses, mailing, proving, standing
from bylaw.operations.mailing import Link
from bylaw.operations.standing import Event
from bylaw.reasons import Refused
from bylaw.store import access_tokens as access_rows
from bylaw.store import audit as audit_rows
from bylaw.store import factors, users
from bylaw.store import federated as federated_rows
from bylaw.store import sessions as session_rows
from bylaw.store.users import User

TOLD_EVERY: Final = 3600
"""Seconds between two mails that tell somebody of sign-ups with his address (mail bombing)."""

_ID: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def ways_in(house: House, connection: Connection, user_id: str) -> int:
    """In how many ways the account can be signed in to under this policy."""
    return federated_rows.ways_in(
        connection,
        user_id,
        federated.offered(house.policy),
        password=passwords.on(house.policy),
        tokens_at=house.now() if tokens.used(house.policy) else None,
    )


def sign_up(house: House, *, email: str, password: str, name: str = "") -> None:
    """Make an account for a stranger, and mail a link that confirms its address. Says nothing: a taken
    address is told to its owner by mail.

    Raises Refused: closed, no address, weak password, no place to hash now.
    """
    granted = signup.new_roles(house.policy)
    email = signup.address(email)
    kept = hashed(house, email, password, name=name)  # for a taken address too: equal work (C-41)
    try:
        with house.store.transaction() as connection:
            owner = users.by_email(connection, email)
            if owner is None:
                user_id = add(house, connection, email, kept, name, granted, by=None)
                if must_confirm(house.policy):
                    addresses.ask_to_confirm(house, connection, user_id, email)
            else:
                _tell(house, connection, owner)
    except IntegrityError:  # two sign-ups at once: the second is like a taken address
        with house.store.transaction() as connection:
            owner = users.by_email(connection, email)
            if owner is not None:
                _tell(house, connection, owner)


def hashed(house: House, email: str, password: str, *, name: str = "", user_id: str = "") -> Kept:
    """A new password for the account `email`, as it is stored. Raises Refused.

    `user_id` where there is the account already: beside its second factor the password may be shorter.
    """
    second = False
    if user_id:
        with house.store.reading() as connection:
            second = factors.enrolled(connection, user_id)
    return passwords.make(house, password, context=words(house, email, name), second=second)


def words(house: House, email: str, name: str) -> tuple[str, ...]:
    """What an attacker would try for this account at this site."""
    return (email, name, house.policy.app.name)


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
    mailing.post(
        house,
        connection,
        to=owner.email,
        subject=f"You already have an account at {house.policy.app.name}",
        paragraphs=[
            (
                f"Somebody, probably you, tried to make an account at {house.policy.app.base_url} with this "
                "address. You have one already: sign in with it. If you do not know its password, or did not "
                "make it yourself, choose a new one."
            ),
            "If it was not you, nothing has changed and there is nothing to do.",
        ],
        link=Link("Choose a new password", mailing.address_of(house, addresses.FORGOTTEN)),
    )
    audit.record(
        house, connection, action="user_signup_told", actor="", entity_type="user", entity_id=owner.id
    )


def found(connection: Connection, user_id: str, *, hold: bool = False) -> User:
    """The account; with `hold` as it stays until this transaction is over: whoever shuts it or signs it out
    meanwhile is seen, or ends what is made here, too. Raises Refused: an id that is none is not even looked
    up (NUL, PostgreSQL)."""
    known = _ID.fullmatch(user_id) is not None
    if known and hold:
        users.hold(connection, user_id)
    user = users.by_id(connection, user_id) if known else None
    if user is None:
        raise Refused(roles.NO_SUCH_USER)
    return user


def add(
    house: House,
    connection: Connection,
    email: str,
    hashed: Kept | None,
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
            "epoch": 1,
            "created_at": house.now(),
            **(hashed.columns if hashed is not None else {}),
        },
    )
    users.set_roles(connection, user_id, granted, by=by.id if by else None)
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


def add_unaddressed(house: House, connection: Connection, name: str, *, by: Identity | None) -> str:
    """Make an account that has neither a mail address nor a password; its id. There is nothing to confirm."""
    user_id = str(uuid.UUID(bytes=house.ports.entropy(16), version=4))
    users.add(
        connection,
        {
            "id": user_id,
            "email": unaddressed(user_id),
            "name": audit.printable(name.strip(), signup.MAX_NAME),
            "epoch": 1,
            "created_at": house.now(),
            "confirmed_at": house.now(),
        },
    )
    audit.record(
        house,
        connection,
        action="user_created",
        actor=by or user_id,
        entity_type="user",
        entity_id=user_id,
    )
    return user_id


def change_password(
    house: House, who: Identity, *, digest: str, current: str, new: str, whence: Whence | None = None
) -> Opened:
    """Change one's own password. Other sessions end; this one goes on under a new id.

    Raises Refused: the current password is wrong, the new one weak, no place to hash now; or the
    account's failures make it wait, as at the sign-in page (whoever took a session must not guess here).
    """
    who.demand_self()
    with house.store.reading() as connection:
        user = found(connection, who.id)
        row = session_rows.find(connection, digest)
    if row is not None and owing.first(row.owes) not in ("", "password"):
        raise Refused(UNFINISHED)  # one factor alone changes nothing, and guesses nothing (CVE-2019-16766)
    user = proving.prove(
        house,
        email=user.email,
        password=current,
        whence=whence or Whence(),
        failure="authn_password_change_fail",
        actor=who,
    ).user
    if judging.hashable(house.policy.of(passwords.Settings), new) == judging.normal(current):
        raise Refused(passwords.WEAK, fields={"password": "Needed: another one than your current password."})  # nosec B105  # no secret: words
    kept = hashed(house, user.email, new, name=user.name, user_id=user.id)
    with house.store.transaction() as connection:
        users.hold(connection, user.id)  # whoever shuts the account meanwhile ends the new session, too
        row = session_rows.find(connection, digest)
        if row is None or not users.replace_hash(connection, user.id, user.password_hash or "", kept.hash):
            raise Refused(passwords.WRONG)  # ended or changed meanwhile, by somebody else
        users.change(connection, user.id, **kept.columns)
        opened = sessions.mint(house, owes=owing.without(row.owes, "password"))
        epoch = standing.end(house, connection, user.id, Event.PASSWORD_CHANGED)
        fresh = sessions.row(
            house,
            opened,
            user.id,
            epoch,
            row.method,
            address=row.address,
            agent=row.agent,
            assurance=row.assurance,
        )
        if row.assurance > 1:  # a password alone is no late proof where two factors were shown
            fresh["authenticated_at"] = row.authenticated_at
        session_rows.add(connection, access_rows.bound(connection, row.credential, fresh))
        proving.forgive(house, connection, user.email)
        mailing.post(
            house,
            connection,
            to=user.email,
            subject=f"Your password at {house.policy.app.name} was changed",
            paragraphs=[
                (
                    f"The password of your account at {house.policy.app.base_url} was changed just now, and "
                    "all other sessions were ended."
                ),
                "If it was not you, choose another one at once and tell an administrator.",
            ],
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
