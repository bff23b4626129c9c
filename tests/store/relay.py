"""What may stand between a process and its database: a relay that can be cut, frozen, or swallow words."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator

SWALLOWED = b"LISTEN bylaw_revocations"


class Relay:
    """Passes bytes on between its own port and the database's, for as long as it is told to."""

    def __init__(self, port: int, *, swallows: bool = False) -> None:
        self._to = port
        self._swallows = swallows
        self._pairs: list[socket.socket] = []
        self._flowing = threading.Event()
        self._flowing.set()
        self._open = True
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                if not self._open:
                    near.close()
                    continue
                far = socket.create_connection(("127.0.0.1", self._to))
                self._pairs += [near, far]
                threading.Thread(target=self._pass, args=(near, far), daemon=True).start()
                threading.Thread(target=self._pass, args=(far, near), daemon=True).start()

    def _pass(self, one: socket.socket, other: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := one.recv(65536):
                self._flowing.wait()
                if self._swallows:  # as a pool in transaction mode: accepted, and of no effect
                    data = data.replace(SWALLOWED, b"SELECT 1".ljust(len(SWALLOWED)))
                other.sendall(data)
        for each in (one, other):
            each.close()

    def cut(self) -> None:
        """The server is restarted: every connection ends, and none is taken."""
        self._open = False
        for each in self._pairs:
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
        self._pairs.clear()

    def mend(self) -> None:
        """It is there again."""
        self._open = True
        self._flowing.set()

    def freeze(self) -> None:
        """It takes whatever is sent, and never says a word."""
        self._flowing.clear()

    def close(self) -> None:
        self.mend()
        self._listener.close()
        self.cut()


@contextlib.contextmanager
def before(url: str, *, swallows: bool = False) -> Iterator[tuple[Relay, str]]:
    """A relay before the PostgreSQL server of `url`, and the same URL through it."""
    server, _, name = url.rpartition("/")
    address, _, port = server.rpartition(":")
    relay = Relay(int(port), swallows=swallows)
    try:
        yield relay, f"{address}:{relay.port}/{name}"
    finally:
        relay.close()
