"""One request and its response as framework-neutral facts: the type that Python lacks.

Headers are pairs. `one()` refuses what two parsers could read differently, so that no control
decides on a value that the application will not see (RFC 9110 section 5.3, RFC 9112 section 3.2).
"""

from __future__ import annotations

import os
import secrets
from collections import deque
from collections.abc import Callable, Collection, Generator, Iterable
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, AnyStr, Final, Generic, Protocol, TypeVar
from urllib.parse import quote

from bylaw.errors import MisuseError
from bylaw.reasons import Reason

if TYPE_CHECKING:
    from bylaw.identity import AccessRule, Identity

SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})
"""Methods that ask for no change (RFC 9110 section 9.2.1)."""

_NEVER_A_LIST: Final = frozenset({"host", "origin", "content-length", "sec-fetch-site"})


class Malformed(Exception):
    """The request can be read in two ways, or in none. The gate answers 400."""


_current: ContextVar[Exchange | None] = ContextVar("bylaw_exchange", default=None)


class Headers(Protocol):
    """The request's header fields, whatever the server gave them as."""

    def all(self, name: str) -> list[str]:
        """Every value of the field `name` (lower case), in order."""

    def one(self, name: str) -> str | None:
        """The field's only value, None when absent. Raises Malformed when it came twice."""

    def lack(self, names: HeaderNames) -> bool:
        """Whether none of the fields is there: the quick way past what is rare."""

    def exceed(self, count: int, length: int) -> bool:
        """Whether there are more fields than `count`, or their values are longer together than `length`."""


class HeaderNames:
    """Names of request header fields (lower case), prepared in both spellings."""

    __slots__ = ("environ", "raw", "text")

    def __init__(self, *names: str) -> None:
        self.text = names
        self.raw = frozenset(name.encode("latin-1") for name in names)
        self.environ = frozenset(_variable(name) for name in names)


class RawHeaders:
    """Header fields of an ASGI scope as they are: bytes, the names already in lower case."""

    __slots__ = ("_by_name", "_pairs")

    def __init__(self, pairs: list[tuple[bytes, bytes]]) -> None:
        self._pairs = pairs
        # One dictionary costs less than two walks along the pairs, and each control takes one.
        self._by_name = dict(pairs)

    def all(self, name: str) -> list[str]:
        key = name.encode("latin-1")
        if len(self._by_name) == len(self._pairs):  # nothing came twice
            value = self._by_name.get(key)
            return [] if value is None else [value.decode("latin-1")]
        return [value.decode("latin-1") for field_name, value in self._pairs if field_name == key]

    def one(self, name: str) -> str | None:
        value = self._by_name.get(name.encode("latin-1"))
        if value is None:
            return None
        if len(self._by_name) != len(self._pairs) and len(self.all(name)) > 1:
            raise Malformed(f"the header {name} came twice")
        return _single(name, value.decode("latin-1"))

    def lack(self, names: HeaderNames) -> bool:
        return self._by_name.keys().isdisjoint(names.raw)

    def exceed(self, count: int, length: int) -> bool:
        by_name, fields = self._by_name, len(self._pairs)
        if fields == len(by_name) <= count:
            # Joining them is how Python adds up lengths fastest: a quarter of a microsecond.
            return len(b"".join(by_name.values())) > length
        return fields > count or sum(len(value) for _, value in self._pairs) > length


class PairHeaders(RawHeaders):
    """Header fields from pairs of any spelling, as a test writes them."""

    __slots__ = ()

    def __init__(self, pairs: Iterable[tuple[bytes, bytes]] | Iterable[tuple[str, str]]) -> None:
        super().__init__(
            [
                (k, v) if isinstance(k, bytes) else (k.lower().encode("latin-1"), _raw(v))  # type: ignore[misc]
                for k, v in pairs
            ]
        )


def _raw(value: str | bytes) -> bytes:
    return value if isinstance(value, bytes) else value.encode("latin-1")


class EnvironHeaders:
    """Header fields of a WSGI environ, where the server has joined duplicates with a comma."""

    __slots__ = ("_environ",)

    def __init__(self, environ: dict[str, Any]) -> None:
        self._environ = environ

    def all(self, name: str) -> list[str]:
        value = self._environ.get(_VARIABLES.get(name) or _variable(name))
        return [] if value is None else [value]

    def one(self, name: str) -> str | None:
        value = self._environ.get(_VARIABLES.get(name) or _variable(name))
        return None if value is None else _single(name, value)

    def lack(self, names: HeaderNames) -> bool:
        return self._environ.keys().isdisjoint(names.environ)

    def exceed(self, count: int, length: int) -> bool:
        # A walk along the environ takes a microsecond. Joining all that is text takes half of one, once it is
        # known which variables of this server are none; what is no header only makes that sum larger.
        environ = self._environ
        if len(environ) <= count:
            try:
                if len("".join((environ | _NOT_TEXT).values())) <= length:
                    return False
            except TypeError:
                _NOT_TEXT.update((k, "") for k, v in environ.items() if not isinstance(v, str))
        sent = [v for k, v in environ.items() if k[:5] == "HTTP_" or k == "CONTENT_TYPE"]
        # The server has joined what came more than once: here it counts by its length.
        return len(sent) > count or sum(map(len, sent)) > length


_NOT_TEXT: dict[str, str] = {}
"""The variables of a server's environ that hold no text (wsgi.input and the like), learnt as they are met."""
_VARIABLES: dict[str, str] = {"content-type": "CONTENT_TYPE", "content-length": "CONTENT_LENGTH"}


def _variable(name: str) -> str:
    """The environ's name for a header (PEP 3333), remembered: the names are the controls' own."""
    return _VARIABLES.setdefault(name, "HTTP_" + name.upper().replace("-", "_"))


def _single(name: str, value: str) -> str:
    if name in _NEVER_A_LIST and "," in value:
        raise Malformed(f"the header {name} came twice")
    return value


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


class Verdict:
    """What a control decides. Never true or false: a verdict must be matched, not tested."""

    __slots__ = ()

    def __bool__(self) -> bool:
        raise MisuseError("a verdict has no truth value: match Allow, Refuse or Answer")


class Allow(Verdict):
    """Let the exchange pass to the next step."""

    __slots__ = ()


ALLOW: Final = Allow()


@dataclass(frozen=True, slots=True)
class Refuse(Verdict):
    """Stop here, for a named reason. `status` where the policy names another than the reason."""

    reason: Reason
    detail: str = ""
    status: int | None = None
    headers: tuple[tuple[str, str], ...] = ()
    fields: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Response:
    """A whole response: status, header pairs, body."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes = b""

    def header(self, name: str) -> str | None:
        name = name.lower()
        return next((value for key, value in self.headers if key.lower() == name), None)


@dataclass(frozen=True, slots=True)
class Answer(Verdict):
    """Stop here: the control itself answers (an account page, a preflight)."""

    response: Response


class Block:
    """A need: what follows waits for a database, a hash or the network.

    A WSGI adapter goes on; an ASGI adapter goes on in a worker thread.
    """

    __slots__ = ()


BLOCK: Final = Block()


@dataclass(frozen=True, slots=True)
class Peek:
    """A need: the first `limit` bytes of the body, which the application will read again.

    The adapter sends back (bytes, whether that was all of it).
    """

    limit: int


@dataclass(frozen=True, slots=True)
class Read:
    """A need: the whole body, at most `limit` bytes; the adapter sends None when it is longer."""

    limit: int


Need = Block | Peek | Read
Deciding = Generator[Need, Any, Verdict]
"""A step that could not decide from memory: it yields what it needs and returns its verdict."""

Step = Callable[[Exchange], "Verdict | Deciding"]
"""A step of the gate: pure, it returns a verdict; in need of something, it returns a Deciding."""


def idle(exchange: Exchange) -> Verdict:
    """The step of a control that has nothing to do by this policy. The gate leaves it out."""
    return ALLOW


Build = TypeVar("Build", bound=Callable[..., Step])


def for_unsafe(build: Build) -> Build:
    """Mark what builds a step that looks at unsafe requests alone: the gate spares the others the call."""
    build.unsafe_only = True  # type: ignore[attr-defined]
    return build


class Head(Protocol):
    """A response's status and header fields, while they can still be changed."""

    status: int
    torn: bool
    """Whether a name or value holds a line break or NUL, which would begin another field or answer,
    or what cannot be sent at all."""

    @property
    def names(self) -> Collection[str]:
        """The fields' names, in lower case: most of what a control looks for is not there."""

    def get(self, name: str) -> str | None:
        """The first value of the field `name` (lower case)."""

    def every(self, name: str) -> list[str]:
        """All values of the field, in order."""

    def set(self, name: str, value: str) -> None:
        """Put `value` in the place of whatever the field held."""

    def add(self, name: str, value: str) -> None:
        """Add one more field, as Set-Cookie needs."""

    def remove(self, name: str) -> None:
        """Drop the field."""

    def stamp(self, name: HeaderName, value: str) -> None:
        """Like `set`, for a prepared name and a value of ASCII letters, digits and marks alone."""

    def put(self, block: NumberBlock, *numbers: int) -> None:
        """Put a prepared block in the place of whatever its fields held. `names` does not tell of it."""

    def complete(self, block: HeaderBlock) -> None:
        """Drop and add what a prepared block says. `names` tells only of what stood there before."""


_Prepared = tuple[tuple[tuple[AnyStr, AnyStr], ...], dict[str, AnyStr]]
"""Fields in one spelling, and their values by name in lower case."""


class HeaderName:
    """The name of a field that every response gets, in both spellings."""

    __slots__ = ("key", "raw", "text")

    def __init__(self, name: str) -> None:
        self.text = name
        self.key = name.lower()
        self.raw = self.key.encode("latin-1")


@dataclass(frozen=True, slots=True)
class NumberBlock:
    """Fields that hold numbers of this response: what writes them, in both spellings.

    Written out by hand, five fields cost 0.4 µs; from templates and in a loop they cost four times that.
    """

    keys: frozenset[str]
    """The fields' names in lower case."""
    text: Callable[[int, int, int], Iterable[tuple[str, str]]]
    raw: Callable[[int, int, int], Iterable[tuple[bytes, bytes]]]


class HeaderBlock:
    """Fields that are the same on every response, prepared once in both spellings.

    First the fields named in `drop` (lower case) go, then those of `said` are added to whatever stands
    there, then those of `defaults` that the response does not have. No field comes twice.
    """

    __slots__ = ("defaults", "drop", "heeds", "raw", "text")

    def __init__(
        self,
        said: Iterable[tuple[str, str]],
        defaults: Iterable[tuple[str, str]] = (),
        drop: Iterable[str] = (),
    ) -> None:
        defaults = tuple(defaults)
        pairs = (*said, *defaults)
        if any(_tears(name + value) for name, value in pairs):
            raise MisuseError("a prepared header holds a line break")
        raw = tuple((n.lower().encode("latin-1"), v.encode("latin-1")) for n, v in pairs)
        self.drop = frozenset(drop)
        self.defaults = frozenset(name.lower() for name, _ in defaults)
        self.heeds = self.drop | self.defaults
        self.text: _Prepared[str] = pairs, {name.lower(): value for name, value in pairs}
        self.raw: _Prepared[bytes] = raw, {name.decode("latin-1"): value for name, value in raw}

    def joined(self, other: HeaderBlock) -> HeaderBlock:
        """Both at once: completing with one block costs half as much as with two."""
        defaults = self.defaults | other.defaults
        pairs = (*self.text[0], *other.text[0])
        return HeaderBlock(
            [pair for pair in pairs if pair[0].lower() not in defaults],
            [pair for pair in pairs if pair[0].lower() in defaults],
            self.drop | other.drop,
        )


def _tears(text: str) -> bool:
    if "\n" in text or "\r" in text or "\0" in text:
        return True
    # What no byte stands for (PEP 3333) a server finds out when half the head has left.
    return not text.isascii() and max(text) > "\xff"


class _Fields(Generic[AnyStr]):
    """What both spellings of a head have in common: whatever is rare."""

    __slots__ = ("_block", "names", "pairs", "status", "torn")

    status: int
    pairs: list[tuple[AnyStr, AnyStr]]
    torn: bool
    names: dict[str, AnyStr]
    """With the first value of each."""
    _block: dict[str, AnyStr] | None

    @staticmethod
    def _text(spelt: AnyStr) -> str:
        raise NotImplementedError

    @staticmethod
    def _spelt(text: str) -> AnyStr:
        raise NotImplementedError

    @staticmethod
    def _prepared(block: HeaderBlock) -> _Prepared[AnyStr]:
        raise NotImplementedError

    def add(self, name: str, value: str) -> None:
        raise NotImplementedError

    def get(self, name: str) -> str | None:
        value = self.names.get(name)
        if value is None and self._block is not None:
            value = self._block.get(name)
        return None if value is None else self._text(value)

    def every(self, name: str) -> list[str]:
        spelt = self._spelt(name)
        return [self._text(value) for key, value in self.pairs if key.lower() == spelt]

    def set(self, name: str, value: str) -> None:
        if name in self.names:
            self.remove(name)
        self.add(name, value)

    def remove(self, name: str) -> None:
        if name in self.names:
            self._drop((name,))

    def complete(self, block: HeaderBlock) -> None:
        names, (prepared, by_name) = self.names, self._prepared(block)
        if not block.heeds.isdisjoint(names):
            self._drop(block.drop)
            there = block.defaults.intersection(names)
            named = zip(by_name, prepared, strict=True)
            prepared = tuple(pair for name, pair in named if name not in there)
        self.pairs.extend(prepared)
        self._block = by_name

    def _drop(self, names: Collection[str]) -> None:
        for name in names:
            self.names.pop(name, None)
        self.pairs[:] = [p for p in self.pairs if self._text(p[0]).lower() not in names]


class TextHead(_Fields[str]):
    """A head over text pairs, as WSGI and bylaw's own responses have them."""

    __slots__ = ()

    def __init__(self, status: int, pairs: list[tuple[str, str]]) -> None:
        self.status = status
        self.pairs = pairs
        self.names = {}
        self._block = None
        said = ""
        for name, value in reversed(pairs):
            self.names[name.lower()] = value
            said += name + value
        self.torn = _tears(said)

    def add(self, name: str, value: str) -> None:
        self.names.setdefault(name, value)
        self.pairs.append((name.title(), value))
        self.torn = self.torn or _tears(value)

    def stamp(self, name: HeaderName, value: str) -> None:
        if name.key in self.names:
            self.remove(name.key)
        self.names[name.key] = value
        self.pairs.append((name.text, value))

    def put(self, block: NumberBlock, *numbers: int) -> None:
        if not block.keys.isdisjoint(self.names):
            self._drop(block.keys)
        self.pairs += block.text(*numbers)

    @staticmethod
    def _text(spelt: str) -> str:
        return spelt

    @staticmethod
    def _spelt(text: str) -> str:
        return text

    @staticmethod
    def _prepared(block: HeaderBlock) -> _Prepared[str]:
        return block.text


class RawHead(_Fields[bytes]):
    """A head over byte pairs, as ASGI has them."""

    __slots__ = ()

    def __init__(self, status: int, pairs: list[tuple[bytes, bytes]]) -> None:
        self.status = status
        self.pairs = pairs
        self.names = {}
        self._block = None
        said = b""
        for name, value in reversed(pairs):
            self.names[name.decode("latin-1").lower()] = value
            said += name + value
        self.torn = _tears(said.decode("latin-1"))

    def add(self, name: str, value: str) -> None:
        raw = value.encode("latin-1")
        self.names.setdefault(name, raw)
        self.pairs.append((name.encode("latin-1"), raw))
        self.torn = self.torn or _tears(value)

    def stamp(self, name: HeaderName, value: str) -> None:
        if name.key in self.names:
            self.remove(name.key)
        raw = self.names[name.key] = value.encode("ascii")
        self.pairs.append((name.raw, raw))

    def put(self, block: NumberBlock, *numbers: int) -> None:
        if not block.keys.isdisjoint(self.names):
            self._drop(block.keys)
        self.pairs += block.raw(*numbers)

    @staticmethod
    def _text(spelt: bytes) -> str:
        return spelt.decode("latin-1")

    @staticmethod
    def _spelt(text: str) -> bytes:
        return text.encode("latin-1")

    @staticmethod
    def _prepared(block: HeaderBlock) -> _Prepared[bytes]:
        return block.raw


Depart = Callable[[Exchange, Head], None]
"""A step on the way out: it may change the response's head, never its meaning."""


def current() -> Exchange | None:
    """The exchange that is being served here and now; None outside a request."""
    return _current.get()


enter = _current.set
leave = _current.reset
