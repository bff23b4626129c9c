"""Each storage, empty: what one promises, all do."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from bylaw.storage import Storage
from bylaw.storage.local import Directory
from bylaw.storage.s3 import Bucket
from tests.storage import s3_server


@pytest.fixture(scope="session")
def s3_url() -> Iterator[str]:
    """A real S3 server, started by the tests."""
    with s3_server.server() as url:
        yield url


@pytest.fixture(scope="session")
def client(s3_url: str) -> Bucket:
    """One client for all tests: making one takes a third of a second."""
    return Bucket(s3_server.BUCKET, "", s3_url, "", "test", "test")


@pytest.fixture
def bucket(client: Bucket, request: pytest.FixtureRequest) -> Bucket:
    """An empty place in the bucket."""
    client.prefix = f"test-{abs(hash(request.node.nodeid))}"
    return client


@pytest.fixture(params=["directory", "s3"])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> Storage:
    """A directory, and a bucket."""
    if request.param == "directory":
        return Directory(tmp_path / "var" / "uploads")
    found: Storage = request.getfixturevalue("bucket")
    return found
