"""Files attached to processes and lots: taken in, shown, given out, removed. One set of views for both."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from flask import Blueprint, Flask, current_app, json, jsonify, redirect, url_for
from flask.typing import ResponseReturnValue

from apps.mtc import problems
from apps.mtc.api import serial
from apps.mtc.bodies import Form, InvalidInputError, form_body
from apps.mtc.database import get_session
from apps.mtc.models import Lot, Process
from apps.mtc.services import attachments, records
from apps.mtc.services.attachments import KINDS, MOST, Refusal
from apps.mtc.validators.base import Nothing
from bylaw.flask import Bylaw, current_user, permit, takes
from bylaw.operations.files import StoredFile

FIELD = "file"
Owner = type[Process] | type[Lot]


@dataclass(frozen=True)
class Shown:
    """What the page of a process or a lot shows of its files."""

    kind: str
    id: int
    files: list[StoredFile]
    givers: dict[str, str]
    refused: list[Refusal] = field(default_factory=list)
    kinds: tuple[str, ...] = KINDS
    most: int = MOST


def shown(entity: Process | Lot, refused: list[Refusal] | None = None) -> Shown:
    """The files of `entity`, and those that were not taken just now."""
    files = _bylaw().files.of(attachments.subject(entity))
    people = attachments.givers(get_session(), files)
    return Shown(entity.kind(), entity.id, files, people, refused or [])


def init_app(app: Flask, pages: dict[str, Callable[..., str]]) -> None:
    """Routes for processes and lots; `pages` show either with what was refused."""
    blueprint = Blueprint("attachments", __name__)
    _routes(blueprint, Process, "processes", pages["process"])
    _routes(blueprint, Lot, "lots", pages["lot"])
    app.register_blueprint(blueprint)


def _routes(blueprint: Blueprint, kind: Owner, plural: str, page: Callable[..., str]) -> None:
    noun = kind.kind()
    here, api = f"/{plural}/<int:owner>/attachments", f"/api/{plural}/<int:owner>/attachments"

    def add(rule: str, name: str, view: Callable[..., Any], verb: str, method: str = "GET") -> None:
        guarded = permit(f"{noun}:{verb}")(view)
        blueprint.add_url_rule(rule, f"{noun}_{name}", guarded, methods=[method])

    def place(owner: int, said: str = "1") -> str:
        """Where the files stand on the page."""
        return url_for(f"{plural}.show", saved=said, _anchor="attachments", **{f"{noun}_id": owner})  # type: ignore[arg-type]

    def find(owner: int) -> Process | Lot:
        return records.find(get_session(), kind, owner)

    @takes(FIELD, kinds=KINDS, most=MOST)
    @form_body(Nothing)
    def upload(form: Form[Nothing], owner: int) -> ResponseReturnValue:
        """From the form of the page: what was refused is said there, beside its name."""
        _demand(form)
        taken, refused = _attach(find(owner))
        if refused or not taken:
            return page(owner, refused or [Refusal("", "", 422, "Choose a file first.")]), 422
        return redirect(place(owner))

    @takes(FIELD, kinds=KINDS, most=MOST)
    @form_body(Nothing)
    def create(form: Form[Nothing], owner: int) -> ResponseReturnValue:
        """201 with what was attached and what was not; a refusal where nothing was."""
        _demand(form)
        entity = find(owner)
        taken, refused = _attach(entity)
        if not taken:
            return _refused(refused)
        told = {
            "data": [_serial(entity, file) for file in taken],
            "refused": [_told(each) for each in refused],
        }
        return jsonify(told), 201, {"Location": url_for(f".{noun}_list", owner=owner)}

    def listing(owner: int) -> ResponseReturnValue:
        entity = find(owner)
        return jsonify(
            data=[_serial(entity, file) for file in _bylaw().files.of(attachments.subject(entity))]
        )

    def download(owner: int, file_id: str) -> ResponseReturnValue:
        return _bylaw().files.send(file_id, attachments.subject(find(owner)))

    def thumbnail(owner: int, file_id: str) -> ResponseReturnValue:
        return _bylaw().files.send_thumbnail(file_id, attachments.subject(find(owner)))

    @form_body(Nothing)
    def remove(form: Form[Nothing], owner: int, file_id: str) -> ResponseReturnValue:
        _demand(form)
        _remove(find(owner), file_id)
        return redirect(place(owner, "removed"))

    def delete(owner: int, file_id: str) -> ResponseReturnValue:
        _remove(find(owner), file_id)
        return "", 204

    add(here, "upload", upload, "update", "POST")
    add(f"{here}/<file_id>", "download", download, "read")
    add(f"{here}/<file_id>/thumbnail", "thumbnail", thumbnail, "read")
    add(f"{here}/<file_id>/delete", "remove", remove, "update", "POST")
    add(api, "list", listing, "read")
    add(api, "create", create, "update", "POST")
    add(f"{api}/<file_id>", "content", download, "read")
    add(f"{api}/<file_id>", "delete", delete, "update", "DELETE")


def _demand(form: Form[Nothing]) -> None:
    """Nothing but files: a field that is unknown was meant for something. Raises `InvalidInputError`."""
    if form.errors:
        raise InvalidInputError(422, "The form is not accepted.", list(form.errors.items()))


def _bylaw() -> Bylaw:
    bylaw: Bylaw = current_app.extensions["bylaw"]
    return bylaw


def _attach(entity: Process | Lot) -> tuple[list[StoredFile], list[Refusal]]:
    files = _bylaw().files
    return attachments.attach(files, get_session(), entity, files.given(FIELD), current_user)


def _remove(entity: Process | Lot, file_id: str) -> None:
    _bylaw().files.remove(get_session(), file_id, attachments.subject(entity))
    get_session().commit()


def _serial(entity: Process | Lot, file: StoredFile) -> serial.Json:
    place = url_for(f".{entity.kind()}_content", owner=entity.id, file_id=file.id)
    return serial.attachment(file, place)


def _told(refusal: Refusal) -> dict[str, str]:
    return {"name": refusal.name, "code": refusal.code, "reason": refusal.why}


def _refused(refused: list[Refusal]) -> ResponseReturnValue:
    """Nothing was attached: the status of the first refusal, and each with its name."""
    if not refused:
        return problems.answer(422, "No file was sent.", [(FIELD, "Choose a file first.")])
    first = refused[0]
    body = {
        "type": "about:blank",
        "title": "Not attached",
        "status": first.status,
        "detail": first.why,
        "refused": [_told(each) for each in refused],
    }
    return json.dumps(body), first.status, {"Content-Type": "application/problem+json"}
