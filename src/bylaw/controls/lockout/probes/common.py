"""What the attacks by guessing are made with: tries from anywhere, and what is looked at."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from bylaw import hashing
from bylaw.control import Broken, CouldNotLook
from bylaw.controls import lockout, passwords
from bylaw.reasons import Reason, Refused

WRONG: Final = "no password of anybody's here"
_NONE: Final = "\0"
"""What cannot be a password: it is wrong without being hashed."""
_addresses: Final = itertools.count(1)


def settings_of(lab: Any) -> lockout.Settings:
    settings: lockout.Settings = lab.policy.of(lockout.Settings)
    return settings


def anywhere() -> str:
    """An address of a network that nobody has sent anything from yet."""
    number = next(_addresses)
    return f"2001:db8:{number >> 16:x}:{number & 0xFFFF:x}::1"


@contextmanager
def hashing_done() -> Iterator[list[str]]:
    """A line for each hash that is verified while the block lasts."""
    real = hashing.verify
    seen: list[str] = []

    def counting(stored: str, password: str) -> bool | None:
        seen.append("verified")
        return real(stored, password)

    setattr(hashing, "verify", counting)  # noqa: B010 - mypy knows that a function is no variable
    try:
        yield seen
    finally:
        setattr(hashing, "verify", real)  # noqa: B010 - (the same)


def try_password(
    lab: Any, email: str, password: str, *, peer: str = "", jar: dict[str, str] | None = None
) -> Any:
    """Try a password over HTTP, from anywhere. Raises CouldNotLook where another control is in the way."""
    visitor = lab.visitor(peer=peer or anywhere())
    visitor.cookies = dict(jar or {})
    reply = visitor.send(
        "POST", lab.api("sign_in"), headers=visitor.from_here, json={"email": email, "password": password}
    )
    unobstructed(reply)
    return reply


def unobstructed(reply: Any) -> None:
    if reply.code.partition(".")[0] in ("rate_limits", "ip_allowlist", "hosts", "proxies"):
        raise CouldNotLook(f"sign-ins from many addresses are refused before: {reply}")


def fail(lab: Any, email: str, *, address: str = "", times: int = 1) -> Reason:
    """Fail without a request and without hashing (what cannot be a password is wrong at once); the
    reason of the last refusal."""
    reason = passwords.WRONG
    for _ in range(times):
        try:
            sys.modules["bylaw.operations.signing_in"].sign_in(
                lab.site.house, email=email, password=_NONE, address=address or anywhere()
            )
        except Refused as refused:
            reason = refused.reason
    return reason


def expect(what: str, reply: Any, reason: Reason, wait: int | None = None) -> None:
    if (reply.status, reply.code) != (reason.status, reason.code):
        raise Broken(f"{what}: {reply}, not {reason.status} {reason.code}")
    if wait is not None and reply.header("retry-after") != str(wait):
        raise Broken(f"{what}: Retry-After {reply.header('retry-after')!r}, not {wait}")
