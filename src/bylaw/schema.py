"""The policy's JSON Schema, so that editors complete and check `bylaw.toml` as it is written."""

from __future__ import annotations

from typing import Any, Final, get_args

from pydantic import SecretStr
from pydantic.fields import FieldInfo

from bylaw import controls
from bylaw.policy import PROFILES, default_text, sections
from bylaw.quantities import octets

_SHARED: Final = {
    "reference": {
        "type": "string",
        "pattern": "^(env:[A-Za-z_][A-Za-z0-9_]*(\\?| or .+)?|file:.+)$",
        "description": "Taken from the environment or from a file.",
    },
    "address": {"type": "string", "pattern": "://", "description": "An address without a password."},
    "span": {
        "type": "string",
        "examples": ["30m", "24h", "7d"],
        "pattern": "^\\s*[0-9]+\\s*(s|m|h|d|(second|minute|hour|day)s?)?\\s*$",
    },
    "size": {
        "type": "string",
        "examples": ["500kB", "10MB"],
        "pattern": "^\\s*[0-9]{1,15}\\s*([kKmMgG][iI]?)?[bB]?\\s*$",
    },
}
_REFERENCE, _ADDRESS, _SPAN, _SIZE = ({"$ref": f"#/$defs/{name}"} for name in _SHARED)


def policy_schema() -> dict[str, Any]:
    """The schema of a whole policy (JSON Schema 2020-12)."""
    tables = {}
    definitions: dict[str, Any] = {}
    for name, model in sections(controls.CONTROLS).items():
        schema = model.model_json_schema()
        definitions.update(schema.pop("$defs", {}))
        schema.pop("required", None)  # what is missing may come from the profile or the environment
        schema["properties"] = {
            key: _key(model.model_fields[key], field) for key, field in schema["properties"].items()
        }
        tables[name] = _untitled(schema)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "bylaw policy",
        "description": f"Profiles: {', '.join(PROFILES)}.",
        "type": "object",
        "additionalProperties": False,
        "properties": {
            **tables,
            "development": {
                "type": "object",
                "description": "Layered over the rest when BYLAW_ENV=development.",
                "additionalProperties": False,
                "properties": tables,
            },
        },
        "$defs": {**_SHARED, **_untitled(definitions)},
    }


def default_of(info: FieldInfo) -> Any:
    """A key's default as a policy would write it; None where there is none to write."""
    default = info.get_default(call_default_factory=True, validated_data={})
    # The default of a secret is where it comes from, never one.
    return default.get_secret_value() if isinstance(default, SecretStr) else default


def limit_of(info: FieldInfo, name: str) -> Any:
    """A key's lower (`ge`) or upper (`le`) limit, None where it has none."""
    return next((getattr(m, name) for m in info.metadata if hasattr(m, name)), None)


def is_size(info: FieldInfo) -> bool:
    """Whether a key's value is a number of bytes, or may be one (`Size | None`)."""
    nested = [m for part in get_args(info.annotation) for m in getattr(part, "__metadata__", ())]
    return any(getattr(m, "func", None) is octets for m in (*info.metadata, *nested))


def _key(info: FieldInfo, field: dict[str, Any]) -> dict[str, Any]:
    """What may stand at a key: its own values and, where text is taken, a reference to one."""
    shown: dict[str, Any] = {"description": field.pop("description", "")}
    field.pop("default", None)
    if default_of(info) is not None:
        shown["default"] = default_of(info)
    examples = field.pop("examples", None)
    kinds = [kind for part in field.get("anyOf", [field]) for kind in _kinds(info, part)]
    if examples and _SPAN not in kinds and _SIZE not in kinds:
        shown["examples"] = examples
    return {**shown, **(kinds[0] if len(kinds) == 1 else {"anyOf": kinds})}


def _kinds(info: FieldInfo, part: dict[str, Any]) -> list[dict[str, Any]]:
    match part.get("type"):
        case "null":
            return []  # TOML has none: the key is left out
        case ["integer", "string"]:  # a duration, or a size
            whole = {"type": "integer", "minimum": limit_of(info, "ge") or 0}
            top = limit_of(info, "le")
            text = _SIZE if is_size(info) else _SPAN
            return [whole if top is None else {**whole, "maximum": top}, text, _REFERENCE]
        case "string" if part.get("format") == "password":
            # What is no reference is not where a secret comes from, and everybody may know it.
            own = default_text(info)
            literal = isinstance(own, str) and not own.startswith(("env:", "file:"))
            return [_REFERENCE, _ADDRESS, *([{"const": own}] if literal else [])]
        case "string" if set(part) - {"type", "title"}:
            return [part, _REFERENCE]
        case "array" if part["items"].get("type") == "string":
            items = _kinds(info, part["items"])
            return [{**part, "items": items[0] if len(items) == 1 else {"anyOf": items}}]
    return [part]


def _untitled(schema: Any) -> Any:
    """Without the titles that only repeat a key's name."""
    if isinstance(schema, dict):
        return {k: _untitled(v) for k, v in schema.items() if k != "title" or not isinstance(v, str)}
    return [_untitled(each) for each in schema] if isinstance(schema, list) else schema
