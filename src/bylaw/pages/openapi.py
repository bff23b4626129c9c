"""bylaw's JSON endpoints in an OpenAPI document."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from bylaw.identity import AccessRule
from bylaw.pages import Route
from bylaw.pages.forms import Field

_PROBLEM = {
    "description": "Refused, with a reason (RFC 9457)",
    "content": {
        "application/problem+json": {
            "schema": {
                "type": "object",
                "required": ["type", "title", "status", "code"],
                "properties": {
                    "type": {"type": "string"},
                    "title": {"type": "string"},
                    "status": {"type": "integer"},
                    "code": {"type": "string"},
                    "detail": {"type": "string"},
                    "instance": {"type": "string"},
                    "errors": {"type": "array", "items": {"type": "object"}},
                },
            }
        }
    },
}
_METHODS = frozenset({"get", "put", "post", "delete", "options", "head", "patch", "trace"})
_FRAMEWORKS_OWN = ("HTTPValidationError", "ValidationError")


def extend(
    document: dict[str, Any],
    routes: Iterable[Route],
    guarded: Iterable[tuple[str, str, AccessRule]],
    *,
    cookie: str,
) -> dict[str, Any]:
    """`document` as it is behind the gate: refusals are problems, and bylaw's endpoints are there.

    `guarded` are the (method, path, rule) of the application that ask for a session; `cookie` is the name
    of the session's cookie.
    """
    _as_refused(document)
    for method, path, rule in guarded:
        operation = document.get("paths", {}).get(path, {}).get(method.lower())
        if operation is not None:
            operation["security"] = [{"session": _shown(rule)}]
    for route in routes:
        if route.api:
            path = document.setdefault("paths", {}).setdefault(route.path, {})
            for method in route.methods:
                if method != "HEAD":
                    path[method.lower()] = _operation(route, method)
    components = document.setdefault("components", {})
    components.setdefault("securitySchemes", {})["session"] = {
        "type": "apiKey",
        "in": "cookie",
        "name": cookie,
        "description": "The cookie of a session, opened by signing in.",
    }
    return document


def _as_refused(document: dict[str, Any]) -> None:
    """What the framework says of its own refusals is not what is sent: their shape is bylaw's."""
    for path in document.get("paths", {}).values():
        for method, operation in path.items():
            if method in _METHODS:
                operation.setdefault("responses", {}).pop("422", None)
                operation["responses"]["default"] = _PROBLEM
    schemas = document.get("components", {}).get("schemas", {})
    for name in _FRAMEWORKS_OWN:
        schemas.pop(name, None)


def _operation(route: Route, method: str) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "tags": ["account"],
        "summary": route.endpoint.title,
        "operationId": f"bylaw_{route.path.strip('/').translate(_NAME)}_{method.lower()}",
        "responses": {
            "2XX": {"description": "Done", "content": {"application/json": {"schema": {}}}},
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
        operation["security"] = [{"session": _shown(route.rule)}]
    return operation


def _shown(rule: AccessRule) -> list[str]:
    """What the session must have shown besides (OpenAPI 3.1, Security Requirement Object: roles)."""
    return [*(["aal2"] if rule.assurance > 1 else []), *([f"max_age={rule.max_age}"] if rule.max_age else [])]


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
    if field.required:
        text["minLength"] = 1
    if field.secret:
        text["format"] = "password"
    else:
        text["maxLength"] = field.limit
    if field.choices:
        text["enum"] = list(field.choices)
    return {"type": "array", "items": text} if field.many else text
