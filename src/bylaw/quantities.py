"""Durations and sizes: as a policy writes them, as pages and statements say them."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import BeforeValidator, WithJsonSchema

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_WORDS = {"second": "s", "minute": "m", "hour": "h", "day": "d"}
_DURATION = re.compile(r"\s*(\d+)\s*([a-z]*?)s?\s*")


def seconds(value: object) -> object:
    """A duration in seconds, from 90, "90s", "30m", "24h", "7d", "30 minutes"."""
    if not isinstance(value, str):
        return value
    match = _DURATION.fullmatch(value.lower().replace("s ", " ")) if value else None
    unit = _WORDS.get(match[2], match[2] or "s") if match else ""
    if match is None or unit not in _UNITS:
        raise ValueError('a duration, e.g. "30m", "24h", "7d"')
    return int(match[1]) * _UNITS[unit]


Duration = Annotated[
    int,
    BeforeValidator(seconds),
    WithJsonSchema({"type": ["integer", "string"], "examples": ["30m", "24h", "7d"], "minimum": 0}),
]
"""Seconds; written as a number or as "30m", "24h", "7d"."""


_SCALE = {
    "": 1,
    "b": 1,
    "kb": 1024,
    "kib": 1024,
    "mb": 1024**2,
    "mib": 1024**2,
    "gb": 1024**3,
    "gib": 1024**3,
}
_SIZE = re.compile(r"\s*(\d{1,15})\s*([a-z]*)\s*", re.ASCII)


def octets(value: object) -> object:
    """A size in bytes, from 512, "500kB", "10MB", "1GB"; a kB is 1,024 bytes."""
    if not isinstance(value, str):
        return value
    match = _SIZE.fullmatch(value.lower())
    if match is None or match[2] not in _SCALE:
        raise ValueError('a size, e.g. "500kB", "10MB"')
    return int(match[1]) * _SCALE[match[2]]


Size = Annotated[
    int,
    BeforeValidator(octets),
    WithJsonSchema({"type": ["integer", "string"], "examples": ["500kB", "10MB"], "minimum": 0}),
]
"""Bytes; written as a number or as "500kB", "10MB"."""


def weighed(size: int) -> str:
    """A size in words: 10485760 is "10 MB"."""
    for unit, scale in (("GB", 1024**3), ("MB", 1024**2), ("kB", 1024)):
        if size >= scale and size % scale == 0:
            return f"{size // scale:,} {unit}"
    return f"{size:,} bytes"


def spoken(duration: int) -> str:
    """A duration in words: 86400 is "24 hours"."""
    for unit, size in (("day", 86400 * 2), ("hour", 3600), ("minute", 60), ("second", 1)):
        base = 86400 if unit == "day" else size
        if duration >= size and duration % base == 0:
            count = duration // base
            return f"{count} {unit}{'s' if count != 1 else ''}"
    return f"{duration} seconds"
