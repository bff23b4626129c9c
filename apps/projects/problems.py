"""What the register answers where something is not there, or was changed meanwhile (RFC 9457)."""

from __future__ import annotations

from typing import Any, Final

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse

from apps.projects.versions import HeldError, NotThereError, OutdatedError

KIND: Final = "application/problem+json"


def _answer(status: int, code: str, title: str, **more: object) -> JSONResponse:
    body = {"type": f"urn:{code.replace('.', ':')}", "title": title, "status": status, "code": code, **more}
    return JSONResponse(body, status, media_type=KIND, headers={"Cache-Control": "no-store"})


async def _not_there(_: Request, __: Exception) -> JSONResponse:
    return _answer(404, "register.not_there", "There is nothing here, or was nothing then.")


async def _outdated(_: Request, error: Exception) -> JSONResponse:
    newest = error.version if isinstance(error, OutdatedError) else 0
    title = "Somebody else has changed this since. Look at the newest version and try again."
    return _answer(409, "register.outdated", title, version=newest)


async def _held(_: Request, error: Exception) -> JSONResponse:
    return _answer(
        409, "register.held", "This cannot be done as long as something else stands.", detail=str(error)
    )


def install(app: FastAPI) -> None:
    app.add_exception_handler(NotThereError, _not_there)
    app.add_exception_handler(OutdatedError, _outdated)
    app.add_exception_handler(HeldError, _held)


# In the OpenAPI document


def _described(description: str, **members: object) -> dict[str, Any]:
    schema: dict[str, Any] = {"$ref": "#/components/schemas/Refusal"}
    if members:
        schema = {"allOf": [schema, {"type": "object", "properties": members}]}
    return {"description": description, "content": {KIND: {"schema": schema}}}


NOT_THERE: Final[dict[int | str, dict[str, Any]]] = {
    404: _described("There is no such thing, or was none then")
}
OUTDATED: Final[dict[int | str, dict[str, Any]]] = {
    409: _described(
        "Somebody was faster, or something else stands in the way",
        version={"type": "integer", "description": "The newest version, where somebody was faster"},
    )
}
CONFLICT: Final[dict[int | str, dict[str, Any]]] = {409: _described("It cannot be done as things are")}
