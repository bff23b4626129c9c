"""Audit: who did what to what, when, from where, and with what outcome.

Threat: a change that nobody can explain, a record that somebody can edit (OWASP A09:2025).
Mechanism: a row is written in the transaction of the change it records, so that neither is there
without the other; what a request brings is one printable line; secrets in old and new values are
masked; the database itself refuses to change or delete a row. Source: OWASP Logging Vocabulary,
ASVS 5.0.0 16.2 to 16.4; S1-111 to S1-114.
It does not record reading, but for files and exports, and does not yet show that whoever may change the
schema has changed a row.
"""

from __future__ import annotations

import logging
import math
import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from sqlalchemy import Connection

from bylaw import control
from bylaw.control import Conflict, Control
from bylaw.controls.audit import probes, sabotages
from bylaw.exchange import Exchange, current
from bylaw.house import House
from bylaw.identity import API_KEY, Identity
from bylaw.policy import Policy
from bylaw.store import audit as store

log = logging.getLogger("bylaw.audit")

MASK: Final = "•••"
_SECRET: Final = re.compile(
    r"passw(or)?d|passphrase|pwd|secret|token|apikey|privatekey|hash|authorization|cookie|credential"
    r"|otp|recoverycode|sessionid"
)
"""Words in a field's name, written in one (`api-key`, `apiKey` and `api_key` are all `apikey`)."""
_LOGGED: Final = {
    "authn_login_success": "login",
    "authn_login_fail": "login",
    "session_logout": "logout",
}
"""What is in the log as well, by the name that it has there (S3-070)."""


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
    # Whoever acts as somebody else is named beside him, whichever of the two the caller named.
    acting = actor if isinstance(actor, Identity) else exchange.identity if exchange is not None else None
    roles = sorted(actor.roles) if isinstance(actor, Identity) else []
    if isinstance(actor, Identity) and actor.method == API_KEY:
        roles = [f"{API_KEY} {actor.session}"]  # it bears no role; which of the owner's keys it was counts
    agent = exchange.headers.all("user-agent") if exchange is not None else []
    store.add(
        connection,
        {
            "timestamp": datetime.fromtimestamp(house.now(), UTC),
            "user_id": who or None,
            "acting": acting.acting or None if acting is not None else None,
            "actor_role": ",".join(roles)[:120],
            "action": printable(action, 80),
            "outcome": printable(outcome, 16),
            "entity_type": printable(entity_type, 80),
            "entity_id": printable(str(entity_id), 80),
            "ip_address": printable(exchange.client, 64) if exchange is not None else "",
            "user_agent": printable(agent[0], 256) if agent else "",
            "request_id": printable(exchange.request_id, 64) if exchange is not None else "",
            "changes": masked(changes or {}),
        },
    )
    if action in _LOGGED:
        _log(house, _LOGGED[action], outcome, who or None, exchange)


def _log(house: House, action: str, outcome: str, user_id: str | None, exchange: Exchange | None) -> None:
    """Who signed in or out, for whoever reads the log. Never the name that was typed: it may be the
    password, in the wrong field."""
    log.info(
        "user authentication",
        extra={
            "user_id": user_id,
            "action": action,
            "outcome": printable(outcome, 16),
            "ip_address": printable(exchange.client, 64) if exchange is not None else "",
            "timestamp": datetime.fromtimestamp(house.now(), UTC).isoformat(),
        },
    )


def masked(value: Any, key: str = "") -> Any:
    """`value` as JSON can hold it, without what is named like a secret."""
    if _SECRET.search(re.sub(r"[^a-z]", "", key.lower())):
        return {"old": MASK, "new": MASK} if isinstance(value, Mapping) else MASK
    if isinstance(value, Mapping):
        return {_storable(str(name)): masked(held, str(name)) for name, held in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [masked(item) for item in value]
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float) and math.isfinite(value):
        return value
    return _storable(str(value))


def _storable(text: str) -> str:
    """Text that every database takes: no NUL and no lone surrogates. Line breaks are values."""
    return re.sub(r"[\x00\ud800-\udfff]", "?", text)


def printable(text: str, limit: int) -> str:
    """Text from a request as one line of a record: no control characters, not endless."""
    return "".join(c if c.isprintable() else "?" for c in text[:limit])


def _conflicts(policy: Policy) -> Iterable[Conflict]:
    if policy.of(Settings).off:
        yield Conflict("audit.off", "changes would leave no record", "leave the key out")


def _statement(policy: Policy) -> list[str]:
    return [
        (
            "Signing in and out, failures, refusals, accounts, roles and every change of the "
            "application's data are recorded in `audit_log`: who (user, role), what (action, entity, old "
            "and new values), when (UTC), from where (address, user agent), with what outcome and under "
            "which request id."
        ),
        (
            "A record is written in the transaction of its change: neither is there without the other. "
            "Secrets in it are masked, and what a request brings is one printable line."
        ),
        "The database refuses to change or delete a record.",
        (
            "A table that leaves by `export` is recorded with its rows and filter before its last piece "
            "leaves. No text in it runs in a spreadsheet program."
        ),
    ]


CONTROL = Control(
    name="audit",
    title="Audit log",
    settings=Settings,
    statement=_statement,
    probes=probes.PROBES,
    sabotages=sabotages.SABOTAGES,
    conflicts=_conflicts,
    requirements=("S1-088", "S1-111", "S1-112", "S1-113", "S1-114", "S3-066", "S3-067", "S3-069"),
    asvs=("1.2.10", "16.2.1", "16.2.2", "16.2.5", "16.3.1", "16.3.2", "16.4.1", "16.4.2"),
)
