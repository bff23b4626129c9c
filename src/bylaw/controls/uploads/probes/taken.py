"""Attacks on the running application by files that it has not asked for, or that are not what they say.

At the gate an application stands behind that reads whatever it is given: what gets past is counted. What is
inside of files is shown to `bylaw.files.take`, which every application has, also under a policy that takes
none: for these attacks it takes the usual kinds.
"""

from __future__ import annotations

import hashlib
import io
import re
import struct
import sys
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from bylaw import content
from bylaw.control import Broken, CouldNotLook, probe
from bylaw.identity import Identity
from bylaw.reasons import Refused
from bylaw.routes import Taking

BOUNDARY: Final = "laboratory"
CANARY: Final = b"canary-6603"
KINDS: Final = ("png", "pdf", "csv", "xlsx")
"""What an application takes for these attacks, whatever its policy says."""
SIZE: Final = 100_000
"""Bytes of one file, meanwhile."""
MOST: Final = 3
_PIECE: Final = 16 * 1024
_PARAMETER: Final = re.compile(r"<[^>]*>|\{[^}]*\}|\*")
_SHEET: Final = "application/vnd.openxmlformats-officedocument.spreadsheetml"
_DOCTYPE: Final = b'<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/hostname">]>'


# Files


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width: int = 4, height: int = 4) -> bytes:
    """A grey picture, whole and well-formed."""
    rows = zlib.compress((b"\0" + bytes(width)) * height)
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def workbook(*, before: bytes = b"", filler: int = 0) -> bytes:
    """A workbook with one empty sheet; `before` stands in front of its root, `filler` bytes behind it."""
    package = "http://schemas.openxmlformats.org/package/2006"
    office = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    main = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    parts = {
        "[Content_Types].xml": f'<Types xmlns="{package}/content-types">'
        '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
        f'<Override PartName="/xl/workbook.xml" ContentType="{_SHEET}.sheet.main+xml"/>'
        f'<Override PartName="/xl/worksheets/sheet1.xml" ContentType="{_SHEET}.worksheet+xml"/></Types>',
        "_rels/.rels": f'<Relationships xmlns="{package}/relationships"><Relationship Id="r1" '
        f'Type="{office}/officeDocument" Target="xl/workbook.xml"/></Relationships>',
        "xl/workbook.xml": f'<workbook xmlns="{main}" xmlns:r="{office}"><sheets>'
        '<sheet name="S" sheetId="1" r:id="r1"/></sheets></workbook>',
        "xl/_rels/workbook.xml.rels": f'<Relationships xmlns="{package}/relationships"><Relationship Id="r1" '
        f'Type="{office}/worksheet" Target="worksheets/sheet1.xml"/></Relationships>',
        "xl/worksheets/sheet1.xml": f'<worksheet xmlns="{main}"><sheetData/></worksheet>' + " " * filler,
    }
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in parts.items():
            archive.writestr(name, (before if name == "xl/workbook.xml" else b"") + text.encode())
    return made.getvalue()


def form(*files: tuple[str, str, bytes]) -> bytes:
    """A multipart form that brings (field, the rest of its disposition, content)."""
    parts = [
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{field}"{rest}\r\n\r\n'.encode() + data
        for field, rest, data in files
    ]
    return b"\r\n".join([*parts, f"--{BOUNDARY}--\r\n".encode()])


# Ways in


def _settings(lab: Any) -> tuple[Any, Any]:
    """The control, which imports this module, and its settings."""
    this = sys.modules["bylaw.controls.uploads"]
    return this, this.Settings


def _post(lab: Any, path: str, body: bytes, method: str = "POST", *, pieces: bool = False) -> Any:
    visitor = lab.visitor()
    headers = [*visitor.from_here, ("Content-Type", f"multipart/form-data; boundary={BOUNDARY}")]
    if pieces:
        chunks = tuple(body[at : at + _PIECE] for at in range(0, len(body), _PIECE))
        return visitor.send(method, path, headers=headers, chunks=chunks)
    return visitor.send(method, path, headers=headers, body=body)


@contextmanager
def taking(lab: Any, **changes: Any) -> Iterator[Any]:
    """A function that gives a file to the application, and returns what became of it: the stored file, or
    the refusal's code."""
    try:
        content.require()
    except ImportError as missing:
        raise CouldNotLook(str(missing)) from None
    _, settings = _settings(lab)
    given = sys.modules["bylaw.operations.files"].Given
    who = Identity(lab.person().id)

    def take(name: str, data: bytes, claim: str = "") -> Any:
        try:
            return lab.site.files.take(given(name, claim, io.BytesIO(data)), by=who)
        except Refused as refused:
            return refused.reason.code

    with (
        lab.under(settings, **{"kinds": KINDS, "off": False, "storage": "var/uploads", **changes}),
        lab.scanner(),
    ):
        yield take


def _kept(lab: Any) -> set[str]:
    """The names of all that is in the laboratory's storage, quarantine and all."""
    return {path.name for path in Path(lab.files).rglob("*") if path.is_file()}


# Attacks


@probe("critical", "S1-091", "S2-074", "A159")
def no_route_takes_what_it_has_not_declared(lab: Any) -> str:
    """A file sent to any route that has not declared that it takes files reaches no application."""
    declared = lab.site.house.routes.files
    body = form(("file", '; filename="x.png"', png() + CANARY), ("csrf_token", "", b"x"))
    stopped, other = 0, 0
    with lab.reading() as reader:
        asked = [
            (method, path)
            for method, path, _ in lab.routes()
            if method in ("POST", "PUT", "PATCH", "DELETE") and (method, path) not in declared
        ]
        for method, path in [*asked, ("POST", "/laboratory"), ("PUT", "/laboratory/x")]:
            reply = _post(lab, _PARAMETER.sub("999999", path), body, method)
            if reply.status < 400 or reader.read:
                raise Broken(f"{method} {path} let a file through: {reply}")
            stopped += reply.code == "uploads.not_here"
            other += reply.code != "uploads.not_here"
    if not stopped:
        raise Broken("no route said that it takes no file")
    return (
        f"{stopped} routes said that they take no file, {other} refused before; {len(declared)} declare some"
    )


@probe("critical", "S1-094", "S2-076", "A159", "A194", "A196")
def files_are_measured_while_they_come(lab: Any) -> str:
    """Where files are taken: one byte, one file or one field too much is refused before the rest is read."""
    _, settings = _settings(lab)
    named = '; filename="x.png"'
    good = form(*[("file", named, b"\xff" * SIZE)] * MOST, ("note", "", b"words"))
    bad = {
        "a byte too much": (form(("file", named, bytes(SIZE + 1))), "uploads.too_large"),
        "a file too many": (form(*[("file", named, b"x")] * (MOST + 1)), "uploads.too_many"),
        "another field": (form(("other", named, b"x")), "uploads.field"),
        "a field in other words": (form(("fi\\\\le", named, b"x")), "uploads.field"),
        "no name": (form(("file", '; filename=""', b"x")), "uploads.name"),
        "a name in another line": (
            form(("file", '; x="\nContent-Disposition: form-data; name=file; filename=x.png"', b"x")),
            "uploads.name",
        ),
        "a name that is no text": (form(("file", '; filename="\0x.png"', b"x")), "uploads.name"),
        "a name in another way": (form(("file", "; filename*=UTF-8''x.png", b"x")), "body.not_a_form"),
        "a name in pieces": (form(("file", '; filename*0="x.png"', b"x")), "body.not_a_form"),
    }
    with (
        lab.under(settings, off=False, size=SIZE),
        lab.reading(Taking(frozenset({"file"}), (), MOST)) as reader,
    ):
        for pieces in (False, True):
            reply = _post(lab, "/laboratory", good, pieces=pieces)
            if reply.text != hashlib.sha256(good).hexdigest():
                raise Broken(f"{MOST} files of {SIZE:,} bytes did not arrive as they were sent: {reply}")
            for what, (body, code) in bad.items():
                before = reader.read
                # Behind what is too much comes more, which nobody should wait for.
                reply = _post(lab, "/laboratory", body[: -len(_END)] + _MORE + _END, pieces=pieces)
                if reply.code != code:
                    raise Broken(f"{what}: {reply}, expected {code}")
                if reader.read - before > SIZE + 2 * 64 * 1024:
                    raise Broken(f"{what}: {reader.read - before:,} bytes were read all the same")
        empty = form(("file", '; filename=""', b""))
        if _post(lab, "/laboratory", empty).status != 200:
            raise Broken("a browser's empty field is refused")
    return f"{len(bad)} kinds of too much refused, announced or not; {MOST} files of the largest size arrive"


_END: Final = f"--{BOUNDARY}--\r\n".encode()
_MORE: Final = form(("rest", "", bytes(150_000)))[: -len(_END)]


@probe("critical", "S1-092", "S1-093", "S2-075", "C-29", "A147", "A149")
def a_file_is_what_it_says(lab: Any) -> str:
    """Extension, claimed type and content must be one kind that is taken; what is refused leaves nothing."""
    picture, page = png(), b"<!doctype html><script>alert(1)</script>"
    bad: tuple[tuple[str, bytes, str], ...] = (
        ("x.html", picture, "image/png"),
        ("x.svg", b'<svg xmlns="http://www.w3.org/2000/svg"/>', "image/svg+xml"),
        ("x.php.png", picture, "image/png"),
        ("x.png.", picture, "image/png"),
        ("x.png ", picture, "image/png"),
        ("x", picture, "image/png"),
        ("x.png", picture, "text/html"),
        ("x.png", picture, "image/png;x=text/html"),
        ("x.png", picture, "image/png, text/html"),
        ("x.png", page, "image/png"),
        ("x.png", b"\x7fELF" + bytes(60), "image/png"),
        ("x.png", picture + page, "image/png"),
        ("x.png", picture[:-12], "image/png"),
        ("x.pdf", picture, "application/pdf"),
        ("x.pdf", page, "application/pdf"),
        ("x.csv", page, "text/csv"),
        ("x.csv", b"a,b\r\n1,\0\r\n", "text/csv"),
        ("x.xlsx", picture, ""),
        ("x.png", b"", "image/png"),
    )
    with taking(lab) as take:
        before = _kept(lab)
        for name, data, claim in bad:
            taken = take(name, data, claim)
            if not isinstance(taken, str):
                raise Broken(f"{name!r} as {claim!r} with {data[:12]!r} was taken as {taken.kind}")
            if not taken.startswith("uploads."):
                raise CouldNotLook(f"{name!r} is refused before: {taken}")
        if left := _kept(lab) - before:
            raise Broken(f"{len(left)} of the refused files are still there")
        for name, data in (("x.PNG", picture), ("x.csv", b"a,b\r\n1,2\r\n"), ("x.xlsx", workbook())):
            if isinstance(taken := take(name, data), str):
                raise Broken(f"an ordinary {name} is refused: {taken}")
    return f"{len(bad)} files that are not what they say refused, and none of their bytes kept"


@probe("high", "C-29", "S1-092", "A154", "A155", "A156")
def what_a_file_costs_is_bounded(lab: Any) -> str:
    """A picture with too many pixels, an archive that inflates, and XML with entities: refused unread."""
    bad = (
        ("x.png", png(400, 400), "uploads.too_many_pixels"),
        ("x.xlsx", workbook(filler=8_000_000), "uploads.bomb"),
        ("x.xlsx", workbook(before=_DOCTYPE), "uploads.entities"),
    )
    with taking(lab, pixels=100_000, unpacked=4_000_000, ratio=50) as take:
        for name, data, code in bad:
            if (taken := take(name, data)) != code:
                raise Broken(f"{len(data):,} bytes as {name}: {taken}, expected {code}")
        if isinstance(taken := take("x.png", png(300, 300)), str):
            raise Broken(f"a picture within the limits is refused: {taken}")
    with taking(lab, size=1000) as take:
        if (taken := take("x.csv", b"a,b\r\n" * 1000)) != "uploads.too_large":
            raise Broken(f"5,000 bytes, where 1,000 are taken: {taken}")
    return "pixels, unpacked bytes, entities and size are bounded, whichever way a file comes"


@probe("high", "S1-096", "A150", "A152")
def names_lead_nowhere(lab: Any) -> str:
    """A name that climbs, hides or is a device's ends up as harmless text, and never on disk."""
    given = (
        "../../x.png",
        "..\\..\\x.png",
        "/etc/x.png",
        "C:\\x.png",
        "%2e%2e%2fx.png",
        "a\0b.png",
        "\u202egpj.x.png",
        "a\u200bb.png",
        "CON.png",
        "NUL .png",
        "com\u00b9.png",
        "-rf.png",
        "\ud800.png",
        "a\r\nSet-Cookie: x.png",
        "\u65e5" * 3000 + ".png",
        "a" * 5000 + ".png",
    )
    known = {"con", "nul", "com\u00b9"}
    with taking(lab) as take:
        for name in given:
            before, taken = _kept(lab), take(name, png())
            if isinstance(taken, str):
                raise Broken(f"a picture called {name[:30]!r} is refused: {taken}")
            shown, kept = taken.name, _kept(lab) - before
            hidden = [c for c in shown if not c.isprintable()]
            if hidden or re.search(r"\.\.|[/\\:%]", shown) or shown.startswith("-"):
                raise Broken(f"{name[:30]!r} is shown as {shown!r}")
            if shown.partition(".")[0].strip().lower() in known or len(shown) > 200 or shown[-4:] != ".png":
                raise Broken(f"{name[:30]!r} is shown as {shown[:60]!r}, {len(shown)} characters")
            if len(kept) != 1 or not re.fullmatch(r"[a-z0-9]{10,40}", next(iter(kept))):
                raise Broken(f"{name[:30]!r} is kept as {kept}")
    return f"{len(given)} names of bad kinds: shown cleaned, kept under names of bylaw's own"
