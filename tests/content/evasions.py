"""Files that say what they must not in ways that a check may overlook; and ordinary ones that come near."""

from __future__ import annotations

import functools
import struct
import zlib
from collections.abc import Iterator

from tests.content import making as m
from tests.content.hostile_documents import object_stream
from tests.content.hostile_pictures import webp_with
from tests.content.samples import Sample

SCRIPT = b"<< /S /JavaScript /JS (app.alert(1)) >>"


def hostile() -> Iterator[Sample]:
    """Every one of them must be refused."""
    yield from _spaced()
    yield from _packed()
    yield from _archives()
    yield from _pictures()
    for name, second in (("cell", b"C;X1;Y1;K0;EEXEC()"), ("options", b"O;E"), ("name", b"NN;NAuto_open")):
        text = b"ID;PWXL;N;E\r\n" + second + b"\r\nE\r\n"
        yield Sample(f"csv-sylk-{name}", "csv", functools.partial(bytes, text), "disagrees")


def ordinary() -> Iterator[Sample]:
    """Every one of them must be taken."""
    for name, make in (
        ("text", lambda: m.pdf(text="a /JavaScript and /Launch of CSS/JavaScript /Thread")),
        ("structure", lambda: m.pdf(objects=[b"<< /S /P /P 7 0 R /K [0] >>", b"<< /S 36 /Subtype /Link >>"])),
        ("articles", lambda: m.pdf(objects=[b"<< /Type /Thread /F 7 0 R >>"])),
        ("unpacked-objects", lambda: m.pdf(objects=[_objects(b"", b"10 0 << /K 7 0 R >>")])),
        (
            "outlines",
            lambda: m.pdf(objects=[b"<< /First 7 0 R >>", b"<</Length 3>>\r\nstream \r\nabc endstream"]),
        ),
        ("stream", lambda: m.pdf(objects=[b"<< /T (a stream\nof /EF words) /XFA null >>"])),
    ):
        yield Sample(f"pdf-near-{name}", "pdf", make)
    yield Sample("csv-id", "csv", lambda: b"ID;Product;Price\r\nC;Crate;3\r\nE-1;Wire;2\r\n")
    yield Sample("jpg-samsung", "jpg", lambda: m.jpeg() + samsung())
    yield Sample(
        "xlsx-names", "xlsx", lambda: m.xlsx_with({"xl/media/~a.b.png": b"\x89PNG", "xl/media/": b""})
    )


# ---- PDF -------------------------------------------------------------------------------------------------


def _spaced() -> Iterator[Sample]:
    """White space, comments, references and spellings between a key and its value."""
    for name, fault, what in (
        ("spaces", "active", b"<< /S" + b" " * 70 + b"/JavaScript /JS (x) >>"),
        ("spaces-many", "active", b"<< /S" + b"\r\n" * 2_000 + b"/JavaScript /JS (x) >>"),
        ("comment", "active", b"<< /S %" + b"c" * 100 + b"\n/JavaScript /JS (x) >>"),
        ("comment-long", "active", b"<< /S %" + b"c" * 3_000 + b"\n/JavaScript /JS (x) >>"),
        ("comments", "active", b"<< /S " + b"%c\n" * 80 + b"/JavaScript /JS (x) >>"),
        ("comment-two", "active", b"<< /T (50% off) /S %c % d\n %e\n /JavaScript /JS (x) >>"),
        ("comment-spelt", "active", b"<< /S %#0a c\n/JavaScript /JS (x) >>"),
        ("key-comment", "embedded", b"<< /EF %" + b"c" * 100 + b"\n << /F 7 0 R >> >>"),
        ("key-spaces", "embedded", b"<< /EF" + b" " * 3_000 + b"<< /F 7 0 R >> >>"),
        ("reference-comment", "embedded", b"<< /EF 7 %c\n 0 %d\r R >>"),
        ("reference-spaces", "encrypted", b"<< /Encrypt 7" + b" " * 2_000 + b"0 R >>"),
        ("subtype", "active", b"<< /Type /Annot /Subtype %c\n 7 0 R >>"),
        ("thread", "external", rb"<< /S /Thread /F (\\\\host\\x) >>"),
        ("film", "external", rb"<< /Subtype /Movie /Movie << /F (\\\\host\\x) >> >>"),
        ("model", "active", b"<< /Type /3D /Subtype /U3D /OnInstantiate 7 0 R >>"),
        ("flood", "unreadable", b"/EF ( " * 600_000),
        ("streams", "unreadable", b" stream\n" * 250_000),
    ):
        yield Sample(f"pdf-away-{name}", "pdf", functools.partial(m.pdf, objects=[what]), fault)
    split = b"x" * (262_144 - 560) + b" /S" + b" " * 600 + b"/JavaScript "
    yield Sample("pdf-away-blocks", "pdf", lambda: m.pdf(objects=[split]), "active")


def _objects(said: bytes, data: bytes, begins: bytes = b"\n") -> bytes:
    """A stream that readers take for one of objects, whatever it says that it is."""
    told = b"<< %s /N 1 /First 5 /Length %d >>\nstream" % (said, len(data))
    return told + begins + data + b"\nendstream"


def _packed() -> Iterator[Sample]:
    """Object streams that do not look like any."""
    inside = b"10 0 " + SCRIPT
    packed, coded = zlib.compress(inside), inside.hex().encode() + b">"
    hexadecimal = b"/Type /ObjStm /Filter /ASCIIHexDecode"
    for name, fault, what in (
        ("kind", "active", b"<< /S 10 0 R /JS (x) >>\n" + object_stream(b"/JavaScript ")),
        ("cr", "active", _objects(b"/Filter /FlateDecode", packed, b"\r")),
        ("space", "active", _objects(b"/Filter /FlateDecode", packed, b" \n")),
        ("word", "active", _objects(b"/Filter /FlateDecode", packed, b" word\r\n")),
        ("late-line", "unreadable", _objects(b"/Filter /FlateDecode", packed, b" " * 300 + b"\n")),
        ("far", "unreadable", _objects(hexadecimal + b" /P (%s)" % (b"x" * 600), coded)),
        ("further", "unreadable", _objects(hexadecimal + b" /P (%s)" % (b"x" * 6_000), coded)),
        ("word-obj", "unreadable", _objects(hexadecimal + b" /P (obj)", coded)),
        ("word-endobj", "unreadable", _objects(hexadecimal + b" /P (endobj)", coded)),
        ("word-stream", "unreadable", _objects(hexadecimal + b" /P ( stream\n)", coded)),
        ("unnamed", "unreadable", _objects(b"/Filter /ASCIIHexDecode", coded)),
        ("filters", "unreadable", _objects(b"/X << /Filter /FlateDecode >> " + hexadecimal, coded)),
        ("other", "unreadable", _objects(b"/Type /ObjStm /Filter /FlateDecode", coded)),
        ("rows", "unreadable", _objects(b"/Filter /FlateDecode /DecodeParms 7 0 R", packed)),
        ("comment", "active", _bare(b"%c\n" + inside)),
        ("comments", "active", _bare(b"%" + b"c" * 600 + b"\n" + inside)),
        ("signs", "active", _bare(b"+" + inside)),
        ("zeros", "active", _bare(b"0" * 600 + inside)),
        ("late", "active", _bare(b" " * 2_000 + inside)),
    ):
        yield Sample(f"pdf-packed-{name}", "pdf", functools.partial(m.pdf, objects=[what]), fault)


def _bare(inside: bytes) -> bytes:
    """A deflated stream of which nothing says that it holds objects, as far as one sees."""
    data = zlib.compress(inside)
    far = b"/N 1 /First 5 /P (%s)" % (b"x" * 3_000)
    return b"<< %s /Filter /FlateDecode /Length %d >>\nstream\n" % (far, len(data)) + data + b"\nendstream"


# ---- archives and documents ------------------------------------------------------------------------------


def slowly(data: bytes) -> bytes:
    """Raw deflate of which the first 64 kB unpack to one byte (RFC 1951, 3.2.4: blocks may be empty)."""
    rest = struct.pack("<HH", len(data) - 1, 0xFFFF ^ (len(data) - 1)) + data[1:]
    return b"\0\1\0\xfe\xff" + data[:1] + b"\0\0\0\xff\xff" * 14_000 + b"\1" + rest


def _archives() -> Iterator[Sample]:
    nested = m.zipped({"b": "c"})
    yield Sample(
        "zip-nested-slowly", "zip", lambda: m.zip_of([m.member("a", nested, packed=slowly(nested))]), "nested"
    )
    listed = [m.member(name, data) for name, data in m.xlsx_parts().items()]
    for name, fault, data in (
        ("ole", "embedded", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(99)),
        ("nested", "nested", nested),
    ):
        part = m.member("xl/media/a.png", data, packed=slowly(data))
        yield Sample(f"xlsx-{name}-slowly", "xlsx", functools.partial(m.zip_of, [*listed, part]), fault)
    for step in (".. ", "...", " ", "NUL .png", "aux .", "com\u00b9.txt", "conin$"):
        yield Sample(f"zip-step-{step!a}", "zip", functools.partial(_of, f"a/{step}/b"), "path")
    for one, other in (("\u00e1", "a\u0301"), ("a", "a."), ("A ", "a")):
        yield Sample(f"zip-two-{other!a}", "zip", functools.partial(_of, one, other), "twice")
    for name, markup in (
        ("levels", "<a>" * 100),
        ("names", "<x>" + "".join(f"<b{at}/>" for at in range(2_000)) + "</x>"),
        ("attributes", "<x " + "".join(f'b{at}=""' for at in range(2_000)) + "/>"),
        ("tag", "<x " + " " * 900_000 + "/>"),
    ):
        listing = {"_rels/.rels": markup}
        yield Sample(f"xlsx-many-{name}", "xlsx", functools.partial(m.xlsx_with, listing), "unreadable")
    fetched = {"xl/richData/rdRichValueWebImage.xml": "<x/>"}
    yield Sample("xlsx-fetched", "xlsx", lambda: m.xlsx_with(fetched), "external")
    spaced = m.relationships(("a", "http://host/oleObject ", "x.bin"))
    sheet = "xl/worksheets/_rels/sheet1.xml.rels"
    yield Sample("xlsx-ole-spaced", "xlsx", lambda: m.xlsx_with({sheet: spaced}), "embedded")
    outside = m.relationships(("a", "image", "http://host/x.png", " External "))
    yield Sample("xlsx-picture-spaced", "xlsx", lambda: m.xlsx_with({sheet: outside}), "external")


def _of(*names: str) -> bytes:
    return m.zip_of([m.member(name, b"x", flags=0x0800) for name in names])


# ---- pictures --------------------------------------------------------------------------------------------


def samsung(text: bytes = b"1700000000000", *, back: int = 0, kind: bytes = b"\0\0\x01\x0a") -> bytes:
    """What a Samsung camera appends: a name with a text, and the directory of such."""
    name = b"Image_UTC_Data"
    block = b"\0\0\x01\x0a" + struct.pack("<I", len(name)) + name + text
    entry = kind + struct.pack("<II", back or len(block), len(block))
    directory = struct.pack("<4sII", b"SEFH", 106, 1) + entry
    return block + directory + struct.pack("<I4s", len(directory), b"SEFT")


def _pictures() -> Iterator[Sample]:
    for name, tail in (
        ("film", samsung(b"\0\0\0\x18ftypmp42")),
        ("script", samsung(b"<script>alert(1)</script>")),
        ("gap", b"gap" + samsung()),
        ("place", samsung(back=7)),
        ("kind", samsung(kind=b"\0\0\x30\x0a")),
        ("behind", samsung() + b"x"),
        ("alone", b"SEFT"),
        ("long", samsung(b"x" * 70_000)),
        ("size", samsung()[:-8] + b"\xff\xff\0\0SEFT"),
        ("no-directory", bytes(20) + b"\0\0\0\0SEFT"),
    ):
        yield Sample(f"jpg-samsung-{name}", "jpg", functools.partial(_behind, tail), "trailing")
    split = b"\x21\xfe\x02<s" + b"cript>alert(1)</script>".ljust(ord("c"), b"x")[1:]
    length = b"\x21\xfe\x01<" + b"s" + b"cript>".ljust(ord("s"), b"x") + b"\0"
    long = m.gif(300, 200)[:-1]
    yield Sample("gif-length", "gif", lambda: long + length + b";", "active")
    yield Sample("gif-joined", "gif", lambda: long + split[:5] + b"\x05cript\x01>\0;", "active")
    for kind, size in ((b"VP8X", 10), (b"VP8X", 30), (b"ANIM", 30), (b"ANIM", 5)):
        named = f"webp-{kind.decode()}-{size}"
        yield Sample(named, "webp", functools.partial(webp_with, kind, bytes(size)), "unreadable")


def _behind(tail: bytes) -> bytes:
    return m.jpeg(300, 200) + tail
