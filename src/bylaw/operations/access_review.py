"""The access review: who has what, since when, from whom and why, until when, and whether it was ever used.

It is read account by account, in the order of their addresses, so that a hundred thousand need no memory and
hold no transaction open. What administrators did since the last review belongs to it. That it was done is a
record of the audit log. Source: NIST SP 800-53 AC-2(j), AC-6(7); ISO/IEC 27001:2022 A.5.18.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Final, Literal

from sqlalchemy import Column, Connection, RowMapping, Table, and_, func, or_, select

from bylaw.controls import audit, roles
from bylaw.house import House
from bylaw.identity import Identity
from bylaw.operations.authority import MAX_REASON, may_change
from bylaw.operations.explaining import iso
from bylaw.reasons import Refused
from bylaw.store import assignments, users
from bylaw.store import audit as audit_rows
from bylaw.store.assignments import Assignment
from bylaw.store.tables import access_tokens, api_keys, audit_log, sessions, token_families
from bylaw.store.users import User

BATCH: Final = 500
"""Accounts that are looked at together."""
FILE: Final = 20_000
"""Accounts at most in a file that a browser gets; the command line has no such end."""
_ABOUT: Final = "access"
_REVIEW: Final = "review"
_AT_ONCE: Final = 500

Kind = Literal["role", "token", "key"]


@dataclass(frozen=True, slots=True)
class Row:
    """Something that somebody has. Moments are ISO 8601 in UTC, None where there is none."""

    account: str
    name: str
    state: str
    """`open` or `disabled`."""
    kind: Kind
    what: str
    """The role, or the name of the token or key."""
    within: str
    """The object that a role is for; the permissions of a key."""
    since: str | None
    granted_by: str
    """The address of who gave it, or `system`."""
    because: str
    expires: str | None
    last_sign_in: str | None
    last_used: str | None
    """When the account was last seen, by whatever it was known; of a token or key, when it was."""
    unused: bool
    """Whether nobody was seen since it was given."""
    user_id: str

    def as_json(self) -> dict[str, Any]:
        return {each.name: getattr(self, each.name) for each in fields(self)}


COLUMNS: Final = tuple(each.name for each in fields(Row))


@dataclass(frozen=True, slots=True)
class Page:
    """The rows of some accounts, and the address behind which the next ones begin; empty at the end."""

    rows: list[Row]
    after: str = ""


def page(house: House, by: Identity, *, after: str = "", limit: int = BATCH) -> Page:
    """What the accounts behind the address `after` hold, `limit` of them at most. Raises Refused."""
    by.demand(roles.MANAGE_USERS)
    with house.store.reading() as connection:
        found = users.page(connection, after=after, limit=limit)
        return Page(list(_rows(connection, found.users)), found.after)


def everything(house: House, by: Identity) -> Iterator[Row]:
    """Everybody's, one account after the other; each batch is read by itself."""
    after = ""
    while True:
        found = page(house, by, after=after)
        yield from found.rows
        after = found.after
        if not after:
            return


def _rows(connection: Connection, people: Sequence[User]) -> Iterator[Row]:
    ids = [user.id for user in people]
    held = assignments.of_users(connection, ids)
    bearers = {kind: _bearers(connection, table, ids) for kind, table in _BEARERS.items()}
    signed_in = _last(connection, audit_log.c.id, audit_log, ids, audit_log.c.action == "authn_login_success")
    moments = _moments(connection, signed_in.values())
    seen = _seen(connection, ids)
    givers = {each.granted_by for mine in held.values() for each in mine}
    givers |= {row["created_by"] for found in bearers.values() for mine in found.values() for row in mine}
    known = users.addresses(connection, {each for each in givers if each})
    for user in people:
        facts = _About(user, moments.get(signed_in.get(user.id, 0)), seen.get(user.id), known)
        yield from (facts.role(each) for each in held.get(user.id, ()))
        for kind, found in bearers.items():
            yield from (facts.bearer(kind, row) for row in found.get(user.id, ()))


@dataclass(frozen=True, slots=True)
class _About:
    user: User
    signed_in: float | None
    seen: float | None
    known: Mapping[str, str]

    def role(self, each: Assignment) -> Row:
        used = max(filter(None, (self.signed_in, self.seen)), default=None)
        given = (each.granted_at, each.granted_by, each.because, each.expires_at)
        return self._row("role", each.role, each.scope, given, used)

    def bearer(self, kind: Kind, row: RowMapping) -> Row:
        scopes = " ".join(row["scopes"]) if kind == "key" else ""
        given = (row["created_at"], row["created_by"], "", row["expires_at"])
        return self._row(kind, row["name"], scopes, given, row["used_at"])

    def _row(
        self,
        kind: Kind,
        what: str,
        within: str,
        given: tuple[float, str | None, str, float | None],
        used: float | None,
    ) -> Row:
        since, giver, because, expires = given
        return Row(
            self.user.email,
            self.user.name,
            "open" if self.user.disabled_at is None else "disabled",
            kind,
            what,
            within,
            iso(since),
            self.known.get(giver, giver) if giver else "system",
            because,
            iso(expires),
            iso(self.signed_in),
            iso(used),
            used is None or used < since,
            self.user.id,
        )


_BEARERS: Final[dict[Kind, Table]] = {"token": access_tokens, "key": api_keys}


def _bearers(connection: Connection, table: Table, ids: list[str]) -> dict[str, list[RowMapping]]:
    """Tokens or keys that are good now, by their owner."""
    now = assignments.now(connection)
    good = and_(table.c.revoked_at.is_(None), or_(table.c.expires_at.is_(None), table.c.expires_at > now))
    found: dict[str, list[RowMapping]] = {}
    query = select(table).where(table.c.user_id.in_(ids), good).order_by(table.c.created_at, table.c.id)
    for row in connection.execute(query).mappings():
        found.setdefault(row["user_id"], []).append(row)
    return found


def _last(
    connection: Connection, column: Column[Any], table: Table, ids: list[str], *also: Any
) -> dict[str, Any]:
    """The largest value of a column, by account."""
    query = select(table.c.user_id, func.max(column)).where(table.c.user_id.in_(ids), *also)
    return {row[0]: row[1] for row in connection.execute(query.group_by(table.c.user_id))}


def _seen(connection: Connection, ids: list[str]) -> dict[str, float]:
    """When each was last seen, by a session, a client's tokens, an access token or a key."""
    seen: dict[str, float] = {}
    for table, name in (
        (sessions, "seen_at"),
        (token_families, "seen_at"),
        (access_tokens, "used_at"),
        (api_keys, "used_at"),
    ):
        for user_id, at in _last(connection, table.c[name], table, ids).items():
            if at is not None:
                seen[user_id] = max(at, seen.get(user_id, at))
    return seen


def _moments(connection: Connection, numbers: Iterable[int]) -> dict[int, float]:
    """When records were made, by their numbers: the last sign-in is the highest one, which an index knows."""
    return {row["id"]: row["timestamp"].timestamp() for row in audit_rows.numbered(connection, list(numbers))}


# Since the last one


def last(house: House, by: Identity) -> dict[str, Any] | None:
    """The record of the last review; None where there was none."""
    by.demand(roles.MANAGE_USERS)
    with house.store.reading() as connection:
        found = audit_rows.rows(connection, entity_type=_ABOUT, entity_id=_REVIEW, limit=1)
    return found[0] if found else None


def actions(house: House, by: Identity) -> Iterator[dict[str, Any]]:
    """What was done to accounts by somebody else than their owners since the last review, the oldest first;
    each row names those it is about (`by`, `acting_as`, `about`)."""
    reviewed = last(house, by)
    after = reviewed["id"] if reviewed is not None else 0
    while True:
        with house.store.reading() as connection:
            found = audit_rows.on_others(connection, after=after, limit=_AT_ONCE)
            yield from audit_rows.named(connection, found)
        if len(found) < _AT_ONCE:
            return
        after = found[-1]["id"]


def done(house: House, by: Identity, *, note: str = "") -> None:
    """Record that the review was done. Raises Refused."""
    may_change(house, by)
    said = audit.printable(note.strip(), MAX_REASON)
    with house.store.transaction() as connection:
        audit.record(
            house,
            connection,
            action="access_reviewed",
            actor=by,
            changes={"reason": said} if said else {},
            entity_type=_ABOUT,
            entity_id=_REVIEW,
        )


def file(house: House, by: Identity) -> list[Row]:
    """Everything at once, for a browser. Raises Refused where there are too many accounts for that."""
    by.demand(roles.MANAGE_USERS)
    with house.store.reading() as connection:
        number = users.count(connection)
    if number > FILE:
        raise Refused(
            roles.HAS_NOTHING,
            status=422,
            detail=f"A file takes {FILE:,} accounts, there are {number:,}: bylaw role review --format csv.",
        )
    return list(everything(house, by))
