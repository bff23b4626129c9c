"""What is wrong with a body that is there as a whole. Pure: bytes in, a reason or nothing out.

Strict where parsers are lenient in different ways: what this accepts, every parser of the application
reads alike (RFC 8259; Bishop Fox, "An exploration of JSON interoperability vulnerabilities").
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any, Final
from urllib.parse import unquote_to_bytes

from bylaw.controls.body import reasons
from bylaw.reasons import Reason

DIGITS: Final = 1000
"""Digits of a number at most. Reading a decimal takes time by the square of its length (CVE-2020-10735)."""

_STRINGS: Final = re.compile(rb'"(?:[^"\\]++|\\.)*+"?', re.DOTALL)
"""Each string, or what begins as one: one without an end goes to the end, so that nothing is tried twice."""
_LONG: Final = re.compile(rb"[0-9]{%d}" % (DIGITS + 1))
_SURROGATE: Final = re.compile(rb"\\u[dD][89a-fA-F]")
_BRACKETS: Final = bytes.maketrans(b"{}", b"[]")
_NO_BRACKETS: Final = bytes(sorted(set(range(256)) - set(b"[]{}")))


Fault = Callable[[bytes], Reason | None]
"""What is wrong with a body, if anything is."""


class _Fault(Exception):
    def __init__(self, reason: Reason) -> None:
        self.reason = reason


def _object(pairs: list[tuple[str, Any]]) -> None:
    if len(pairs) > 1 and len(dict(pairs)) < len(pairs):
        raise _Fault(reasons.TWICE)


def _constant(name: str) -> None:
    raise _Fault(reasons.JSON)  # NaN and Infinity are not JSON (RFC 8259 section 6)


def _float(text: str) -> float:
    value = float(text)
    if value in (float("inf"), float("-inf")):
        raise _Fault(reasons.NUMBER)  # 1e999 is infinity by another name
    return value


_decode: Final = json.JSONDecoder(
    object_pairs_hook=_object, parse_constant=_constant, parse_float=_float
).decode


def json_fault(body: bytes, depth: int) -> Reason | None:
    """Why `body` is not JSON that everybody reads alike, at most `depth` levels deep; None where it is."""
    try:
        # Decoded here: json would guess at UTF-16 and UTF-32, which no other parser on the way does.
        text = body.decode()
    except UnicodeDecodeError:
        return reasons.TEXT
    if body.count(b"[") + body.count(b"{") > depth and _deeper(body, depth):
        return reasons.DEEP
    if len(body) > DIGITS and _LONG.search(body) and _LONG.search(_STRINGS.sub(b'""', body)):
        return reasons.NUMBER
    try:
        _decode(text)
    except _Fault as fault:
        return fault.reason
    except (ValueError, RecursionError):
        return reasons.JSON
    if b"\\u" in body and _SURROGATE.search(body) and not _whole_pairs(text):
        return reasons.TEXT
    return None


def _deeper(body: bytes, depth: int) -> bool:
    """Whether brackets outside of strings are nested deeper: each turn takes the innermost level away."""
    brackets = _STRINGS.sub(b"", body).translate(_BRACKETS, _NO_BRACKETS)
    for _ in range(depth):
        fewer = brackets.replace(b"[]", b"")
        if len(fewer) == len(brackets):
            break
        brackets = fewer
    # What is left and has no pair was never closed: the decoder says so, unless it is too deep for it.
    return b"[]" in brackets or brackets.count(b"[") > depth


def _whole_pairs(text: str) -> bool:
    """Whether every escaped surrogate has its other half (RFC 8259 section 8.2)."""
    try:
        json.dumps(json.loads(text), ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return False
    return True


def form_fault(body: bytes, fields: int) -> Reason | None:
    """Why an urlencoded form of at most `fields` fields is refused; None where it is not."""
    if body.count(b"&") >= fields:
        return reasons.FIELDS
    if not body.isascii():
        return (
            reasons.TEXT
        )  # it is percent-encoded (WHATWG URL 5.2): raw, Werkzeug reads UTF-8, Starlette Latin-1
    try:
        if b"%" in body:
            unquote_to_bytes(body).decode()
    except UnicodeDecodeError:
        return reasons.TEXT
    return None
