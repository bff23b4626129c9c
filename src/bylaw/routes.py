"""What an application answers at a path, before it is asked to: its framework's own matching, remembered.

The gate decides about a route (its limit, the methods that another site may use) before the application
runs. The framework says which one that is; what it said is remembered for a bounded number of paths, since
most requests ask for few.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Final

from bylaw.identity import AccessRule

REMEMBERED: Final = 10_000
LONGEST: Final = 200
"""Paths at most that are remembered, and the characters of one: two megabytes, whoever asks for what."""


@dataclass(frozen=True, slots=True)
class Taking:
    """The files that a route takes: a route without it takes none."""

    fields: frozenset[str]
    """The form's fields that they come in."""
    kinds: tuple[str, ...] = ()
    """What they may be (`pdf`, `png`), within the policy's own list; empty: all of that."""
    most: int = 1
    """How many one request may bring."""


@dataclass(frozen=True, slots=True)
class Route:
    """A route: the name that all its paths share, and the methods that it answers."""

    name: str
    methods: frozenset[str] = frozenset()
    static: bool = False
    """Whether files are served there that are the same for everybody."""
    rule: AccessRule | None = None
    """Who may call it; None where nobody has said, or each path below has a rule of its own."""
    files: Taking | None = None
    """The files that it takes; None: no file passes."""

    @property
    def public(self) -> bool:
        """Whether strangers may call it."""
        return self.rule is None or self.rule.kind == "public"


NOWHERE: Final = Route("")
"""The route of a path that nothing answers: one for all of them."""

Find = Callable[[str, str], Route | None]
"""What answers (method, path): another method at a path with several routes may be another route's."""
Takes = Callable[[str, str], Taking | None]
"""The files that are taken at (method, path), where no route says it itself."""


def merged(takings: Iterable[Taking]) -> Taking | None:
    """What a route takes that has declared several fields; None where it has declared none."""
    all_of = list(takings)
    if not all_of:
        return None
    kinds = [each.kinds for each in all_of]
    return Taking(
        frozenset().union(*(each.fields for each in all_of)),
        tuple(dict.fromkeys(kind for each in kinds for kind in each)) if all(kinds) else (),
        sum(each.most for each in all_of),
    )


class Routes:
    """The routes of bylaw's own pages and of the application behind them."""

    def __init__(self) -> None:
        self.twins: dict[str, tuple[str, ...]] = {}
        """bylaw's own routes: the paths of each by its name, the page, its JSON twin and every alias."""
        self.files: dict[tuple[str, str], Taking] = {}
        """What routes have declared that they take, by method and the path as it is declared."""
        self.takes: Takes = _nothing
        """Where the policy says it, for what no framework declares."""
        self._finders: list[Find] = []
        self._known: dict[tuple[str, str], Route] = {}

    def add(self, find: Find) -> None:
        """Ask `find` where those before it know nothing."""
        self._finders.append(find)
        self._known.clear()

    def forget(self) -> None:
        """Ask anew: what answers has changed."""
        self._known.clear()

    def at(self, method: str, path: str) -> Route:
        """The route that answers; NOWHERE where none does."""
        known = self._known.get((method, path))
        if known is not None:
            return known
        found = next((r for find in self._finders if (r := find(method, path)) is not None), NOWHERE)
        if found.files is None and (files := self.takes(method, path)) is not None:
            found = replace(found, files=files)
        if len(self._known) >= REMEMBERED:
            self._known.clear()  # who makes up paths pays with a look-up each; nobody pays with memory
        if len(path) <= LONGEST:
            self._known[method, path] = found
        return found


def _nothing(method: str, path: str) -> Taking | None:
    return None
