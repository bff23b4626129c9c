"""The policy's JSON Schema, so that editors complete and check `bylaw.toml` as it is written."""

from __future__ import annotations

from typing import Any

from bylaw import controls
from bylaw.policy import PROFILES, sections

_REFERENCE = {"type": "string", "pattern": "^(env:[A-Za-z_][A-Za-z0-9_]*(\\?| or .+)?|file:.+)$",
              "description": "Taken from the environment or from a file."}


def policy_schema() -> dict[str, Any]:
    """The schema of a whole policy (JSON Schema 2020-12)."""
    tables = {}
    definitions: dict[str, Any] = {}
    for name, model in sections(controls.CONTROLS).items():
        schema = model.model_json_schema()
        definitions.update(schema.pop("$defs", {}))
        schema.pop("required", None)  # what is missing may come from the profile or the environment
        for key, field in schema.get("properties", {}).items():
            schema["properties"][key] = _or_reference(field)
        tables[name] = schema
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
        "$defs": definitions,
    }


def _or_reference(field: dict[str, Any]) -> dict[str, Any]:
    kept: dict[str, Any] = {key: field.pop(key) for key in ("description", "default", "title") if key in field}
    return {**kept, "anyOf": [field, _REFERENCE]} if field.get("type") != "boolean" else {
        **kept, **field}
