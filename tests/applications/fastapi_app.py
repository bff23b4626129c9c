"""The notes application in FastAPI."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, FastAPI, Form, Request
from fastapi.responses import HTMLResponse, PlainTextResponse
from markupsafe import escape
from pydantic import BaseModel, ConfigDict

from bylaw.controls import headers
from bylaw.fastapi import Bylaw, Identity, Permit, Public, SignedIn
from bylaw.pages import rendering
from tests.applications.notes import Notes

HERE = Path(__file__).parent
router = APIRouter(prefix="/api")
pages = APIRouter()


class Draft(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)
    text: str


def _notes(request: Request) -> Notes:
    state: Notes = request.app.state.notes
    return state


@router.get("/notes")
def listed(request: Request, who: Annotated[Identity, Permit("note:read")]) -> list[dict[str, Any]]:
    return _notes(request).listed()


@router.post("/notes", status_code=201)
def create(
    request: Request, draft: Draft, who: Annotated[Identity, Permit("note:create")]
) -> dict[str, Any]:
    return _notes(request).create(who, draft.text)


@router.put("/notes/{number}")
def change(
    request: Request, number: int, draft: Draft, who: Annotated[Identity, Permit("note:update")]
) -> dict[str, Any]:
    return _notes(request).change(who, number, draft.text)


@router.delete("/notes/{number}")
def delete(
    request: Request, number: int, who: Annotated[Identity, Permit("note:delete")]
) -> dict[str, Any]:
    _notes(request).delete(who, number)
    return {}


@router.patch("/notes/{number}")
def patch(
    request: Request, number: int, draft: Draft, who: Annotated[Identity, Permit("note:update")]
) -> dict[str, Any]:
    return _notes(request).change(who, number, draft.text)


@router.post("/open/notes", status_code=201)
def create_open(
    request: Request, draft: Draft, who: Annotated[Identity, Permit("note:create")]
) -> dict[str, Any]:
    return _notes(request).create(who, draft.text)


@pages.get("/report", dependencies=[Permit("report:read")])
async def report(request: Request) -> dict[str, int]:
    return {"notes": len(_notes(request).by_id)}


@pages.get("/page", response_class=HTMLResponse)
def page(request: Request, who: Annotated[Identity, SignedIn()], q: str = "") -> str:
    house, exchange = request.app.state.bylaw.site.house, request.scope["bylaw.exchange"]
    return (
        f"<!doctype html><title>{escape(q)}</title>"
        f"<script nonce='{headers.nonce(exchange)}'>1</script>"
        f"<form method=post action=/form>{rendering.field(house, exchange)}<input name=text></form>"
    )


@pages.post("/form")
def form(
    request: Request, text: Annotated[str, Form()], who: Annotated[Identity, Permit("note:create")]
) -> dict[str, Any]:
    return _notes(request).create(who, text)


@pages.get("/", response_class=PlainTextResponse, dependencies=[Public("the front page")])
async def home() -> str:
    return "notes"


@pages.get("/broken", dependencies=[Public("raises, to see what is said")])
async def broken() -> None:
    raise RuntimeError("SELECT secret FROM users -- canary-7f3a")


def create_app() -> FastAPI:
    app = FastAPI(title="Notes")
    app.state.notes = Notes()
    Bylaw(app, HERE / "bylaw.toml")
    app.include_router(router)
    app.include_router(pages)
    return app
