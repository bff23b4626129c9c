"""Rates as a policy writes them: "50/hour", "10 per minute", "100/15m"."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated, Final

from pydantic import AfterValidator, WithJsonSchema

from bylaw.quantities import seconds

LONGEST: Final = 366 * 86400
MOST: Final = 1_000_000_000
_RATE: Final = re.compile(r"([0-9]{1,10})\s*(?:/|\s+per\s+)\s*([0-9]{0,9}\s*[a-z]+)", re.IGNORECASE)
_NAMED: Final = {1: "second", 60: "minute", 3600: "hour", 86400: "day"}
_FORM: Final = 'a number and a period, e.g. "50/hour", "10 per minute", "100/15m"'


@dataclass(frozen=True, slots=True)
class Parsed:
    """At most `count` requests in `seconds`."""

    count: int
    seconds: int

    def __str__(self) -> str:
        """As a policy would write it."""
        if self.seconds in _NAMED:
            return f"{self.count}/{_NAMED[self.seconds]}"
        for size, unit in ((86400, "d"), (3600, "h"), (60, "m")):
            if self.seconds % size == 0:
                return f"{self.count}/{self.seconds // size}{unit}"
        return f"{self.count}/{self.seconds}s"


def parsed(text: str) -> Parsed:
    """What a rate says. Raises ValueError."""
    match = _RATE.fullmatch(text.strip())
    if match is None:
        raise ValueError(_FORM)
    period = match[2] if match[2][0].isdigit() else f"1{match[2]}"
    try:
        lasts = int(seconds(period))  # type: ignore[call-overload]
    except ValueError:
        raise ValueError(_FORM) from None
    count = int(match[1])
    if not 1 <= count <= MOST:
        raise ValueError(f"a number from 1 to {MOST:,}; what nobody may do has an access rule")
    if not 1 <= lasts <= LONGEST:
        raise ValueError("a period from 1 second to 366 days")
    return Parsed(count, lasts)


def _checked(text: str) -> str:
    parsed(text)
    return text


Rate = Annotated[
    str,
    AfterValidator(_checked),
    WithJsonSchema({"type": "string", "examples": ["50/hour", "10 per minute", "100/15m"]}),
]
"""A number of requests in a period."""
