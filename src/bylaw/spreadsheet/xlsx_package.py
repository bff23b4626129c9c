"""What an XLSX file says about its sheets: names, which are hidden, formats of numbers, shared texts."""

from __future__ import annotations

import posixpath
import re
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from bylaw.spreadsheet import xml_parts
from bylaw.spreadsheet.tables import Limits, Unreadable

_ESCAPED: Final = re.compile(r"_x([0-9A-Fa-f]{4})_")
_OVERHEAD: Final = 8
"""What a text costs that has no character."""
_MOST_FORMATS: Final = 65_536
_MOST_LINKS: Final = 4_000
_LONGEST: Final = 255
"""Characters of a sheet's name, and of a format."""


@dataclass(frozen=True, slots=True)
class Listed:
    """A sheet as the workbook lists it."""

    name: str
    member: str
    hidden: bool


@dataclass
class Workbook:
    """What is known of a file before its rows are read."""

    sheets: list[Listed] = field(default_factory=list)
    since_1904: bool = False
    formats: list[str] = field(default_factory=list)
    """The format of numbers of each style that cells name."""
    strings: list[str] = field(default_factory=list)


def workbook(package: zipfile.ZipFile, limits: Limits) -> Workbook:
    """The workbook of a package. Raises Unreadable."""
    start = _one(_related(package, ""), "officeDocument")
    if not start:
        raise Unreadable("The file is no XLSX file: it names no workbook.")
    related = _related(package, start)
    listed = _Listed()
    xml_parts.whole(package, start, listed)
    found = Workbook(since_1904=listed.since_1904)
    sheets = {link.id: link.member for link in related if link.kind == "worksheet"}
    found.sheets = [Listed(n, sheets[i], hidden) for n, i, hidden in listed.sheets if i in sheets]
    if member := _one(related, "styles"):
        styles = _Styles()
        xml_parts.whole(package, member, styles)
        found.formats = styles.formats()
    if member := _one(related, "sharedStrings"):
        strings = _Strings(limits)
        xml_parts.whole(package, member, strings)
        found.strings = strings.found
    return found


def plain(text: str) -> str:
    """Text in which characters that XML cannot hold are written as `_x000D_` (ECMA-376, 22.9.2.19)."""
    return _ESCAPED.sub(_character, text) if "_x" in text else text


def _character(found: re.Match[str]) -> str:
    code = int(found[1], 16)
    return found[0] if 0xD800 <= code <= 0xDFFF else chr(code)


@dataclass(frozen=True, slots=True)
class _Link:
    id: str
    kind: str
    member: str


class _Links:
    """Members that a member names. What lies outside of the file is left out, and so never followed."""

    def __init__(self, package: zipfile.ZipFile, base: str) -> None:
        self._members = {name.lower(): name for name in package.namelist()}
        self._base = base
        self.found: list[_Link] = []

    def begin(self, name: str, attributes: Mapping[str, str]) -> None:
        if name != "Relationship" or attributes.get("TargetMode") == "External":
            return
        target = attributes.get("Target", "")
        member = posixpath.normpath(posixpath.join("/", posixpath.dirname(self._base), target)).lstrip("/")
        if found := self._members.get(
            member.lower()
        ):  # names of parts are alike in any case (ECMA-376, part 2)
            kind = attributes.get("Type", "").rpartition("/")[2]
            self.found.append(_Link(attributes.get("Id", ""), kind, found))
        if len(self.found) > _MOST_LINKS:
            raise Unreadable("The file names more parts than a spreadsheet program can have.")

    def end(self, name: str) -> None: ...

    def text(self, data: str) -> None: ...


def _related(package: zipfile.ZipFile, member: str) -> list[_Link]:
    folder, _, name = member.rpartition("/")
    links = _Links(package, member)
    xml_parts.whole(package, posixpath.join(folder, "_rels", f"{name}.rels"), links)
    return links.found


def _one(links: list[_Link], kind: str) -> str:
    return next((link.member for link in links if link.kind == kind), "")


class _Listed:
    def __init__(self) -> None:
        self.sheets: list[tuple[str, str, bool]] = []
        self.since_1904 = False

    def begin(self, name: str, attributes: Mapping[str, str]) -> None:
        if name == "sheet":
            key = next((v for k, v in attributes.items() if k.rpartition("}")[2] == "id" and "}" in k), "")
            hidden = attributes.get("state", "visible") != "visible"
            self.sheets.append((attributes.get("name", "")[:_LONGEST], key, hidden))
            if len(self.sheets) > _MOST_LINKS:
                raise Unreadable("The file has more sheets than a spreadsheet program can have.")
        elif name == "workbookPr":
            self.since_1904 = attributes.get("date1904", "0") in ("1", "true")

    def end(self, name: str) -> None: ...

    def text(self, data: str) -> None: ...


class _Styles:
    """Formats of numbers: those that the file declares, and which one each style of a cell has."""

    def __init__(self) -> None:
        self._declared: dict[int, str] = {}
        self._used: list[int] = []
        self._cells = False

    def begin(self, name: str, attributes: Mapping[str, str]) -> None:
        if name == "numFmt":
            self._declared[_whole(attributes.get("numFmtId"))] = attributes.get("formatCode", "")[:_LONGEST]
        elif name == "cellXfs":
            self._cells = True
        elif name == "xf" and self._cells:
            self._used.append(_whole(attributes.get("numFmtId")))
        if len(self._used) > _MOST_FORMATS or len(self._declared) > _MOST_FORMATS:
            raise Unreadable("The file has more styles than a spreadsheet program can have.")

    def end(self, name: str) -> None:
        if name == "cellXfs":
            self._cells = False

    def text(self, data: str) -> None: ...

    def formats(self) -> list[str]:
        from openpyxl.styles.numbers import BUILTIN_FORMATS

        return [self._declared.get(each) or BUILTIN_FORMATS.get(each, "General") for each in self._used]


def _whole(number: str | None) -> int:
    return int(number) if number and number.isascii() and number.isdigit() and len(number) < 10 else 0


class _Strings:
    """The texts that cells share, without the readings that Japanese ones have above them."""

    def __init__(self, limits: Limits) -> None:
        self.found: list[str] = []
        self._left = limits.strings
        self._longest = limits.cell
        self._pieces: list[str] = []
        self._length = 0
        self._text = self._aside = False

    def begin(self, name: str, attributes: Mapping[str, str]) -> None:
        if name == "si":
            self._pieces, self._length = [], 0
        elif name == "rPh":
            self._aside = True
        elif name == "t":
            self._text = not self._aside

    def end(self, name: str) -> None:
        if name == "t":
            self._text = False
        elif name == "rPh":
            self._aside = False
        elif name == "si":
            self._spend(_OVERHEAD)
            self.found.append(plain("".join(self._pieces)))

    def text(self, data: str) -> None:
        if self._text:
            self._spend(len(data))
            self._pieces.append(data)
            self._length += len(data)
            if self._length > self._longest:  # a text of millions of pieces is mostly pieces
                raise Unreadable(f"A cell is longer than {self._longest:,} characters.")

    def _spend(self, characters: int) -> None:
        self._left -= characters
        if self._left < 0:
            raise Unreadable("The texts that the file's cells share are too many; split the table.")
