"""What the audit log says, in a sentence, for people: what is not known by name is told as it is."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC
from typing import Any, Final

from bylaw.controls import email

SAID: Final = {
    "api_key_created": "made an API key",
    "api_key_refused": "was refused with an API key",
    "api_key_revoked": "revoked an API key",
    "api_key_rotated": "rotated an API key",
    "access_reviewed": "reviewed who has access",
    "authn_login_success": "signed in",
    "authn_login_fail": "failed to sign in",
    "authn_login_fail_max": "gave so many wrong passwords that the account was shut",
    "authn_login_lock": "gave so many wrong passwords that signing in takes longer",
    "authn_login_unlock": "unlocked signing in",
    "authn_login_unlock_mail": "was mailed a link to sign in in spite of wrong passwords",
    "authn_password_change": "set a new password",  # nosec B105  # no secret: words
    "authn_password_change_fail": "failed to change the password",  # nosec B105  # no secret: words
    "authn_password_reset": "set a new password by a mailed link",  # nosec B105  # no secret: words
    "authn_password_reset_ask": "asked for a link to choose a new password",  # nosec B105  # no secret: words
    "authn_password_reset_fail": "opened a link to choose a password that had ended",  # nosec B105  # no secret: words
    "authn_password_reset_link": "sent a link to choose a password",  # nosec B105  # no secret: words
    "authn_token_created": "made an access token",  # nosec B105  # no secret: words
    "authn_token_reuse": "used an access token that was revoked",  # nosec B105  # no secret: words
    "authn_token_revoked": "revoked an access token",  # nosec B105  # no secret: words
    "authz_fail": "was refused",
    "import_begun": "began an import",
    "import_cancel": "had an import cancelled",
    "import_cancelled": "cancelled an import",
    "import_discarded": "discarded an import",
    "import_failed": "imported something that could not be taken to its end",
    "import_finished": "imported a table",
    "import_started": "started an import",
    "privilege_permissions_changed": "changed the roles",
    "role_expired": "noted that a role has expired",
    "session_ended": "ended sessions",
    "session_ended_others": "ended all other sessions",
    "session_logout": "signed out",
    "user_created": "made the account",
    "user_disabled": "disabled the account",
    "user_enabled": "enabled the account",
    "user_factors_reset": "removed the second factors",
    "user_impersonated": "signed in as somebody else",
    "user_link_sent": "had a link sent",
    "user_password_renewal": "asked for a new password at the next sign-in",  # nosec B105  # no secret: words
    "user_signup_taken": "tried to sign up with an address that is taken",
    "user_signup_told": "was told of a sign-up with the address",
}
"""What whoever acted did, by the word of the record."""


def sentence(row: Mapping[str, Any]) -> str:
    """One row of a history (see administering.history) as a sentence."""
    action = str(row["action"])
    did = SAID.get(action) or f"{action.replace('_', ' ')}"
    nobody = "The system" if row["actor_role"] == "system" else "Somebody who is not signed in"
    who = _named(row["by"]) or nobody
    if row["acting_as"]:
        who = f"{who}, acting as {_named(row['acting_as'])},"
    about = ""
    if row["about"] and row["about"] not in (row["by"], row["acting_as"]):
        about = f" ({_named(row['about'])})"
    elif row["entity_id"] and row["entity_type"] not in ("user", "session"):
        about = f" ({row['entity_type']} {row['entity_id']})"
    roles = _roles(action, row["changes"])
    reason = row["changes"].get("reason", "") if isinstance(row["changes"], dict) else ""
    return f"{who} {did}{about}{roles}." + (f" Reason: {reason}" if reason else "")


def _named(address: str) -> str:
    """An address for people: what stands for none is its account's id, which the record has, too."""
    return address.removesuffix(email.NOWHERE)


def _roles(action: str, changes: Any) -> str:
    roles = changes.get("roles") if isinstance(changes, dict) else None
    if not isinstance(roles, dict):
        return ""
    old, new = (", ".join(map(str, roles.get(side) or [])) or "none" for side in ("old", "new"))
    return f" with the roles {new}" if action == "user_created" else f" from {old} to {new}"


def as_json(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row for programs: the record as it is, and the sentence."""
    return {
        "id": row["id"],
        "timestamp": row["timestamp"].astimezone(UTC).isoformat(),
        "said": sentence(row),
        "by": row["by"],
        "acting_as": row["acting_as"],
        "about": row["about"],
        **{
            name: row[name]
            for name in (
                "user_id",
                "acting",
                "actor_role",
                "action",
                "outcome",
                "entity_type",
                "entity_id",
                "ip_address",
                "user_agent",
                "request_id",
                "changes",
            )
        },
    }
