"""What is said of a value that cannot be: where it stands, what was found, what is accepted."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from pydantic import SecretStr
from pydantic.fields import FieldInfo

from bylaw.control import Section
from bylaw.errors import PolicyError, Problem
from bylaw.quantities import seconds

Key = tuple[str, ...]
"""The way to a key from the top of the policy; an item of a list by its number."""


def unreadable(path: Path, what: str, why: str, accepted: str = "") -> PolicyError:
    """The error of a file that is not even a policy; the line is taken from the parser's words."""
    line = re.search(r" \(at line (\d+), column \d+\)$", why)
    where = f"{path.name}:{line[1]}" if line else path.name
    why = why[: line.start()] if line else why
    return PolicyError(f"{path} cannot be read", [Problem(where, what, why, accepted)])


def nearest(name: str, known: Iterable[str]) -> str:
    known = sorted(known)
    near = get_close_matches(name, known, n=1)
    return f"nearest: {near[0]}" if near else f"known: {', '.join(known)}"


def table_of(model: type[Section], loc: Key) -> tuple[type[Section], str]:
    """The table that the key at `loc` stands in, and the key: sections hold tables and lists of them."""
    table, key = model, ""
    for part in loc:
        if key in table.model_fields:
            inner = getattr(table.model_fields[key].annotation, "__args__", ())
            table = next((a for a in inner if hasattr(a, "model_fields")), table)
        elif key and table.EACH is not None:
            table = table.EACH
        key = key if part.isdigit() else part
    return table, key


def leaves(path: Key, value: Any) -> list[tuple[Key, Any]]:
    """The values in `value`, each with its path."""
    if isinstance(value, list):
        return [leaf for i, v in enumerate(value) for leaf in leaves((*path, str(i)), v)]
    return [(path, value)]


def is_secret(model: type[Section], loc: Key) -> bool:
    if not loc:
        return False
    table, key = table_of(model, loc)
    info = model.model_fields.get(loc[0]) or table.model_fields.get(key)
    return info is not None and "SecretStr" in str(info.annotation)


def default_text(info: FieldInfo) -> object:
    """A key's default as text, where it is a secret's: where one comes from, or that there is none."""
    return info.default.get_secret_value() if isinstance(info.default, SecretStr) else info.default


def toml(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 60 else text[:57] + "…"


def at(table: Any, loc: tuple[str | int, ...], otherwise: Any) -> Any:
    """What is written at `loc`; `otherwise` where nothing is."""
    for part in loc:
        try:
            table = table[part]
        except (KeyError, IndexError, TypeError):
            return otherwise
    return table


def explained(error: dict[str, Any], info: FieldInfo | None) -> tuple[str, str]:
    """What is wrong with a value and what may be written instead, in the words of the file."""
    context = error.get("ctx", {})
    examples = (info.examples if info is not None else None) or ()
    lasting = info is not None and any(getattr(m, "func", None) is seconds for m in info.metadata)
    unit = " seconds" if lasting else ""
    match error["type"]:
        case "literal_error":
            return "no such value", f"one of {context['expected'].replace(chr(39), chr(34))}"
        case "greater_than_equal":
            return "too small", f"{context['ge']}{unit} or more"
        case "less_than_equal":
            return "too large", f"{context['le']}{unit} or less"
        case "string_too_short" | "too_short":
            return "too short", f"{context['min_length']} or more"
        case "string_too_long" | "too_long":
            return "too long", f"{context['max_length']} or fewer"
        case "missing":
            return "not written", "this key has no default"
        case "string_pattern_mismatch" if examples:
            return "not of this form", f"e.g. {' or '.join(map(toml, examples))}"
        case "string_pattern_mismatch":
            return "not of this form", context["pattern"]
        case "string_type":
            return "text is expected", '"…"'
        case "bool_type":
            return "true or false is expected", ""
        case "int_type":
            return "a whole number is expected", ""
        case "list_type" | "tuple_type":
            return "a list is expected", '["…"]'
        case "dict_type" | "model_type":
            return "a table is expected", ""
        case kind if kind.startswith("date_"):
            return "a date is expected", "e.g. 2027-03-31"
    return str(error["msg"]).removeprefix("Value error, "), ""
