"""The endpoints that everything with versions has: looked at, changed, deleted, compared, restored."""
# No postponed annotations here: FastAPI reads them, and the models are arguments of the function around.

from typing import Annotated, Any

from fastapi import APIRouter, Path, Query
from pydantic import BaseModel

from apps.projects.routers.common import At, InRegister, at_moment
from apps.projects.schemas import BasedOn, Difference, Number, Restoration, VersionOut
from apps.projects.versions import Kind
from bylaw.fastapi import Permit

Id = Annotated[str, Path(max_length=36)]


def endpoints(kind: Kind, shown_as: type[BaseModel], changed_by: type[BasedOn]) -> APIRouter:
    """A router for `kind`, below `/{noun}s/{id}`."""
    noun = kind.noun
    router = APIRouter(prefix=f"/{noun}s/{{{noun}_id}}", tags=[f"{noun}s"])
    id_of = Annotated[str, Path(max_length=36, alias=f"{noun}_id")]

    def may(verb: str) -> list[Any]:
        return [Permit(f"{noun}:{verb}")]

    @router.get("", response_model=shown_as, dependencies=may("read"), summary=f"A {noun}")
    async def shown(within: InRegister, thing: id_of, at: At = None) -> Any:
        return (await at_moment(within, kind, thing, at)).shown()

    @router.put("", response_model=shown_as, dependencies=may("update"), summary=f"Change a {noun}")
    async def change(within: InRegister, thing: id_of, change: changed_by) -> Any:  # type: ignore[valid-type]
        content = change.model_dump(exclude={"based_on"})  # type: ignore[attr-defined]
        return (await within.change(kind, thing, change.based_on, content)).shown()  # type: ignore[attr-defined]

    @router.delete("", status_code=204, dependencies=may("delete"), summary=f"Delete a {noun}")
    async def delete(within: InRegister, thing: id_of, based_on: Annotated[Number, Query()]) -> None:
        await within.delete(kind, thing, based_on)

    @router.get(
        "/versions", response_model=list[VersionOut], dependencies=may("read"), summary="Its versions"
    )
    async def versions(
        within: InRegister, thing: id_of, before: Annotated[Number | None, Query()] = None
    ) -> Any:
        return await within.history(kind, thing, before=before)

    @router.get(
        "/differences",
        response_model=Difference,
        dependencies=may("read"),
        summary="What changed between two versions",
    )
    async def differences(
        within: InRegister, thing: id_of, older: Annotated[Number, Query()], newer: Annotated[Number, Query()]
    ) -> Any:
        fields = await within.difference(kind, thing, older, newer)
        return Difference(older=older, newer=newer, fields=fields)

    @router.post(
        "/restore",
        response_model=shown_as,
        dependencies=may("update"),
        summary="Bring an earlier version back",
    )
    async def restore(within: InRegister, thing: id_of, wanted: Restoration) -> Any:
        return (await within.restore(kind, thing, wanted.based_on, wanted.version)).shown()

    return router
