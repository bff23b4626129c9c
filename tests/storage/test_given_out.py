"""Files given out of each storage: as they were taken, and never what somebody has put in their place."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bylaw.house import House
from bylaw.identity import Identity
from bylaw.operations.files import Files, StoredFile
from bylaw.operations.files.keeping import storage_of
from bylaw.reasons import Refused
from bylaw.storage import Unstored
from bylaw.storage.local import Directory
from tests.content import making
from tests.operations import filing
from tests.operations.filing import SUBJECT, kept, person

TEN = b"id,n\n1,2\n3,4\n"


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with filing.house(tmp_path_factory.mktemp("given")) as made:
        yield made


@pytest.fixture(scope="module")
def ann(house: House) -> Identity:
    return person(house)


def asked(house: House, file: StoredFile, wanted: str = "") -> bytes:
    sent = {"range": wanted} if wanted else {}
    return b"".join(Files(house).download(file.id, SUBJECT, method="GET", headers=sent).pieces)


@pytest.fixture(params=["directory", "s3"])
def place(request: pytest.FixtureRequest, house: House) -> Iterator[House]:
    """The house with each kind of storage."""
    before = storage_of(house)
    if request.param == "s3":
        house.storage = request.getfixturevalue("bucket")
    yield house
    house.storage = before


def tamper(house: House, file: StoredFile, content: bytes | None) -> None:
    """Somebody with access to the storage puts something else in the place of a file, or takes it away."""
    storage: Any = storage_of(house)
    if isinstance(storage, Directory):
        path = storage.path / file.id[:2] / file.id
        path.unlink() if content is None else path.write_bytes(content)
    else:
        storage.delete(file.id)
        if content is not None:
            storage.write_once(file.id, io.BytesIO(content))


@pytest.mark.requirement("S2-076", "S2-078")
@pytest.mark.parametrize(
    ("content", "part"),
    [(TEN[:-1], ""), (TEN + b"x", "bytes=0-3"), (TEN.replace(b"4", b"5"), "bytes=0-3"), (None, "")],
)
def test_what_was_changed_is_not_given_out(
    place: House, ann: Identity, content: bytes | None, part: str
) -> None:
    """Somebody changes a byte on disk, or in the bucket: nobody gets the file, whole or in part; the log
    says which and what is wrong."""
    file = kept(place, ann, content=TEN, name="a.csv", media_type="text/csv")
    assert asked(place, file) == TEN
    assert asked(place, file, "bytes=3-5") == TEN[3:6]
    tamper(place, file, content)
    counted = place.counts.get("files.damaged", 0)
    with pytest.raises(Refused) as error:
        asked(place, file, part)
    assert error.value.reason.code in ("uploads.damaged", "uploads.unstored")
    assert place.counts.get("files.damaged", 0) + (error.value.status == 503) == counted + 1


def test_a_picture_is_made_small_from_either(place: House, ann: Identity) -> None:
    """A thumbnail is made anew from the pixels: nothing of what else the file carries is in it, and it is
    the one thing that is shown inline, in a sandbox all the same."""
    file = kept(
        place,
        ann,
        content=making.png(600, 400, before=making.chunk(b"tEXt", b"Comment\x00written beside the pixels")),
    )
    assert file.picture
    for _ in range(2):
        shown = Files(place).thumbnail(file.id, SUBJECT, method="GET", headers={})
        picture = b"".join(shown.pieces)
        fields = dict(shown.headers)
        assert fields["Content-Type"] in ("image/png", "image/jpeg")
        assert fields["Content-Security-Policy"] == "sandbox; default-src 'none'"
        assert b"beside" not in picture
        assert 0 < len(picture) < 100_000
    again = Files(place).thumbnail(file.id, SUBJECT, method="GET", headers={"if-none-match": fields["ETag"]})
    assert (again.status, list(again.pieces)) == (304, [])
    assert Files(place).thumbnail(file.id, SUBJECT, method="HEAD", headers={}).status == 200


def test_an_import_reads_from_either(place: House, ann: Identity) -> None:
    """The application reads a file itself, back and forth as an archive's reader does, wherever it is
    kept."""
    file = kept(place, ann, content=TEN, name="a.csv", media_type="text/csv")
    with Files(place).open(file.id, SUBJECT) as stream:
        stream.seek(-4, 2)
        assert stream.read() == TEN[-4:]
        stream.seek(0)
        assert stream.read() == TEN


def test_no_room_to_read_what_cannot_be_rewound(
    house: House, ann: Identity, bucket: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The directory for temporary files is full, or not there: 503, and what was written of it is closed."""
    monkeypatch.setattr(house, "storage", bucket)
    file = kept(house, ann, content=TEN, name="a.csv", media_type="text/csv")

    class Full(io.BytesIO):
        def write(self, _: Any) -> int:
            raise OSError(28, "No space left on device")

        def close(self) -> None:
            super().close()
            self.write(b"")

    monkeypatch.setattr(bucket, "scratch", Full, raising=False)
    with pytest.raises(Refused) as error:
        Files(house).open(file.id, SUBJECT)
    assert error.value.reason.code == "uploads.unstored"
    monkeypatch.undo()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "not there"))
    with pytest.raises(Unstored, match="temporary files: No such file"):
        bucket.scratch()


def test_what_is_no_picture_has_no_thumbnail(house: House, ann: Identity) -> None:
    """A table has none: the answer is that there is nothing."""
    file = kept(house, ann, content=TEN, name="a.csv", media_type="text/csv")
    assert not file.picture
    with pytest.raises(Refused) as error:
        Files(house).thumbnail(file.id, SUBJECT)
    assert error.value.status == 404
