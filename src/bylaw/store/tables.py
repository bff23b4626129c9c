"""The tables. What they mean is in the controls; how they came to be, in `migrations/`."""

from __future__ import annotations

import unicodedata
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
)

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_name)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
    }
)


def name_key(name: str) -> str:
    """A name as it is searched for."""
    letters = unicodedata.normalize("NFKD", name.casefold())
    return "".join(c for c in letters if not unicodedata.combining(c))[:240]


users = Table(
    "users",
    metadata,
    Column("id", String(36), primary_key=True),
    # Compared and ordered by its bytes in every database: pages of a listing follow each other, and what
    # begins alike is found with the index, whatever the database's language.
    Column(
        "email",
        String(254).with_variant(String(254, collation="C"), "postgresql"),
        nullable=False,
        unique=True,
    ),
    Column("name", String(120), nullable=False, default=""),
    # The name as it is searched for: without case and accents, which no database folds like another.
    Column(
        "name_key",
        String(240).with_variant(String(240, collation="C"), "postgresql"),
        nullable=False,
        default=lambda context: name_key(context.get_current_parameters().get("name") or ""),
    ),
    Column("password_hash", String(512)),
    # The counter of standing: a credential that bears an older number is dead.
    Column("epoch", Integer, nullable=False, default=1),
    Column("created_at", Float, nullable=False),
    Column("disabled_at", Float),
    # When the address was shown to be the owner's; null: nobody has shown it yet.
    Column("confirmed_at", Float),
    # The rules that the password was judged by when it was set (see passwords); empty: by none.
    Column("password_rules", String(120), nullable=False, default=""),
    # An administrator wants another password: the next sign-in asks for one.
    Column("renew_password", Boolean, nullable=False, default=False),
    # Set: no person but a service, which has keys alone; this is the mail address of who answers for it.
    Column("contact", String(254)),
)

# What an administrator looks for: names, and who cannot sign in (see store.users.page).
Index("ix_users_name_key", users.c.name_key, users.c.email)
for _name, _column in (
    ("disabled", users.c.disabled_at.is_not(None)),
    ("unconfirmed", users.c.confirmed_at.is_(None)),
    ("service", users.c.contact.is_not(None)),
):
    Index(f"ix_users_{_name}", users.c.email, sqlite_where=_column, postgresql_where=_column)

role_assignments = Table(
    "role_assignments",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("user_id", ForeignKey("users.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("role", String(64), nullable=False),
    # Empty: everywhere. Otherwise one object, as the application names it: `planning:17`.
    Column("scope", String(120), nullable=False, default=""),
    Column("granted_by", String(36)),
    Column("granted_at", Float, nullable=False),
    Column("because", String(500), nullable=False, default=""),
    Column("expires_at", Float),
    # Ended, not deleted: what somebody held on a day can be told afterwards.
    Column("ended_at", Float),
    Column("ended_by", String(36)),
    # Which roles there are is the policy's to say; what no role can be called never gets in (S3-024).
    CheckConstraint("role <> '' AND role = lower(trim(role))", name="role"),
    CheckConstraint("scope = trim(scope)", name="scope"),
    CheckConstraint("expires_at > granted_at", name="expires_at"),
    Index("ix_role_assignments_role", "role", "user_id"),
)

Index(
    "uq_role_assignments_held",
    role_assignments.c.user_id,
    role_assignments.c.role,
    role_assignments.c.scope,
    unique=True,
    sqlite_where=role_assignments.c.ended_at.is_(None),
    postgresql_where=role_assignments.c.ended_at.is_(None),
)

sessions = Table(
    "sessions",
    metadata,
    # SHA-256 of the cookie's value: a copy of this table opens nothing (C-40).
    Column("digest", String(64), primary_key=True),
    # What people and administrators see; it opens nothing either.
    Column("id", String(22), nullable=False, unique=True),
    Column("user_id", ForeignKey("users.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("epoch", Integer, nullable=False),
    Column("method", String(64), nullable=False),
    Column("authenticated_at", Float, nullable=False),
    Column("created_at", Float, nullable=False),
    Column("seen_at", Float, nullable=False),
    Column("expires_at", Float, nullable=False, index=True),
    Column("address", String(64), nullable=False, default=""),
    Column("agent", String(256), nullable=False, default=""),
    # The user's privileges have changed: give the session a new id at its next use.
    Column("renew", Boolean, nullable=False, default=False),
    # How many factors were shown, by which `authenticated_at` says when (NIST SP 800-63B-4: AAL1, AAL2).
    Column("assurance", Integer, nullable=False, default=1),
    # What is still to be done before anybody is signed in, in this order (see sessions.OWED).
    Column("owes", String(64), nullable=False, default=""),
    # The administrator who acts as this user, null where the user himself does.
    Column("acting", String(36)),
    # The access token that opened it: what ends the one ends the other.
    Column("credential", String(22), index=True),
)

Index(
    "ix_sessions_acting",
    sessions.c.acting,
    sqlite_where=sessions.c.acting.is_not(None),
    postgresql_where=sessions.c.acting.is_not(None),
)

revocations = Table(
    "revocations",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("user_id", String(36), nullable=False),
    # Set: this session only. Null: whatever the user holds.
    Column("digest", String(64)),
    Column("at", Float, nullable=False, index=True),
)

audit_log = Table(
    "audit_log",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("timestamp", DateTime(timezone=True), nullable=False),
    Column("user_id", String(36)),
    # The administrator who acted as this user, null where the user himself did.
    Column("acting", String(36)),
    Column("actor_role", String(120), nullable=False, default=""),
    Column("action", String(80), nullable=False),
    Column("outcome", String(16), nullable=False, default="success"),
    Column("entity_type", String(80), nullable=False, default=""),
    Column("entity_id", String(80), nullable=False, default=""),
    Column("ip_address", String(64), nullable=False, default=""),
    Column("user_agent", String(256), nullable=False, default=""),
    Column("request_id", String(64), nullable=False, default=""),
    Column("changes", JSON, nullable=False),
)
# A history is read from its end, a page at a time: each index holds the rows in their order.
Index("ix_audit_log_user", audit_log.c.user_id, audit_log.c.id)
Index("ix_audit_log_acting", audit_log.c.acting, audit_log.c.id)
Index("ix_audit_log_entity", audit_log.c.entity_type, audit_log.c.entity_id, audit_log.c.id)

outbox = Table(
    "outbox",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("recipient", String(254), nullable=False),
    Column("subject", String(200), nullable=False),
    # Encrypted with a key derived from the application's secret: a copy of this table holds no link.
    Column("text", Text, nullable=False),
    # One for all attempts: whoever gets the message twice can see that it is one.
    Column("message_id", String(120), nullable=False, default=""),
    Column("created_at", Float, nullable=False),
    Column("attempts", Integer, nullable=False, default=0),
    # When it may be tried (again); while somebody is sending it, when he is thought to have died.
    Column("due_at", Float, nullable=False, default=0.0, index=True),
    # Whether somebody was sending it when he was last heard of.
    Column("claimed", Boolean, nullable=False, default=False),
)

mail_counts = Table(
    "mail_counts",
    metadata,
    # A keyed hash of the recipient and the kind of mail: this table tells nobody who got what.
    Column("key", String(32), primary_key=True),
    # When the recipient's budget is whole again (GCRA, as in `failures`).
    Column("at", Float, nullable=False, index=True),
)


def _links(name: str, *more: Column[Any]) -> Table:
    """Secrets that were mailed as links: SHA-256 alone is kept, each opens one thing once (C-40)."""
    return Table(
        name,
        metadata,
        Column("digest", String(64), primary_key=True),
        Column("user_id", ForeignKey("users.id", ondelete="CASCADE"), nullable=False, index=True),
        Column("created_at", Float, nullable=False),
        Column("expires_at", Float, nullable=False, index=True),
        *more,
    )


password_resets = _links(
    "password_resets",
    # Who asked: `reset` the owner, `invitation` an administrator for an account that has no password yet.
    Column("purpose", String(16), nullable=False, default="reset"),
)

reset_requests = Table(
    "reset_requests",
    metadata,
    # Somebody has asked for a link: a chore mails it, so that asking is the same work for every address.
    Column("id", Integer, primary_key=True, autoincrement=True),
    # Null where the address is nobody's.
    Column("user_id", String(36)),
    Column("asked_at", Float, nullable=False, index=True),
)

email_confirmations = _links(
    "email_confirmations",
    # The address that the link was sent to: the account's own, or the one that it is to have.
    Column("email", String(254), nullable=False),
)

unlock_links = _links("unlock_links")

devices = Table(
    "devices",
    metadata,
    # SHA-256 of the number in the device's cookie together with its account (see lockout).
    Column("digest", String(64), primary_key=True),
    # What people see; it opens nothing.
    Column("id", String(22), nullable=False, unique=True),
    Column("user_id", ForeignKey("users.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("agent", String(256), nullable=False, default=""),
    Column("address", String(64), nullable=False, default=""),
    Column("created_at", Float, nullable=False),
    Column("seen_at", Float, nullable=False),
)

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

failures = Table(
    "failures",
    metadata,
    # A keyed hash of whose failures they are (an account's, a device's, an address's): this table tells
    # nobody who was attacked, nor from where.
    Column("key", String(32), primary_key=True),
    # The key of the account that they are about; empty where they are an address's.
    Column("account", String(32), nullable=False, default="", index=True),
    Column("failures", Integer, nullable=False, default=0),
    # An account's and a device's: when the last was counted. An address's: when its budget is whole again
    # (and `failures` is 1 once it was used up, until then).
    Column("at", Float, nullable=False, index=True),
)


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

files = Table(
    "files",
    metadata,
    # Also the name under which storage keeps it: nothing of what somebody called it is in there.
    Column("id", String(22), primary_key=True),
    # What it belongs to, in the application's words (`process:17`); empty until the transaction that needs it
    # has said so: what stays empty is swept.
    Column("subject", String(120), nullable=False, default="", index=True),
    Column("user_id", ForeignKey("users.id", ondelete="SET NULL"), index=True),
    # As people called it, cleaned: for showing, never for a path.
    Column("name", String(255), nullable=False),
    Column("kind", String(16), nullable=False),
    Column("size", BigInteger, nullable=False),
    # SHA-256 of what is stored: what is read later must still be that.
    Column("digest", String(64), nullable=False),
    # `held` until a scanner has said that it is clean, `clean`, `refused`, `removed`.
    Column("state", String(16), nullable=False, index=True),
    # The scanner's own words for its version and signatures; empty where none looked.
    Column("scanned_by", String(120), nullable=False, default=""),
    Column("scanned_at", Float),
    # Whoever scans it again has it until then; where that failed, nobody tries before.
    Column("claimed_until", Float),
    Column("because", String(200), nullable=False, default=""),
    Column("width", Integer),
    Column("height", Integer),
    Column("created_at", Float, nullable=False, index=True),
    Column("attached_at", Float),
    Column("removed_at", Float),
    Column("removed_by", String(36)),
)

imports = Table(
    "imports",
    metadata,
    Column("id", String(22), primary_key=True),
    # The application's name for what is imported, and the file that it comes from.
    Column("importer", String(64), nullable=False),
    Column("user_id", ForeignKey("users.id", ondelete="SET NULL")),
    # The administrator who acted as this user, and what an API key narrowed him to: both hold for the worker.
    Column("acting", String(36)),
    Column("scopes", JSON),
    Column("file_id", String(22), nullable=False),
    Column("name", String(255), nullable=False),
    Column("kind", String(16), nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("digest", String(64), nullable=False),
    # open, checking, running, done, failed, cancelled (see store.imports).
    Column("state", String(16), nullable=False, index=True),
    # `all` or `good`: all rows or none, or the good ones.
    Column("mode", String(8), nullable=False, default="all"),
    # What the person chose: encoding, delimiter, sheet, row of the headings, meaning of the columns, options.
    Column("chosen", JSON, nullable=False),
    # What was seen at the first look: the headings and the beginning of the file.
    Column("seen", JSON, nullable=False),
    # What the last run found: counts, what is noted, where its result is.
    Column("found", JSON, nullable=False),
    # File, meaning of the columns and options as one: the same again changes nothing.
    Column("fingerprint", String(64), nullable=False, default=""),
    # Records that are committed: after a crash the next worker goes on behind them.
    Column("done", Integer, nullable=False, default=0),
    # Where a run is, for people to look at: it decides nothing.
    Column("at_row", Integer, nullable=False, default=0),
    Column("rows", Integer),
    Column("because", String(500), nullable=False, default=""),
    Column("created_at", Float, nullable=False),
    Column("changed_at", Float, nullable=False, index=True),
    Column("started_at", Float),
    Column("finished_at", Float),
    # Somebody wants it ended: the worker sees it between two batches.
    Column("cancel_at", Float),
    Index("ix_imports_user", "user_id", "created_at"),
)

import_claims = Table(
    "import_claims",
    metadata,
    # Apart from `imports`: a worker holds this row for as long as its transaction lasts, and whoever cancels
    # or looks on must not wait for it.
    Column("import_id", ForeignKey("imports.id", ondelete="CASCADE"), primary_key=True),
    # One more with each worker that takes it: what an older one still writes is refused (fencing).
    Column("fence", Integer, nullable=False, default=0),
    Column("until", Float, nullable=False, default=0.0),
)

import_notes = Table(
    "import_notes",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("import_id", ForeignKey("imports.id", ondelete="CASCADE"), nullable=False),
    # `error`: cannot be taken; `skipped`: no record, and why.
    Column("kind", String(8), nullable=False),
    Column("row", Integer, nullable=False),
    Column("column", String(120), nullable=False, default=""),
    Column("value", String(120), nullable=False, default=""),
    Column("said", String(300), nullable=False),
    Index("ix_import_notes_import", "import_id", "kind", "id"),
)

import_mappings = Table(
    "import_mappings",
    metadata,
    # What somebody said that the columns with these headings mean.
    Column("user_id", ForeignKey("users.id", ondelete="CASCADE"), primary_key=True),
    Column("importer", String(64), primary_key=True),
    Column("headings", String(64), primary_key=True),
    Column("columns", JSON, nullable=False),
    Column("used_at", Float, nullable=False),
)
