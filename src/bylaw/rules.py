"""Access rules by path, for an application whose framework bylaw does not know.

A framework behind the gate reads paths in its own way: it may take `/a//b`, `/A/b` or `/a/b/` for `/a/b`.
So a path that can be read in two ways is refused, or decided only where every way of reading it leads to the
same rule (OWASP A01:2025; CVE-2025-47910 and CVE-2016-5007: two matchers that differ). Pure: text in, a rule
out.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Final, Generic, Protocol, TypeVar

from bylaw.identity import SIGNED_IN, AccessRule, asking
from bylaw.routes import Route

T = TypeVar("T")
METHODS: Final = ("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "WEBSOCKET")
PATH: Final = r"^/(([^/{}*?#%;\\\x00-\x20\x7f]+|\{[a-z_]+\})/)*([^/{}*?#%;\\\x00-\x20\x7f]+|\{[a-z_]+\}|\*)?$"
"""A path as a policy names it: `/notes`, `/notes/{id}`, `/files/*`."""

_TWO_WAYS: Final = re.compile(r"//|/\.{1,2}(?:/|\Z)|[\\;\x00-\x1f\x7f\ufffd]|%[0-9A-Fa-f]{2}")
"""What some program shortens, cuts off or decodes once more."""
_REMEMBERED: Final = 10_000
_SHORT: Final = 200
_ANY: Final = "{}"
_BELOW: Final = "*"

Pattern = tuple[str, ...]
"""The segments of a path: a text, `{}` for any one, `*` at the end for one or more."""


class Written(Protocol):
    """A rule as the policy has it."""

    @property
    def path(self) -> str: ...
    @property
    def methods(self) -> tuple[str, ...]: ...
    @property
    def permission(self) -> str | None: ...
    @property
    def signed_in(self) -> bool: ...
    @property
    def public(self) -> str | None: ...
    @property
    def second_factor(self) -> bool: ...
    @property
    def max_age(self) -> int: ...


def rule_of(written: Written) -> AccessRule | None:
    """The access rule that an entry says; None where it says none, or more than one."""
    said = [
        *([AccessRule("permission", written.permission)] if written.permission else []),
        *([SIGNED_IN] if written.signed_in else []),
        *([AccessRule("public", because=written.public)] if written.public else []),
    ]
    if len(said) != 1:
        return None
    return asking(said[0], second_factor=written.second_factor, max_age=written.max_age)


def faults(written: Iterable[Written]) -> Iterator[tuple[int, str, str]]:
    """What is wrong with rules: (number of the entry, why, what to write)."""
    before: list[tuple[Pattern, Written, str]] = []
    for number, each in enumerate(written):
        if rule_of(each) is None:
            yield (
                number,
                f"{each.path} does not say who may call it",
                "permission, signed_in or public, one of them",
            )
        if each.public and (each.second_factor or each.max_age):
            yield (
                number,
                f"{each.path} is for everybody, who has shown nothing",
                "no second_factor and no max_age beside public",
            )
        if not each.methods:
            yield number, f"nothing can be done at {each.path}", 'methods, e.g. ["GET"]'
        pattern = _pattern(each.path)
        for other, entry, path in before:
            shared = sorted(set(each.methods) & set(entry.methods))
            if pattern == other:
                if shared:
                    yield number, f"{each.path} has two rules for {', '.join(shared)}", "one for each method"
            elif _folded(pattern) == _folded(other):
                if any(rule_of(each) != rule_of(entry) for _ in shared):
                    yield (
                        number,
                        f"{each.path} and {path} are one path to some frameworks",
                        "one rule for both",
                    )
            elif _overlap(pattern, other) and not (_within(pattern, other) or _within(other, pattern)):
                yield (
                    number,
                    f"a path may be {each.path} as well as {path}, and neither is the nearer one",
                    "a rule for what both of them match",
                )
        before.append((pattern, each, each.path))


class PathRules:
    """The rules of a policy at work: the nearest that matches decides, for every method."""

    def __init__(self, written: Iterable[Written]) -> None:
        self._by_pattern: dict[Pattern, dict[str, AccessRule]] = {}
        self._names: dict[Pattern, str] = {}
        for each in written:
            pattern, rule = _pattern(each.path), rule_of(each)
            if rule is None:
                raise ValueError(each.path)  # no policy holds it: see faults
            self._names[pattern] = each.path
            self._by_pattern.setdefault(pattern, {}).update(dict.fromkeys(each.methods, rule))
        for rules in self._by_pattern.values():
            if "GET" in rules:
                rules.setdefault("HEAD", rules["GET"])
        # Whatever contains another stands behind it, so that the first that matches is the nearest.
        self._ordered = sorted(self._by_pattern, key=_nearness)
        folded = {_folded(p): p for p in reversed(self._ordered)}
        self._folded = sorted(folded.items(), key=lambda row: _nearness(row[0]))
        self._known: dict[str, Mapping[str, AccessRule] | None] = {}

    def at(self, path: str) -> Mapping[str, AccessRule] | None:
        """The rules of a path by method; None where nobody has said who may call it, or where two programs
        could read the path in two ways."""
        if path in self._known:
            return self._known[path]
        found = None if _TWO_WAYS.search(path) else self._match(path)
        if len(path) <= _SHORT:
            if len(self._known) >= _REMEMBERED:
                self._known.clear()  # who makes up paths pays with a look-up each; nobody pays with memory
            self._known[path] = found
        return found

    def _match(self, path: str) -> Mapping[str, AccessRule] | None:
        segments = tuple(path.split("/")[1:])
        found = next((p for p in self._ordered if _fits(segments, p)), None)
        if found is None:
            return None
        rules = self._by_pattern[found]
        # Capitals and a slash at the end make another path here, and the same one in some frameworks.
        otherwise = next((p for f, p in self._folded if _fits(_folded(segments), f)), found)
        return rules if self._by_pattern[otherwise] == rules else None

    def find(self, method: str, path: str) -> Route | None:
        """The route at a path, for limits and for what other sites may ask."""
        rules = self.at(path)
        if rules is None:
            return None
        segments = tuple(path.split("/")[1:])
        pattern = next(p for p in self._ordered if _fits(segments, p))
        return Route(self._names[pattern], frozenset(rules), rule=rules.get(method))

    def routes(self) -> Iterator[tuple[str, str, AccessRule]]:
        """Every (method, path, rule)."""
        for pattern, rules in self._by_pattern.items():
            for method, rule in rules.items():
                if method != "HEAD":
                    yield method, self._names[pattern], rule


class Nearest(Generic[T]):
    """Something said of paths, in the same words as rules: what the nearest that matches says."""

    def __init__(self, said: Iterable[tuple[str, T]]) -> None:
        self._said = sorted(((_pattern(p), what) for p, what in said), key=lambda row: _nearness(row[0]))

    def at(self, path: str) -> T | None:
        """What is said of `path`; None where nothing is, or two programs could read it in two ways."""
        if not self._said or _TWO_WAYS.search(path):
            return None
        segments = tuple(path.split("/")[1:])
        return next((what for pattern, what in self._said if _fits(segments, pattern)), None)


def _pattern(path: str) -> Pattern:
    return tuple(_ANY if each.startswith("{") else each for each in path.split("/")[1:])


def _folded(segments: Pattern) -> Pattern:
    """As somebody reads it to whom neither capitals nor a slash at the end make a difference."""
    lower = tuple(each.casefold() for each in segments)
    return lower[:-1] if len(lower) > 1 and not lower[-1] else lower


def _fits(segments: Pattern, pattern: Pattern) -> bool:
    if pattern[-1] == _BELOW:
        fixed = pattern[:-1]
        if len(segments) <= len(fixed):
            return False
        segments = segments[: len(fixed)]
        pattern = fixed
    return len(segments) == len(pattern) and all(
        wanted == given or (wanted == _ANY and given != "")
        for wanted, given in zip(pattern, segments, strict=True)
    )


def _within(inner: Pattern, outer: Pattern) -> bool:
    """Whether whatever matches `inner` matches `outer`."""
    return _fits(inner, outer) and (inner[-1] != _BELOW or outer[-1] == _BELOW)


def _overlap(one: Pattern, other: Pattern) -> bool:
    """Whether some path matches both."""
    for a, b in zip(one, other, strict=False):
        if _BELOW in (a, b):
            return True
        if a != b and not (_ANY in (a, b) and "" not in (a, b)):
            return False
    return len(one) == len(other)


def _nearness(pattern: Pattern) -> tuple[int, int, int]:
    """The smaller, the nearer: nothing below before something, texts before any, longer before shorter."""
    below = pattern[-1] == _BELOW
    texts = sum(each not in (_ANY, _BELOW) for each in pattern)
    return (int(below), -len(pattern) if below else 0, -texts)
