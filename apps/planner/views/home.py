"""The first page, and a new planning."""

from __future__ import annotations

from flask import Blueprint, redirect, render_template, url_for
from flask.typing import ResponseReturnValue

from apps.planner.forms import Form, form_body
from apps.planner.plannings import FIRST_CATEGORIES
from apps.planner.plans import PLANS
from apps.planner.validators import MOST_CATEGORIES, PlanningDraft
from apps.planner.views.common import plannings, protection
from bylaw.flask import current_user, login_required, permit

blueprint = Blueprint("home", __name__)


@blueprint.get("/")
@login_required
def index() -> ResponseReturnValue:
    """Whoever takes part in one planning alone is taken to it."""
    found = plannings().open_to_me()
    if len(found) == 1 and not current_user.may("planning:create"):
        return redirect(url_for("planning.show", planning_id=found[0].id))
    return render_template("home.html", plannings=found)


@blueprint.get("/plannings/new")
@permit("planning:create")
def new() -> ResponseReturnValue:
    return _form(Form())


@blueprint.post("/plannings")
@permit("planning:create")
@form_body(PlanningDraft)
def create(form: Form[PlanningDraft]) -> ResponseReturnValue:
    if form.body is None:
        return _form(form), 422
    made = plannings().create(form.body)
    protection().site.house.store.memory.forget(current_user.id)  # who hosts it now
    return redirect(url_for("running.show", planning_id=made.id, saved=1))


def _form(form: Form[PlanningDraft]) -> str:
    return render_template(
        "new.html", form=form, plans=PLANS.values(), first=FIRST_CATEGORIES, most=MOST_CATEGORIES
    )
