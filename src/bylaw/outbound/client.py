"""The client: has an address judged, connects to what was judged, and takes so much of the answer."""

from __future__ import annotations

import http.client
import ssl
import threading
import time
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field, replace
from functools import lru_cache
from ipaddress import ip_address
from typing import Final

from bylaw.outbound.addresses import Address
from bylaw.outbound.rules import Forbidden, Rules
from bylaw.outbound.targets import Target, Unreadable
from bylaw.outbound.wire import Bounds, Connection, TooLong
from bylaw.ports import Dialler, Received, Resolver, dialled, resolved

METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"})
MOST_REDIRECTS: Final = 10
"""Redirects that may be asked for at most."""
_OURS: Final = frozenset(
    {"host", "connection", "content-length", "transfer-encoding", "expect", "te", "trailer", "upgrade"}
)
"""Fields that say where a request ends and to whom it goes: nobody else writes these."""
_HARMLESS: Final = frozenset({"accept", "accept-language", "content-type", "user-agent"})
"""What another origin is told on a redirect. Anything else may be a credential, under whatever name."""
_TRIED: Final = 3
"""Addresses of one name that are tried at most."""
_PIECE: Final = 16 * 1024
_LOOK_UPS: Final = threading.BoundedSemaphore(64)
"""Look-ups under way at most: a name server that says nothing holds a thread for as long as it likes."""


@lru_cache(maxsize=1)
def _trusted() -> ssl.SSLContext:
    """The machine's own authorities, read once."""
    return ssl.create_default_context()


@dataclass(frozen=True, slots=True)
class Client:
    """Asks another server once (bylaw.ports.Network), within the rules. It asks no proxy, keeps no cookie and
    no connection."""

    rules: Rules = field(default_factory=Rules)
    resolve: Resolver = resolved
    seconds: float = 10.0
    """How long the whole may take, redirects and all."""
    piece: float = 5.0
    """How long looking up a name, connecting and each piece of the answer may take."""
    dial: Dialler = dialled
    tls: ssl.SSLContext | None = None
    """Whose certificates are believed, in the place of the machine's authorities."""

    def __call__(
        self,
        method: str,
        url: str,
        /,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
        limit: int = 65_536,
        redirects: int = 0,
    ) -> Received:
        """The answer of the server at `url`; of the last one, where `redirects` of them are followed at most.

        `limit` is how many bytes of a body are taken, on the wire and unpacked. Raises Forbidden where it may
        not be asked, other OSErrors where nothing came that could be read, ValueError where the method or a
        header field is none.
        """
        ask = _Ask(method, dict(headers or {}), body)
        if not 0 <= redirects <= MOST_REDIRECTS:
            raise ValueError(f"redirects: 0 to {MOST_REDIRECTS}")
        until = time.monotonic() + self.seconds
        target, rules = self.rules.target(url), self.rules
        for _ in range(redirects + 1):
            received = self._once(rules, target, ask, limit, until)
            location = received.header("location")
            if redirects < 1 or received.status not in (301, 302, 303, 307, 308) or not location:
                return received
            if target.scheme == "https":
                rules = rules.only_by_https()
            moved = _moved(rules, target, location)
            ask, target = ask.onwards(received.status, target, moved), moved
        raise Forbidden(f"more than {redirects} redirects")

    def _once(self, rules: Rules, target: Target, ask: _Ask, limit: int, until: float) -> Received:
        bounds = Bounds(until, self.piece)
        with Connection(target, bounds) as connection:
            self._reach(connection, target, self._judged(rules, target, until)[:_TRIED])
            try:
                return _exchanged(connection, target, ask, bounds, limit)
            except (OSError, http.client.HTTPException, zlib.error) as error:
                raise _unanswered(error) from error

    def _reach(self, connection: Connection, target: Target, addresses: list[Address]) -> None:
        """Connect to the first of them that answers: nothing has been sent yet. Raises OSError."""
        tls = (self.tls or _trusted()) if target.scheme == "https" else None
        failed: Exception | None = None
        for address in addresses:
            try:
                connection.reach(address, self.dial, tls)
            except (OSError, ValueError) as error:
                failed = error
            else:
                return
        raise _unanswered(failed or OSError()) from failed

    def _judged(self, rules: Rules, target: Target, until: float) -> list[Address]:
        """The addresses that a name leads to, all of them good. There is no other look-up. Raises OSError."""
        rules.demand(target)
        addresses = self._addresses(target, until)
        rules.judge(target, addresses)
        return addresses

    def _addresses(self, target: Target, until: float) -> list[Address]:
        """Where a name leads, looked up once. Raises OSError."""
        if target.literal is not None:
            return [target.literal]
        wait = min(self.piece, until - time.monotonic())
        found = _in_time(lambda: self.resolve(target.host, target.port), wait)
        return [ip_address(text) for text in dict.fromkeys(found)]


@dataclass(frozen=True, slots=True)
class _Ask:
    """What is asked: method, fields, body. Raises ValueError where it is nothing that can be asked."""

    method: str
    headers: dict[str, str] = field(repr=False)
    body: bytes = field(repr=False)

    def __post_init__(self) -> None:
        if self.method not in METHODS:
            raise ValueError(f"no method that is asked with: {', '.join(sorted(METHODS))}")
        for name in self.headers:
            if name.lower() in _OURS or name.lower().startswith("proxy-"):
                raise ValueError(f"{name} is not for the caller to write")

    def onwards(self, status: int, before: Target, moved: Target) -> _Ask:
        """What is asked where a redirect leads (RFC 9110 section 15.4). Raises Forbidden."""
        ask = self
        if self.method not in ("GET", "HEAD") and status not in (307, 308):
            kept = {name: value for name, value in self.headers.items() if name.lower() != "content-type"}
            ask = _Ask("GET", kept, b"")
        if moved.origin == before.origin:
            return ask
        if ask.method not in ("GET", "HEAD"):
            raise Forbidden("a redirect would take what is sent to somebody else")
        return replace(ask, headers={n: v for n, v in ask.headers.items() if n.lower() in _HARMLESS})


def _moved(rules: Rules, target: Target, location: str) -> Target:
    """Where a redirect leads, judged like any address. Raises Forbidden."""
    try:
        moved = target.moved(location)
    except Unreadable as error:
        raise Forbidden(f"a redirect: {error}") from None
    if target.scheme == "https" and moved.scheme != "https":
        raise Forbidden("a redirect from https to http")
    rules.demand(moved)
    return moved


def _unanswered(error: Exception) -> OSError:
    """Its kind alone, unless the words are ours: a library's text may hold what a server has sent."""
    if isinstance(error, TooLong):
        return error
    return OSError(type(error).__name__)


def _in_time(look: Callable[[], list[str]], seconds: float) -> list[str]:
    """What `look` finds, in a thread of its own: the system's resolver has no end. Raises OSError."""
    if seconds <= 0 or not _LOOK_UPS.acquire(timeout=max(seconds, 0)):
        raise TooLong("too many look-ups are waiting")
    found: list[list[str]] = []
    failed: list[Exception] = []

    def work() -> None:
        try:
            found.append(look())
        except Exception as error:  # noqa: BLE001 - it is raised where somebody waits
            failed.append(error)
        finally:
            _LOOK_UPS.release()

    thread = threading.Thread(target=work, name="bylaw-look-up", daemon=True)
    try:
        thread.start()
    except RuntimeError:  # the machine has no thread left
        _LOOK_UPS.release()
        raise TooLong("too many look-ups are waiting") from None
    thread.join(seconds)
    if failed:
        raise Unresolved(type(failed[0]).__name__)
    if not found or not found[0]:
        raise Unresolved("no address")
    return found[0]


class Unresolved(OSError):
    """A name that leads nowhere, or not in time."""


def _exchanged(connection: Connection, target: Target, ask: _Ask, bounds: Bounds, limit: int) -> Received:
    """Send what is asked and take the answer. Raises OSError, HTTPException."""
    given = {name.lower() for name in ask.headers}
    usual = {"User-Agent": "bylaw", "Accept": "*/*", "Accept-Encoding": "identity"}
    fields = {name: value for name, value in usual.items() if name.lower() not in given}
    fields |= {"Host": target.authority, "Connection": "close", **ask.headers}
    connection.request(ask.method, target.path, body=ask.body or None, headers=fields)
    with closing(connection.getresponse()) as response:
        if response.status < 200:
            raise TooLong("an answer that is none")
        bounds.left += 2 * limit  # the body: chunks have a frame each
        length = response.getheader("content-length") or ""
        if ask.method != "HEAD" and length.isdecimal() and len(length) < 20 and int(length) > limit:
            raise TooLong(f"the answer is longer than {limit} bytes")
        body = b"".join(_unpacked(response, limit))
        return Received(
            response.status,
            response.getheader("content-type", ""),
            body,
            headers=tuple(response.getheaders()),
            url=target.url,
        )


def _unpacked(response: http.client.HTTPResponse, limit: int) -> Iterator[bytes]:
    """The body, piece by piece, unpacked where it was packed. Raises TooLong where it is longer than `limit`,
    before anything longer is in memory."""
    coding = (response.getheader("content-encoding") or "identity").strip().lower()
    if coding not in ("identity", "gzip", "deflate"):
        raise TooLong("an encoding that nobody asked for")
    unpack = None if coding == "identity" else zlib.decompressobj(zlib.MAX_WBITS | 32)
    taken, came = 0, False
    while piece := response.read1(_PIECE):
        came = True
        if unpack is not None:
            piece = unpack.decompress(piece, limit - taken + 1)
        taken += len(piece)
        if taken > limit:
            raise TooLong(f"the answer is longer than {limit} bytes")
        yield piece
    if response.length or (unpack is not None and came and (not unpack.eof or unpack.unused_data)):
        raise TooLong("the answer breaks off")
