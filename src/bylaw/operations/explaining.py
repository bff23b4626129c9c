"""Why somebody may do something, or may not: each permission that has a say in it, from which role, given by
whom, since when, until when and for which object.

Permissions are a union: one that holds is enough, and no role takes away what another gives. So there is no
order to be known, and nothing here that could disagree with `Identity.may` but a mistake, which a property
test looks for. About a day that is past it asks who held which role then; what a role may do is what the
policy says today, and an account counts as enabled but for the time since it was last disabled.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from sqlalchemy import Connection

from bylaw.controls import roles
from bylaw.house import House
from bylaw.identity import Identity, Permissions, permissions_of
from bylaw.operations import accounts
from bylaw.reasons import Refused
from bylaw.store import assignments, bearers, users
from bylaw.store.assignments import Assignment
from bylaw.store.tables import api_keys

Why = Literal["counts", "only for own objects", "only within one object", "expired", "ended", "not given yet"]


@dataclass(frozen=True, slots=True)
class Line:
    """A permission of a role that somebody holds, or has held, with what it says about the question."""

    permission: str
    """As the policy has it: `note:*`."""
    role: str
    within: str
    granted_by: str
    """The address of who gave the role; empty where it was the system or at sign-up."""
    since: float
    until: float | None
    because: str
    why: Why
    """Whether it counts; where it does not, what keeps it from that."""


@dataclass(frozen=True, slots=True)
class Key:
    """An API key of the account, and whether a request with it may do this."""

    id: str
    name: str
    scopes: tuple[str, ...]
    allowed: bool


@dataclass(frozen=True, slots=True)
class Explanation:
    """Whether an account may do something, and everything that has a say in it."""

    user_id: str
    email: str
    permission: str
    owner: str
    within: str
    at: float
    disabled: bool
    allowed: bool
    lines: tuple[Line, ...]
    keys: tuple[Key, ...]

    @property
    def counting(self) -> tuple[Line, ...]:
        return tuple(line for line in self.lines if line.why == "counts")

    @property
    def own(self) -> bool:
        """Whether it would be allowed with what belongs to the account itself."""
        whys = {line.why for line in self.lines}
        return not (self.disabled or whys.isdisjoint(("counts", "only for own objects")))

    def as_json(self) -> dict[str, Any]:
        """For programs; moments as ISO 8601."""
        lines = [{**asdict(each), "since": iso(each.since), "until": iso(each.until)} for each in self.lines]
        return {
            **asdict(self),
            "at": iso(self.at),
            "own": self.own,
            "lines": lines,
            "keys": [{**asdict(key), "scopes": list(key.scopes)} for key in self.keys],
        }


def iso(at: float | None) -> str | None:
    """A moment as ISO 8601 writes it, in UTC."""
    return None if at is None else datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds")


def explain(
    house: House,
    by: Identity,
    user_id: str,
    permission: str,
    *,
    owner: str = "",
    within: str = "",
    at: float | None = None,
) -> Explanation:
    """Whether an account may use `permission` (noun:verb) on an object that belongs to the account `owner`
    and is called `within`; now, or at a moment (seconds since 1970). Raises Refused."""
    by.demand(roles.MANAGE_USERS)
    if not roles.is_permission(permission):
        raise Refused(roles.NO_PERMISSION, fields={"permission": "noun:verb, e.g. note:read"})
    with house.store.reading() as connection:
        user = accounts.found(connection, user_id)
        now = assignments.now(connection)
        then = now if at is None else at
        ever = assignments.history(connection, user_id)
        holding = {each.id for each in assignments.as_of(connection, user_id, then)}
        known = users.addresses(connection, {each.granted_by for each in ever if each.granted_by})
        question = _Question(house, user_id, permission, owner, within)
        lines = tuple(_lines(question, ever, holding, then, known))
        disabled = user.disabled_at is not None and user.disabled_at <= then
        allowed = not disabled and any(line.why == "counts" for line in lines)
        return Explanation(
            user_id,
            user.email,
            permission,
            owner,
            within,
            then,
            disabled,
            allowed,
            lines,
            tuple(_keys(connection, question, allowed, now)),
        )


@dataclass(frozen=True, slots=True)
class _Question:
    house: House
    user_id: str
    permission: str
    owner: str
    within: str

    @property
    def owns(self) -> bool:
        return bool(self.owner) and self.owner == self.user_id

    def answered(self, held: Permissions) -> bool:
        return held.allow(self.permission) or (self.owns and held.allow(f"{self.permission}:own"))


def _lines(
    question: _Question, ever: Iterable[Assignment], holding: set[int], then: float, known: dict[str, str]
) -> Iterator[Line]:
    grants = question.house.policy.of(roles.Settings).grants
    for each in ever:
        for pattern in grants.get(each.role, ()):
            held = permissions_of(["one"], {"one": (pattern,)})
            if not held.allow_own(question.permission):
                continue
            yield Line(
                pattern,
                each.role,
                each.scope,
                known.get(each.granted_by or "", ""),
                each.granted_at,
                each.expires_at,
                each.because,
                _why(question, each, held, then, held_then=each.id in holding),
            )


def _why(question: _Question, each: Assignment, held: Permissions, then: float, *, held_then: bool) -> Why:
    if not held_then:
        if each.granted_at > then:
            return "not given yet"
        return "expired" if each.expires_at is not None and each.expires_at <= then else "ended"
    if each.scope not in ("", question.within):
        return "only within one object"
    return "counts" if question.answered(held) else "only for own objects"


def _keys(connection: Connection, question: _Question, allowed: bool, now: float) -> Iterator[Key]:
    """The keys that are good now: with one of them a request may do what its owner may and its scopes say."""
    for row in bearers.of_user(connection, api_keys, question.user_id):
        if row["revoked_at"] is None and (row["expires_at"] is None or row["expires_at"] > now):
            scopes = tuple(row["scopes"])
            narrowed = question.answered(permissions_of(["key"], {"key": scopes}))
            yield Key(row["id"], row["name"], scopes, allowed and narrowed)
