"""A response's head, while the controls can still change it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, AnyStr, Generic, Protocol

from bylaw.errors import MisuseError

if TYPE_CHECKING:
    from bylaw.exchange.request import Exchange


class Head(Protocol):
    """A response's status and header fields, while they can still be changed."""

    status: int
    torn: bool
    """Whether a name or value holds a line break or NUL, which would begin another field or answer,
    or what cannot be sent at all."""

    @property
    def names(self) -> Collection[str]:
        """The fields' names, in lower case: most of what a control looks for is not there."""

    def get(self, name: str) -> str | None:
        """The first value of the field `name` (lower case)."""

    def every(self, name: str) -> list[str]:
        """All values of the field, in order."""

    def set(self, name: str, value: str) -> None:
        """Put `value` in the place of whatever the field held."""

    def add(self, name: str, value: str) -> None:
        """Add one more field, as Set-Cookie needs."""

    def remove(self, name: str) -> None:
        """Drop the field."""

    def stamp(self, name: HeaderName, value: str) -> None:
        """Like `set`, for a prepared name and a value of ASCII letters, digits and marks alone."""

    def put(self, block: NumberBlock, *numbers: int) -> None:
        """Put a prepared block in the place of whatever its fields held. `names` does not tell of it."""

    def complete(self, block: HeaderBlock) -> None:
        """Drop and add what a prepared block says. `names` tells only of what stood there before."""


_Prepared = tuple[tuple[tuple[AnyStr, AnyStr], ...], dict[str, AnyStr]]
"""Fields in one spelling, and their values by name in lower case."""


class HeaderName:
    """The name of a field that every response gets, in both spellings."""

    __slots__ = ("key", "raw", "text")

    def __init__(self, name: str) -> None:
        self.text = name
        self.key = name.lower()
        self.raw = self.key.encode("latin-1")


@dataclass(frozen=True, slots=True)
class NumberBlock:
    """Fields that hold numbers of this response: what writes them, in both spellings.

    Written out by hand, five fields cost 0.4 µs; from templates and in a loop they cost four times that.
    """

    keys: frozenset[str]
    """The fields' names in lower case."""
    text: Callable[[int, int, int], Iterable[tuple[str, str]]]
    raw: Callable[[int, int, int], Iterable[tuple[bytes, bytes]]]


class HeaderBlock:
    """Fields that are the same on every response, prepared once in both spellings.

    First the fields named in `drop` (lower case) go, then those of `said` are added to whatever stands
    there, then those of `defaults` that the response does not have. No field comes twice.
    """

    __slots__ = ("defaults", "drop", "heeds", "raw", "text")

    def __init__(
        self,
        said: Iterable[tuple[str, str]],
        defaults: Iterable[tuple[str, str]] = (),
        drop: Iterable[str] = (),
    ) -> None:
        defaults = tuple(defaults)
        pairs = (*said, *defaults)
        if any(_tears(name + value) for name, value in pairs):
            raise MisuseError("a prepared header holds a line break")
        raw = tuple((n.lower().encode("latin-1"), v.encode("latin-1")) for n, v in pairs)
        self.drop = frozenset(drop)
        self.defaults = frozenset(name.lower() for name, _ in defaults)
        self.heeds = self.drop | self.defaults
        self.text: _Prepared[str] = pairs, {name.lower(): value for name, value in pairs}
        self.raw: _Prepared[bytes] = raw, {name.decode("latin-1"): value for name, value in raw}

    def joined(self, other: HeaderBlock) -> HeaderBlock:
        """Both at once: completing with one block costs half as much as with two."""
        defaults = self.defaults | other.defaults
        pairs = (*self.text[0], *other.text[0])
        return HeaderBlock(
            [pair for pair in pairs if pair[0].lower() not in defaults],
            [pair for pair in pairs if pair[0].lower() in defaults],
            self.drop | other.drop,
        )


def _tears(text: str) -> bool:
    if "\n" in text or "\r" in text or "\0" in text:
        return True
    # What no byte stands for (PEP 3333) a server finds out when half the head has left.
    return not text.isascii() and max(text) > "\xff"


class _Fields(Generic[AnyStr]):
    """What both spellings of a head have in common: whatever is rare."""

    __slots__ = ("_block", "names", "pairs", "status", "torn")

    status: int
    pairs: list[tuple[AnyStr, AnyStr]]
    torn: bool
    names: dict[str, AnyStr]
    """With the first value of each."""
    _block: dict[str, AnyStr] | None

    @staticmethod
    def _text(spelt: AnyStr) -> str:
        raise NotImplementedError

    @staticmethod
    def _spelt(text: str) -> AnyStr:
        raise NotImplementedError

    @staticmethod
    def _prepared(block: HeaderBlock) -> _Prepared[AnyStr]:
        raise NotImplementedError

    def add(self, name: str, value: str) -> None:
        raise NotImplementedError

    def get(self, name: str) -> str | None:
        value = self.names.get(name)
        if value is None and self._block is not None:
            value = self._block.get(name)
        return None if value is None else self._text(value)

    def every(self, name: str) -> list[str]:
        spelt = self._spelt(name)
        return [self._text(value) for key, value in self.pairs if key.lower() == spelt]

    def set(self, name: str, value: str) -> None:
        if name in self.names:
            self.remove(name)
        self.add(name, value)

    def remove(self, name: str) -> None:
        if name in self.names:
            self._drop((name,))

    def complete(self, block: HeaderBlock) -> None:
        names, (prepared, by_name) = self.names, self._prepared(block)
        if not block.heeds.isdisjoint(names):
            self._drop(block.drop)
            there = block.defaults.intersection(names)
            named = zip(by_name, prepared, strict=True)
            prepared = tuple(pair for name, pair in named if name not in there)
        self.pairs.extend(prepared)
        self._block = by_name

    def _drop(self, names: Collection[str]) -> None:
        for name in names:
            self.names.pop(name, None)
        self.pairs[:] = [p for p in self.pairs if self._text(p[0]).lower() not in names]


class TextHead(_Fields[str]):
    """A head over text pairs, as WSGI and bylaw's own responses have them."""

    __slots__ = ()

    def __init__(self, status: int, pairs: list[tuple[str, str]]) -> None:
        self.status = status
        self.pairs = pairs
        self.names = {}
        self._block = None
        said = ""
        for name, value in reversed(pairs):
            self.names[name.lower()] = value
            said += name + value
        self.torn = _tears(said)

    def add(self, name: str, value: str) -> None:
        self.names.setdefault(name, value)
        self.pairs.append((name.title(), value))
        self.torn = self.torn or _tears(value)

    def stamp(self, name: HeaderName, value: str) -> None:
        if name.key in self.names:
            self.remove(name.key)
        self.names[name.key] = value
        self.pairs.append((name.text, value))

    def put(self, block: NumberBlock, *numbers: int) -> None:
        if not block.keys.isdisjoint(self.names):
            self._drop(block.keys)
        self.pairs += block.text(*numbers)

    @staticmethod
    def _text(spelt: str) -> str:
        return spelt

    @staticmethod
    def _spelt(text: str) -> str:
        return text

    @staticmethod
    def _prepared(block: HeaderBlock) -> _Prepared[str]:
        return block.text


class RawHead(_Fields[bytes]):
    """A head over byte pairs, as ASGI has them."""

    __slots__ = ()

    def __init__(self, status: int, pairs: list[tuple[bytes, bytes]]) -> None:
        self.status = status
        self.pairs = pairs
        self.names = {}
        self._block = None
        said = b""
        for name, value in reversed(pairs):
            self.names[name.decode("latin-1").lower()] = value
            said += name + value
        self.torn = _tears(said.decode("latin-1"))

    def add(self, name: str, value: str) -> None:
        raw = value.encode("latin-1")
        self.names.setdefault(name, raw)
        self.pairs.append((name.encode("latin-1"), raw))
        self.torn = self.torn or _tears(value)

    def stamp(self, name: HeaderName, value: str) -> None:
        if name.key in self.names:
            self.remove(name.key)
        raw = self.names[name.key] = value.encode("ascii")
        self.pairs.append((name.raw, raw))

    def put(self, block: NumberBlock, *numbers: int) -> None:
        if not block.keys.isdisjoint(self.names):
            self._drop(block.keys)
        self.pairs += block.raw(*numbers)

    @staticmethod
    def _text(spelt: bytes) -> str:
        return spelt.decode("latin-1")

    @staticmethod
    def _spelt(text: str) -> bytes:
        return text.encode("latin-1")

    @staticmethod
    def _prepared(block: HeaderBlock) -> _Prepared[bytes]:
        return block.raw


Depart = Callable[["Exchange", Head], None]
"""A step on the way out: it may change the response's head, never its meaning."""
