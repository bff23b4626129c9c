"""Whole values, before they are logged: gone through, as far as it is worth it, for what must not be seen."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from bylaw.controls.logs import redaction
from bylaw.controls.logs.redaction import FIELD, MASK

DEPTH: Final = 8
ITEMS: Final = 200
"""Of one collection; and ten times as many of all collections in one value."""
WHOLE: Final = 65_536
"""Characters of all the texts in one value at most: looking through them takes its time."""


def scrub(value: Any, key: str = "") -> Any:
    """A copy of `value` that may be logged or sent to an error reporter. Never raises.

    Dictionaries, lists, tuples and sets are gone through; text is looked through for secrets and for
    personal data; whatever shows a secret when it is printed becomes what it would have printed.
    """
    try:
        return _scrub(value, key, _Budget(), 0)
    except Exception as error:  # noqa: BLE001 - what cannot be looked at is not shown
        return f"({type(value).__name__} is not shown: {type(error).__name__})"


class _Budget:
    """How much of a value is still looked at, and what is being looked at."""

    __slots__ = ("left", "letters", "open")

    def __init__(self) -> None:
        self.left = 10 * ITEMS
        self.letters = WHOLE
        self.open: set[int] = set()


def _scrub(value: Any, key: str, budget: _Budget, depth: int) -> Any:
    if value is None or isinstance(value, bool):
        return value
    if key and redaction.is_secret(key):
        return MASK
    if isinstance(value, str | bytes | bytearray | memoryview):
        budget.letters -= min(len(value), FIELD)
        if budget.letters < 0:
            return "…"
    if isinstance(value, str):
        return _personal(value) if key and redaction.is_personal(key) else redaction.text(str(value))
    if isinstance(value, bytes | bytearray | memoryview):
        said = bytes(value[: 4 * FIELD]).decode("utf-8", "backslashreplace")
        return redaction.text(said).encode("utf-8", "surrogatepass")
    if isinstance(value, int | float):
        return _number(value, key)
    if isinstance(value, Mapping | list | tuple | set | frozenset):
        if depth >= DEPTH or id(value) in budget.open or budget.left <= 0:
            return "…"
        budget.open.add(id(value))
        try:
            return _collection(value, budget, depth + 1)
        finally:
            budget.open.discard(id(value))
    return _object(value)


def _collection(value: Any, budget: _Budget, depth: int) -> Any:
    if isinstance(value, Mapping):
        kept: dict[Any, Any] = {}
        for name, held in value.items():
            if len(kept) >= ITEMS or budget.left <= 0:
                kept["…"] = f"({len(value)} of them)"
                break
            budget.left -= 1
            said = _name(name)
            kept[redaction.text(said) if isinstance(name, str | bytes) else name] = _scrub(
                held, said, budget, depth
            )
        return kept
    items: list[Any] = []
    for held in value:
        if len(items) >= ITEMS or budget.left <= 0:
            items.append("…")
            break
        budget.left -= 1
        items.append(_scrub(held, "", budget, depth))
    if len(items) == 2 and isinstance(value, list | tuple) and isinstance(value[0], str | bytes):
        # A header field or a form's field, as frameworks hand them about.
        items[1] = _scrub(value[1], _name(value[0]), budget, depth)
    if isinstance(value, set | frozenset):
        return [*items]
    return tuple(items) if isinstance(value, tuple) else items


def _name(name: object) -> str:
    if isinstance(name, bytes):
        return name[:100].decode("utf-8", "backslashreplace")
    return name[:100] if isinstance(name, str) else str(name)[:100] if isinstance(name, int | float) else ""


def _number(value: float, key: str) -> Any:
    said = str(value)
    if key and redaction.is_personal(key):
        return _personal(said)
    changed = redaction.text(said) if len(said) >= 13 else said
    return value if changed == said else changed


def _personal(value: str) -> str:
    changed = redaction.text(value)
    return changed if changed != value or MASK in value or not value else f"{MASK}{value[-2:]}"


def _object(value: Any) -> Any:
    """The object itself where nothing that it prints is secret; otherwise what it prints, masked."""
    for printed in (str, repr):
        said = _said(printed, value)
        changed = redaction.text(said)
        if changed != said:
            return changed
    return value


def _said(printed: Callable[[Any], str], value: Any) -> str:
    return str(printed(value))
