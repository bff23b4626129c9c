"""PDFs and workbooks that run, draw in, hide or unpack to something."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator

from tests.content import making as m
from tests.content.samples import Sample

SHEET = "application/vnd.openxmlformats-officedocument.spreadsheetml.worksheet+xml"
ROWS = b"/FlateDecode /DecodeParms << /Predictor 12 >>"


def object_stream(
    inside: bytes, *, named: bool = True, filters: bytes = b"/FlateDecode", packed: bytes = b""
) -> bytes:
    """An object that holds others, packed (ISO 32000-1, 7.5.7)."""
    data = packed or zlib.compress(b"10 0 11 %d " % len(inside) + inside)
    kind = b"/Type /ObjStm " if named else b""
    return (
        b"<< %s/N 1 /First 8 /Filter %s /Length %d >>\nstream\n" % (kind, filters, len(data))
        + data
        + b"\nendstream"
    )


def pdfs() -> Iterator[Sample]:
    script = "<< /S /JavaScript /JS (app.alert(1)) >>"
    hidden = object_stream(script.encode())
    many = [object_stream(b"", packed=zlib.compress(b"1 0 " + b" " * 40_000_000, 9))] * 6
    for name, fault, make in (
        ("pdf-javascript", "active", lambda: m.pdf(catalog=f"/OpenAction {script}")),
        ("pdf-spelt", "active", lambda: m.pdf(catalog="/OpenAction << /#53 /Jav#61Script /JS (x) >>")),
        ("pdf-close", "active", lambda: m.pdf(catalog="/OpenAction<</S/JavaScript/JS(x)>>")),
        (
            "pdf-comment",
            "active",
            lambda: m.pdf(catalog="/OpenAction << /S % so\n % what\n /JavaScript /JS (x) >>"),
        ),
        (
            "pdf-elsewhere",
            "active",
            lambda: m.pdf(catalog="/AA << /O << /S 6 0 R >> >>", objects=[b"/JavaScript "]),
        ),
        ("pdf-packed", "active", lambda: m.pdf(objects=[hidden])),
        (
            "pdf-packed-unnamed",
            "active",
            lambda: m.pdf(objects=[object_stream(script.encode(), named=False)]),
        ),
        (
            "pdf-packed-twice",
            "unreadable",
            lambda: m.pdf(objects=[odd_stream(b"[/FlateDecode /FlateDecode]")]),
        ),
        ("pdf-packed-rows", "unreadable", lambda: m.pdf(objects=[odd_stream(ROWS)])),
        ("pdf-packed-elsewhere", "unreadable", lambda: m.pdf(objects=[odd_stream(b"7 0 R")])),
        ("pdf-packed-oddly", "unreadable", lambda: m.pdf(objects=[odd_stream()])),
        (
            "pdf-packed-late",
            "active",
            lambda: m.pdf(objects=[object_stream(b" " * 700_000 + script.encode())]),
        ),
        ("pdf-bomb", "bomb", lambda: m.pdf(objects=many)),
        ("pdf-launch", "active", lambda: m.pdf(catalog="/OpenAction << /S /Launch /F (cmd.exe) >>")),
        ("pdf-submit", "active", lambda: m.pdf(catalog="/AA << /WC << /S/SubmitForm /F (http://x) >> >>")),
        ("pdf-import", "active", lambda: m.pdf(catalog="/OpenAction << /S /ImportData /F (x) >>")),
        ("pdf-rendition", "active", lambda: m.pdf(catalog="/OpenAction << /S /Rendition /JS (x) >>")),
        ("pdf-media", "active", lambda: m.pdf(objects=[b"<< /Type /Annot /Subtype /RichMedia >>"])),
        ("pdf-xfa", "active", lambda: m.pdf(catalog="/AcroForm << /XFA [(a) 6 0 R] >>")),
        (
            "pdf-file",
            "embedded",
            lambda: m.pdf(objects=[b"<< /Type /Filespec /F (a.exe) /EF << /F 7 0 R >> >>"]),
        ),
        ("pdf-files", "embedded", lambda: m.pdf(catalog="/Names << /EmbeddedFiles 6 0 R >>")),
        ("pdf-remote", "external", lambda: m.pdf(catalog=r"/AA << /O << /F (\\\\host\\x) /S /GoToE >> >>")),
        ("pdf-encrypted", "encrypted", lambda: m.pdf(trailer="/Encrypt 6 0 R")),
        ("pdf-no-end", "truncated", lambda: m.pdf()[:-30]),
        ("pdf-astray", "unreadable", lambda: m.pdf().replace(b"startxref\n", b"startxref\n1")),
        ("pdf-version", "disagrees", lambda: m.pdf(version="9.9")),
        ("pdf-tail", "trailing", lambda: m.pdf(tail=b"\n" + b" " * 5_000)),
        ("pdf-php", "active", lambda: m.pdf(tail=b"\n<?php system('id');")),
        ("pdf-far", "active", lambda: m.pdf(objects=[filler(262_100), script.encode()])),
    ):
        yield Sample(name, "pdf", make, fault)


def odd_stream(filters: bytes = b"[/ASCIIHexDecode]") -> bytes:
    """Objects in hexadecimal, or in another filter that a reader knows, and nobody uses for them."""
    return object_stream(b"", filters=filters, packed=b"3130 2030 20>")


def filler(size: int) -> bytes:
    """A stream of that many bytes."""
    return b"<< /Length %d >>\nstream\n" % size + b"x" * size + b"\nendstream"


def workbooks() -> Iterator[Sample]:
    parts = m.xlsx_parts()
    listed = [m.member(name, data) for name, data in parts.items()]
    sheet = "xl/worksheets/sheet1.xml"
    laughs = '<!DOCTYPE x [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;"><!ENTITY c "&b;&b;&b;&b;">]><x>&c;</x>'
    outside = '<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/hostname">]><x>&a;</x>'

    def declared(kind: str) -> str:
        return f'<Override PartName="/xl/x.bin" ContentType="{kind}"/>'

    def with_(**changed: object) -> bytes:
        return m.zip_of([*listed, m.member("xl/media/a.png", b"\x89PNG", **changed)])

    def of(data: bytes | str, name: str = "xl/media/a.png") -> bytes:
        return m.xlsx_with({name: data})

    def related(*each: tuple[str, ...]) -> bytes:
        return m.xlsx_with({"xl/worksheets/_rels/sheet1.xml.rels": m.relationships(*each)})  # type: ignore[arg-type]

    signed = "http://schemas.microsoft.com/office/2006/relationships/vbaProject"
    for name, fault, make in (
        *(
            (f"xlsx-laughs-{part}", "entities", lambda part=part: m.xlsx_with({part: laughs}))
            for part in parts
        ),
        *(
            (f"xlsx-outside-{part}", "entities", lambda part=part: m.xlsx_with({part: outside}))
            for part in parts
        ),
        ("xlsx-strings", "entities", lambda: m.xlsx_with({"xl/sharedStrings.xml": m.DECLARED + laughs})),
        ("xlsx-utf16", "entities", lambda: m.xlsx_with({sheet: b"\xff\xfe" + laughs.encode("utf-16-le")})),
        ("xlsx-utf7", "encoding", lambda: m.xlsx_with({sheet: '<?xml version="1.0" encoding="utf-7"?><x/>'})),
        ("xlsx-no-xml", "unreadable", lambda: m.xlsx_with({sheet: "no markup"})),
        ("xlsx-comment", "unreadable", lambda: m.xlsx_with({sheet: f"<!--{'x' * 900_000}--><x/>"})),
        ("xlsx-bomb", "bomb", lambda: m.zip_bomb(512)),
        ("xlsx-prologue", "unreadable", lambda: m.xlsx_with({sheet: " " * 900_000 + "<x/>"})),
        ("xlsx-bomb-lying", "lying", lambda: m.zip_bomb(512, declared=1_000)),
        ("xlsx-members", "too_many_members", lambda: m.many_members(100_000)),
        ("xlsx-nested", "nested", lambda: of(m.zipped({"a": "b"}))),
        ("xlsx-nested-gzip", "nested", lambda: of(zlib.compress(b"x", wbits=31))),
        ("xlsx-ole", "embedded", lambda: of(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(99))),
        ("xlsx-program", "embedded", lambda: of(b"MZ" + bytes(99), "xl/x.exe")),
        ("xlsx-named", "embedded", lambda: of(b"anything", "xl/x.hta")),
        ("xlsx-embeddings", "embedded", lambda: of("<x/>", "xl/embeddings/a.xml")),
        ("xlsx-activex", "embedded", lambda: of("<x/>", "xl/activeX/activeX1.xml")),
        ("xlsx-macro", "macro", lambda: of(b"x", "xl/vbaProject.bin")),
        ("xlsx-macrosheet", "macro", lambda: of("<x/>", "xl/macrosheets/sheet1.xml")),
        (
            "xlsx-macro-type",
            "macro",
            lambda: m.xlsx_with(types=declared("application/vnd.ms-office.vbaProject")),
        ),
        (
            "xlsx-macro-enabled",
            "macro",
            lambda: changed(parts, "sheet.main+xml", "sheet.macroEnabled.main+xml"),
        ),
        ("xlsx-macro-related", "macro", lambda: related(("rId1", signed, "other.bin"))),
        ("xlsx-ole-related", "embedded", lambda: related(("rId1", "oleObject", "other.bin"))),
        ("xlsx-external", "external", lambda: of("<x/>", "xl/externalLinks/externalLink1.xml")),
        (
            "xlsx-external-related",
            "external",
            lambda: related(("rId1", "externalLinkPath", "x.xlsx", "External")),
        ),
        ("xlsx-picture", "external", lambda: related(("rId1", "image", "http://host/x.png", "External"))),
        ("xlsx-connections", "external", lambda: of("<x/>", "xl/connections.xml")),
        ("xlsx-up", "path", lambda: of("x", "../x.png")),
        ("xlsx-absolute", "path", lambda: of("x", "/etc/x.png")),
        ("xlsx-device-name", "path", lambda: of("x", "xl/NUL.png")),
        ("xlsx-drive", "path", lambda: of("x", "C:x.png")),
        ("xlsx-backslash", "path", lambda: of("x", "xl\\..\\x.png")),
        ("xlsx-nul", "path", lambda: of("x", "xl/a.png\0.xml")),
        ("xlsx-twice", "twice", lambda: m.zip_of([*listed, listed[3]])),
        ("xlsx-twice-folded", "twice", lambda: of("<x/>", "XL/WORKBOOK.xml")),
        ("xlsx-link", "link", lambda: with_(made_by=0x0314, attributes=0o120777 << 16)),
        ("xlsx-device", "link", lambda: with_(made_by=0x0314, attributes=0o020666 << 16)),
        ("xlsx-encrypted", "encrypted", lambda: with_(flags=1)),
        ("xlsx-method", "unreadable", lambda: with_(method=12, packed=b"x")),
        ("xlsx-sum", "lying", lambda: with_(crc=1)),
        ("xlsx-size", "lying", lambda: with_(size=1)),
        ("xlsx-two-names", "lying", lambda: with_(local={"name": b"xl/media/b.png"})),
        ("xlsx-two-sizes", "lying", lambda: with_(local={"size": 3})),
        ("xlsx-two-methods", "lying", lambda: with_(local={"method": 0})),
        ("xlsx-unicode-path", "lying", lambda: with_(extra=struct.pack("<HHBI", 0x7075, 6, 1, 0) + b"b")),
        (
            "xlsx-overlap",
            "hidden",
            lambda: m.zip_of([*listed, listed[0] | {"name": b"xl/a.xml", "offset": 0}]),
        ),
        ("xlsx-unlisted", "hidden", lambda: unlisted(listed)),
        ("xlsx-gap", "hidden", lambda: m.zip_of(listed, gap=b"gap")),
        ("xlsx-shifted", "hidden", lambda: shifted(m.xlsx())),
        ("xlsx-comment-behind", "trailing", lambda: m.zip_of(listed, comment=b"comment")),
        ("xlsx-suffix", "trailing", lambda: m.xlsx() + b"x"),
        ("xlsx-short", "trailing", lambda: m.xlsx()[:-1]),
        (
            "xlsx-descriptor",
            "hidden",
            lambda: m.zip_of([each | {"descriptor": "signed"} for each in listed], gap=b"x"),
        ),
        ("xlsx-packed-more", "hidden", lambda: with_(packed=m.deflated(b"\x89PNG") + b"more")),
        ("xlsx-packed-less", "truncated", lambda: with_(packed=m.deflated(b"\x89PNG")[:-2])),
        (
            "xlsx-no-main",
            "truncated",
            lambda: m.zipped({k: v for k, v in parts.items() if k != "xl/workbook.xml"}),
        ),
        ("xlsx-no-list", "disagrees", lambda: m.zipped({k: v for k, v in parts.items() if "Types" not in k})),
        ("xlsx-other-name", "lying", lambda: listed_as('Override PartName="/x.png"')),
        ("xlsx-other-ending", "lying", lambda: listed_as('Default Extension="png"')),
        ("xls-or-password", "disagrees", lambda: b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600)),
        ("xlsx-large-count", "lying", lambda: m.zip_of(listed, large={"count": 3})),
        ("xlsx-large-end", "unreadable", lambda: m.zip_of(listed, large={"length": 45})),
        ("xlsx-large-away", "hidden", lambda: m.zip_of(listed, large={"at": 0})),
        (
            "xlsx-not-there",
            "hidden",
            lambda: m.zip_of([listed[0], listed[1] | {"offset": 10**6}, *listed[2:]]),
        ),
        ("xlsx-nowhere", "truncated", lambda: m.zip_of([listed[0] | {"packed_size": 5}, *listed[1:]])),
        ("xlsx-no-name", "path", lambda: m.zip_of([*listed, m.member(b"\xff\xfe.png", flags=0x0800)])),
        ("xlsx-extra", "lying", lambda: with_(extra=struct.pack("<HHI", 9, 4, 0) * 2)),
        ("xlsx-aes", "encrypted", lambda: with_(extra=struct.pack("<HHI", 0x9901, 4, 0))),
        ("xlsx-two-mains", "twice", lambda: two_mains()),
        ("xlsx-listed-twice", "twice", lambda: listed_as('Override PartName="/xl/worksheets/sheet1.xml"')),
        ("xlsx-damaged", "unreadable", lambda: with_(packed=b"\xff\xff\xff")),
        ("xlsx-tiny", "disagrees", lambda: b"PK\x03\x04" + bytes(10)),
        ("xlsx-folder", "hidden", lambda: of("content", "xl/folder/")),
    ):
        yield Sample(name, "xlsx", make, fault)


def changed(parts: dict[str, bytes | str], old: str, new: str) -> bytes:
    """A workbook with other words in its list of types."""
    types = str(parts["[Content_Types].xml"])
    return m.zipped(parts | {"[Content_Types].xml": types.replace(old, new)})


def archives() -> Iterator[Sample]:
    """What an archive of anything is refused for."""
    yield Sample("zip-nested", "zip", lambda: m.zipped({"a.zip": m.zipped({"b": "c"})}), "nested")
    yield Sample("zip-up", "zip", lambda: m.zipped({"../a": "b"}), "path")


def listed_as(what: str) -> bytes:
    """A workbook that lists a sheet under the name of a picture."""
    return m.xlsx_with(types=f'<{what} ContentType="{SHEET}"/>')


def two_mains() -> bytes:
    """A workbook that names two parts as its main one: which is read depends on who reads."""
    main = ("officeDocument", "xl/workbook.xml")
    return m.xlsx_with({"_rels/.rels": m.relationships(("a", *main), ("b", *main))})


def unlisted(members: list[dict[str, object]]) -> bytes:
    """A member that the directory does not name, between two that it names."""
    whole = m.zip_of(members)
    entries, at = [], struct.unpack_from("<I", whole, len(whole) - 6)[0]
    directory = at
    while whole[at : at + 4] == b"PK\x01\x02":
        name, extra = struct.unpack_from("<HH", whole, at + 28)
        entries.append(whole[at : at + 46 + name + extra])
        at += 46 + name + extra
    out = whole[:directory] + b"".join(entries[:2] + entries[3:])
    count = len(entries) - 1
    end = struct.pack("<IHHHHIIH", 0x06054B50, 0, 0, count, count, len(out) - directory, directory, 0)
    return out + end


def shifted(data: bytes) -> bytes:
    """Something before an archive, which most readers do not mind."""
    return data[:-22] + b"shift" + data[-22:]
