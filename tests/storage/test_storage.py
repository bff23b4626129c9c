"""What every storage promises: a name is taken once, what is there is there as a whole, and nothing else."""

from __future__ import annotations

import hashlib
import io
import random
from contextlib import closing
from typing import BinaryIO

import pytest

from bylaw.storage import Storage, Unstored
from bylaw.storage.s3 import Bucket
from tests.storage.s3_server import free_port

NAME = "abcdefghijklmnopqrstuv"
OTHER = "vutsrqponmlkjihgfedcba"


def content(storage: Storage, name: str = NAME, start: int = 0, end: int | None = None) -> bytes:
    with closing(storage.open(name, start, end)) as found:
        return found.stream.read() if end is None else found.stream.read(end - start)


@pytest.mark.requirement("S1-096", "S2-076")
def test_a_file_is_kept_as_it_came_and_can_be_read_in_part(storage: Storage) -> None:
    """What was written is read again, from any byte to any other, with the size of the whole."""
    storage.write_once(NAME, io.BytesIO(b"0123456789"))
    assert content(storage) == b"0123456789"
    assert content(storage, start=3, end=7) == b"3456"
    assert content(storage, start=7) == b"789"
    with closing(storage.open(NAME, 3, 5)) as found:
        assert found.size == 10


@pytest.mark.requirement("S2-076")
def test_a_name_is_written_once(storage: Storage) -> None:
    """Somebody who could have a name written again would put something else in the place of what was
    examined."""
    storage.write_once(NAME, io.BytesIO(b"examined"))
    with pytest.raises(FileExistsError):
        storage.write_once(NAME, io.BytesIO(b"something else"))
    assert content(storage) == b"examined"


def test_of_a_long_file_too(storage: Storage) -> None:
    """A file that is sent in parts (9 MB) arrives whole, and its name is taken once, too."""
    made = random.Random(3).randbytes(1024 * 1024) * 9
    storage.write_once(NAME, io.BytesIO(made))
    assert hashlib.sha256(content(storage)).digest() == hashlib.sha256(made).digest()
    with pytest.raises(FileExistsError):
        storage.write_once(NAME, io.BytesIO(made[::-1]))
    assert content(storage, end=8) == made[:8]
    assert storage.sweep(before=4e9) == 0  # nothing of the second one is left


class Breaking(io.RawIOBase):
    """A stream that breaks off after `good` bytes."""

    def __init__(self, good: int) -> None:
        self.left = good

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        if self.left <= 0:
            raise ConnectionResetError
        piece = min(size, self.left)
        self.left -= piece
        return bytes(piece)


@pytest.mark.parametrize("good", [0, 100_000, 9 * 1024 * 1024])
def test_what_breaks_off_leaves_nothing(storage: Storage, good: int) -> None:
    """A transfer that breaks off leaves no part of a file under its name, and the name is free."""
    source: BinaryIO = Breaking(good)  # type: ignore
    with pytest.raises((Unstored, ConnectionResetError)):
        storage.write_once(NAME, source)
    assert [kept.name for kept in storage.names()] == []
    with pytest.raises(FileNotFoundError):
        storage.open(NAME)
    storage.write_once(NAME, io.BytesIO(b"now"))
    assert content(storage) == b"now"


@pytest.mark.requirement("S2-076")
@pytest.mark.parametrize(
    "name",
    [
        "",
        "../../etc/passwd",
        "ab",
        NAME + "x",
        NAME.upper(),
        NAME[:21] + "/",
        NAME[:21] + "\n",
        "." * 22,
        "0" * 22,
    ],
)
def test_no_other_name_leads_anywhere(storage: Storage, name: str) -> None:
    """A name that climbs, or is no generated one, is refused before any path is made of it."""
    for attempt in (
        lambda: storage.open(name),
        lambda: storage.write_once(name, io.BytesIO(b"x")),
        lambda: storage.delete(name),
    ):
        with pytest.raises(ValueError, match="not a name"):
            attempt()


def test_what_is_deleted_is_gone(storage: Storage) -> None:
    """Deleting is done when it is done, also twice, and leaves the others alone."""
    storage.write_once(NAME, io.BytesIO(b"one"))
    storage.write_once(OTHER, io.BytesIO(b"two"))
    assert {kept.name for kept in storage.names()} == {NAME, OTHER}
    storage.delete(NAME)
    storage.delete(NAME)
    assert [kept.name for kept in storage.names()] == [OTHER]
    with pytest.raises(FileNotFoundError):
        storage.open(NAME)


def test_a_stamp_changes_with_the_content(storage: Storage) -> None:
    """What says that a file is still the one that was compared must not be the same for another one."""
    storage.write_once(NAME, io.BytesIO(b"one"))
    storage.write_once(OTHER, io.BytesIO(b"two"))
    with closing(storage.open(NAME)) as first, closing(storage.open(OTHER)) as second:
        assert first.stamp != second.stamp


def test_scratch_has_no_name(storage: Storage) -> None:
    """What is examined is nowhere to be found by a name, and goes with its process."""
    with storage.scratch() as scratch:
        scratch.write(b"not examined yet")
        scratch.seek(0)
        assert scratch.read(3) == b"not"
        assert list(storage.names()) == []


def test_all_is_well_says_so(storage: Storage) -> None:
    """Readiness has nothing to say of a storage that works."""
    assert storage.problem() == ""


def test_nobody_answers() -> None:
    """A store that is away is the storage's failure, told without the credentials."""
    away = Bucket("b", endpoint=f"http://127.0.0.1:{free_port()}", access_key="AKIAKEY", secret_key="SESAME")
    with pytest.raises(Unstored) as error:
        away.write_once(NAME, io.BytesIO(b"x"))
    assert "SESAME" not in str(error.value) + repr(away)
    assert "AKIAKEY" not in str(error.value) + repr(away)
    assert away.problem()
