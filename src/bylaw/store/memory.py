"""What a process remembers of sessions, so that a known one costs no query.

Safe to trust because everything that ends a session or changes a user's standing is appended to
the revocation feed in the same transaction, and `store.feed` forgets here what it names.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Any

from bylaw.identity import Identity


@dataclass(slots=True)
class Remembered:
    """A session as the database had it, and when it was last seen since."""

    digest: str
    identity: Identity
    expires_at: float
    seen_at: float
    written_at: float
    owes: str = ""
    """What is still to be done before anybody is signed in (see sessions.owing)."""
    kind: str = "session"
    """What it was read for: a `session`'s cookie, or a bearer's `jwt` or `api_key`."""
    rates: tuple[str, ...] = ()
    """Limits of its own, in the place of its owner's (see rate_limits)."""
    networks: Any = None
    """Addresses that it may be used from (`address in networks`); None: any."""


class SessionMemory:
    """Sessions by the digest of their secret, at most `limit`, the oldest forgotten first."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._by_digest: dict[str, Remembered] = {}
        self._by_user: dict[str, set[str]] = {}
        self._lock = threading.Lock()
        self.generation = 0
        """Counts what was forgotten. A session that was read before a revocation and would be
        remembered after it bears an older number, and is not remembered."""

    def __len__(self) -> int:
        return len(self._by_digest)

    def get(self, digest: str) -> Remembered | None:
        """The session as remembered; reading takes no lock (one dictionary access)."""
        return self._by_digest.get(digest)

    def remember(self, session: Remembered, generation: int) -> None:
        """Keep `session`, read from the database when `generation` was the current one."""
        with self._lock:
            if generation != self.generation or self._limit == 0:
                return
            while len(self._by_digest) >= self._limit:
                self._forget(next(iter(self._by_digest)))
            self._by_digest[session.digest] = session
            for user_id in _of(session):
                self._by_user.setdefault(user_id, set()).add(session.digest)

    def forget(self, user_id: str, digest: str | None = None) -> None:
        """Forget one session of a user, or whatever the user holds."""
        with self._lock:
            self.generation += 1
            for each in [digest] if digest else list(self._by_user.get(user_id, ())):
                self._forget(each)

    def clear(self) -> None:
        with self._lock:
            self.generation += 1
            self._by_digest.clear()
            self._by_user.clear()

    def unwritten(self, older_than: float, kind: str = "session") -> list[Remembered]:
        """Those of a kind that were seen since their last time was written, by more than `older_than`."""
        with self._lock:
            held = list(self._by_digest.values())
        return [s for s in held if s.kind == kind and s.seen_at - s.written_at > older_than]

    def _forget(self, digest: str) -> None:
        session = self._by_digest.pop(digest, None)
        if session is None:
            return
        for user_id in _of(session):
            digests = self._by_user.get(user_id)
            if digests is not None:
                digests.discard(digest)
                if not digests:
                    del self._by_user[user_id]


def _of(session: Remembered) -> set[str]:
    """Whose standing the session depends on: its user's, and that of an administrator who acts as him."""
    return {session.identity.id, session.identity.acting} - {""}
