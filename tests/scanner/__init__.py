"""A throw-away clamd with a handful of signatures, which learns more when a test says so.

Nothing is fetched: its signatures are files of a line each. The EICAR test file is among them, in two halves
here, so that no scanner finds this file.
"""

from __future__ import annotations

import hashlib
import io
import os
import shutil
import socket
import subprocess
import tarfile
import tempfile
import time
from pathlib import Path

from bylaw.controls.malware import EICAR
from bylaw.controls.malware.clamd import Clamd, Unscanned

LIMIT = 12 * 1024**2
"""Its StreamMaxLength."""
_CONFIGURATION = """
Foreground yes
DatabaseDirectory {directory}
LocalSocket {directory}/clamd.sock
TCPSocket {port}
TCPAddr 127.0.0.1
StreamMaxLength 12M
MaxFileSize 12M
MaxRecursion 6
AlertExceedsMax yes
SelfCheck 0
"""


def _binary() -> str:
    """The program `clamd`. Raises RuntimeError with the remedy."""
    found = os.environ.get("CLAMD") or shutil.which("clamd", path=f"{os.environ['PATH']}:/usr/sbin")
    if not found:
        raise RuntimeError(
            "no ClamAV for the tests: run `make test`, which installs clamav-daemon where it may; elsewhere "
            "install it with the system's package manager, or name it: CLAMD=/path/to/clamd"
        )
    return found


class Daemon:
    """A clamd on a socket and a port, which can be stopped, started again, and taught."""

    def __init__(self) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="bylaw-clamd-"))
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.unix = f"unix:{self.directory}/clamd.sock"
        self.tcp = f"tcp://127.0.0.1:{port}"
        self.number = 0
        (self.directory / "clamd.conf").write_text(_CONFIGURATION.format(directory=self.directory, port=port))
        (self.directory / "test.ndb").write_text(f"Test.EICAR:0:*:{EICAR.encode().hex()}\n")
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    def client(self, url: str = "", seconds: float = 10) -> Clamd:
        return Clamd(url or self.unix, LIMIT, seconds)

    def start(self) -> None:
        with open(self.directory / "log", "ab") as log:
            self._process = subprocess.Popen(
                [_binary(), "-c", str(self.directory / "clamd.conf")],
                stdout=log,
                stderr=log,
                env={"PATH": os.environ["PATH"], "LC_ALL": "C"},
            )
        self._until("PONG")

    def stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait(20)
            self._process = None

    def close(self) -> None:
        self.stop()
        shutil.rmtree(self.directory, ignore_errors=True)

    def learn(self, name: str, text: bytes) -> None:
        """Have it know a new signature, in a set with a higher number: as when freshclam has fetched one."""
        self.number = max(self.number, 27000) + 1
        (self.directory / "daily.cud").write_bytes(_set(self.number, name, text))
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(self.unix.removeprefix("unix:"))
            connection.sendall(b"zRELOAD\0")
            connection.recv(100)
        self._until(f"/{self.number}/")

    def _until(self, said: str) -> None:
        """Wait until it answers, and says this."""
        deadline = time.monotonic() + 20
        while True:
            try:
                client = self.client()
                client.ping()
                if said in f"PONG {client.version()}":
                    return
            except Unscanned:
                pass
            if time.monotonic() > deadline or self._process is None or self._process.poll() is not None:
                raise RuntimeError((self.directory / "log").read_text(errors="replace")[-2000:])
            time.sleep(0.01)


def _set(number: int, name: str, text: bytes) -> bytes:
    """A set of signatures as ClamAV packs them, unsigned (.cud): a header of 512 bytes, then an archive."""
    signatures = f"{name}:0:*:{text.hex()}\n".encode()
    packed = io.BytesIO()
    made, by = f"ClamAV-VDB:20 Nov 2026 08-00 +0000:{number}:1:90", "tests:1795000000"
    contents = f"daily.ndb:{len(signatures)}:{hashlib.sha256(signatures).hexdigest()}"
    info = f"{made}:X:X:{by}\n{contents}\n".encode()
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for file, content in (("daily.info", info), ("daily.ndb", signatures)):
            member = tarfile.TarInfo(file)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    body = packed.getvalue()
    digest = hashlib.md5(body, usedforsecurity=False).hexdigest()
    return f"{made}:{digest}:{'x' * 344}:{by}".encode().ljust(512) + body
