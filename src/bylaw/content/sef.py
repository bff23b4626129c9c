"""What Samsung's cameras append to each photograph: names with a line of text each, and their directory.

Its maker does not document it; this is how ExifTool reads it (Image::ExifTool::Samsung). Texts alone are let
be (the time, the mode, the network's country): a film or a depth map behind a photograph is another file.
"""

from __future__ import annotations

import re
import struct
from typing import Final

from bylaw.content.polyglot import ACTIVE
from bylaw.content.reading import Reader

_MARK: Final = b"SEFT"
_LONGEST: Final = 64 * 1024
_DIRECTORY: Final = struct.Struct("<4sII")
_ENTRY: Final = struct.Struct("<4sII")
_TEXT: Final = re.compile(rb"[\t\n\r -~]*")


def skip(reader: Reader) -> None:
    """Go to the end of the file, if such texts are all that lies from here to there."""
    at = reader.at
    if not (reader.left <= _LONGEST and _texts(reader.upto(reader.left))):
        reader.seek(at)


def _texts(data: bytes) -> bool:
    """Whether its directory stands at its end and describes every byte before itself."""
    if not data.endswith(_MARK) or len(data) < 8 + _DIRECTORY.size:
        return False
    start = len(data) - 8 - int.from_bytes(data[-8:-4], "little")
    if start < 0 or len(data) - 8 - start < _DIRECTORY.size:
        return False
    mark, _, count = _DIRECTORY.unpack_from(data, start)
    entries = data[start + _DIRECTORY.size : -8]
    if mark != b"SEFH" or len(entries) != count * _ENTRY.size or ACTIVE.search(data):
        return False
    at = 0
    for kind, back, size in _ENTRY.iter_unpack(entries):
        if at != start - back or not _text(data[at : min(at + size, start)], kind):
            return False
        at += size
    return at == start


def _text(block: bytes, kind: bytes) -> bool:
    """Whether a block is of the kind that its entry says, and holds a name and a text."""
    if len(block) < 8 or block[:4] != kind or int.from_bytes(block[4:8], "little") > len(block) - 8:
        return False
    return _TEXT.fullmatch(block, 8) is not None
