"""Processes and the order of their subprocesses."""

from __future__ import annotations

from datetime import UTC, datetime

from flask import Blueprint, current_app, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy import select

from apps.mtc.bodies import Form, form_body, read_query
from apps.mtc.database import get_session
from apps.mtc.models import Process, Subprocess
from apps.mtc.services import estimates, prices, processes, records
from apps.mtc.services.attachments import Refusal
from apps.mtc.validators.base import Nothing
from apps.mtc.validators.processes import ProcessDraft, SubprocessDraft, SubprocessMove
from apps.mtc.validators.queries import PageQuery
from apps.mtc.views import attachments
from apps.mtc.views.paging import listing
from bylaw.flask import permit
from bylaw.operations.files import Files

blueprint = Blueprint("processes", __name__)


@blueprint.get("/processes")
@permit("process:read")
def index() -> ResponseReturnValue:
    return _index(Form())


@blueprint.post("/processes")
@permit("process:create")
@form_body(ProcessDraft)
def create(form: Form[ProcessDraft]) -> ResponseReturnValue:
    if form.submit(lambda draft: records.add(get_session(), Process(**draft.model_dump()))):
        return redirect(url_for(".index", q=form.values["name"], saved=1))
    return _index(form), 422


@blueprint.get("/processes/<int:process_id>")
@permit("process:read")
def show(process_id: int) -> ResponseReturnValue:
    return _process(process_id, Form(), Form())


@blueprint.post("/processes/<int:process_id>")
@permit("process:update")
@form_body(ProcessDraft)
def update(form: Form[ProcessDraft], process_id: int) -> ResponseReturnValue:
    process = records.find(get_session(), Process, process_id)
    if form.submit(lambda draft: records.alter(get_session(), process, draft.model_dump())):
        return redirect(url_for(".show", process_id=process_id, saved=1))
    return _process(process_id, form, Form()), 422


@blueprint.post("/processes/<int:process_id>/delete")
@permit("process:delete")
@form_body(Nothing)
def delete(form: Form[Nothing], process_id: int) -> ResponseReturnValue:
    process = records.find(get_session(), Process, process_id)
    if form.submit(lambda _: processes.remove_process(get_session(), process, _files())):
        return redirect(url_for(".index", saved="deleted"))
    return _process(process_id, Form(errors=form.errors), Form()), 409


@blueprint.post("/processes/<int:process_id>/subprocesses")
@permit("process:update")
@form_body(SubprocessDraft)
def add_subprocess(form: Form[SubprocessDraft], process_id: int) -> ResponseReturnValue:
    process = records.find(get_session(), Process, process_id)
    if form.submit(lambda draft: processes.add_subprocess(get_session(), process, draft)):
        return redirect(url_for(".show", process_id=process_id, saved=1))
    return _process(process_id, Form(), form), 422


@blueprint.post("/subprocesses/<int:subprocess_id>/move")
@permit("process:update")
@form_body(SubprocessMove)
def move_subprocess(form: Form[SubprocessMove], subprocess_id: int) -> ResponseReturnValue:
    part = records.find(get_session(), Subprocess, subprocess_id)
    process_id = part.process_id
    if form.submit(lambda d: processes.move_subprocess(get_session(), part, d.direction)):
        return redirect(url_for(".show", process_id=process_id, saved=1))
    return _process(process_id, Form(errors=form.errors), Form()), 422


@blueprint.post("/subprocesses/<int:subprocess_id>/delete")
@permit("process:update")
@form_body(Nothing)
def delete_subprocess(_: Form[Nothing], subprocess_id: int) -> ResponseReturnValue:
    part = records.find(get_session(), Subprocess, subprocess_id)
    process_id = part.process_id
    processes.remove_subprocess(get_session(), part)
    get_session().commit()
    return redirect(url_for(".show", process_id=process_id, saved="deleted"))


def _index(form: Form[ProcessDraft]) -> str:
    query = PageQuery() if form.errors else read_query(PageQuery)
    named = Process.name.icontains(query.q, autoescape=True)
    found = select(Process).where(named).order_by(Process.name)
    return render_template("processes.html", listing=listing(query, found), form=form)


def with_refused(process_id: int, refused: list[Refusal]) -> str:
    """The page of a process, with files that were not taken."""
    return _process(process_id, Form(), Form(), refused)


def _files() -> Files:
    files: Files = current_app.extensions["bylaw"].files
    return files


def _process(
    process_id: int,
    form: Form[ProcessDraft],
    part_form: Form[SubprocessDraft],
    refused: list[Refusal] | None = None,
) -> str:
    process = estimates.load(get_session(), process_id)
    rates = prices.rates(get_session(), current_app.config["BASE_CURRENCY"])
    today = datetime.now(UTC).date()
    worst, best = estimates.worst_and_best(process, rates=rates, on=today)
    return render_template(
        "process.html",
        process=process,
        worst=worst,
        best=best,
        form=form,
        part_form=part_form,
        attached=attachments.shown(process, refused),
    )
