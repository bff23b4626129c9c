"""Sweeping: what nobody wanted goes, what somebody needs stays, and a strange storage is left alone."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bylaw.controls import uploads
from bylaw.house import House
from bylaw.identity import Identity
from bylaw.operations import chores
from bylaw.operations.files import Files, keeping, sweeping
from bylaw.operations.files.keeping import storage_of
from bylaw.storage.s3 import Bucket
from tests.controls.houses import Builder
from tests.operations import filing
from tests.operations.filing import bytes_of, given, kept, person, records

DAY = sweeping.UNWANTED


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    with filing.house(tmp_path) as made:
        yield made


@pytest.fixture
def ann(house: House) -> Identity:
    return person(house)


def advance(house: House, seconds: float) -> None:
    clock: Any = house.ports.clock
    clock.advance(seconds)


def orphans(house: House, count: int) -> None:
    for number in range(count):
        storage_of(house).write_once(
            f"orphan{'a' * 14}{chr(97 + number // 26)}{chr(97 + number % 26)}", io.BytesIO(b"x")
        )


def test_what_was_never_attached_goes_after_a_day(house: House, ann: Identity) -> None:
    """A form that was never sent leaves its file; a day later it is gone, with a record, and the others are
    not."""
    wanted = kept(house, ann)
    unwanted = Files(house).take(given(), by=ann)
    advance(house, DAY - 1)
    assert sweeping.sweep(house) == sweeping.Swept()
    advance(house, 2)
    assert sweeping.sweep(house) == sweeping.Swept(unattached=1, removed=1)
    assert bytes_of(house) == [wanted.id]
    (record,) = records(house, "upload_delete")
    assert (record["entity_id"], record["changes"]["why"]) == (unwanted.id, "nothing needed it")


def test_bytes_that_no_row_names_go_after_a_day(house: House, ann: Identity) -> None:
    """A process died between the bytes and the row; a younger one may still be on its way."""
    wanted = kept(house, ann)
    orphans(house, 3)
    assert sweeping.sweep(house).orphans == 0
    advance(house, DAY + 1)
    assert sweeping.sweep(house).orphans == 3
    assert bytes_of(house) == [wanted.id]


def test_an_older_database_clears_nothing_away(house: House, ann: Identity) -> None:
    """An operator puts back last week's database: this week's files are in no row, and must not be gone when
    he puts back the right one an hour later."""
    kept(house, ann)
    orphans(house, 21)
    advance(house, DAY + 1)
    assert sweeping.sweep(house).orphans == 0
    assert len(bytes_of(house)) == 22
    assert sweeping.clear_all_orphans(house) == 21
    assert len(bytes_of(house)) == 1


def test_the_rounds_of_a_process_sweep(house: House, ann: Identity) -> None:
    """Nobody has to call it: every process does, now and then, and says so where the storage is away."""
    chores.install(house)
    (tidy,) = [c for c in house.store.feed.chores if "sweeping" in c.__module__]
    Files(house).take(given(), by=ann)
    orphans(house, 1)
    advance(house, DAY + 1)
    tidy()
    assert bytes_of(house) == []
    assert house.gauges["files"] == {'state="erased",': 1}
    assert set(house.gauges["file_bytes"]) == {'state="erased",'}
    assert house.checks["files"]() == ""
    place: Any = storage_of(house)
    place.path.chmod(0o755)
    assert "chmod 700" in house.checks["files"]()


def test_verifying_finds_what_was_changed_or_is_gone(house: House, ann: Identity) -> None:
    """After a back-up was put back: which files are not what the rows say."""
    fine, changed, gone = (kept(house, ann) for _ in range(3))
    place: Any = storage_of(house)
    (place.path / changed.id[:2] / changed.id).write_bytes(b"something else")
    place.delete(gone.id)
    found = {wrong.file.id: wrong.why for wrong in sweeping.verify(house) if wrong is not None}
    assert set(found) == {changed.id, gone.id}
    assert "is 14 bytes long" in found[changed.id]
    assert found[gone.id] == "is not there"
    assert len(list(sweeping.verify(house))) == 3
    assert fine.id not in found


@pytest.mark.parametrize(
    ("storage", "problem"),
    [
        ("s3://", "names no bucket"),
        ("s3://Bad_Bucket", "names no bucket"),
        ("s3://key:secret@bucket", "names no bucket"),
        ("s3://bucket?acl=public-read", "names no bucket"),
        ("ftp://files", "nothing is known of such a storage"),
    ],
)
def test_a_storage_that_is_none_is_refused_at_start(tmp_path: Path, storage: str, problem: str) -> None:
    """What cannot be a storage is told with its line, before the first file is refused."""
    text = filing.POLICY.replace("[uploads]", f'[uploads]\nstorage = "{storage}"')
    assert problem in Builder(tmp_path).refusal(text)


def test_a_bucket_is_made_of_the_policy(tmp_path: Path) -> None:
    """Bucket, prefix, endpoint and credentials are the policy's; the secret is in no printed form of it."""
    text = filing.POLICY.replace(
        "[uploads]",
        '[uploads]\nstorage = "s3://shop-files/up/loads"\nendpoint = "http://127.0.0.1:9"\n'
        'access_key = "env:S3_KEY"\nsecret_key = "env:S3_SECRET"',
    )
    keys = {"S3_KEY": "AKIA" + "5XQZ7K3M2PLR8WTN", "S3_SECRET": "q9Zr" + "7LbT2xWc4Vn8Ks1Yd6Fh3Jm5Pg0Ae"}
    with filing.house(tmp_path, text, **keys) as house:
        house.ports = replace(house.ports, files=None)
        bucket = keeping.storage_of(house)
        assert isinstance(bucket, Bucket)
        assert (bucket.bucket, bucket.prefix, bucket.endpoint) == (
            "shop-files",
            "up/loads",
            "http://127.0.0.1:9",
        )
        assert (bucket.access_key, bucket.secret_key) == tuple(keys.values())
        assert not [value for value in keys.values() if value in repr(bucket)]
        below = house.policy.of(uploads.Settings).below_standard()
        assert [each.key for each in below] == ["endpoint"]  # in the clear, where somebody may listen
