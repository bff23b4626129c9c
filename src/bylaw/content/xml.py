"""XML of documents: no type definition, hence no entities (CVE-2017-5992, XXE, "billion laughs"), and UTF-8
or UTF-16.

A type definition can only stand before the first element; an XML reader refuses it anywhere else. So large
parts are parsed up to there, and small ones that matter, whole. Nothing is ever fetched: expat does not, of
itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final
from xml.parsers import expat

from bylaw.content.faults import Hostile

_PROLOGUE: Final = 256 * 1024
_LONGEST: Final = 8 * 1024 * 1024
_DEEPEST: Final = 64
"""Elements within one another; a list has two."""
_NAMES: Final = 1_000
"""Names of elements and attributes; a list has some ten. The parser keeps each, for as long as it runs."""
_SILENT: Final = 512 * 1024
"""Bytes in which no element begins: one tag of half a megabyte."""

Started = Callable[[str, dict[str, str]], None]
"""What is told of each element: its name with its namespace, and its attributes."""


class _Enough(Exception):
    """The first element has begun."""


def prologue(blocks: Iterable[bytes], where: str) -> None:
    """Read up to the first element. Raises Hostile."""

    def stop(name: str, attributes: dict[str, str]) -> None:
        raise _Enough

    try:
        _parse(blocks, where, stop, _PROLOGUE)
    except _Enough:
        return


def elements(blocks: Iterable[bytes], where: str, started: Started) -> None:
    """Read all of it. Raises Hostile."""
    _parse(blocks, where, started, _LONGEST)


def _parse(blocks: Iterable[bytes], where: str, started: Started, most: int) -> None:
    def refuse(*_: object) -> None:
        raise Hostile("entities", f"In {where}.")

    def declared(version: str, encoding: str | None, standalone: int) -> None:
        if (encoding or "utf-8").lower() not in ("utf-8", "utf8", "utf-16", "us-ascii"):
            raise Hostile("encoding", f"In {where}.")

    names: set[str] = set()
    depth = size = silent = 0

    def begin(name: str, attributes: dict[str, str]) -> None:
        nonlocal depth, silent
        depth, silent = depth + 1, 0
        names.update((name, *attributes))
        if depth > _DEEPEST or len(names) > _NAMES:
            raise Hostile("unreadable", f"{where} has more levels or names than any that is needed.")
        started(name, attributes)

    def end(name: str) -> None:
        nonlocal depth
        depth -= 1

    parser = expat.ParserCreate(namespace_separator="}")
    parser.StartDoctypeDeclHandler = refuse
    parser.EntityDeclHandler = refuse
    parser.XmlDeclHandler = declared
    parser.StartElementHandler = begin
    parser.EndElementHandler = end
    try:
        for block in blocks:
            size, silent = size + len(block), silent + len(block)
            parser.Parse(block, False)
            if size > most or silent > _SILENT:
                raise Hostile("unreadable", f"{where} is longer than any that is needed.")
        parser.Parse(b"", True)
    except expat.ExpatError as error:
        found = f"{where} is no XML that can be read (line {error.lineno}, column {error.offset})."
        raise Hostile("unreadable", found) from None
