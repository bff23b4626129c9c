"""Bills of materials: upload, preview, correct the columns, import."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import PurePath

from flask import Blueprint, current_app, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import RequestEntityTooLarge

from apps.mtc.bodies import Form, file_body, form_body
from apps.mtc.database import get_session
from apps.mtc.models import ImportDraft
from apps.mtc.services.bom import drafts, loading, preview
from apps.mtc.services.bom.preview import Preview
from apps.mtc.services.errors import RejectedError
from apps.mtc.validators.base import Nothing
from apps.mtc.validators.import_validators import (
    MOST_BYTES,
    ImportMapping,
    Role,
    UploadError,
    validate_upload,
)
from bylaw.flask import current_user, permit

blueprint = Blueprint("imports", __name__)
# Enough to judge the columns by; rows with problems are listed in full below.
MOST_SHOWN = 200


@blueprint.get("/imports")
@permit("import:create")
def index() -> ResponseReturnValue:
    return _index()


@blueprint.post("/imports")
@permit("import:create")
@file_body(validate_upload, limit=MOST_BYTES)
def upload(file: tuple[str, str]) -> ResponseReturnValue:
    filename, text = file
    preview.suggest(text)
    owner, now = current_user.id, datetime.now(UTC)
    draft = drafts.keep(get_session(), user_id=owner, filename=filename, text=text, now=now)
    draft_id = draft.id
    get_session().commit()
    return redirect(url_for(".show", draft_id=draft_id))


@blueprint.errorhandler(UploadError)
def refuse_upload(error: UploadError) -> ResponseReturnValue:
    return _index(str(error)), 422


@blueprint.errorhandler(RequestEntityTooLarge)
def refuse_size(_: RequestEntityTooLarge) -> ResponseReturnValue:
    """The rest of such a body is never read: Flask stops a little above what an upload may be."""
    return _index("The file is larger than 2 MB."), 413


@blueprint.get("/imports/<int:draft_id>")
@permit("import:create")
def show(draft_id: int) -> ResponseReturnValue:
    draft = _own(draft_id)
    return _preview(draft, preview.suggest(draft.text), Form(values=_defaults(draft)))


@blueprint.post("/imports/<int:draft_id>/preview")
@permit("import:create")
@form_body(ImportMapping)
def correct(form: Form[ImportMapping], draft_id: int) -> ResponseReturnValue:
    """Read the file again with the columns that the person named; nothing is imported yet."""
    draft = _own(draft_id)
    return _preview(draft, _read(draft, form), form), 422 if form.errors else 200


@blueprint.post("/imports/<int:draft_id>/load")
@permit("import:create")
@form_body(ImportMapping)
def load(form: Form[ImportMapping], draft_id: int) -> ResponseReturnValue:
    draft = _own(draft_id)
    read = _read(draft, form)
    made: list[int] = []

    def action(mapping: ImportMapping) -> None:
        if form.errors:
            raise RejectedError("roles", form.errors["roles"])
        outcome = loading.load(get_session(), read, mapping, source=draft.filename)
        drafts.discard(get_session(), draft)
        made.append(outcome.process.id)

    if form.submit(action):
        return redirect(url_for("processes.show", process_id=made[0], saved=1))
    return _preview(_own(draft_id), read, form), 422


@blueprint.post("/imports/<int:draft_id>/discard")
@permit("import:create")
@form_body(Nothing)
def discard(_: Form[Nothing], draft_id: int) -> ResponseReturnValue:
    drafts.discard(get_session(), _own(draft_id))
    get_session().commit()
    return redirect(url_for(".index", saved=1))


def _own(draft_id: int) -> ImportDraft:
    return drafts.find(get_session(), draft_id, current_user.id, datetime.now(UTC))


def _read(draft: ImportDraft, form: Form[ImportMapping]) -> Preview:
    """The file by the columns of the form, or by the suggested ones if those do not fit."""
    if form.body is None:
        return preview.suggest(draft.text)
    try:
        return preview.with_roles(draft.text, form.body.roles)
    except UploadError as error:
        form.errors["roles"] = str(error)
        return preview.suggest(draft.text)


def _defaults(draft: ImportDraft) -> dict[str, str | bool]:
    return {
        "process_name": PurePath(draft.filename).stem,
        "currency": current_app.config["BASE_CURRENCY"],
        "valid_from": datetime.now(UTC).date().isoformat(),
        "merge": "true",
    }


def _index(error: str = "") -> str:
    waiting = drafts.of_user(get_session(), current_user.id, datetime.now(UTC))
    return render_template("imports.html", drafts=waiting, error=error)


def _preview(draft: ImportDraft, read: Preview, form: Form[ImportMapping]) -> str:
    return render_template(
        "import.html",
        draft=draft,
        read=read,
        form=form,
        roles=list(Role),
        shown=read.rows[:MOST_SHOWN],
        problems=read.problems[:MOST_SHOWN],
    )
