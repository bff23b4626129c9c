"""Documents of a project."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Response

from apps.projects.models import Document
from apps.projects.routers import versioned
from apps.projects.routers.common import After, At, InRegister, at_moment, page
from apps.projects.routers.versioned import Id
from apps.projects.schemas import DocumentChange, DocumentDraft, DocumentOut, Page
from apps.projects.versions import DOCUMENTS, PROJECTS
from bylaw.fastapi import Permit

router = APIRouter()
OF_PROJECT = "/projects/{project_id}/documents"


@router.get(
    OF_PROJECT, response_model=Page[DocumentOut], dependencies=[Permit("document:read")], tags=["documents"]
)
async def documents(within: InRegister, project_id: Id, after: After = "", at: At = None) -> Any:
    """The documents of a project, as they are or as they were."""
    await at_moment(within, PROJECTS, project_id, at)
    return page(await within.listed(DOCUMENTS, Document.project_id == project_id, after=after, at=at))


@router.post(
    OF_PROJECT,
    status_code=201,
    response_model=DocumentOut,
    dependencies=[Permit("document:create")],
    tags=["documents"],
)
async def create_document(
    within: InRegister, project_id: Id, draft: DocumentDraft, response: Response
) -> Any:
    """A new document in a project, owned by whoever makes it."""
    project = await within.current(PROJECTS, project_id)
    made = await within.create(DOCUMENTS, draft.model_dump(), project_id=project.thing.id)
    response.headers["Location"] = f"/documents/{made.thing.id}"
    return made.shown()


router.include_router(versioned.endpoints(DOCUMENTS, DocumentOut, DocumentChange))
