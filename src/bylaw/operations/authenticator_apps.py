"""Authenticator apps: set up, asked for a code, renamed, removed."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection

from bylaw.controls import audit, mfa
from bylaw.controls.sessions import Opened
from bylaw.exchange import Exchange
from bylaw.house import House
from bylaw.identity import Identity
from bylaw.keys import Unreadable, base64url
from bylaw.operations import accounts, ceremonies, second_factors, signing_in
from bylaw.reasons import Refused
from bylaw.store import factors, users
from bylaw.store.users import User

log = logging.getLogger("bylaw.mfa")
CEREMONY: Final = "totp"
NAME: Final = "Authenticator app"
"""What an app is called whose owner gives it no name."""
MAX_NAME: Final = 64
_ID_BYTES: Final = 16


@dataclass(frozen=True, slots=True)
class Begun:
    """An authenticator app that is not confirmed yet: what its owner gives it."""

    secret: str
    """In base32, to be typed in."""
    address: str
    """The same with name and issuer (`otpauth://`), to be read from a picture."""

    def __repr__(self) -> str:
        return "Begun()"


@dataclass(frozen=True, slots=True)
class Added:
    """An app that counts from now on: the session goes on as `opened`. `codes` are the account's first
    recovery codes, empty where it has some."""

    opened: Opened
    codes: tuple[str, ...]

    def __repr__(self) -> str:
        return f"Added({self.opened!r})"


def begin(house: House, exchange: Exchange, who: Identity) -> Begun:
    """Begin to set up an authenticator app in this browser. It counts once `confirm` has seen a code."""
    secret = house.ports.entropy(mfa.SECRET_BYTES)
    row_id = base64url(house.ports.entropy(_ID_BYTES))
    with house.store.transaction() as connection:
        user = second_factors.demand(house, connection, who)
        _demand_room(connection, user)
    facts = {"id": row_id, "secret": _sealed(house, secret, row_id, user.id)}
    ceremonies.begin(house, exchange, CEREMONY, facts, user_id=user.id)
    return Begun(mfa.base32(secret), mfa.address(house.policy, secret, user.email))


def under_way(house: House, exchange: Exchange, who: Identity) -> Begun | None:
    """What was begun in this browser by this person, to be shown once more after a wrong code."""
    with house.store.reading() as connection:
        found = _under_way(house, connection, exchange, who)
    if found is None:
        return None
    secret = found[1]
    return Begun(mfa.base32(secret), mfa.address(house.policy, secret, who.email))


def _under_way(
    house: House, connection: Connection, exchange: Exchange, who: Identity
) -> tuple[str, bytes] | None:
    """The id and the secret of what was begun."""
    row = ceremonies.under_way(house, connection, exchange, CEREMONY)
    if row is None or row["user_id"] != who.id:
        return None
    row_id = str(row["facts"]["id"])
    try:
        bound = mfa.place(row_id, who.id)
        return row_id, house.keys.decrypt(mfa.PURPOSE, row["facts"]["secret"], bound=bound)[0]
    except Unreadable:
        return None


def confirm(
    house: House, exchange: Exchange, who: Identity, *, session: str, code: str, name: str = ""
) -> Added:
    """Have the app count that was begun in this browser, once it shows the right code. Raises Refused."""
    settings, now = house.policy.of(mfa.Settings), house.now()
    with house.store.transaction() as connection:
        users.hold(connection, who.id)
        found = _under_way(house, connection, exchange, who)
        if found is None:
            raise Refused(mfa.OVER)
        row_id, secret = found
        user = accounts.found(connection, who.id)
        _demand_room(connection, user)
        steps = mfa.matching(settings, secret, mfa.typed(code), now)
        if not steps:
            raise Refused(
                mfa.WRONG,
                status=422,
                detail="The app was not added.",
                fields={"code": "not what the app shows for this secret; is the device's clock right?"},
            )
        if ceremonies.end(house, connection, exchange, CEREMONY) is None:
            raise Refused(mfa.OVER)  # of two confirmations at once, the other one
        name = audit.printable(name.strip(), MAX_NAME) or NAME
        factors.add_app(
            connection,
            {
                "id": row_id,
                "user_id": user.id,
                "name": name,
                "secret": _sealed(house, secret, row_id, user.id),
                "last_step": steps[0],  # it has been shown: it does not sign in as well
                "created_at": now,
            },
        )
        codes = second_factors.added(house, connection, user, kind="totp", name=name, session=session)
    house.store.memory.forget(user.id)
    opened = signing_in.go_on(house, session, method="totp", assurance=2, done=("enrol",))
    return Added(opened, tuple(codes))


def _demand_room(connection: Connection, user: User) -> None:
    if len(factors.apps(connection, user.id)) >= mfa.MOST:
        raise Refused(mfa.FULL)


def use(house: House, connection: Connection, user: User, text: str) -> bool:
    """Use a code of one of the account's apps up; whether it was right."""
    settings, now = house.policy.of(mfa.Settings), house.now()
    for row in factors.apps(connection, user.id):
        try:
            secret, current = house.keys.decrypt(
                mfa.PURPOSE, row["secret"], bound=mfa.place(row["id"], user.id)
            )
        except Unreadable:
            # Its key has left the ring before the app was used: the owner needs another way in.
            log.warning("the secret of the authenticator app %s cannot be read by any key", row["id"])
            continue
        kept = row["secret"] if current else _sealed(house, secret, row["id"], user.id)
        for step in mfa.matching(settings, secret, text, now):
            if factors.use_step(connection, row["id"], step, now, kept):
                return True
    return False


def rename(house: House, who: Identity, app_id: str, name: str) -> None:
    """Give one of one's own apps another name. Raises Refused."""
    with house.store.transaction() as connection:
        user = second_factors.demand(house, connection, who)
        name = audit.printable(name.strip(), MAX_NAME) or NAME
        if not factors.rename_app(connection, user.id, app_id, name):
            raise Refused(mfa.UNKNOWN)
        second_factors.record(house, connection, user, "authn_factor_renamed", {"kind": "totp", "name": name})


def remove(house: House, who: Identity, app_id: str, *, session: str) -> None:
    """Remove one of one's own apps; every other session ends. Raises Refused."""
    with house.store.transaction() as connection:
        user = second_factors.demand(house, connection, who)
        name = factors.remove_app(connection, user.id, app_id)
        if name is None:
            raise Refused(mfa.UNKNOWN)
        second_factors.removed(house, connection, user, kind="totp", name=name, session=session)
    house.store.memory.forget(user.id)


def _sealed(house: House, secret: bytes, row_id: str, user_id: str) -> str:
    return house.keys.encrypt(
        mfa.PURPOSE, secret, bound=mfa.place(row_id, user_id), entropy=house.ports.entropy
    )
