"""Access tokens: issued to oneself and to others, signed in with, replaced and revoked.

A token is returned by the verb that makes it, once, and is kept nowhere: only its digest is. Whatever ends a
token ends the sessions that it opened, in its transaction and in every process.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, RowMapping

from bylaw.controls import api_keys, audit, errors, mfa, roles, tokens
from bylaw.controls.tokens import form
from bylaw.errors import MisuseError
from bylaw.house import House
from bylaw.identity import OBJECT, UNAUTHENTICATED, Identity
from bylaw.operations import accounts, authority, mailing
from bylaw.operations.authority import SYSTEM
from bylaw.operations.minting import Given, add, end, exchange, forget, record, until
from bylaw.reasons import Refused
from bylaw.store import access_tokens as rows
from bylaw.store import assignments, bearers
from bylaw.store.tables import access_tokens
from bylaw.store.users import User

MOST_AT_ONCE: Final = 200
"""Accounts with tokens that are made at once."""


class Issued(NamedTuple):
    """An account that was made, and its token, which is shown nowhere else."""

    account_id: str
    name: str
    secret: str

    def __repr__(self) -> str:
        return f"Issued({self.account_id})"


# Made


def issue(
    house: House,
    by: Identity,
    user_id: str,
    *,
    name: str = "",
    lifetime: int | None = None,
    never: bool = False,
) -> Given:
    """Make a token for oneself, or for somebody who may no more than `by`. `lifetime` is in seconds, [tokens]
    lifetime where it is None; its owner is told by mail.

    Raises Refused: no such account, somebody who may more (403), a lifetime that the policy does not allow
    (422), as many tokens as there may be (409), a proof that is too old (StepUp).
    """
    demand_on(house)
    expires_at = until(house, lifetime=lifetime, never=never)
    with house.store.transaction() as connection:
        user = _permitted(house, connection, by, user_id, making=True)
        if user.email.startswith(api_keys.ADDRESS):
            raise Refused(roles.HAS_NOTHING, detail="A service account has API keys; nobody signs in as it.")
        if user.disabled_at is not None:
            raise Refused(roles.HAS_NOTHING, detail="The account is disabled: no token would open it.")
        given = add(house, connection, user.id, by=by, name=name, expires_at=expires_at)
        tell(house, connection, user, given, by)
    return given


def issue_many(
    house: House,
    by: Identity,
    count: int,
    role: str,
    *,
    scope: str = "",
    names: Sequence[str] = (),
    expires_at: float | None = None,
    token_until: float | None = None,
    because: str = "",
    connection: Connection | None = None,
) -> list[Issued]:
    """Make `count` accounts without a mail address, each with a role and a token: participants of a workshop.

    `scope` names the one object that the role is for (`planning:17`). `names` are what people call them,
    "Participant 1" and so on where there are fewer. Role and token end at `expires_at` (seconds since 1970),
    the token alone at `token_until`, and after [tokens] lifetime where neither is said. All are made with
    their records in one transaction:
    `connection`'s, where the caller has one.

    `by` manages users, or holds `token:issue` within the scope; the role holds no more than `by` may there.
    Raises Refused.
    """
    demand_on(house)
    by.demand_self()
    authority.known_roles(house, [role])
    if scope and not OBJECT.fullmatch(scope):
        raise Refused(errors.INVALID, fields={"scope": "an object, e.g. planning:17"})
    _demand_issuer(by, scope)
    if type(count) is not int or not 1 <= count <= MOST_AT_ONCE:
        raise Refused(errors.INVALID, fields={"count": f"a number from 1 to {MOST_AT_ONCE}"})
    ends = until(house, expires_at=expires_at if token_until is None else token_until)
    called = [_named(names, number) for number in range(count)]
    if connection is not None:
        return _add_accounts(house, connection, by, role, scope, called, ends, expires_at, because)
    with house.store.transaction() as own:
        return _add_accounts(house, own, by, role, scope, called, ends, expires_at, because)


def _demand_issuer(by: Identity, scope: str) -> None:
    if not by.may(roles.MANAGE_USERS):
        by.demand(tokens.ISSUE, within=scope)


def _named(names: Sequence[str], number: int) -> str:
    given = names[number].strip() if number < len(names) else ""
    return given or f"Participant {number + 1}"


def _add_accounts(
    house: House,
    connection: Connection,
    by: Identity,
    role: str,
    scope: str,
    names: list[str],
    ends: float | None,
    role_until: float | None,
    because: str,
) -> list[Issued]:
    _demand_issuer(authority.as_now(house, connection, by), scope)
    authority.demand_to_give(house, connection, by, role, within=scope, until=role_until)
    made = []
    for name in names:
        user_id = accounts.add_unaddressed(house, connection, name, by=by)
        assignments.grant(
            connection,
            user_id,
            role,
            scope=scope,
            by=by.id or None,
            because=audit.printable(because.strip(), 200),
            expires_at=role_until,
        )
        given = add(
            house,
            connection,
            user_id,
            by=by,
            name=name,
            expires_at=ends,
            about={"role": role, "scope": scope},
        )
        made.append(Issued(user_id, name, given.secret))
    return made


def demand_on(house: House) -> None:
    """Go on only where people sign in with tokens. Raises Refused."""
    if not tokens.used(house.policy):
        raise Refused(tokens.OFF)


def _permitted(
    house: House, connection: Connection, by: Identity, user_id: str, *, making: bool = False
) -> User:
    """The account, where `by` may deal with its tokens: one's own, or those of somebody who may no more, nor
    for longer where one is made. Whoever makes or takes a token has shown lately that it is he, and stands as
    he did. Raises Refused."""
    by.demand_self()
    # Held: nobody signs in, and no other token is made, meanwhile.
    user = accounts.found(connection, user_id, hold=True)
    if by is SYSTEM:
        return user
    if by.id != user_id:
        authority.may_change(house, by)
        allowed = authority.not_outlasting if making else authority.below
        return allowed(house, connection, by, user_id)
    mfa.demand_fresh(house, by)
    if user.disabled_at is not None or user.epoch != by.epoch:
        raise Refused(UNAUTHENTICATED)
    return user


def tell(house: House, connection: Connection, user: User, given: Given, by: Identity) -> None:
    """Tell an account's owner that there is a token, which signs in as him."""
    app = house.policy.app
    maker = "You have" if by.id == user.id else "An administrator has"
    mailing.post(
        house,
        connection,
        to=user.email,
        subject=f"A new access token for your account at {app.name}",
        paragraphs=[
            (
                f"{maker} made an access token for your account at {app.base_url}: {given.name}. Whoever "
                "has it can sign in as you."
            ),
            (
                "If you did not expect this, revoke it on the page of your access tokens, and tell an "
                "administrator."
            ),
        ],
    )


# Seen


def of_user(house: House, by: Identity, user_id: str) -> list[RowMapping]:
    """The tokens of an account that were not revoked, the newest first: one's own, or as an administrator."""
    if by.id != user_id:
        by.demand(roles.MANAGE_USERS)
    with house.store.reading() as connection:
        accounts.found(connection, user_id)
        found = bearers.of_user(connection, access_tokens, user_id)
    return [row for row in found if row["revoked_at"] is None]


def everyone(house: House, by: Identity, user_id: str = "") -> list[RowMapping]:
    """The tokens of all accounts that were not revoked, or of one. Raises Refused."""
    by.demand(roles.MANAGE_USERS)
    if user_id:
        return of_user(house, by, user_id)
    with house.store.reading() as connection:
        return rows.everyone(connection)


def state(row: RowMapping, now: float) -> str:
    """How a token stands, in a word or two."""
    if not good(row, now):
        return "expired"
    if row["origin"] == tokens.FIRST:
        return "to be changed"
    return "expires soon" if soon(row, now) else "good"


def good(row: RowMapping, now: float) -> bool:
    """Whether a token signs in at `now`."""
    return row["revoked_at"] is None and (row["expires_at"] is None or now < row["expires_at"])


def soon(row: RowMapping, now: float) -> bool:
    """Whether a token is about to expire: within a fortnight, of a shorter life its last fifth."""
    if row["expires_at"] is None or not good(row, now):
        return False
    return bool(
        row["expires_at"] - now < min(tokens.WARN_BEFORE, (row["expires_at"] - row["created_at"]) / 5)
    )


# Ended


def revoke(house: House, by: Identity, token_id: str, *, user_id: str = "", reason: str = "") -> None:
    """End a token and the sessions that it opened, in every process. Raises Refused: none such (404).

    `user_id` is whose it must be; an id of somebody else's token is then none.
    """
    with house.store.transaction() as connection:
        row = _own(house, connection, by, token_id, user_id)
        ended = end(house, connection, row)
        said = audit.printable(reason.strip(), 500)
        record(
            house,
            connection,
            "authn_token_revoked",
            by,
            token_id,
            owner=row["user_id"],
            name=row["name"],
            reason=said,
        )
    forget(house, row["user_id"], ended)


def replace(
    house: House, by: Identity, token_id: str, *, user_id: str = "", session: str | None = None
) -> Given:
    """Put another token in a token's place, under its name and for [tokens] lifetime: the old one is refused
    at once and its sessions end, but for the one with the digest `session`, which is the new one's.

    There is no time in which both are good: whoever rotates a token may fear that somebody else has it.
    """
    demand_on(house)
    with house.store.transaction() as connection:
        row = _own(house, connection, by, token_id, user_id, making=True)
        given, ended = exchange(house, connection, row, by, session=session)
        tell(house, connection, accounts.found(connection, row["user_id"]), given, by)
    forget(house, row["user_id"], ended)
    return given


def _own(
    house: House,
    connection: Connection,
    by: Identity,
    token_id: str,
    user_id: str,
    *,
    making: bool = False,
) -> RowMapping:
    """A token that `by` may end, or put another in the place of. Raises Refused: alike for none, one that is
    revoked and a foreign one."""
    plain = token_id.isascii() and token_id.isprintable() and len(token_id) <= 22
    row = bearers.by_id(connection, access_tokens, token_id) if plain else None
    mine = row is not None and row["user_id"] == (user_id or row["user_id"])
    if row is None or not mine or not (by.id == row["user_id"] or by.may(roles.MANAGE_USERS)):
        raise Refused(tokens.UNKNOWN)
    _permitted(house, connection, by, row["user_id"], making=making)
    row = bearers.by_id(connection, access_tokens, token_id)
    if row is None or row["revoked_at"] is not None:
        raise Refused(tokens.UNKNOWN)
    return row


# For applications


@dataclass(frozen=True, slots=True)
class Tokens:
    """What an application does with tokens: `bylaw.tokens.issue_many(current_user, 30, "participant", …)`."""

    _house: House

    def issue_many(self, by: Identity, count: int, role: str, **how: Any) -> list[Issued]:
        """Make accounts without a mail address, each with a token: see `operations.tokens.issue_many`."""
        return issue_many(self._house, by, count, role, **how)

    def issue(self, by: Identity, user_id: str, **how: Any) -> Given:
        """Make a token for an account: see `operations.tokens.issue`."""
        return issue(self._house, by, user_id, **how)

    def revoke(self, by: Identity, token_id: str, *, reason: str = "") -> None:
        """End a token and its sessions: see `operations.tokens.revoke`."""
        revoke(self._house, by, token_id, reason=reason)

    def grouped(self, secret: str) -> str:
        """A token as a card shows it, in groups of four; it is taken in this form, too."""
        return form.grouped(secret)

    def address(self, secret: str = "") -> str:
        """The whole address of the page to sign in with a token. With one it stands behind the `#`, which no
        browser sends and no server logs: for a card's QR code. Raises MisuseError for what is no token."""
        page = mailing.address_of(self._house, SIGN_IN)
        if not secret:
            return page
        if form.read(tokens.head(self._house.policy), secret) != secret or not form.valid(secret):
            raise MisuseError("not a token of this application")
        return f"{page}#t={secret}"


SIGN_IN: Final = "sign-in-token"
"""The path of the page to sign in with a token, below bylaw's own."""
