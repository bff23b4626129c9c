"""How many processes answer: counters in the memory of each would be as many budgets for everybody."""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import tempfile
import threading
import weakref
from collections.abc import Iterator, Mapping, Sequence
from hashlib import sha256
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

fcntl: Any = import_module("fcntl") if find_spec("fcntl") else None
"""Windows has no such locks: nothing is found out there."""

_COUNTS: Final = ("WEB_CONCURRENCY", "GRANIAN_WORKERS", "UVICORN_WORKERS", "HYPERCORN_WORKERS")
_ARGUMENTS: Final = "GUNICORN_CMD_ARGS"
VARIABLES: Final = (*_COUNTS, _ARGUMENTS)
"""By which servers are told how many processes to start."""
NOT_ALONE: Final = (
    "another process of this machine counts requests for the same application in its own memory, so that "
    "everybody has as many budgets as there are processes: run one, or share the counters "
    '([rate_limits] store = "env:REDIS_URL")'
)
_SERVERS: Final = {
    "gunicorn": ("-w", "--workers"),
    "hypercorn": ("-w", "--workers"),
    "uvicorn": ("--workers",),
    "granian": ("--workers",),
    "fastapi": ("--workers",),
}


def workers(environ: Mapping[str, str], command: Sequence[str]) -> Iterator[tuple[str, int]]:
    """Where it is said that how many processes answer: by variables, and by the command that started this
    one, which the processes of a server inherit."""
    for name in _COUNTS:
        if (text := environ.get(name, "").strip()).isdecimal():
            yield name, int(text)
    with contextlib.suppress(ValueError):  # quotes that do not end: the server does not start either
        for number in _options(shlex.split(environ.get(_ARGUMENTS, "")), _SERVERS["gunicorn"]):
            yield _ARGUMENTS, number
    server = _server(command[0]) if command else ""
    if server in _SERVERS:
        for number in _options(command[1:], _SERVERS[server]):
            yield f"{server} {_SERVERS[server][-1]}", number


def _server(program: str) -> str:
    """The name of a program: `/usr/bin/gunicorn`, `python -m uvicorn`."""
    path = Path(program)
    return path.parent.name if path.stem == "__main__" else path.stem


def _options(arguments: Sequence[str], names: Sequence[str]) -> Iterator[int]:
    """The numbers that an option is given: `-w 4`, `-w4`, `--workers 4`, `--workers=4`."""
    for place, argument in enumerate(arguments):
        for name in names:
            rest = argument.removeprefix(name)
            if rest == argument:
                continue
            following = arguments[place + 1] if place + 1 < len(arguments) else ""
            value = re.sub("^=", "", rest) if rest else following
            if value.isdecimal():
                yield int(value)


class Alone:
    """Whether no other process of this machine counts for the same application in its own memory.

    A lock on a file, which the system lets go with the process, however that ends. After a fork neither
    parent nor child holds it: it is whoever answers first.
    """

    def __init__(self, name: str) -> None:
        uid = os.getuid() if hasattr(os, "getuid") else 0
        self._path = (
            Path(tempfile.gettempdir()) / f"bylaw-{uid}-{sha256(name.encode()).hexdigest()[:24]}.lock"
        )
        self._lock = threading.Lock()
        self._file: int | None = None
        if hasattr(os, "register_at_fork"):
            alive = weakref.ref(self)
            os.register_at_fork(
                after_in_parent=lambda: _parted(alive()), after_in_child=lambda: _parted(alive())
            )

    def take(self) -> bool:
        """Whether this process is the one; asked again, it may have become it. Never waits."""
        with self._lock:
            if self._file is not None:
                return True
            if fcntl is None or str(self._path) in _HELD:
                return True  # another application object of this same process
            try:
                file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
            except OSError:
                return True  # where no file can be made, nothing can be found out
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                os.close(file)
                return False
            self._file = file
            _HELD[str(self._path)] = self
            return True

    def release(self) -> None:
        """Let another process be the one."""
        with self._lock:
            self._part()

    def __del__(self) -> None:
        self._part()

    def _part(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None
            _HELD.pop(str(self._path), None)


_HELD: weakref.WeakValueDictionary[str, Any] = weakref.WeakValueDictionary()
"""What this process holds, by its path."""


def _parted(alone: Alone | None) -> None:
    if alone is not None:
        # The thread that had it may be the parent's alone.
        alone._lock = threading.Lock()
        alone._part()
