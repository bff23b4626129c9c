"""What people show beside a password, or in its place, and what is under way in a browser."""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Integer,
    LargeBinary,
    String,
    Table,
)

from bylaw.store.tables.base import metadata

ceremonies = Table(
    "ceremonies",
    metadata,
    # SHA-256 of the secret in the browser's transaction cookie.
    Column("digest", String(64), primary_key=True),
    # What it is about: nothing begun for one purpose can end another.
    Column("kind", String(32), nullable=False),
    Column("user_id", String(36)),
    # Challenge, state, nonce, verifier: what the answer is held against.
    Column("facts", JSON, nullable=False),
    Column("expires_at", Float, nullable=False, index=True),
)

federated_accounts = Table(
    "federated_accounts",
    metadata,
    Column("oauth_provider", String(32), primary_key=True),
    # The subject that the provider gives: an address may be given to somebody else one day.
    Column("oauth_id", String(255), primary_key=True),
    Column("user_id", ForeignKey("users.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("email", String(254), nullable=False, default=""),
    Column("created_at", Float, nullable=False),
    Column("used_at", Float),
)

totp_secrets = Table(
    "totp_secrets",
    metadata,
    Column("id", String(22), primary_key=True),
    Column("user_id", ForeignKey("users.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("name", String(64), nullable=False),
    # Sealed with a key derived from the application's secret: a copy of this table makes no codes.
    Column("secret", String(255), nullable=False),
    # The last time step that was used: no code counts twice (RFC 6238 section 5.2).
    Column("last_step", Integer, nullable=False, default=0),
    Column("created_at", Float, nullable=False),
    Column("used_at", Float),
)

recovery_codes = Table(
    "recovery_codes",
    metadata,
    Column("digest", String(64), primary_key=True),
    Column("user_id", ForeignKey("users.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("created_at", Float, nullable=False),
    Column("used_at", Float),
)

passkeys = Table(
    "passkeys",
    metadata,
    Column("id", String(22), primary_key=True),
    Column("user_id", ForeignKey("users.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("name", String(64), nullable=False),
    # Base64url, as browsers write it.
    Column("credential_id", String(1400), nullable=False, unique=True),
    # What the authenticator knows the account by, base64url: no address, and no id that is used elsewhere.
    Column("user_handle", String(86), nullable=False),
    Column("public_key", LargeBinary, nullable=False),
    # 32 bits without a sign: more than a PostgreSQL INTEGER holds.
    Column("sign_count", BigInteger, nullable=False, default=0),
    Column("transports", JSON, nullable=False),
    Column("aaguid", String(36), nullable=False, default=""),
    # Whether it may be, and is, copied to the owner's other devices (WebAuthn Level 3 section 6.1.3).
    Column("backup_eligible", Boolean, nullable=False, default=False),
    Column("backed_up", Boolean, nullable=False, default=False),
    # Whether it can sign in by itself, without an address being named.
    Column("discoverable", Boolean, nullable=False, default=False),
    Column("created_at", Float, nullable=False),
    Column("used_at", Float),
)
