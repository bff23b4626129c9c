"""Documents of a project."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Path, Response

from apps.projects.models import Document
from apps.projects.problems import NOT_THERE
from apps.projects.routers import versioned
from apps.projects.routers.common import After, At, InRegister, at_moment, page, text
from apps.projects.routers.projects import Deleted
from apps.projects.schemas import DocumentChange, DocumentDraft, DocumentOut, DocumentVersionOut, Page
from apps.projects.versions import DOCUMENTS, PROJECTS
from bylaw.fastapi import Permit

router = APIRouter()
OF_PROJECT = "/projects/{project_id}/documents"
ProjectId = Annotated[UUID, Path()]


@router.get(
    OF_PROJECT,
    response_model=Page[DocumentOut],
    dependencies=[Permit("document:read")],
    responses=NOT_THERE,
    tags=["documents"],
)
async def documents(
    within: InRegister, project_id: ProjectId, after: After = None, at: At = None, deleted: Deleted = False
) -> Any:
    """The documents of a project, as they are or as they were."""
    project = await at_moment(within, PROJECTS, str(project_id), at)
    inside = Document.project_id == project.thing.id
    return page(await within.listed(DOCUMENTS, inside, after=text(after), at=at, deleted=deleted))


@router.post(
    OF_PROJECT,
    status_code=201,
    response_model=DocumentOut,
    dependencies=[Permit("document:create")],
    responses=NOT_THERE,
    tags=["documents"],
)
async def create_document(
    within: InRegister, project_id: ProjectId, draft: DocumentDraft, response: Response
) -> Any:
    """A new document in a project, owned by whoever makes it."""
    made = await within.create_document(str(project_id), draft.model_dump())
    response.headers["Location"] = f"/documents/{made.thing.id}"
    return made.shown()


router.include_router(versioned.endpoints(DOCUMENTS, DocumentOut, DocumentChange, DocumentVersionOut))
