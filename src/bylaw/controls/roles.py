"""Roles: what a role may do is written in the policy, and every route says what it asks for.

Threat: a route that nobody guards, a role chosen by the client, a check that trusts an old claim
(OWASP A01:2025). Mechanism: a route without an access rule does not start; roles are read from the
store, never from a request; a change reaches every process by the revocation feed. Source: ASVS
5.0.0 8.2.1, 8.2.2, 8.3.1, 8.3.2; RFC 9110 sections 11.6.1 and 15.5.4.
It does not know who owns an object: the operation says so (`who.demand(permission, owner=...)`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from pydantic import Field

from bylaw import control
from bylaw.control import Conflict, Control
from bylaw.identity import FORBIDDEN, UNAUTHENTICATED
from bylaw.policy import Policy
from bylaw.reasons import Reason

UNDECLARED = Reason(
    "roles.undeclared",
    500,
    "This cannot be answered.",
    "A route answered without anybody having asked its access rule: it was added after start-up, or "
    "by a layer around the framework. Its answer was withheld. Declare it, and start again.",
)
LAST_ADMIN = Reason(
    "roles.last_administrator",
    409,
    "The last administrator cannot be taken away.",
    "The change would leave nobody who may manage users. Make somebody else an administrator first.",
)
NO_SUCH_ROLE = Reason(
    "roles.unknown",
    422,
    "There is no such role.",
    "The role is not in the policy's [roles]. Roles are added there, never by a request.",
)

MANAGE_USERS: Final = "user:manage"
"""What administration pages and operations ask for. Not a `:read`, so that `*:read` never grants it."""

_PATTERN = re.compile(r"\*|[a-z][a-z0-9_-]*:(\*|[a-z][a-z0-9_-]*)(:own)?|\*:[a-z][a-z0-9_-]*")


class Settings(control.Settings, extra="allow"):
    """Roles by name, each a list of permissions: `noun:verb`, with `*` for either or both."""

    __pydantic_extra__: dict[str, tuple[str, ...]] = Field(init=False)

    @property
    def grants(self) -> dict[str, tuple[str, ...]]:
        """Permission patterns by role."""
        return self.__pydantic_extra__


def known(policy: Policy, role: str) -> bool:
    return role in policy.of(Settings).grants


def _conflicts(policy: Policy) -> Iterable[Conflict]:
    for role, patterns in policy.of(Settings).grants.items():
        for index, pattern in enumerate(patterns):
            if not _PATTERN.fullmatch(pattern):
                yield Conflict(f"roles.{role}.{index}", f"{pattern!r} is not a permission",
                               '"noun:verb", "noun:*", "*:verb", "noun:verb:own" or "*"')


def _statement(policy: Policy) -> list[str]:
    grants = policy.of(Settings).grants
    rows = [f"- `{role}`: {_spoken(patterns)}" for role, patterns in sorted(grants.items())]
    return [
        "Every route declares who may call it; one that does not refuses to start. Whoever is not "
        f"signed in gets {UNAUTHENTICATED.status}, whoever lacks the permission "
        f"{FORBIDDEN.status}, and the refusal is recorded.",
        "Roles come from the database alone; a change holds at the next request.",
        "\n".join(rows) if rows else "No roles are declared: only public routes answer.",
    ]


def _spoken(patterns: Iterable[str]) -> str:
    listed = ", ".join(f"`{pattern}`" for pattern in patterns)
    return "everything" if listed == "`*`" else listed or "nothing"


CONTROL = Control(
    name="roles",
    title="Roles and access",
    settings=Settings,
    statement=_statement,
    reasons=(UNAUTHENTICATED, FORBIDDEN, UNDECLARED, LAST_ADMIN, NO_SUCH_ROLE),
    conflicts=_conflicts,
    requirements=("S1-027", "S1-028", "S1-029", "S1-030", "S1-032", "S1-033", "C-08", "C-22"),
    asvs=("8.2.1", "8.2.2", "8.3.1", "8.3.2"),
)
