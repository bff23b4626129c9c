"""The directory: nobody else reads it, no link leads out of it, and what a dying process leaves is
cleared."""

from __future__ import annotations

import io
import os
import stat
from contextlib import closing
from pathlib import Path

import pytest

from bylaw.storage import Unstored
from bylaw.storage.local import Directory

NAME = "abcdefghijklmnopqrstuv"


@pytest.fixture
def place(tmp_path: Path) -> Directory:
    return Directory(tmp_path / "uploads")


@pytest.mark.requirement("S1-096", "S2-076")
def test_nobody_else_may_look(place: Directory) -> None:
    """Another account of the machine can neither list nor read what people uploaded, nor run it."""
    old = os.umask(0)  # the most careless of all
    try:
        place.write_once(NAME, io.BytesIO(b"a contract"))
    finally:
        os.umask(old)
    folder, file = place.path / "ab", place.path / "ab" / NAME
    assert stat.S_IMODE(place.path.stat().st_mode) == 0o700
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_a_link_is_not_followed(place: Directory, tmp_path: Path) -> None:
    """Whoever plants a link in the place of a file, or of a folder, has nothing read or written behind it."""
    secret = tmp_path / "secret"
    secret.write_text("root:x:0:0")
    (place.path / "ab").mkdir(parents=True)
    (place.path / "ab" / NAME).symlink_to(secret)
    with pytest.raises(Unstored):
        place.open(NAME)
    with pytest.raises(FileExistsError):
        place.write_once(NAME, io.BytesIO(b"written through the link"))
    assert secret.read_text() == "root:x:0:0"
    other = "zz" + NAME[2:]
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (place.path / "zz").symlink_to(elsewhere)
    with pytest.raises((Unstored, FileNotFoundError)):
        place.write_once(other, io.BytesIO(b"written elsewhere"))
    assert list(elsewhere.iterdir()) == []


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir])
def test_what_is_no_file_is_not_read(place: Directory, make: object) -> None:
    """A pipe in the place of a file would have the worker wait for ever."""
    (place.path / "ab").mkdir(parents=True)
    make(place.path / "ab" / NAME)  # type: ignore
    with pytest.raises((Unstored, FileNotFoundError)):
        place.open(NAME)


def test_what_was_just_written_is_not_settled(place: Directory) -> None:
    """A file may be changed twice within one tick of the system's clock, which would show the same times:
    what is younger than two seconds is compared anew each time."""
    place.write_once(NAME, io.BytesIO(b"one"))
    with closing(place.open(NAME)) as found:
        assert not found.settled


def test_a_change_shows_in_the_stamp(place: Directory) -> None:
    """Whoever writes to a file and sets its time back is found out: the time of change cannot be set."""
    place.write_once(NAME, io.BytesIO(b"one"))
    file = place.path / "ab" / NAME
    before = file.stat()
    with closing(place.open(NAME)) as found:
        stamp = found.stamp
    while file.stat().st_ctime_ns == before.st_ctime_ns:
        file.write_bytes(b"two")
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    with closing(place.open(NAME)) as found:
        assert found.stamp != stamp


def test_the_sweep_takes_its_own_alone(place: Directory) -> None:
    """What a process left that died is cleared; what an operator has put beside it is not ours."""
    place.write_once(NAME, io.BytesIO(b"one"))
    left, kept = place.path / ".scratch-abc", place.path / "README"
    left.write_text("half a file")
    kept.write_text("the operator's")
    assert place.sweep(before=left.stat().st_mtime - 60) == 0  # it may still be at work
    assert place.sweep(before=left.stat().st_mtime + 60) == 1
    assert not left.exists()
    assert kept.exists()
    assert [found.name for found in place.names()] == [NAME]


def test_readiness_says_what_is_wrong(place: Directory) -> None:
    """A directory that everybody may look into, or that is none, is told before the first file is lost."""
    assert place.problem() == ""
    place.path.chmod(0o755)
    assert "chmod 700" in place.problem()
    place.path.rmdir()
    place.path.write_text("not a directory")
    assert str(place.path) in place.problem()
    with pytest.raises(Unstored):
        place.scratch()


def test_a_full_disk_is_told_apart(place: Directory, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full disk is the operator's to mend: nothing half-written stays under a name."""

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("bylaw.storage.local.os.fsync", full)
    with pytest.raises(Unstored, match="No space left"):
        place.write_once(NAME, io.BytesIO(b"one"))
    assert list(place.names()) == []
