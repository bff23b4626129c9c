"""Who asks, how they proved it and when, and what they may do. Immutable once decided."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Final, Literal

from bylaw.errors import MisuseError
from bylaw.ports import Clock
from bylaw.quantities import seconds, spoken
from bylaw.reasons import Reason, Refused

UNAUTHENTICATED: Final = Reason(
    "roles.unauthenticated",
    401,
    "Sign in first.",
    "Nobody is signed in and the route is not public. The answer names the way to sign in "
    "(WWW-Authenticate, RFC 9110 section 11.6.1); a browser is sent to the sign-in page.",
)
FORBIDDEN: Final = Reason(
    "roles.forbidden",
    403,
    "You may not do this.",
    "The identity is known, but none of its roles holds the permission that the route or the "
    "operation asks for. The refusal is in the audit log.",
)
STEP_UP: Final = Reason(
    "mfa.step_up",
    401,
    "Show once more that it is you.",
    "The route or operation asks for more than the session has shown: a second factor, or a proof that is "
    "not older than it says. A browser is sent to the page for it; a program gets RFC 9470's challenge.",
)
UNFINISHED: Final = Reason(
    "sessions.unfinished",
    401,
    "Finish signing in first.",
    "A first proof was given, and something is still owed: the second factor, setting one up, a new "
    "password or the confirmation of the address. Until then the session opens nothing else.",
)
ACTING: Final = Reason(
    "sessions.acting",
    403,
    "Only the owner of the account may do this, not somebody who acts as him.",
    "An administrator is signed in as somebody else: he sees what that person sees, but changes none of the "
    "account's credentials, sessions or addresses. Stop, and do it as an administrator if you may.",
)

BY_KEY: Final = Reason(
    "api_keys.by_hand",
    403,
    "This is done by a person who is signed in, not with an API key.",
    "An API key changes no credentials, accounts or roles, whatever its scopes and its owner may: whoever "
    "finds a key must not be able to make himself at home with it. Sign in, and do it there.",
)

API_KEY: Final = "api_key"
"""The method of an identity that an API key speaks for."""


REMEMBERED: Final = 1000
"""Permissions whose answers are remembered at a time, of one set of patterns."""


class Permissions:
    """What a set of roles may do: patterns `noun:verb`, where either side may be `*`.

    `*` alone is everything. A pattern ending in `:own` holds only for what its identity owns.
    """

    __slots__ = ("_answers", "_answers_own", "patterns")

    def __init__(self, patterns: Iterable[str]) -> None:
        self.patterns = frozenset(patterns)
        self._answers: dict[str, bool] = {}
        self._answers_own: dict[str, bool] = {}

    def allow(self, permission: str) -> bool:
        """Whether `permission` (noun:verb) is held for anybody's objects."""
        answer = self._answers.get(permission)
        if answer is None:
            answer = _kept(self._answers, permission, self._match(permission))
        return answer

    def allow_own(self, permission: str) -> bool:
        """Whether `permission` is held for the identity's own objects."""
        answer = self._answers_own.get(permission)
        if answer is None:
            answer = self.allow(permission) or self.allow(permission + ":own")
            _kept(self._answers_own, permission, answer)
        return answer

    def _match(self, permission: str) -> bool:
        if "*" in self.patterns:
            return True
        noun, _, verb = permission.partition(":")
        if not (noun and verb):
            return False  # no permission, which `noun:*` must not turn into one
        wanted = [permission, f"{noun}:*", f"*:{verb}"]
        if verb.endswith(":own"):
            wanted.append(f"{noun}:*:own")
        return not self.patterns.isdisjoint(wanted)

    def narrowed(self, patterns: Iterable[str]) -> Permissions:
        """What is held here and by `patterns` as well: never more than either. It is permissions again, so
        that whatever is asked of somebody's permissions is asked of these."""
        limits = tuple(patterns)
        common = (_common(mine, limit) for mine in self.patterns for limit in limits)
        return _permissions(frozenset(filter(None, common)))


def _kept(answers: dict[str, bool], permission: str, answer: bool) -> bool:
    """`answer`, remembered. An application asks for few permissions; an API key's scopes are made up by
    whoever wants it, and memory is not his to fill."""
    if len(answers) >= REMEMBERED:
        answers.clear()
    answers[permission] = answer
    return answer


def _common(one: str, other: str) -> str:
    """The pattern of what two patterns both hold; empty where that is nothing."""
    noun, verb, own = _sides(one)
    other_noun, other_verb, other_own = _sides(other)
    nouns, verbs = _side(noun, other_noun), _side(verb, other_verb)
    if not nouns or not verbs:
        return ""
    if own or other_own:
        return f"{nouns}:{verbs}:own"
    return "*" if nouns == verbs == "*" else f"{nouns}:{verbs}"


def _sides(pattern: str) -> tuple[str, str, bool]:
    """Noun, verb, and whether it holds for one's own alone."""
    if pattern == "*":
        return "*", "*", False
    noun, _, verb = pattern.partition(":")
    return noun, verb.removesuffix(":own"), verb.endswith(":own")


def _side(one: str, other: str) -> str:
    if "*" in (one, other):
        return other if one == "*" else one
    return one if one == other else ""


@lru_cache(maxsize=4096)
def _permissions(patterns: frozenset[str]) -> Permissions:
    return Permissions(patterns)


def permissions_of(roles: Iterable[str], grants: Mapping[str, Iterable[str]]) -> Permissions:
    """The permissions that `roles` hold by the policy's `[roles]`. An unknown role holds none."""
    patterns = frozenset(pattern for role in roles for pattern in grants.get(role, ()))
    return _permissions(patterns)


@dataclass(frozen=True, slots=True)
class Identity:
    """A principal of this application.

    `method` is how it proved itself (`password`); `authenticated_at` when, in seconds since 1970;
    `session` names the session by its public id, or is empty; `epoch` is the account's counter of
    standing: credentials that bear an older one are dead. `assurance` says how many factors were shown
    (1 or 2: NIST SP 800-63B-4 AAL1 and AAL2), and `acting` names the administrator who acts as this
    principal, where it is not the principal himself.
    """

    id: str
    email: str = ""
    name: str = ""
    roles: frozenset[str] = frozenset()
    permissions: Permissions = field(default_factory=lambda: Permissions(()))
    method: str = ""
    authenticated_at: float = 0.0
    session: str = ""
    epoch: int = 0
    assurance: int = 1
    acting: str = ""
    scoped: Mapping[str, Permissions] = field(default_factory=dict, hash=False)
    """What holds within one object alone, by its name: `{"planning:17": …}`."""
    clock: Clock = field(default=time.time, compare=False, repr=False)
    """By which `authenticated_at` is told."""

    @property
    def is_authenticated(self) -> bool:
        return bool(self.id)

    def may(self, permission: str, *, owner: str | None = None, within: str = "") -> bool:
        """Whether this identity holds `permission`. `owner` is the id of the object's owner; `within` names
        the object that a role may have been given for (`planning:17`)."""
        owns = bool(owner) and owner == self.id
        if self.permissions.allow(permission) or (owns and self.permissions.allow(permission + ":own")):
            return True
        there = self.scoped.get(within) if within else None
        return there is not None and (there.allow(permission) or (owns and there.allow(permission + ":own")))

    def may_somewhere(self, permission: str) -> bool:
        """Whether there is any object for which this identity holds `permission`: what a menu asks."""
        if self.permissions.allow_own(permission):
            return True
        return any(there.allow_own(permission) for there in self.scoped.values())

    def demand(self, permission: str, *, owner: str | None = None, within: str = "") -> None:
        """Go on only with `permission`. Raises Refused: 401 for nobody, 403 for somebody else."""
        if self.may(permission, owner=owner, within=within):
            return
        raise Refused(FORBIDDEN if self.is_authenticated else UNAUTHENTICATED)

    def demand_self(self) -> None:
        """Go on only if it is the principal himself, not an administrator who acts as him, nor a program with
        his API key. Raises Refused."""
        if self.acting:
            raise Refused(ACTING)
        if self.method == API_KEY:
            raise Refused(BY_KEY)

    def narrowed(self, patterns: Iterable[str]) -> Identity:
        """The same principal with the permissions that `patterns` hold as well, and no others. It bears no
        role: an application that asks for one would give more than they say."""
        limits = tuple(patterns)
        scoped = {scope: held.narrowed(limits) for scope, held in self.scoped.items()}
        return replace(self, roles=frozenset(), permissions=self.permissions.narrowed(limits), scoped=scoped)

    def demand_fresh(self, max_age: int | str = 600, *, second_factor: bool = False) -> None:
        """Go on only if the latest proof is at most `max_age` old (seconds, or "10m"), and with
        `second_factor` only if two factors were shown; `max_age` 0 asks for no age.

        Raises Refused: 401 for nobody; for somebody StepUp, which sends a browser to the page for it and
        gives a program RFC 9470's challenge.
        """
        rule = asking(SIGNED_IN, second_factor=second_factor, max_age=max_age)
        reason = rule.decide(self if self.is_authenticated else None, self.clock())
        if reason is not None:
            raise StepUp(rule) if reason is STEP_UP else Refused(reason)


ANONYMOUS: Final = Identity(id="")

OBJECT: Final = re.compile(r"[a-z][a-z0-9_-]{0,38}:[A-Za-z0-9][A-Za-z0-9._-]{0,78}")
"""How an object is named that a role is given for: its kind and its number or key, `planning:17`."""
PERMISSION: Final = re.compile(r"[a-z][a-z0-9_-]*:[a-z][a-z0-9_-]*")
"""What a route or an operation asks for. A role could name nothing else: whoever holds all would be let in,
and nobody beside."""
_WITHIN: Final = re.compile(r"[a-z][a-z0-9_-]{0,38}(:\{[A-Za-z_][A-Za-z0-9_]*\})?")
_PART: Final = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True, slots=True)
class AccessRule:
    """What a route declares about who may call it.

    `kind` is `public`, `signed_in` or `permission`; `because` says why a public route is one. `owing` is
    for bylaw's own pages on which somebody finishes signing in: a first proof is enough there.
    """

    kind: Literal["public", "signed_in", "permission", "owing"]
    permission: str = ""
    because: str = ""
    also: frozenset[str] = frozenset()
    """Further permissions that are asked for: a router's and its route's must both be held."""

    assurance: int = 1
    """Factors that the session must have shown: 2 asks for a second one."""
    max_age: int = 0
    """Seconds since the latest proof at most; 0 asks for none."""
    within: str = ""
    """The object that the route is about, by the parts of its path (`planning:{planning_id}`): a role that
    was given for that object counts. A kind alone (`planning`): for any such object, and the operation says
    of which. Empty: roles that were given for single objects open nothing here."""
    refusal: str = field(default="", compare=False)
    """What whoever may not is told besides, in the application's words."""

    def decide(
        self, identity: Identity | None, now: float = 0.0, parts: Mapping[str, object] | None = None
    ) -> Reason | None:
        """None to allow, otherwise the reason to refuse. `now`: seconds since 1970; `parts`: of the path, by
        their names in the route."""
        if self.kind == "public":
            return None
        if identity is None:
            return UNAUTHENTICATED
        if self.kind == "permission":
            held = identity.permissions.allow_own
            if not (held(self.permission) and (not self.also or all(held(p) for p in self.also))) and not (
                self.within and identity.scoped and self._within_one(identity, parts or {})
            ):
                return FORBIDDEN
        if self.assurance > identity.assurance or self.too_old(identity, now):
            return STEP_UP
        return None

    def _within_one(self, identity: Identity, parts: Mapping[str, object]) -> bool:
        """Whether all that is asked for is held within one object that the route is about."""
        kind, exact, _ = self.within.partition(":")
        meant = self._object(parts) if exact else None
        everywhere = identity.permissions.allow_own
        return any(
            all(everywhere(p) or there.allow_own(p) for p in (self.permission, *self.also))
            for scope, there in identity.scoped.items()
            if (scope == meant if exact else scope.startswith(f"{kind}:"))
        )

    def _object(self, parts: Mapping[str, object]) -> str | None:
        """The object that a path names; None where the route has no such part: then it is nobody's."""
        named = _PART.search(self.within)
        if named is None or named[1] not in parts:
            return None
        return f"{self.within[: named.start()]}{parts[named[1]]}"

    def of_any(self) -> AccessRule:
        """The same before it is known which object is meant: for any of its kind."""
        return replace(self, within=self.within.partition(":")[0]) if self.within else self

    def too_old(self, identity: Identity, now: float) -> bool:
        """Whether the latest proof is older than the rule takes."""
        return self.max_age > 0 and now - identity.authenticated_at > self.max_age

    def __str__(self) -> str:
        wanted = " and ".join(sorted({self.permission, *self.also})) or self.kind.replace("_", " ")
        factor = f" within {self.within}" if self.within else ""
        factor += ", two factors" if self.assurance > 1 else ""
        return wanted + factor + (f", shown within {spoken(self.max_age)}" if self.max_age else "")


PUBLIC: Final = AccessRule("public")
SIGNED_IN: Final = AccessRule("signed_in")
OWING: Final = AccessRule("owing")


class StepUp(Refused):
    """Somebody is signed in, and has shown less than `rule` asks for, or longer ago."""

    def __init__(self, rule: AccessRule) -> None:
        super().__init__(STEP_UP)
        self.rule = rule


def asking(
    rule: AccessRule, *, second_factor: bool = False, max_age: int | str = 0, within: str = ""
) -> AccessRule:
    """`rule`, and a second factor, and a proof that is at most `max_age` old (seconds, or "10m"); `within`
    as of AccessRule.

    Raises MisuseError for an age that is none: a route that nobody can reach, or everybody; and for a
    permission or an object that is none.
    """
    if rule.kind == "permission" and not PERMISSION.fullmatch(rule.permission):
        raise MisuseError(f'permission = {rule.permission!r}: "noun:verb", such as "order:read"')
    try:
        age = seconds(max_age)
    except ValueError as error:
        raise MisuseError(f"max_age = {max_age!r}: {error}") from None
    if type(age) is not int or age < 0 or not isinstance(second_factor, bool):
        raise MisuseError(f"max_age = {max_age!r}, second_factor = {second_factor!r}: an age and a yes or no")
    if within and not _WITHIN.fullmatch(within):
        raise MisuseError(f'within = {within!r}: "planning:{{planning_id}}", or a kind of object, "planning"')
    return replace(rule, assurance=2 if second_factor else 1, max_age=age, within=within)


def all_of(rules: Iterable[AccessRule]) -> AccessRule | None:
    """The rule that holds where several were declared: all of them. None where none was.

    Choosing one would let in whom another refuses; a public rule beside another opens nothing.
    """
    rules = list(rules)
    assurance = max((rule.assurance for rule in rules), default=1)
    max_age = min((rule.max_age for rule in rules if rule.max_age), default=0)
    wanted = sorted({p for rule in rules for p in (rule.permission, *rule.also) if p})
    if wanted:
        # Of two that are about different objects, none is the one that a role was given for.
        objects = {rule.within for rule in rules if rule.permission}
        return AccessRule(
            "permission",
            wanted[0],
            also=frozenset(wanted[1:]),
            assurance=assurance,
            max_age=max_age,
            within=objects.pop() if len(objects) == 1 else "",
            refusal=next((rule.refusal for rule in rules if rule.refusal), ""),
        )
    if any(rule.kind == "signed_in" for rule in rules):
        return AccessRule("signed_in", assurance=assurance, max_age=max_age)
    return rules[0] if rules else None
