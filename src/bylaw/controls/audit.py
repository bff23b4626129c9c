"""Audit: who did what to what, when, from where, and with what outcome.

Threat: a change that nobody can explain, a record that somebody can edit (OWASP A09:2025).
Mechanism: a row is written in the transaction of the change it records, so that neither is there
without the other; secrets in old and new values are masked; the database itself refuses to change
or delete a row. Source: OWASP Logging Vocabulary, ASVS 5.0.0 16.2 and 16.3; S1-111 to S1-114.
It does not yet show that a database administrator has changed a row.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from sqlalchemy import Connection

from bylaw import control
from bylaw.control import Control
from bylaw.exchange import current
from bylaw.house import House
from bylaw.identity import Identity
from bylaw.policy import Policy
from bylaw.store import audit as store

MASK: Final = "•••"
_SECRET_WORDS: Final = ("password", "secret", "token", "api_key", "apikey", "hash", "authorization",
                        "cookie", "private_key")


class Settings(control.Settings):
    """What is recorded. There is nothing to choose: what changes is recorded."""


def record(
    house: House,
    connection: Connection,
    *,
    action: str,
    actor: Identity | str | None = None,
    outcome: str = "success",
    entity_type: str = "",
    entity_id: str = "",
    changes: Mapping[str, Any] | None = None,
) -> None:
    """Write a record in the transaction of what it records.

    `action` is a word of the OWASP Logging Vocabulary (`authn_login_success`) or the application's
    own (`update`). `actor` defaults to whoever makes the current request. `changes` maps a field to
    `{"old": …, "new": …}`; fields that are named like secrets are masked.
    """
    exchange = current()
    if actor is None and exchange is not None:
        actor = exchange.identity
    who = actor.id if isinstance(actor, Identity) else actor
    roles = sorted(actor.roles) if isinstance(actor, Identity) else []
    agent = exchange.headers.all("user-agent") if exchange is not None else []
    store.add(connection, {
        "timestamp": datetime.fromtimestamp(house.now(), UTC),
        "user_id": who or None,
        "actor_role": ",".join(roles)[:120],
        "action": action[:80],
        "outcome": outcome,
        "entity_type": entity_type[:80],
        "entity_id": str(entity_id)[:80],
        "ip_address": exchange.peer if exchange is not None else "",
        "user_agent": printable(agent[0], 256) if agent else "",
        "request_id": exchange.request_id if exchange is not None else "",
        "changes": masked(changes or {}),
    })


def masked(value: Any, key: str = "") -> Any:
    """`value` as JSON can hold it, without what is named like a secret."""
    if key and any(word in key.lower() for word in _SECRET_WORDS):
        return {"old": MASK, "new": MASK} if isinstance(value, Mapping) else MASK
    if isinstance(value, Mapping):
        return {str(k): masked(v, str(k)) for k, v in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [masked(item) for item in value]
    if value is None or isinstance(value, bool | int | float | str):
        return value
    return str(value)


def printable(text: str, limit: int) -> str:
    """Text from a request as one line of a record: no control characters, not endless."""
    return "".join(c if c.isprintable() else "?" for c in text[:limit])


def _statement(policy: Policy) -> list[str]:
    return [
        "Signing in and out, failures, refusals, accounts, roles and every change of the "
        "application's data are recorded in `audit_log`: who (user, role), what (action, entity, old "
        "and new values), when (UTC), from where (address, user agent), with what outcome and under "
        "which request id.",
        "A record is written in the transaction of its change; secrets in it are masked.",
        "The database refuses to change or delete a record.",
    ]


CONTROL = Control(
    name="audit",
    title="Audit log",
    settings=Settings,
    statement=_statement,
    requirements=("S1-111", "S1-112", "S1-113", "S1-114", "S3-066", "S3-067"),
    asvs=("16.2.1", "16.2.2", "16.2.5", "16.3.1", "16.3.2"),
)
