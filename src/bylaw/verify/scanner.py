"""A malware scanner that exists only in a laboratory: it speaks clamd's protocol over a pair of sockets,
knows the EICAR test file and whatever it is taught, and misbehaves as an attack needs.
"""

from __future__ import annotations

import io
import socket
import struct
import threading
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from typing import Any, Final

from bylaw.controls import malware
from bylaw.controls.malware import EICAR

Say = Callable[[socket.socket], None]
"""What is done in the place of an answer to INSTREAM."""
NAME: Final = "Laboratory.EICAR"
_PATIENCE: Final = 20.0
_LONGEST: Final = 64 * 1024 * 1024


@dataclass
class Scanner:
    """A scanner. What it finds by name is in `signatures`; `number` is that of its signatures."""

    url: str = "unix:/laboratory/clamd.ctl"
    number: int = 27000
    signatures: dict[str, bytes] = field(default_factory=lambda: {NAME: EICAR.encode()})
    away: bool = False
    """Nobody answers."""
    limit: int = _LONGEST
    """Its StreamMaxLength."""
    instead: Say | None = None
    """What it does once it has the file, in the place of its answer."""
    at_once: Say | None = None
    """What it does before it has the file."""
    seen: list[bytes] = field(default_factory=list)
    """What it was sent, in order, but for the test file alone."""
    tested: int = 0
    """How often it was sent that."""
    _open: list[socket.socket] = field(default_factory=list)

    @property
    def version(self) -> str:
        return f"ClamAV 1.4.3/{self.number}/Fri Nov 20 08:00:00 2026"

    def learn(self, name: str, text: bytes) -> None:
        """Know something new, from the next version of its signatures on."""
        self.signatures[name] = text
        self.number += 1

    def dial(self, url: str, seconds: float) -> socket.socket:
        """A connection to it, as the network port's place takes it. Raises OSError."""
        if self.away:
            raise ConnectionRefusedError(url)
        ours, theirs = socket.socketpair()
        ours.settimeout(seconds)
        self._open.append(theirs)
        threading.Thread(target=self._serve, args=(theirs,), daemon=True).start()
        return ours

    def close(self) -> None:
        """Hang up on everybody."""
        self.away = True
        for connection in self._open:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def _serve(self, connection: socket.socket) -> None:
        connection.settimeout(_PATIENCE)
        with connection, suppress(OSError, struct.error):
            stream = connection.makefile("rb")
            match _until_nul(stream):
                case b"zPING":
                    connection.sendall(b"PONG\0")
                case b"zVERSION":
                    connection.sendall(self.version.encode() + b"\0")
                case b"zINSTREAM":
                    self._scan(connection, stream)
                case _:
                    connection.sendall(b"UNKNOWN COMMAND\0")

    def _scan(self, connection: socket.socket, stream: io.BufferedReader) -> None:
        if self.at_once is not None:
            self.at_once(connection)
        taken = b""
        while length := struct.unpack("!I", stream.read(4))[0]:
            if len(taken) + length > self.limit:
                connection.sendall(b"INSTREAM size limit exceeded. ERROR\0")
                return
            taken += stream.read(length)
        if taken == EICAR.encode():
            self.tested += 1
        else:
            self.seen.append(taken)
        if self.instead is not None:
            self.instead(connection)
            return
        name = self._found(taken)
        connection.sendall(f"stream: {name} FOUND\0".encode() if name else b"stream: OK\0")

    def _found(self, taken: bytes) -> str:
        """The name of what is in there, also inside an archive."""
        parts = [taken]
        with suppress(zipfile.BadZipFile), zipfile.ZipFile(io.BytesIO(taken)) as archive:
            parts += [archive.read(member) for member in archive.namelist()]
        return next((n for n, text in self.signatures.items() if any(text in p for p in parts)), "")


def _until_nul(stream: io.BufferedReader) -> bytes:
    taken = b""
    while (byte := stream.read(1)) not in (b"", b"\0"):
        taken += byte
    return taken


@contextmanager
def scanning(laboratory: Any, **how: Any) -> Iterator[Scanner]:
    """See `Laboratory.scanner`."""
    house, made = laboratory.site.house, Scanner()
    before, house.ports = house.ports, replace(house.ports, scanner=made.dial)
    named = {"off": False, "clamd": made.url, "seconds": 10, "on_outage": "refuse", **how}
    try:
        with laboratory.under(malware.Settings, **named):
            yield made
    finally:
        # Only this: something else in the house may have been replaced meanwhile.
        house.ports = replace(house.ports, scanner=before.scanner)
        made.close()


def says(*pieces: bytes) -> Say:
    """Says these, one after the other, and hangs up."""

    def say(connection: socket.socket) -> None:
        for piece in pieces:
            connection.sendall(piece)

    return say
