"""What the register takes and gives. Nothing but these fields: an unknown one is refused (C-08)."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Generic, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from apps.projects.models import Change

T = TypeVar("T")

Title = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]
Text = Annotated[str, StringConstraints(max_length=50_000)]
Status = Literal["proposed", "active", "paused", "closed"]
Number = Annotated[int, Field(ge=1, le=2**31 - 1)]


class Given(BaseModel):
    """What somebody sends."""

    model_config = ConfigDict(extra="forbid", strict=True)


class ProjectDraft(Given):
    title: Title
    summary: Text = ""
    status: Status = "proposed"


class DocumentDraft(Given):
    title: Title
    body: Text = ""


class BasedOn(Given):
    """A change says which version it was made on: nobody overwrites what he has not seen."""

    based_on: Number


class ProjectChange(ProjectDraft, BasedOn):
    pass


class DocumentChange(DocumentDraft, BasedOn):
    pass


class Restoration(BasedOn):
    version: Number
    """The version whose content is to come back."""


class Shown(BaseModel):
    model_config = ConfigDict(from_attributes=True)


class VersionOut(Shown):
    """A version without its content."""

    number: int
    change: Change
    restored_from: int | None
    author_id: str
    at: datetime


class ProjectOut(Shown):
    id: str
    owner_id: str
    version: int
    changed_by: str
    changed_at: datetime
    title: str
    summary: str
    status: Status


class DocumentOut(Shown):
    id: str
    project_id: str
    owner_id: str
    version: int
    changed_by: str
    changed_at: datetime
    title: str
    body: str


class Difference(BaseModel):
    """What changed between two versions: by field, as lines of a unified diff."""

    older: int
    newer: int
    fields: dict[str, list[str]]


class Page(BaseModel, Generic[T]):
    """A page of a list; `next` is what to ask for to get the one after it."""

    items: list[T]
    next: str | None = None
