"""A planning as those who take part see it: what it asks, and what was contributed."""

from __future__ import annotations

from collections.abc import Sequence

from flask import Blueprint, redirect, url_for
from flask.typing import ResponseReturnValue

from apps.planner.forms import Form, form_body, read_query
from apps.planner.models import Contribution
from apps.planner.plannings import ClosedError
from apps.planner.validators import ContributionDraft, ListQuery
from apps.planner.views.common import planning_page, plannings
from bylaw.flask import current_user, permit

blueprint = Blueprint("planning", __name__)


@blueprint.get("/plannings/<int:planning_id>")
@permit("planning:read", within="planning:{planning_id}")
def show(planning_id: int) -> ResponseReturnValue:
    return _page(planning_id, Form())


@blueprint.post("/plannings/<int:planning_id>/contributions")
@permit("contribution:create", within="planning:{planning_id}")
@form_body(ContributionDraft)
def contribute(form: Form[ContributionDraft], planning_id: int) -> ResponseReturnValue:
    if form.body is None:
        return _page(planning_id, form), 422
    try:
        made = plannings().contribute(planning_id, form.body)
    except ClosedError as error:  # while somebody was still writing: the words are not lost
        form.errors[""] = str(error)
        return _page(planning_id, form), 409
    return redirect(url_for(".show", planning_id=planning_id, saved=1, _anchor=f"c{made.id}"))


def _page(planning_id: int, form: Form[ContributionDraft]) -> str:
    query = ListQuery() if form.errors else read_query(ListQuery)
    mine = plannings()
    planning = mine.get(planning_id)
    return planning_page(
        "planning.html",
        planning,
        form,
        query=query,
        found=_ordered(mine.contributions(planning), query),
        supported={each.id for each in mine.contributions(planning) if _by_me(each)},
        me=current_user.id,
    )


def _ordered(found: Sequence[Contribution], query: ListQuery) -> list[Contribution]:
    wanted = [each for each in found if query.category in (None, each.category_id)]
    if query.order == "support":
        wanted.sort(key=lambda each: (-len(each.support), -each.id))
    return wanted


def _by_me(made: Contribution) -> bool:
    return any(each.supporter_id == current_user.id for each in made.support)
