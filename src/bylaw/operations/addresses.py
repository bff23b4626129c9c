"""Mail addresses: shown to be the owner's before they count, and changed by whoever owns both.

A mailed link alone does nothing: whoever opens it must be signed in to the account that it is about. So
nobody's click confirms an account that a stranger has made with his address (pre-hijacking: Sudhodanan and
Paverd, USENIX Security 2022).
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from bylaw.controls import audit, email, mfa, passwords, roles, signup
from bylaw.controls.sessions import owing
from bylaw.house import House
from bylaw.identity import UNFINISHED, Identity
from bylaw.keys import base64url, digest
from bylaw.operations import mailing, standing
from bylaw.operations.mailing import Link
from bylaw.operations.standing import Event
from bylaw.quantities import spoken
from bylaw.reasons import Refused
from bylaw.store import links, users
from bylaw.store.tables import email_confirmations
from bylaw.store.users import User

PAGE = "confirm-email"
"""Where a mailed link leads, below the prefix; the secret stands after it."""
FORGOTTEN = "forgot-password"
"""Where another password is chosen, by whoever has the mailbox (see recovering)."""


@dataclass(frozen=True, slots=True)
class State:
    """How an account stands with its address."""

    email: str
    confirmed: bool
    pending: str = ""
    """The address that it is to have once that one's owner confirms it."""


def state(house: House, who: Identity) -> State:
    """How one's own account stands with its address. Raises Refused where there is no account any more."""
    with house.store.reading() as connection:
        user = _found(connection, who.id)
        waiting = links.of_user(connection, email_confirmations, user.id, house.now())
    pending = next((row["email"] for row in waiting if row["email"] != user.email), "")
    return State(user.email, user.confirmed_at is not None, pending)


def _found(connection: Connection, user_id: str) -> User:
    user = users.by_id(connection, user_id)
    if user is None:
        raise Refused(roles.NO_SUCH_USER)
    return user


def ask_to_confirm(house: House, connection: Connection, user_id: str, address: str) -> None:
    """Mail a link that confirms the account's address, in the place of any that was mailed before."""
    secret, lifetime = base64url(house.ports.entropy(32)), house.policy.of(email.Settings).lifetime
    app = house.policy.app.name
    posted = mailing.post(
        house,
        connection,
        to=address,
        subject=f"Confirm your address at {app}",
        paragraphs=[
            (
                f"Somebody, probably you, made an account at {app} with this address. Open the link and sign "
                "in with the password that you chose: then the account is yours."
            ),
            f"The link can be used once, within {spoken(lifetime)}.",
            (
                "If it was not you, do nothing: without you the account opens nothing. If you want it, "
                f"choose a password of your own first: {mailing.address_of(house, FORGOTTEN)}"
            ),
        ],
        link=Link("Confirm the address", mailing.address_of(house, PAGE, secret)),
    )
    if posted:  # else the link that was mailed before must go on working
        _replace(house, connection, user_id, address, secret)


def send_again(house: House, who: Identity) -> None:
    """Mail another link that confirms one's own address, unless it is confirmed already."""
    who.demand_self()
    with house.store.transaction() as connection:
        users.hold(connection, who.id)
        user = _found(connection, who.id)
        if user.confirmed_at is None:
            ask_to_confirm(house, connection, user.id, user.email)


def ask_to_change(house: House, who: Identity, new: str) -> None:
    """Ask for another address. Nothing changes before its owner opens the link that is mailed to it; the old
    address is told at once.

    Says nothing of whether the new one is taken: then its owner gets another mail. Raises Refused: no lately
    given proof of who asks (STEP_UP), no address, the address that the account has.
    """
    who.demand_self()
    mfa.demand_fresh(house, who)
    new = signup.address(new)
    app = house.policy.app.name
    with house.store.transaction() as connection:
        users.hold(connection, who.id)
        user = _found(connection, who.id)
        if new == user.email:
            raise Refused(email.SAME, fields={"email": "another one than you have"})
        owner = users.by_email(connection, new)
        secret = base64url(house.ports.entropy(32))
        # Also where it is taken, so that the account shows the same: then nobody ever learns the secret.
        _replace(house, connection, user.id, new, secret)
        if owner is None:
            _mail_link(house, connection, new, secret)
        else:
            _mail_owner(house, connection, new)
        mailing.post(
            house,
            connection,
            to=user.email,
            subject=f"A new address for your account at {app}",
            paragraphs=[
                (
                    f"Somebody who is signed in to your account at {app} has asked to change its address to "
                    f"{new}. Nothing has changed yet: that takes a link that was mailed there."
                ),
                "If it was you, open that link.",
                (
                    "If it was not you, somebody else is signed in to your account. Choose another password: "
                    "that ends all sessions, and this request."
                    if passwords.on(house.policy)
                    else "If it was not you, somebody else is signed in to your account. End your other "
                    "sessions, and tell an administrator."
                ),
            ],
            link=(
                Link("Choose another password", mailing.address_of(house, FORGOTTEN))
                if passwords.on(house.policy)
                else Link("See where you are signed in", mailing.address_of(house, "sessions"))
            ),
        )
        audit.record(
            house,
            connection,
            action="user_email_change_requested",
            actor=who,
            entity_type="user",
            entity_id=user.id,
        )


def _mail_link(house: House, connection: Connection, new: str, secret: str) -> None:
    lifetime, app = house.policy.of(email.Settings).lifetime, house.policy.app.name
    mailing.post(
        house,
        connection,
        to=new,
        subject=f"Your new address at {app}",
        paragraphs=[
            (
                f"Somebody, probably you, wants to use this address for an account at {app}. Open the link "
                "in the browser in which you asked for it, signed in to that account."
            ),
            f"The link can be used once, within {spoken(lifetime)}.",
            "If it was not you, do nothing: nobody can use your address without you.",
        ],
        link=Link("Use this address", mailing.address_of(house, PAGE, secret)),
    )


def _mail_owner(house: House, connection: Connection, taken: str) -> None:
    app = house.policy.app.name
    mailing.post(
        house,
        connection,
        to=taken,
        subject=f"You already have an account at {app}",
        paragraphs=[
            (
                f"Somebody, probably you, wants to use this address for another account at {app}. That "
                "cannot be: you have one with this address already."
            ),
            "If it was you, sign in to that one, or give it another address first.",
            "If it was not you, nothing has changed and there is nothing to do.",
        ],
    )


def confirm(house: House, who: Identity, *, link: str, session: str, owes: str) -> bool:
    """Have the address that a link (by its digest) was mailed to count for one's own account; whether it is
    another one than before.

    `session` is the digest of the session in use, `owes` what it still owes: all but the confirmation must
    be done, and for another address that too. Raises Refused (email.LINK), alike for a link that is used, too
    old, of another account or of an address that was taken meanwhile.
    """
    who.demand_self()
    if owes not in ("", "confirm"):
        raise Refused(UNFINISHED, detail=owing.OWED[owing.first(owes)])
    try:
        with house.store.transaction() as connection:
            users.hold(connection, who.id)
            user = _found(connection, who.id)
            found = links.find(connection, email_confirmations, link, house.now())
            if found is None or found["user_id"] != user.id:
                raise Refused(email.LINK)
            changes = bool(found["email"] != user.email)
            if changes and owes:
                raise Refused(UNFINISHED, detail=owing.OWED[owing.first(owes)])
            if links.redeem(connection, email_confirmations, link, house.now()) is None:
                raise Refused(email.LINK)
            if changes:
                _change(house, connection, who, user, found["email"], session)
            else:
                _confirmed(house, connection, who, user)
    except IntegrityError:  # of two who want one address the database takes the first
        raise Refused(email.LINK) from None
    house.store.memory.forget(user.id)
    return changes


def _confirmed(house: House, connection: Connection, who: Identity, user: User) -> None:
    users.change(connection, user.id, confirmed_at=house.now())
    audit.record(
        house,
        connection,
        action="user_email_confirmed",
        actor=who,
        entity_type="user",
        entity_id=user.id,
    )


def _change(house: House, connection: Connection, who: Identity, user: User, new: str, session: str) -> None:
    users.change(connection, user.id, email=new, confirmed_at=house.now())
    standing.end(house, connection, user.id, Event.ADDRESS_CHANGED, but=session)
    app = house.policy.app.name
    contact = house.policy.app.contact
    mailing.post(
        house,
        connection,
        to=user.email,
        subject=f"The address of your account at {app} was changed",
        paragraphs=[
            (
                f"Your account at {app} has another address from now on: {new}. This one does not sign in to "
                "it any more, and all other sessions were ended."
            ),
            "If it was not you, tell " + (f"{contact} at once." if contact else "an administrator at once."),
        ],
    )
    audit.record(
        house,
        connection,
        action="user_email_changed",
        actor=who,
        entity_type="user",
        entity_id=user.id,
        # Not which: the log outlives an erasure. The mail to the old address names both.
        changes={"email": "changed"},
    )


def _replace(house: House, connection: Connection, user_id: str, address: str, secret: str) -> None:
    """Keep a link in the place of the account's earlier ones: only the newest opens anything."""
    links.end_of_user(connection, email_confirmations, user_id)
    now = house.now()
    links.add(
        connection,
        email_confirmations,
        {
            "digest": digest(secret),
            "user_id": user_id,
            "email": address,
            "created_at": now,
            "expires_at": now + house.policy.of(email.Settings).lifetime,
        },
    )
