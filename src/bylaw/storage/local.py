"""Files in a directory that nobody else may read: spread over sub-directories, each name taken once.

Every path is made of a generated name below an open directory, and no link is followed (CWE-59).
"""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, Final, cast

from bylaw.storage import NAME, PIECE, Kept, Opened, Unstored, valid

_SCRATCH: Final = ".scratch-"
_LEAST_FREE: Final = 64 * 1024 * 1024
"""Bytes of free space below which the storage is not ready: a full disk stops the database as well."""
_SETTLED: Final = 2.0
"""Seconds after which a change of a file has another time than the last one."""
MODE: Final = 0o600
"""Of each file: its owner's alone."""
NEW: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_READ: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK  # a pipe must not make us wait
_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class Directory:
    """Files below `path`, which is made where it is not there; `clock` says when something was written."""

    def __init__(self, path: Path, clock: Callable[[], float] = time.time) -> None:
        self.path = Path(path).resolve()
        self._clock = clock

    def write_once(self, name: str, stream: BinaryIO) -> None:
        """As of Storage. A process that is killed meanwhile leaves a part, which no row names: the sweep for
        orphans takes it."""
        with _told(), self._folder(valid(name), make=True) as folder:
            descriptor = os.open(name, NEW, MODE, dir_fd=folder)  # FileExistsError: never written again
            try:
                with os.fdopen(descriptor, "wb") as kept:
                    shutil.copyfileobj(stream, kept, PIECE)
                    kept.flush()
                    at = int(self._clock() * 1e9)
                    os.utime(kept.fileno(), ns=(at, at))
                    os.fsync(kept.fileno())
                os.fsync(folder)  # the name itself survives a power cut as well
            except BaseException:
                with suppress(OSError):
                    os.unlink(name, dir_fd=folder)
                raise

    def open(self, name: str, start: int = 0, end: int | None = None) -> Opened:
        """As of Storage; `end` is the reader's to heed."""
        with _told(), self._folder(valid(name)) as folder:
            descriptor = os.open(name, _READ, dir_fd=folder)
            try:
                facts = os.fstat(descriptor)
                if not stat.S_ISREG(facts.st_mode):
                    raise FileNotFoundError(name)
                os.lseek(descriptor, start, os.SEEK_SET)
                settled = time.time() - facts.st_ctime > _SETTLED
                return Opened(os.fdopen(descriptor, "rb"), facts.st_size, _stamp(facts), settled)
            except BaseException:
                with suppress(OSError):
                    os.close(descriptor)
                raise

    def delete(self, name: str) -> None:
        """As of Storage."""
        with _told(), suppress(FileNotFoundError), self._folder(valid(name)) as folder:
            os.unlink(name, dir_fd=folder)
            os.fsync(folder)

    def names(self) -> Iterator[Kept]:
        """As of Storage."""
        with _told():
            for folder in _entries(self.path):
                if len(folder.name) != 2 or not folder.is_dir(follow_symlinks=False):
                    continue
                for entry in _entries(Path(folder.path)):
                    if NAME.fullmatch(entry.name) and entry.name.startswith(folder.name):
                        with suppress(FileNotFoundError):  # it went in this moment
                            yield Kept(entry.name, entry.stat(follow_symlinks=False).st_mtime)

    def scratch(self) -> BinaryIO:
        """As of Storage: on the same disk, so that what fits here fits there."""
        with _told():
            self._ready()
            # Linux makes it without a name (O_TMPFILE); elsewhere it loses its name at once.
            return cast(BinaryIO, tempfile.TemporaryFile(dir=self.path, prefix=_SCRATCH))

    def sweep(self, before: float) -> int:
        """As of Storage: scratch files of a system that gives them a name for a moment."""
        gone = 0
        with _told():
            for entry in _entries(self.path):
                if entry.name.startswith(_SCRATCH) and entry.stat(follow_symlinks=False).st_mtime < before:
                    Path(entry.path).unlink(missing_ok=True)
                    gone += 1
        return gone

    def problem(self) -> str:
        """As of Storage."""
        try:
            self._ready()
            if self.path.stat().st_mode & stat.S_IRWXO:
                return f"everybody on this machine may look into {self.path}: chmod 700"
            if not os.access(self.path, os.R_OK | os.W_OK | os.X_OK):
                return f"{self.path} is not writable"
            if shutil.disk_usage(self.path).free < _LEAST_FREE:
                return f"the disk of {self.path} is full"
        except OSError as error:
            return f"{self.path}: {error.strerror or error}"
        return ""

    def _ready(self) -> None:
        if not self.path.is_dir():
            try:
                self.path.parent.mkdir(parents=True, exist_ok=True)
                self.path.mkdir(mode=0o700, exist_ok=True)
            except FileExistsError:
                raise Unstored(f"{self.path} is no directory") from None

    @contextmanager
    def _folder(self, name: str, *, make: bool = False) -> Iterator[int]:
        """The open directory in which `name` has its place."""
        if make:
            self._ready()
            self._make(name[:2])
        try:
            folder = os.open(self.path / name[:2], _FOLDER)
        except NotADirectoryError:
            raise FileNotFoundError(name) from None
        try:
            yield folder
        finally:
            os.close(folder)

    def _make(self, folder: str) -> None:
        with suppress(FileExistsError):
            (self.path / folder).mkdir(mode=0o700)
            above = os.open(self.path, _FOLDER)
            try:
                os.fsync(above)
            finally:
                os.close(above)


def _stamp(facts: os.stat_result) -> str:
    """Who writes to a file changes its ctime, and cannot set that. It is as coarse as the system's tick."""
    return f"{facts.st_dev}.{facts.st_ino}.{facts.st_size}.{facts.st_mtime_ns}.{facts.st_ctime_ns}"


def _entries(path: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(path) as entries:
            return list(entries)
    except FileNotFoundError:
        return []


@contextmanager
def _told() -> Iterator[None]:
    """What the system says, as Unstored; what is there or not is the caller's to know."""
    try:
        yield
    except (FileExistsError, FileNotFoundError, Unstored):
        raise
    except OSError as error:
        raise Unstored(f"the storage directory: {error.strerror or type(error).__name__}") from error
