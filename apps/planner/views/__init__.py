"""The pages."""

from __future__ import annotations

from datetime import datetime

from flask import Flask, request

from apps.planner.plans import COLOURS, Square
from apps.planner.views import contributions, home, overview, participants, planning, running


def init_app(app: Flask) -> None:
    for module in (home, planning, contributions, overview, running, participants):
        app.register_blueprint(module.blueprint)
    app.add_template_filter(moment)
    app.add_template_global(square_of)
    app.add_template_global(colour_class)
    app.context_processor(_common)


def moment(value: datetime | None) -> str:
    return f"{value.day} {value:%B %Y, %H:%M} UTC" if value else "—"


def square_of(x: float, y: float) -> str:
    """The name of the square that a place on the plan lies in."""
    return str(Square.at(x, y))


def colour_class(position: int) -> str:
    """The class of a category's colour in pages.css: the same that it has on the plan."""
    return f"hue-{position % len(COLOURS)}"


def _common() -> dict[str, object]:
    return {"saved": _SAID.get(request.args.get("saved", ""), "")}


_SAID = {"1": "Saved.", "deleted": "Deleted.", "withdrawn": "Withdrawn.", "revoked": "Revoked."}
"""What a page says first, after what somebody has done; never what the address says."""
