"""The page at `/`: that the API is alive, and where to go from there. No script, nothing of the register."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from fastapi.responses import HTMLResponse
from fastapi.templating import Jinja2Templates
from sqlalchemy import literal, select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine

from apps.projects.routers.common import Protection
from bylaw.fastapi import Identity, Public

router = APIRouter()
templates = Jinja2Templates(Path(__file__).parents[1] / "templates")
PATIENCE = 2.0
"""Seconds after which a database counts as not answering."""
FRESH = 1.0
"""Seconds for which an answer is good: however many look at the page, the database is asked once."""


class Look:
    """What the database said lately."""

    def __init__(self) -> None:
        self._one_at_a_time = asyncio.Lock()
        self._at = float("-inf")
        self._answers = False

    async def answers(self, engine: AsyncEngine) -> bool:
        async with self._one_at_a_time:
            clock = asyncio.get_running_loop().time
            if clock() - self._at > FRESH:
                self._answers = await _answers(engine)
                self._at = clock()
        return self._answers


async def _answers(engine: AsyncEngine) -> bool:
    try:
        async with asyncio.timeout(PATIENCE), engine.connect() as connection:
            await connection.execute(select(literal(1)))
    except (SQLAlchemyError, OSError, TimeoutError):
        return False
    return True


def look(request: Request) -> Look:
    state = request.app.state
    if not hasattr(state, "look"):
        state.look = Look()
    found: Look = state.look
    return found


@router.get("/", response_class=HTMLResponse, include_in_schema=False)
async def status(
    request: Request,
    bylaw: Protection,
    lately: Annotated[Look, Depends(look)],
    who: Annotated[Identity, Public("that the API is alive is no secret")],
) -> HTMLResponse:
    """Whether the API is alive, for people."""
    answers = await lately.answers(request.app.state.database)
    now = datetime.fromtimestamp(bylaw.site.house.now(), UTC)
    return templates.TemplateResponse(
        request,
        "status.html",
        {
            "answers": answers,
            "app": bylaw.policy.app,
            "contact": bylaw.policy.app.contact or "",
            "version": request.app.version,
            "now": now,
            "who": who,
            "urls": {name: bylaw.url(name) for name in ("account", "sign_in", "sign_up")},
        },
    )
