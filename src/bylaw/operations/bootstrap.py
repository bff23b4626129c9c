"""The first administrator: made at the first start by a token of the environment, which is then changed.

The variable stays where it is, in a file or a platform's settings, where more people read it than know the
application. So its first value opens one page alone, on which it is replaced by a token that stands nowhere;
and no value is ever taken twice. Another value, after a restart, is the rotation that S2 describes: it takes
the place of the one before, at once.
"""

from __future__ import annotations

import logging

from sqlalchemy import Connection, RowMapping

from bylaw.controls import roles, tokens
from bylaw.controls.sessions import Opened
from bylaw.controls.tokens import Settings
from bylaw.errors import PolicyError, Problem
from bylaw.house import House
from bylaw.identity import UNAUTHENTICATED, Identity
from bylaw.operations import accounts, minting, signing_in
from bylaw.operations.minting import Given
from bylaw.reasons import Refused
from bylaw.store import access_tokens as rows
from bylaw.store import assignments, bearers, users
from bylaw.store import sessions as session_rows
from bylaw.store.tables import access_tokens

log = logging.getLogger("bylaw.tokens")

NAME = "Administrator"
"""What the first administrator is called."""
CALLED = "From the environment"
"""What a token of the environment is called."""


def first_administrator(house: House) -> None:
    """Heed the policy's [tokens] bootstrap at a start: make the one administrator, or take another value in
    the place of the one before. Raises PolicyError for a value of another environment.

    Safe in any number of processes that start together: one does it, the others find it done.
    """
    setting = house.policy.of(Settings).bootstrap
    if setting is None or not tokens.used(house.policy):
        return
    value = setting.get_secret_value().strip()
    ended: dict[str, list[str]] = {}
    with house.store.transaction() as connection:
        users.one_at_a_time(connection)
        if bearers.find(connection, access_tokens, tokens.stored(house.policy, value)) is not None:
            return  # it was taken before, whatever has become of it since: never a second time
        _demand_own(house, connection, value)
        earlier = rows.of_environment(connection)
        if earlier:
            ended[earlier[0]["user_id"]] = _take_over(house, connection, earlier, value)
        elif not _administered(house, connection):
            _make(house, connection, value)
        else:
            log.warning("[tokens] bootstrap makes no further administrator: use `bylaw token new`")
    for user_id, others in ended.items():
        minting.forget(house, user_id, others)


def _administered(house: House, connection: Connection) -> bool:
    """Whether somebody manages users already."""
    return any(assignments.with_role(connection, role) for role in roles.managing(house.policy))


def _demand_own(house: House, connection: Connection, value: str) -> None:
    """Raise PolicyError where the value is another environment's (S2-039): its table was copied here, and
    whoever knows the one would be administrator of the other."""
    if bearers.find(connection, access_tokens, tokens.elsewhere(house.policy, value)) is not None:
        where = house.policy.where.at(("tokens", "bootstrap"))
        raise PolicyError(
            f"{house.policy.app.name} has a token of another environment",
            [
                Problem(
                    where,
                    "tokens.bootstrap",
                    "is a token of the other environment, development's or production's",
                    "one of its own for each: bylaw token new --first",
                )
            ],
        )


def _make(house: House, connection: Connection, value: str) -> None:
    role = tokens.administrators(house.policy)[0]
    user_id = accounts.add_unaddressed(house, connection, NAME, by=None)
    assignments.grant(connection, user_id, role, by=None, because="the first start")
    _add(house, connection, user_id, value, tokens.FIRST)
    log.warning("the first administrator was made: sign in with the token of the environment, and change it")


def _take_over(house: House, connection: Connection, earlier: list[RowMapping], value: str) -> list[str]:
    """Have another value take the place of the earlier ones (S2-047, S2-048); the accounts whose sessions
    ended with these. It need not be changed again: somebody has put it there who had signed in before. Where
    the first was never changed, this one is the first."""
    never_changed = any(row["origin"] == tokens.FIRST and row["revoked_at"] is None for row in earlier)
    ended = [
        who for row in earlier if row["revoked_at"] is None for who in minting.end(house, connection, row)
    ]
    _add(house, connection, earlier[-1]["user_id"], value, tokens.FIRST if never_changed else tokens.VARIABLE)
    return ended


def _add(house: House, connection: Connection, user_id: str, value: str, origin: str) -> None:
    lifetime = house.policy.of(Settings).lifetime
    minting.add(
        house,
        connection,
        user_id,
        by="",
        name=CALLED,
        expires_at=house.now() + lifetime,
        origin=origin,
        secret=value,
        about={"from": "the environment"},
    )


def change(house: House, who: Identity, *, session: str) -> tuple[Given, Opened]:
    """Put a token that stands nowhere in the place of the environment's first one, which is refused from now
    on. The session goes on under another id and owes it no more; all others of that token end.

    Raises Refused.
    """
    with house.store.transaction() as connection:
        users.hold(connection, who.id)
        held = session_rows.find(connection, session)
        row = bearers.by_id(connection, access_tokens, (held and held.credential) or "")
        # Of two requests at once the second finds what the first has put in its place.
        if row is None or row["origin"] != tokens.FIRST or row["revoked_at"] is not None:
            raise Refused(UNAUTHENTICATED)
        given, ended = minting.exchange(house, connection, row, who, session=session)
        # In one transaction: a token that was made and then shown to nobody would leave nobody in charge.
        _, opened = signing_in.replace_session(house, connection, session, done=("token",))
    minting.forget(house, who.id, ended)
    return given, opened
