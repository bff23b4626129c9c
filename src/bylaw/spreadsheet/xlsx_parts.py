"""The members of an XLSX file around the rows (ECMA-376): as few as every spreadsheet program needs."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Final
from xml.sax.saxutils import quoteattr

_HEAD: Final = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'
_MAIN: Final = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_RELATIONS: Final = "http://schemas.openxmlformats.org/package/2006/relationships"
_OFFICE: Final = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_TYPES: Final = "http://schemas.openxmlformats.org/package/2006/content-types"
_KIND: Final = "application/vnd.openxmlformats-officedocument.spreadsheetml"
_NO_NAME: Final = re.compile(r"[\[\]:*?/\\\x00-\x1f\ud800-\udfff\ufffe\uffff]")
_LONGEST_NAME: Final = 31
_NARROWEST, _WIDEST = 10, 40

CLOSING: Final = "</sheetData></worksheet>"

_STYLES: Final = (
    f'{_HEAD}<styleSheet xmlns="{_MAIN}"><numFmts count="3">'
    '<numFmt numFmtId="164" formatCode="yyyy\\-mm\\-dd"/>'
    '<numFmt numFmtId="165" formatCode="yyyy\\-mm\\-dd\\ hh:mm:ss"/>'
    '<numFmt numFmtId="166" formatCode="[h]:mm:ss"/></numFmts>'
    '<fonts count="2"><font><sz val="11"/><name val="Calibri"/></font>'
    '<font><b/><sz val="11"/><name val="Calibri"/></font></fonts>'
    '<fills count="2"><fill><patternFill patternType="none"/></fill>'
    '<fill><patternFill patternType="gray125"/></fill></fills>'
    '<borders count="1"><border><left/><right/><top/><bottom/><diagonal/></border></borders>'
    '<cellStyleXfs count="1"><xf numFmtId="0" fontId="0" fillId="0" borderId="0"/></cellStyleXfs>'
    '<cellXfs count="7"><xf numFmtId="0" fontId="0" fillId="0" borderId="0" xfId="0"/>'
    + "".join(
        f'<xf numFmtId="{form}" fontId="{font}" fillId="0" borderId="0" xfId="0" applyNumberFormat="1"'
        f"{' applyFont=' + quoteattr('1') if font else ''}/>"
        for form, font in ((49, 0), (164, 0), (165, 0), (21, 0), (166, 0), (49, 1))
    )
    + '</cellXfs><cellStyles count="1"><cellStyle name="Normal" xfId="0" builtinId="0"/></cellStyles>'
    "</styleSheet>"
)
"""The styles of `xlsx_writing`: number, text, day, moment, time, span, heading."""


def member(number: int) -> str:
    """The name of a sheet's member."""
    return f"xl/worksheets/sheet{number}.xml"


def sheet_name(title: str, number: int) -> str:
    """The name of a sheet as spreadsheet programs accept it."""
    after = f" ({number})" if number > 1 else ""
    plain = _NO_NAME.sub(" ", title).strip(" '")[: _LONGEST_NAME - len(after)].strip(" '")
    return (plain or "Table") + after


def opening(columns: Sequence[str]) -> str:
    """What stands before the rows of a sheet: the headings stay where they are, the columns are readable."""
    widths = "".join(
        f'<col min="{number}" max="{number}" width="{min(max(len(heading) + 2, _NARROWEST), _WIDEST)}" '
        'customWidth="1"/>'
        for number, heading in enumerate(columns, 1)
    )
    return (
        f'{_HEAD}<worksheet xmlns="{_MAIN}"><sheetViews><sheetView workbookViewId="0">'
        '<pane ySplit="1" topLeftCell="A2" activePane="bottomLeft" state="frozen"/></sheetView></sheetViews>'
        f"{f'<cols>{widths}</cols>' if columns else ''}<sheetData>"
    )


def around(names: Sequence[str]) -> Iterator[tuple[str, str]]:
    """The other members and their text, for sheets of these names."""
    numbers = range(1, len(names) + 1)
    yield (
        "[Content_Types].xml",
        f'{_HEAD}<Types xmlns="{_TYPES}">'
        '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
        '<Default Extension="xml" ContentType="application/xml"/>'
        f'<Override PartName="/xl/workbook.xml" ContentType="{_KIND}.sheet.main+xml"/>'
        f'<Override PartName="/xl/styles.xml" ContentType="{_KIND}.styles+xml"/>'
        + "".join(
            f'<Override PartName="/{member(number)}" ContentType="{_KIND}.worksheet+xml"/>'
            for number in numbers
        )
        + "</Types>",
    )
    yield "_rels/.rels", _relations([("rId1", "officeDocument", "xl/workbook.xml")])
    yield (
        "xl/workbook.xml",
        f'{_HEAD}<workbook xmlns="{_MAIN}" xmlns:r="{_OFFICE}"><sheets>'
        + "".join(
            f'<sheet name={quoteattr(name)} sheetId="{number}" r:id="rId{number}"/>'
            for number, name in zip(numbers, names, strict=True)
        )
        + "</sheets></workbook>",
    )
    sheets = [(f"rId{number}", "worksheet", f"worksheets/sheet{number}.xml") for number in numbers]
    styles = (f"rId{len(names) + 1}", "styles", "styles.xml")
    yield "xl/_rels/workbook.xml.rels", _relations([*sheets, styles])
    yield "xl/styles.xml", _STYLES


def _relations(named: Sequence[tuple[str, str, str]]) -> str:
    made = "".join(
        f'<Relationship Id="{key}" Type="{_OFFICE}/{kind}" Target="{target}"/>' for key, kind, target in named
    )
    return f'{_HEAD}<Relationships xmlns="{_RELATIONS}">{made}</Relationships>'
