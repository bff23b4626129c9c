"""What a model refuses, in words for whoever wrote it: never with the value that was sent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pydantic import ValidationError

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

_LONGEST_FIELD: Final = 64
_SAID: Final = {
    "missing": "must be given",
    "string_too_long": "must have at most {max_length} characters",
    "too_short": "must have one at least",
    "int_parsing": "must be a whole number",
    "int_from_float": "must be a whole number",
    "decimal_parsing": "must be a number, for example 4.20",
    "finite_number": "must be a number, for example 4.20",
    "greater_than": "must be more than {gt}",
    "greater_than_equal": "must be {ge} or more",
    "less_than_equal": "must be {le} or less",
    "date_parsing": "must be a day written as YYYY-MM-DD",
    "date_from_datetime_parsing": "must be a day written as YYYY-MM-DD",
    "enum": "must be {expected}",
    "literal_error": "must be {expected}",
}
"""What Pydantic finds, in the words of a page; what is not here is told in its own."""


def reasons(error: ValidationError) -> list[tuple[str, str]]:
    """Field and reason of each problem."""
    return [(_field(e["loc"]), _reason(e)) for e in error.errors(include_url=False, include_input=False)]


def _field(loc: tuple[int | str, ...]) -> str:
    """``usages.0.quantity``; a name that is not ours is not repeated if it is no plain word."""
    parts = [str(part) for part in loc]
    plain = all(part.isalnum() or part.isidentifier() for part in parts)
    name = ".".join(parts)
    return name if plain and len(name) <= _LONGEST_FIELD else "(unknown)"


def _reason(error: ErrorDetails) -> str:
    limits = {k: f"{v:,}" if isinstance(v, int) else v for k, v in error.get("ctx", {}).items()}
    if error["type"] == "string_too_short":
        least = limits["min_length"]
        said = "must not be empty" if least == "1" else f"must have at least {least} characters"
    elif error["type"] in _SAID:
        said = _SAID[error["type"]].format(**limits)
    else:
        said = error["msg"].removeprefix("Value error, ").removeprefix("Input ")
    return said[:1].upper() + said[1:]
