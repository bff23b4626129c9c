"""One contribution: supported, withdrawn, placed, hidden."""

from __future__ import annotations

from flask import Blueprint, redirect, url_for
from flask.typing import ResponseReturnValue

from apps.planner.forms import Form, form_body
from apps.planner.models import Contribution
from apps.planner.plannings import ClosedError
from apps.planner.plans import COLUMNS, PLANS, ROWS
from apps.planner.validators import WIDTHS, HideDraft, Nothing, Placing, SupportDraft
from apps.planner.views.common import planning_page, plannings
from bylaw.flask import permit

blueprint = Blueprint("contributions", __name__)


@blueprint.post("/contributions/<int:contribution_id>/support")
@permit("contribution:support", within="planning")
@form_body(SupportDraft)
def support(form: Form[SupportDraft], contribution_id: int) -> ResponseReturnValue:
    mine = plannings()
    mine.support(contribution_id, form.demand().support)
    return _back(mine.contribution(contribution_id))


@blueprint.post("/contributions/<int:contribution_id>/withdraw")
@permit("contribution:delete", within="planning")
@form_body(Nothing)
def withdraw(form: Form[Nothing], contribution_id: int) -> ResponseReturnValue:
    form.demand()
    mine = plannings()
    planning_id = mine.contribution(contribution_id).planning_id
    mine.withdraw(contribution_id)
    return redirect(url_for("planning.show", planning_id=planning_id, saved="withdrawn"))


@blueprint.get("/contributions/<int:contribution_id>/place")
@permit("contribution:place", within="planning")
def where(contribution_id: int) -> ResponseReturnValue:
    return _place_page(contribution_id, Form())


@blueprint.post("/contributions/<int:contribution_id>/place")
@permit("contribution:place", within="planning")
@form_body(Placing)
def place(form: Form[Placing], contribution_id: int) -> ResponseReturnValue:
    if form.body is None:
        return _place_page(contribution_id, form), 422
    mine = plannings()
    mine.place(contribution_id, form.body.place())
    made = mine.contribution(contribution_id)
    return redirect(url_for("overview.plan", planning_id=made.planning_id, saved=1, mine=made.id))


@blueprint.post("/contributions/<int:contribution_id>/hide")
@permit("planning:run", within="planning")
@form_body(HideDraft)
def hide(form: Form[HideDraft], contribution_id: int) -> ResponseReturnValue:
    mine = plannings()
    mine.hide(contribution_id, form.demand())
    return _to_running(mine.contribution(contribution_id))


@blueprint.post("/contributions/<int:contribution_id>/show")
@permit("planning:run", within="planning")
@form_body(Nothing)
def show(form: Form[Nothing], contribution_id: int) -> ResponseReturnValue:
    form.demand()
    mine = plannings()
    mine.show(contribution_id)
    return _to_running(mine.contribution(contribution_id))


def _place_page(contribution_id: int, form: Form[Placing]) -> str:
    mine = plannings()
    made = mine.contribution(contribution_id)
    planning = mine.get(made.planning_id)
    if planning.plan_image not in PLANS:
        raise ClosedError("This planning has no plan.")
    return planning_page(
        "place.html",
        planning,
        form,
        made=made,
        plan=PLANS[planning.plan_image],
        widths=WIDTHS,
        columns=COLUMNS,
        rows=ROWS,
    )


def _back(made: Contribution) -> ResponseReturnValue:
    return redirect(url_for("planning.show", planning_id=made.planning_id, _anchor=f"c{made.id}"))


def _to_running(made: Contribution) -> ResponseReturnValue:
    return redirect(url_for("running.show", planning_id=made.planning_id, saved=1, _anchor=f"c{made.id}"))
