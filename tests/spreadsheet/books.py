"""XLSX files as other programs write them, and as nobody's program does."""

from __future__ import annotations

import io
import zipfile

MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
PACKAGE = "http://schemas.openxmlformats.org/package/2006"


def book(rows: str, *, strings: str = "", styles: str = "", after: str = "", **members: str) -> io.BytesIO:
    """A workbook whose sheet Parts holds `rows`; `members` replace or add whole members (`xl_workbook_xml`
    is `xl/workbook.xml`, an empty one is left out)."""
    relations = f"{PACKAGE}/relationships"
    parts = {
        "[Content_Types].xml": f'<Types xmlns="{PACKAGE}/content-types"/>',
        "_rels/.rels": (
            f'<Relationships xmlns="{relations}"><Relationship Id="rId1" Type="{OFFICE}/officeDocument" '
            'Target="xl/workbook.xml"/></Relationships>'
        ),
        "xl/workbook.xml": (
            f'<workbook xmlns="{MAIN}" xmlns:r="{OFFICE}"><sheets>'
            '<sheet name="Parts" sheetId="1" r:id="rId1"/></sheets></workbook>'
        ),
        "xl/_rels/workbook.xml.rels": (
            f'<Relationships xmlns="{relations}">'
            f'<Relationship Id="rId1" Type="{OFFICE}/worksheet" Target="worksheets/sheet1.xml"/>'
            f'<Relationship Id="rId2" Type="{OFFICE}/sharedStrings" Target="/xl/sharedStrings.xml"/>'
            f'<Relationship Id="rId3" Type="{OFFICE}/styles" Target="styles.xml"/></Relationships>'
        ),
        "xl/worksheets/sheet1.xml": (
            f'<worksheet xmlns="{MAIN}"><sheetData>{rows}</sheetData>{after}</worksheet>'
        ),
        "xl/sharedStrings.xml": f'<sst xmlns="{MAIN}">{strings}</sst>',
        "xl/styles.xml": f'<styleSheet xmlns="{MAIN}">{styles}</styleSheet>',
    }
    for name, text in members.items():
        parts[name.replace("_xml", ".xml").replace("xl_", "xl/").replace("sheets_", "sheets/")] = text
    return packed({name: text for name, text in parts.items() if text})


def packed(members: dict[str, str | bytes]) -> io.BytesIO:
    """The members in a package."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as package:
        for name, data in members.items():
            package.writestr(name, data)
    out.seek(0)
    return out


def styled(*formats: str) -> str:
    """Styles of these formats, from 1."""
    declared = "".join(
        f'<numFmt numFmtId="{164 + n}" formatCode="{form}"/>' for n, form in enumerate(formats)
    )
    used = "".join(f'<xf numFmtId="{164 + number}"/>' for number in range(len(formats)))
    return f'<numFmts>{declared}</numFmts><cellXfs><xf numFmtId="0"/>{used}</cellXfs>'
