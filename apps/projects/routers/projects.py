"""Projects."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Response

from apps.projects.routers import versioned
from apps.projects.routers.common import After, At, InRegister, page, text
from apps.projects.schemas import Page, ProjectChange, ProjectDraft, ProjectOut, ProjectVersionOut
from apps.projects.versions import PROJECTS
from bylaw.fastapi import Permit

router = APIRouter()
Deleted = Annotated[bool, Query(description="Those that were deleted, instead: they can be restored.")]


@router.get(
    "/projects", response_model=Page[ProjectOut], dependencies=[Permit("project:read")], tags=["projects"]
)
async def projects(within: InRegister, after: After = None, at: At = None, deleted: Deleted = False) -> Any:
    """The projects, as they are or as they were."""
    return page(await within.listed(PROJECTS, after=text(after), at=at, deleted=deleted))


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


router.include_router(versioned.endpoints(PROJECTS, ProjectOut, ProjectChange, ProjectVersionOut))
