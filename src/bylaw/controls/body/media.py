"""Content types: what a body says it is, read in one way by everybody here (RFC 9110 section 8.3)."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

JSON: Final = "application/json"
URLENCODED: Final = "application/x-www-form-urlencoded"
MULTIPART: Final = "multipart/form-data"
FORMS: Final = frozenset({URLENCODED, MULTIPART})
"""What a browser's form can send that has fields (HTML, form submission)."""

PATTERN: Final = r"^[a-z0-9][a-z0-9!#$&^_.-]*/(\*|(\*\+)?[a-z0-9][a-z0-9!#$&^_.+-]*)$"
"""A type as a policy names it: `text/csv`, `image/*`, `application/*+json`."""

_TOKEN: Final = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"  # noqa: S105 - RFC 9110's word for a name
_VALUE: Final = rf'(?:{_TOKEN}|"[^"\\\x00-\x08\x0a-\x1f\x7f]*+")'
_PARAMETER: Final = re.compile(rf"[ \t]*;[ \t]*(?:({_TOKEN})=({_VALUE}))?")
_WHOLE: Final = re.compile(rf"({_TOKEN}/{_TOKEN})((?:[ \t]*;[ \t]*(?:{_TOKEN}={_VALUE})?)*+)[ \t]*")
_BOUNDARY: Final = re.compile(r"[0-9A-Za-z'()+_,./:=? -]{0,69}[0-9A-Za-z'()+_,./:=?-]")
_LONGEST: Final = 1000


@dataclass(frozen=True, slots=True)
class Kind:
    """A content type: its essence in lower case, and the parameters that change how it is read."""

    essence: str
    charset: str = ""
    boundary: str = ""

    @property
    def json(self) -> bool:
        return self.essence == JSON or self.essence.endswith("+json")


def essence(kind: str) -> str:
    """The media type without its parameters, in lower case."""
    return kind.partition(";")[0].strip().lower()


def kind(text: str) -> Kind | None:
    """The content type that `text` says; None where it says none, or two programs could differ.

    A parameter that comes twice is such a case: one takes the first charset or boundary, another the last. So
    is one that is spelt by RFC 2231 (to Werkzeug `boundary*1` replaces `boundary`: it reads another form), or
    with a backslash, which half of the parsers take away.
    """
    if len(text) > _LONGEST or (whole := _WHOLE.fullmatch(text)) is None:
        return None
    said: dict[str, str] = {}
    for name, value in _PARAMETER.findall(whole[2]):
        if name:
            if name.lower() in said or "*" in name:
                return None
            said[name.lower()] = value.strip('"')
    return Kind(whole[1].lower(), said.get("charset", "").lower(), said.get("boundary", ""))


def boundary(found: Kind) -> bytes | None:
    """The boundary of a multipart form; None where it has none that RFC 2046 allows."""
    return found.boundary.encode("ascii") if _BOUNDARY.fullmatch(found.boundary) else None


class Taken:
    """The types that a path takes, prepared for asking."""

    __slots__ = ("_exactly", "_like", "accept")

    def __init__(self, types: Iterable[str]) -> None:
        types = tuple(types)
        self.accept = ", ".join(types)
        self._exactly = frozenset(types)
        patterns = [re.escape(each).replace(r"\*", "[^/]+") for each in types if "*" in each]
        self._like = re.compile("|".join(patterns)) if patterns else None

    def __contains__(self, essence: str) -> bool:
        return essence in self._exactly or (
            self._like is not None and self._like.fullmatch(essence) is not None
        )
