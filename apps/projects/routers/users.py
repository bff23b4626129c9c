"""Users: for administrators, and whoever asks about himself.

bylaw's operations wait for its database, so each is called in a thread: the event loop waits for nobody.
"""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Response

from apps.projects.problems import CONFLICT, NOT_THERE
from apps.projects.routers.common import Address, At, CurrentUser, InPeople, Protection, UserId
from apps.projects.schemas import (
    Explained,
    Me,
    Page,
    RoleChange,
    RolesOut,
    UserInvitation,
    UserOut,
    UserVersionOut,
)
from bylaw.fastapi import Permit

router = APIRouter(prefix="/users", tags=["users"])
ADMIN_ONLY = [Permit("user:manage", refusal="Admin only")]
"""The published policy's rule and its words (S3-025). At each request the newest version's role counts."""


@router.get("/me", response_model=Me)
async def me(who: CurrentUser) -> Any:
    """Whoever asks."""
    return {"id": who.id, "email": who.email, "name": who.name, "roles": sorted(who.roles)}


@router.get("", response_model=Page[UserOut], dependencies=ADMIN_ONLY)
async def users(people: InPeople, bylaw: Protection, after: Address = "") -> Any:
    """The accounts, in the order of their addresses."""
    return await bylaw.off_loop(people.listed, after)


@router.post("", status_code=201, response_model=UserOut, dependencies=ADMIN_ONLY, responses=CONFLICT)
async def create_user(people: InPeople, bylaw: Protection, wanted: UserInvitation, response: Response) -> Any:
    """A new account. Its owner gets a mail with a link, and chooses the password: nobody else knows it."""
    made = await bylaw.off_loop(people.invite, wanted.email, wanted.name, wanted.role)
    response.headers["Location"] = f"/users/{made['id']}"
    return made


@router.get("/{user_id}", response_model=UserOut, dependencies=ADMIN_ONLY, responses=NOT_THERE)
async def user(people: InPeople, bylaw: Protection, user_id: UserId) -> Any:
    """An account."""
    return await bylaw.off_loop(people.one, str(user_id))


@router.get(
    "/{user_id}/versions", response_model=list[UserVersionOut], dependencies=ADMIN_ONLY, responses=NOT_THERE
)
async def user_versions(people: InPeople, bylaw: Protection, user_id: UserId) -> Any:
    """Every change of somebody's role, the newest first: since when, by whom and why."""
    return await bylaw.off_loop(people.versions, str(user_id))


@router.get("/{user_id}/roles", response_model=RolesOut, dependencies=ADMIN_ONLY, responses=NOT_THERE)
async def user_roles(people: InPeople, bylaw: Protection, user_id: UserId, at: At = None) -> Any:
    """Somebody's roles now, or on a date."""
    return await bylaw.off_loop(people.roles_at, str(user_id), at)


@router.put(
    "/{user_id}/role", response_model=UserOut, dependencies=ADMIN_ONLY, responses={**NOT_THERE, **CONFLICT}
)
async def change_role(people: InPeople, bylaw: Protection, user_id: UserId, wanted: RoleChange) -> Any:
    """Another role, from now on and for every token that the account holds."""
    return await bylaw.off_loop(people.set_role, str(user_id), wanted.role, wanted.because)


@router.post(
    "/{user_id}/disable", response_model=UserOut, dependencies=ADMIN_ONLY, responses={**NOT_THERE, **CONFLICT}
)
async def disable_user(people: InPeople, bylaw: Protection, user_id: UserId, wanted: Explained) -> Any:
    """Shut an account. Whatever it holds ends at once: sessions, tokens and keys."""
    return await bylaw.off_loop(people.disable, str(user_id), wanted.because)


@router.post(
    "/{user_id}/enable", response_model=UserOut, dependencies=ADMIN_ONLY, responses={**NOT_THERE, **CONFLICT}
)
async def enable_user(people: InPeople, bylaw: Protection, user_id: UserId, wanted: Explained) -> Any:
    """Open it again: its owner signs in anew."""
    return await bylaw.off_loop(people.enable, str(user_id), wanted.because)
