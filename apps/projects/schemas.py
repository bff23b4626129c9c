"""What the register takes and gives. Nothing but these fields: an unknown one is refused (C-08)."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Generic, Literal, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints

from apps.projects.models import TITLE, Change, Status

T = TypeVar("T")

# No NUL, which PostgreSQL keeps in no text, and in a title nothing that breaks its line, and no blanks around
# it. The rules stand in the pattern, so that whoever reads the document knows them, too.
_LINE = r"^[^\x00-\x20\x7f-\xa0]([^\x00-\x1f\x7f-\x9f]*[^\x00-\x20\x7f-\xa0])?$"
_LINE_OR_NONE = r"^[^\x00-\x1f\x7f-\x9f]*$"
Title = Annotated[str, StringConstraints(min_length=1, max_length=TITLE, pattern=_LINE)]
Text = Annotated[str, StringConstraints(max_length=50_000, pattern=r"^[^\x00]*$")]


def _whole(value: object) -> object:
    """JSON has one kind of number: 1.0 is 1 (JSON Schema 2020-12, 6.1.1)."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


Number = Annotated[int, Field(ge=1, le=2**31 - 1), BeforeValidator(_whole)]
Role = Literal["admin", "editor", "viewer"]
Because = Annotated[str, StringConstraints(max_length=500, pattern=_LINE)]


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
    """A whole project: what is left out is as in a new one."""


class DocumentChange(DocumentDraft, BasedOn):
    """A whole document: what is left out is as in a new one."""


class Restoration(BasedOn):
    version: Number
    """The version whose content is to come back."""


class UserInvitation(Given):
    """No password: its owner chooses it, by the link in the mail."""

    email: Annotated[str, StringConstraints(max_length=254), Field(json_schema_extra={"format": "email"})]
    name: Annotated[str, StringConstraints(max_length=120, pattern=_LINE_OR_NONE)] = ""
    role: Role = "viewer"


class RoleChange(Given):
    role: Role
    because: Because


class Explained(Given):
    because: Because


class Shown(BaseModel):
    model_config = ConfigDict(from_attributes=True)


class VersionOut(Shown):
    """A version without its content."""

    number: int
    change: Change
    restored_from: int | None
    author_id: str
    at: datetime


class ProjectVersionOut(VersionOut):
    title: str
    summary: str
    status: Status


class DocumentVersionOut(VersionOut):
    title: str
    body: str


class ThingOut(Shown):
    """A thing at one of its versions; `changed_by` and `changed_at` are that version's."""

    id: str
    owner_id: str
    version: int
    changed_by: str
    changed_at: datetime


class ProjectOut(ThingOut):
    title: str
    summary: str
    status: Status


class DocumentOut(ThingOut):
    project_id: str
    title: str
    body: str


class Difference(BaseModel):
    """What changed between two versions: by field, as lines of a unified diff."""

    older: int
    newer: int
    fields: dict[str, list[str]]


class Page(BaseModel, Generic[T]):
    """A page of a list; `next` is what to ask for (`after`) to get the one after it."""

    items: list[T]
    next: str | None = None


class VersionPage(BaseModel):
    """A page of a history, the newest first; `next` is what to ask for (`before`) to go further back."""

    items: list[VersionOut]
    next: int | None = None


class UserOut(BaseModel):
    id: str
    email: str
    name: str
    roles: list[str]
    disabled: bool
    invited: bool
    created_at: datetime


class UserVersionOut(BaseModel):
    """From when on somebody held which roles, and who decided so; nobody where they ran out by themselves."""

    number: int
    at: datetime
    roles: list[str]
    author_id: str | None
    because: str


class HeldRole(BaseModel):
    role: str
    scope: str
    """Within which object alone; empty for everywhere."""
    since: datetime
    until: datetime | None
    granted_by: str | None
    because: str


class RolesOut(BaseModel):
    """Somebody's roles at a moment."""

    user_id: str
    at: datetime
    roles: list[HeldRole]


class Me(BaseModel):
    """Whoever asks."""

    id: str
    email: str
    name: str
    roles: list[str]
