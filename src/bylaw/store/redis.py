"""Counters in Redis (6.2 or later) or Valkey: one for all processes and hosts, one round trip for all
limits of a request.

A script counts, so that what is counted is exact however many ask at once; the windows go by Redis's own
clock. The keys are hashed with a key of the application: whoever can read Redis learns no address.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from functools import lru_cache, partial
from hashlib import sha1
from typing import Any, Final
from urllib.parse import urlsplit

from bylaw.errors import StoreError
from bylaw.store.counters import Group, Key, Lost, Take, Taken

log = logging.getLogger("bylaw.store.redis")

SCHEMES: Final = ("redis", "rediss", "unix")
PATIENCE: Final = 0.5
"""Seconds that connecting and each answer may take: a request waits for them."""
PAUSE: Final = 1.0
"""Seconds for which nobody asks after a failure: not every request shall find out for itself."""
_KEYS: Final = 10_000
"""Keys whose hash is remembered: after a wait for the network the caches are cold, and it costs 8 µs anew."""

_SCRIPT: Final = """
local counts, spans = {{{counts}}}, {{{spans}}}
local taken = {{}}
local refusing, longest = 0, -1
local least, tightest
for i = 1, {number} do
  local n = redis.call('INCR', KEYS[i])
  if n == 1 then
    redis.call('PEXPIRE', KEYS[i], spans[i])
  end
  local left = counts[i] - n
  if left < 0 then
    local ends = redis.call('PTTL', KEYS[i])
    if ends < 0 then
      redis.call('PEXPIRE', KEYS[i], spans[i])
      ends = spans[i]
    end
    if ends > longest then
      refusing, longest = i, ends
    end
  end
  if not least or left < least or (left == least and spans[i] > spans[tightest]) then
    least, tightest = left, i
  end
  taken[i] = n
end
if refusing > 0 then
  local first = taken[refusing] == counts[refusing] + 1
  for i = 1, {number} do
    if i ~= refusing or not first then
      redis.call('DECR', KEYS[i])
    end
  end
  return refusing .. (first and ' -1 ' or ' -2 ') .. longest
end
local ends = redis.call('PTTL', KEYS[tightest])
if ends < 0 then
  redis.call('PEXPIRE', KEYS[tightest], spans[tightest])
  ends = spans[tightest]
end
return tightest .. ' ' .. least .. ' ' .. ends
"""
"""Counts in the KEYS, one for each limit, and answers with the tightest limit's place, what is left of it
(-1: refused for the first time in its window, -2: refused again) and its remaining milliseconds.

A counter that refuses stands at its number, and at one more once its excess was told. A key without an end,
such as one that somebody restored, gets one: nobody may be kept out for ever. The limits stand in the script,
since every argument costs as much as a step of it; the answer is one text for the same reason.
"""

Hash = Callable[[str], str]
"""A keyed hash of a key's text."""


class Redis:
    """Counters at `url`. Raises StoreError where there is no client for it, or it is no address.

    `prefix` tells applications apart; `hash` hides what the keys are about.
    """

    waits = True

    def __init__(self, url: str, *, prefix: str, hash: Hash, patience: float = PATIENCE) -> None:  # noqa: A002 - what it is
        self._client, self._unknown, self._failures = _connected(url, patience)
        # All keys of an application in one slot, or a cluster would refuse the script.
        self._prefix = f"bylaw:{{{prefix}}}:"
        self._hash = hash
        self._remembered: dict[Group, Callable[[Key], list[bytes]]] = {}
        self._lock = threading.Lock()
        self._ask_at = self._failed_at = 0.0
        self.wrong = ""
        """What is wrong since the last failure; empty while Redis answers."""

    @property
    def asked(self) -> bool:
        """Whether the next request would ask Redis, rather than be told at once that it is lost."""
        return not self.wrong or time.monotonic() >= self._ask_at

    def over(self, groups: tuple[Group, ...]) -> Take:
        limits = [limit for group in groups for limit in group]
        script = _SCRIPT.format(
            number=len(limits),
            counts=", ".join(str(limit.count) for limit in limits),
            spans=", ".join(str(limit.seconds * 1000) for limit in limits),
        )
        sha = sha1(script.encode(), usedforsecurity=False).hexdigest()  # how Redis names a script
        known, number = ("EVALSHA", sha.encode(), b"%d" % len(limits)), len(limits)
        named = [self._names(group) for group in groups]

        def evaluated(keys: list[bytes]) -> Any:
            try:
                return self._client.execute_command(*known, *keys)
            except self._unknown:  # after a restart, or a SCRIPT FLUSH: sent whole, it is known from then on
                return self._client.eval(script, number, *keys)

        def take(keys: tuple[Key, ...], now: float) -> Taken:
            every: list[bytes] = []
            for names, key in zip(named, keys, strict=True):
                every += names(key)
            place, left, milliseconds = self._guarded(evaluated, every).split()
            return limits[int(place) - 1], int(left), now + int(milliseconds) / 1000

        return take

    def ping(self) -> None:
        """See whether Redis answers. Raises Lost."""
        self._guarded(self._client.ping)

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _names(self, group: Group) -> Callable[[Key], list[bytes]]:
        found = self._remembered.get(group)
        if found is None:
            found = self._remembered[group] = lru_cache(maxsize=_KEYS)(partial(self._named, group))
        return found

    def _named(self, group: Group, key: Key) -> list[bytes]:
        """What the limits' counters of a key are called in Redis."""
        scope = group[0].name
        text = key if isinstance(key, str) else "\0".join(key)
        start = f"{self._prefix}{self._hash(f'{scope} {text}')}"
        return [f"{start}:{limit.count}/{limit.seconds}".encode() for limit in group]

    def _guarded(self, ask: Callable[..., Any], *args: Any) -> Any:
        """Ask, unless it has failed a moment ago. Raises Lost."""
        if self.wrong:
            with self._lock:
                if time.monotonic() < self._ask_at:
                    raise Lost(self.wrong)
                self._ask_at = time.monotonic() + PAUSE  # one finds out for all
        began = time.monotonic()
        try:
            answer = ask(*args)
        except self._failures as error:
            self._failed_at = time.monotonic()
            self._ask_at = self._failed_at + PAUSE
            # What Redis or the system says; neither repeats a password.
            self.wrong = f"{type(error).__name__}: {str(error).partition(chr(10))[0][:200]}"
            raise Lost(self.wrong) from None
        if self.wrong and began > self._failed_at:
            self.wrong = ""  # what was asked before the failure says nothing of the time after it
        return answer


def fault(url: str) -> str:
    """Why `url` cannot be one of Redis; empty where it can."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return "no address"
    if parts.scheme not in SCHEMES:
        return "no address of Redis"
    if parts.scheme == "unix":
        return "" if parts.path.strip("/") else "it names no socket"
    return "" if parts.hostname and port != 0 else "it names no host"


def _connected(url: str, patience: float) -> tuple[Any, type[Exception], tuple[type[Exception], ...]]:
    """A client that has not connected yet, what it raises for a script that Redis does not know, and what
    it raises where Redis does not do its part."""
    try:
        import redis
        from redis.backoff import NoBackoff
        from redis.retry import Retry
    except ImportError:
        raise StoreError("there is no client for Redis here: pip install 'bylaw[redis]'") from None
    client = redis.Redis.from_url(
        url,
        socket_timeout=patience,
        socket_connect_timeout=patience,
        # Once and no more: what did not answer in time shall not be waited for again by the same request.
        retry=Retry(NoBackoff(), 0),
        protocol=2,
        decode_responses=False,
    )
    return client, redis.exceptions.NoScriptError, (redis.RedisError, OSError)
