"""Office Open XML (xlsx, docx): an archive whose parts are what its list says, and none of which runs or
draws in.

ECMA-376 part 2: `[Content_Types].xml` says what each part is, the relationships which belongs to which.
Refused: macros and sheets of them, ActiveX, OLE and embedded files, links to other workbooks (DDE goes
through them), data connections and queries, templates and pictures from elsewhere, add-ins. Links that a
person follows are let be.

What it does not do: formulas, fields and the pictures inside are not judged; whoever reads cells reads
values.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import BinaryIO, Final

from bylaw.content import archive, xml
from bylaw.content.archive import Member
from bylaw.content.faults import Hostile
from bylaw.content.limits import Facts, Limits
from bylaw.content.polyglot import refuse_two_kinds
from bylaw.content.reading import Reader

_TYPES, _ROOT = "[Content_Types].xml", "_rels/.rels"
_OFFICE: Final = "application/vnd.openxmlformats-officedocument."
MAIN: Final = MappingProxyType(
    {"xlsx": f"{_OFFICE}spreadsheetml.sheet.main+xml", "docx": f"{_OFFICE}wordprocessingml.document.main+xml"}
)
"""What the main part of each kind is, by its own words."""

_NAMES: Final = (
    ("macro", re.compile(r"vbaproject|vbadata|macrosheets/|dialogsheets/|customui")),
    ("embedded", re.compile(r"embeddings/|activex|oleobject|afchunk")),
    (
        "external",
        re.compile(
            r"externallinks/|(^|/)connections\.xml$|querytables/|webextensions/|attachedtoolbars|"
            r"rdrichvaluewebimage"  # fetched when the document is opened, by what looks like a link
        ),
    ),
)
_CONTENT_TYPES: Final = (
    ("macro", re.compile(r"macro|vba|dialogsheet|attachedtoolbars")),
    ("embedded", re.compile(r"oleobject|activex|x-msdownload|\bhtml\b|javascript")),
    ("external", re.compile(r"externallink|connections|querytable|webextension")),
)
_RELATIONSHIPS: Final = (
    ("macro", re.compile(r"vbaproject|vbadata|macrosheet|dialogsheet|attachedtoolbars|ui/extensibility$")),
    ("embedded", re.compile(r"/(oleobject|package|control|activexcontrol\w*|afchunk)$")),
    ("external", re.compile(r"/(externallink\w*|connections|querytable|webextension\w*)$")),
    ("external", re.compile(r"/(attachedtemplate|subdocument|frame)$")),
)  # fmt: skip
_XML: Final = re.compile(r"\.(xml|rels|vml|svg)$")
_BINARY: Final = re.compile(r"\.(png|jpe?g|gif|bmp|tiff?|emf|wmf|wdp|ico|bin|fntdata|odttf|ttf|thmx)$")
OLE: Final = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_PROGRAMS: Final = (b"MZ", b"\x7fELF", b"#!", b"%PDF-", b"\xca\xfe\xba\xbe")


def check(stream: BinaryIO, limits: Limits, kind: str) -> Facts:
    """Walk the archive, and read what its parts are and what they belong to. Raises Hostile."""
    reader = Reader(stream)
    refuse_two_kinds(reader, archive=True)
    members = archive.directory(reader, limits)
    names = {member.name.casefold() for member in members}
    if _TYPES.casefold() not in names or _ROOT not in names:
        raise Hostile("disagrees", "It is an archive, but no document.")
    for member in members:
        _refuse(_NAMES, member.name.casefold(), archive.shown(member))
    package = _Package(kind, names)
    unpacked = 0
    for member, blocks in archive.opened(reader, members, limits):
        _part(package, member, blocks)
        unpacked += member.size
    package.complete()
    return Facts(members=len(members), unpacked=unpacked)


def _refuse(patterns: Iterable[tuple[str, re.Pattern[str]]], text: str, what: str) -> None:
    for code, pattern in patterns:
        if pattern.search(text):
            raise Hostile(code, f"It is {what}.")


class _Package:
    """What the parts say of each other."""

    def __init__(self, kind: str, names: set[str]) -> None:
        self._kind = kind
        self._names = names
        self._types: dict[str, str] = {}
        self._main = ""

    def content_type(self, element: str, attributes: Mapping[str, str]) -> None:
        """An element of the list of types (part 2, 10.1.2)."""
        kind = attributes.get("ContentType", "").casefold()
        part = attributes.get("PartName", "").casefold().lstrip("/")
        _refuse(_CONTENT_TYPES, kind, f"a part of the type {kind[:100]!r}")
        if kind.endswith("xml") and not _XML.search(part or f".{attributes.get('Extension', '').casefold()}"):
            raise Hostile("lying", f"A part that is XML has another name: {part[:80]!r}.")
        if element.endswith("}Override"):
            if part in self._types:
                raise Hostile("twice", f"It is {part[:80]!r}.")
            self._types[part] = kind

    def relationship(self, source: str, attributes: Mapping[str, str]) -> None:
        """An element of the relationships of a part (part 2, 9.3)."""
        kind = attributes.get("Type", "").strip().casefold()
        what = f"a relationship of the type {kind[-60:]!r}"
        _refuse(_RELATIONSHIPS, kind, what)
        outside = attributes.get("TargetMode", "").strip().casefold() == "external"
        if outside and not kind.endswith("/hyperlink"):
            raise Hostile("external", f"It is {what}.")
        if source == _ROOT and kind.endswith("/officedocument"):
            if self._main:
                raise Hostile("twice", "It is the main part.")
            self._main = attributes.get("Target", "").casefold().lstrip("/")

    def complete(self) -> None:
        """The main part is there, and of the kind that the file says it is. Raises Hostile."""
        if self._types.get(self._main) != MAIN[self._kind]:
            raise Hostile("disagrees", f"Its main part is not one of {self._kind}.")
        if self._main not in self._names:
            raise Hostile("truncated", "Its main part is missing.")


def _part(package: _Package, member: Member, blocks: Iterator[bytes]) -> None:
    """One part, by what its name says that it is."""
    name = member.name.casefold()
    where = archive.shown(member)
    if name == _TYPES.casefold():
        xml.elements(blocks, where, package.content_type)
    elif name.endswith(".rels"):
        xml.elements(blocks, where, lambda element, attributes: package.relationship(name, attributes))
    elif _XML.search(name):
        xml.prologue(blocks, where)
    elif not name.endswith("/"):
        _refuse_other(name, where, blocks)
    elif member.size:
        raise Hostile("hidden", f"The folder {where} holds something.")


def _refuse_other(name: str, where: str, blocks: Iterator[bytes]) -> None:
    """Pictures, fonts, printers' settings: neither an archive nor a document nor a program."""
    head = archive.head_of(blocks)
    if archive.nested(head):
        raise Hostile("nested", f"It is {where}.")
    if head.startswith((OLE, *_PROGRAMS)) or not _BINARY.search(name):
        raise Hostile("embedded", f"It is {where}.")
