"""Second factors: what an account holds, who may change it, and what follows a change."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from sqlalchemy import Connection, RowMapping

from bylaw.controls import audit, mfa, passwords
from bylaw.house import House
from bylaw.identity import SIGNED_IN, UNAUTHENTICATED, Identity, StepUp, asking
from bylaw.keys import digest
from bylaw.operations import accounts, mailing, standing
from bylaw.operations.standing import Event
from bylaw.reasons import Refused
from bylaw.store import factors, users
from bylaw.store.users import User


@dataclass(frozen=True, slots=True)
class Held:
    """What an account holds besides its password."""

    apps: tuple[RowMapping, ...]
    """Its authenticator apps: id, name, created_at, used_at."""
    codes_left: int
    """Recovery codes that were not used yet."""
    enrolled: bool
    """Whether it has a second factor at all, of whatever kind."""


def account(house: House, who: Identity) -> User:
    """One's own account. Raises Refused where it is shut, or gone."""
    with house.store.reading() as connection:
        user = users.by_id(connection, who.id)
    if user is None or user.disabled_at is not None:
        raise Refused(UNAUTHENTICATED)
    return user


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
    return passwords.on(house.policy) and account(house, who).password_hash is not None


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
    record(house, connection, user, "authn_factor_added", {"kind": kind, "name": name})
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
    record(house, connection, user, "authn_factor_removed", {"kind": kind, "name": name})
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
        record(house, connection, user, "authn_recovery_codes_made", {"codes": len(codes)})
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


def record(
    house: House,
    connection: Connection,
    user: User,
    action: str,
    changes: dict[str, object],
) -> None:
    """Record what somebody did with a second factor of his own."""
    audit.record(
        house,
        connection,
        action=action,
        actor=user.id,
        entity_type="user",
        entity_id=user.id,
        changes=changes,
    )
