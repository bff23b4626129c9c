"""Queries over accounts and their roles."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, exists, func, insert, or_, select, update

from bylaw.store import assignments
from bylaw.store.tables import passkeys, role_assignments, totp_secrets, users
from bylaw.store.tables.people import name_key

_COLUMNS: Final = [column for column in users.c if column is not users.c.name_key]

WINDOW: Final = 20_000
"""Accounts that one page looks at, at most, where no index finds what is wanted: a page of a million
accounts takes as long as one of ten thousand, and says that there may be more further on."""
_FEW: Final = 500
"""Holders of a role who are looked up one by one; where there are more, a window soon holds a page."""


@dataclass(frozen=True, slots=True)
class User:
    """An account. `password_hash` is None where there is no password to sign in with."""

    id: str
    email: str
    name: str
    password_hash: str | None
    epoch: int
    created_at: float
    disabled_at: float | None
    roles: frozenset[str]
    """The roles that hold everywhere."""
    confirmed_at: float | None = None
    password_rules: str = ""
    renew_password: bool = False
    scoped_roles: frozenset[str] = frozenset()
    """Those that hold within one object alone, whichever it is."""
    contact: str | None = None
    """Of a service account: the mail address of who answers for it."""

    @property
    def service(self) -> bool:
        """Whether it is no person's: it has API keys, and no way to sign in."""
        return self.contact is not None

    @property
    def every_role(self) -> frozenset[str]:
        """The roles that hold anywhere: what asks for a second factor asks wherever the role holds."""
        return self.roles | self.scoped_roles

    def __repr__(self) -> str:
        return f"User({self.id})"


def add(connection: Connection, row: dict[str, object]) -> None:
    connection.execute(insert(users).values(**row))


def by_email(connection: Connection, email: str) -> User | None:
    return _one(connection, users.c.email == email)


def by_id(connection: Connection, user_id: str) -> User | None:
    return _one(connection, users.c.id == user_id)


def _one(connection: Connection, condition: object) -> User | None:
    row = connection.execute(select(*_COLUMNS).where(condition)).mappings().one_or_none()  # type: ignore[arg-type]
    if row is None:
        return None
    return _whole(connection, [row])[0]


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which accounts a listing shows; what is empty asks for nothing."""

    search: str = ""
    """What the address or the name begins with, whatever its case."""
    anywhere: bool = False
    """The search may stand anywhere in them: nothing but looking at every account finds that."""
    role: str = ""
    disabled: bool = False
    unconfirmed: bool = False
    """Nobody has shown yet that the address is his."""
    without_factor: bool = False
    """Neither an authenticator app nor a passkey."""


@dataclass(frozen=True, slots=True)
class Page:
    """A page of accounts, in the order of their addresses."""

    users: list[User]
    after: str = ""
    """The address behind which the next page begins; empty at the end."""
    unfinished: bool = False
    """Not the page was full, but as many were looked at as a page may: there may be some behind `after`."""


def page(connection: Connection, wanted: Wanted | None = None, *, after: str = "", limit: int = 50) -> Page:
    """At most `limit` accounts from behind the address `after` on. As quick at the end as at the beginning:
    nothing is skipped by counting, and nobody is asked how many there are."""
    wanted = wanted or Wanted()
    if wanted.search and not wanted.anywhere:
        return _beginning(connection, wanted, after, limit)
    found, looked_to = _window(connection, wanted, after, limit)
    if len(found) > limit:
        return Page(_whole(connection, found[:limit]), found[limit - 1]["email"])
    return Page(_whole(connection, found), looked_to, unfinished=bool(looked_to))


def _window(connection: Connection, wanted: Wanted, after: str, limit: int) -> tuple[Sequence[Any], str]:
    """One account more than a page holds, among the next `WINDOW` ones; and the address of the last that
    was looked at, where there are more."""
    indexed: list[ColumnElement[bool]] = [users.c.email > after]
    if wanted.disabled:
        indexed.append(users.c.disabled_at.is_not(None))
    if wanted.unconfirmed:
        indexed.append(users.c.confirmed_at.is_(None))
    holders = _few(connection, wanted.role) if wanted.role else None
    if holders is not None:
        indexed.append(users.c.id.in_(holders))
    rest = [*_factorless(wanted), *_anywhere(wanted)]
    if wanted.role and holders is None:
        rest.append(_holds(connection, wanted.role))
    looked_to = ""
    if rest:
        ahead = select(users.c.email).where(*indexed).order_by(users.c.email).offset(WINDOW - 1).limit(2)
        ends = list(connection.execute(ahead).scalars())
        if len(ends) > 1:
            looked_to = ends[0]
            rest.append(users.c.email <= looked_to)
    query = select(*_COLUMNS).where(*indexed, *rest).order_by(users.c.email).limit(limit + 1)
    return connection.execute(query).mappings().all(), looked_to


def _beginning(connection: Connection, wanted: Wanted, after: str, limit: int) -> Page:
    """Accounts whose address or name begins with the search: two indexes, asked one after the other."""
    text, key = wanted.search.lower(), name_key(wanted.search)
    rest = [*_factorless(wanted)]
    if wanted.role:
        rest.append(_holds(connection, wanted.role))
    if wanted.disabled:
        rest.append(users.c.disabled_at.is_not(None))
    if wanted.unconfirmed:
        rest.append(users.c.confirmed_at.is_(None))
    # One lower bound: a database that is given two may begin at the further one.
    begin = users.c.email > after if after >= text else users.c.email >= text
    by_address = select(users.c.email).where(begin, users.c.email < text + "\x7f", *rest)
    # `|| ''`: no planner may walk all accounts by address in the hope that such a name comes soon.
    address = users.c.email + ""
    named = (users.c.name_key >= key, users.c.name_key < key + "\U0010ffff")
    by_name = select(users.c.email).where(*named, address > after, *rest)
    found = {
        email
        for query, order in ((by_address, users.c.email), (by_name, address))
        for email in connection.execute(query.order_by(order).limit(limit + 1)).scalars()
    }
    ahead = sorted(found)
    query = select(*_COLUMNS).where(users.c.email.in_(ahead[:limit])).order_by(users.c.email)
    more = ahead[limit - 1] if len(ahead) > limit else ""
    return Page(_whole(connection, connection.execute(query).mappings().all()), more)


def _few(connection: Connection, role: str) -> list[str] | None:
    """The holders of a role, where they are few."""
    query = select(role_assignments.c.user_id).where(*_held(connection, role)).distinct().limit(_FEW + 1)
    holders = list(connection.execute(query).scalars())
    return holders if len(holders) <= _FEW else None


def _holds(connection: Connection, role: str) -> ColumnElement[bool]:
    return exists().where(role_assignments.c.user_id == users.c.id, *_held(connection, role))


def _held(connection: Connection, role: str) -> tuple[ColumnElement[bool], ...]:
    return role_assignments.c.role == role, assignments.held(assignments.now(connection))


def _factorless(wanted: Wanted) -> Iterable[ColumnElement[bool]]:
    if wanted.without_factor:
        for table in (totp_secrets, passkeys):
            yield ~exists().where(table.c.user_id == users.c.id)


def _anywhere(wanted: Wanted) -> Iterable[ColumnElement[bool]]:
    if wanted.search:
        yield or_(
            users.c.email.contains(wanted.search.lower(), autoescape=True),
            users.c.name_key.contains(name_key(wanted.search), autoescape=True),
        )


def _whole(connection: Connection, rows: Sequence[Any]) -> list[User]:
    """Rows of accounts with their roles."""
    held = assignments.of_users(connection, [row["id"] for row in rows])

    def roles(user_id: str, *, scoped: bool) -> frozenset[str]:
        return frozenset(each.role for each in held.get(user_id, ()) if bool(each.scope) == scoped)

    return [
        User(**row, roles=roles(row["id"], scoped=False), scoped_roles=roles(row["id"], scoped=True))
        for row in rows
    ]


def services(connection: Connection) -> list[User]:
    """Every service account, by name."""
    query = select(*_COLUMNS).where(users.c.contact.is_not(None)).order_by(users.c.email)
    return _whole(connection, connection.execute(query).mappings().all())


def addresses(connection: Connection, ids: Iterable[str]) -> dict[str, str]:
    """The addresses of accounts by their id."""
    query = select(users.c.id, users.c.email).where(users.c.id.in_(list(ids)))
    return {row.id: row.email for row in connection.execute(query)}


def count(connection: Connection) -> int:
    return connection.execute(select(func.count()).select_from(users)).scalar_one()


def change(connection: Connection, user_id: str, **values: object) -> None:
    if "name" in values:
        values["name_key"] = name_key(str(values["name"]))
    connection.execute(update(users).where(users.c.id == user_id).values(**values))


def replace_hash(connection: Connection, user_id: str, old: str, new: str) -> bool:
    """Put a stronger hash in the place of `old`, unless the password was changed meanwhile."""
    done = connection.execute(
        update(users).where(users.c.id == user_id, users.c.password_hash == old).values(password_hash=new)
    )
    return done.rowcount == 1


def next_epoch(connection: Connection, user_id: str) -> int:
    """Begin a new epoch of the user's standing, and return it."""
    epoch: int = connection.execute(
        update(users).where(users.c.id == user_id).values(epoch=users.c.epoch + 1).returning(users.c.epoch)
    ).scalar_one()
    return epoch


def set_roles(
    connection: Connection, user_id: str, roles: frozenset[str], *, by: str | None, because: str = ""
) -> None:
    """Give a user exactly these roles everywhere; what he holds within one object stays as it is."""
    held = assignments.everywhere(assignments.of_users(connection, [user_id]).get(user_id, ()))
    for role in sorted(held - roles):
        assignments.end(connection, user_id, role, by=by)
    for role in sorted(roles - held):
        assignments.grant(connection, user_id, role, by=by, because=because)


def hold(connection: Connection, user_id: str) -> None:
    """Let no other transaction hold this account until this one is over (SQLite has one writer)."""
    connection.execute(select(users.c.id).where(users.c.id == user_id).with_for_update())


def one_at_a_time(connection: Connection) -> None:
    """Let no other transaction change anybody's standing until this one is over.

    For a rule about all accounts together, which two transactions could each keep and both break.
    SQLite has one writer anyway (`store.engine.IMMEDIATE`).
    """
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql("SELECT pg_advisory_xact_lock(7237502)")
