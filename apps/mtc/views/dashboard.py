"""The first page: what is planned, what was made last."""

from __future__ import annotations

from flask import Blueprint, render_template
from flask.typing import ResponseReturnValue
from sqlalchemy import func, select

from apps.mtc.database import get_session
from apps.mtc.models import Item, Lot, LotState, Process, Supplier
from bylaw.flask import current_user, login_required

blueprint = Blueprint("dashboard", __name__)


@blueprint.get("/")
@login_required
def show() -> ResponseReturnValue:
    session = get_session()
    may_see_lots = current_user.may("lot:read")
    planned = select(Lot).where(Lot.state == LotState.PLANNED)
    made = select(Lot).where(Lot.state == LotState.EXECUTED)
    return render_template(
        "dashboard.html",
        counts=[
            (name, session.scalar(select(func.count()).select_from(kind)), endpoint)
            for name, kind, endpoint, permission in (
                ("Processes", Process, "processes.index", "process:read"),
                ("Items", Item, "items.index", "item:read"),
                ("Suppliers", Supplier, "suppliers.index", "supplier:read"),
                ("Lots", Lot, "lots.index", "lot:read"),
            )
            if current_user.may(permission)
        ],
        planned=session.scalars(planned.order_by(Lot.due.is_(None), Lot.due).limit(10)).all()
        if may_see_lots
        else [],
        made=session.scalars(made.order_by(Lot.closed_at.desc()).limit(5)).all() if may_see_lots else [],
    )
