"""Second factors: set up, shown, asked for again, removed."""

from __future__ import annotations

import base64
import logging
from dataclasses import dataclass
from typing import Final, Literal

from sqlalchemy import Connection, RowMapping

from bylaw.controls import audit, errors, mfa, passwords
from bylaw.controls.lockout import Whence
from bylaw.controls.sessions import Opened
from bylaw.exchange import Exchange
from bylaw.house import House
from bylaw.identity import SIGNED_IN, UNAUTHENTICATED, Identity, StepUp, asking
from bylaw.keys import Unreadable, digest
from bylaw.operations import accounts, bearing, ceremonies, mailing, proving, signing_in, standing
from bylaw.operations.standing import Event
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
class Held:
    """What an account holds besides its password."""

    apps: tuple[RowMapping, ...]
    """Its authenticator apps: id, name, created_at, used_at."""
    codes_left: int
    """Recovery codes that were not used yet."""
    enrolled: bool
    """Whether it has a second factor at all, of whatever kind."""


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


# Shown


def show(house: House, who: Identity, *, session: str, code: str, whence: Whence) -> Opened:
    """Pass the second factor with a code of an app or a recovery code. Raises Refused.

    `session` is the digest of the session, which goes on under a new id.
    """
    user = _account(house, who)
    method = prove(house, user, code=code, whence=whence)
    return signing_in.go_on(house, session, method=method, assurance=2, done=("second",))


def step_up(
    house: House,
    who: Identity,
    *,
    session: str,
    code: str = "",
    password: str = "",
    token: str = "",
    whence: Whence,
) -> Opened:
    """Show once more that it is oneself, by the strongest that the account has. Raises Refused.

    That is a code where there is a second factor, and the password or an access token alone where there is
    none.
    """
    user = _account(house, who)
    with house.store.reading() as connection:
        second = factors.enrolled(connection, user.id)
    if second:
        if not code:
            raise Refused(errors.INVALID, fields={"code": "needed"})
        method = prove(house, user, code=code, whence=whence)
        return signing_in.go_on(house, session, method=method, assurance=2)
    if token:
        return bearing.step_up(house, who, session=session, token=token)
    if not password:
        raise Refused(errors.INVALID, fields={"password": "needed"})  # nosec B105  # no secret: words
    proving.prove(
        house, email=user.email, password=password, whence=whence, failure="authn_step_up_fail", actor=who
    )
    return signing_in.go_on(house, session, method="password")


def _account(house: House, who: Identity) -> User:
    with house.store.reading() as connection:
        user = users.by_id(connection, who.id)
    if user is None or user.disabled_at is not None:
        raise Refused(UNAUTHENTICATED)
    return user


def prove(house: House, user: User, *, code: str, whence: Whence) -> str:
    """The method, `totp` or `recovery`, by which the code was right. Raises Refused."""
    return proving.prove_factor(
        house,
        user,
        whence=whence,
        check=lambda: _used(house, user, code),
        failure="authn_factor_fail",
        slowed=lambda connection: _warn(house, connection, user),
    )


def _used(house: House, user: User, code: str) -> str | None:
    """Use a code up, and say by which method it was right; None where it is not, or not any more."""
    text = mfa.typed(code)
    with house.store.transaction() as connection:
        method = "totp" if mfa.is_app_code(text) else "recovery"
        use = _use_app_code if method == "totp" else _use_recovery_code
        if not use(house, connection, user, text):
            return None
        _record(house, connection, user, "authn_factor_success", {"method": method})
    return method


def _use_app_code(house: House, connection: Connection, user: User, text: str) -> bool:
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


def _use_recovery_code(house: House, connection: Connection, user: User, text: str) -> bool:
    if not factors.use_code(connection, user.id, digest(mfa.kept(user.id, text)), house.now()):
        return False
    left = factors.codes_left(connection, user.id)
    few = [f"You have {left or 'no'} recovery code{'s' if left != 1 else ''} left: make new ones."]
    mailing.post(
        house,
        connection,
        to=user.email,
        subject=f"A recovery code was used at {house.policy.app.name}",
        paragraphs=[
            "One of your recovery codes was just used in the place of your second factor.",
            *(few if left <= mfa.FEW else []),
            (
                "If it was not you, somebody knows your password and has your codes: change it, make "
                "new codes, and tell an administrator."
                if passwords.on(house.policy)
                else "If it was not you, somebody can begin to sign in as you and has your codes: end your "
                "other sessions, make new codes, and tell an administrator."
            ),
        ],
        link=mailing.Link("Your second factors", mailing.address_of(house, "factors")),
    )
    return True


def _sealed(house: House, secret: bytes, row_id: str, user_id: str) -> str:
    return house.keys.encrypt(
        mfa.PURPOSE, secret, bound=mfa.place(row_id, user_id), entropy=house.ports.entropy
    )


def _warn(house: House, connection: Connection, user: User) -> None:
    """Whoever is asked for a second factor has shown the first."""
    if passwords.on(house.policy):
        known, first = "knows your password", "gave your password"
        done = "choose another password now: this one is known."
        link = mailing.Link("Choose another password", mailing.address_of(house, "password"))
    else:
        known, first = "can begin to sign in as you", "gave what the first step of signing in asks for"
        done = "tell an administrator: somebody else has what you sign in with."
        link = mailing.Link("See where you are signed in", mailing.address_of(house, "sessions"))
    mailing.post(
        house,
        connection,
        to=user.email,
        subject=f"Somebody {known} at {house.policy.app.name}",
        paragraphs=[
            (
                f"Somebody {first}, then several wrong codes for your second factor. They did not "
                "get in, and have to wait longer after each further try."
            ),
            f"If it was not you, {done}",
        ],
        link=link,
    )


# What there is


def held(house: House, who: Identity) -> Held:
    """One's own second factors."""
    with house.store.reading() as connection:
        return Held(
            tuple(factors.apps(connection, who.id)),
            factors.codes_left(connection, who.id),
            factors.enrolled(connection, who.id),
        )


def has_password(house: House, who: Identity) -> bool:
    """Whether one's own account has a password."""
    return passwords.on(house.policy) and _account(house, who).password_hash is not None


def demand(house: House, connection: Connection, who: Identity) -> User:
    """Go on only if whoever asks may change his own second factors; his account, held. Raises Refused.

    Not somebody who acts for another, not without a proof of lately, and not with one factor where there
    is a second: whoever has the password alone must not set up a factor of his own (CVE-2019-16766).
    """
    who.demand_self()
    mfa.demand_fresh(house, who)
    users.hold(connection, who.id)
    user = accounts.found(connection, who.id)
    if who.assurance < 2 and factors.enrolled(connection, who.id):
        raise StepUp(asking(SIGNED_IN, second_factor=True))
    return user


# Set up and removed


def begin(house: House, exchange: Exchange, who: Identity) -> Begun:
    """Begin to set up an authenticator app in this browser. It counts once `confirm` has seen a code."""
    secret = house.ports.entropy(mfa.SECRET_BYTES)
    row_id = _id(house)
    with house.store.transaction() as connection:
        user = demand(house, connection, who)
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
        codes = added(house, connection, user, kind="totp", name=name, session=session)
    house.store.memory.forget(user.id)
    opened = signing_in.go_on(house, session, method="totp", assurance=2, done=("enrol",))
    return Added(opened, tuple(codes))


def _demand_room(connection: Connection, user: User) -> None:
    if len(factors.apps(connection, user.id)) >= mfa.MOST:
        raise Refused(mfa.FULL)


def added(
    house: House,
    connection: Connection,
    user: User,
    *,
    kind: Literal["totp", "passkey"],
    name: str,
    session: str,
) -> list[str]:
    """What follows a new second factor of whatever kind, in its transaction: sessions that have shown one
    factor end, but for the one with the digest `session`, and the owner is told.

    The first recovery codes, if it has none. Whoever calls this forgets the account in memory afterwards,
    and has the session go on with `signing_in.go_on(…, assurance=2, done=("enrol",))`.
    """
    standing.end(house, connection, user.id, Event.FACTOR_ADDED, but=session)
    _record(house, connection, user, "authn_factor_added", {"kind": kind, "name": name})
    _tell(
        house,
        connection,
        user,
        subject="was added to",
        text=f"{_SPOKEN[kind]} was added to your account ({name}). Signing in asks for a second factor from "
        "now on, and every session without one was ended.",
    )
    return first_codes(house, connection, user.id)


def removed(
    house: House,
    connection: Connection,
    user: User,
    *,
    kind: Literal["totp", "passkey"],
    name: str,
    session: str,
) -> None:
    """What follows the removal of a second factor, in its transaction: every other session than the one
    with the digest `session` ends, and the owner is told. Raises Refused where it was the last one of
    somebody who must have one.

    Whoever calls this has called `demand` before, and forgets the account in memory afterwards.
    """
    if not factors.enrolled(connection, user.id):
        if mfa.required(house.policy, user.every_role):
            raise Refused(mfa.NEEDED)
        factors.drop_codes(connection, user.id)  # they stand in the place of something
    standing.end(house, connection, user.id, Event.FACTOR_REMOVED, but=session)
    _record(house, connection, user, "authn_factor_removed", {"kind": kind, "name": name})
    _tell(
        house,
        connection,
        user,
        subject="was removed from",
        text=f"{_SPOKEN[kind]} was removed from your account ({name}), and every other session was ended.",
    )


_SPOKEN: Final = {"totp": "An authenticator app", "passkey": "A passkey"}


def _tell(house: House, connection: Connection, user: User, *, subject: str, text: str) -> None:
    mailing.post(
        house,
        connection,
        to=user.email,
        subject=f"A second factor {subject} your account at {house.policy.app.name}",
        paragraphs=[
            text,
            f"If it was not you, {mailing.regain(house)}, look at what is left, and tell an administrator.",
        ],
        link=mailing.Link("Your second factors", mailing.address_of(house, "factors")),
    )


def rename(house: House, who: Identity, app_id: str, name: str) -> None:
    """Give one of one's own apps another name. Raises Refused."""
    with house.store.transaction() as connection:
        user = demand(house, connection, who)
        name = audit.printable(name.strip(), MAX_NAME) or NAME
        if not factors.rename_app(connection, user.id, app_id, name):
            raise Refused(mfa.UNKNOWN)
        _record(house, connection, user, "authn_factor_renamed", {"kind": "totp", "name": name})


def remove(house: House, who: Identity, app_id: str, *, session: str) -> None:
    """Remove one of one's own apps; every other session ends. Raises Refused."""
    with house.store.transaction() as connection:
        user = demand(house, connection, who)
        name = factors.remove_app(connection, user.id, app_id)
        if name is None:
            raise Refused(mfa.UNKNOWN)
        removed(house, connection, user, kind="totp", name=name, session=session)
    house.store.memory.forget(user.id)


# Recovery codes


def first_codes(house: House, connection: Connection, user_id: str) -> list[str]:
    """New recovery codes where the account has none, to be shown once; else none."""
    return [] if factors.has_codes(connection, user_id) else _new_codes(house, connection, user_id)


def new_codes(house: House, who: Identity) -> list[str]:
    """New recovery codes in the place of the old, to be shown once. Raises Refused."""
    with house.store.transaction() as connection:
        user = demand(house, connection, who)
        if not factors.enrolled(connection, user.id):
            raise Refused(
                mfa.UNKNOWN, detail="Recovery codes stand in for a second factor: set one up first."
            )
        codes = _new_codes(house, connection, user.id)
        _record(house, connection, user, "authn_recovery_codes_made", {"codes": len(codes)})
        mailing.post(
            house,
            connection,
            to=user.email,
            subject=f"New recovery codes at {house.policy.app.name}",
            paragraphs=[
                "New recovery codes were made for your account. The old ones are good for nothing now.",
                f"If it was not you, {mailing.regain(house)} and tell an administrator.",
            ],
        )
    return codes


def _new_codes(house: House, connection: Connection, user_id: str) -> list[str]:
    codes = [mfa.make_code(house) for _ in range(mfa.CODES)]
    hashed = [digest(mfa.kept(user_id, mfa.typed(code))) for code in codes]
    factors.replace_codes(connection, user_id, hashed, house.now())
    return codes


def _record(
    house: House,
    connection: Connection,
    user: User,
    action: str,
    changes: dict[str, object],
) -> None:
    audit.record(
        house,
        connection,
        action=action,
        actor=user.id,
        entity_type="user",
        entity_id=user.id,
        changes=changes,
    )


def _id(house: House) -> str:
    return base64.urlsafe_b64encode(house.ports.entropy(_ID_BYTES)).decode().rstrip("=")
