"""What a room watches: figures and charts, and the plan with what was placed on it."""

from __future__ import annotations

from collections.abc import Sequence

from flask import Blueprint, Response
from flask.typing import ResponseReturnValue

from apps.planner import charts
from apps.planner.forms import read_query
from apps.planner.models import Contribution, Planning
from apps.planner.plannings import NotThereError, Plannings
from apps.planner.plans import COLOURS, PLANS, Marker, drawn
from apps.planner.validators import MarkerQuery
from apps.planner.views.common import now, planning_page, plannings
from bylaw.flask import permit

blueprint = Blueprint("overview", __name__)
_CHARTS = ("contributions", "support", "growth")


@blueprint.get("/plannings/<int:planning_id>/overview")
@permit("planning:read", within="planning:{planning_id}")
def show(planning_id: int) -> ResponseReturnValue:
    mine = plannings()
    planning = mine.get(planning_id)
    seen = mine.overview(planning)
    # The charts' addresses change with what they show: the browser asks for them no oftener.
    version = f"{seen['contributions']}-{seen['support']}-{now():%H%M}"
    return planning_page("overview.html", planning, seen=seen, version=version)


@blueprint.get("/plannings/<int:planning_id>/charts/<name>.svg")
@permit("planning:read", within="planning:{planning_id}")
def chart(planning_id: int, name: str) -> ResponseReturnValue:
    read_query(MarkerQuery)
    if name not in _CHARTS:
        raise NotThereError(name)
    mine = plannings()
    seen = mine.overview(mine.get(planning_id))
    if name == "growth":
        return _image(charts.growth(seen["over_time"], now()))
    return _image(charts.bars(seen["by_category" if name == "contributions" else "support_by_category"]))


@blueprint.get("/plannings/<int:planning_id>/plan")
@permit("planning:read", within="planning:{planning_id}")
def plan(planning_id: int) -> ResponseReturnValue:
    query = read_query(MarkerQuery)
    mine = plannings()
    planning = _with_plan(mine, planning_id)
    found = _placed(mine, planning)
    version = "-".join(f"{each.x:.3f}{each.y:.3f}" for each in found)
    return planning_page(
        "plan.html",
        planning,
        found=found,
        plan=PLANS[planning.plan_image],
        query=query,
        version=f"{hash(version) & 0xFFFFFFFF:x}",
    )


@blueprint.get("/plannings/<int:planning_id>/plan.svg")
@permit("planning:read", within="planning:{planning_id}")
def picture(planning_id: int) -> ResponseReturnValue:
    query = read_query(MarkerQuery)
    mine = plannings()
    planning = _with_plan(mine, planning_id)
    markers = [
        Marker(
            number=at,
            x=each.x,
            y=each.y,
            colour=COLOURS[each.category.position % len(COLOURS)],
            chosen=each.id == query.mine,
        )
        for at, each in enumerate(_placed(mine, planning), 1)
        if each.x is not None and each.y is not None
    ]
    return _image(drawn(PLANS[planning.plan_image], markers))


def _with_plan(mine: Plannings, planning_id: int) -> Planning:
    planning = mine.get(planning_id)
    if planning.plan_image not in PLANS:
        raise NotThereError("plan")
    return planning


def _placed(mine: Plannings, planning: Planning) -> Sequence[Contribution]:
    """What has a place, in the order in which it is numbered."""
    return [each for each in reversed(mine.contributions(planning)) if each.x is not None and not each.hidden]


def _image(svg: str) -> Response:
    return Response(svg, mimetype="image/svg+xml")
