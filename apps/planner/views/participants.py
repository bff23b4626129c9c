"""Cards for participants: made, shown once, printed, revoked."""

from __future__ import annotations

import secrets

from flask import Blueprint, redirect, render_template, url_for
from flask.typing import ResponseReturnValue

from apps.planner import cards
from apps.planner.forms import Form, form_body
from apps.planner.validators import MOST_CARDS, CardsDraft, Nothing
from apps.planner.views.common import now, planning_page, plannings, protection
from bylaw.flask import permit

blueprint = Blueprint("participants", __name__)


@blueprint.get("/plannings/<int:planning_id>/participants")
@permit("planning:run", within="planning:{planning_id}")
def show(planning_id: int) -> ResponseReturnValue:
    return _page(planning_id, Form())


@blueprint.post("/plannings/<int:planning_id>/cards")
@permit("planning:run", within="planning:{planning_id}")
@form_body(CardsDraft)
def make(form: Form[CardsDraft], planning_id: int) -> ResponseReturnValue:
    """The answer itself holds the cards: their tokens are kept nowhere, so there is no page to redirect to.
    The form counts once, whatever is pressed afterwards (see models.Batch)."""
    if form.body is None:
        return _page(planning_id, form), 422
    try:
        planning, made = cards.make(protection(), plannings(), planning_id, form.body)
    except cards.ShownError:
        return _page(planning_id, Form(), shown=form.body.batch), 409
    batch = planning.batches[-1]
    answer = render_template(
        "cards.html",
        planning=planning,
        cards=made,
        ends_at=batch.ends_at,
        page=protection().policy.app.base_url,
    )
    return answer, 200, {"Cache-Control": "no-store", "Referrer-Policy": "no-referrer"}


@blueprint.post("/plannings/<int:planning_id>/cards/<batch_id>/revoke")
@permit("planning:run", within="planning:{planning_id}")
@form_body(Nothing)
def revoke(form: Form[Nothing], planning_id: int, batch_id: str) -> ResponseReturnValue:
    form.demand()
    cards.end(protection().site.house, plannings(), planning_id, batch_id)
    return redirect(url_for(".show", planning_id=planning_id, saved="revoked"))


def _page(planning_id: int, form: Form[CardsDraft], shown: str = "") -> str:
    planning = plannings().run(planning_id)
    return planning_page(
        "participants.html",
        planning,
        form,
        batch=secrets.token_urlsafe(16),
        shown=shown,
        most=MOST_CARDS,
        now=now(),
    )
