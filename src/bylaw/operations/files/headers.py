"""The header fields of an answer that gives a file out. Pure.

What somebody uploaded is never shown by the browser as a page of this site: it is an attachment, of the type
that it was examined as, which nobody may guess anew, without an origin or a script of its own where it is
opened in spite of all that (CWE-79, CWE-434; OWASP File Upload Cheat Sheet).
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final
from urllib.parse import quote

from bylaw.operations.files.ranges import Part
from bylaw.store.files import StoredFile

_PLAIN: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._()+@,=-]*")
"""A name that every client reads alike in a quoted string."""
ALWAYS: Final = (
    ("X-Content-Type-Options", "nosniff"),
    ("Content-Security-Policy", "sandbox; default-src 'none'"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
    ("Cache-Control", "private, no-store"),
)


def disposition(name: str, kind: str = "attachment") -> str:
    """A Content-Disposition with a file's name (RFC 6266): in ASCII for old clients, and as it is, encoded by
    RFC 8187, for all others."""
    if _PLAIN.fullmatch(name):
        return f'{kind}; filename="{name}"'
    encoded = quote(name.encode("utf-8", "replace"), safe="!#$&+-.^_`|~")
    return f"{kind}; filename=\"{_ascii(name)}\"; filename*=UTF-8''{encoded}"


def _ascii(name: str) -> str:
    """The name in letters that cannot end a quoted string, nor be decoded into something else (`%22`)."""
    stem, dot, end = name.rpartition(".")
    stem, end = (stem, end) if dot else (end, "")
    letters = unicodedata.normalize("NFKD", stem).encode("ascii", "ignore").decode()
    plain = re.sub(r"[^A-Za-z0-9 ._()+@,=-]+", "_", letters).strip(" .")
    end = re.sub(r"[^A-Za-z0-9]+", "", end)
    return f"{plain if plain.strip('_') else 'file'}{'.' + end if end else ''}"


def of(file: StoredFile, part: Part) -> list[tuple[str, str]]:
    """The fields of the answer that gives out `part` of a file."""
    pairs = [*ALWAYS, ("ETag", tag(file)), ("Accept-Ranges", "bytes")]
    if part.status == 416:
        return [*pairs, ("Content-Range", f"bytes */{file.size}"), ("Content-Length", "0")]
    if part.status not in (200, 206):
        return pairs if part.status == 304 else [*pairs, ("Content-Length", "0")]
    if part.status == 206:
        pairs.append(("Content-Range", f"bytes {part.start}-{part.end - 1}/{file.size}"))
    return [
        *pairs,
        ("Content-Type", file.media_type),
        ("Content-Length", str(part.end - part.start)),
        ("Content-Disposition", disposition(file.name)),
    ]


def of_picture(media_type: str, size: int, etag: str) -> list[tuple[str, str]]:
    """The fields of a thumbnail: the one thing that is shown, since every pixel of it was made anew."""
    if not media_type:  # they have it already
        return [*ALWAYS, ("ETag", etag)]
    return [
        *ALWAYS,
        ("ETag", etag),
        ("Content-Type", media_type),
        ("Content-Length", str(size)),
        ("Content-Disposition", "inline"),
    ]


def tag(file: StoredFile) -> str:
    """The entity tag: strong, since it is made of the very bytes."""
    return f'"{file.digest}"'
