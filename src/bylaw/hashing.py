"""Password hashes: the formats that can be read, the ones that are made, and a bounded pool.

A hash costs a tenth of a second and 64 MiB on purpose. The pool keeps a storm of sign-ins from
taking more of either than the policy gives it, and runs below everything else (nice 15), so that
people who are signed in notice nothing.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Final, Protocol, TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from argon2.low_level import Type

T = TypeVar("T")

ARGON2_PASSES: Final = 3
ARGON2_KIB: Final = 64 * 1024
"""64 MiB and 3 passes: RFC 9106 section 4's second choice, above OWASP's minimum of 19 MiB and 2.
One lane: on a busy server more lanes cost the same and buy nothing."""
PBKDF2_ROUNDS: Final = 1_000_000
"""What Werkzeug writes today; OWASP and ASVS 5.0.0 appendix C ask for 600,000."""
_SALT_CHARACTERS: Final = 16
_MOST_ROUNDS: Final = 10_000_000


class Scheme(Protocol):
    """A way to make hashes. `mebibytes` is what one hash takes while it is made."""

    name: str
    mebibytes: int

    def make(self, password: str) -> str:
        """A new hash, with salt and cost in it."""

    def outdated(self, stored: str) -> bool:
        """Whether `stored` is of another kind or cheaper than this scheme makes today."""


class Argon2id:
    """RFC 9106, in the encoded form `$argon2id$…`."""

    name = "argon2id"
    mebibytes = ARGON2_KIB // 1024

    def __init__(self) -> None:
        self._hasher = PasswordHasher(
            time_cost=ARGON2_PASSES, memory_cost=ARGON2_KIB, parallelism=1, type=Type.ID
        )

    def make(self, password: str) -> str:
        return self._hasher.hash(password)

    def outdated(self, stored: str) -> bool:
        return not stored.startswith("$argon2id$") or self._hasher.check_needs_rehash(stored)


class Pbkdf2Sha256:
    """PBKDF2-HMAC-SHA256 in Werkzeug's form `pbkdf2:sha256:<rounds>$<salt>$<hex>`."""

    name = "pbkdf2-sha256"
    mebibytes = 1

    def make(self, password: str) -> str:
        alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
        salt = "".join(secrets.choice(alphabet) for _ in range(_SALT_CHARACTERS))
        key = hashlib.pbkdf2_hmac("sha256", password.encode(), salt.encode(), PBKDF2_ROUNDS)
        return f"pbkdf2:sha256:{PBKDF2_ROUNDS}${salt}${key.hex()}"

    def outdated(self, stored: str) -> bool:
        method, _, _ = stored.partition("$")
        kind, _, rounds = method.rpartition(":")
        return kind != "pbkdf2:sha256" or not rounds.isdigit() or int(rounds) < PBKDF2_ROUNDS


SCHEMES: Final[dict[str, type[Scheme]]] = {"argon2id": Argon2id, "pbkdf2-sha256": Pbkdf2Sha256}


def verify(stored: str, password: str) -> bool:
    """Whether `password` made `stored`, in any form that can be read. Never raises."""
    if stored.startswith("$argon2"):
        try:
            return PasswordHasher().verify(stored, password)
        except (VerificationError, InvalidHashError):
            return False
    method, _, rest = stored.partition("$")
    salt, _, expected = rest.partition("$")
    try:
        key = _derive(method, password.encode(), salt.encode())
    except (ValueError, OverflowError, MemoryError):
        return False
    return hmac.compare_digest(key.hex().encode(), expected.encode())


def _derive(method: str, password: bytes, salt: bytes) -> bytes:
    """The key of Werkzeug's two forms. Raises ValueError for any other."""
    parts = method.split(":")
    if parts[0] == "pbkdf2" and len(parts) == 3:
        rounds = int(parts[2])
        if not 0 < rounds <= _MOST_ROUNDS:
            raise ValueError("rounds")
        return hashlib.pbkdf2_hmac(parts[1], password, salt, rounds)
    if parts[0] == "scrypt" and len(parts) == 4:
        n, r, p = (int(part) for part in parts[1:])
        return hashlib.scrypt(password, salt=salt, n=n, r=r, p=p, maxmem=132 * n * r * p)
    raise ValueError("an unknown form of hash")


class Busy(Exception):
    """More hashes are wanted than the policy has room for; `wait` says for how many seconds."""

    def __init__(self, wait: int) -> None:
        super().__init__(wait)
        self.wait = wait


class HashPool:
    """Makes and checks hashes in a few threads, and refuses rather than pile up."""

    def __init__(self, *, mebibytes: int, each: int, waiting: int) -> None:
        self.threads = max(1, min(os.cpu_count() or 1, mebibytes // max(1, each)))
        self.places = self.threads + waiting
        self._free = threading.BoundedSemaphore(self.places)
        self._lock = threading.Lock()
        self._pool: ThreadPoolExecutor | None = None
        self._pid = 0

    def run(self, work: Callable[..., T], *args: object) -> T:
        """The result of `work(*args)`. Raises Busy when too many are waiting already."""
        if not self._free.acquire(blocking=False):
            raise Busy(wait=max(1, round(self.places / self.threads * 0.2)))
        try:
            return self._executor().submit(work, *args).result()
        finally:
            self._free.release()

    def _executor(self) -> ThreadPoolExecutor:
        with self._lock:
            if self._pool is None or self._pid != os.getpid():  # a forked child has no threads
                self._pool = ThreadPoolExecutor(
                    self.threads, thread_name_prefix="bylaw-hash", initializer=_step_back
                )
                self._pid = os.getpid()
            return self._pool


def _step_back() -> None:
    """Let other threads go first; where a thread has no priority of its own, nothing changes."""
    with suppress(OSError, AttributeError):
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), 15)
