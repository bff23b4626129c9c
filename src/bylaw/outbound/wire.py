"""One connection: to an address that was judged, with an end to its time and to what comes over it.

`http.client` reads the answer. It asks its socket for a file, and gets one here that counts bytes and time
for each piece: a server that drips, a header without an end and endless `100 Continue` end like any other.
"""

from __future__ import annotations

import http.client
import io
import socket
import ssl
import time
from dataclasses import dataclass
from typing import Any, Final

from bylaw.outbound.addresses import Address
from bylaw.outbound.targets import Target
from bylaw.ports import Dialler

HEAD: Final = 64 * 1024
"""Bytes that come before a body at most: status lines and header fields."""
_BUFFER: Final = 16 * 1024


class TooLong(OSError):
    """More came than is taken, or it came for too long."""


@dataclass(slots=True)
class Bounds:
    """What is left of a request's time and of the bytes that may come."""

    until: float
    """When it is over, by the machine's monotonic clock."""
    piece: float
    """Seconds that each piece may take."""
    left: int = HEAD
    """Bytes that may still come."""

    def seconds(self) -> float:
        """How long the next piece may take. Raises TooLong."""
        left = self.until - time.monotonic()
        if left <= 0:
            raise TooLong("the answer takes too long")
        return min(self.piece, left)

    def count(self, taken: int) -> None:
        """Raises TooLong where it was too much."""
        self.left -= taken
        if self.left < 0:
            raise TooLong("more bytes than are taken")


class _Pieces(io.RawIOBase):
    """What comes over a socket, within bounds."""

    def __init__(self, sock: socket.socket, bounds: Bounds) -> None:
        self._socket = sock
        self._bounds = bounds

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        self._socket.settimeout(self._bounds.seconds())
        taken = self._socket.recv_into(buffer)
        self._bounds.count(taken)
        return taken


class _Wire:
    """What `http.client` takes for a socket."""

    def __init__(self, sock: socket.socket, bounds: Bounds) -> None:
        self._socket = sock
        self._bounds = bounds

    def sendall(self, data: bytes) -> None:
        self._socket.settimeout(self._bounds.seconds())
        self._socket.sendall(data)

    def makefile(self, mode: str = "rb") -> io.BufferedReader:
        return io.BufferedReader(_Pieces(self._socket, self._bounds), _BUFFER)

    def close(self) -> None:
        """Nothing: `http.client` hangs up before it has read the body (see Connection.__exit__)."""


class Connection(http.client.HTTPConnection):
    """A connection to one address, for one request; there is no second look-up, and no proxy."""

    def __init__(self, target: Target, bounds: Bounds) -> None:
        super().__init__(target.host, target.port)
        self._target, self._bounds = target, bounds
        self._socket: socket.socket | None = None

    def __enter__(self) -> Connection:
        return self

    def __exit__(self, *exc: object) -> None:
        if self._socket is not None:
            self._socket.close()

    def reach(self, address: Address, dial: Dialler, tls: ssl.SSLContext | None) -> None:
        """Connect to `address`, encrypted where there is `tls`. Raises OSError, ValueError."""
        sock = dial(str(address), self._target.port, self._bounds.seconds())
        try:
            if tls is not None:
                sock.settimeout(self._bounds.seconds())
                # The certificate must be the name's, whatever address the name leads to.
                sock = tls.wrap_socket(sock, server_hostname=self._target.host)
        except BaseException:
            sock.close()
            raise
        self._socket, self.sock = sock, _Wire(sock, self._bounds)

    def connect(self) -> None:
        """Never by itself: by a name, and after nobody has judged where that leads."""
        raise OSError("not connected")
