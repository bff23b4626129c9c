"""Accounts in an administrator's hands: invited, given roles, disabled, unlocked, helped back in.

Each verb asks for `user:manage` itself, that nobody does anything to somebody who may more, and (where it
changes something) for a proof of lately. What cannot be taken back asks for a reason, which is recorded. No
verb shows or sends a password: its owner chooses it, by a link (OWASP Authentication; ASVS 5.0.0 6.4.1).
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from bylaw.controls import passwords, roles, sessions, signup
from bylaw.controls.api_keys import reasons
from bylaw.controls.email import reachable
from bylaw.house import House
from bylaw.identity import Identity
from bylaw.operations import accounts, mailing, proving, recovering, standing
from bylaw.operations.authority import (
    MAX_REASON,
    SYSTEM,
    another,
    below,
    demand_still,
    demand_to_give,
    held,
    known_roles,
    may_change,
    record,
    stated,
    weighed,
)
from bylaw.operations.standing import Event
from bylaw.reasons import Refused
from bylaw.store import audit as audit_rows
from bylaw.store import factors, feed, users
from bylaw.store import sessions as session_rows
from bylaw.store.sessions import SessionRow
from bylaw.store.users import Page, User, Wanted

PAGE: Final = 50
"""Accounts on one page of the listing, and rows on one of a history."""

__all__ = ["MAX_REASON", "SYSTEM", "stated"]  # and the verbs below


def create(
    house: House,
    by: Identity,
    *,
    email: str,
    name: str = "",
    password: str | None = None,
    granted: Iterable[str] = (),
    renew: bool = False,
    confirmed: bool = False,
) -> User:
    """Make an account as an administrator. Raises Refused, also for a taken address (409).

    `renew` has the first sign-in ask for another password: wherever somebody else than its owner chose it
    (ASVS 5.0.0 6.4.1). `confirmed`: the address is known to be the owner's.
    """
    return _make(house, by, email, name, password, granted, renew=renew, confirmed=confirmed, invited=False)


def invite(house: House, by: Identity, *, email: str, name: str = "", granted: Iterable[str] = ()) -> User:
    """Make an account without a password, and mail its owner a link with which he chooses it, where people
    have passwords; elsewhere an administrator gives him a token.

    Raises Refused, also for a taken address (409).
    """
    return _make(house, by, email, name, None, granted, renew=False, confirmed=False, invited=True)


def _make(
    house: House,
    by: Identity,
    email: str,
    name: str,
    password: str | None,
    granted: Iterable[str],
    *,
    renew: bool,
    confirmed: bool,
    invited: bool,
) -> User:
    may_change(house, by)
    email = signup.address(email)
    granted = known_roles(house, granted)
    roles.demand_no_less(house, by, granted)
    hashed = None if password is None else accounts.hashed(house, email, password, name=name)
    try:
        with house.store.transaction() as connection:
            demand_still(house, connection, by)
            for role in granted:
                demand_to_give(house, connection, by, role)
            user_id = accounts.add(house, connection, email, hashed, name, granted, by=by)
            if renew or confirmed:
                now = house.now() if confirmed else None
                users.change(connection, user_id, renew_password=renew, confirmed_at=now)
            made = accounts.found(connection, user_id)
            if invited and passwords.on(
                house.policy
            ):  # else there is nothing to choose, nor a mail to be sent
                recovering.issue(house, connection, made, purpose="invitation", by=by)
            return made
    except IntegrityError:
        raise Refused(signup.TAKEN, fields={"email": "somebody else's address"}) from None


# Standing


def disable(house: House, by: Identity, user_id: str, *, reason: str = "") -> None:
    """Shut an account: whatever it holds ends now, in every process within the bound."""
    may_change(house, by)
    reason = weighed(by, reason)
    with house.store.transaction() as connection:
        users.one_at_a_time(connection)
        user = below(house, connection, by, user_id)
        if user.disabled_at is not None:
            return
        users.change(connection, user_id, disabled_at=house.now())
        before = roles.administers(house, user, held(connection, user_id))
        roles.keep_an_administrator(house, connection, before)
        if user.id == by.id:
            raise Refused(roles.ONESELF)
        standing.end(house, connection, user_id, Event.DISABLED)
        record(house, connection, by, "user_disabled", user_id, reason)
    house.store.memory.forget(user_id)


def enable(house: House, by: Identity, user_id: str, *, reason: str = "") -> None:
    """Open a shut account again. Nothing that it held before comes back."""
    may_change(house, by)
    with house.store.transaction() as connection:
        user = below(house, connection, by, user_id)
        if user.disabled_at is None:
            return
        users.change(connection, user_id, disabled_at=None)
        record(house, connection, by, "user_enabled", user_id, reason)


def unlock(house: House, by: Identity, user_id: str, *, reason: str = "") -> None:
    """Let strangers try the account's password again, and its codes: its failures are forgotten."""
    may_change(house, by)
    with house.store.transaction() as connection:
        user = below(house, connection, by, user_id)
        tried = proving.forgive(house, connection, user.email)
        codes = proving.forgive_factor(house, connection, user)
        if tried or codes:
            record(house, connection, by, "authn_login_unlock", user_id, reason)


# Credentials


def set_password(
    house: House, by: Identity, user_id: str, password: str, *, renew: bool = False, reason: str = ""
) -> None:
    """Set a forgotten password at the command line. Everything that the account holds ends.

    `renew` has the next sign-in ask for another one: the owner did not choose this one.
    """
    may_change(house, by)
    with house.store.reading() as connection:
        user = _person(below(house, connection, by, user_id))
    kept = accounts.hashed(house, user.email, password, name=user.name, user_id=user.id)
    with house.store.transaction() as connection:
        users.change(connection, user_id, **{**kept.columns, "renew_password": renew})
        standing.end(house, connection, user_id, Event.PASSWORD_RESET)
        proving.forgive(house, connection, user.email)
        record(house, connection, by, "authn_password_change", user_id, reason)
    house.store.memory.forget(user_id)


def require_password(house: House, by: Identity, user_id: str, *, reason: str = "") -> None:
    """Have the account's next sign-in ask for another password; its sessions and known devices end."""
    may_change(house, by)
    passwords.demand(house)
    reason = weighed(by, reason)
    with house.store.transaction() as connection:
        user = _person(another(house, connection, by, user_id))
        users.change(connection, user_id, renew_password=True)
        standing.end(house, connection, user_id, Event.SIGNED_OUT_EVERYWHERE)
        record(house, connection, by, "user_password_renewal", user_id, reason)
        _tell(
            house,
            connection,
            user,
            "A new password is asked for",
            "An administrator asks that you choose another password. You were signed out everywhere; when "
            "you sign in again, with your password as it is, you are asked for a new one.",
        )
    house.store.memory.forget(user_id)


def send_link(house: House, by: Identity, user_id: str, *, reason: str = "") -> str:
    """Mail the account's owner a link with which he chooses his password: the invitation once more where he
    has not yet, otherwise one to choose another. Earlier links end. Says which of the two it was."""
    may_change(house, by)
    with house.store.transaction() as connection:
        user = _person(below(house, connection, by, user_id))
        if user.disabled_at is not None:
            raise Refused(roles.HAS_NOTHING, detail="The account is disabled: no link would open it.")
        if not reachable(user.email):
            raise Refused(roles.HAS_NOTHING, detail="There is no mail address: give the owner a token.")
        invited = is_invited(user)
        recovering.issue(house, connection, user, purpose="invitation" if invited else "reset", by=by)
        if reason.strip():
            record(house, connection, by, "user_link_sent", user_id, reason)
    return "invitation" if invited else "reset"


def _person(user: User) -> User:
    """The account, where it is a person's. Raises Refused: a service account has keys and nothing else."""
    if user.service:
        raise Refused(reasons.SERVICE)
    return user


def is_invited(user: User) -> bool:
    """Whether the account waits for its owner to choose a first password."""
    return user.password_hash is None and user.confirmed_at is None


def reset_factors(house: House, by: Identity, user_id: str, *, reason: str = "") -> None:
    """Remove the account's authenticator apps, passkeys and recovery codes; its sessions end, its owner is
    told. For somebody who has lost them all, and has shown by another way who he is."""
    may_change(house, by)
    reason = weighed(by, reason)
    with house.store.transaction() as connection:
        accounts.found(connection, user_id, hold=True)
        user = another(house, connection, by, user_id)
        held = factors.held(connection, user_id)
        if not any(held.values()):
            raise Refused(roles.HAS_NOTHING, detail="The account has no second factor.")
        factors.end_of_user(connection, user_id)
        proving.forgive_factor(house, connection, user)
        standing.end(house, connection, user_id, Event.FACTOR_REMOVED)
        removed = {"removed": [f"{number} {kind}" for kind, number in held.items() if number]}
        record(house, connection, by, "user_factors_reset", user_id, reason, removed)
        _tell(
            house,
            connection,
            user,
            "Your second factors were removed",
            "An administrator has removed the second factors of your account: authenticator apps, passkeys "
            "and recovery codes. You were signed out everywhere. Sign in again and set up new ones.",
        )
    house.store.memory.forget(user_id)


def _tell(house: House, connection: Connection, user: User, subject: str, said: str) -> None:
    app = house.policy.app
    mailing.post(
        house,
        connection,
        to=user.email,
        subject=f"{subject} at {app.name}",
        paragraphs=[
            f"{said} This is about your account at {app.base_url}.",
            "If you did not expect this, ask an administrator before you do anything else.",
        ],
    )


# Sessions


def sessions_of(house: House, by: Identity, user_id: str) -> list[SessionRow]:
    """The account's sessions that live, the last used first."""
    by.demand(roles.MANAGE_USERS)
    limit = house.now() - house.policy.of(sessions.Settings).idle
    with house.store.reading() as connection:
        accounts.found(connection, user_id)
        rows = session_rows.of_user(connection, user_id)
    return [row for row in rows if row.expires_at > house.now() and row.seen_at > limit]


def end_sessions(house: House, by: Identity, user_id: str, *, session_id: str = "", reason: str = "") -> int:
    """End the account's sessions, or the one with the id; how many there were. Its known devices stay known
    where it is one, and are forgotten where it is all."""
    may_change(house, by)
    with house.store.transaction() as connection:
        another(house, connection, by, user_id)
        rows = session_rows.of_user(connection, user_id)
        if not session_id:
            ended = len(rows)
            standing.end(house, connection, user_id, Event.SIGNED_OUT_EVERYWHERE)
        else:
            meant = next((row.digest for row in rows if row.id == session_id), None)
            if meant is None:
                raise Refused(roles.HAS_NOTHING, detail="There is no such session; it may have ended.")
            for each in sessions.along_with(rows, meant, house.now()):
                session_rows.end(connection, each)
                feed.revoke(connection, house.now(), user_id, each)
            ended = 1
        changes = {"ended": ended, **({"session": session_id} if session_id else {})}
        record(house, connection, by, "session_ended", user_id, reason, changes)
    house.store.memory.forget(user_id)
    return ended


# Reading


def listing(house: House, by: Identity, wanted: Wanted | None = None, *, after: str = "") -> Page:
    """A page of accounts, for administrators, in the order of their addresses."""
    by.demand(roles.MANAGE_USERS)
    wanted = wanted or Wanted()
    if _unspeakable(wanted.search + wanted.role + after):
        return Page([])
    with house.store.reading() as connection:
        return users.page(connection, wanted, after=after, limit=PAGE)


def _unspeakable(text: str) -> bool:
    """Whether it stands in no row, because no database takes it: PostgreSQL would raise."""
    return "\0" in text or any("\ud800" <= c <= "\udfff" for c in text)


def find(house: House, by: Identity, user_id: str) -> User:
    by.demand(roles.MANAGE_USERS)
    with house.store.reading() as connection:
        return accounts.found(connection, user_id)


def addresses(house: House, by: Identity, ids: Iterable[str]) -> dict[str, str]:
    """The addresses of accounts by their ids."""
    by.demand(roles.MANAGE_USERS)
    with house.store.reading() as connection:
        return users.addresses(connection, ids)


def factors_of(house: House, by: Identity, user_id: str) -> dict[str, int]:
    """How many authenticator apps, passkeys and recovery codes the account holds."""
    by.demand(roles.MANAGE_USERS)
    with house.store.reading() as connection:
        return factors.held(connection, accounts.found(connection, user_id).id)


def history(
    house: House,
    by: Identity,
    user_id: str,
    *,
    action: str = "",
    since: datetime | None = None,
    until: datetime | None = None,
    before: int | None = None,
) -> list[dict[str, Any]]:
    """A page of what happened to and by the account, the newest first; each row names those it is about by
    their address (`by`, `acting_as`, `about`)."""
    by.demand(roles.MANAGE_USERS)
    if _unspeakable(action):
        return []
    with house.store.reading() as connection:
        accounts.found(connection, user_id)
        rows = audit_rows.history(
            connection, user_id, action=action, since=since, until=until, before=before, limit=PAGE
        )
        return audit_rows.named(connection, rows)
