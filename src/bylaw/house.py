"""What controls and operations share: the policy, the world, the keys and the store."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import Any

from sqlalchemy import Connection

from bylaw.hashing import HashPool, Peppers, Scheme
from bylaw.keys import KeyRing
from bylaw.oidc import Provider
from bylaw.policy import Policy
from bylaw.ports import Mailer, Ports
from bylaw.routes import Routes
from bylaw.storage import Storage
from bylaw.store import Store
from bylaw.store.counters import Counters, Memory


@dataclass(slots=True)
class House:
    """One application's policy at work."""

    policy: Policy
    ports: Ports
    keys: KeyRing
    store: Store
    scheme: Scheme
    hashes: HashPool
    mailer: Mailer
    decoy: str
    """A hash of nobody's password, checked where there is no account: equal work (C-41)."""
    peppers: Peppers = field(default_factory=Peppers)
    """Keys under which passwords were hashed; none where the policy names none."""
    routes: Routes = field(default_factory=Routes)
    """What the application has at which path, as its framework says."""
    counters: Counters = field(default_factory=Memory)
    """Where requests are counted."""
    issuers: dict[str, Provider] = field(default_factory=dict)
    """What this process knows of each identity provider that it has asked, by issuer."""
    imports: Any = None
    """The importers of the application, and what this process works on (`bylaw.operations.imports`)."""
    storage: Storage | None = None
    """Where uploaded files are kept, once somebody has asked (`bylaw.operations.files.keeping`)."""
    roots: set[Path] = field(default_factory=set)
    """Directories that are served as they are, or run as code: nothing that was uploaded may be in there."""
    later: deque[Callable[[Connection], None]] = field(default_factory=lambda: deque(maxlen=10_000))
    """What is recorded with the next round of chores, since its request could not wait for the database."""
    sending: Lock = field(default_factory=Lock)
    """Held by whoever sends this process's mail: who comes next finds it sent."""
    paced: bool = True
    """Whether limits and lockout count. A laboratory that attacks something else has them wait."""
    fenced: bool = True
    """Whether lists of addresses count. A laboratory's people come from anywhere, until the attack is on
    the lists."""
    counts: dict[str, int] = field(default_factory=dict)
    """How often each reason refused and each named event happened, since the start of this process."""
    requests: dict[str, list[int]] = field(default_factory=dict)
    """Answers that left: by method, how many of each class of status (2 for 2xx)."""
    gauges: dict[str, dict[str, float]] = field(default_factory=dict)
    """What was measured off the request path, by metric and labels (`part="log",`), for `/metrics`."""
    checks: dict[str, Callable[[], str]] = field(default_factory=dict)
    """What readiness asks, by name. Each returns what is wrong, in words that an operator may read, and
    nothing where all is well. It may wait, and raising counts as wrong."""

    def now(self) -> float:
        """Seconds since 1970, by the clock port."""
        return self.ports.clock()

    def count(self, reason: str) -> None:
        self.counts[reason] = self.counts.get(reason, 0) + 1

    def of(self, settings: type[Any]) -> Any:
        return self.policy.of(settings)
