"""bylaw's JSON endpoints in an OpenAPI document."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from bylaw.pages import Route
from bylaw.pages.forms import Field

_PROBLEM = {
    "description": "Refused, with a reason (RFC 9457)",
    "content": {"application/problem+json": {"schema": {
        "type": "object",
        "required": ["type", "title", "status", "code"],
        "properties": {
            "type": {"type": "string"}, "title": {"type": "string"},
            "status": {"type": "integer"}, "code": {"type": "string"},
            "detail": {"type": "string"}, "instance": {"type": "string"},
            "errors": {"type": "array", "items": {"type": "object"}},
        },
    }}},
}


def extend(document: dict[str, Any], routes: Iterator[Route]) -> dict[str, Any]:
    """`document` with bylaw's own endpoints in it."""
    for route in routes:
        if route.api:
            path = document.setdefault("paths", {}).setdefault(route.path, {})
            for method in route.methods:
                if method != "HEAD":
                    path[method.lower()] = _operation(route, method)
    return document


def _operation(route: Route, method: str) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "tags": ["account"],
        "summary": route.endpoint.title,
        "operationId": f"bylaw_{route.path.strip('/').translate(_NAME)}_{method.lower()}",
        "responses": {
            "200": {"description": "Done", "content": {"application/json": {"schema": {}}}},
            "default": _PROBLEM,
        },
    }
    if "{id}" in route.path:
        operation["parameters"] = [
            {"name": "id", "in": "path", "required": True, "schema": {"type": "string"}}
        ]
    if method == "POST":
        operation["requestBody"] = {
            "required": True,
            "content": {"application/json": {"schema": _schema(route.endpoint.fields)}},
        }
    if route.rule.kind != "public":
        operation["security"] = [{"session": []}]
    return operation


_NAME = str.maketrans("/{}-", "____")


def _schema(fields: tuple[Field, ...]) -> dict[str, Any]:
    return {
        "type": "object",
        "additionalProperties": False,
        "required": [f.name for f in fields if f.required],
        "properties": {f.name: _property(f) for f in fields},
    }


def _property(field: Field) -> dict[str, Any]:
    text: dict[str, Any] = {"type": "string"}
    if field.secret:
        text["format"] = "password"
    else:
        text["maxLength"] = field.limit
    return {"type": "array", "items": text} if field.many else text
