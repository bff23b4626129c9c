"""The kinds of file that are known: one name for a file's extension, its types and the check of its
structure.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from types import MappingProxyType
from typing import BinaryIO, Final

from bylaw.content import archive, gif, jpeg, ooxml, pdf, png, text, webp
from bylaw.content.faults import Hostile
from bylaw.content.limits import Facts, Limits
from bylaw.content.polyglot import refuse_two_kinds
from bylaw.content.reading import Reader

Check = Callable[[BinaryIO, Limits], Facts]


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of file. Its name is its extension, so that a policy's list of kinds is the list of
    extensions.
    """

    name: str
    media_types: tuple[str, ...]
    """What a client may claim that it is; the first is its registered one."""
    check: Check
    seen_as: tuple[str, ...] = ()
    """What libmagic may call its head; empty: it is text, which is judged by what it may not be."""
    image: bool = False
    """Whether it is a picture, which can be drawn anew."""

    @property
    def extensions(self) -> tuple[str, ...]:
        """How its names end, without the dot."""
        return (self.name,)

    @property
    def media_type(self) -> str:
        """The registered type, to be served with."""
        return self.media_types[0]


def _archive(stream: BinaryIO, limits: Limits) -> Facts:
    """A ZIP archive of anything but archives. Raises Hostile."""
    reader = Reader(stream)
    refuse_two_kinds(reader, archive=True)
    members = archive.directory(reader, limits)
    for member, blocks in archive.opened(reader, members, limits):
        if archive.nested(archive.head_of(blocks)):
            raise Hostile("nested", f"It is {archive.shown(member)}.")
    return Facts(members=len(members), unpacked=sum(member.size for member in members))


_OFFICE: Final = "application/vnd.openxmlformats-officedocument."
_SHEET, _DOCUMENT = f"{_OFFICE}spreadsheetml.sheet", f"{_OFFICE}wordprocessingml.document"
_ZIP: Final = ("application/zip", "application/x-zip-compressed")
_JPEG: Final = ("image/jpeg", "image/pjpeg", "image/jpg")

KINDS: Final = MappingProxyType(
    {
        kind.name: kind
        for kind in (
            # Browsers on Windows say of a table what the registry says: that Excel opens it.
            Kind("csv", ("text/csv", "text/plain", "application/csv", "application/vnd.ms-excel",
                         "text/comma-separated-values", "text/x-csv", "application/x-csv"), text.check),
            Kind("txt", ("text/plain",), text.check),
            # libmagic tells a document by its first members, and calls one that begins otherwise an archive.
            Kind("xlsx", (_SHEET,), functools.partial(ooxml.check, kind="xlsx"), (_SHEET, *_ZIP)),
            Kind("docx", (_DOCUMENT,), functools.partial(ooxml.check, kind="docx"), (_DOCUMENT, *_ZIP)),
            Kind("zip", _ZIP, _archive, _ZIP),
            Kind("pdf", ("application/pdf", "application/x-pdf"), pdf.check, ("application/pdf",)),
            Kind("png", ("image/png", "image/x-png"), png.check, ("image/png", "image/apng"), image=True),
            Kind("jpg", _JPEG, jpeg.check, ("image/jpeg",), image=True),
            Kind("jpeg", _JPEG, jpeg.check, ("image/jpeg",), image=True),
            Kind("gif", ("image/gif",), gif.check, ("image/gif",), image=True),
            Kind("webp", ("image/webp",), webp.check, ("image/webp",), image=True),
        )
    }
)  # fmt: skip
"""By its name."""
