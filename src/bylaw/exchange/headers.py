"""A request's header fields, in the forms in which servers give them.

`one()` refuses what two parsers could read differently, so that no control decides on a value that the
application will not see (RFC 9110 section 5.3, RFC 9112 section 3.2).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final, Protocol

_NEVER_A_LIST: Final = frozenset({"host", "origin", "content-length", "sec-fetch-site"})


class Malformed(Exception):
    """The request can be read in two ways, or in none. The gate answers 400."""


class Headers(Protocol):
    """The request's header fields, whatever the server gave them as."""

    def all(self, name: str) -> list[str]:
        """Every value of the field `name` (lower case), in order."""

    def one(self, name: str) -> str | None:
        """The field's only value, None when absent. Raises Malformed when it came twice."""

    def lack(self, names: HeaderNames) -> bool:
        """Whether none of the fields is there: the quick way past what is rare."""

    def exceed(self, count: int, length: int) -> bool:
        """Whether there are more fields than `count`, or their values are longer together than `length`."""


class HeaderNames:
    """Names of request header fields (lower case), prepared in both spellings."""

    __slots__ = ("environ", "raw", "text")

    def __init__(self, *names: str) -> None:
        self.text = names
        self.raw = frozenset(name.encode("latin-1") for name in names)
        self.environ = frozenset(_variable(name) for name in names)


class RawHeaders:
    """Header fields of an ASGI scope as they are: bytes, the names already in lower case."""

    __slots__ = ("_by_name", "_pairs")

    def __init__(self, pairs: list[tuple[bytes, bytes]]) -> None:
        self._pairs = pairs
        # One dictionary costs less than two walks along the pairs, and each control takes one.
        self._by_name = dict(pairs)

    def all(self, name: str) -> list[str]:
        key = name.encode("latin-1")
        if len(self._by_name) == len(self._pairs):  # nothing came twice
            value = self._by_name.get(key)
            return [] if value is None else [value.decode("latin-1")]
        return [value.decode("latin-1") for field_name, value in self._pairs if field_name == key]

    def one(self, name: str) -> str | None:
        value = self._by_name.get(name.encode("latin-1"))
        if value is None:
            return None
        if len(self._by_name) != len(self._pairs) and len(self.all(name)) > 1:
            raise Malformed(f"the header {name} came twice")
        return _single(name, value.decode("latin-1"))

    def lack(self, names: HeaderNames) -> bool:
        return self._by_name.keys().isdisjoint(names.raw)

    def exceed(self, count: int, length: int) -> bool:
        by_name, fields = self._by_name, len(self._pairs)
        if fields == len(by_name) <= count:
            # Joining them is how Python adds up lengths fastest: a quarter of a microsecond.
            return len(b"".join(by_name.values())) > length
        return fields > count or sum(len(value) for _, value in self._pairs) > length


class PairHeaders(RawHeaders):
    """Header fields from pairs of any spelling, as a test writes them."""

    __slots__ = ()

    def __init__(self, pairs: Iterable[tuple[bytes, bytes]] | Iterable[tuple[str, str]]) -> None:
        super().__init__(
            [
                (k, v) if isinstance(k, bytes) else (k.lower().encode("latin-1"), _raw(v))  # type: ignore[misc]
                for k, v in pairs
            ]
        )


def _raw(value: str | bytes) -> bytes:
    return value if isinstance(value, bytes) else value.encode("latin-1")


class EnvironHeaders:
    """Header fields of a WSGI environ, where the server has joined duplicates with a comma."""

    __slots__ = ("_environ",)

    def __init__(self, environ: dict[str, Any]) -> None:
        self._environ = environ

    def all(self, name: str) -> list[str]:
        value = self._environ.get(_VARIABLES.get(name) or _variable(name))
        return [] if value is None else [value]

    def one(self, name: str) -> str | None:
        value = self._environ.get(_VARIABLES.get(name) or _variable(name))
        return None if value is None else _single(name, value)

    def lack(self, names: HeaderNames) -> bool:
        return self._environ.keys().isdisjoint(names.environ)

    def exceed(self, count: int, length: int) -> bool:
        # A walk along the environ takes a microsecond. Joining all that is text takes half of one, once it is
        # known which variables of this server are none; what is no header only makes that sum larger.
        environ = self._environ
        if len(environ) <= count:
            try:
                if len("".join((environ | _NOT_TEXT).values())) <= length:
                    return False
            except TypeError:
                _NOT_TEXT.update((k, "") for k, v in environ.items() if not isinstance(v, str))
        sent = [v for k, v in environ.items() if k[:5] == "HTTP_" or k == "CONTENT_TYPE"]
        # The server has joined what came more than once: here it counts by its length.
        return len(sent) > count or sum(map(len, sent)) > length


_NOT_TEXT: dict[str, str] = {}
"""The variables of a server's environ that hold no text (wsgi.input and the like), learnt as they are met."""
_VARIABLES: dict[str, str] = {"content-type": "CONTENT_TYPE", "content-length": "CONTENT_LENGTH"}


def _variable(name: str) -> str:
    """The environ's name for a header (PEP 3333), remembered: the names are the controls' own."""
    return _VARIABLES.setdefault(name, "HTTP_" + name.upper().replace("-", "_"))


def _single(name: str, value: str) -> str:
    if name in _NEVER_A_LIST and "," in value:
        raise Malformed(f"the header {name} came twice")
    return value
