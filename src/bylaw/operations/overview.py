"""One's own account at a glance: what it holds, each thing with how it stands."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, Table, func, select

from bylaw.house import House
from bylaw.identity import Identity
from bylaw.operations import accounts, authority, granting, signing_in, token_families
from bylaw.store import api_keys
from bylaw.store import audit as audit_rows
from bylaw.store.access_tokens import count_good
from bylaw.store.tables import devices, federated_accounts, passkeys, recovery_codes, totp_secrets

_PASSWORDS = ("authn_password_change", "authn_password_reset")


@dataclass(frozen=True, slots=True)
class Account:
    """What an account holds. Times are seconds since 1970."""

    email: str
    name: str
    confirmed: bool
    created_at: float
    roles: tuple[str, ...]
    scoped_roles: tuple[str, ...]
    """Those that hold within one object alone, with its name."""
    has_password: bool
    password_changed_at: float
    """When the password was set last."""
    authenticators: int
    recovery_codes: int
    """Those that were not used yet."""
    passkeys: int
    tokens: int
    """Access tokens that are good."""
    linked: tuple[str, ...]
    """Providers that the account is linked with."""
    sessions: int
    programs: int
    """Programs that hold a refresh token."""
    devices: int
    keys: int
    """API keys that are good."""


def account(house: House, who: Identity) -> Account:
    """What one's own account holds now."""
    sessions = len(signing_in.own_sessions(house, who))
    programs = len(token_families.own(house, who))
    with house.store.reading() as connection:
        user = accounts.found(connection, who.id)
        within = [each for each in authority.held(connection, who.id) if each.scope]
        changes = [
            row["timestamp"].timestamp()
            for action in _PASSWORDS
            for row in audit_rows.rows(
                connection, action=action, entity_type="user", entity_id=who.id, limit=1
            )
        ]
        linked = connection.execute(
            select(federated_accounts.c.oauth_provider)
            .where(federated_accounts.c.user_id == who.id)
            .order_by(federated_accounts.c.created_at)
        ).scalars()
        return Account(
            email=user.email,
            name=user.name,
            confirmed=user.confirmed_at is not None,
            created_at=user.created_at,
            roles=tuple(sorted(user.roles)),
            scoped_roles=tuple(granting.labels(within)),
            has_password=user.password_hash is not None,
            password_changed_at=max(changes, default=user.created_at),
            authenticators=_count(connection, totp_secrets, who.id),
            recovery_codes=_count(connection, recovery_codes, who.id, unused=True),
            passkeys=_count(connection, passkeys, who.id),
            tokens=count_good(connection, who.id, house.now()),
            linked=tuple(dict.fromkeys(linked)),
            sessions=sessions,
            programs=programs,
            devices=_count(connection, devices, who.id),
            keys=len(api_keys.good(connection, who.id, house.now())),
        )


def _count(connection: Connection, table: Table, user_id: str, *, unused: bool = False) -> int:
    query = select(func.count()).select_from(table).where(table.c.user_id == user_id)
    if unused:
        query = query.where(table.c.used_at.is_(None))
    return int(connection.execute(query).scalar_one())
