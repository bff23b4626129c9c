"""bylaw's JSON endpoints in an OpenAPI document."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from bylaw.identity import AccessRule
from bylaw.pages import Route
from bylaw.pages.forms import Field
from bylaw.pages.openapi_schemes import Schemes

_SCHEMA = {
    "type": "object",
    "description": "Why a request was refused, or what went wrong (RFC 9457).",
    "required": ["type", "title", "status", "code"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "code": {"type": "string", "description": "The reason's name, for programs."},
        "detail": {"type": "string"},
        "instance": {"type": "string", "description": "The request's id, as in the log."},
        "errors": {
            "type": "array",
            "description": "What is wrong with which part of the request; never its value.",
            "items": {
                "type": "object",
                "properties": {"pointer": {"type": "string"}, "detail": {"type": "string"}},
            },
        },
    },
}


def _problem(description: str) -> dict[str, Any]:
    schema = {"$ref": "#/components/schemas/Refusal"}
    return {"description": description, "content": {"application/problem+json": {"schema": schema}}}


_PROBLEM = _problem("Refused, with a reason (RFC 9457)")
_ALWAYS = {
    "400": _problem("The request cannot be read"),
    "403": _problem("Not for whoever asks, or not from there"),
    "429": _problem("Too many requests; Retry-After says when to come back"),
    "500": _problem("Something went wrong here"),
    "503": _problem("Not possible at the moment; Retry-After says when to come back"),
}
"""What every request may be answered with."""
_GUARDED = {"401": _problem("Nobody is signed in, or has to show once more who it is (WWW-Authenticate)")}
_VALID = {"422": _problem("A value is not accepted; `errors` says which and why")}
_BODY = {
    **_VALID,
    "413": _problem("The body is too large"),
    "415": _problem("The body is of a type that is not read here"),
}
_OWN = {**_BODY, **_GUARDED, "409": _problem("It cannot be done as things are")}
"""What an operation of bylaw's own may be refused with besides."""
_METHODS = frozenset({"get", "put", "post", "delete", "options", "head", "patch", "trace"})
_FRAMEWORKS_OWN = ("HTTPValidationError", "ValidationError")


def extend(
    document: dict[str, Any],
    routes: Iterable[Route],
    guarded: Iterable[tuple[str, str, AccessRule]],
    *,
    schemes: Schemes,
) -> dict[str, Any]:
    """`document` as it is behind the gate: refusals are problems, and bylaw's endpoints are there.

    `guarded` are the (method, path, rule) of the application that ask for somebody; `schemes` says how
    somebody shows who he is.
    """
    _as_refused(document)
    for method, path, rule in guarded:
        operation = document.get("paths", {}).get(path, {}).get(method.lower())
        if operation is not None:
            operation["security"] = schemes.asked(path, rule)
            _answers(operation, _GUARDED)
    for route in routes:
        if route.api:
            path = document.setdefault("paths", {}).setdefault(route.path, {})
            for method in route.methods:
                if method != "HEAD":
                    path[method.lower()] = _operation(route, method, schemes)
    components = document.setdefault("components", {})
    components.setdefault("securitySchemes", {}).update(schemes.components())
    return document


def _as_refused(document: dict[str, Any]) -> None:
    """What the framework says of its own refusals is not what is sent: their shape is bylaw's."""
    for path in document.get("paths", {}).values():
        for method, operation in path.items():
            if method in _METHODS:
                operation.setdefault("responses", {}).pop("422", None)
                operation["responses"]["default"] = _PROBLEM
                _answers(operation, _ALWAYS)
                if "requestBody" in operation:
                    _answers(operation, _BODY)
                elif operation.get("parameters"):
                    _answers(operation, _VALID)
    schemas = document.setdefault("components", {}).setdefault("schemas", {})
    for name in _FRAMEWORKS_OWN:
        schemas.pop(name, None)
    schemas["Refusal"] = _SCHEMA


def _answers(operation: dict[str, Any], refusals: dict[str, Any]) -> None:
    """Say which refusals there may be, where the application has not said so in its own words."""
    for status, refusal in refusals.items():
        operation["responses"].setdefault(status, refusal)


def _operation(route: Route, method: str, schemes: Schemes) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "tags": ["account"],
        "summary": route.endpoint.title,
        "operationId": f"bylaw_{route.path.strip('/').translate(_NAME)}_{method.lower()}",
        "responses": {
            "2XX": {"description": "Done", "content": {"application/json": {"schema": {}}}},
            **_ALWAYS,
            "default": _PROBLEM,
        },
    }
    if "{id}" in route.path:
        operation["parameters"] = [
            {"name": "id", "in": "path", "required": True, "schema": {"type": "string"}}
        ]
    if method == "POST":
        schema = _schema(route.endpoint.fields)
        taken = {"application/json": {"schema": schema}}
        if route.endpoint.refused is not None:
            taken = _protocol(operation, schema)
        operation["requestBody"] = {"required": True, "content": taken}
        _answers(operation, _OWN)
    elif route.endpoint.show is not None:
        _answers(operation, _VALID)
    if "{id}" in route.path:
        _answers(operation, {"404": _problem("There is no such thing")})
    if route.rule.kind != "public":
        operation["security"] = schemes.asked(route.path, route.rule)
        _answers(operation, _GUARDED)
    return operation


def _protocol(operation: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    """What an endpoint of OAuth 2.0 takes; its refusals have the members of both (RFC 6749 section 5.2)."""
    refusal = {
        "allOf": [{"$ref": "#/components/schemas/Refusal"}],
        "required": ["error", "error_description"],
        "properties": {"error": {"type": "string"}, "error_description": {"type": "string"}},
    }
    content = {"application/json": {"schema": refusal}, **_PROBLEM["content"]}
    for status in ("400", "401", "403", "413", "415", "429", "503"):
        description = {**_ALWAYS, **_OWN}[status]["description"]
        operation["responses"][status] = {"description": description, "content": content}
    schema = {**schema, "additionalProperties": True}
    return {
        "application/x-www-form-urlencoded": {"schema": schema},
        "application/json": {"schema": schema},
    }


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
