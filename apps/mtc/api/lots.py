"""Production lots and the report on them."""

from __future__ import annotations

from datetime import UTC, datetime

from flask import Blueprint, current_app, jsonify, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy import select

from apps.mtc.api import answers, serial
from apps.mtc.bodies import json_body, read_query
from apps.mtc.database import get_session
from apps.mtc.models import Lot, Process
from apps.mtc.services import lots, prices, records, report
from apps.mtc.validators.lots import (
    LotCancellation,
    LotChange,
    LotChoices,
    LotExecution,
    LotNoteDraft,
    LotPlan,
)
from apps.mtc.validators.queries import LotQuery, ReportQuery
from bylaw.flask import current_user, permit

blueprint = Blueprint("api_lots", __name__)


@blueprint.get("/lots")
@permit("lot:read")
def list_lots() -> ResponseReturnValue:
    query = read_query(LotQuery)
    found = select(Lot).join(Process).where(Process.name.icontains(query.q, autoescape=True))
    if query.process_id:
        found = found.where(Lot.process_id == query.process_id)
    if query.state:
        found = found.where(Lot.state == query.state)
    return answers.listing(query, found.order_by(Lot.id.desc()), serial.lot)


@blueprint.post("/lots")
@permit("lot:create")
@json_body(LotPlan)
def plan_lot(draft: LotPlan) -> ResponseReturnValue:
    lot = lots.plan(get_session(), draft, by=current_user.id, now=datetime.now(UTC))
    return answers.created(serial.lot(lot), url_for(".show_lot", lot_id=lot.id))


@blueprint.get("/lots/<int:lot_id>")
@permit("lot:read")
def show_lot(lot_id: int) -> ResponseReturnValue:
    return jsonify(serial.whole_lot(records.find(get_session(), Lot, lot_id)))


@blueprint.put("/lots/<int:lot_id>")
@permit("lot:update")
@json_body(LotChange)
def update_lot(draft: LotChange, lot_id: int) -> ResponseReturnValue:
    return answers.saved(serial.lot(lots.alter(get_session(), lot_id, draft)))


@blueprint.put("/lots/<int:lot_id>/choices")
@permit("lot:update")
@json_body(LotChoices)
def choose_variants(draft: LotChoices, lot_id: int) -> ResponseReturnValue:
    return answers.saved(serial.lot(lots.choose(get_session(), lot_id, draft.choices)))


@blueprint.post("/lots/<int:lot_id>/execute")
@permit("lot:execute")
@json_body(LotExecution)
def execute_lot(_: LotExecution, lot_id: int) -> ResponseReturnValue:
    session = get_session()
    rates = prices.rates(session, current_app.config["BASE_CURRENCY"])
    now = datetime.now(UTC)
    lot = lots.execute(session, lot_id, by=current_user.id, now=now, rates=rates)
    return answers.saved(serial.whole_lot(lot))


@blueprint.post("/lots/<int:lot_id>/cancel")
@permit("lot:cancel")
@json_body(LotCancellation)
def cancel_lot(draft: LotCancellation, lot_id: int) -> ResponseReturnValue:
    now, by = datetime.now(UTC), current_user.id
    lot = lots.cancel(get_session(), lot_id, reason=draft.reason, by=by, now=now)
    return answers.saved(serial.lot(lot))


@blueprint.get("/lots/<int:lot_id>/notes")
@permit("lot:read")
def list_notes(lot_id: int) -> ResponseReturnValue:
    lot = records.find(get_session(), Lot, lot_id)
    return jsonify(data=[serial.lot_note(note) for note in lot.notes])


@blueprint.post("/lots/<int:lot_id>/notes")
@permit("entry:create")
@json_body(LotNoteDraft)
def add_note(draft: LotNoteDraft, lot_id: int) -> ResponseReturnValue:
    now, by = datetime.now(UTC), current_user.id
    note = lots.add_note(get_session(), lot_id, draft.text, by=by, now=now)
    return answers.created(serial.lot_note(note), url_for(".list_notes", lot_id=lot_id))


@blueprint.get("/report")
@permit("report:read")
def show_report() -> ResponseReturnValue:
    query = read_query(ReportQuery)
    found = report.collect(get_session(), query, current_app.config["BASE_CURRENCY"])
    return jsonify(serial.report(found))
