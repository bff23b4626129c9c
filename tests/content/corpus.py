"""The two corpora: hostile files, each with the fault that it must be refused for, and ordinary ones."""

from __future__ import annotations

import functools
import io
import itertools
import struct
import zlib
from collections.abc import Iterator

from tests.content import evasions, hostile_documents, hostile_pictures
from tests.content import making as m
from tests.content.hostile_pictures import webp_with
from tests.content.samples import Make, Sample

ELF = b"\x7fELF\x02\x01\x01" + bytes(9) + b"\x02\0\x3e\0\x01\0\0\0" + bytes(40)
SHELL = b"#!/bin/sh\nrm -rf /\n"
HTML = b"<!doctype html><html><body><script>alert(1)</script></body></html>"
SVG = b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'
PROSE = b"Nothing but words, and more of them.\n"


def _named(form: str) -> bytes:
    """The plainest file of each kind."""
    plainest: dict[str, Make] = {
        "png": m.png,
        "jpg": m.jpeg,
        "gif": m.gif,
        "webp": m.webp,
        "pdf": m.pdf,
        "xlsx": m.xlsx,
        "csv": m.csv,
    }
    return plainest[form]()


def _then(first: str, second: str) -> bytes:
    """The plainest files of two kinds, one behind the other."""
    return _named(first) + _named(second)


KINDS = ("png", "jpg", "gif", "webp", "pdf", "xlsx", "csv")

# ---- what is not what its name says ----------------------------------------------------------------------


def _spoofed() -> Iterator[Sample]:
    others = {
        "html": HTML,
        "elf": ELF,
        "shell": SHELL,
        "svg": SVG,
        "svg-comments": b"<!-- a -->\n<!-- b -->" + SVG,
        "svg-utf16": b"\xff\xfe" + SVG.decode().encode("utf-16-le"),
        "svgz": zlib.compress(SVG, wbits=31),
        "prose": PROSE,
        "php": b"<?php system($_GET['c']); ?>",
        "nul": bytes(64),
    }
    for (name, data), kind in itertools.product(others.items(), KINDS):
        if kind == "csv" and name in ("prose",):
            continue  # prose is a table of one column
        fault = "binary" if kind == "csv" and name in ("elf", "svgz", "nul") else "disagrees"
        yield Sample(f"{name}-as-{kind}", kind, functools.partial(bytes, data), fault)
    for inside, kind in itertools.permutations(KINDS, 2):
        fault = "disagrees"
        if kind == "csv":
            fault = "disagrees" if inside in ("gif", "pdf") else "binary"
        yield Sample(f"{inside}-as-{kind}", kind, functools.partial(_named, inside), fault)
    yield from (Sample(f"empty-{kind}", kind, lambda: b"", "empty") for kind in KINDS)
    yield Sample("zip-as-xlsx", "xlsx", lambda: m.zipped({"a.txt": "x"}), "disagrees")
    yield Sample("docx-as-xlsx", "xlsx", m.docx, "disagrees")
    yield Sample("xlsx-as-docx", "docx", m.xlsx, "disagrees")


# ---- two kinds at once -----------------------------------------------------------------------------------


def _joined() -> Iterator[Sample]:
    """Each kind behind each other."""
    tail = {"png": "trailing", "jpg": "trailing", "gif": "trailing", "webp": "trailing", "pdf": "trailing"}
    for kind, behind in itertools.permutations(KINDS, 2):
        fault = tail.get(kind, "trailing")
        if kind == "csv":
            fault = "disagrees" if behind in ("pdf",) else "binary"
        elif kind == "xlsx":
            fault = "polyglot" if behind == "pdf" and len(m.xlsx()) < 1000 else "trailing"
        elif (behind == "pdf" and kind != "pdf") or behind == "xlsx":
            fault = "polyglot"
        elif kind == "pdf" and behind == "csv":
            fault = "trailing"
        yield Sample(f"{kind}-then-{behind}", kind, functools.partial(_then, kind, behind), fault)
        if kind != "csv":
            yield Sample(
                f"{kind}-then-{behind}-as-{behind}", behind, functools.partial(_then, kind, behind),
                ("disagrees" if kind in ("gif", "pdf") else "binary") if behind == "csv" else "disagrees",
            )  # fmt: skip


def _inside(payload: bytes) -> dict[str, Make]:
    """A payload in the comments of each kind that has comments, the structure whole."""
    framed = struct.pack(">H", len(payload) + 2) + payload
    return {
        "png": lambda: m.png(before=m.chunk(b"tEXt", b"Comment\0" + payload)),
        "jpg": lambda: m.jpeg()[:2] + b"\xff\xfe" + framed + m.jpeg()[2:],
        "gif": lambda: m.gif()[:-1] + b"\x21\xfe" + bytes((len(payload),)) + payload + b"\0;",
        "webp": lambda: webp_with(b"XMP ", payload),
    }


def _hidden() -> Iterator[Sample]:
    archive = m.zipped({"a.txt": "x"})
    for name, payload, fault in (
        ("script", b"<script>alert(1)</script>", "active"),
        ("php", b"x <?php system($_GET['c']); ?>", "active"),
        ("phar", b"__HALT_COMPILER(); ?>", "active"),
        ("html", b"<HTML><body onload=alert(1)>", "active"),
        ("pdf", b"%PDF-1.4\n1 0 obj << >>", "polyglot"),
        ("zip", archive, "polyglot"),
    ):
        for kind, make in _inside(payload).items():
            yield Sample(f"{name}-inside-{kind}", kind, make, fault)
    packed = zlib.compress(b"<script>alert(1)</script>")
    yield Sample(
        "script-in-ztxt", "png", lambda: m.png(before=m.chunk(b"zTXt", b"Comment\0\0" + packed)), "active"
    )
    international = b"Comment\0\1\0en\0x\0" + packed
    yield Sample("script-in-itxt", "png", lambda: m.png(before=m.chunk(b"iTXt", international)), "active")
    inside = b"<< /Length 9 >>\nstream\n" + archive + b"\nendstream"
    yield Sample("zip-in-pdf", "pdf", lambda: m.pdf(objects=[inside]),
                 "polyglot")  # fmt: skip
    yield Sample("html-in-pdf", "pdf", lambda: m.pdf(comment=b"%" + HTML), "active")
    yield Sample("pdf-in-xlsx", "xlsx", _pdf_first, "polyglot")
    yield Sample("gif-script", "gif", lambda: m.gif()[:6] + b"/*" + m.gif()[8:], "polyglot")
    yield Sample(
        "jpg-script", "jpg", lambda: b"\xff\xd8\xff\xe0/*" + bytes(0x2F2A - 2) + m.jpeg()[2:], "unreadable"
    )
    yield Sample("html-before-pdf", "pdf", lambda: HTML + m.pdf(), "disagrees")
    yield Sample("byte-before-pdf", "pdf", lambda: b"\n" + m.pdf(), "disagrees")
    yield Sample("idat-tail", "png", _behind_the_pixels, "hidden")


def _pdf_first() -> bytes:
    first = m.member("xl/media/a.png", b"%PDF-1.4", method=0)
    return m.zip_of([first, *(m.member(name, data) for name, data in m.xlsx_parts().items())])


def _behind_the_pixels() -> bytes:
    rows = zlib.compress(bytes(12 * (1 + 48)))
    return m.SIGNATURE + m.ihdr(16, 12) + m.chunk(b"IDAT", rows + b"payload") + m.chunk(b"IEND")


# ---- texts, and what is cut off ------------------------------------------------------------


def _texts() -> Iterator[Sample]:
    for name, fault, data in (
        ("csv-nul", "binary", b"a,b\n1,\0\n"),
        ("csv-escape", "binary", b"a,b\n1,\x1b[31m\n"),
        ("csv-late", "binary", b"a,b\n" * 100_000 + b"\x01"),
        ("csv-mark", "encoding", b"\xef\xbb\xbfa,b\n\xff\n"),
        ("csv-utf16-odd", "encoding", "a,b\n".encode("utf-16") + b"x"),
        ("csv-utf32", "binary", "a,b\n".encode("utf-32")),
        ("csv-html-spaced", "disagrees", b"\xef\xbb\xbf \r\n\t" + HTML),
        ("csv-html-late", "disagrees", b"hello " + HTML),
        ("csv-comment", "disagrees", b"<!-- x --><p>"),
        ("csv-xml", "disagrees", b'<?xml version="1.0"?><a/>'),
        ("csv-rtf", "disagrees", rb"{\rtf1 x}"),
        ("csv-batch", "disagrees", b"@echo off\r\ndel *.*"),
    ):
        yield Sample(name, "csv", functools.partial(bytes, data), fault)


def _cut() -> Iterator[Sample]:
    """Each kind that has an end, cut off at several places."""
    for kind in ("png", "jpg", "gif", "webp", "pdf", "xlsx"):
        whole = _named(kind)
        for part in (0.3, 0.5, 0.75, 0.9, 0.99):
            cut = whole[: int(len(whole) * part)]
            fault = "trailing" if kind == "xlsx" else "truncated"
            if kind == "webp" and part == 0.3:
                fault = "truncated"
            yield Sample(f"cut-{kind}-{part}", kind, functools.partial(bytes, cut), fault)


@functools.cache
def hostile() -> list[Sample]:
    """Every file that must be refused."""
    pictures, documents = (
        hostile_pictures.samples(),
        (hostile_documents.pdfs(), hostile_documents.workbooks(), hostile_documents.archives()),
    )
    groups = (_spoofed(), _joined(), _hidden(), pictures, *documents, evasions.hostile(), _texts(), _cut())
    return list(itertools.chain.from_iterable(groups))


@functools.cache
def ordinary() -> list[Sample]:
    """Every file that must be taken."""
    from tests.content import producers

    return [*producers.samples(), *evasions.ordinary()]


def stream(sample: Sample) -> io.BytesIO:
    """The file as it is examined."""
    return io.BytesIO(sample.data)
