"""Tables come in here: chosen and sent. Columns, preview, errors and progress are bylaw's pages."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import PurePath
from typing import Any

from flask import Blueprint, current_app, redirect, render_template
from flask.typing import ResponseReturnValue

from apps.mtc.bodies import Form, form_body
from apps.mtc.importers import PERMISSION, TITLES
from apps.mtc.validators.import_validators import ImportUpload
from bylaw.flask import Bylaw, Given, current_user, permit, takes
from bylaw.reasons import Refused

blueprint = Blueprint("imports", __name__)
KINDS = ("csv", "xlsx")
FIELD = "file"
MOST_SHOWN = 5


@blueprint.get("/imports")
@permit(PERMISSION)
def index() -> ResponseReturnValue:
    return _index(Form())


@blueprint.post("/imports")
@permit(PERMISSION)
@takes(FIELD, kinds=KINDS)
@form_body(ImportUpload)
def upload(form: Form[ImportUpload]) -> ResponseReturnValue:
    given = _bylaw().files.given(FIELD)
    if form.body is None or not given:
        form.errors.setdefault(FIELD, "Choose one first.")
        return _index(form), 422
    try:
        options = _options(form.body.what, given[0])
        begun = _bylaw().imports.begin(form.body.what, given[0], by=current_user, options=options)
    except Refused as error:
        if not error.reason.code.startswith(("uploads.", "malware.", "imports.")) or error.status >= 500:
            raise
        shown = "" if error.reason.code.startswith("malware.") else error.detail
        form.errors[FIELD] = f"{error.reason.title} {shown}".strip()
        return _index(form), error.status
    return redirect(begun.url)


def _options(what: str, given: Given) -> dict[str, Any]:
    """What the form beside the file begins with; its sender corrects it there."""
    today = datetime.now(UTC).date().isoformat()
    base = current_app.config["BASE_CURRENCY"]
    stem = PurePath(given.name.replace("\\", "/")).stem
    name = "".join(c for c in stem if c.isprintable()).strip()[:200]
    options = {"bills": {"process_name": name, "currency": base, "valid_from": today}}
    options["items"] = {"currency": base, "valid_from": today}
    return options.get(what, {})


def _index(form: Form[ImportUpload]) -> str:
    return render_template(
        "imports.html",
        form=form,
        titles=TITLES,
        begun=_bylaw().imports.of(current_user)[:MOST_SHOWN],
        place=_bylaw().imports.url,
    )


def _bylaw() -> Bylaw:
    bylaw: Bylaw = current_app.extensions["bylaw"]
    return bylaw
