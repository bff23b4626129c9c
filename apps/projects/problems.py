"""What the register answers where something is not there, or was changed meanwhile."""

from __future__ import annotations

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse

from apps.projects.versions import NotThereError, OutdatedError


def _answer(status: int, title: str, **more: object) -> JSONResponse:
    body = {"type": "about:blank", "title": title, "status": status, **more}
    return JSONResponse(body, status, media_type="application/problem+json")


async def _not_there(_: Request, __: Exception) -> JSONResponse:
    return _answer(404, "There is nothing here, or was nothing then.")


async def _outdated(_: Request, error: Exception) -> JSONResponse:
    newest = error.version if isinstance(error, OutdatedError) else 0
    return _answer(
        409, "Somebody else has changed this since. Look at the newest version and try again.", version=newest
    )


def install(app: FastAPI) -> None:
    app.add_exception_handler(NotThereError, _not_there)
    app.add_exception_handler(OutdatedError, _outdated)
