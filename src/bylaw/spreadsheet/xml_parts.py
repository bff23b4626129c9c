"""The members of an XLSX file, read as they are unpacked: no tree, no document type, no entity, no link.

openpyxl reads a sheet into a tree that grows with it, and all texts that cells share into a list without a
bound; here both are walked, in the memory of one row. defusedxml's parser refuses what XML can be turned
against its reader with (CWE-611, CWE-776).
"""

from __future__ import annotations

import struct
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, BinaryIO, Final, Protocol
from xml.parsers.expat import ExpatError

from bylaw.errors import MisuseError
from bylaw.spreadsheet.tables import Limits, Unreadable

_CHUNK: Final = 64 * 1024
_SILENT: Final = 16
"""Chunks in which nothing begins or ends: one name or value of a megabyte."""
_DEEPEST: Final = 64
"""Elements within one another; a sheet has some ten. Each costs memory until it ends, or for ever."""
_OLE: Final = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_ENCRYPTED: Final = 0x1


class Target(Protocol):
    """What looks at the elements of a member, by their names without a namespace."""

    def begin(self, name: str, attributes: Mapping[str, str]) -> None: ...
    def end(self, name: str) -> None: ...
    def text(self, data: str) -> None: ...


def archive(stream: BinaryIO, limits: Limits) -> zipfile.ZipFile:
    """The package, none of which has been unpacked. Raises Unreadable."""
    stream.seek(0)
    if stream.read(len(_OLE)) == _OLE:
        raise Unreadable(
            "The file is an old .xls or is protected by a password; save it as .xlsx without a password."
        )
    with unbroken():
        found = zipfile.ZipFile(stream)
        members = found.infolist()
    if len(members) > limits.entries or len({each.filename for each in members}) != len(members):
        raise Unreadable(f"The file has more than {limits.entries:,} members, or two of one name.")
    if any(each.flag_bits & _ENCRYPTED for each in members):
        raise Unreadable("The file is protected by a password; save it without one.")
    if any(each.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED) for each in members):
        raise Unreadable("The file is packed in a way that is not read here; save it as .xlsx.")
    if sum(each.file_size for each in members) > limits.unpacked:
        raise Unreadable(f"The file is larger than {limits.unpacked // 1024**2} MB when it is unpacked.")
    return found


def walked(package: zipfile.ZipFile, member: str, target: Target) -> Iterator[None]:
    """Have the target look at a member piece by piece. Raises Unreadable."""
    parser = _parser(target)
    with unbroken(), package.open(member) as stream:
        silent = parser.events = 0
        while chunk := stream.read(_CHUNK):
            before = parser.events
            parser.parse(chunk)
            silent = silent + 1 if parser.events == before else 0
            if silent > _SILENT:
                raise Unreadable("The file holds a name or a value of more than a megabyte.")
            yield
        parser.parse(b"", final=True)
        yield


def whole(package: zipfile.ZipFile, member: str, target: Target) -> None:
    """Have the target look at all of a member. Raises Unreadable."""
    for _ in walked(package, member, target):
        pass


@contextmanager
def unbroken() -> Iterator[None]:
    """What a broken package or broken XML raises, as Unreadable."""
    try:
        yield
    except ExpatError as error:
        raise Unreadable(f"The file holds XML that is not well-formed (line {error.lineno:,}).") from None
    except (zipfile.BadZipFile, zlib.error, struct.error, EOFError, OSError, KeyError, ValueError) as error:
        raise Unreadable("The file is no whole XLSX file; save it again as .xlsx.") from error
    except (NotImplementedError, RuntimeError) as error:
        raise Unreadable("The file is packed in a way that is not read here; save it as .xlsx.") from error


class _Parser:
    """defusedxml's parser, whose elements are told to the target directly."""

    def __init__(self, defused: Any, target: Target) -> None:
        self._expat = defused.parser
        self.events = self._depth = 0
        local: dict[str, str] = {}

        def named(name: str) -> str:
            if (found := local.get(name)) is None:
                found = name.rpartition("}")[2]
                if len(local) < 1_000:
                    local[name] = found
            return found

        def begin(name: str, attributes: dict[str, str]) -> None:
            self.events += 1
            self._depth += 1
            if self._depth > _DEEPEST:
                raise Unreadable("The file holds elements within elements without an end.")
            target.begin(named(name), attributes)

        def end(name: str) -> None:
            self._depth -= 1
            target.end(named(name))

        self._expat.ordered_attributes = False
        self._expat.StartElementHandler = begin
        self._expat.EndElementHandler = end
        self._expat.CharacterDataHandler = self._heard(target)

    def _heard(self, target: Target) -> Any:
        def text(data: str) -> None:
            self.events += 1
            target.text(data)

        return text

    def parse(self, chunk: bytes, *, final: bool = False) -> None:
        from defusedxml.common import DefusedXmlException

        try:
            self._expat.Parse(chunk, final)
        except DefusedXmlException:
            raise Unreadable("The file declares a document type or entities, which no table needs.") from None


def _parser(target: Target) -> _Parser:
    try:
        from defusedxml.ElementTree import DefusedXMLParser
    except ImportError:
        raise MisuseError('XLSX is read with openpyxl and defusedxml: pip install "bylaw[files]"') from None
    return _Parser(DefusedXMLParser(forbid_dtd=True), target)
