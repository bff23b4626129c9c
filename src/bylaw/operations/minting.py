"""A token's row and its record, in the transaction of whoever makes or ends it (see tokens, bootstrap)."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy import Connection, RowMapping

from bylaw.controls import audit, errors, tokens
from bylaw.controls.tokens import Settings, form
from bylaw.house import House
from bylaw.identity import Identity
from bylaw.quantities import spoken
from bylaw.reasons import Refused
from bylaw.store import access_tokens as rows
from bylaw.store import bearers, feed, users
from bylaw.store.tables import access_tokens

NAME: Final = "Access token"
"""The name of a token that was given none."""


@dataclass(frozen=True, slots=True)
class Given:
    """A new token, which is shown nowhere else."""

    id: str
    secret: str = field(repr=False)
    name: str
    expires_at: float | None
    """Seconds since 1970; None: never."""


def add(
    house: House,
    connection: Connection,
    user_id: str,
    *,
    by: Identity | str,
    name: str,
    expires_at: float | None,
    origin: str = "",
    secret: str = "",
    about: dict[str, Any] | None = None,
) -> Given:
    """A new token's row and its record, in the caller's transaction."""
    if rows.count_good(connection, user_id, house.now()) >= tokens.MOST:
        raise Refused(tokens.MANY)
    settings = house.policy.of(Settings)
    name = audit.printable(name.strip(), tokens.MAX_NAME) or NAME
    secret = secret or form.make(tokens.head(house.policy), house.ports.entropy(settings.bytes))
    given = Given(_id(house), secret, name, expires_at)
    bearers.add(
        connection,
        access_tokens,
        {
            "id": given.id,
            "digest": tokens.stored(house.policy, secret),
            "user_id": user_id,
            "name": name,
            "created_by": (by.id if isinstance(by, Identity) else by) or None,
            "created_at": house.now(),
            "expires_at": expires_at,
            "origin": origin,
        },
    )
    ends = "never" if expires_at is None else int(expires_at)
    record(
        house,
        connection,
        "authn_token_created",
        by,
        given.id,
        owner=user_id,
        name=name,
        expires=ends,
        **(about or {}),
    )
    return given


def _id(house: House) -> str:
    """By which a token is spoken of, at the command line too, where nothing may begin with a hyphen."""
    return house.ports.entropy(11).hex()


def until(
    house: House, *, lifetime: int | None = None, expires_at: float | None = None, never: bool = False
) -> float | None:
    """When a token ends that is made now. Raises Refused where the policy gives it no such life."""
    settings, now = house.policy.of(Settings), house.now()
    if never:
        if not settings.never:
            raise Refused(errors.INVALID, fields={"lifetime": _longest(settings)})
        return None
    if expires_at is None:
        expires_at = now + (settings.lifetime if lifetime is None else lifetime)
    if not (math.isfinite(expires_at) and now < expires_at <= now + settings.lifetime):
        raise Refused(errors.INVALID, fields={"lifetime": _longest(settings)})
    return expires_at


def _longest(settings: Settings) -> str:
    return f"at most {spoken(settings.lifetime)}"


def record(
    house: House, connection: Connection, action: str, by: Identity | str, token_id: str, **facts: Any
) -> None:
    """Record what became of a token, by its id."""
    audit.record(
        house,
        connection,
        action=action,
        actor=by,
        entity_type="access_token",
        entity_id=token_id,
        changes={name: value for name, value in facts.items() if value != ""},
    )


def exchange(
    house: House, connection: Connection, row: RowMapping, by: Identity, *, session: str | None
) -> tuple[Given, list[str]]:
    """The same in the caller's transaction: the new token, and whose sessions ended."""
    never = row["expires_at"] is None and house.policy.of(Settings).never
    ended = end(house, connection, row, but=session)
    given = add(
        house,
        connection,
        row["user_id"],
        by=by,
        name=row["name"],
        expires_at=until(house, never=never),
        about={"replaces": row["id"]},
    )
    if session is not None:
        rows.pass_on(connection, session, given.id, given.expires_at)
    record(
        house,
        connection,
        "authn_token_revoked",
        by,
        row["id"],
        owner=row["user_id"],
        name=row["name"],
        replaced_by=given.id,
    )
    return given, ended


def end(house: House, connection: Connection, row: RowMapping, *, but: str | None = None) -> list[str]:
    """Revoke a token and end its sessions, in the caller's transaction; the accounts that they were of."""
    users.hold(connection, row["user_id"])  # whoever is signing in with it waits, and is refused then
    bearers.revoke(connection, access_tokens, row["id"], house.now())
    # Also those in which its owner acts as somebody else, which are another account's.
    of = dict.fromkeys(
        [row["user_id"], *(user_id for user_id, _ in rows.end_sessions(connection, row["id"], but=but))]
    )
    for user_id in of:
        feed.revoke(connection, house.now(), user_id)
    return list(of)


def forget(house: House, user_id: str, ended: Iterable[str]) -> None:
    """Have this process forget what a transaction has ended, once it is there."""
    for each in {user_id, *ended}:
        house.store.memory.forget(each)
