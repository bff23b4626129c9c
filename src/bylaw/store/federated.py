"""Queries over linked accounts: which account of another provider opens which one here."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import (
    ColumnElement,
    Connection,
    RowMapping,
    and_,
    delete,
    exists,
    func,
    insert,
    select,
    update,
)

from bylaw.store.access_tokens import count_good
from bylaw.store.tables import federated_accounts, passkeys, users


def find(connection: Connection, provider: str, subject: str) -> RowMapping | None:
    query = select(federated_accounts).where(_is(provider, subject))
    return connection.execute(query).mappings().one_or_none()


def add(connection: Connection, row: dict[str, object]) -> None:
    connection.execute(insert(federated_accounts).values(**row))


def used(connection: Connection, provider: str, subject: str, *, email: str, now: float) -> None:
    """It was signed in with; `email` is what the provider has for it now."""
    connection.execute(
        update(federated_accounts).where(_is(provider, subject)).values(email=email, used_at=now)
    )


def of_user(connection: Connection, user_id: str) -> list[RowMapping]:
    """What an account is linked with, in the order of the providers."""
    query = (
        select(federated_accounts)
        .where(federated_accounts.c.user_id == user_id)
        .order_by(federated_accounts.c.oauth_provider)
    )
    return list(connection.execute(query).mappings())


def end(connection: Connection, user_id: str, provider: str) -> bool:
    """Unlink an account from a provider; False where it was not linked."""
    ended = delete(federated_accounts).where(
        federated_accounts.c.user_id == user_id, federated_accounts.c.oauth_provider == provider
    )
    return connection.execute(ended).rowcount > 0


def end_of_user(connection: Connection, user_id: str) -> int:
    """Unlink an account from every provider; how many links there were."""
    ended = delete(federated_accounts).where(federated_accounts.c.user_id == user_id)
    return connection.execute(ended).rowcount


def ways_in(
    connection: Connection,
    user_id: str,
    providers: Iterable[str],
    *,
    password: bool = True,
    tokens_at: float | None = None,
) -> int:
    """In how many ways an account can be signed in to: its password, passkeys, and links with `providers`.

    `password`: whether there are any. `tokens_at`: when access tokens must be good to count; None: they do
    not.
    """
    kept = exists().where(and_(users.c.id == user_id, users.c.password_hash.is_not(None)))
    keys = select(func.count()).select_from(passkeys).where(passkeys.c.user_id == user_id)
    links = (
        select(func.count())
        .select_from(federated_accounts)
        .where(
            federated_accounts.c.user_id == user_id,
            federated_accounts.c.oauth_provider.in_(list(providers)),
        )
    )
    one, *more = connection.execute(select(kept, keys.scalar_subquery(), links.scalar_subquery())).one()
    tokens = 0 if tokens_at is None else count_good(connection, user_id, tokens_at)
    return int(one and password) + sum(map(int, more)) + tokens


def _is(provider: str, subject: str) -> ColumnElement[bool]:
    return and_(federated_accounts.c.oauth_provider == provider, federated_accounts.c.oauth_id == subject)
