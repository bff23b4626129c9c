"""Password hashes: the formats that can be read, the ones that are made, peppers, and a bounded pool.

A hash costs a tenth of a second and 64 MiB on purpose. The pool keeps a storm of sign-ins from
taking more of either than the policy gives it, and runs below everything else (nice 15), so that
people who are signed in notice nothing.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import re
import secrets
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from typing import Final, Protocol, TypeVar

from argon2 import PasswordHasher, extract_parameters
from argon2.exceptions import VerificationError, VerifyMismatchError
from argon2.low_level import Type

T = TypeVar("T")

ARGON2_PASSES: Final = 3
ARGON2_KIB: Final = 64 * 1024
"""64 MiB and 3 passes: RFC 9106 section 4's second choice, above OWASP's minimum of 19 MiB and 2.
One lane: on a busy server more lanes cost the same and buy nothing."""
ARGON2_LEAST: Final = ((46 * 1024, 1), (19 * 1024, 2), (12 * 1024, 3), (9 * 1024, 4), (7 * 1024, 5))
"""(KiB, passes) that OWASP's Password Storage page calls equally strong: the least that is made."""
PBKDF2_ROUNDS: Final = 1_000_000
"""What Werkzeug writes today; OWASP and ASVS 5.0.0 appendix C ask for 600,000."""
_SALT_CHARACTERS: Final = 16
_MOST_ROUNDS: Final = 10_000_000
MOST_BYTES: Final = 256 * 1024 * 1024
MOST_PASSES: Final = 16
"""A stored hash names its own cost. One that names more than this is not computed: a row that
somebody wrote into the table must not be able to take the server's memory or its day."""


def weak(kib: int, passes: int) -> bool:
    """Whether Argon2id with this cost is below OWASP's minimum."""
    return not any(kib >= least and passes >= times for least, times in ARGON2_LEAST)


class Scheme(Protocol):
    """A way to make hashes. `mebibytes` is what one place of the pool has to hold; `prefix` is what each of
    its hashes begins with: kind, cost and pepper."""

    name: str
    mebibytes: int

    @property
    def prefix(self) -> str: ...

    def make(self, password: str) -> str:
        """A new hash, with salt and cost in it."""

    def outdated(self, stored: str) -> bool:
        """Whether `stored` is of another kind or cheaper than this scheme makes today."""


class Argon2id:
    """RFC 9106, in the encoded form `$argon2id$…`. `kib` is the memory of one hash."""

    name = "argon2id"

    def __init__(self, kib: int = ARGON2_KIB, passes: int = ARGON2_PASSES) -> None:
        self.mebibytes = -(-kib // 1024)
        self._hasher = PasswordHasher(time_cost=passes, memory_cost=kib, parallelism=1, type=Type.ID)

    @property
    def prefix(self) -> str:
        cost = self._hasher
        return f"$argon2id$v=19$m={cost.memory_cost},t={cost.time_cost},p={cost.parallelism}$"

    def make(self, password: str) -> str:
        return self._hasher.hash(password)

    def outdated(self, stored: str) -> bool:
        return not stored.startswith("$argon2id$") or self._hasher.check_needs_rehash(stored)


class Pbkdf2Sha256:
    """PBKDF2-HMAC-SHA256 in Werkzeug's form `pbkdf2:sha256:<rounds>$<salt>$<hex>`."""

    name = "pbkdf2-sha256"
    prefix = f"pbkdf2:sha256:{PBKDF2_ROUNDS}$"
    mebibytes = ARGON2_KIB // 1024  # not its own need: an older Argon2id hash is checked there too

    def make(self, password: str) -> str:
        alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
        salt = "".join(secrets.choice(alphabet) for _ in range(_SALT_CHARACTERS))
        key = hashlib.pbkdf2_hmac("sha256", password.encode(), salt.encode(), PBKDF2_ROUNDS)
        return f"pbkdf2:sha256:{PBKDF2_ROUNDS}${salt}${key.hex()}"

    def outdated(self, stored: str) -> bool:
        method, _, _ = stored.partition("$")
        kind, _, rounds = method.rpartition(":")
        return kind != "pbkdf2:sha256" or not rounds.isdigit() or int(rounds) < PBKDF2_ROUNDS


SCHEMES: Final[dict[str, type[Argon2id | Pbkdf2Sha256]]] = {
    "argon2id": Argon2id,
    "pbkdf2-sha256": Pbkdf2Sha256,
}


PEPPERED: Final = "hmac-sha256:"
"""What a hash of a keyed password begins with; the pepper's id and a colon follow."""
_PEPPERED: Final = re.compile(r"hmac-sha256:([0-9a-f]{8}):(.*)", re.DOTALL)


class Peppers:
    """Keys that the database does not hold, applied to a password before it is hashed (HMAC-SHA256).

    A stolen table alone is then worth nothing: no list of passwords can be tried without the key (NIST SP
    800-63B-4 3.1.1.2; OWASP Password Storage, peppering before hashing). Before, not after: the stored form
    stays one that the schemes read, and the key's id says which one was used. The first key makes, all are
    tried by their id; `current` False: they are only read, until their owners have signed in.
    """

    def __init__(self, keys: Sequence[bytes] = (), *, current: bool = True) -> None:
        self._keys = {_pepper_id(key): key for key in keys}
        self.current = _pepper_id(keys[0]) if keys and current else ""

    def __repr__(self) -> str:
        return f"Peppers({', '.join(self._keys)})"

    def __bool__(self) -> bool:
        return bool(self._keys)

    @property
    def ids(self) -> frozenset[str]:
        """What the keys are called in stored hashes: it tells nothing about them."""
        return frozenset(self._keys)

    def keyed(self, password: str, of: str) -> str:
        """The password under the pepper `of`, as it is hashed: text of 256 bits, without NUL."""
        mac = hmac.digest(self._keys[of], password.encode(), "sha256")
        return base64.b64encode(mac).decode()

    def opened(self, stored: str, password: str) -> tuple[str, str]:
        """The hash inside of `stored`, and what it is a hash of if the password is right. Where the pepper
        is not here, a hash that nobody can read."""
        match = _PEPPERED.fullmatch(stored)
        if match is None:
            return stored, password
        if match[1] not in self._keys:
            return "", password
        try:
            return match[2], self.keyed(password, match[1])
        except UnicodeEncodeError:
            return "", password


def _pepper_id(key: bytes) -> str:
    """Eight hexadecimal digits by which a pepper is known: a MAC under it, which tells nothing of it."""
    return hmac.digest(key, b"bylaw/1/pepper id", "sha256").hex()[:8]


class Peppered:
    """A scheme whose passwords are keyed first, or no more: `peppers` says with what."""

    def __init__(self, scheme: Scheme, peppers: Peppers) -> None:
        self.scheme, self.peppers = scheme, peppers
        self.name, self.mebibytes = scheme.name, scheme.mebibytes

    @property
    def prefix(self) -> str:
        return self._prefix + self.scheme.prefix

    @property
    def _prefix(self) -> str:
        return f"{PEPPERED}{self.peppers.current}:" if self.peppers.current else ""

    def make(self, password: str) -> str:
        of = self.peppers.current
        return self._prefix + self.scheme.make(self.peppers.keyed(password, of) if of else password)

    def outdated(self, stored: str) -> bool:
        """Also one without the current pepper, or with one that is to be there no more."""
        match = _PEPPERED.fullmatch(stored)
        of, inner = (match[1], match[2]) if match else ("", stored)
        return of != self.peppers.current or self.scheme.outdated(inner)


_ARGON2: Final = PasswordHasher()


def verify(stored: str, password: str) -> bool | None:
    """Whether `password` made `stored`; None where `stored` is nothing that can be read.

    Never raises. None took no work, which a caller that hides whether there is an account makes up.
    """
    try:
        if stored.startswith("$argon2"):
            return _verify_argon2(stored, password)
        method, _, rest = stored.partition("$")
        salt, _, expected = rest.partition("$")
        key = _derive(method, password.encode(), salt.encode())
        return hmac.compare_digest(key.hex().encode(), expected.encode())
    except (VerificationError, ValueError, OverflowError, MemoryError):
        return None  # InvalidHashError and UnicodeEncodeError are among the ValueErrors


def _verify_argon2(stored: str, password: str) -> bool:
    cost = extract_parameters(stored)
    if cost.memory_cost * 1024 > MOST_BYTES or cost.time_cost > MOST_PASSES:
        raise ValueError("too costly")
    try:
        return _ARGON2.verify(stored, password)
    except VerifyMismatchError:
        return False


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
        if 128 * n * r > MOST_BYTES or p > MOST_PASSES:
            raise ValueError("too costly")
        return hashlib.scrypt(password, salt=salt, n=n, r=r, p=p, maxmem=132 * n * r * p)
    raise ValueError("an unknown form of hash")


class Busy(Exception):
    """More hashes are wanted than the policy has room for; `wait` says for how many seconds."""

    def __init__(self, wait: int) -> None:
        super().__init__(wait)
        self.wait = wait


class HashPool:
    """Makes and checks hashes in a few threads, and refuses rather than pile up.

    `mebibytes` is the budget, `each` what one hash takes; `waiting` may queue behind those that are
    being computed.
    """

    def __init__(self, *, mebibytes: int, each: int, waiting: int) -> None:
        self.threads = max(1, min(os.cpu_count() or 1, mebibytes // max(1, each)))
        self.places = self.threads + waiting
        self._lock = threading.Lock()
        self._pid = 0

    @property
    def taken(self) -> int:
        """How many of the places are taken just now."""
        return self.places - self._free._value if self._pid == os.getpid() else 0

    def run(self, work: Callable[..., T], *args: object) -> T:
        """The result of `work(*args)`, computed in a thread of the pool. Raises Busy when full."""
        self._begin()
        free = self._free
        if not free.acquire(blocking=False):
            raise Busy(wait=max(1, round(self.places / self.threads * 0.2)))
        try:
            return self._pool.submit(work, *args).result()
        finally:
            free.release()

    @contextmanager
    def occupied(self) -> Iterator[None]:
        """Take every place for as long as the block lasts: what a storm looks like to the next."""
        self._begin()
        taken = 0
        while self._free.acquire(blocking=False):
            taken += 1
        try:
            yield
        finally:
            for _ in range(taken):
                self._free.release()

    def _begin(self) -> None:
        """Threads and places of this process: a forked child has neither, and none of its parent's."""
        if self._pid == os.getpid():
            return
        with self._lock:
            if self._pid != os.getpid():
                self._free = threading.BoundedSemaphore(self.places)
                self._pool = ThreadPoolExecutor(
                    self.threads, thread_name_prefix="bylaw-hash", initializer=_step_back
                )
                self._pid = os.getpid()


def _step_back() -> None:
    """Let other threads go first, where a thread has a priority of its own (Linux)."""
    if sys.platform == "linux":
        with suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), 15)
