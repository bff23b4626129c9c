"""Processes, subprocesses, usages and other costs."""

from __future__ import annotations

from datetime import UTC, datetime

from flask import Blueprint, current_app, jsonify, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy import select

from apps.mtc.api import answers, serial
from apps.mtc.bodies import json_body, read_query
from apps.mtc.database import get_session
from apps.mtc.models import OtherCost, Process, Subprocess, Usage
from apps.mtc.services import estimates, prices, processes, records
from apps.mtc.validators.processes import (
    CostDraft,
    ProcessDraft,
    SubprocessDraft,
    SubprocessMove,
    UsageDraft,
)
from apps.mtc.validators.queries import PageQuery
from bylaw.flask import permit

blueprint = Blueprint("api_processes", __name__)


@blueprint.get("/processes")
@permit("process:read")
def list_processes() -> ResponseReturnValue:
    query = read_query(PageQuery)
    named = Process.name.icontains(query.q, autoescape=True)
    found = select(Process).where(named).order_by(Process.name)
    return answers.listing(query, found, serial.process)


@blueprint.post("/processes")
@permit("process:create")
@json_body(ProcessDraft)
def create_process(draft: ProcessDraft) -> ResponseReturnValue:
    process = records.add(get_session(), Process(**draft.model_dump()))
    return answers.created(serial.process(process), url_for(".show_process", process_id=process.id))


@blueprint.get("/processes/<int:process_id>")
@permit("process:read")
def show_process(process_id: int) -> ResponseReturnValue:
    return jsonify(serial.whole_process(estimates.load(get_session(), process_id)))


@blueprint.put("/processes/<int:process_id>")
@permit("process:update")
@json_body(ProcessDraft)
def update_process(draft: ProcessDraft, process_id: int) -> ResponseReturnValue:
    process = records.find(get_session(), Process, process_id)
    records.alter(get_session(), process, draft.model_dump())
    return answers.saved(serial.process(process))


@blueprint.delete("/processes/<int:process_id>")
@permit("process:delete")
def delete_process(process_id: int) -> ResponseReturnValue:
    process = records.find(get_session(), Process, process_id)
    processes.remove_process(get_session(), process, current_app.extensions["bylaw"].files)
    return answers.gone()


@blueprint.get("/processes/<int:process_id>/cost")
@permit("process:read")
def show_cost(process_id: int) -> ResponseReturnValue:
    process = estimates.load(get_session(), process_id)
    rates = prices.rates(get_session(), current_app.config["BASE_CURRENCY"])
    today = datetime.now(UTC).date()
    worst, best = estimates.worst_and_best(process, rates=rates, on=today)
    return jsonify(worst=serial.estimate(worst), best=serial.estimate(best))


@blueprint.get("/processes/<int:process_id>/subprocesses")
@permit("process:read")
def list_subprocesses(process_id: int) -> ResponseReturnValue:
    query = read_query(PageQuery)
    records.find(get_session(), Process, process_id)
    found = select(Subprocess).where(Subprocess.process_id == process_id)
    return answers.listing(query, found.order_by(Subprocess.position), serial.subprocess)


@blueprint.post("/processes/<int:process_id>/subprocesses")
@permit("process:update")
@json_body(SubprocessDraft)
def create_subprocess(draft: SubprocessDraft, process_id: int) -> ResponseReturnValue:
    process = records.find(get_session(), Process, process_id)
    part = processes.add_subprocess(get_session(), process, draft)
    location = url_for(".show_subprocess", subprocess_id=part.id)
    return answers.created(serial.subprocess(part), location)


@blueprint.get("/subprocesses/<int:subprocess_id>")
@permit("process:read")
def show_subprocess(subprocess_id: int) -> ResponseReturnValue:
    return jsonify(serial.subprocess(records.find(get_session(), Subprocess, subprocess_id)))


@blueprint.put("/subprocesses/<int:subprocess_id>")
@permit("process:update")
@json_body(SubprocessDraft)
def update_subprocess(draft: SubprocessDraft, subprocess_id: int) -> ResponseReturnValue:
    part = records.find(get_session(), Subprocess, subprocess_id)
    records.alter(get_session(), part, draft.model_dump())
    return answers.saved(serial.subprocess(part))


@blueprint.post("/subprocesses/<int:subprocess_id>/move")
@permit("process:update")
@json_body(SubprocessMove)
def move_subprocess(draft: SubprocessMove, subprocess_id: int) -> ResponseReturnValue:
    part = records.find(get_session(), Subprocess, subprocess_id)
    processes.move_subprocess(get_session(), part, draft.direction)
    return answers.saved(serial.subprocess(part))


@blueprint.delete("/subprocesses/<int:subprocess_id>")
@permit("process:update")
def delete_subprocess(subprocess_id: int) -> ResponseReturnValue:
    part = records.find(get_session(), Subprocess, subprocess_id)
    processes.remove_subprocess(get_session(), part)
    return answers.gone()


@blueprint.post("/subprocesses/<int:subprocess_id>/usages")
@permit("process:update")
@json_body(UsageDraft)
def create_usage(draft: UsageDraft, subprocess_id: int) -> ResponseReturnValue:
    part = records.find(get_session(), Subprocess, subprocess_id)
    usage = processes.add_usage(get_session(), part, draft)
    return answers.created(serial.usage(usage), url_for(".show_usage", usage_id=usage.id))


@blueprint.get("/usages/<int:usage_id>")
@permit("process:read")
def show_usage(usage_id: int) -> ResponseReturnValue:
    return jsonify(serial.usage(records.find(get_session(), Usage, usage_id)))


@blueprint.put("/usages/<int:usage_id>")
@permit("process:update")
@json_body(UsageDraft)
def update_usage(draft: UsageDraft, usage_id: int) -> ResponseReturnValue:
    usage = records.find(get_session(), Usage, usage_id)
    return answers.saved(serial.usage(processes.alter_usage(get_session(), usage, draft)))


@blueprint.delete("/usages/<int:usage_id>")
@permit("process:update")
def delete_usage(usage_id: int) -> ResponseReturnValue:
    processes.remove_usage(get_session(), records.find(get_session(), Usage, usage_id))
    return answers.gone()


@blueprint.post("/subprocesses/<int:subprocess_id>/costs")
@permit("process:update")
@json_body(CostDraft)
def create_cost(draft: CostDraft, subprocess_id: int) -> ResponseReturnValue:
    part = records.find(get_session(), Subprocess, subprocess_id)
    cost = processes.add_cost(get_session(), part, draft)
    return answers.created(serial.cost(cost), url_for(".show_other_cost", cost_id=cost.id))


@blueprint.get("/costs/<int:cost_id>")
@permit("process:read")
def show_other_cost(cost_id: int) -> ResponseReturnValue:
    return jsonify(serial.cost(records.find(get_session(), OtherCost, cost_id)))


@blueprint.put("/costs/<int:cost_id>")
@permit("process:update")
@json_body(CostDraft)
def update_cost(draft: CostDraft, cost_id: int) -> ResponseReturnValue:
    cost = records.find(get_session(), OtherCost, cost_id)
    return answers.saved(serial.cost(records.alter(get_session(), cost, draft.model_dump())))


@blueprint.delete("/costs/<int:cost_id>")
@permit("process:update")
def delete_cost(cost_id: int) -> ResponseReturnValue:
    records.remove(get_session(), records.find(get_session(), OtherCost, cost_id))
    return answers.gone()
