"""Recovering: a mailed link lets the owner of an address choose a new password.

Asking does the same work for every address and is answered off the request path: no clock tells who has an
account (C-41). A link is found by the SHA-256 of its secret (C-40), opens one thing, and is used up in the
transaction that sets the password. It signs nobody in: whoever used it goes through the front door with the
new password, and through the second factor where there is one (ASVS 5.0.0 6.4.3).
"""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass
from typing import Final, Literal

from sqlalchemy import Connection

from bylaw.controls import audit, passwords, reset, signup
from bylaw.controls.passwords import Kept
from bylaw.exchange import Exchange
from bylaw.house import House
from bylaw.identity import Identity
from bylaw.keys import base64url, digest
from bylaw.operations import accounts, ceremonies, mailing, proving, standing
from bylaw.operations.mailing import Link
from bylaw.operations.standing import Event
from bylaw.quantities import spoken
from bylaw.reasons import Refused
from bylaw.store import audit as audit_rows
from bylaw.store import links, resets, users
from bylaw.store.tables import password_resets
from bylaw.store.users import User

log = logging.getLogger("bylaw.reset")

Purpose = Literal["reset", "invitation"]

PAGE: Final = "reset-password"
"""Where a link leads, below the prefix of bylaw's pages."""
CEREMONY: Final = "reset"
"""What choosing a password after a link is called among ceremonies."""
INVITED_FOR: Final = 86400
"""Seconds for which an invitation is good: nobody waits for it at the screen (NIST SP 800-63B-4 4.2.2)."""
TRIED_FOR: Final = 3600
"""Seconds for which a request that cannot be answered is tried again: whoever asked has asked anew."""
_HOUR: Final = 3600
_ASKED: Final = "authn_password_reset_ask"
_MAILED: Final = "authn_password_reset_link"
_DONE: Final = "authn_password_reset"
_FAILED: Final = "authn_password_reset_fail"
_SECRET: Final = re.compile(r"[A-Za-z0-9_-]{43}")


@dataclass(frozen=True, slots=True)
class Opened:
    """A link that still opens something: its digest, and whose password it may set."""

    digest: str
    user: User
    purpose: str


# Asking


def ask(house: House, *, email: str, address: str = "") -> None:
    """Have a link mailed to the owner of the account `email`. Says nothing: the answer is the same for
    everybody, and the work.

    `address` is the client's, for its limit. Raises Refused: nobody may, no address, too often.
    """
    if house.policy.of(reset.Settings).off:
        raise Refused(reset.CLOSED)
    canonical = signup.address(email)
    reset.pace(house, address)
    with house.store.transaction() as connection:
        whose = resets.ask(connection, canonical, house.now())
        audit.record(house, connection, action=_ASKED, entity_type="user", entity_id=whose)


def answer(house: House) -> int:
    """Mail the links that were asked for since this was called last; how many. A chore of every process."""
    with house.store.reading() as connection:
        waiting = resets.waiting(connection)
    mailed = 0
    for number, user_id in waiting:
        try:
            with house.store.transaction() as connection:
                if resets.take(connection, number) and user_id:
                    mailed += _answer(house, connection, user_id)
        except Exception:
            # Of one account: the others must not wait for it. It is tried again, for an hour.
            log.exception("a link to choose a password was not mailed and is tried again")
    return mailed


def _answer(house: House, connection: Connection, user_id: str) -> bool:
    users.hold(connection, user_id)
    user = users.by_id(connection, user_id)
    if user is None or user.disabled_at is not None or _enough(house, connection, user):
        return False
    return issue(house, connection, user)


def _enough(house: House, connection: Connection, user: User) -> bool:
    """Whether so many links were mailed within the hour that a stranger would be filling the mailbox. The
    last of them stays good: nobody can keep the owner out by asking (OWASP Forgot Password)."""
    most = house.policy.of(reset.Settings).per_account
    mailed = audit_rows.rows(connection, action=_MAILED, entity_type="user", entity_id=user.id, limit=most)
    return len(mailed) == most and house.now() - mailed[-1]["timestamp"].timestamp() < _HOUR


def issue(
    house: House,
    connection: Connection,
    user: User,
    *,
    purpose: Purpose = "reset",
    by: Identity | None = None,
) -> bool:
    """Mail a link with which the owner of `user` sets the password, in this transaction. Earlier ones end.

    `invitation` is for an account that has no password yet, made by an administrator. `by` defaults to
    whoever makes the current request. False where the owner has had so much mail that none is sent: then
    the earlier link stays good.
    """
    passwords.demand(house)
    users.hold(connection, user.id)  # of two at once the second ends the first's
    secret = base64url(house.ports.entropy(32))
    lifetime = INVITED_FOR if purpose == "invitation" else house.policy.of(reset.Settings).lifetime
    if not _mail(house, connection, user, secret, purpose, spoken(lifetime)):
        return False
    links.end_of_user(connection, password_resets, user.id)
    links.add(
        connection,
        password_resets,
        {
            "digest": digest(secret),
            "user_id": user.id,
            "created_at": house.now(),
            "expires_at": house.now() + lifetime,
            "purpose": purpose,
        },
    )
    audit.record(
        house,
        connection,
        action=_MAILED,
        actor=by,
        entity_type="user",
        entity_id=user.id,
        changes={"purpose": purpose},
    )
    return True


def _mail(
    house: House, connection: Connection, user: User, secret: str, purpose: Purpose, good_for: str
) -> bool:
    """The only place where the secret ever stands. The address is the policy's, never the request's."""
    app = house.policy.app
    good = f"The link is good once, for {good_for}."
    if purpose == "invitation":
        subject = f"Your account at {app.name}"
        label = "Choose your password"
        said = [
            f"An account was made for you at {app.base_url}. Choose a password, and it is yours.",
            good,
            "If you do not expect this, there is nothing to do.",
        ]
    else:
        subject = f"Choose a new password for {app.name}"
        label = "Choose a new password"
        said = [
            f"Somebody, probably you, has forgotten the password of your account at {app.base_url}.",
            f"{good} A newer link ends it.",
            "If it was not you, there is nothing to do: your password stays as it is. Give nobody the link.",
        ]
    link = Link(label, mailing.address_of(house, PAGE, secret))
    return mailing.post(house, connection, to=user.email, subject=subject, paragraphs=said, link=link)


# Opening


def opened(house: House, token: str) -> Opened | None:
    """What a mailed secret opens; None where it is none, was used, has ended or run out."""
    if not _SECRET.fullmatch(token):
        return None  # whatever was never given out is not even looked up (A013)
    with house.store.reading() as connection:
        return _opened(house, connection, digest(token))


def begin(house: House, exchange: Exchange, found: Opened) -> None:
    """Have this browser go on without the secret: a short ceremony stands for the link (C-34).

    The link itself stays good until the password is set: programs that look through mail open links, and
    must not use them up before their owner does.
    """
    ceremonies.begin(house, exchange, CEREMONY, {"link": found.digest}, user_id=found.user.id)


def under_way(house: House, exchange: Exchange) -> Opened | None:
    """What this browser has opened, if it still opens something."""
    with house.store.reading() as connection:
        ceremony = ceremonies.under_way(house, connection, exchange, CEREMONY)
        return None if ceremony is None else _opened(house, connection, str(ceremony["facts"]["link"]))


def _opened(house: House, connection: Connection, key: str) -> Opened | None:
    row = links.find(connection, password_resets, key, house.now())
    user = None if row is None else users.by_id(connection, row["user_id"])
    if row is None or user is None or user.disabled_at is not None:
        return None
    return Opened(key, user, row["purpose"])


# Choosing


def choose(house: House, found: Opened | None, *, password: str) -> None:
    """Set the password that a link was opened for, and use the link up. Everything that the account holds
    ends, and its owner is told.

    Raises Refused: the link has ended (also meanwhile), the password is weak, no place to hash now. A
    refused password uses up nothing.
    """
    if found is None:  # before anything is hashed: a stranger must not have us work (A007)
        raise _ended(house)
    kept = accounts.hashed(house, found.user.email, password, name=found.user.name, user_id=found.user.id)
    with house.store.transaction() as connection:
        # In the order of every verb that ends links: the account first, or two would wait for each other.
        users.hold(connection, found.user.id)
        used = links.redeem(connection, password_resets, found.digest, house.now())
        user = users.by_id(connection, found.user.id)
        if used is None or user is None or user.disabled_at is not None:
            user = None  # somebody else was quicker, or the account's standing has changed meanwhile
        else:
            _set(house, connection, user, kept)
    if user is None:
        raise _ended(house, found.user)
    house.store.memory.forget(user.id)


def _set(house: House, connection: Connection, user: User, kept: Kept) -> None:
    users.change(
        connection,
        user.id,
        **kept.columns,
        # The link was mailed to it: whoever has it reads that mailbox.
        confirmed_at=user.confirmed_at or house.now(),
    )
    standing.end(house, connection, user.id, Event.PASSWORD_RESET)
    proving.forgive(house, connection, user.email)
    app = house.policy.app
    said = (
        f"A new password was just set for your account at {app.base_url}, with a link that was mailed to "
        "you. All sessions have ended."
    )
    otherwise = (
        "If it was not you, somebody else reads your mail: change the password of your mailbox, ask for "
        "a new link, and tell an administrator."
    )
    subject = f"Your password at {app.name} was set"
    mailing.post(house, connection, to=user.email, subject=subject, paragraphs=[said, otherwise])
    audit.record(
        house,
        connection,
        action=_DONE,
        actor=user.id,
        entity_type="user",
        entity_id=user.id,
    )


def _ended(house: House, user: User | None = None) -> Refused:
    """The refusal of a link that opens nothing, with its record."""
    with house.store.transaction() as connection:
        audit.record(
            house,
            connection,
            action=_FAILED,
            outcome="failure",
            entity_type="user",
            entity_id=user.id if user else "",
        )
    return Refused(reset.ENDED)
