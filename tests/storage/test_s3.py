"""What a bucket is asked for: nothing public, everything checked, and nothing left of what broke off."""

from __future__ import annotations

import base64
import hashlib
import io
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest

from bylaw.storage.s3 import Bucket
from tests.storage import s3_server

NAME = "abcdefghijklmnopqrstuv"


@pytest.fixture
def asked(bucket: Bucket) -> Iterator[list[Any]]:
    """The parameters of every request from now on."""
    seen: list[Any] = []

    def note(params: Any, **_: object) -> None:
        seen.append(dict(params))

    bucket._client.meta.events.register("provide-client-params.s3.*", note)
    yield seen
    bucket._client.meta.events.unregister("provide-client-params.s3.*", note)


@pytest.mark.requirement("S1-096", "S2-076")
def test_nothing_is_made_public_and_everything_is_checked(bucket: Bucket, asked: list[Any]) -> None:
    """No ACL is ever sent, each write is on condition that the name is free, and the service has a SHA-256 of
    what it was sent."""
    bucket.write_once(NAME, io.BytesIO(b"one"))
    (put,) = asked
    assert not [key for key in put if key.startswith(("ACL", "Grant"))]
    assert (put["IfNoneMatch"], put["ChecksumAlgorithm"]) == ("*", "SHA256")
    kept = bucket._client.head_object(Bucket=s3_server.BUCKET, Key=put["Key"], ChecksumMode="ENABLED")
    assert kept["ChecksumSHA256"] == base64.b64encode(hashlib.sha256(b"one").digest()).decode()
    grants = bucket._client.get_object_acl(Bucket=s3_server.BUCKET, Key=put["Key"])["Grants"]
    assert not [grant for grant in grants if "AllUsers" in str(grant)]


def test_a_long_file_is_written_on_the_same_condition(bucket: Bucket, asked: list[Any]) -> None:
    """Parts are checked each, and the whole is put together only where the name is still free."""
    bucket.write_once(NAME, io.BytesIO(bytes(9 * 1024 * 1024)))
    assert [len(each["Body"]) for each in asked if "Body" in each] == [8 * 1024 * 1024, 1024 * 1024]
    assert all(each["ChecksumAlgorithm"] == "SHA256" for each in asked if "Body" in each)
    assert asked[-1]["IfNoneMatch"] == "*"
    with closing(bucket.open(NAME)) as found:
        assert found.size == 9 * 1024 * 1024


def test_what_a_dead_process_left_is_given_up(bucket: Bucket) -> None:
    """A process was killed between two parts: its upload is paid for until somebody gives it up."""
    key = bucket._key(NAME)
    begun = bucket._client.create_multipart_upload(Bucket=s3_server.BUCKET, Key=key)
    part = {"Bucket": s3_server.BUCKET, "Key": key, "UploadId": begun["UploadId"]}
    bucket._client.upload_part(**part, PartNumber=1, Body=b"half")
    assert list(bucket.names()) == []
    assert bucket.sweep(before=0) == 0  # it may still be at work
    assert bucket.sweep(before=4e9) == 1
    assert bucket.sweep(before=4e9) == 0


def test_a_place_in_a_bucket_is_ones_own(bucket: Bucket) -> None:
    """Two applications in one bucket see nothing of each other's, nor what somebody else has put there."""
    bucket.write_once(NAME, io.BytesIO(b"one"))
    other = Bucket(s3_server.BUCKET, f"{bucket.prefix}-other", bucket.endpoint, "", "test", "test")
    assert list(other.names()) == []
    with pytest.raises(FileNotFoundError):
        other.open(NAME)
    bucket._client.put_object(Bucket=s3_server.BUCKET, Key=f"{bucket.prefix}/README", Body=b"x")
    assert [found.name for found in bucket.names()] == [NAME]


def test_a_bucket_that_is_not_there_is_told(bucket: Bucket) -> None:
    """Readiness says so before the first file is refused."""
    wrong = Bucket("no-such-bucket", "", bucket.endpoint, "", "test", "test")
    assert "404" in wrong.problem()
