"""Files in an S3-compatible store (Amazon S3, MinIO, Ceph, R2 …), through boto3.

Writing is conditional (`If-None-Match: *`), so that a name is taken once whoever else writes; the store
checks a SHA-256 of what it was sent; nothing is made public: no ACL is ever sent, the bucket's own rules
count.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, BinaryIO, Final, cast

from bylaw.errors import MisuseError
from bylaw.storage import NAME, Kept, Opened, Unstored, valid

_PART: Final = 8 * 1024 * 1024
"""Bytes of a part, and of what is sent in one request: what a transfer holds in memory. S3 takes no smaller
parts than 5 MiB, and 10,000 of them: 80 GB."""
_GONE: Final = frozenset({"404", "NoSuchKey", "NotFound"})
_TAKEN: Final = frozenset({"412", "PreconditionFailed"})


@dataclass(eq=False)
class Bucket:
    """Files in `bucket`, below `prefix`. Without `access_key` and `secret_key` boto3 finds credentials where
    it looks for them (an instance's role)."""

    bucket: str
    prefix: str = ""
    endpoint: str = ""
    region: str = ""
    access_key: str = field(default="", repr=False)
    secret_key: str = field(default="", repr=False)
    _clients: dict[int, Any] = field(default_factory=dict, init=False, repr=False)

    @property
    def _client(self) -> Any:
        """This process's client: two that share one connection would read each other's answers."""
        here = os.getpid()
        if here not in self._clients:
            self._clients = {here: self._connected()}
        return self._clients[here]

    def _connected(self) -> Any:
        try:
            import boto3
            from botocore.config import Config
        except ImportError:
            raise MisuseError('storage in S3 needs boto3: pip install "bylaw[s3]"') from None
        return boto3.session.Session().client(
            "s3",
            endpoint_url=self.endpoint or None,
            region_name=self.region or ("us-east-1" if self.endpoint else None),
            aws_access_key_id=self.access_key or None,
            aws_secret_access_key=self.secret_key or None,
            config=Config(
                connect_timeout=5,
                read_timeout=30,
                retries={"mode": "standard", "max_attempts": 3},
                # A bucket's name in the host name is Amazon's way; others have one host.
                s3={"addressing_style": "path" if self.endpoint else "auto"},
            ),
        )

    def write_once(self, name: str, stream: BinaryIO) -> None:
        """As of Storage: in one request, or in parts of 8 MB, which are given up where one fails."""
        where = {"Bucket": self.bucket, "Key": self._key(name)}
        first = _part(stream)
        with _told(name):
            if len(first) < _PART:
                self._client.put_object(**where, Body=first, IfNoneMatch="*", ChecksumAlgorithm="SHA256")
            else:
                self._in_parts(where, first, stream)

    def _in_parts(self, where: dict[str, str], piece: bytes, stream: BinaryIO) -> None:
        begun = self._client.create_multipart_upload(**where, ChecksumAlgorithm="SHA256")
        upload = {**where, "UploadId": begun["UploadId"]}
        parts: list[dict[str, Any]] = []
        try:
            while piece:
                number = len(parts) + 1
                sent = self._client.upload_part(
                    **upload, PartNumber=number, Body=piece, ChecksumAlgorithm="SHA256"
                )
                checked = {k: sent[k] for k in ("ETag", "ChecksumSHA256") if k in sent}
                parts.append({"PartNumber": number, **checked})
                piece = _part(stream)
            self._client.complete_multipart_upload(
                **upload, MultipartUpload={"Parts": parts}, IfNoneMatch="*"
            )
        except BaseException:
            with contextlib.suppress(Exception):  # the first failure is the one to tell; `sweep` tries again
                self._client.abort_multipart_upload(**upload)
            raise

    def open(self, name: str, start: int = 0, end: int | None = None) -> Opened:
        """As of Storage."""
        part = (
            {} if start == 0 and end is None else {"Range": f"bytes={start}-{'' if end is None else end - 1}"}
        )
        with _told(name):
            got = self._client.get_object(Bucket=self.bucket, Key=self._key(name), **part)
        size = int(str(got.get("ContentRange") or f"/{got['ContentLength']}").rpartition("/")[2])
        stamp = f"{got['ETag']}.{got.get('VersionId', '')}.{got['LastModified'].timestamp()}"
        return Opened(cast(BinaryIO, _Reading(got["Body"])), size, stamp)

    def delete(self, name: str) -> None:
        """As of Storage. In a bucket that keeps versions, what was deleted is the bucket's to forget."""
        with _told(name), contextlib.suppress(FileNotFoundError):
            self._client.delete_object(Bucket=self.bucket, Key=self._key(name))

    def names(self) -> Iterator[Kept]:
        """As of Storage."""
        with _told():
            pages = self._client.get_paginator("list_objects_v2").paginate(
                Bucket=self.bucket, Prefix=self._below
            )
            for page in pages:
                for found in page.get("Contents", ()):
                    name = found["Key"].rpartition("/")[2]
                    if NAME.fullmatch(name) and found["Key"] == self._key(name):
                        yield Kept(name, found["LastModified"].timestamp())

    def scratch(self) -> BinaryIO:
        """As of Storage: in the system's directory for temporary files (TMPDIR)."""
        try:
            return cast(BinaryIO, tempfile.TemporaryFile(prefix="bylaw-"))
        except OSError as error:
            raise Unstored(f"the directory for temporary files: {error.strerror}") from error

    def sweep(self, before: float) -> int:
        """As of Storage: uploads in parts whose process died."""
        gone = 0
        with _told():
            for page in self._client.get_paginator("list_multipart_uploads").paginate(
                Bucket=self.bucket, Prefix=self._below
            ):
                for begun in page.get("Uploads", ()):
                    if begun["Initiated"].timestamp() < before:
                        self._client.abort_multipart_upload(
                            Bucket=self.bucket, Key=begun["Key"], UploadId=begun["UploadId"]
                        )
                        gone += 1
        return gone

    def problem(self) -> str:
        """As of Storage."""
        try:
            with _told():
                self._client.head_bucket(Bucket=self.bucket)
        except (OSError, MisuseError) as error:
            return str(error)
        return ""

    @property
    def _below(self) -> str:
        return f"{self.prefix}/" if self.prefix else ""

    def _key(self, name: str) -> str:
        return f"{self._below}{valid(name)[:2]}/{name}"


class _Reading:
    """A body that is being read, whose failures are the storage's."""

    def __init__(self, body: Any) -> None:
        self._body = body

    def read(self, size: int = -1) -> bytes:
        with _told():
            return bytes(self._body.read(size if size >= 0 else None))

    def seekable(self) -> bool:
        return False

    def close(self) -> None:
        self._body.close()


def _part(stream: BinaryIO) -> bytes:
    """The next part: shorter than the others at the end alone, however little a stream gives at once."""
    part = bytearray()
    while len(part) < _PART and (piece := stream.read(_PART - len(part))):
        part += piece
    return bytes(part)


@contextmanager
def _told(name: str = "") -> Iterator[None]:
    """What boto3 says, in the words of Storage: the store's code, never its request with the credentials'
    id."""
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        yield
    except ClientError as error:
        code = str(error.response.get("Error", {}).get("Code", ""))
        if name and code in _TAKEN:
            raise FileExistsError(name) from None
        if name and code in _GONE:
            raise FileNotFoundError(name) from None
        raise Unstored(f"the S3 store said {code or 'no'}") from None
    except (BotoCoreError, OSError) as error:
        if isinstance(error, Unstored | FileExistsError | FileNotFoundError):
            raise
        raise Unstored(f"the S3 store: {type(error).__name__}") from None
