"""What a file's head looks like to libmagic: the second opinion beside the structure.

libmagic is C and reads what anybody sent, so it is given a head of bounded length, never the file, a name or
an archive to unpack.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import magic

HEAD: Final = 8 * 1024


def media_type(head: bytes) -> str:
    """The type as libmagic calls it (`image/png`); a general one where it knows none."""
    return _magic().from_buffer(head[:HEAD]) or "application/octet-stream"


@functools.cache
def _magic() -> magic.Magic:
    """One for the process; it holds a lock of its own."""
    try:
        import magic
    except ImportError:  # no libmagic on this machine: the wheel brings one
        import magic
        import pylibmagic  # noqa: F401 - it says where its library is
    return magic.Magic(mime=True)
