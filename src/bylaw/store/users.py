"""Queries over accounts and their roles."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, delete, func, insert, or_, select, update

from bylaw.store.tables import role_assignments, users


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
    confirmed_at: float | None = None
    password_rules: str = ""
    renew_password: bool = False

    def __repr__(self) -> str:
        return f"User({self.id})"


def add(connection: Connection, row: dict[str, object]) -> None:
    connection.execute(insert(users).values(**row))


def by_email(connection: Connection, email: str) -> User | None:
    return _one(connection, users.c.email == email)


def by_id(connection: Connection, user_id: str) -> User | None:
    return _one(connection, users.c.id == user_id)


def _one(connection: Connection, condition: object) -> User | None:
    row = connection.execute(select(users).where(condition)).mappings().one_or_none()  # type: ignore[arg-type]
    if row is None:
        return None
    return User(**row, roles=_roles(connection, [row["id"]]).get(row["id"], frozenset()))


def _roles(connection: Connection, ids: list[str]) -> dict[str, frozenset[str]]:
    found: dict[str, set[str]] = {}
    for row in connection.execute(select(role_assignments).where(role_assignments.c.user_id.in_(ids))):
        found.setdefault(row.user_id, set()).add(row.role)
    return {user_id: frozenset(roles) for user_id, roles in found.items()}


def page(connection: Connection, *, search: str = "", after: str = "", limit: int = 50) -> list[User]:
    """Accounts in the order of their address, from behind the address `after` on."""
    query = select(users).where(users.c.email > after).order_by(users.c.email).limit(limit)
    if search:
        pattern = "%" + search.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_") + "%"
        query = query.where(
            or_(users.c.email.ilike(pattern, escape="\\"), users.c.name.ilike(pattern, escape="\\"))
        )
    rows = connection.execute(query).mappings().all()
    roles = _roles(connection, [row["id"] for row in rows])
    return [User(**row, roles=roles.get(row["id"], frozenset())) for row in rows]


def count(connection: Connection) -> int:
    return connection.execute(select(func.count()).select_from(users)).scalar_one()


def change(connection: Connection, user_id: str, **values: object) -> None:
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
    connection: Connection, user_id: str, roles: frozenset[str], *, by: str | None, now: float
) -> None:
    connection.execute(delete(role_assignments).where(role_assignments.c.user_id == user_id))
    for role in sorted(roles):
        connection.execute(
            insert(role_assignments).values(user_id=user_id, role=role, granted_by=by, granted_at=now)
        )


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


def with_role(connection: Connection, role: str) -> list[str]:
    """Ids of the accounts that hold `role` and are not disabled."""
    return list(
        connection.execute(
            select(users.c.id)
            .join(role_assignments, role_assignments.c.user_id == users.c.id)
            .where(role_assignments.c.role == role, users.c.disabled_at.is_(None))
        ).scalars()
    )
