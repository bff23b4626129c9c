"""Reading what was kept: never what somebody has changed there since."""

from __future__ import annotations

import hashlib
import logging
import shutil
from collections.abc import Iterator
from contextlib import closing, suppress
from typing import BinaryIO, Final

from bylaw.controls.uploads import reasons
from bylaw.errors import StoreError
from bylaw.house import House
from bylaw.operations.files.keeping import storage_of, unstored
from bylaw.reasons import Refused
from bylaw.storage import PIECE, Opened, Unstored
from bylaw.store.files import StoredFile

log = logging.getLogger("bylaw.files")

_REMEMBERED: Final = 10_000
_intact: dict[tuple[str, str], None] = {}
"""What this process has compared with its digest, by name and stamp: as long as the storage shows the same
stamp, the content is the same, and need not be read twice for each download."""


class Altered(StoreError):
    """What storage holds is not what was taken."""


def opened(house: House, file: StoredFile, start: int = 0, end: int | None = None) -> Opened:
    """A file's bytes from `start`, compared as a whole with what was taken. Raises Refused."""
    storage = storage_of(house)
    try:
        found = storage.open(file.id, start, end)
        if _known(file, found):
            return found
        found.close()
        stamp = compare(house, file)
        found = storage.open(file.id, start, end)
        if found.size != file.size or found.stamp != stamp:
            found.close()
            raise Altered(f"{file.id} was changed while it was read")
    except (FileNotFoundError, Altered) as error:
        raise _damaged(house, file, error) from None
    except Unstored as error:
        raise unstored(house, error) from error
    return found


def seekable(house: House, found: Opened) -> BinaryIO:
    """The bytes as a stream in which one can go back: a network's cannot. Whoever asks closes it."""
    if found.stream.seekable():
        return found.stream
    try:
        with closing(found):
            scratch = storage_of(house).scratch()
            try:
                shutil.copyfileobj(found.stream, scratch, PIECE)
                scratch.seek(0)
            except BaseException:
                with suppress(OSError):  # where there was no room, closing it fails once more
                    scratch.close()
                raise
    except OSError as error:
        raise unstored(house, error) from error
    return scratch


def compare(house: House, file: StoredFile) -> str:
    """The stamp of what storage holds. Raises Altered where that is not what was taken, FileNotFoundError
    where nothing is there, and Unstored."""
    whole = storage_of(house).open(file.id)
    with closing(whole):
        if whole.size != file.size:
            raise Altered(f"{file.id} is {whole.size} bytes long, and was {file.size}")
        if not _known(file, whole):
            digest = hashlib.sha256()
            while piece := whole.stream.read(PIECE):
                digest.update(piece)
            if digest.hexdigest() != file.digest:
                raise Altered(f"{file.id} has the SHA-256 {digest.hexdigest()}, and had {file.digest}")
            _remember(file, whole)
    return whole.stamp


def _known(file: StoredFile, found: Opened) -> bool:
    return found.settled and found.size == file.size and (file.id, found.stamp) in _intact


def _remember(file: StoredFile, found: Opened) -> None:
    if found.settled:  # what was written just now may be written once more within the same tick
        if len(_intact) >= _REMEMBERED:
            _intact.clear()
        _intact[file.id, found.stamp] = None


def _damaged(house: House, file: StoredFile, error: Exception) -> Refused:
    """What a visitor is told; what the operator needs is in the log."""
    house.count("files.damaged")
    said = "is not in storage" if isinstance(error, FileNotFoundError) else str(error)
    log.error("file %s is not given out: %s", file.id, said)
    return Refused(reasons.DAMAGED)


class Pieces:
    """The bytes of an answer, as they are asked for. Where it is the whole file its digest is compared on the
    way: the last piece is not sent where that differs, so that nobody takes the answer for complete."""

    def __init__(self, found: Opened | None, length: int, digest: str = "", name: str = "") -> None:
        self._found = found
        self._left = length if found is not None else 0
        self._wanted = digest
        self._name = name
        self._seen = hashlib.sha256()

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        if self._found is None or not self._left:
            self.close()
            raise StopIteration
        piece = self._found.stream.read(min(PIECE, self._left))
        self._left -= len(piece)
        if self._wanted:
            self._seen.update(piece)
        if not piece or (not self._left and self._wanted and self._seen.hexdigest() != self._wanted):
            self.close()
            log.error("file %s was changed while it was given out; the answer was broken off", self._name)
            raise Altered(f"{self._name} was changed while it was given out")
        return piece

    def close(self) -> None:
        """Let go of the file; a framework calls it, whatever has become of the answer."""
        if self._found is not None:
            self._found.close()
            self._found = None
