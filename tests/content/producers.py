"""Ordinary files in the exact shape of many producers: every one of them must be taken."""

from __future__ import annotations

import base64
import functools
import io
import struct
import sysconfig
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.content import making as m
from tests.content.hostile_documents import object_stream
from tests.content.hostile_pictures import apng, several
from tests.content.samples import Sample

FILES = Path(__file__).parent / "files"


def samples() -> Iterator[Sample]:
    """All of them."""
    yield from _pngs()
    yield from _photographs()
    yield from _moving()
    yield from _pdfs()
    yield from _workbooks()
    yield from _tables()
    yield from _found()


def _pillow(name: str, kind: str, form: str, **options: Any) -> Sample:
    return Sample(name, kind, functools.partial(m.drawn, form, **options))


def exif() -> Any:
    """What a camera says of a photograph: turned on its side, where it was taken, with what."""
    from PIL import Image

    tags = Image.Exif()
    tags[0x0112], tags[0x010F], tags[0x0110] = 6, "Maker", "Model"
    tags.get_ifd(0x8825)[1] = "N"
    return tags


def profile() -> bytes:
    """A colour profile."""
    from PIL import ImageCms

    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def _pngs() -> Iterator[Sample]:
    for mode in ("RGB", "RGBA", "L", "LA", "P", "1", "I;16"):
        yield _pillow(f"png-{mode}", "png", "PNG", mode=mode)
    yield _pillow("png-stored", "png", "PNG", compress_level=0)
    yield _pillow("png-best", "png", "PNG", optimize=True, dpi=(300, 300))
    yield _pillow("png-large", "png", "PNG", width=900, height=700)
    yield _pillow("png-transparent", "png", "PNG", mode="P", transparency=0)
    yield Sample("png-profile", "png", lambda: m.drawn("PNG", icc_profile=profile(), exif=exif()))
    yield Sample("png-texts", "png", lambda: m.png(before=_texts()))
    yield Sample("png-pieces", "png", _in_pieces)
    yield Sample("png-interlaced", "png", _interlaced)
    yield Sample(
        "png-private",
        "png",
        lambda: m.png(before=m.chunk(b"prVW", bytes(5000)), after=m.chunk(b"iDOT", b"x")),
    )
    yield Sample("png-moving", "png", lambda: apng(3))


def _texts() -> bytes:
    """What GIMP, ImageMagick and Photoshop say of themselves."""
    xmp = b"XML:com.adobe.xmp\0\0\0\0\0" + b'<?xpacket begin=""?><x:xmpmeta xmlns:x="adobe:ns:meta/"/>'
    packed = zlib.compress("Werkstück <3 & mehr".encode() * 50)
    return (
        m.chunk(b"gAMA", struct.pack(">I", 45455))
        + m.chunk(b"pHYs", struct.pack(">IIB", 2835, 2835, 1))
        + m.chunk(b"tIME", struct.pack(">HBBBBB", 2024, 1, 2, 3, 4, 5))
        + m.chunk(b"tEXt", b"Software\0Made with GIMP")
        + m.chunk(b"zTXt", b"Comment\0\0" + packed)
        + m.chunk(b"iTXt", b"Title\0\1\0de\0Titel\0" + packed)
        + m.chunk(b"iTXt", xmp)
    )


def _in_pieces() -> bytes:
    """Pixels in many chunks, one of them empty, as some encoders write them."""
    rows = zlib.compress(bytes(12 * (1 + 48)), 0)
    pieces = b"".join(m.chunk(b"IDAT", rows[at : at + 100]) for at in range(0, len(rows), 100))
    return m.SIGNATURE + m.ihdr(16, 12) + pieces + m.chunk(b"IDAT") + m.chunk(b"IEND")


def _interlaced() -> bytes:
    """Seven passes over five columns and three rows (Adam7); some of them are empty."""
    sizes = ((1, 1), (1, 1), (2, 0), (1, 1), (3, 1), (2, 2), (5, 1))
    rows = b"".join((b"\0" + bytes(wide * 3)) * high for wide, high in sizes if wide)
    return m.SIGNATURE + m.ihdr(5, 3, interlace=1) + m.chunk(b"IDAT", zlib.compress(rows)) + m.chunk(b"IEND")


def _photographs() -> Iterator[Sample]:
    for mode in ("RGB", "L", "CMYK"):
        yield _pillow(f"jpg-{mode}", "jpg", "JPEG", mode=mode)
    variants: dict[str, dict[str, Any]] = {
        "progressive": {"progressive": True},
        "best": {"quality": 100, "subsampling": 0},
        "worst": {"quality": 1, "optimize": True},
        "restarts": {"restart_marker_rows": 1, "width": 200, "height": 200},
        "comment": {"comment": b"CREATOR: gd-jpeg v1.0, quality = 90"},
        "large": {"width": 1500, "height": 1000, "quality": 95},
    }
    for name, options in variants.items():
        yield _pillow(f"jpg-{name}", "jpg", "JPEG", **options)
    yield Sample("jpg-exif", "jpg", lambda: m.jpeg(exif=exif(), icc_profile=profile()))
    yield Sample("jpg-no-jfif", "jpg", lambda: m.jpeg()[:2] + m.jpeg()[20:])
    yield Sample("jpg-padded", "jpg", lambda: m.jpeg() + bytes(500))
    yield Sample("jpg-line", "jpg", lambda: m.jpeg() + b"\r\n")
    yield Sample("jpg-fill", "jpg", lambda: m.jpeg()[:2] + b"\xff\xff" + m.jpeg()[2:])
    yield Sample("jpg-several", "jpg", several)
    yield Sample("jpeg", "jpeg", m.jpeg)


def _moving() -> Iterator[Sample]:
    more = [m.picture(16, 12).rotate(90 * turn).convert("P") for turn in (1, 2, 3)]
    yield Sample("gif", "gif", m.gif)
    yield Sample("gif-moving", "gif", lambda: m.gif(save_all=True, append_images=more, duration=50, loop=0))
    yield Sample("gif-comment", "gif", lambda: m.gif(comment=b"Made with GIMP", interlace=1))
    variants: dict[str, dict[str, Any]] = {
        "lossy": {},
        "lossless": {"lossless": True},
        "best": {"quality": 100, "method": 6},
    }
    for name, options in variants.items():
        yield _pillow(f"webp-{name}", "webp", "WEBP", **options)
    yield _pillow("webp-alpha", "webp", "WEBP", mode="RGBA")
    yield Sample("webp-exif", "webp", lambda: m.webp(exif=exif(), icc_profile=profile()))
    frames = [m.picture().rotate(90), m.picture().rotate(180)]
    yield Sample("webp-moving", "webp", lambda: m.webp(save_all=True, append_images=frames, duration=50))


# ---- PDF -------------------------------------------------------------------------------------------------


def _pdfs() -> Iterator[Sample]:
    link = b"<< /Type /Annot /Subtype /Link /A << /S /URI /URI (https://host/Web/JavaScript/Launch) >> >>"
    field = b"<< /FT /Tx /T (name) /V (/S of a size) /Subtype /Widget >>"
    for name, make in (
        ("plain", m.pdf),
        ("crlf", lambda: m.pdf(eol=b"\r\n", tail=b"\r\n")),
        (
            "cr",
            lambda: (
                m.pdf(eol=b"\r", tail=b"\r")
                .replace(b"stream\n", b"stream\r\n")
                .replace(b"startxref\r", b"startxref\r")
            ),
        ),
        ("no-line", lambda: m.pdf(tail=b"")),
        ("lines", lambda: m.pdf(tail=b"\n\n\r\n \0")),
        ("no-comment", lambda: m.pdf(comment=b"")),
        ("1.0", lambda: m.pdf(version="1.0")),
        ("1.7", lambda: m.pdf(version="1.7")),
        ("2.0", lambda: m.pdf(version="2.0")),
        ("opens-at", lambda: m.pdf(catalog="/OpenAction [3 0 R /XYZ null null 0] /PageMode /UseOutlines")),
        ("goes-to", lambda: m.pdf(catalog="/OpenAction << /S /GoTo /D [3 0 R /Fit] >>")),
        ("next-page", lambda: m.pdf(objects=[b"<< /S /Named /N /NextPage >>"])),
        ("links", lambda: m.pdf(objects=[link])),
        ("form", lambda: m.pdf(catalog="/AcroForm << /Fields [6 0 R] /DA (/F1 0 Tf) >>", objects=[field])),
        ("says-so", lambda: m.pdf("Neither /JavaScript nor /Launch nor /Encrypt")),
        ("metadata", lambda: m.pdf(catalog="/Metadata 6 0 R /Lang (de-DE)", objects=[_xmp()])),
        ("packed", lambda: m.pdf(objects=[object_stream(b"<< /Type /Outlines /First 7 0 R /Count 1 >> ")])),
        ("random", lambda: m.pdf(objects=[_noise()])),
        ("updated", _updated),
        ("linearized", _linearized),
        ("table-as-stream", _table_as_stream),
    ):
        yield Sample(f"pdf-{name}", "pdf", make)


def _xmp() -> bytes:
    xmp = b'<?xpacket begin=""?><x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF/></x:xmpmeta><?xpacket end="w"?>'
    return b"<< /Type /Metadata /Subtype /XML /Length %d >>\nstream\n" % len(xmp) + xmp + b"\nendstream"


def _noise() -> bytes:
    """A picture's worth of bytes that are hard to tell from anything."""
    data = b"".join(zlib.compress(bytes((n & 255, n >> 8)) * n, 1) for n in range(400))
    return (
        b"<< /Subtype /Image /Filter /DCTDecode /Length %d >>\nstream\r\n" % len(data)
        + data
        + b"\r\nendstream"
    )


def _updated() -> bytes:
    """An incremental update, as a signature or a note makes it (7.5.6)."""
    first = m.pdf()
    before = first.rsplit(b"startxref\n", 1)[1].split(b"\n")[0]
    at = len(first)
    body = b"6 0 obj\n<< /Type /Sig /Contents <00> >>\nendobj\n"
    table = b"xref\n6 1\n%010d 00000 n \n" % at
    end = b"trailer\n<< /Size 7 /Root 1 0 R /Prev %s >>\nstartxref\n%d\n%%%%EOF\n" % (before, at + len(body))
    return first + body + table + end


def _linearized() -> bytes:
    """The first page first, with a table of its own whose startxref is 0 (annex F)."""
    hints = b"<< /Linearized 1 /L 9999 /H [1 2] /O 3 /E 1 /N 1 /T 1 >>"
    head = b"%PDF-1.5\n%\xe2\xe3\xcf\xd3\n1 0 obj\n" + hints + b"\nendobj\n"
    first = (
        b"xref\n2 1\n0000000100 00000 n \ntrailer\n<< /Size 3 /Root 2 0 R /Prev 1 >>\nstartxref\n0\n%%EOF\n"
    )
    rest = b"2 0 obj\n<< /Type /Catalog >>\nendobj\n"
    table = b"xref\n0 1\n0000000000 65535 f \ntrailer\n<< /Size 2 >>\nstartxref\n%d\n%%%%EOF\n" % len(head)
    return head + first + rest + table


def _table_as_stream() -> bytes:
    """A cross-reference stream in the place of a table (7.5.8), as most write since 1.5."""
    head = b"%PDF-1.5\n%\xbf\xf7\xa2\xfe\n"
    objects = b"1 0 obj\n" + object_stream(b"<< /Type /Catalog /Pages 12 0 R >> ") + b"\nendobj\n"
    table = zlib.compress(bytes(30))
    entries = b"<< /Type /XRef /Size 13 /W [1 2 1] /Root 10 0 R /Filter /FlateDecode /Length %d" % len(table)
    entries += b" /DecodeParms << /Columns 4 /Predictor 12 >> >>"
    stream = b"2 0 obj\n" + entries + b"\nstream\n" + table + b"\nendstream\nendobj\n"
    return head + objects + stream + b"startxref\n%d\n%%%%EOF\n" % (len(head) + len(objects))


# ---- workbooks -------------------------------------------------------------------------------------------


def _workbooks() -> Iterator[Sample]:
    parts = m.xlsx_parts([("number", "quantity"), *((f"L-{n}", n) for n in range(300))])
    listed = [m.member(name, data) for name, data in parts.items()]
    excel = {"made_by": 0x2D, "flags": 6, "local_extra": struct.pack("<HHI", 0xA220, 244, 0) + bytes(240)}
    streamed = {"descriptor": "signed", "flags": 0x0800}
    utf16 = '<?xml version="1.0" encoding="UTF-16"?><p/>'.encode("utf-16")
    strict = "http://purl.oclc.org/ooxml/officeDocument/relationships/officeDocument"
    folder = m.member("xl/", method=0, made_by=0x0314, attributes=0o40755 << 16 | 16)
    for name, make in (
        ("plain", m.xlsx),
        ("large-end", lambda: m.zip_of(listed, large={})),
        # Excel: made for FAT, "super fast", room to grow in an extra field before the first parts.
        ("excel", lambda: m.zip_of(each | excel for each in listed)),
        # LibreOffice, Java and everything that writes as it goes: sizes behind the members, names in UTF-8.
        ("libreoffice", lambda: m.zip_of(each | streamed for each in listed)),
        ("google", lambda: m.zip_of(each | streamed | {"flags": 0x0808} for each in reversed(listed))),
        ("unsigned", lambda: m.zip_of(each | {"descriptor": "bare"} for each in listed)),
        ("poi", lambda: m.zip_of(map(_large, listed))),
        ("unix", lambda: m.zip_of([*(each | {"made_by": 0x031E, "attributes": 0o100644 << 16, **_times()}
                                     for each in listed), folder])),
        ("stored", lambda: m.zip_of(m.member(n, d, method=0) for n, d in parts.items())),
        ("openpyxl", _openpyxl),
        ("zipfile-stream", lambda: _streamed(parts)),
        ("rich", _rich),
        ("absolute", lambda: _rooted("officeDocument", "/xl/workbook.xml")),
        ("strict", lambda: _rooted(strict, "xl/workbook.xml")),
        ("utf16", lambda: m.xlsx_with({"docProps/app.xml": utf16})),
        ("many-rows", lambda: m.xlsx([("n", "same", 1.5)] * 20_000)),
    ):  # fmt: skip
        yield Sample(f"xlsx-{name}", "xlsx", make)
    yield Sample("docx", "docx", m.docx)
    yield Sample("zip", "zip", lambda: m.zipped({"folder/": "", "folder/a.txt": "x", "größe.txt": "y"}))
    yield Sample("zip-empty", "zip", lambda: m.zipped({}))


def _rooted(kind: str, target: str) -> bytes:
    """A workbook whose main part is named in another way."""
    return m.xlsx_with({"_rels/.rels": m.relationships(("r", kind, target))})


def _times() -> dict[str, bytes]:
    """When it was changed, longer before the member than in the directory (Info-ZIP)."""
    return {
        "extra": struct.pack("<HHBI", 0x5455, 5, 3, 0),
        "local_extra": struct.pack("<HHBII", 0x5455, 9, 3, 0, 0),
    }


def _large(each: dict[str, Any]) -> dict[str, Any]:
    """Sizes in eight bytes although four would do (Apache POI, streaming)."""
    sizes = struct.pack("<HHQQ", 1, 16, 0, 0)
    local = {
        "local_extra": sizes,
        "size": 0xFFFFFFFF,
        "packed_size": 0xFFFFFFFF,
        "crc": 0,
        "needed": 45,
        "flags": 8,
    }
    return each | {"descriptor": "signed64", "flags": 8, "local": local}


def _streamed(parts: dict[str, bytes | str]) -> bytes:
    """Written by zipfile into something that can't seek."""

    class Pipe(io.RawIOBase):
        def __init__(self) -> None:
            self.held = bytearray()

        def writable(self) -> bool:
            return True

        def write(self, data: Any) -> int:
            self.held += data
            return len(data)

    pipe = Pipe()
    with zipfile.ZipFile(pipe, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in parts.items():
            with archive.open(name, "w", force_zip64=name.endswith("rels")) as member:
                member.write(data.encode() if isinstance(data, str) else data)
    return bytes(pipe.held)


def _openpyxl() -> bytes:
    """Styles, a picture, a comment, a link, a formula."""
    import openpyxl
    from openpyxl.comments import Comment
    from openpyxl.drawing.image import Image
    from openpyxl.styles import Font

    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    sheet.append(["number", "quantity"])
    sheet.append(["L-1", 3])
    sheet["A1"].font = Font(bold=True)
    sheet["B2"].comment = Comment("checked", "someone")
    sheet["A2"].hyperlink = "https://host/lots/1"
    sheet["B3"] = "=SUM(B2:B2)"
    sheet.add_image(Image(io.BytesIO(m.png())), "D2")
    book.create_sheet("Zweites Blatt")
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def _rich() -> bytes:
    """What a workbook of a year holds: themes, strings, a printer's settings, pictures, custom data."""
    settings = "application/vnd.openxmlformats-officedocument.spreadsheetml.printerSettings"
    return m.xlsx_with(
        {
            "xl/theme/theme1.xml": m.DECLARED + "<a/>",
            "xl/sharedStrings.xml": "\ufeff<?xml version='1.0'?><!-- so --><sst/>",
            "xl/printerSettings/printerSettings1.bin": b"P\0r\0i\0n\0t\0",
            "xl/media/image1.png": m.png(),
            "xl/media/image2.emf": b"\x01\0\0\0",
            "xl/drawings/vmlDrawing1.vml": '<xml xmlns:v="urn:schemas-microsoft-com:vml"/>',
            "customXml/item1.xml": "<x/>",
            "docProps/core.xml": m.DECLARED + "<c/>",
            "xl/worksheets/_rels/sheet1.xml.rels": m.relationships(
                ("rId1", "hyperlink", "https://host/", "External"),
                ("rId2", "printerSettings", "../printerSettings/printerSettings1.bin"),
            ),
        },
        types=f'<Default Extension="bin" ContentType="{settings}"/>',
    )


# ---- tables ----------------------------------------------------------------------------------------------


def _tables() -> Iterator[Sample]:
    rows = (("Bezeichnung", "Menge", "Preis"), ("Größe 5 mm", "3", "1,50 €"), ("<b>fett</b>", "=1+1", "5'\""))
    for encoding in (
        "utf-8",
        "utf-8-sig",
        "utf-16",
        "utf-16-le",
        "utf-16-be",
        "cp1252",
        "cp1250",
        "iso-8859-15",
    ):
        yield Sample(
            f"csv-{encoding}", "csv", functools.partial(m.csv, rows, encoding=encoding, delimiter=";")
        )
    yield Sample("csv-tabs", "csv", lambda: m.csv(rows, delimiter="\t", eol="\n"))
    yield Sample("csv-old-mac", "csv", lambda: m.csv(rows, eol="\r"))
    for name, data in {
        "shift-jis": "部品,数量\nねじ,3\n".encode("cp932"),
        "cyrillic": "Деталь;Количество\nЩит;3\n".encode("cp1251"),
        "script-in-cell": b"name,note\nx,<script>alert(1)</script>\n",
        "php-in-cell": b"name,note\nx,<?php 1 ?>\n",
        "one-cell": b"x",
        "mail": b"From: a\nTo: b\n",
        "code": b"import,from,def\nint main(),x,y\n",
        "json": b"[1,2]\n",
        "bm": b"BM,MZ,PK\n1,2,3\n",
        "comment": b"# exported\r\n\r\na,b\r\n",
        "form-feed": b"a,b\n\x0c1,2\n",
    }.items():
        yield Sample(f"csv-{name}", "csv", functools.partial(bytes, data))
    yield Sample("txt", "txt", lambda: b"A work instruction.\n")


# ---- what others have made -------------------------------------------------------------------------------


def _decoded(path: Path) -> bytes:
    return base64.b64decode(path.read_bytes())


def _found() -> Iterator[Sample]:
    """Files of this repository made by other programs, and what Python's own tests bring where they are
    installed.
    """
    for path in sorted(FILES.glob("*.b64")):
        kind = path.stem.rsplit(".", 1)[1]
        yield Sample(path.stem, kind, functools.partial(_decoded, path))
    tests = Path(sysconfig.get_path("stdlib")) / "test"
    for kind in ("png", "jpg", "gif", "webp"):
        for path in sorted(tests.rglob(f"python*.{kind}")):
            yield Sample(f"python-{path.name}", kind, path.read_bytes)
