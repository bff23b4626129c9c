"""Production lots: plan, choose, execute, cancel, note."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TypeVar

from flask import Blueprint, current_app, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from pydantic import BaseModel
from sqlalchemy import select

from apps.mtc.bodies import Form, form_body, read_query
from apps.mtc.database import get_session
from apps.mtc.models import Lot, LotState, Process
from apps.mtc.services import lots, prices, records
from apps.mtc.services.attachments import Refusal
from apps.mtc.services.costing import Rates
from apps.mtc.validators.lots import (
    LotCancellation,
    LotChange,
    LotChoicesForm,
    LotExecution,
    LotNoteDraft,
    LotPlan,
)
from apps.mtc.validators.queries import LotQuery
from apps.mtc.views import attachments
from apps.mtc.views.paging import listing
from bylaw.flask import current_user, permit

blueprint = Blueprint("lots", __name__)
T = TypeVar("T", bound=BaseModel)


@blueprint.get("/lots")
@permit("lot:read")
def index() -> ResponseReturnValue:
    return _index(Form())


@blueprint.post("/lots")
@permit("lot:create")
@form_body(LotPlan)
def plan(form: Form[LotPlan]) -> ResponseReturnValue:
    now, by = datetime.now(UTC), current_user.id
    if form.submit(lambda draft: lots.plan(get_session(), draft, by=by, now=now)):
        return redirect(url_for(".index", saved=1))
    return _index(form), 422


@blueprint.get("/lots/<int:lot_id>")
@permit("lot:read")
def show(lot_id: int) -> ResponseReturnValue:
    return _lot(lot_id, Form())


@blueprint.post("/lots/<int:lot_id>")
@permit("lot:update")
@form_body(LotChange)
def update(form: Form[LotChange], lot_id: int) -> ResponseReturnValue:
    done = form.submit(lambda draft: lots.alter(get_session(), lot_id, draft))
    return _after(done, lot_id, form)


@blueprint.post("/lots/<int:lot_id>/choices")
@permit("lot:update")
@form_body(LotChoicesForm)
def choose(form: Form[LotChoicesForm], lot_id: int) -> ResponseReturnValue:
    done = form.submit(lambda draft: lots.choose(get_session(), lot_id, draft.pairs()))
    return _after(done, lot_id, form)


@blueprint.post("/lots/<int:lot_id>/execute")
@permit("lot:execute")
@form_body(LotExecution)
def execute(form: Form[LotExecution], lot_id: int) -> ResponseReturnValue:
    now, by, rates = datetime.now(UTC), current_user.id, _rates()
    done = form.submit(lambda _: lots.execute(get_session(), lot_id, by=by, now=now, rates=rates))
    return _after(done, lot_id, form)


@blueprint.post("/lots/<int:lot_id>/cancel")
@permit("lot:cancel")
@form_body(LotCancellation)
def cancel(form: Form[LotCancellation], lot_id: int) -> ResponseReturnValue:
    now, by = datetime.now(UTC), current_user.id
    done = form.submit(lambda draft: lots.cancel(get_session(), lot_id, reason=draft.reason, by=by, now=now))
    return _after(done, lot_id, form)


@blueprint.post("/lots/<int:lot_id>/notes")
@permit("entry:create")
@form_body(LotNoteDraft)
def add_note(form: Form[LotNoteDraft], lot_id: int) -> ResponseReturnValue:
    now, by = datetime.now(UTC), current_user.id
    done = form.submit(lambda draft: lots.add_note(get_session(), lot_id, draft.text, by=by, now=now))
    return _after(done, lot_id, form)


def _after(done: bool, lot_id: int, form: Form[T]) -> ResponseReturnValue:
    if done:
        return redirect(url_for(".show", lot_id=lot_id, saved=1))
    # A form that was well-formed and still refused ran into the lot's present state.
    return _lot(lot_id, form), 422 if form.body is None else 409


def _index(form: Form[LotPlan]) -> str:
    query = LotQuery() if form.errors else read_query(LotQuery)
    found = select(Lot).join(Process).where(Process.name.icontains(query.q, autoescape=True))
    if query.state:
        found = found.where(Lot.state == query.state)
    if query.process_id:
        found = found.where(Lot.process_id == query.process_id)
    return render_template(
        "lots.html",
        listing=listing(query, found.order_by(Lot.id.desc())),
        form=form,
        states=list(LotState),
        processes=get_session().scalars(select(Process).order_by(Process.name)).all(),
    )


def with_refused(lot_id: int, refused: list[Refusal]) -> str:
    """The page of a lot, with files that were not taken."""
    empty: Form[BaseModel] = Form()
    return _lot(lot_id, empty, refused)


def _lot(lot_id: int, form: Form[T], refused: list[Refusal] | None = None) -> str:
    session = get_session()
    lot = records.find(session, Lot, lot_id)
    today = datetime.now(UTC).date()
    planned = lot.state is LotState.PLANNED
    estimate = lots.estimated(session, lot, rates=_rates(), on=today) if planned else None
    return render_template(
        "lot.html",
        lot=lot,
        form=form,
        estimate=estimate,
        open=lots.open_choices(lot) if planned else [],
        missing=lots.missing_choices(lot) if planned else [],
        attached=attachments.shown(lot, refused),
    )


def _rates() -> Rates:
    return prices.rates(get_session(), current_app.config["BASE_CURRENCY"])
