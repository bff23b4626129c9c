"""How often somebody may: counters over fixed windows, each of which begins with its first request.

Whoever asks names every group of limits that a request falls under, and a key in each: all of them are
decided together. What is refused by one of them uses up none, or a client that tries again and again
would keep itself out of what it has not used at all.
"""

from __future__ import annotations

import os
import threading
import weakref
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol

from bylaw.errors import StoreError

MOST: Final = 100_000
"""Keys that one group of limits remembers at most in this process; the oldest leaves first. About 500
bytes each."""
_AT_ONCE: Final = 4
"""Keys that are cleared away for each new one: quickly enough to keep up, too few to be felt."""


@dataclass(frozen=True, slots=True, eq=False)
class Limit:
    """At most `count` requests in `seconds`."""

    count: int
    seconds: int
    name: str
    """What it is called in answers and records."""


Group = tuple[Limit, ...]
"""Limits that count for the same key. The same tuple is the same counters."""

Taken = tuple[Limit, int, float]
"""The tightest limit, how often it may still be taken, and when it begins anew (seconds since 1970).

Of a request that is refused: the limit that refuses for longest, and FIRST or AGAIN.
"""
FIRST: Final = -1
"""Refused, for the first time in this window of this key: to be recorded."""
AGAIN: Final = -2
"""Refused, as before."""

Key = str | tuple[str, ...]
Take = Callable[[tuple[Key, ...], float], Taken]
"""Counts a request, by its key in each of the groups, at this time (seconds since 1970)."""


class Lost(StoreError):
    """The counters do not answer; nothing is known of what was counted."""


class Counters(Protocol):
    """Where requests are counted."""

    waits: bool
    """Whether counting waits for another process."""

    wrong: str
    """What is wrong with them; empty while they answer."""

    @property
    def asked(self) -> bool:
        """Whether taking would ask now, rather than raise Lost at once."""

    def over(self, groups: tuple[Group, ...]) -> Take:
        """What counts requests that fall under all of these groups. Taking may raise Lost."""

    def ping(self) -> None:
        """See whether they answer. Raises Lost."""

    def close(self) -> None:
        """Let go of what is held."""


class _Held:
    """What one key has used of a group's limits.

    Between two ends of windows each request takes one from all limits, so that the tightest stays the
    tightest: counting it alone is enough, however many there are. `_renew` settles the others.
    """

    __slots__ = ("at", "begun", "ends", "left", "limit", "rests", "told", "until", "untils")

    def __init__(self, now: float) -> None:
        self.left = 0
        """How often the tightest may still be taken."""
        self.until = now
        """When the first window ends."""
        self.limit: Limit | None = None
        self.ends = now
        """When the tightest limit begins anew."""
        self.begun = now
        """When the longest window began: keys stand in this order."""
        self.at = 0
        """`left` as it was when the limits were last settled."""
        self.rests: list[int] = []
        self.untils: list[float] = []
        self.told = 0.0
        """The end of the window whose excess was last told."""


class _Table(OrderedDict[Key, _Held]):
    """The keys of a group, in the order in which their longest window began, which is the order in which
    they can be forgotten."""

    def __init__(self, limits: Group) -> None:
        super().__init__()
        self.limits = limits
        periods = sorted(limit.seconds for limit in limits)
        self.longest = periods[-1]
        self.lasts = sum(periods[-2:])
        """Seconds after which no window of a key can still be open: a shorter one begins at the latest
        when the longest ends."""


class Beside(Protocol):
    """What keeps another process from counting beside this one."""

    def release(self) -> None:
        """Let it."""


class Memory:
    """Counters of this process alone: gone with it, and not shared with another."""

    waits = False
    asked = True
    wrong = ""

    def __init__(self, most: int = MOST) -> None:
        self.beside: Beside | None = None
        self._most = most
        self._tables: dict[Group, _Table] = {}
        self._lock = threading.Lock()
        if hasattr(os, "register_at_fork"):
            alive = weakref.ref(self)
            os.register_at_fork(after_in_child=lambda: _unlocked(alive()))

    def __len__(self) -> int:
        return sum(len(table) for table in self._tables.values())

    def ping(self) -> None:
        """Memory answers."""

    def close(self) -> None:
        """Forget everything, and let another process count."""
        if self.beside is not None:
            self.beside.release()
        with self._lock:
            for table in self._tables.values():
                table.clear()

    def over(self, groups: tuple[Group, ...]) -> Take:
        tables = tuple(self._tables.setdefault(group, _Table(group)) for group in groups)
        return self._one(tables[0]) if len(tables) == 1 else self._several(tables)

    def _one(self, table: _Table) -> Take:
        """The usual case: all of a request's limits have one key."""
        get = table.get

        def take(keys: tuple[Key, ...], now: float) -> Taken:
            key = keys[0]
            with self._lock:
                held = get(key)
                if held is None or held.until <= now or held.left <= 0:
                    held = self._renewed(table, key, now)
                    if held.left <= 0:
                        return _refusal((held,), now)
                held.left = left = held.left - 1
                return held.limit, left, held.ends  # type: ignore[return-value]

        return take

    def _several(self, tables: tuple[_Table, ...]) -> Take:
        def take(keys: tuple[Key, ...], now: float) -> Taken:
            with self._lock:
                every = []
                refused = False
                for table, key in zip(tables, keys, strict=True):
                    held = table.get(key)
                    if held is None or held.until <= now or held.left <= 0:
                        held = self._renewed(table, key, now)
                        refused = refused or held.left <= 0
                    every.append(held)
                if refused:
                    return _refusal(every, now)
                tightest = every[0]
                for held in every:
                    held.left -= 1
                    if held.left < tightest.left:
                        tightest = held
                return tightest.limit, tightest.left, tightest.ends  # type: ignore[return-value]

        return take

    def _renewed(self, table: _Table, key: Key, now: float) -> _Held:
        """What the key has used, with the windows that are over begun anew."""
        held = table.get(key)
        if held is None:
            self._make_room(table, now)
            held = table[key] = _Held(now)
            held.rests = [limit.count for limit in table.limits]
            held.untils = [now + limit.seconds for limit in table.limits]
        else:
            self._settle(table, key, held, now)
        held.left, held.ends = min(zip(held.rests, held.untils, strict=True), key=lambda r: (r[0], -r[1]))
        held.limit = table.limits[_place(held)]
        held.until = min(held.untils)
        held.at = held.left
        return held

    def _settle(self, table: _Table, key: Key, held: _Held, now: float) -> None:
        taken = held.at - held.left
        for place, limit in enumerate(table.limits):
            held.rests[place] -= taken
            ends = held.untils[place]
            # A window that seems to last longer than it can was begun before the clock was put back.
            if ends <= now or ends > now + limit.seconds:
                held.rests[place] = limit.count
                held.untils[place] = now + limit.seconds
                if limit.seconds == table.longest:
                    held.begun = now
                    table.move_to_end(key)

    def _make_room(self, table: _Table, now: float) -> None:
        for _ in range(_AT_ONCE):
            if not table:
                return
            oldest = next(iter(table))
            over = table[oldest].begun + table.lasts <= now
            if not over and len(table) < self._most:
                return
            del table[oldest]


def _place(held: _Held) -> int:
    return next(
        place
        for place, found in enumerate(zip(held.rests, held.untils, strict=True))
        if found == (held.left, held.ends)
    )


def _refusal(every: tuple[_Held, ...] | list[_Held], now: float) -> Taken:
    """The limit that refuses for longest: whoever comes back before its end is refused again."""
    held = max((held for held in every if held.left <= 0), key=lambda held: held.ends)
    told = held.told == held.ends
    held.told = held.ends
    return held.limit, AGAIN if told else FIRST, held.ends  # type: ignore[return-value]


def _unlocked(memory: Memory | None) -> None:
    """A forked child does not wait for a thread that only its parent has."""
    if memory is not None:
        memory._lock = threading.Lock()
