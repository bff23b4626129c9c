"""The body of a WSGI request (PEP 3333): read as far as it may be, looked into, and put back."""

from __future__ import annotations

import io
from typing import Any
from wsgiref.types import WSGIEnvironment

from bylaw.exchange import Meter

_AT_ONCE = 64 * 1024


def _length(environ: WSGIEnvironment) -> int | None:
    """The body's length; None where there is none and the server says that the stream ends by itself
    (chunked, HTTP/2). Where it does not say so, nothing may be read: it would wait for the next
    request of the connection (PEP 3333)."""
    text = environ.get("CONTENT_LENGTH") or ""
    if text.isascii() and text.isdigit():
        return int(text)
    return None if environ.get("wsgi.input_terminated") else 0


def peek(environ: WSGIEnvironment, limit: int) -> tuple[bytes, bool]:
    """The body's beginning, put back for whoever reads it next."""
    stream = environ["wsgi.input"]
    if not isinstance(stream, _Rejoined):
        stream = environ["wsgi.input"] = _Rejoined(stream, _length(environ))
    return stream.peek(limit)


def read(environ: WSGIEnvironment, limit: int) -> bytes | None:
    """The whole body; None where it is longer than `limit`."""
    length = _length(environ)
    if length is not None and length > limit:
        return None
    body = _taken(environ["wsgi.input"], limit + 1 if length is None else length)
    return None if len(body) > limit else body


def _taken(stream: Any, wanted: int) -> bytes:
    """`wanted` bytes, or all that there are: a server's stream may give less than it was asked for,
    and only an empty read is the end."""
    pieces = []
    while wanted > 0 and (piece := stream.read(wanted)):
        pieces.append(piece)
        wanted -= len(piece)
    return b"".join(pieces)


class Metered(io.RawIOBase):
    """A stream that a meter looks at while it is read."""

    def __init__(self, stream: Any, meter: Meter) -> None:
        self._stream = stream
        self._meter = meter

    def readable(self) -> bool:
        return True

    def read(self, size: int | None = -1) -> bytes:
        if size is None or size < 0:
            return b"".join(iter(lambda: self.read(_AT_ONCE), b""))
        return self._seen(self._stream.read(size), size)

    def readline(self, size: int | None = -1) -> bytes:
        size = _AT_ONCE if size is None or size < 0 else size
        return self._seen(self._stream.readline(size), size)

    def readinto(self, buffer: Any) -> int:
        data = self.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def _seen(self, piece: bytes, wanted: int) -> bytes:
        if piece or wanted:
            self._meter.take(piece)
        return piece


class _Rejoined(io.RawIOBase):
    """A stream with its beginning, which has been read already, in front of it again."""

    def __init__(self, rest: Any, length: int | None) -> None:
        self._start = b""
        self._at = 0
        self._rest = rest
        self._length = length
        self._ended = False

    def peek(self, limit: int) -> tuple[bytes, bool]:
        """The first `limit` bytes, and whether that is all. Whoever peeks further reads only what is new."""
        wanted = (limit if self._length is None else min(limit, self._length)) - len(self._start)
        if wanted > 0 and not self._ended:
            piece = _taken(self._rest, wanted)
            self._ended = len(piece) < wanted
            self._start = self._start + piece if self._start else piece
        if self._length is None:
            whole = self._ended and len(self._start) <= limit
        else:
            whole = len(self._start) == self._length <= limit
        return (self._start[:limit] if len(self._start) > limit else self._start), whole

    def readable(self) -> bool:
        return True

    def _again(self, end: int) -> bytes:
        piece, self._at = self._start[self._at : end], end
        return piece

    def read(self, size: int | None = -1) -> bytes:
        if size is None or size < 0:
            return self._again(len(self._start)) + bytes(self._rest.read())
        start = self._again(min(self._at + size, len(self._start)))
        return start + self._rest.read(size - len(start)) if len(start) < size else start

    def readinto(self, buffer: Any) -> int:
        data = self.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def readline(self, size: int | None = -1) -> bytes:
        limit = len(self._start) if size is None or size < 0 else self._at + size
        end = self._start.find(b"\n", self._at, limit) + 1
        if end or limit < len(self._start):
            return self._again(end or limit)
        line = self._again(len(self._start))
        if size is None or size < 0:
            return line + bytes(self._rest.readline())
        return line + self._rest.readline(size - len(line)) if len(line) < size else line
