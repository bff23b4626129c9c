"""Roles: what a role may do is written in the policy, and every route says what it asks for.

Threat: a route that nobody guards, a role chosen by the client, a manager who makes himself an
administrator, a check that trusts an old claim (OWASP A01:2025). Mechanism: a route without an
access rule does not start; roles are read from the store, never from a request; nobody gives or
takes what he does not hold; a change reaches every process by the revocation feed. Source: ASVS
5.0.0 8.2.1, 8.2.2, 8.3.1, 8.3.2; RFC 9110 sections 11.6.1 and 15.5.4.
It does not know who owns an object: the operation says so (`who.demand(permission, owner=...)`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Final

from pydantic import Field
from sqlalchemy import Connection

from bylaw import control
from bylaw.control import Conflict, Control
from bylaw.controls.roles import probes, sabotages
from bylaw.exchange import Depart, Exchange, Head
from bylaw.house import House
from bylaw.identity import FORBIDDEN, UNAUTHENTICATED, Identity, Permissions, permissions_of
from bylaw.policy import Policy
from bylaw.reasons import Reason, Refused
from bylaw.store import assignments
from bylaw.store.assignments import Assignment
from bylaw.store.users import User

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
    "The change would leave nobody who may manage users, or only people whose role expires. Make somebody "
    "else an administrator first.",
)
NO_SUCH_ROLE = Reason(
    "roles.unknown",
    422,
    "There is no such role.",
    "The role is not in the policy's [roles]. Roles are added there, never by a request.",
)

NO_SUCH_USER = Reason(
    "roles.no_such_user",
    404,
    "There is no such account.",
    "The id or address is nobody's.",
)

ONESELF = Reason(
    "roles.oneself",
    409,
    "Not with your own account: another administrator has to do that.",
    "An administrator cannot shut himself out by mistake, nor take his own second factors or sessions by the "
    "administrators' way, which asks for less than the account's own pages.",
)
HAS_NOTHING = Reason(
    "roles.nothing_to_do",
    409,
    "There is nothing that this could change.",
    "The account is disabled, or has none of what was to be removed. Look at it once more.",
)
NO_IMPERSONATION = Reason(
    "roles.no_impersonation",
    409,
    "Signing in as somebody else is switched off.",
    "The policy does not have [sessions] impersonation = true.",
)
NOT_AS = Reason(
    "roles.not_as",
    409,
    "Nobody signs in as this account.",
    "It is one's own, disabled, or that of somebody who manages users or may sign in as others.",
)

BAD_SCOPE = Reason(
    "roles.bad_scope",
    422,
    "That is no object that a role can be given for.",
    "An object is named by its kind and its number or key, as the application names it: `planning:17`.",
)
BAD_EXPIRY = Reason(
    "roles.bad_expiry",
    422,
    "A role cannot end then.",
    "The moment at which it is to end is past, further than ten years away, or no moment.",
)
NO_PERMISSION = Reason(
    "roles.no_permission",
    422,
    "That is no permission.",
    "A permission is a noun and a verb, `note:read`: what a route or an operation asks for, no wildcards.",
)
OUTLASTS = Reason(
    "roles.outlasts",
    403,
    "You cannot give this role for longer than you hold it yourself.",
    "Whoever holds a role for a time could otherwise make himself its holder for ever. Choose an earlier "
    "end.",
)

CHALLENGE: Final = 'Session realm="app"'
"""What a 401 must carry (RFC 9110 section 11.6.1): what is asked for is the cookie of a session."""
MANAGE_USERS: Final = "user:manage"
"""What administration pages and operations ask for. Not a `:read`, so that `*:read` never grants it."""
IMPERSONATE: Final = "user:impersonate"
"""What signing in as somebody else asks for, besides the policy's word for it."""

_NAME = re.compile(r"[a-z][a-z0-9_-]{0,63}")
_ASKED = re.compile(r"[a-z][a-z0-9_-]*:[a-z][a-z0-9_-]*")
_PATTERN = re.compile(r"\*|[a-z][a-z0-9_-]*:(\*|[a-z][a-z0-9_-]*)(:own)?|\*:[a-z][a-z0-9_-]*")


class Settings(control.Settings, extra="allow"):
    """Roles by name, each a list of permissions: `noun:verb`, with `*` for either or both."""

    __pydantic_extra__: dict[str, tuple[str, ...]] = Field(init=False)

    @property
    def grants(self) -> dict[str, tuple[str, ...]]:
        """Permission patterns by role."""
        return self.__pydantic_extra__


def holding(house: House, who: Identity, held: Iterable[Assignment]) -> Identity:
    """`who` with what these assignments give: everywhere, and within single objects."""
    held = tuple(held)
    grants = house.policy.of(Settings).grants
    everywhere = assignments.everywhere(held)
    return replace(
        who,
        roles=everywhere,
        permissions=permissions_of(everywhere, grants),
        scoped=scoped(grants, held),
        clock=house.ports.clock,
    )


def scoped(grants: Mapping[str, Iterable[str]], held: Iterable[Assignment]) -> dict[str, Permissions]:
    """What somebody may do within single objects, by the object's name."""
    by_scope: dict[str, set[str]] = {}
    for each in held:
        if each.scope:
            by_scope.setdefault(each.scope, set()).add(each.role)
    return {scope: permissions_of(roles, grants) for scope, roles in by_scope.items()}


def until(ends_at: float, held: Iterable[Assignment]) -> float:
    """How long what is remembered of somebody is true: until it ends, or the first of his roles expires."""
    return min([ends_at, *(each.expires_at for each in held if each.expires_at is not None)])


def is_permission(text: str) -> bool:
    """Whether it is what a route or an operation can ask for."""
    return len(text) <= 130 and _ASKED.fullmatch(text) is not None


def is_pattern(text: str) -> bool:
    """Whether it is a permission, or a pattern of permissions, as roles and API keys hold them."""
    return len(text) <= 130 and _PATTERN.fullmatch(text) is not None


def known(policy: Policy, role: str) -> bool:
    """Whether the policy has such a role. Case counts: `Admin` in a table is nobody."""
    return role in policy.of(Settings).grants


def demand_no_less(house: House, by: Identity, touched: Iterable[str], *, within: str = "") -> None:
    """Go on only where `by` may do all that the roles `touched` may, everywhere or `within` one object.
    Raises Refused.

    Whoever may manage users could otherwise make himself more than he is, or shut out his betters.
    """
    grants = house.policy.of(Settings).grants
    for pattern in {pattern for role in touched for pattern in grants.get(role, ())}:
        if not (by.may(pattern, within=within) or by.may(pattern.removesuffix(":own"), within=within)):
            raise Refused(FORBIDDEN)


def demand_no_less_than(house: House, by: Identity, held: Iterable[Assignment]) -> None:
    """The same against all that somebody holds, what holds within one object too. Raises Refused."""
    for each in held:
        demand_no_less(house, by, [each.role], within=each.scope)


def managing(policy: Policy) -> list[str]:
    """The roles that may manage users."""
    grants = policy.of(Settings).grants
    return [role for role in grants if permissions_of([role], grants).allow(MANAGE_USERS)]


def administers(house: House, user: User, held: Iterable[Assignment]) -> bool:
    """Whether an account that holds this is one of those who manage users, of whom the last one stays: a
    person, for good. One whose role expires does not count: a day would come on which there is nobody."""
    lasting = {each.role for each in held if not each.scope and each.expires_at is None}
    return user.disabled_at is None and not user.service and not lasting.isdisjoint(managing(house.policy))


def keep_an_administrator(house: House, connection: Connection, before: bool) -> None:
    """Refuse the change of an account that leaves nobody to manage users: the transaction is undone. `before`
    says whether it was an administrator's until then.

    To be asked after the change, in a transaction that began with `users.one_at_a_time`: two that
    demote each other at the same moment would each still see the other.
    """
    roles = managing(house.policy)
    if before and not any(assignments.with_role(connection, role, lasting=True) for role in roles):
        raise Refused(LAST_ADMIN)


def _depart(house: House) -> Depart:
    def depart(exchange: Exchange, head: Head) -> None:
        """The challenge on every 401, whoever answered it: frameworks leave it out (C-37)."""
        if head.status == 401 and head.get("www-authenticate") is None:
            head.set("www-authenticate", CHALLENGE)

    return depart


def _conflicts(policy: Policy) -> Iterable[Conflict]:
    settings = policy.of(Settings)
    if settings.off:
        yield Conflict("roles.off", "nobody could be let in or kept out", "leave the key out")
    for role, patterns in settings.grants.items():
        if not _NAME.fullmatch(role):
            yield Conflict(
                f"roles.{role}",
                f"{role!r} is not a role's name",
                "lower-case letters, digits, _ and -, at most 64, a letter first",
            )
        for index, pattern in enumerate(patterns):
            if not _PATTERN.fullmatch(pattern):
                yield Conflict(
                    f"roles.{role}.{index}",
                    f"{pattern!r} is not a permission",
                    '"noun:verb", "noun:*", "*:verb", "noun:verb:own" or "*"',
                )


def _statement(policy: Policy) -> list[str]:
    grants = policy.of(Settings).grants
    rows = [f"- `{role}`: {_spoken(patterns)}" for role, patterns in sorted(grants.items())]
    return [
        (
            "Every route declares who may call it; one that does not refuses to start. Whoever is not "
            f"signed in gets {UNAUTHENTICATED.status}, whoever lacks the permission "
            f"{FORBIDDEN.status}, and the refusal is recorded."
        ),
        "Roles come from the database alone; a change holds at the next request.",
        (
            "A role can be given until a moment, at which it is gone, and for one object alone: then it "
            "opens no route but those that say that they are about that object. Who gave it, when and why "
            "is kept, also after it has ended, and who has what can be reviewed and exported."
        ),
        (
            "Whoever manages users gives and takes no more than his own roles hold, nor for longer, does "
            "nothing to somebody who may more, shows once more who he is before a change, and says why for "
            "what cannot be taken back. The last one who may manage users for good cannot be taken away. No "
            "administrator sees a password."
        ),
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
    reasons=(
        UNAUTHENTICATED,
        FORBIDDEN,
        UNDECLARED,
        LAST_ADMIN,
        NO_SUCH_ROLE,
        NO_SUCH_USER,
        ONESELF,
        HAS_NOTHING,
        NO_IMPERSONATION,
        NOT_AS,
        BAD_SCOPE,
        BAD_EXPIRY,
        OUTLASTS,
        NO_PERMISSION,
    ),
    steps={"depart": _depart},
    probes=probes.PROBES,
    sabotages=sabotages.SABOTAGES,
    conflicts=_conflicts,
    requirements=(
        "S1-027",
        "S1-028",
        "S1-029",
        "S1-030",
        "S1-031",
        "S1-032",
        "S1-033",
        "S3-019",
        "S3-020",
        "S3-021",
        "S3-022",
        "S3-023",
        "S3-024",
        "S3-025",
        "S2-044",
        "C-08",
        "C-22",
        "C-37",
    ),
    asvs=("8.2.1", "8.2.2", "8.3.1", "8.3.2"),
)
