"""The endpoints that everything with versions has: looked at, changed, deleted, compared, restored."""
# No postponed annotations here: FastAPI reads them, and the models are arguments of the function around.

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Path, Query
from pydantic import BaseModel

from apps.projects.problems import NOT_THERE, OUTDATED
from apps.projects.routers.common import At, InRegister, at_moment
from apps.projects.schemas import BasedOn, Difference, Number, Restoration, VersionOut, VersionPage
from apps.projects.versions import PAGE, Kind
from bylaw.fastapi import Permit

Based = Annotated[Number, Query(description="The version that it is based on: the newest one.")]


def endpoints(
    kind: Kind, shown_as: type[BaseModel], changed_by: type[BasedOn], version_as: type[VersionOut]
) -> APIRouter:
    """A router for `kind`, below `/{noun}s/{id}`."""
    noun = kind.noun
    router = APIRouter(prefix=f"/{noun}s/{{{noun}_id}}", tags=[f"{noun}s"], responses=NOT_THERE)
    id_of = Annotated[UUID, Path(alias=f"{noun}_id")]

    def may(verb: str) -> list[Any]:
        return [Permit(f"{noun}:{verb}")]

    @router.get("", response_model=shown_as, dependencies=may("read"), summary=f"A {noun}")
    async def shown(within: InRegister, thing: id_of, at: At = None) -> Any:
        return (await at_moment(within, kind, str(thing), at)).shown()

    @router.put(
        "",
        response_model=shown_as,
        dependencies=may("update"),
        responses=OUTDATED,
        summary=f"Change a {noun}",
    )
    async def change(within: InRegister, thing: id_of, change: changed_by) -> Any:  # type: ignore[valid-type]
        content = change.model_dump(exclude={"based_on"})  # type: ignore[attr-defined]
        return (await within.change(kind, str(thing), change.based_on, content)).shown()  # type: ignore[attr-defined]

    @router.delete(
        "", status_code=204, dependencies=may("delete"), responses=OUTDATED, summary=f"Delete a {noun}"
    )
    async def delete(within: InRegister, thing: id_of, based_on: Based) -> None:
        await within.delete(kind, str(thing), based_on)

    @router.get(
        "/versions",
        response_model=VersionPage,
        dependencies=may("read"),
        summary=f"The versions of a {noun}, the newest first; also of one that was deleted",
    )
    async def versions(
        within: InRegister,
        thing: id_of,
        before: Annotated[Number | None, Query(description="The last number of the page before.")] = None,
    ) -> Any:
        found = await within.history(kind, str(thing), before=before)
        return {"items": found, "next": found[-1].number if len(found) == PAGE else None}

    @router.get(
        "/versions/{number}",
        response_model=version_as,
        dependencies=may("read"),
        summary="One version, with its content",
    )
    async def version(within: InRegister, thing: id_of, number: Annotated[Number, Path()]) -> Any:
        return await within.version(kind, str(thing), number)

    @router.get(
        "/differences",
        response_model=Difference,
        dependencies=may("read"),
        summary="What changed between two versions",
    )
    async def differences(
        within: InRegister, thing: id_of, older: Annotated[Number, Query()], newer: Annotated[Number, Query()]
    ) -> Any:
        fields = await within.difference(kind, str(thing), older, newer)
        return Difference(older=older, newer=newer, fields=fields)

    @router.post(
        "/restore",
        response_model=shown_as,
        dependencies=may("update"),
        responses=OUTDATED,
        summary="Bring an earlier version back, as a new one",
    )
    async def restore(within: InRegister, thing: id_of, wanted: Restoration) -> Any:
        return (await within.restore(kind, str(thing), wanted.based_on, wanted.version)).shown()

    return router
