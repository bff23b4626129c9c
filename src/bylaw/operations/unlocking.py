"""Unlocking by mail: the owner of an account that strangers guess at gets in, and they get nothing.

A mailed link lets the browser that opens it try the password: it becomes a device with a count of its own
(see lockout). The account's count stays as it is, so that no link gives an attacker a fresh hundred guesses
(NIST SP 800-63B-4 3.2.2), and nobody is signed in by it: mail is no factor (ASVS 5.0.0 6.3.6). Opening the
link does nothing by itself, because mail scanners open links; the button on its page does.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import Connection

from bylaw.controls import audit, lockout
from bylaw.controls.lockout import Settings
from bylaw.exchange import Exchange
from bylaw.house import House
from bylaw.keys import base64url, digest
from bylaw.operations import devices, mailing
from bylaw.operations.mailing import Link
from bylaw.reasons import Refused
from bylaw.store import failures, links, users
from bylaw.store.tables import unlock_links
from bylaw.store.users import User

LIFETIME: Final = 3600
"""Seconds for which a link is good."""
ASKED_FOR: Final = 5
"""Links a day at most that one account is sent: each lets a browser try a few passwords."""
PAGE: Final = "unlock/link"
"""Where a link leads, below the prefix of bylaw's pages."""
ASK: Final = "unlock"
"""Where one is asked for."""
_TOLD: Final = "authn_login_unlock_mail"
_NOBODY: Final = "nobody@invalid.invalid"


def tell(house: House, connection: Connection, user: User | None) -> None:
    """Tell the owner of an account that somebody guesses its password, once a day at most.

    In the transaction that records the failure; the same work is done where there is no account (C-41).
    """
    _send(
        house,
        connection,
        user,
        f"Wrong passwords were given for your account at {house.policy.app.name} again and again.",
        most=1,
    )


def ask(house: House, *, email: str, address: str = "") -> None:
    """Have a link mailed, where the account (or whoever asks) must wait. Says nothing: the answer is the same
    for everybody, and the work."""
    name = lockout.subject(email)
    with house.store.transaction() as connection:
        user = users.by_email(connection, name)
        waits = _waits(house, connection, name, address)
        _send(
            house,
            connection,
            user,
            "Somebody, probably you, asked for this at the sign-in page: after wrong passwords for your "
            f"account at {house.policy.app.name}, or from the same network, signing in takes longer.",
            most=ASKED_FOR if waits else 0,
        )


def _waits(house: House, connection: Connection, name: str, address: str) -> bool:
    """Whether the account's failures, or the address's, have begun to cost time."""
    of_account, of_address = lockout.of_account(house, name).all, lockout.of_address(house, address).all
    rows = failures.read(connection, [*of_account, *of_address])
    free = house.policy.of(Settings).free
    return any(key in rows and rows[key].failures >= free for key in of_account) or any(
        key in rows and rows[key].failures > 0 and rows[key].at > house.now() for key in of_address
    )


def _send(house: House, connection: Connection, user: User | None, why: str, *, most: int) -> None:
    """Send a link, unless there is nobody to get it or enough were sent today: then all of it is undone."""
    owner = user if user is not None and user.disabled_at is None else None
    whose = owner.id if owner is not None else ""
    with connection.begin_nested() as undo:
        users.hold(connection, whose)  # of two at once the second sees that the first has told
        sent = devices.told_lately(house, connection, _TOLD, whose)
        secret = base64url(house.ports.entropy(32))
        now = house.now()
        if owner is not None:
            row = {
                "digest": digest(secret),
                "user_id": whose,
                "created_at": now,
                "expires_at": now + LIFETIME,
            }
            links.add(connection, unlock_links, row)
        else:
            links.redeem(connection, unlock_links, digest(secret), now)  # as much work, to no effect
        if _mail(house, connection, owner.email if owner is not None else _NOBODY, why, secret):
            audit.record(house, connection, action=_TOLD, actor="", entity_type="user", entity_id=whose)
        if owner is None or sent >= most:
            undo.rollback()


def _mail(house: House, connection: Connection, to: str, why: str, secret: str) -> bool:
    app = house.policy.app.name
    return mailing.post(
        house,
        connection,
        to=to,
        subject=f"Wrong passwords for your account at {app}",
        paragraphs=[
            (
                f"{why} Whoever guesses has to wait longer each time. If you want to sign in meanwhile, this "
                "link lets the browser that opens it try your password. It works once, within an hour."
            ),
            f"When it is too old, ask for another one: {mailing.address_of(house, ASK)}",
            (
                "If you do not want to sign in now, there is nothing to do. A password that you use nowhere "
                "else is not guessed like this."
            ),
        ],
        link=Link("Let this browser sign in", f"{mailing.address_of(house, PAGE)}?token={secret}"),
    )


def good(house: House, token: str) -> bool:
    """Whether the link still opens something. Looking at it changes nothing."""
    with house.store.reading() as connection:
        return links.find(connection, unlock_links, digest(token), house.now()) is not None


def unlock(house: House, exchange: Exchange, token: str) -> None:
    """Use a link up: this browser may try the account's password. Raises Refused (LINK)."""
    with house.store.transaction() as connection:
        link = links.redeem(connection, unlock_links, digest(token), house.now())
        user = users.by_id(connection, link["user_id"]) if link is not None else None
        if user is None or user.disabled_at is not None:
            raise Refused(lockout.LINK)
        users.hold(connection, user.id)
        # A number of its own: failures that this browser had as a known device do not go on.
        devices.keep(house, connection, exchange, user.id, user.email, anew=True)
        audit.record(
            house,
            connection,
            action="authn_login_unlock",
            actor="",
            entity_type="user",
            entity_id=user.id,
            changes={"by": "mail"},
        )
