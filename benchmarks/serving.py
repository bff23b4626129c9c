"""Applications behind real servers, one worker each: processes of their own, reached over HTTP."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

THREADS: Final = 64
"""Of the WSGI server: more than may wait for a hash ([passwords] waiting), or nobody else is served."""
_QUIET: Final = ["--no-access-log", "--log-level", "warning"]
SERVERS: Final[dict[str, list[str]]] = {
    "uvicorn": [
        "uvicorn",
        "{factory}",
        "--factory",
        "--port",
        "{port}",
        "--no-server-header",
        "--no-proxy-headers",
        *_QUIET,
    ],
    "granian": [
        "granian",
        "{factory}",
        "--factory",
        "--interface",
        "wsgi",
        "--port",
        "{port}",
        "--workers",
        "1",
        "--blocking-threads",
        str(THREADS),
        "--backpressure",
        str(2 * THREADS),
        *_QUIET,
    ],
}


@contextmanager
def serving(server: str, factory: str, variables: Mapping[str, str]) -> Iterator[tuple[int, int]]:
    """The application of `factory` ("module:function"), served; its process's id and its port."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
    command = [part.format(port=port, factory=factory) for part in SERVERS[server]]
    root = Path(__file__).parent.parent
    process = subprocess.Popen(
        [sys.executable, "-m", *command], env={**os.environ, **variables}, cwd=root, stdout=subprocess.DEVNULL
    )
    try:
        _wait(port, process)
        yield process.pid, port
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait(port: int, process: subprocess.Popen[bytes]) -> None:
    """Until the server takes connections. Raises TimeoutError."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise TimeoutError("the server did not start")


def resident(pid: int) -> int:
    """MiB that a process and its children hold; 0 where /proc does not tell."""
    children = Path(f"/proc/{pid}/task/{pid}/children")
    try:
        status = Path(f"/proc/{pid}/status").read_text()
        below = [int(child) for child in children.read_text().split()] if children.exists() else []
    except OSError:
        return 0
    own = next((int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS:")), 0)
    return own // 1024 + sum(resident(child) for child in below)
