"""The notes application in Flask."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

from flask import Blueprint, Flask, Response, current_app, redirect, render_template_string, request
from pydantic import BaseModel, ConfigDict, ValidationError

from bylaw.controls import errors, uploads
from bylaw.flask import Bylaw, current_user, login_required, permit, public, takes
from bylaw.reasons import Refused
from tests.applications import notes as model
from tests.applications import parts
from tests.applications.notes import Notes

HERE = Path(__file__).parent
POLICY = HERE / "bylaw.toml"
notes = Blueprint("notes", __name__)
filing = Blueprint("filing", __name__)
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


Body = TypeVar("Body", bound=BaseModel)


def _body(kind: type[Body]) -> Body:
    if request.mimetype != "application/json":
        raise Refused(
            errors.UNSUPPORTED, detail="Send application/json.", headers=(("Accept", "application/json"),)
        )
    try:
        return kind.model_validate(request.get_json())
    except ValidationError as error:
        fields = {".".join(map(str, e["loc"])): e["type"] for e in error.errors()}
        raise Refused(errors.INVALID, fields=fields) from None


def _draft() -> Draft:
    return _body(Draft)


def _notes() -> Notes:
    state: Notes = current_app.extensions["notes"]
    return state


# Notes


@notes.get("/api/notes")
@permit("note:read")
def listed():
    return _notes().listed()


@notes.post("/api/notes")
@permit("note:create")
def create():
    return _notes().create(current_user, _draft().text), 201


@notes.put("/api/notes/<int:number>")
@permit("note:update")
def change(number: int):
    return _notes().change(current_user, number, _draft().text)


@notes.delete("/api/notes/<int:number>")
@permit("note:delete")
def delete(number: int):
    _notes().delete(current_user, number)
    return {}


@notes.patch("/api/notes/<int:number>")
@permit("note:update")
def patch(number: int):
    return _notes().change(current_user, number, _draft().text)


@notes.post("/api/open/notes")
@permit("note:create")
def create_open():
    return _notes().create(current_user, _draft().text), 201


@notes.get("/bearer/notes")
@permit("note:read")
def listed_to_programs():
    return _notes().listed()


@notes.post("/bearer/notes")
@permit("note:create")
def create_by_program():
    return _notes().create(current_user, _draft().text), 201


@notes.put("/bearer/notes/<int:number>")
@permit("note:update")
def change_by_program(number: int):
    return _notes().change(current_user, number, _draft().text)


@notes.get("/bearer/me")
@login_required
def program():
    return {"id": current_user.id, "method": current_user.method}


# Papers


@notes.get("/api/papers")
@permit("paper:read")
def papers():
    return _notes().mine(current_user, request.args.items(multi=True))


@notes.post("/api/papers")
@permit("paper:create")
def write():
    return _notes().write(current_user, _draft().text), 201


@notes.get("/api/papers/<int:number>")
@permit("paper:read")
def read(number: int):
    return _notes().read(current_user, number)


@notes.route("/api/papers/<int:number>", methods=["PUT", "PATCH"])
@permit("paper:update")
def rewrite(number: int):
    return _notes().rewrite(current_user, number, _draft().text)


@notes.delete("/api/papers/<int:number>")
@permit("paper:delete")
def discard(number: int):
    _notes().discard(current_user, [number])
    return {}


@notes.post("/api/papers/discard")
@permit("paper:delete")
def discard_many():
    _notes().discard(current_user, _body(Choice).ids)
    return {}


@notes.get("/api/papers/key/<key>")
@permit("paper:read")
def by_key(key: str):
    return _notes().by_key(current_user, key)


@notes.get("/api/papers/export")
@permit("paper:read")
def export():
    form, rows = request.args.get("format", "csv"), _notes().export(current_user)
    return current_app.extensions["bylaw"].export("papers", ["id", "text"], rows, format=form)


# Attachments


@filing.post("/api/attachments")
@permit("note:create")
@takes("file", kinds=model.ATTACHED, most=5)
def attach():
    files = current_app.extensions["bylaw"].files
    given = files.given("file")
    return {"files": [model.shown(files.take(each, by=current_user, subject="notes")) for each in given]}, 201


@filing.get("/api/attachments")
@permit("note:read")
def attachments():
    return {"files": [model.shown(each) for each in current_app.extensions["bylaw"].files.of("notes")]}


@filing.get("/api/attachments/<file_id>")
@permit("note:read")
def attachment(file_id: str):
    return current_app.extensions["bylaw"].files.send(file_id, "notes")


# What somebody else's server says


@notes.post("/api/fetched")
@permit("note:read")
def fetched():
    received = current_app.extensions["bylaw"].fetch(_body(Link).url)
    return {"status": received.status, "body": received.body.decode("utf-8", "replace")}


# Imports


@filing.get("/import")
@permit("note:create")
def import_form():
    return render_template_string(parts.FORM)


@filing.post("/import")
@permit("note:create")
@takes("file", kinds=parts.KINDS)
def import_parts():
    bylaw = current_app.extensions["bylaw"]
    made = parts.begun(bylaw.imports, bylaw.engine, bylaw.files.given("file"), current_user)
    return made if request.accept_mimetypes.best == "application/json" else redirect(made["url"], 303)


# Pages


@notes.get("/report")
@permit("report:read")
def report():
    return {"notes": len(_notes().by_id)}


@notes.get("/page")
@login_required
def page():
    return render_template_string(
        "<!doctype html><title>{{ request.args.get('q', '') }}</title>"
        "<script nonce='{{ csp_nonce() }}'>1</script>"
        "<form method=post action=/form>{{ csrf_field() }}<input name=text></form>"
    )


@notes.post("/form")
@permit("note:create")
def form():
    if "text" not in request.form:
        raise Refused(errors.INVALID, fields={"text": "needed"})
    return _notes().create(current_user, request.form["text"])


@notes.get("/")
@public("the front page")
def home():
    return Response("notes", content_type="text/plain; charset=utf-8")


@notes.get("/go")
@public("redirects within the site")
def go():
    return redirect(model.destination(request.args.get("to", "")), 303)


@notes.get("/download")
@public("a file by the name that was asked for")
def download():
    return Response(
        "file",
        content_type="application/octet-stream",
        headers={"Content-Disposition": model.disposition(request.args.get("name", ""))},
    )


@notes.get("/greeting")
@public("the language is remembered")
def greeting():
    chosen = model.language(request.args.get("lang", ""))
    response = Response(
        "hello", content_type="text/plain; charset=utf-8", headers={"Content-Language": chosen}
    )
    response.set_cookie("lang", chosen)
    return response


@notes.get("/broken")
@public("raises, to see what is said")
def broken():
    raise RuntimeError("SELECT secret FROM users -- canary-7f3a")


def create_app(policy: Path = POLICY) -> Flask:
    app = Flask(__name__, root_path=str(HERE))
    app.extensions["notes"] = Notes()
    bylaw = Bylaw(app, policy)
    app.register_blueprint(notes)
    if bylaw.policy.of(uploads.Settings).kinds:
        app.register_blueprint(filing)
    parts.declare(bylaw.imports)
    bylaw.ready()
    return app
