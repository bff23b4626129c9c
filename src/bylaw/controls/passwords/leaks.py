"""Asking whether a password stands in a published leak, without telling which one it is.

The range protocol of Pwned Passwords: five hexadecimal digits of the password's SHA-1 go out, some hundred
suffixes come back, padded so that the length of the answer tells nothing either (Add-Padding). Nothing else
leaves: no address, no account, no cookie. Whoever asks waits for a bounded time in a worker's thread, never
on the event loop.
"""

from __future__ import annotations

import hashlib
import logging
import re
import threading
from typing import Final

from bylaw.ports import Network

log = logging.getLogger("bylaw.passwords")

SECONDS: Final = 3.0
"""How long an answer may take in all. A server that drips does not count as one that answers."""
AT_ONCE: Final = 8
"""Look-ups under way at most; where so many hang, the next does not wait as well."""
_LIMIT: Final = 512 * 1024
"""Bytes of an answer: a padded one has some 60 kB."""
_LINE: Final = re.compile(rb"([0-9A-F]{35}):(\d{1,12})", re.IGNORECASE)
_free = threading.BoundedSemaphore(AT_ONCE)


class Unavailable(Exception):
    """Nobody could say: no answer in time, or none that can be read."""


def times(network: Network, url: str, password: str) -> int:
    """How often the password was seen in leaks, by the service at `url`. Raises Unavailable."""
    digest = hashlib.sha1(password.encode(), usedforsecurity=False).hexdigest().upper()
    answer = _asked(network, url.rstrip("/") + "/" + digest[:5])
    return _counted(answer, digest[5:].encode())


def _counted(answer: bytes, suffix: bytes) -> int:
    """The count of one suffix. Raises Unavailable where a line is none: half an answer is no answer."""
    lines = answer.split()
    matches = [_LINE.fullmatch(line) for line in lines]
    if not lines or None in matches:
        raise Unavailable("an answer that cannot be read")
    # A padding line has a count of nought, and stands for nothing.
    return max((int(m[2]) for m in matches if m is not None and m[1].upper() == suffix), default=0)


def _asked(network: Network, url: str) -> bytes:
    """The body at `url`, within the time. In a thread of its own: whatever hangs (a name server, a header
    that comes byte by byte) hangs there."""
    if not _free.acquire(blocking=False):
        raise Unavailable("too many look-ups are waiting")
    found: list[bytes] = []
    why: list[str] = []

    def ask() -> None:
        try:
            received = network("GET", url, headers={"Add-Padding": "true"}, limit=_LIMIT)
            if received.status == 200:
                found.append(received.body)
            else:
                why.append(f"status {received.status}")
        except Exception as error:  # noqa: BLE001 - a service may fail in any way; nobody's password is wrong then
            why.append(type(error).__name__)
        finally:
            _free.release()

    thread = threading.Thread(target=ask, name="bylaw-leaks", daemon=True)
    thread.start()
    thread.join(SECONDS)
    if not found:
        raise Unavailable(why[0] if why else f"no answer in {SECONDS:g} seconds")
    return found[0]
