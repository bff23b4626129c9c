"""Files for tests, made byte by byte: ordinary ones in the shape of their producers, and hostile ones.

One place makes them all, so that what the structural checks are shown is what uploads, imports and the
attack vectors send. Everything is bytes; nothing is read from disk.
"""

from __future__ import annotations

import csv as tables
import io
import struct
import zlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

# ---- PNG (W3C PNG, third edition) ------------------------------------------------------------------------

SIGNATURE = b"\x89PNG\r\n\x1a\n"


def chunk(kind: bytes, data: bytes = b"") -> bytes:
    """One chunk, with its length and CRC."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def ihdr(width: int, height: int, depth: int = 8, colour: int = 2, interlace: int = 0) -> bytes:
    """The chunk that a PNG begins with."""
    return chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, interlace))


def idat(width: int, height: int, samples: int = 3) -> bytes:
    """The pixels of a picture without interlace, 8 bits a sample."""
    row = b"\0" + bytes((x * 7) & 255 for x in range(width * samples))
    return chunk(b"IDAT", zlib.compress(row * height, 6))


def png(
    width: int = 16, height: int = 12, *, before: bytes = b"", after: bytes = b"", tail: bytes = b""
) -> bytes:
    """A picture; with chunks `before` and `after` its pixels, and a `tail` behind its end."""
    return SIGNATURE + ihdr(width, height) + before + idat(width, height) + after + chunk(b"IEND") + tail


def picture(width: int = 16, height: int = 12, mode: str = "RGB") -> Any:
    """A Pillow image with a gradient in it."""
    from PIL import Image

    base = Image.linear_gradient("L").resize((width, height))
    if mode == "RGB":
        return Image.merge("RGB", (base, base.rotate(90), base.rotate(180)))
    return base.convert(mode)


def drawn(form: str, *, width: int = 16, height: int = 12, mode: str = "RGB", **options: Any) -> bytes:
    """A picture as Pillow writes it, in one of its forms (`"JPEG"`), with its options."""
    out = io.BytesIO()
    picture(width, height, mode).save(out, form, **options)
    return out.getvalue()


def jpeg(width: int = 16, height: int = 12, *, mode: str = "RGB", **options: Any) -> bytes:
    """A photograph, baseline unless the options say more."""
    return drawn("JPEG", width=width, height=height, mode=mode, **options)


def gif(width: int = 16, height: int = 12, **options: Any) -> bytes:
    """A GIF."""
    return drawn("GIF", width=width, height=height, mode="P", **options)


def webp(width: int = 16, height: int = 12, **options: Any) -> bytes:
    """A WebP picture."""
    return drawn("WEBP", width=width, height=height, **options)


# ---- PDF (ISO 32000-1) -----------------------------------------------------------------------------------


def pdf(
    text: str = "Certificate of conformity",
    *,
    version: str = "1.4",
    eol: bytes = b"\n",
    comment: bytes = b"%\xe2\xe3\xcf\xd3",
    catalog: str = "",
    objects: Sequence[bytes] = (),
    trailer: str = "",
    tail: bytes = b"\n",
) -> bytes:
    """A page with a line of text. `catalog` and `trailer` are entries of those dictionaries, `objects` are
    numbered from 6.
    """
    contents = f"BT /F1 18 Tf 72 720 Td ({text}) Tj ET".encode("latin-1")
    bodies = [
        f"<< /Type /Catalog /Pages 2 0 R {catalog} >>".encode("latin-1"),
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        (
            b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents 4 0 R"
            b" /Resources << /Font << /F1 5 0 R >> >> >>"
        ),
        b"<< /Length %d >>" % len(contents) + eol + b"stream\n" + contents + eol + b"endstream",
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
        *objects,
    ]
    out = f"%PDF-{version}".encode() + eol + (comment + eol if comment else b"")
    offsets = []
    for number, body in enumerate(bodies, 1):
        offsets.append(len(out))
        out += b"%d 0 obj" % number + eol + body + eol + b"endobj" + eol
    start = len(out)
    table = [b"0000000000 65535 f "] + [b"%010d 00000 n " % offset for offset in offsets]
    out += b"xref" + eol + b"0 %d" % len(table) + eol + b"".join(line[:-1] + b" \n" for line in table)
    entries = f"/Size {len(table)} /Root 1 0 R {trailer}"
    out += b"trailer" + eol + f"<< {entries} >>".encode("latin-1") + eol
    return out + b"startxref" + eol + str(start).encode() + eol + b"%%EOF" + tail


# ---- ZIP (PKWARE APPNOTE 6.3) ----------------------------------------------------------------------------


def deflated(data: bytes) -> bytes:
    """Raw deflate."""
    packer = zlib.compressobj(6, zlib.DEFLATED, -15)
    return packer.compress(data) + packer.flush()


def member(name: str | bytes, data: bytes | str = b"", **given: Any) -> dict[str, Any]:
    """A member of an archive; what is given replaces what is true (`size=1` lies in both headers)."""
    content = data.encode() if isinstance(data, str) else data
    method = given.pop("method", 8)
    packed = given.pop("packed", deflated(content) if method == 8 else content)
    described = {
        "name": name if isinstance(name, bytes) else name.encode(),
        "packed": packed,
        "method": method,
        "flags": 0,
        "crc": zlib.crc32(content),
        "size": len(content),
        "packed_size": len(packed),
        "made_by": 0x0014,
        "needed": 20,
        "attributes": 0,
        "extra": b"",
        "local_extra": b"",
        "descriptor": "",
        "local": {},
    }
    return described | given


def zip_of(
    members: Iterable[dict[str, Any]],
    *,
    prefix: bytes = b"",
    suffix: bytes = b"",
    comment: bytes = b"",
    gap: bytes = b"",
    large: dict[str, int] | None = None,
) -> bytes:
    """An archive of members as `member` describes them, with what stands before, between and after."""
    out, directory, count = bytearray(prefix), bytearray(), 0
    for each in members:
        local = each | each["local"]
        offset = each.get("offset", len(out))
        flags = local["flags"] | (8 if each["descriptor"] else 0)
        sizes = (local["crc"], local["packed_size"], local["size"])
        if each["descriptor"] and not each["local"]:
            sizes = (0, 0, 0)
        out += struct.pack("<IHHHHHIIIHH", 0x04034B50, local["needed"], flags, local["method"], 0, 0x5A21,
                           *sizes, len(local["name"]), len(local["local_extra"]))  # fmt: skip
        out += local["name"] + local["local_extra"] + each["packed"]
        if each["descriptor"]:
            form = {"signed": "<4sIII", "bare": "<0sIII", "signed64": "<4sIQQ", "bare64": "<0sIQQ"}
            out += struct.pack(
                form[each["descriptor"]], b"PK\x07\x08", each["crc"], each["packed_size"], each["size"]
            )
        out += gap
        directory += struct.pack("<IHHHHHHIIIHHHHHII", 0x02014B50, each["made_by"], each["needed"],
                                 each["flags"] | (8 if each["descriptor"] else 0), each["method"], 0, 0x5A21,
                                 each["crc"], each["packed_size"], each["size"], len(each["name"]),
                                 len(each["extra"]), 0, 0, 0, each["attributes"], offset)  # fmt: skip
        directory += each["name"] + each["extra"]
        count += 1
    end = struct.pack("<IHHHHIIH", 0x06054B50, 0, 0, min(count, 0xFFFF), min(count, 0xFFFF), len(directory),
                      len(out), len(comment))  # fmt: skip
    if count > 0xFFFE or large is not None:  # ZIP64 end of the central directory, and its locator
        said = {"count": count, "size": len(directory), "start": len(out), "length": 44} | (large or {})
        here = (said["length"], 45, 45, 0, 0, said["count"], said["count"], said["size"], said["start"])
        record = struct.pack("<IQHHIIQQQQ", 0x06064B50, *here)
        locator = struct.pack("<IIQI", 0x07064B50, 0, said.get("at", len(out) + len(directory)), 1)
        end = record + locator + end
    return bytes(out + directory + end + comment + suffix)


def zipped(members: Mapping[str, bytes | str], **given: Any) -> bytes:
    """An ordinary archive of names and contents."""
    return zip_of((member(name, data) for name, data in members.items()), **given)


# ---- Office Open XML (ECMA-376) --------------------------------------------------------------------------

DECLARED = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'
_MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_PACKAGE = "http://schemas.openxmlformats.org/package/2006"
_OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_SHEET = "application/vnd.openxmlformats-officedocument.spreadsheetml"
_WORD = "application/vnd.openxmlformats-officedocument.wordprocessingml"


def _column(index: int) -> str:
    name = ""
    while index >= 0:
        name = chr(65 + index % 26) + name
        index = index // 26 - 1
    return name


def _cell(row: int, column: int, value: object) -> str:
    place = f"{_column(column)}{row}"
    if value is None or value == "":
        return ""
    if isinstance(value, bool):
        return f'<c r="{place}" t="b"><v>{int(value)}</v></c>'
    if isinstance(value, int | float):
        return f'<c r="{place}"><v>{value}</v></c>'
    text = str(value).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return f'<c r="{place}" t="inlineStr"><is><t xml:space="preserve">{text}</t></is></c>'


def content_types(overrides: Mapping[str, str], more: str = "") -> str:
    """The part `[Content_Types].xml`."""
    parts = "".join(
        f'<Override PartName="/{name}" ContentType="{kind}"/>' for name, kind in overrides.items()
    )
    return (
        f'{DECLARED}<Types xmlns="{_PACKAGE}/content-types">'
        '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
        f'<Default Extension="xml" ContentType="application/xml"/>{more}{parts}</Types>'
    )


def relationships(*each: tuple[str, str, str] | tuple[str, str, str, str]) -> str:
    """A part `.rels`: id, type (the last word of the office's own), target and, for what is outside,
    `External`.
    """
    lines = "".join(
        f'<Relationship Id="{r[0]}" Type="{r[1] if ":" in r[1] else f"{_OFFICE}/{r[1]}"}" Target="{r[2]}"'
        + (f' TargetMode="{r[3]}"' if len(r) == 4 else "")
        + "/>"
        for r in each
    )
    return f'{DECLARED}<Relationships xmlns="{_PACKAGE}/relationships">{lines}</Relationships>'


def xlsx_parts(
    rows: Iterable[Sequence[object]] = (("number", "quantity"), ("L-1", 3)),
) -> dict[str, bytes | str]:
    """The parts of a workbook of one sheet, by their names; change or add to them, then `zipped(parts)`."""
    lines = "".join(
        f'<row r="{number}">{"".join(_cell(number, at, value) for at, value in enumerate(row))}</row>'
        for number, row in enumerate(rows, 1)
    )
    return {
        "[Content_Types].xml": content_types(
            {
                "xl/workbook.xml": f"{_SHEET}.sheet.main+xml",
                "xl/worksheets/sheet1.xml": f"{_SHEET}.worksheet+xml",
            }
        ),
        "_rels/.rels": relationships(("rId1", "officeDocument", "xl/workbook.xml")),
        "xl/workbook.xml": (
            f'{DECLARED}<workbook xmlns="{_MAIN}" xmlns:r="{_OFFICE}">'
            '<sheets><sheet name="Sheet1" sheetId="1" r:id="rId1"/></sheets></workbook>'
        ),
        "xl/_rels/workbook.xml.rels": relationships(("rId1", "worksheet", "worksheets/sheet1.xml")),
        "xl/worksheets/sheet1.xml": (
            f'{DECLARED}<worksheet xmlns="{_MAIN}"><sheetData>{lines}</sheetData></worksheet>'
        ),
    }


def xlsx(
    rows: Iterable[Sequence[object]] = (("number", "quantity"), ("L-1", 3)), **parts: bytes | str
) -> bytes:
    """A workbook of one sheet."""
    return zipped(xlsx_parts(rows) | parts)


def xlsx_with(parts: Mapping[str, bytes | str] | None = None, *, types: str = "") -> bytes:
    """A workbook with further parts, or others in the place of its own, and further content types."""
    members = xlsx_parts()
    if types:
        members["[Content_Types].xml"] = str(members["[Content_Types].xml"]).replace(
            "</Types>", f"{types}</Types>"
        )
    return zipped(members | dict(parts or {}))


def docx(text: str = "Work instruction") -> bytes:
    """A document of one paragraph."""
    space = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
    return zipped(
        {
            "[Content_Types].xml": content_types({"word/document.xml": f"{_WORD}.document.main+xml"}),
            "_rels/.rels": relationships(("rId1", "officeDocument", "word/document.xml")),
            "word/document.xml": (
                f'{DECLARED}<w:document xmlns:w="{space}"><w:body><w:p><w:r><w:t>{text}</w:t></w:r></w:p>'
                "</w:body></w:document>"
            ),
        }
    )


# ---- text ------------------------------------------------------------------------------------------------


def csv(
    rows: Iterable[Sequence[object]] = (("number", "quantity"), ("L-1", 3)),
    *,
    delimiter: str = ",",
    encoding: str = "utf-8",
    eol: str = "\r\n",
) -> bytes:
    """A table as text; `encoding` may be `utf-8-sig`, `utf-16` (with its mark) or `cp1252`."""
    out = io.StringIO()
    tables.writer(out, delimiter=delimiter, lineterminator=eol).writerows(rows)
    return out.getvalue().encode(encoding)


# ---- what inflates ---------------------------------------------------------------------------------------


def repeated(head: bytes, block: bytes, times: int) -> bytes:
    """Raw deflate of a head, and of a block again and again: the block is packed once, on its own, and
    repeated.
    """
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    begins = packer.compress(head) + packer.flush(zlib.Z_FULL_FLUSH)
    packed = packer.compress(block) + packer.flush(zlib.Z_FULL_FLUSH)
    return begins + packed * times + packer.flush()


def zip_bomb(megabytes: int = 512, *, declared: int | None = None) -> bytes:
    """A workbook under a hundredth of the size that its sheet inflates to; `declared` lies about it."""
    head = f'{DECLARED}<worksheet xmlns="{_MAIN}"><sheetData>'.encode()
    block = b"<row/>" * (1024 * 1024 // 6)
    packed = repeated(head, block, megabytes)
    size = len(head) + len(block) * megabytes if declared is None else declared
    sheet = member("xl/worksheets/sheet1.xml", packed=packed, size=size)
    parts = [member(name, data) for name, data in xlsx_parts().items() if name != "xl/worksheets/sheet1.xml"]
    return zip_of([*parts, sheet])


def many_members(count: int = 100_000) -> bytes:
    """A workbook with that many empty members."""
    parts = [member(name, data) for name, data in xlsx_parts().items()]
    empty = member("x", method=0)
    return zip_of([*parts, *(empty | {"name": b"xl/media/%d.png" % at} for at in range(count))])


# The corpora stand in a file of their own; they are named here so that one import is enough.
def hostile() -> list[Any]:
    """Every hostile file of the corpus: `Sample(id, kind, data, fault)`."""
    from tests.content import corpus

    return corpus.hostile()


def ordinary() -> list[Any]:
    """Every ordinary file of the corpus: `Sample(id, kind, data, "")`."""
    from tests.content import corpus

    return corpus.ordinary()
