"""What the endpoints of every kind of thing share."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from fastapi import Depends, Query, Request
from pydantic import AwareDatetime

from apps.projects.database import Database
from apps.projects.versions import PAGE, Found, Kind, Recorder, Register
from bylaw.fastapi import Identity, SignedIn


def register(request: Request, db: Database, who: Annotated[Identity, SignedIn()]) -> Register:
    """The register, as whoever calls may use it."""
    record: Recorder = request.app.state.bylaw.record
    return Register(db, who, record)


InRegister = Annotated[Register, Depends(register)]
At = Annotated[
    AwareDatetime | None,
    Query(description="As it was at this moment, e.g. 2026-03-31T12:00:00Z; otherwise as it is."),
]
After = Annotated[str, Query(max_length=36, description="The last id of the page before.")]


def page(found: list[Found]) -> dict[str, object]:
    """A page of a list, and where the next one begins."""
    full = len(found) == PAGE
    return {"items": [each.shown() for each in found], "next": found[-1].thing.id if full else None}


async def at_moment(within: Register, kind: Kind, thing_id: str, at: datetime | None) -> Found:
    """The thing as it is, or as it was."""
    if at is None:
        return await within.current(kind, thing_id)
    return await within.as_of(kind, thing_id, at)
