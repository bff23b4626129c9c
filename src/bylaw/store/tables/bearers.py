"""What programs and clients bear: access tokens, API keys, the families of refresh tokens."""

from __future__ import annotations

from typing import Any

from sqlalchemy import JSON, Column, Float, ForeignKey, Integer, String, Table

from bylaw.store.tables.base import metadata


def _bearer(name: str, *more: Column[Any]) -> Table:
    """Secrets that a person or a program holds for long: SHA-256 alone is kept (C-40)."""
    return Table(
        name,
        metadata,
        Column("id", String(22), primary_key=True),
        Column("digest", String(64), nullable=False, unique=True),
        Column("user_id", ForeignKey("users.id", ondelete="CASCADE"), nullable=False, index=True),
        Column("name", String(64), nullable=False),
        Column("created_by", String(36)),
        Column("created_at", Float, nullable=False),
        # Null: never, which the policy must allow and SECURITY.md shows.
        Column("expires_at", Float),
        Column("used_at", Float),
        Column("revoked_at", Float),
        *more,
    )


# A person signs in with one; it opens sessions and nothing else.
access_tokens = _bearer(
    "access_tokens",
    # Where it comes from: empty where it was issued; `first` where the environment had it at the first start
    # and it is still to be changed; `variable` where the environment had it later.
    Column("origin", String(16), nullable=False, default=""),
    # When its owner was told that it will expire.
    Column("warned_at", Float),
)

# A program sends one with each request.
api_keys = _bearer(
    "api_keys",
    # Permissions, all of them within the owner's; the owner's own where it is empty is never meant.
    Column("scopes", JSON, nullable=False),
    # Networks that it may be used from; empty: from anywhere.
    Column("networks", JSON, nullable=False),
    # A limit of its own, as the policy writes one: `100/minute`.
    Column("rate", String(32), nullable=False, default=""),
    # The key that this one takes the place of, while both are good.
    Column("replaces", String(22)),
)

token_families = Table(
    "token_families",
    metadata,
    # The `sid` of the access tokens: one sign-in of one client.
    Column("id", String(22), primary_key=True),
    Column("user_id", ForeignKey("users.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("epoch", Integer, nullable=False),
    Column("method", String(32), nullable=False),
    Column("assurance", Integer, nullable=False, default=1),
    Column("authenticated_at", Float, nullable=False),
    Column("created_at", Float, nullable=False),
    Column("seen_at", Float, nullable=False),
    # However often it is refreshed, it ends then.
    Column("expires_at", Float, nullable=False, index=True),
    Column("address", String(64), nullable=False, default=""),
    Column("agent", String(256), nullable=False, default=""),
)

refresh_tokens = Table(
    "refresh_tokens",
    metadata,
    Column("digest", String(64), primary_key=True),
    Column("family_id", ForeignKey("token_families.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("created_at", Float, nullable=False),
    Column("expires_at", Float, nullable=False),
    # Set at its use: a second use ends the family, for one of the two was a thief's (RFC 9700 4.14.2).
    Column("used_at", Float),
    # By whom, for the record of a second use.
    Column("used_address", String(64), nullable=False, default=""),
    Column("used_agent", String(256), nullable=False, default=""),
)
