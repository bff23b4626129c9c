"""The tables. What they mean is in the controls; how they came to be, in `migrations/`.

They refer to each other, so whoever needs one gets them all: from here.
"""

from __future__ import annotations

from bylaw.store.tables.base import metadata
from bylaw.store.tables.bearers import access_tokens, api_keys, refresh_tokens, token_families
from bylaw.store.tables.entering import devices, failures, revocations, sessions
from bylaw.store.tables.importing import import_claims, import_mappings, import_notes, imports
from bylaw.store.tables.mail import (
    email_confirmations,
    mail_counts,
    outbox,
    password_resets,
    reset_requests,
    unlock_links,
)
from bylaw.store.tables.people import role_assignments, users
from bylaw.store.tables.proofs import ceremonies, federated_accounts, passkeys, recovery_codes, totp_secrets
from bylaw.store.tables.record import audit_log
from bylaw.store.tables.stored import files

__all__ = [
    "access_tokens",
    "api_keys",
    "audit_log",
    "ceremonies",
    "devices",
    "email_confirmations",
    "failures",
    "federated_accounts",
    "files",
    "import_claims",
    "import_mappings",
    "import_notes",
    "imports",
    "mail_counts",
    "metadata",
    "outbox",
    "passkeys",
    "password_resets",
    "recovery_codes",
    "refresh_tokens",
    "reset_requests",
    "revocations",
    "role_assignments",
    "sessions",
    "token_families",
    "totp_secrets",
    "unlock_links",
    "users",
]
