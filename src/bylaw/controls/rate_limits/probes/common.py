"""What the attacks on limits are made with: clients at addresses of their own, and limits of their own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from bylaw.controls import rate_limits

_peers = iter(range(1, 1 << 30))


def somebody(lab: Any) -> Any:
    """A visitor at an address that nobody had before: 198.18.0.0/15 is there for tests (RFC 2544)."""
    number = next(_peers) % (1 << 17)
    return lab.visitor(peer=f"198.{18 + (number >> 16)}.{number >> 8 & 255}.{number & 255}")


def is_refused(reply: Any) -> bool:
    return bool(reply.code == rate_limits.EXCEEDED.code)


def let_through(ask: Callable[[], Any], most: int) -> int:
    """How many of `most` requests were let through before one was refused."""
    for count in range(most):
        if is_refused(ask()):
            return count
    return most


@contextmanager
def limited(lab: Any, **settings: Any) -> Iterator[None]:
    """Limits of the probe's own, and none beside them."""
    none: dict[str, Any] = {"default": (), "signed_in": (), "routes": {}, "total": ()}
    with lab.under(rate_limits.Settings, **{**none, **settings}), lab.paced():
        yield
