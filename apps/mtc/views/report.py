"""What lots cost, drawn and as CSV."""

from __future__ import annotations

from datetime import UTC, datetime

from flask import Blueprint, Response, current_app, render_template
from flask.typing import ResponseReturnValue
from sqlalchemy import select

from apps.mtc.bodies import read_query
from apps.mtc.database import get_session, open_session
from apps.mtc.models import Process
from apps.mtc.services import charts, report
from apps.mtc.validators.queries import ReportQuery
from bylaw.flask import permit

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


@blueprint.get("/report.csv")
@permit("report:export")
def export() -> ResponseReturnValue:
    query = read_query(ReportQuery)
    found = report.collect(get_session(), query, current_app.config["BASE_CURRENCY"])
    text = report.as_csv(found.rows)
    _record_export(len(found.rows))
    today = datetime.now(UTC).date().isoformat()
    headers = {"Content-Disposition": f'attachment; filename="mtc-lots-{today}.csv"'}
    return Response(text, mimetype="text/csv", headers=headers)


def _record_export(rows: int) -> None:
    """Data leaving in bulk is on record, although nothing changes."""
    bylaw = current_app.extensions["bylaw"]
    with open_session(bylaw.engine, bylaw.record) as session:
        session.record(
            session,
            action="export",
            entity_type="report",
            entity_id="lots",
            changes={"rows": {"old": None, "new": rows}},
        )
        session.commit()
