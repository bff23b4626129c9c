"""ZIP: both descriptions of every member agree, and nothing lies before, between or behind them (APPNOTE
6.3).

An archive is described twice, by a header before each member and by a directory at the end, and readers
differ in which they believe: that is how a member is shown to the one who checks and another to the one who
opens it. Here the headers are walked in the order of the file, each where the last one ended, and compared
with the directory; so members can't overlap either (Fifield, "A better zip bomb"). Sizes and sums are
measured while inflating, never believed (CVE-2019-9674, CVE-2026-108750). Members are read as they come,
block by block; nothing is written.
"""

from __future__ import annotations

import re
import struct
import unicodedata
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from bylaw.content.faults import Hostile
from bylaw.content.limits import Limits
from bylaw.content.reading import BLOCK, Reader

_LOCAL: Final = struct.Struct("<4sHHHHHIIIHH")
_ENTRY: Final = struct.Struct("<4sHHHHHHIIIHHHHHII")
_END: Final = struct.Struct("<4sHHHHIIH")
_END_64: Final = struct.Struct("<4sQHHIIQQQQ")
_LOCATOR_64: Final = struct.Struct("<4sIQI")
_STORED, _DEFLATED = 0, 8
_ENCRYPTED: Final = 0x2041
"""Bits 0 (encrypted), 6 (strongly), 13 (a directory that is)."""
_STREAMED, _UTF8 = 0x0008, 0x0800
_UNIX: Final = (3, 19)
_ZIP64, _UNICODE_PATH, _AES = 0x0001, 0x7075, 0x9901
_LARGE: Final = 0xFFFFFFFF
_FREE: Final = 1024 * 1024
"""What a member may unpack to, whatever its ratio."""

_LEADS: Final = re.compile(
    r"[. ]*|(?:con|prn|aux|nul|(?:com|lpt)[0-9\u00b9\u00b2\u00b3]|conin\$|conout\$)[ ]*(?:\..*)?",
    re.IGNORECASE,
)
"""A step of a name that is none: empty, here, up (Windows drops dots and spaces at its end), or a device of
Windows.
"""

ARCHIVES: Final = (
    (0, b"PK\x03\x04"), (0, b"PK\x05\x06"), (0, b"\x1f\x8b\x08"), (0, b"7z\xbc\xaf\x27\x1c"),
    (0, b"Rar!\x1a\x07"), (0, b"\xfd7zXZ\0"), (0, b"BZh"), (0, b"MSCF"),
    (0, b"\x28\xb5\x2f\xfd"), (0, b"LZIP"), (257, b"ustar"),
)  # fmt: skip
"""Where the mark of each form of archive stands in its head."""
HEAD: Final = 512


@dataclass(frozen=True, slots=True)
class Member:
    """What the directory says of one."""

    name: str
    raw: bytes
    flags: int
    method: int
    crc: int
    packed: int
    size: int
    offset: int


def directory(reader: Reader, limits: Limits) -> tuple[Member, ...]:
    """The members in the order of the file, each with a name that leads nowhere else. Raises Hostile."""
    if reader.size < _END.size:
        raise Hostile("truncated", "Its directory is missing.")
    count, size, start = _end(reader)
    if count > limits.entries:
        raise Hostile("too_many_members", f"It says {count:,}; {limits.entries:,} are accepted.")
    reader.seek(start)
    found = [_entry(reader) for _ in range(count)]
    if reader.at != start + size:
        raise Hostile("hidden", "Its directory is not as long as it says.")
    _names(found)
    return tuple(sorted(found, key=lambda member: member.offset))


def opened(
    reader: Reader, members: tuple[Member, ...], limits: Limits
) -> Iterator[tuple[Member, Iterator[bytes]]]:
    """Each member with its content, block by block; what is left of one is read before the next. Raises
    Hostile.
    """
    total = at = 0
    _, _, start = _end(reader)
    for number, member in enumerate(members):
        if member.offset != at:
            raise Hostile("hidden", f"Something lies before its member {shown(member)}.")
        reader.seek(at)
        _header(reader, member)
        at = reader.at + member.packed
        content = _Content(reader, member, limits, total)
        blocks = content.blocks()
        yield member, blocks
        for _ in blocks:
            pass
        total += content.size
        follows = members[number + 1].offset if number + 1 < len(members) else start
        at = _described(reader, member, at, follows)
    if at != start:
        raise Hostile("hidden", "Something lies before its directory.")


def head_of(blocks: Iterator[bytes]) -> bytes:
    """What a member begins with, however little of it is unpacked at once."""
    head = b""
    while len(head) < HEAD and (block := next(blocks, b"")):
        head += block
    return head[:HEAD]


def nested(head: bytes) -> bool:
    """Whether a member that begins so is an archive."""
    return any(head[at : at + len(mark)] == mark for at, mark in ARCHIVES)


def shown(member: Member) -> str:
    """A member's name as a person may be shown it."""
    return repr(member.name[:80])


# ---- the directory (4.3.12 to 4.3.16) --------------------------------------------------------------------


def _end(reader: Reader) -> tuple[int, int, int]:
    """How many members, the directory's size and where it begins; it ends where its end begins."""
    at = reader.size - _END.size
    reader.seek(at)
    mark, disk, first, here, count, size, start, comment = _END.unpack(reader.exactly(_END.size))
    if mark != b"PK\x05\x06" or comment:
        raise Hostile("trailing", "It does not end where its directory ends.")
    if at >= _LOCATOR_64.size:
        reader.seek(at - _LOCATOR_64.size)
        mark, _, where, _ = _LOCATOR_64.unpack(reader.exactly(_LOCATOR_64.size))
        if mark == b"PK\x06\x07":
            return _end_64(reader, at, where, (here, count, size, start))
    if disk or first or here != count:
        raise Hostile("unreadable", "It is one part of several.")
    if start + size != at:
        raise Hostile("hidden", "Its directory is not where it says.")
    return count, size, start


def _end_64(reader: Reader, end: int, at: int, short: tuple[int, int, int, int]) -> tuple[int, int, int]:
    """The same of an archive with more than 65,534 members, or one that was written as it came."""
    if at + _END_64.size != end - _LOCATOR_64.size:
        raise Hostile("hidden", "Its directory is not where it says.")
    reader.seek(at)
    mark, length, _, _, disk, first, here, count, size, start = _END_64.unpack(reader.exactly(_END_64.size))
    if mark != b"PK\x06\x06" or length != _END_64.size - 12 or disk or first or here != count:
        raise Hostile("unreadable", "The end of its directory is damaged.")
    for told, most, true in zip(
        short, (0xFFFF, 0xFFFF, _LARGE, _LARGE), (count, count, size, start), strict=True
    ):
        if told not in (most, true):
            raise Hostile("lying", "Its directory is described twice, and not the same.")
    if start + size != at:
        raise Hostile("hidden", "Its directory is not where it says.")
    return count, size, start


def _entry(reader: Reader) -> Member:
    (mark, made_by, _, flags, method, _, _, crc, packed, size, name_size, extra_size, comment, disk, _,
     attributes, offset) = _ENTRY.unpack(reader.exactly(_ENTRY.size))  # fmt: skip
    if mark != b"PK\x01\x02" or disk not in (0, 0xFFFF) or comment:
        raise Hostile("unreadable", "Its directory is damaged, or holds comments.")
    raw = reader.exactly(name_size)
    extra = _extra(reader.exactly(extra_size))
    size, packed, offset = _large(extra.get(_ZIP64, b""), (size, packed, offset))
    member = Member(_decoded(raw, flags), raw, flags, method, crc, packed, size, offset)
    if flags & _ENCRYPTED or _AES in extra:
        raise Hostile("encrypted", f"Its member {shown(member)} is.")
    if method not in (_STORED, _DEFLATED):
        raise Hostile(
            "unreadable", f"Its member {shown(member)} is packed in a way that is not read ({method})."
        )
    if made_by >> 8 in _UNIX and attributes >> 28 not in (0, 0o10, 0o04):  # neither a plain file nor a folder
        raise Hostile("link", f"Its member {shown(member)} is one.")
    return member


def _extra(data: bytes) -> dict[int, bytes]:
    """The fields beside a name (4.5), none of them twice; one that names the member again is not taken."""
    found: dict[int, bytes] = {}
    while len(data) >= 4:
        kind, size = struct.unpack_from("<HH", data)
        if kind in found or kind == _UNICODE_PATH or size > len(data) - 4:
            raise Hostile("lying", "A member is described twice.")
        found[kind] = data[4 : 4 + size]
        data = data[4 + size :]
    return found


def _large(extra: bytes, fields: tuple[int, ...]) -> tuple[int, ...]:
    """Those of the fields that are too large for their place (4.5.3)."""
    values = []
    for field in fields:
        if field == _LARGE and len(extra) >= 8:
            field, extra = int.from_bytes(extra[:8], "little"), extra[8:]  # noqa: PLW2901 - what it stands for
        values.append(field)
    return tuple(values)


def _decoded(raw: bytes, flags: int) -> str:
    try:
        return raw.decode("utf-8" if flags & _UTF8 else "cp437")
    except UnicodeDecodeError:
        raise Hostile("path", "A member's name is no text.") from None


def _names(members: list[Member]) -> None:
    """None leads out of the archive, and none comes twice, also for a system to which upper and lower case,
    two spellings of a letter, or names with and without a dot at their end are one.
    """
    seen: set[str] = set()
    for member in members:
        name = member.name
        steps = name.removesuffix("/").split("/")
        folded = unicodedata.normalize("NFC", "/".join(step.rstrip(". ") for step in steps).casefold())
        if not name.isprintable() or any(c in name for c in "\\:") or any(map(_LEADS.fullmatch, steps)):
            raise Hostile("path", f"It is {shown(member)}.")
        if folded in seen:
            raise Hostile("twice", f"It is {shown(member)}.")
        seen.add(folded)


# ---- the members (4.3.7 to 4.3.9) ------------------------------------------------------------------------


def _header(reader: Reader, member: Member) -> None:
    """The header before a member says what the directory says."""
    mark, _, flags, method, _, _, crc, packed, size, name, extra = _LOCAL.unpack(reader.exactly(_LOCAL.size))
    if mark != b"PK\x03\x04":
        raise Hostile("hidden", f"Its member {shown(member)} is not where its directory says.")
    raw = reader.exactly(name)
    size, packed = _large(_extra(reader.exactly(extra)).get(_ZIP64, b""), (size, packed))
    told = (crc, packed, size)
    true = (member.crc, member.packed, member.size)
    later = flags & _STREAMED and all(a in (b, 0, _LARGE) for a, b in zip(told, true, strict=True))
    if (raw, method) != (member.raw, member.method) or (flags ^ member.flags) & (
        _ENCRYPTED | _STREAMED | _UTF8
    ):
        raise Hostile("lying", f"Its member {shown(member)} is described twice, and not the same.")
    if told != true and not later:
        raise Hostile("lying", f"Its member {shown(member)} is described twice, and not the same.")


class _Content:
    """The bytes of one member, measured as they come."""

    def __init__(self, reader: Reader, member: Member, limits: Limits, before: int) -> None:
        self._reader = reader
        self._member = member
        self._limits = limits
        self._before = before
        self._packed = self._crc = 0
        self.size = 0

    def blocks(self) -> Iterator[bytes]:
        """Raises Hostile where a bound is passed, or at the end where a size or a sum is not what it should
        be.
        """
        for block in self._stored() if self._member.method == _STORED else self._inflated():
            self.size += len(block)
            self._crc = zlib.crc32(block, self._crc)
            self._bounded()
            yield block
        if (self.size, self._crc) != (self._member.size, self._member.crc):
            raise Hostile("lying", f"The size or the sum of its member {shown(self._member)}.")

    def _stored(self) -> Iterator[bytes]:
        for block in self._reader.blocks(self._member.packed):
            self._packed += len(block)
            yield block

    def _inflated(self) -> Iterator[bytes]:
        inflate = zlib.decompressobj(-15)
        for packed in self._reader.blocks(self._member.packed):
            self._packed += len(packed)
            while packed:
                if inflate.eof:
                    raise Hostile(
                        "hidden", f"Something follows the content of its member {shown(self._member)}."
                    )
                try:
                    plain = inflate.decompress(packed, 4 * BLOCK)
                except zlib.error:
                    raise Hostile(
                        "unreadable", f"Its member {shown(self._member)} does not unpack."
                    ) from None
                packed = inflate.unconsumed_tail or inflate.unused_data  # noqa: PLW2901 - what is left of the block
                if plain:
                    yield plain
        yield inflate.flush(BLOCK)
        if not inflate.eof:
            raise Hostile("truncated", f"Its member {shown(self._member)} ends too early.")

    def _bounded(self) -> None:
        if self.size > self._member.size:
            raise Hostile("lying", f"Its member {shown(self._member)} unpacks to more than it says.")
        if self._before + self.size > self._limits.unpacked:
            raise Hostile("bomb", f"More than {self._limits.unpacked:,} bytes.")
        if self.size > _FREE and self.size > self._limits.ratio * self._packed:
            raise Hostile(
                "bomb", f"Its member {shown(self._member)}: more than {self._limits.ratio} times its size."
            )


def _described(reader: Reader, member: Member, at: int, follows: int) -> int:
    """Behind a member that was written as it came, its sizes; with or without a mark, in 4 or 8 bytes
    (4.3.9).
    """
    if not member.flags & _STREAMED:
        return at
    reader.seek(at)
    data = reader.upto(min(max(follows - at, 0), 24))
    values = (member.crc, member.packed, member.size)
    for mark in (b"PK\x07\x08", b""):
        for form in ("<III", "<IQQ"):
            try:
                described = mark + struct.pack(form, *values)
            except struct.error:
                continue
            if data == described:
                return at + len(described)
    raise Hostile("hidden", f"Something lies behind its member {shown(member)}.")
