"""A planning in its facilitator's hands: opened, moderated, grouped, closed, exported, deleted."""

from __future__ import annotations

from flask import Blueprint, redirect, url_for
from flask.typing import ResponseReturnValue

from apps.planner import cards
from apps.planner.forms import Form, form_body
from apps.planner.models import State
from apps.planner.plannings import EXPORTED, OtherTitleError
from apps.planner.plans import PLANS
from apps.planner.validators import Deletion, GroupDraft, PlanDraft, StateChange, WordsDraft
from apps.planner.views.common import planning_page, plannings, protection
from bylaw.flask import permit

blueprint = Blueprint("running", __name__)


@blueprint.get("/plannings/<int:planning_id>/run")
@permit("planning:run", within="planning:{planning_id}")
def show(planning_id: int) -> ResponseReturnValue:
    return _page(planning_id, Form())


@blueprint.post("/plannings/<int:planning_id>/state")
@permit("planning:run", within="planning:{planning_id}")
@form_body(StateChange)
def set_state(form: Form[StateChange], planning_id: int) -> ResponseReturnValue:
    plannings().set_state(planning_id, form.demand().state)
    return _done(planning_id)


@blueprint.post("/plannings/<int:planning_id>/plan")
@permit("planning:run", within="planning:{planning_id}")
@form_body(PlanDraft)
def set_plan(form: Form[PlanDraft], planning_id: int) -> ResponseReturnValue:
    if form.body is None:
        return _page(planning_id, form), 422
    plannings().set_plan(planning_id, form.body)
    return _done(planning_id)


@blueprint.post("/plannings/<int:planning_id>/words")
@permit("planning:run", within="planning:{planning_id}")
@form_body(WordsDraft)
def reword(form: Form[WordsDraft], planning_id: int) -> ResponseReturnValue:
    if form.body is None:
        return _page(planning_id, form), 422
    plannings().reword(planning_id, form.body)
    return _done(planning_id)


@blueprint.post("/plannings/<int:planning_id>/groups")
@permit("planning:run", within="planning:{planning_id}")
@form_body(GroupDraft)
def group(form: Form[GroupDraft], planning_id: int) -> ResponseReturnValue:
    if form.body is None:
        return _page(planning_id, form), 422
    plannings().group(planning_id, form.body)
    return _done(planning_id)


@blueprint.get("/plannings/<int:planning_id>/contributions.csv", defaults={"form": "csv"})
@blueprint.get("/plannings/<int:planning_id>/contributions.xlsx", defaults={"form": "xlsx"})
@permit("planning:run", within="planning:{planning_id}")
def export(planning_id: int, form: str) -> ResponseReturnValue:
    """Everything in a table: on record, as data leaves in bulk, although nothing of the planning changes."""
    rows = plannings().export(planning_id)
    return protection().export(f"planning-{planning_id}", EXPORTED, rows, format=form)


@blueprint.post("/plannings/<int:planning_id>/delete")
@permit("planning:run", within="planning:{planning_id}")
@form_body(Deletion)
def delete(form: Form[Deletion], planning_id: int) -> ResponseReturnValue:
    """The cards' tokens first: what they would open is gone then."""
    mine, title = plannings(), form.demand().title
    try:
        mine.deletable(planning_id, title)
    except OtherTitleError as error:
        form.errors["title"] = str(error)
        return _page(planning_id, Form(), form), 409
    cards.end_all(protection().site.house, mine, planning_id)
    mine.delete(planning_id, title)
    return redirect(url_for("home.index", saved="deleted"))


def _done(planning_id: int) -> ResponseReturnValue:
    return redirect(url_for(".show", planning_id=planning_id, saved=1))


def _page(
    planning_id: int,
    form: Form[GroupDraft] | Form[PlanDraft] | Form[WordsDraft],
    deletion: Form[Deletion] | None = None,
) -> str:
    mine = plannings()
    planning = mine.run(planning_id)
    return planning_page(
        "running.html",
        planning,
        form,
        deletion=deletion or Form(),
        found=mine.contributions(planning),
        plans=PLANS.values(),
        State=State,
    )
