"""Projects."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Response

from apps.projects.routers import versioned
from apps.projects.routers.common import After, At, InRegister, page
from apps.projects.schemas import Page, ProjectChange, ProjectDraft, ProjectOut
from apps.projects.versions import PROJECTS
from bylaw.fastapi import Permit

router = APIRouter()


@router.get(
    "/projects", response_model=Page[ProjectOut], dependencies=[Permit("project:read")], tags=["projects"]
)
async def projects(within: InRegister, after: After = "", at: At = None) -> Any:
    """The projects, as they are or as they were."""
    return page(await within.listed(PROJECTS, after=after, at=at))


@router.post(
    "/projects",
    status_code=201,
    response_model=ProjectOut,
    dependencies=[Permit("project:create")],
    tags=["projects"],
)
async def create_project(within: InRegister, draft: ProjectDraft, response: Response) -> Any:
    """A new project, owned by whoever makes it."""
    made = await within.create(PROJECTS, draft.model_dump())
    response.headers["Location"] = f"/projects/{made.thing.id}"
    return made.shown()


router.include_router(versioned.endpoints(PROJECTS, ProjectOut, ProjectChange))
