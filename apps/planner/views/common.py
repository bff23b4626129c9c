"""What every view begins with."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from flask import current_app, render_template
from sqlalchemy.orm import Session

from apps.planner import hosting
from apps.planner.database import get_session
from apps.planner.forms import Form
from apps.planner.models import Planning
from apps.planner.plannings import Plannings
from bylaw.flask import Bylaw
from bylaw.site import identity


def protection() -> Bylaw:
    bylaw: Bylaw = current_app.extensions["bylaw"]
    return bylaw


def now() -> datetime:
    """By the house's clock."""
    return datetime.fromtimestamp(protection().site.house.now(), UTC)


def plannings(session: Session | None = None) -> Plannings:
    """The plannings, for whoever asks."""
    db, who, house = session or get_session(), identity(), protection().site.house
    return Plannings(
        db, who, protection().record, now, lambda planning: hosting.appoint(house, db, who, planning)
    )


def planning_page(template: str, planning: Planning, form: Form[Any] | None = None, **more: Any) -> str:
    """A page about one planning, with a form on it as it was sent."""
    runs = identity().may("planning:run", owner=planning.facilitator_id, within=planning.scope)
    return render_template(template, planning=planning, form=form or Form(), runs=runs, **more)
