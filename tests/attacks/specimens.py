"""The files that vectors speak of by name, and the forms that bring them."""

from __future__ import annotations

import gzip
import struct
import zlib
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from typing import Any, Final

from tests.content import making

BOUNDARY: Final = "specimen"
_SVG: Final = '<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'
_HTML: Final = b"<!doctype html><title>x</title><script>alert(document.domain)</script>"
_DOCTYPE: Final = (
    '<?xml version="1.0"?><!DOCTYPE x [<!ENTITY f SYSTEM "file:///etc/hostname">'
    '<!ENTITY h SYSTEM "http://127.0.0.1:9/canary">]>'
)
_LAUGHS: Final = (
    '<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "ha">'
    + "".join(f'<!ENTITY {b} "{f"&{a};" * 10}">' for a, b in zip("abcdefgh", "bcdefghi", strict=True))
    + "]>"
)


def _png(*, width: int = 16, height: int = 12, **given: bytes) -> bytes:
    return making.png(width, height, **given)


def _declares(width: int, height: int) -> bytes:
    """A small picture that says it is a large one."""
    small = making.png(16, 12)
    return small.replace(making.ihdr(16, 12), making.ihdr(width, height), 1)


def _with_type(part: str, text: str) -> bytes:
    """A workbook one of whose parts begins with a document type."""
    members = making.xlsx_parts()
    was = str(members.get(part, "<x/>"))
    return making.zipped(members | {part: text + was.partition("?>")[2].replace("<x/>", "<x>&f;</x>")})


def _nested() -> bytes:
    return making.xlsx_with({"xl/embeddings/inside.zip": making.zipped({"a.txt": "a" * 100})})


def _segments() -> bytes:
    """A JPEG with ten thousand comments."""
    picture = making.jpeg()
    return picture[:2] + (b"\xff\xfe" + struct.pack(">H", 402) + b"c" * 400) * 20_000 + picture[2:]


def _text_chunk() -> bytes:
    """A PNG whose compressed text inflates to 64 MB."""
    text = b"Comment\0\0" + zlib.compress(bytes(64 * 1024 * 1024))
    return making.png(before=making.chunk(b"zTXt", text))


_MADE: Final[Mapping[str, Callable[[], bytes]]] = {
    "png": making.png,
    "jpg": making.jpeg,
    "pdf": making.pdf,
    "xlsx": making.xlsx,
    "csv": making.csv,
    "gif": making.gif,
    "html": lambda: _HTML,
    "elf": lambda: b"\x7fELF\x02\x01\x01" + bytes(9) + b"\x03\0>\0" + bytes(200),
    "exe": lambda: b"MZ\x90\0" + bytes(56) + b"\x80\0\0\0" + bytes(64) + b"PE\0\0" + bytes(100),
    "shell": lambda: b"#!/bin/sh\nid\n",
    "php": lambda: b"<?php system($_GET['c']); ?>",
    "text": lambda: b"only some words\n",
    "svg": lambda: _SVG.encode(),
    "svg_utf16": lambda: _SVG.encode("utf-16"),
    "svgz": lambda: gzip.compress(_SVG.encode()),
    "svg_commented": lambda: b"<!-- " + b"x" * 5000 + b" -->" + _SVG.encode(),
    "xml": lambda: b'<?xml version="1.0"?><x/>',
    "png_and_html": lambda: making.png() + _HTML,
    "png_and_zip": lambda: making.png() + making.zipped({"a.txt": "a"}),
    "pdf_and_zip": lambda: making.pdf() + making.zipped({"a.txt": "a"}),
    "html_and_pdf": lambda: _HTML + making.pdf(),
    "gif_and_script": lambda: b"GIF89a/*" + bytes(100) + b"*/=1;alert(1)",
    "jpg_and_php": lambda: making.jpeg() + b"<?php system($_GET['c']); ?>",
    "half_png": lambda: making.png(200, 200)[:-60],
    "half_jpg": lambda: making.jpeg(200, 200)[:-60],
    "half_pdf": lambda: making.pdf()[:-60],
    "half_xlsx": lambda: making.xlsx()[:-60],
    "wrong_crc": lambda: making.png().replace(b"IDAT", b"IDAU"),
    "empty": lambda: b"",
    "zip": lambda: making.zipped({"a.txt": "a"}),
    "bomb": lambda: making.zip_bomb(128),
    "bomb_that_lies": lambda: making.zip_bomb(64, declared=1000),
    "many_members": lambda: making.many_members(20_000),
    "nested": _nested,
    "macro": lambda: making.xlsx_with(
        {"xl/vbaProject.bin": b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(500)},
        types='<Override PartName="/xl/vbaProject.bin" ContentType="application/vnd.ms-office.vbaProject"/>',
    ),
    "xxe_workbook": lambda: _with_type("xl/workbook.xml", _DOCTYPE),
    "xxe_strings": lambda: _with_type("xl/sharedStrings.xml", _DOCTYPE),
    "xxe_types": lambda: _with_type("[Content_Types].xml", _DOCTYPE),
    "laughs": lambda: _with_type("xl/workbook.xml", _LAUGHS),
    "pixels_60000": lambda: _declares(60_000, 60_000),
    "pixels_10000": lambda: _declares(10_000, 10_000),
    "text_chunk": _text_chunk,
    "segments": _segments,
    "script_pdf": lambda: making.pdf(catalog="/OpenAction << /S /JavaScript /JS (app.alert(1)) >>"),
    "largest": lambda: _padded(10 * 1024 * 1024),
    "too_large": lambda: _padded(10 * 1024 * 1024 + 1),
}


def _padded(size: int) -> bytes:
    """A table of exactly this many bytes."""
    line = b"L-1,3" + b" " * 1017 + b"\r\n"
    return b"number,quantity\r\n" + line * ((size - 17) // len(line)) + b"," * ((size - 17) % len(line))


@cache
def specimen(name: str) -> bytes:
    """The bytes of a file by its name. Raises LookupError."""
    return _MADE[name]()


def form(uploads: Iterable[Mapping[str, Any]], fields: Mapping[str, str] | None = None) -> tuple[str, bytes]:
    """A multipart form as a browser writes it: its content type and its bytes. Each upload has `holds` (the
    name of a specimen), `name`, and perhaps `type` and `field`."""
    parts = [(f'form-data; name="{name}"', "", value.encode()) for name, value in (fields or {}).items()]
    for each in uploads:
        name = str(each["name"]).replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")
        said = f'form-data; name="{each.get("field", "file")}"; filename="{name}"'
        parts.append((said, str(each.get("type", "")), specimen(str(each["holds"]))))
    body = b""
    for said, kind, data in parts:
        typed = f"Content-Type: {kind}\r\n" if kind else ""
        head = f"--{BOUNDARY}\r\nContent-Disposition: {said}\r\n{typed}\r\n"
        body += head.encode("utf-8", "surrogatepass") + data + b"\r\n"
    return f"multipart/form-data; boundary={BOUNDARY}", body + f"--{BOUNDARY}--\r\n".encode()
