"""What lots cost, drawn and as a table for spreadsheets."""

from __future__ import annotations

from flask import Blueprint, current_app, render_template, request
from flask.typing import ResponseReturnValue
from sqlalchemy import select

from apps.mtc.bodies import read_query
from apps.mtc.database import get_session
from apps.mtc.models import Process
from apps.mtc.services import charts, exports, report
from apps.mtc.validators.queries import ReportQuery
from bylaw.flask import Bylaw, permit

blueprint = Blueprint("report", __name__)


@blueprint.get("/report")
@permit("report:read")
def show() -> ResponseReturnValue:
    query = read_query(ReportQuery)
    found = report.collect(get_session(), query, current_app.config["BASE_CURRENCY"])
    over_time = [(f"Lot {row.lot}", row.cost, not row.complete) for row in found.comparable]
    return render_template(
        "report.html",
        report=found,
        query=query,
        over_time=charts.columns(over_time),
        by_process=charts.rows(found.by_process),
        processes=get_session().scalars(select(Process).order_by(Process.name)).all(),
    )


@blueprint.get("/report.csv", defaults={"form": "csv"})
@blueprint.get("/report.xlsx", defaults={"form": "xlsx"})
@permit("report:export")
def export(form: str) -> ResponseReturnValue:
    """Data leaving in bulk is on record, although nothing changes."""
    query = read_query(ReportQuery)
    bylaw: Bylaw = current_app.extensions["bylaw"]
    return bylaw.export(
        "mtc-lots",
        exports.LOTS,
        exports.lots(report.every(get_session(), query)),
        format=form,
        filter=query.model_dump_json(exclude_none=True) if request.args else "",
    )
