"""Devices: browsers from which somebody has signed in to an account before.

A device is known by the number in its sealed cookie (see lockout) and by a row, which its owner can forget:
from then on it is a stranger. Whoever signs in from one that is not known is told of by mail, however it was
done (ASVS 5.0.0 6.3.5).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from sqlalchemy import Connection, RowMapping

from bylaw.controls import audit, lockout, passwords
from bylaw.controls.sessions import Opened
from bylaw.exchange import Exchange
from bylaw.house import House
from bylaw.identity import Identity
from bylaw.keys import base64url
from bylaw.operations import mailing
from bylaw.operations.mailing import Link
from bylaw.store import audit as audit_rows
from bylaw.store import devices as store
from bylaw.store import sessions as session_rows
from bylaw.store import users

TOLD: Final = 5
"""Mails a day at most that tell an account's owner of new devices: whoever knows the password must not
be able to fill the mailbox until nobody reads it."""
DAY: Final = 86400
_ID_BYTES: Final = 12

_BROWSERS: Final = (
    ("Edg", "Edge"),
    ("OPR/", "Opera"),
    ("SamsungBrowser/", "Samsung Internet"),
    ("Firefox/", "Firefox"),
    ("FxiOS/", "Firefox"),
    ("Chrome/", "Chrome"),
    ("CriOS/", "Chrome"),
    ("Safari/", "Safari"),
    ("curl/", "curl"),
)
_SYSTEMS: Final = (
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Android", "Android"),
    ("Windows", "Windows"),
    ("CrOS", "ChromeOS"),
    ("Mac OS X", "a Mac"),
    ("Linux", "Linux"),
)


def described(agent: str) -> str:
    """A browser's own description in two words. Nothing that it says of itself is repeated: this goes into
    mails, and a stranger chooses it."""
    browser = _first(_BROWSERS, agent) or ("A program" if agent else "Unknown device")
    system = _first(_SYSTEMS, agent)
    return f"{browser} on {system}" if system else browser


def _first(marks: Iterable[tuple[str, str]], agent: str) -> str:
    return next((name for mark, name in marks if mark in agent), "")


_METHODS: Final = {
    "password": "password",  # nosec B105  # no secret: words
    "totp": "authenticator app",
    "recovery": "recovery code",
    "recovery_code": "recovery code",
    "passkey": "passkey",
    "token": "access token",  # nosec B105  # no secret: words
    "oidc": "another provider",
    "google": "Google",
    "reset": "link by mail",
    "invitation": "link by mail",
}


def in_words(method: str) -> str:
    """How a session was opened: `password+totp` is "password and authenticator app"."""
    words = [_METHODS.get(each, each.partition(":")[2].title() or each) for each in method.split("+") if each]
    return " and ".join(dict.fromkeys(words)) or "unknown"


def arrived(house: House, exchange: Exchange, opened: Opened) -> None:
    """Have the device known from which a session was just opened, and tell its owner of a new one.

    The session's cookie leaves only after this: whoever is not told of has not got in.
    """
    with house.store.transaction() as connection:
        row = session_rows.find(connection, opened.digest)
        if row is None:
            return  # ended meanwhile
        users.hold(connection, row.user_id)  # of two at once the second sees what the first has written
        if keep(house, connection, exchange, row.user_id, row.email):
            return
        came = Arrival(row.method, row.agent, row.address, row.created_at, row.owes)
        tell(house, connection, row.user_id, row.email, came)


def stays(house: House, exchange: Exchange, who: Identity) -> None:
    """Have this browser stay known where its owner has just done what ends all devices of the account: a new
    password ends what a thief may have, and not the device at which it was typed."""
    with house.store.transaction() as connection:
        users.hold(connection, who.id)
        keep(house, connection, exchange, who.id, who.email)


def keep(
    house: House,
    connection: Connection,
    exchange: Exchange,
    user_id: str,
    email: str,
    *,
    anew: bool = False,
) -> bool:
    """Write down that the device is one of the account's; whether it was before.

    `anew` gives it another number, and so a count of its own that begins with none. Whoever ends all the
    account's devices for a reason that this browser has just given (a new password) calls it afterwards.
    """
    agents = exchange.headers.all("user-agent")
    agent = audit.printable(agents[0] if agents else "", 256)
    address = audit.printable(exchange.client, 64)
    now = house.now()
    fingerprint = lockout.recognised(house, exchange, email)
    if fingerprint and anew:
        store.drop(connection, fingerprint)
    elif fingerprint and store.seen(connection, fingerprint, agent=agent, address=address, now=now):
        lockout.remember(house, exchange, email)
        return True
    fingerprint = lockout.remember(house, exchange, email, anew=True)
    store.add(
        connection,
        {
            "digest": fingerprint,
            "id": base64url(house.ports.entropy(_ID_BYTES)),
            "user_id": user_id,
            "agent": agent,
            "address": address,
            "created_at": now,
            "seen_at": now,
        },
    )
    store.keep(connection, user_id, lockout.DEVICES)
    return False


def _first_ever(connection: Connection, user_id: str) -> bool:
    """Whether this sign-in is the account's first: there was nobody yet to be surprised by it."""
    found = audit_rows.rows(
        connection, action="authn_login_success", entity_type="user", entity_id=user_id, limit=2
    )
    return len(found) < 2


@dataclass(frozen=True, slots=True)
class Arrival:
    """Somebody who has just given the right proof: how, and from where."""

    method: str
    agent: str
    address: str
    at: float
    owes: str = ""


def tell(house: House, connection: Connection, user_id: str, email: str, came: Arrival) -> None:
    """Tell an account's owner of a sign-in from where there was none before, unless it is the first of all.

    To be called in the transaction that has recorded it."""
    if _first_ever(connection, user_id):
        return
    audit.record(
        house,
        connection,
        action="authn_login_new_device",
        actor=user_id,
        entity_type="user",
        entity_id=user_id,
        changes={"method": came.method},
    )
    if told_lately(house, connection, "authn_login_new_device_told", user_id) >= TOLD:
        return
    app = house.policy.app.name
    owed = "second" in came.owes.split()
    happened = (
        f"Somebody has just given the right password for your account at {app}, on a device that has not "
        "signed in to it before. The second factor is still asked for."
        if owed
        else f"Your account at {app} has just been signed in to, from a device that has not signed in to it "
        "before."
    )
    mailing.post(
        house,
        connection,
        to=email,
        subject=f"New sign-in to your account at {app}",
        paragraphs=[
            happened,
            (
                f"It was {described(came.agent)} at {came.address or 'an unknown address'}, on "
                f"{moment(came.at)}, by {in_words(came.method)}."
            ),
            "If it was you, there is nothing to do.",
            (
                "If it was not you, change your password at once: that ends every session but your own. Then "
                "look at the page above."
                if passwords.on(house.policy)
                else "If it was not you, end that session at once, on the page above, and tell an "
                "administrator."
            ),
        ],
        link=Link("See where you are signed in", mailing.address_of(house, "sessions")),
    )
    audit.record(
        house,
        connection,
        action="authn_login_new_device_told",
        actor="",
        entity_type="user",
        entity_id=user_id,
    )


def told_lately(house: House, connection: Connection, action: str, user_id: str) -> int:
    """How often the owner was told of this within the last day, by the records of it (100 at most)."""
    rows = audit_rows.rows(connection, action=action, entity_type="user", entity_id=user_id)
    return sum(house.now() - row["timestamp"].timestamp() < DAY for row in rows)


def moment(at: float) -> str:
    """A time for people: 21 November 2026, 09:30 UTC."""
    return datetime.fromtimestamp(at, UTC).strftime("%-d %B %Y, %H:%M UTC")


# What its owner sees and does


def own(house: House, who: Identity) -> list[RowMapping]:
    """The devices from which one's account is known, the last seen first."""
    with house.store.reading() as connection:
        return store.of_user(connection, who.id)


def forget(house: House, who: Identity, device_id: str) -> bool:
    """Have a device be a stranger from now on; False when it is none of one's own."""
    who.demand_self()
    with house.store.transaction() as connection:
        if "\0" in device_id or not store.forget(connection, who.id, device_id):
            return False
        audit.record(
            house, connection, action="device_forgotten", actor=who, entity_type="device", entity_id=device_id
        )
    return True


def forget_all(house: House, who: Identity) -> int:
    """The same of every device; how many there were."""
    who.demand_self()
    with house.store.transaction() as connection:
        forgotten = store.end_of_user(connection, who.id)
        audit.record(
            house,
            connection,
            action="device_forgotten",
            actor=who,
            entity_type="user",
            entity_id=who.id,
            changes={"forgotten": forgotten},
        )
    return forgotten


def tidy(house: House, connection: Connection) -> None:
    """Forget devices whose cookie has run out; called off the request path."""
    store.end_unseen(connection, house.now() - lockout.KNOWN_FOR)
