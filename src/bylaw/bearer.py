"""Credentials in the Authorization field (RFC 6750 section 2.1, RFC 9110 section 11.4)."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from bylaw.exchange import Exchange
from bylaw.reasons import Reason, Refused

_FIELD = re.compile(r"bearer +([A-Za-z0-9._~+/-]+=*) *", re.IGNORECASE)
LONGEST = 4096
"""Characters of a credential that are looked at."""
CHALLENGE: Final = 'Bearer realm="app"'
"""What a 401 says on the paths of bearers to whoever has borne nothing (RFC 6750 section 3.1)."""
NOTE: Final = "bearer"
"""The note of an exchange on such a path that bears nothing."""


def token(exchange: Exchange) -> str | None:
    """The bearer credential of a request; None where there is none, or one of another scheme.

    Raises Malformed where the field came twice: two parsers could take two different ones.
    """
    field = exchange.headers.one("authorization")
    if field is None or len(field) > LONGEST:
        return None
    found = _FIELD.fullmatch(field)
    return None if found is None else found[1]


class Family:
    """Paths on which credentials come in the Authorization field and cookies say nothing.

    Never both in one family: a request that bears two could be told to be either's.
    """

    def __init__(self, paths: Iterable[str]) -> None:
        paths = tuple(paths)
        self._below = tuple(path[:-1] for path in paths if path.endswith("/*"))
        self._at = frozenset(path for path in paths if not path.endswith("/*"))

    def __bool__(self) -> bool:
        return bool(self._below or self._at)

    def covers(self, path: str) -> bool:
        return path in self._at or (bool(self._below) and path.startswith(self._below))


def challenge(reason: Reason, error: str) -> Refused:
    """A refusal of what was borne, with what the client may do about it (RFC 6750 section 3)."""
    return Refused(reason, headers=(("WWW-Authenticate", f'Bearer realm="app", error="{error}"'),))


def only(exchange: Exchange) -> bool:
    """Whether a credential of this kind is the only thing that counts for the exchange: nobody is sent to a
    page where a cookie would be given to him."""
    return exchange.credential is not None or (exchange.notes is not None and NOTE in exchange.notes)
