"""The notes application in Flask."""

from __future__ import annotations

from pathlib import Path

from flask import Blueprint, Flask, current_app, render_template_string, request
from pydantic import BaseModel, ConfigDict, ValidationError

from bylaw.controls import errors
from bylaw.flask import Bylaw, current_user, login_required, permit, public
from bylaw.reasons import Refused
from tests.applications.notes import Notes

HERE = Path(__file__).parent
notes = Blueprint("notes", __name__)


class Draft(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)
    text: str


def _draft() -> Draft:
    if request.mimetype != "application/json":
        raise Refused(errors.UNSUPPORTED)
    try:
        return Draft.model_validate(request.get_json())
    except ValidationError as error:
        fields = {".".join(map(str, e["loc"])): e["type"] for e in error.errors()}
        raise Refused(errors.INVALID, fields=fields) from None


def _notes() -> Notes:
    state: Notes = current_app.extensions["notes"]
    return state


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
    return _notes().create(current_user, request.form["text"])


@notes.get("/")
@public("the front page")
def home():
    return "notes"


@notes.get("/broken")
@public("raises, to see what is said")
def broken():
    raise RuntimeError("SELECT secret FROM users -- canary-7f3a")


def create_app() -> Flask:
    app = Flask(__name__, root_path=str(HERE))
    app.extensions["notes"] = Notes()
    bylaw = Bylaw(app, "bylaw.toml")
    app.register_blueprint(notes)
    bylaw.ready()
    return app
