"""Files: taken in, attached, found, removed, on both databases."""

from __future__ import annotations

import hashlib
import io
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import delete
from sqlalchemy.orm import Session

from bylaw.controls import uploads
from bylaw.errors import MisuseError
from bylaw.house import House
from bylaw.identity import ANONYMOUS, Identity
from bylaw.operations.files import Files, Given, StoredFile, sweeping
from bylaw.operations.files.keeping import storage_of
from bylaw.reasons import Refused
from bylaw.store import files as rows
from bylaw.store.tables import users
from tests.content import making
from tests.operations import filing
from tests.operations.filing import SUBJECT, bytes_of, given, kept, person, records
from tests.store import postgresql

both = pytest.mark.parametrize("house", ["sqlite", "postgresql"], indirect=True)
"""Where the two databases could differ."""


@pytest.fixture
def house(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[House]:
    """A policy that takes files, on an empty database."""
    environ = {}
    if getattr(request, "param", "sqlite") == "postgresql":
        environ["DATABASE_URL"] = postgresql.emptied(request.getfixturevalue("postgresql_url"))
    with filing.house(tmp_path, **environ) as made:
        yield made


@pytest.fixture
def ann(house: House) -> Identity:
    return person(house)


def refused(call: Callable[[], object]) -> str:
    with pytest.raises(Refused) as caught:
        call()
    return caught.value.reason.code


@both
@pytest.mark.requirement("S1-096", "S2-074", "S2-076")
def test_a_file_is_taken_under_a_name_of_our_own(house: House, ann: Identity) -> None:
    """A name that climbs is shown without its path, and nothing of it is where the bytes are."""
    made = making.png()
    file = kept(house, ann, content=made, name="../../static/Grüße aus Köln.png")
    assert file.name == "Grüße aus Köln.png"
    assert (file.kind, file.media_type, file.size) == ("png", "image/png", len(made))
    assert file.digest == hashlib.sha256(made).hexdigest()
    assert file.state == "clean"
    assert bytes_of(house) == [file.id]
    with Files(house).open(file.id, SUBJECT) as stream:
        assert stream.read() == made
    assert Files(house).of(SUBJECT) == [file]
    (record,) = records(house)
    assert (record["action"], record["user_id"], record["entity_id"]) == ("upload_stored", ann.id, file.id)
    assert record["changes"]["digest"] == file.digest


@pytest.mark.requirement("S1-092", "S1-094", "S2-074")
@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("run.exe", b"MZ", "uploads.extension"),
        ("drawing.png", b"x" * (1024 * 1024 + 1), "uploads.too_large"),
        ("drawing.png", b"<html><script>alert(1)</script>", "uploads.disagrees"),
        ("nothing.png", b"", "uploads.empty"),
    ],
)
def test_what_is_refused_leaves_a_record_and_nothing_else(
    house: House, ann: Identity, name: str, content: bytes, reason: str
) -> None:
    """A file of another kind than its name says, too long or empty: no row, no bytes, a record with the
    reason."""
    wrong = Given(name, "", io.BytesIO(content))
    assert refused(lambda: Files(house).take(wrong, by=ann, subject=SUBJECT)) == reason
    assert bytes_of(house) == []
    assert Files(house).of(SUBJECT) == []
    (record,) = records(house)
    assert (record["action"], record["outcome"], record["user_id"]) == (
        "upload_validation",
        "failure",
        ann.id,
    )
    assert record["changes"]["reason"] == reason
    assert record["changes"]["name"] == name


def test_what_a_route_declared_counts_without_being_repeated(house: House, ann: Identity) -> None:
    """A route that takes pdf alone refuses a picture, though the policy takes those."""
    picture = Given("a.png", "image/png", io.BytesIO(making.png()), ("pdf",))
    assert refused(lambda: Files(house).take(picture, by=ann)) == "uploads.extension"


def test_a_route_and_its_view_both_count(house: House, ann: Identity) -> None:
    """A view that asks for more than its route declared gets what both take; one that asks for something
    else is a mistake that is told."""
    picture = Given("a.png", "image/png", io.BytesIO(making.png()), ("png", "jpg"))
    assert Files(house).take(picture, by=ann, kinds=("pdf", "png")).kind == "png"
    with pytest.raises(MisuseError, match="the route takes png, jpg"):
        Files(house).take(picture, by=ann, kinds=("pdf",))


@pytest.mark.parametrize("step", ["write", "flush", "read"])
def test_no_room_to_examine_it(
    house: House, ann: Identity, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk fills while a file comes in, with its last bytes, or fails later: 503, and nothing stays."""

    class Full(io.BytesIO):
        def close(self) -> None:
            super().close()
            self.full()  # what could not be written is tried again

        def full(self, *_: Any) -> Any:
            raise OSError(28, "No space left on device")

    setattr(Full, step, Full.full)
    monkeypatch.setattr(storage_of(house), "scratch", Full, raising=False)
    assert refused(lambda: kept(house, ann)) == "uploads.unstored"
    assert house.counts["files.unstored"] == 1
    assert bytes_of(house) == []


def test_no_room_to_draw_it_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The disk is full: the picture is not told to be damaged."""

    class Full(io.BytesIO):
        def __init__(self, _: int) -> None:
            super().__init__()

        def write(self, _: Any) -> int:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr("bylaw.content.pictures.tempfile.SpooledTemporaryFile", Full)
    with filing.house(tmp_path, f"{filing.POLICY}reencode = true\n") as made:
        assert refused(lambda: kept(made, person(made))) == "uploads.unstored"


def test_the_size_is_counted_as_it_comes(house: House, ann: Identity) -> None:
    """Somebody sends an endless file: no more than the limit and a piece of it is ever read."""

    class Endless(io.RawIOBase):
        read_so_far = 0

        def read(self, size: int = -1) -> bytes:
            assert 0 < size <= 1024 * 1024, "the whole of it was asked for at once"
            Endless.read_so_far += size
            return bytes(size)

    endless: Any = Endless()
    assert refused(lambda: Files(house).take(Given("a.png", "", endless), by=ann)) == "uploads.too_large"
    assert Endless.read_so_far < 2 * house.policy.of(uploads.Settings).size


@pytest.mark.requirement("S2-075")
def test_a_picture_may_be_kept_as_it_is_written_anew(tmp_path: Path) -> None:
    """By a policy that says so, what a picture carried beside its pixels (a place, a payload) is not kept,
    and what is recorded is what is stored."""
    with filing.house(tmp_path, filing.POLICY + "reencode = true\n") as house:
        ann = person(house)
        comment = making.chunk(b"tEXt", b"Comment\x00taken at 52.5,13.4")
        made = making.png(30, 20, before=comment)
        file = kept(house, ann, content=made)
        with Files(house).open(file.id, SUBJECT) as stream:
            stored = stream.read()
        assert b"52.5" in made
        assert b"52.5" not in stored
        assert (file.size, file.digest) == (len(stored), hashlib.sha256(stored).hexdigest())
        assert (file.width, file.height) == (30, 20)


# Belonging


def attached(house: House, file_id: str, subject: str, by: Identity) -> StoredFile:
    with house.store.transaction() as connection:
        return Files(house).attach(connection, file_id, subject, by=by)


@pytest.mark.requirement("S2-076")
def test_nothing_is_seen_before_it_is_attached(house: House, ann: Identity) -> None:
    """A form that was refused after its file was taken leaves no file that anybody finds."""
    file = Files(house).take(given(), by=ann)
    assert Files(house).of(SUBJECT) == []
    assert refused(lambda: Files(house).download(file.id, SUBJECT)) == "uploads.unknown"
    assert attached(house, file.id, SUBJECT, ann).subject == SUBJECT
    assert [each.id for each in Files(house).of(SUBJECT)] == [file.id]


@both
def test_attaching_holds_when_the_transaction_does(house: House, ann: Identity) -> None:
    """The application's own change fails after the file was attached: neither happened."""
    file = Files(house).take(given(), by=ann)
    with pytest.raises(ZeroDivisionError), Session(house.store.engine) as session, session.begin():
        Files(house).attach(session, file.id, SUBJECT, by=ann)
        session.flush()
        _ = 1 / 0
    assert Files(house).of(SUBJECT) == []
    attached(house, file.id, SUBJECT, ann)


@both
def test_only_its_giver_attaches_a_file_and_once(house: House, ann: Identity) -> None:
    """Bob learns the id of Ann's fresh file, and would attach it to something that he may read."""
    bob = person(house, "bob")
    file = Files(house).take(given(), by=ann)
    for who in (bob, ANONYMOUS):
        assert refused(lambda who=who: attached(house, file.id, "lot:4", who)) == "uploads.unknown"
    attached(house, file.id, SUBJECT, ann)
    assert refused(lambda: attached(house, file.id, "lot:4", ann)) == "uploads.unknown"
    for nothing in ("", "../" + file.id, file.id.upper(), "\x00" * 22, "\ud800" * 22, "a" * 22):
        assert refused(lambda nothing=nothing: attached(house, nothing, "lot:4", ann)) == "uploads.unknown"


@both
def test_of_two_at_once_one_attaches(house: House, ann: Identity) -> None:
    """Two requests attach the same file to different objects at the same moment."""
    file = Files(house).take(given(), by=ann)
    barrier, outcomes = threading.Barrier(4), []

    def attach(number: int) -> None:
        barrier.wait()
        try:
            outcomes.append(attached(house, file.id, f"lot:{number}", ann).subject)
        except Refused:
            outcomes.append("")

    threads = [threading.Thread(target=attach, args=(n,)) for n in range(4)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert len([o for o in outcomes if o]) == 1
    assert sum(len(Files(house).of(f"lot:{n}")) for n in range(4)) == 1


@both
def test_another_subjects_file_is_none(house: House, ann: Identity) -> None:
    """An id of another process's drawing answers like an id that nobody has, and the attempt is recorded."""
    file = kept(house, ann)
    for file_id in (file.id, "a" * 22, "../../etc/passwd", "", "\x00", "\ud800" * 22):
        for call in (Files(house).find, Files(house).open, Files(house).download, Files(house).thumbnail):
            assert (
                refused(lambda call=call, file_id=file_id: call(file_id, "process:18")) == "uploads.unknown"
            )
    failed = [r for r in records(house, "sensitive_read") if r["outcome"] == "failure"]
    assert {r["entity_id"] for r in failed} == {file.id, "a" * 22, ""}


@pytest.mark.parametrize("subject", ["", "x" * 121, "a\nb", "a\x00b", "\ud800"])
def test_a_subject_is_a_name(house: House, ann: Identity, subject: str) -> None:
    """An empty subject would be that of all files which nobody has attached."""
    with pytest.raises(MisuseError, match="belongs to something"):
        Files(house).of(subject)
    with pytest.raises(MisuseError, match="belongs to something"):
        Files(house).find("a" * 22, subject)


# In the application's own transaction


@both
def test_a_file_may_be_taken_in_the_applications_transaction(house: House, ann: Identity) -> None:
    """The row is there when the application's change is, and is not when that failed; its bytes are swept
    then."""
    with house.store.transaction() as connection:
        file = Files(house).take(given(), by=ann, subject=SUBJECT, connection=connection)
    assert [each.id for each in Files(house).of(SUBJECT)] == [file.id]
    with pytest.raises(ZeroDivisionError), house.store.transaction() as connection:
        Files(house).take(given(), by=ann, subject=SUBJECT, connection=connection)
        _ = 1 / 0
    assert [each.id for each in Files(house).of(SUBJECT)] == [file.id]
    advance(house, sweeping.UNWANTED + 1)
    assert sweeping.sweep(house).orphans == 1
    assert bytes_of(house) == [file.id]


def test_a_refusal_within_a_transaction_is_recorded_all_the_same(house: House, ann: Identity) -> None:
    """SQLite has one writer, and the application's transaction ends with the refusal: the record comes after
    it."""
    with pytest.raises(Refused), house.store.transaction() as connection:
        Files(house).take(given(name="a.exe"), by=ann, connection=connection)
    assert records(house) == []
    sweeping.chore(house)()
    (record,) = records(house)
    assert record["changes"]["reason"] == "uploads.extension"
    sweeping.chore(house)()
    assert len(records(house)) == 1


# Going


def advance(house: House, seconds: float) -> None:
    clock: Any = house.ports.clock
    clock.advance(seconds)


@both
def test_what_is_removed_is_gone_at_once_and_its_bytes_soon(house: House, ann: Identity) -> None:
    """Removed in the application's transaction: nobody gets it any more, and with the next round neither
    name nor bytes are kept."""
    file, other = kept(house, ann), kept(house, ann, subject="lot:4")
    with house.store.transaction() as connection:
        Files(house).remove(connection, file.id, SUBJECT, by=ann)
    assert refused(lambda: Files(house).download(file.id, SUBJECT)) == "uploads.unknown"
    assert Files(house).of(SUBJECT) == []
    assert sweeping.sweep(house).removed == 1
    assert bytes_of(house) == [other.id]
    with house.store.reading() as connection:
        row = rows.find(connection, file.id)
    assert row is not None
    assert (row.state, row.name) == ("erased", "")
    (record,) = records(house, "upload_delete")
    assert record["user_id"] == ann.id


def test_removing_asks_whose_it_is(house: House, ann: Identity) -> None:
    """Another object's file is not removed by its id, nor twice."""
    file = kept(house, ann)
    with house.store.transaction() as connection:
        assert refused(lambda: Files(house).remove(connection, file.id, "lot:4")) == "uploads.unknown"
        Files(house).remove(connection, file.id, SUBJECT)
        assert refused(lambda: Files(house).remove(connection, file.id, SUBJECT)) == "uploads.unknown"


def test_a_removal_that_did_not_happen_keeps_the_bytes(house: House, ann: Identity) -> None:
    """The application's transaction fails after the removal: the file is there as before."""
    file = kept(house, ann)
    with pytest.raises(ZeroDivisionError), house.store.transaction() as connection:
        assert Files(house).remove_all(connection, SUBJECT) == 1
        _ = 1 / 0
    sweeping.sweep(house)
    with Files(house).open(file.id, SUBJECT) as stream:
        assert stream.read()


@both
def test_a_file_outlives_the_account_that_gave_it(house: House, ann: Identity) -> None:
    """An account is deleted: its drawings stay with the process that they belong to, and say nobody's
    name."""
    file = kept(house, ann)
    with house.store.transaction() as connection:
        connection.execute(delete(users).where(users.c.id == ann.id))
    (still,) = Files(house).of(SUBJECT)
    assert still.id == file.id
    assert still.user_id is None
