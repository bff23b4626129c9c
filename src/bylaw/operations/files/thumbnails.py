"""Small pictures of images, made anew from their pixels: nothing else of a file is ever shown inline."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Mapping
from contextlib import closing
from io import BytesIO
from typing import Final

from bylaw import content
from bylaw.content import Hostile
from bylaw.controls.uploads import reasons
from bylaw.house import House
from bylaw.operations.files import headers, ranges
from bylaw.operations.files.giving import Sending, asked, clean
from bylaw.operations.files.reading import Pieces, opened, seekable
from bylaw.reasons import Refused
from bylaw.storage import Opened
from bylaw.store.files import StoredFile

_KEPT: Final = 256
_LARGEST: Final = 128 * 1024
"""Pictures that a process keeps in memory, and the bytes of one that is kept: 32 MB at most."""
_made: OrderedDict[str, bytes] = OrderedDict()
"""By the digest of the file that they are of."""
_lock = threading.Lock()
_making = threading.BoundedSemaphore(2)
"""An image of 50 million pixels takes 200 MB while it is made small: never many at once, whoever asks."""


def thumbnail(
    house: House, file_id: str, subject: str, method: str | None, sent: Mapping[str, str] | None
) -> Sending:
    """See `Files.thumbnail`."""
    file = clean(house, file_id, subject)
    if not file.picture:
        raise Refused(reasons.UNKNOWN)
    method, values = asked(method, sent)
    etag = f'"{file.digest[:32]}-small"'
    if ranges.part("HEAD", values, 1, etag).status == 304:
        return Sending(304, headers.of_picture("", 0, etag), Pieces(None, 0))
    picture = _made.get(file.digest) or _make(house, file)
    kind = "image/png" if picture.startswith(b"\x89PNG") else "image/jpeg"
    found = None if method == "HEAD" else Opened(BytesIO(picture), len(picture), "")
    return Sending(200, headers.of_picture(kind, len(picture), etag), Pieces(found, len(picture)))


def _make(house: House, file: StoredFile) -> bytes:
    with _making, closing(seekable(house, opened(house, file))) as stream:
        try:
            picture = content.thumbnail(stream, file.kind)
        except Hostile:
            raise Refused(reasons.UNKNOWN) from None
    if len(picture) <= _LARGEST:
        with _lock:
            _made[file.digest] = picture
            while len(_made) > _KEPT:
                _made.popitem(last=False)
    return picture
