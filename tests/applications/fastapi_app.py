"""The notes application in FastAPI."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, FastAPI, Form, Request
from fastapi.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from markupsafe import escape
from pydantic import BaseModel, ConfigDict

from bylaw.controls import headers, uploads
from bylaw.fastapi import Bylaw, Given, Identity, Permit, Public, SignedIn, Takes
from bylaw.pages import rendering
from tests.applications import notes as model
from tests.applications import parts
from tests.applications.notes import Notes

HERE = Path(__file__).parent
POLICY = HERE / "bylaw.toml"
router = APIRouter(prefix="/api")
pages = APIRouter()
filing = APIRouter()
"""What takes files: only where the policy takes any."""


class Draft(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)
    text: str


class Link(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)
    url: str


class Choice(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)
    ids: list[int]


class Csv(Response):
    media_type = "text/csv"


class Binary(Response):
    media_type = "application/octet-stream"


def _notes(request: Request) -> Notes:
    state: Notes = request.app.state.notes
    return state


# Notes


@router.get("/notes")
def listed(request: Request, who: Annotated[Identity, Permit("note:read")]) -> list[dict[str, Any]]:
    return _notes(request).listed()


@router.post("/notes", status_code=201)
def create(request: Request, draft: Draft, who: Annotated[Identity, Permit("note:create")]) -> dict[str, Any]:
    return _notes(request).create(who, draft.text)


@router.put("/notes/{number:int}")
def change(
    request: Request, number: int, draft: Draft, who: Annotated[Identity, Permit("note:update")]
) -> dict[str, Any]:
    return _notes(request).change(who, number, draft.text)


@router.delete("/notes/{number:int}")
def delete(request: Request, number: int, who: Annotated[Identity, Permit("note:delete")]) -> dict[str, Any]:
    _notes(request).delete(who, number)
    return {}


@router.patch("/notes/{number:int}")
def patch(
    request: Request, number: int, draft: Draft, who: Annotated[Identity, Permit("note:update")]
) -> dict[str, Any]:
    return _notes(request).change(who, number, draft.text)


@router.post("/open/notes", status_code=201)
def create_open(
    request: Request, draft: Draft, who: Annotated[Identity, Permit("note:create")]
) -> dict[str, Any]:
    return _notes(request).create(who, draft.text)


@router.post("/fetched")
async def fetched(
    request: Request, link: Link, who: Annotated[Identity, Permit("note:read")]
) -> dict[str, Any]:
    bylaw = request.app.state.bylaw
    received = await bylaw.off_loop(bylaw.fetch, link.url)
    return {"status": received.status, "body": received.body.decode("utf-8", "replace")}


programs = APIRouter(prefix="/bearer")


@programs.get("/notes")
def listed_to_programs(
    request: Request, who: Annotated[Identity, Permit("note:read")]
) -> list[dict[str, Any]]:
    return _notes(request).listed()


@programs.post("/notes", status_code=201)
def create_by_program(
    request: Request, draft: Draft, who: Annotated[Identity, Permit("note:create")]
) -> dict[str, Any]:
    return _notes(request).create(who, draft.text)


@programs.put("/notes/{number:int}")
def change_by_program(
    request: Request, number: int, draft: Draft, who: Annotated[Identity, Permit("note:update")]
) -> dict[str, Any]:
    return _notes(request).change(who, number, draft.text)


@programs.get("/me")
def program(who: Annotated[Identity, SignedIn()]) -> dict[str, Any]:
    return {"id": who.id, "method": who.method}


# Papers


@router.get("/papers")
def papers(request: Request, who: Annotated[Identity, Permit("paper:read")]) -> list[dict[str, Any]]:
    return _notes(request).mine(who, request.query_params.multi_items())


@router.post("/papers", status_code=201)
def write(request: Request, draft: Draft, who: Annotated[Identity, Permit("paper:create")]) -> dict[str, Any]:
    return _notes(request).write(who, draft.text)


@router.get("/papers/{number:int}")
def read(request: Request, number: int, who: Annotated[Identity, Permit("paper:read")]) -> dict[str, Any]:
    return _notes(request).read(who, number)


@router.put("/papers/{number:int}")
@router.patch("/papers/{number:int}")
def rewrite(
    request: Request, number: int, draft: Draft, who: Annotated[Identity, Permit("paper:update")]
) -> dict[str, Any]:
    return _notes(request).rewrite(who, number, draft.text)


@router.delete("/papers/{number:int}")
def discard(
    request: Request, number: int, who: Annotated[Identity, Permit("paper:delete")]
) -> dict[str, Any]:
    _notes(request).discard(who, [number])
    return {}


@router.post("/papers/discard")
def discard_many(
    request: Request, choice: Choice, who: Annotated[Identity, Permit("paper:delete")]
) -> dict[str, Any]:
    _notes(request).discard(who, choice.ids)
    return {}


@router.get("/papers/key/{key}")
def by_key(request: Request, key: str, who: Annotated[Identity, Permit("paper:read")]) -> dict[str, Any]:
    return _notes(request).by_key(who, key)


@router.get("/papers/export", response_class=Csv)
def export(request: Request, who: Annotated[Identity, Permit("paper:read")], format: str = "csv") -> Response:
    rows = _notes(request).export(who)
    bylaw: Bylaw = request.app.state.bylaw
    return bylaw.export("papers", ["id", "text"], rows, format=format)


# Attachments


@filing.post("/api/attachments", status_code=201)
def attach(
    request: Request,
    given: Annotated[list[Given], Takes("file", kinds=model.ATTACHED, most=5)],
    who: Annotated[Identity, Permit("note:create")],
) -> dict[str, Any]:
    files = request.app.state.bylaw.files
    return {"files": [model.shown(files.take(each, by=who, subject="notes")) for each in given]}


@filing.get("/api/attachments")
def attachments(request: Request, who: Annotated[Identity, Permit("note:read")]) -> dict[str, Any]:
    return {"files": [model.shown(each) for each in request.app.state.bylaw.files.of("notes")]}


@filing.get("/api/attachments/{file_id}", response_class=Response)
def attachment(request: Request, file_id: str, who: Annotated[Identity, Permit("note:read")]) -> Response:
    sent: Response = request.app.state.bylaw.files.send(file_id, "notes")
    return sent


# Imports


@filing.get("/import", response_class=HTMLResponse)
def import_form(request: Request, who: Annotated[Identity, Permit("note:create")]) -> str:
    house, exchange = request.app.state.bylaw.site.house, request.scope["bylaw.exchange"]
    return parts.FORM.replace("{{ csrf_field() }}", str(rendering.field(house, exchange)))


@filing.post("/import", response_model=None)
def import_parts(
    request: Request,
    given: Annotated[list[Given], Takes("file", kinds=parts.KINDS)],
    who: Annotated[Identity, Permit("note:create")],
) -> Response | dict[str, str]:
    bylaw = request.app.state.bylaw
    made = parts.begun(bylaw.imports, bylaw.engine, given, who)
    if request.headers.get("accept") == "application/json":
        return made
    return RedirectResponse(made["url"], 303)


# Pages


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


@pages.get(
    "/go",
    response_class=RedirectResponse,
    status_code=303,
    dependencies=[Public("redirects within the site")],
)
async def go(to: str = "") -> RedirectResponse:
    return RedirectResponse(model.destination(to), 303)


@pages.get("/download", response_class=Binary, dependencies=[Public("a file by the name that was asked for")])
async def download(name: str = "") -> Binary:
    return Binary("file", headers={"Content-Disposition": model.disposition(name)})


@pages.get("/greeting", response_class=PlainTextResponse, dependencies=[Public("the language is remembered")])
async def greeting(lang: str = "") -> PlainTextResponse:
    chosen = model.language(lang)
    response = PlainTextResponse("hello", headers={"Content-Language": chosen})
    response.set_cookie("lang", chosen)
    return response


@pages.get("/broken", dependencies=[Public("raises, to see what is said")])
async def broken() -> None:
    raise RuntimeError("SELECT secret FROM users -- canary-7f3a")


def create_app(policy: Path = POLICY) -> FastAPI:
    app = FastAPI(title="Notes")
    app.state.notes = Notes()
    bylaw = Bylaw(app, policy)
    parts.declare(bylaw.imports)
    app.include_router(router)
    app.include_router(programs)
    app.include_router(pages)
    if bylaw.policy.of(uploads.Settings).kinds:
        app.include_router(filing)
    return app
