"""Which part of a file a request asks for: conditions and ranges of RFC 9110 (sections 13 and 14). Pure."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

_TAG: Final = re.compile(r'(?:W/)?"[^"]*"')
_RANGE: Final = re.compile(r"[ \t]*([0-9]{0,18})-([0-9]{0,18})[ \t]*", re.ASCII)


@dataclass(frozen=True, slots=True)
class Part:
    """What is answered: the status, and the bytes from `start` up to `end` (exclusive)."""

    status: int
    start: int = 0
    end: int = 0


def part(method: str, values: Callable[[str], list[str]], size: int, tag: str) -> Part:
    """What a request for a file of `size` bytes with the entity tag `tag` gets.

    `values` gives the fields of a name (lower case). A range that is malformed, or of several parts, is
    answered with the whole: section 14.2 lets it, and many small parts are an attack of their own.
    """
    wanted = values("if-match")
    if wanted and not _names(wanted, tag, weak=False):
        return Part(412)
    if _names(values("if-none-match"), tag, weak=True):
        return Part(304)
    ranges = values("range")
    if method != "GET" or len(ranges) != 1 or values("if-range") not in ([], [tag]):
        return Part(200, 0, size)
    return _range(ranges[0], size)


def _names(values: list[str], tag: str, *, weak: bool) -> bool:
    """Whether one of the tags that were sent is this one, or all are meant."""
    sent = ",".join(values)
    if sent.strip(" \t") == "*":
        return True
    return any(found == tag or (weak and found == f"W/{tag}") for found in _TAG.findall(sent))


def _range(sent: str, size: int) -> Part:
    whole = Part(200, 0, size)
    unit, equals, asked = sent.partition("=")
    found = _RANGE.fullmatch(asked)
    if unit.strip(" \t").lower() != "bytes" or not equals or found is None or found[0].strip(" \t") == "-":
        return whole
    if not found[1]:  # the last so many bytes
        start, end = max(size - int(found[2]), 0), size
    else:
        start, end = int(found[1]), min(int(found[2]) + 1, size) if found[2] else size
        if found[2] and int(found[2]) < start:
            return whole
    return Part(206, start, end) if start < end else Part(416)
