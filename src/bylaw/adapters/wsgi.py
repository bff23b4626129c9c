"""WSGI (PEP 3333): the gate around any WSGI application."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from http import HTTPStatus
from types import GeneratorType
from typing import Any
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from bylaw.adapters import wsgi_bodies
from bylaw.controls import errors
from bylaw.exchange import (
    ALLOW,
    Answer,
    Block,
    EnvironHeaders,
    Exchange,
    Forwarded,
    Peek,
    Read,
    Refuse,
    TextHead,
    enter,
    leave,
)
from bylaw.identity import AccessRule
from bylaw.reasons import Refused
from bylaw.site import Site

EXCHANGE = "bylaw.exchange"
"""The environ's key under which an application finds its exchange."""


class Gated:
    """`application`, behind the gate of `site`: `application = Gated(application, Site("bylaw.toml"))`.

    Who may call what stands in the policy, by path (`[[access.routes]]`); the application finds whoever
    asks by `bylaw.site.identity()`.
    """

    def __init__(
        self, application: WSGIApplication, site: Site, prepare: Callable[[], None] | None = None
    ) -> None:
        self.application = application
        self.site = site
        self._prepare = prepare or self._open
        self._prepared = False

    # What a framework's `Bylaw` offers as well: commands and laboratories take either.

    @property
    def gated(self) -> Gated:
        return self

    @property
    def wsgi_app(self) -> Gated:
        return self

    def ready(self) -> None:
        """Refuse to start where the policy cannot be kept. Raises PolicyError with every problem."""
        self._prepare()
        self._prepared = True

    def routes(self) -> Iterator[tuple[str, str, AccessRule]]:
        """Every (method, path, access rule) of the application, as the policy has them."""
        return self.site.rules.routes()

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        if not self._prepared:
            self._prepare()
            self._prepared = True
        exchange = _exchange(environ)
        token = enter(exchange)
        try:
            verdict = self.site.gate.enter(exchange)
            if type(verdict) is GeneratorType:
                verdict = drive(verdict, environ)
            if verdict is ALLOW:
                return self._serve(exchange, environ, start_response)
            if isinstance(verdict, Refuse | Answer):
                return self._answer(exchange, verdict, start_response)
            raise TypeError(verdict)
        finally:
            leave(token)

    def _open(self) -> None:
        self.site.open()
        self.site.routed()

    def _serve(
        self, exchange: Exchange, environ: WSGIEnvironment, start_response: StartResponse
    ) -> Iterable[bytes]:
        """Let the application answer. Its head departs with its first piece, and not before: until
        then the application may still change its mind, or fail (PEP 3333)."""
        environ[EXCHANGE] = exchange
        if exchange.forwarded is not None:
            _forward(environ, exchange.forwarded)
        if exchange.meter is not None:
            environ["wsgi.input"] = wsgi_bodies.Metered(environ["wsgi.input"], exchange.meter)
        gate = self.site.gate
        start = _Start()
        body: Iterable[bytes] = ()
        try:
            body = self.application(environ, start)
            pieces = iter(body)
            first = start.first(pieces)
            head = TextHead(start.code, start.headers)
            withheld = gate.withheld(exchange, start.code)
            if withheld is None:
                gate.depart(exchange, head)
                withheld = Refuse(errors.INTERNAL) if head.torn else None
        except Refused as refused:
            _close(body)
            return self._answer(exchange, gate.refused(exchange, refused), start_response)
        except Exception as error:  # noqa: BLE001 - whatever it is, it must not reach the visitor
            _close(body)
            return self._answer(exchange, gate.failed(exchange, error), start_response)
        if withheld is not None:
            _close(body)
            return self._answer(exchange, withheld, start_response)
        start_response(start.status, head.pairs)
        if len(first) == 1 and head.get("content-length") == str(len(first[0])):
            return _Whole(exchange, first, body)
        return _Rest(exchange, first, pieces, body)

    def _answer(
        self, exchange: Exchange, verdict: Refuse | Answer, start_response: StartResponse
    ) -> Iterable[bytes]:
        response = self.site.gate.response(exchange, verdict)
        start_response(_status(response.status), response.headers)
        return [] if exchange.method == "HEAD" else [response.body]


class _Start:
    """The application's `start_response`: it keeps what it was told until the first piece is there."""

    __slots__ = ("code", "headers", "status", "written")

    def __init__(self) -> None:
        self.status = ""
        self.code = 0
        self.headers: list[tuple[str, str]] = []
        self.written: list[bytes] = []

    def __call__(
        self, status: str, headers: list[tuple[str, str]], exc_info: Any = None
    ) -> Callable[[bytes], object]:
        if self.status and exc_info is None:
            raise AssertionError("start_response was called twice without exc_info (PEP 3333)")
        self.status, self.code, self.headers = status, int(status[:3]), headers
        return self.written.append

    def first(self, pieces: Iterator[bytes]) -> list[bytes]:
        """What is there by the time the head is known: a generator starts when it is asked."""
        first = next(pieces, None)
        while first is not None and not first and not self.status:
            first = next(pieces, None)
        if not self.status:
            raise AssertionError("the application answered without start_response (PEP 3333)")
        if first is not None:
            self.written.append(first)
        return self.written


class _Whole:
    """An answer that was there with its first piece, as most are."""

    __slots__ = ("_body", "_exchange", "_first")

    def __init__(self, exchange: Exchange, first: list[bytes], body: Iterable[bytes]) -> None:
        self._exchange = exchange
        self._first = first
        self._body = body

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._first)

    def close(self) -> None:
        token = enter(self._exchange)
        try:
            _close(self._body)
        finally:
            leave(token)


class _Rest:
    """The application's answer, piece by piece, each made in its own exchange: what streams may ask
    who it is for, and is recorded under the request's id."""

    __slots__ = ("_body", "_exchange", "_first", "_pieces")

    def __init__(
        self, exchange: Exchange, first: list[bytes], pieces: Iterator[bytes], body: Iterable[bytes]
    ) -> None:
        self._exchange = exchange
        self._first = first
        self._pieces = pieces
        self._body = body

    def __iter__(self) -> Iterator[bytes]:
        yield from self._first
        while True:
            token = enter(self._exchange)
            try:
                piece = next(self._pieces, None)
            finally:
                leave(token)
            if piece is None:
                return
            yield piece

    def close(self) -> None:
        token = enter(self._exchange)
        try:
            _close(self._body)
        finally:
            leave(token)


def _close(body: Iterable[bytes]) -> None:
    if hasattr(body, "close"):
        body.close()


def guarded(application: WSGIApplication, site: Site, rule: AccessRule) -> WSGIApplication:
    """An application that is mounted beside another, behind its access rule."""

    def answer(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        exchange: Exchange = environ[EXCHANGE]
        if site.gate.allows(exchange, rule):
            return application(environ, start_response)
        verdict = drive(site.gate.permit(exchange, rule), environ)
        response = site.gate.rendered(exchange, verdict)
        start_response(_status(response.status), response.headers)
        return [response.body]

    return answer


def drive(path: Any, environ: WSGIEnvironment) -> Any:
    """Drive a path of the gate; what it needs is had at once, since this thread may wait."""
    given: Any = None
    try:
        while True:
            match path.send(given):
                case Block():
                    given = None
                case Peek(limit):
                    given = wsgi_bodies.peek(environ, limit)
                case Read(limit):
                    given = wsgi_bodies.read(environ, limit)
    except StopIteration as done:
        return done.value


def _status(code: int) -> str:
    try:
        return f"{code} {HTTPStatus(code).phrase}"
    except ValueError:
        return f"{code} Status"


def _exchange(environ: WSGIEnvironment) -> Exchange:
    # Below the application's own mount point, as its framework routes it: a prefix that a client or a
    # proxy puts in front must not make another path of it for the controls than for the application.
    path = environ.get("PATH_INFO", "")
    if not path.isascii():
        # PEP 3333 hands over bytes as latin-1; what is not UTF-8 stays as it is and matches nothing.
        path = path.encode("latin-1").decode("utf-8", "replace")
    get = environ.get
    # In the order of its arguments: by name the call takes half a microsecond longer.
    return Exchange(
        environ["REQUEST_METHOD"],
        path or "/",
        EnvironHeaders(environ),
        get("wsgi.url_scheme", "http"),
        get("QUERY_STRING", ""),
        get("REMOTE_ADDR", ""),
    )


def _forward(environ: WSGIEnvironment, forwarded: Forwarded) -> None:
    """Have the application see the request as the client sent it, and no word of anybody in between."""
    for variable in forwarded.drop.environ:
        environ.pop(variable, None)
    if forwarded.client is not None:
        environ["REMOTE_ADDR"] = forwarded.client
        environ.pop("REMOTE_PORT", None)  # it was the proxy's
    if forwarded.scheme is not None:
        environ["wsgi.url_scheme"] = forwarded.scheme
    if forwarded.host is not None:
        name, _, port = forwarded.host.rpartition(":")
        if not port.isdecimal():
            name, port = forwarded.host, "443" if environ["wsgi.url_scheme"] == "https" else "80"
        environ |= {"HTTP_HOST": forwarded.host, "SERVER_NAME": name, "SERVER_PORT": port}
