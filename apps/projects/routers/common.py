"""What the endpoints of every kind of thing share: dependencies, and what a query may ask."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Annotated
from uuid import UUID

from fastapi import Depends, Path, Query, Request
from pydantic import AfterValidator, AwareDatetime, BeforeValidator, StringConstraints

from apps.projects.database import Database
from apps.projects.people import People
from apps.projects.versions import PAGE, Found, Kind, Register
from bylaw.fastapi import Bylaw, Identity, SignedIn

CurrentUser = Annotated[Identity, SignedIn()]
"""Whoever calls, with an account that is not disabled: `get_current_active_user` of the published policy
(S3-022). A route that takes no dependency like it, `Permit` or `Public` does not start."""


def protection(request: Request) -> Bylaw:
    """bylaw, at work in this application."""
    found: Bylaw = request.app.state.bylaw
    return found


Protection = Annotated[Bylaw, Depends(protection)]


def register(bylaw: Protection, db: Database, who: CurrentUser) -> Register:
    """The register, as whoever calls may use it."""
    return Register(db, who, bylaw.record, lambda: datetime.fromtimestamp(bylaw.site.house.now(), UTC))


def people(bylaw: Protection, who: CurrentUser) -> People:
    """The users, as whoever calls may see and change them."""
    return People(bylaw.site.house, who)


def _tellable(at: datetime) -> datetime:
    """In UTC; a moment that only another zone has a name for is none."""
    try:
        return at.astimezone(UTC)
    except OverflowError:
        raise ValueError("no moment in UTC") from None


def _written_out(at: object) -> object:
    """Pydantic takes numbers too, as seconds or milliseconds, whichever seems likelier."""
    if isinstance(at, str) and not _MOMENT.match(at):
        raise ValueError("a moment as RFC 3339 has it, e.g. 2026-03-31T12:00:00Z")
    return at


_MOMENT = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt]")
InRegister = Annotated[Register, Depends(register)]
InPeople = Annotated[People, Depends(people)]
Moment = Annotated[AwareDatetime, BeforeValidator(_written_out), AfterValidator(_tellable)]
At = Annotated[
    Moment | None,
    Query(description="As it was at this moment, e.g. 2026-03-31T12:00:00Z; otherwise as it is."),
]
After = Annotated[UUID | None, Query(description="The last id of the page before (`next`).")]
Address = Annotated[
    str,
    StringConstraints(max_length=254, pattern=r"^[^\x00]*$"),
    Query(description="The last address of the page before (`next`)."),
]
UserId = Annotated[UUID, Path(description="The id of an account.")]


def page(found: list[Found]) -> dict[str, object]:
    """A page of a list, and where the next one begins."""
    full = len(found) == PAGE
    return {"items": [each.shown() for each in found], "next": found[-1].thing.id if full else None}


def text(after: UUID | None) -> str:
    """An id as it is kept: UUIDs are written in more than one way."""
    return "" if after is None else str(after)


async def at_moment(within: Register, kind: Kind, thing_id: str, at: datetime | None) -> Found:
    """The thing as it is, or as it was."""
    if at is None:
        return await within.current(kind, thing_id)
    return await within.as_of(kind, thing_id, at)
