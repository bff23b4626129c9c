"""One request: its facts, and what the gate has found out about it."""

from __future__ import annotations

import os
import secrets
from collections import deque
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol
from urllib.parse import quote

from bylaw.exchange.headers import HeaderNames, Headers

if TYPE_CHECKING:
    from bylaw.exchange.verdicts import Refuse
    from bylaw.identity import AccessRule, Identity


SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})
"""Methods that ask for no change (RFC 9110 section 9.2.1)."""

_current: ContextVar[Exchange | None] = ContextVar("bylaw_exchange", default=None)

_request_ids: Final[deque[str]] = deque()
_IDS_AT_ONCE: Final = 256


def _request_id() -> str:
    """64 random bits in hexadecimal: an id that tells neither how many came before nor what follows.

    Asking the system for randomness costs 2 to 8 µs inside a request, so it is asked for 256 at once.
    Taking from a deque is one step, which threads may do without a lock.
    """
    try:
        return _request_ids.popleft()
    except IndexError:
        text = secrets.token_hex(8 * _IDS_AT_ONCE)
        _request_ids.extend(text[at : at + 16] for at in range(16, len(text), 16))
        return text[:16]


# A forked child would go on with its parent's ids, as each of its siblings would.
os.register_at_fork(after_in_child=_request_ids.clear)


class Exchange:
    """One request: its facts, and what the gate has found out about it.

    The facts (method to peer) are what the server saw, and never change. `client`, `scheme` and
    `request_id` are what the first controls make of them: who sent the request, over what, under
    which name. `identity`, `session` and `nonce` are the gate's; an application reads them through
    its framework.
    """

    __slots__ = (
        "client",
        "cookie_changes",
        "credential",
        "forwarded",
        "headers",
        "identity",
        "meter",
        "method",
        "nonce",
        "notes",
        "pace",
        "path",
        "peer",
        "permitted",
        "query",
        "request_id",
        "scheme",
        "session",
        "static",
        "unsafe",
        "websocket",
    )

    def __init__(
        self,
        method: str,
        path: str,
        headers: Headers,
        scheme: str = "https",
        query: str = "",
        peer: str = "",
        websocket: bool = False,
        request_id: str = "",
    ) -> None:
        self.method = method
        self.scheme = scheme
        self.path = path
        self.query = query
        self.headers = headers
        self.peer = peer
        """The address at the other end of the connection: a proxy's, where there is one."""
        self.client = peer
        """The client's address, for limits, records and logs; `proxies` alone may change it."""
        self.forwarded: Forwarded | None = None
        self.meter: Meter | None = None
        self.websocket = websocket
        self.unsafe = websocket or method not in SAFE_METHODS
        """Whether the request may change something. A WebSocket handshake may (RFC 6455 10.2)."""
        self.request_id = request_id or _request_id()
        self.identity: Identity | None = None
        self.session: Any = None
        self.credential: Any = None
        """What the request bore in its Authorization field, as it is remembered: no browser adds that by
        itself, so that no token is asked for against forgery."""
        self.nonce: str | None = None
        self.permitted = False
        self.static = False
        self.cookie_changes: list[str] | None = None
        self.notes: dict[str, Any] | None = None
        self.pace: Any = None
        """What is left of the budget that this request was counted against (see rate_limits)."""

    @property
    def partial(self) -> Identity | None:
        """Somebody who has given a first proof and still owes something: nobody to the application."""
        session = self.session
        return session.identity if session is not None and session.owes else None

    def asker(self, rule: AccessRule) -> Identity | None:
        """Who asks for a route with this rule: on the pages on which signing in is finished, also
        somebody who has only begun to."""
        if self.identity is None and rule.kind == "owing":
            return self.partial
        return self.identity

    @property
    def address(self) -> str:
        """Path and query as an address has them: where the way back leads."""
        return f"{quote(self.path)}?{self.query}" if self.query else quote(self.path)

    def cookie(self, name: str) -> str | None:
        """The cookie's value; None when absent, and when it came twice.

        A second cookie of the same name is how a neighbouring sub-domain plants a value (RFC 6265
        section 8.6): neither of the two is believed.
        """
        found = None
        for header in self.headers.all("cookie"):
            for part in header.split(";"):
                if name in part:  # the others, which may be many, cost no more than this
                    key, equals, value = part.partition("=")
                    # Space and tab alone (RFC 6265bis): to strip() \x85 and \xa0 are blanks as well,
                    # so that "\xa0__Host-sid", which any neighbour may set, would pass for the name
                    # that a browser keeps for this host.
                    if equals and key.strip(" \t") == name:
                        if found is not None:
                            return None
                        found = value.strip(" \t")
        return found

    def set_cookie(self, header: str) -> None:
        """Have the response carry this Set-Cookie value."""
        if self.cookie_changes is None:
            self.cookie_changes = []
        self.cookie_changes.append(header)

    def note(self, key: str, value: Any) -> None:
        """Remember something about this request for a later step of the same control."""
        if self.notes is None:
            self.notes = {}
        self.notes[key] = value

    def wants_html(self) -> bool:
        """Whether a person's browser asks for a page (rather than a program for data)."""
        accept = self.headers.all("accept")
        if not accept:
            return False
        value = accept[0]
        html, json = value.find("text/html"), value.find("json")
        return html >= 0 and (json < 0 or html < json)


@dataclass(frozen=True, slots=True)
class Forwarded:
    """What the application shall see in the place of what its server saw.

    An adapter drops the header fields in `drop` (lower case) and puts the others in their places;
    None leaves what is there.
    """

    drop: HeaderNames
    client: str | None = None
    scheme: str | None = None
    host: str | None = None
    """The Host field: a name, with a port where it is not the scheme's own."""


class Meter(Protocol):
    """Looks at a body on its way to the application, piece by piece, and keeps none of it."""

    refused: Refuse | None
    """Why the application was not let read on, whatever it has made of that."""

    def take(self, piece: bytes) -> None:
        """The next piece; empty at the end. Raises Refused where the application shall not read on."""


def current() -> Exchange | None:
    """The exchange that is being served here and now; None outside a request."""
    return _current.get()


enter = _current.set
leave = _current.reset
