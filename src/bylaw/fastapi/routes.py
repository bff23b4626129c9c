"""What FastAPI's routes say of themselves, and routers that take no more of them."""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from fastapi import params
from fastapi.dependencies.models import Dependant

from bylaw.errors import MisuseError, Problem
from bylaw.fastapi.declaring import Demand, PublicDemand, Taken
from bylaw.identity import (
    AccessRule,
)
from bylaw.routes import Taking
from bylaw.site import identity


def home(endpoint: Any) -> Path | None:
    """The directory of the module that an endpoint is in."""
    file = getattr(sys.modules.get(getattr(endpoint, "__module__", "")), "__file__", None)
    return Path(file).parent if file else None


def demands(dependant: Dependant) -> list[Dependant]:
    """What a route itself demands of whoever calls it."""
    return [each for each in dependant.dependencies if isinstance(each.call, Demand | PublicDemand)]


def rules(dependant: Dependant) -> Iterator[AccessRule]:
    if isinstance(dependant.call, Demand | PublicDemand):
        yield dependant.call.rule
    for child in dependant.dependencies:
        yield from rules(child)


def takings(context: Any) -> list[Taking]:
    """What a route has declared that it takes: by itself, its router or what it depends on."""
    return [each.call.taking for each in dependants(context) if isinstance(each.call, Taken)]


def dependants(context: Any) -> Iterator[Dependant]:
    pending = [getattr(context, "dependant", None)]
    while pending:
        each = pending.pop()
        if each is not None:
            yield each
            pending += each.dependencies


def undeclared(context: Any, path: str) -> Iterator[Problem]:
    """Parameters for files that would never come: the gate lets none pass that nobody has declared."""
    for each in dependants(context):
        if isinstance(each.call, Taken):
            continue
        for parameter in each.body_params:
            if isinstance(parameter.field_info, params.File):
                methods = ",".join(sorted(context.methods or ()))
                yield Problem(
                    f"{methods} {path}",
                    f"({parameter.name})",
                    "it asks for a file, and none would ever reach it",
                    f'{parameter.name}: Annotated[list[Given], Takes("{parameter.alias}", kinds=("pdf",))]',
                )


def streams(call: Any) -> bool:
    """Whether an endpoint yields its answer: FastAPI looks at the function itself to find out."""
    inner = inspect.unwrap(call) if call is not None else None
    return call is None or inspect.isgeneratorfunction(inner) or inspect.isasyncgenfunction(inner)


def introduced(call: Callable[..., Any], names: tuple[str, ...]) -> Callable[..., Any]:
    """`call`, given whoever makes the current request under each of the `names`."""
    if inspect.iscoroutinefunction(inspect.unwrap(call)):

        @functools.wraps(call)
        async def awaited(**values: Any) -> Any:
            who = identity()
            for name in names:
                values[name] = who
            return await call(**values)

        return awaited

    @functools.wraps(call)
    def called(**values: Any) -> Any:
        who = identity()
        for name in names:
            values[name] = who
        return call(**values)

    return called


class Sealed(list[Any]):
    """The routes of a router that serves: one more would be answered before anybody had asked who
    may call it, and would have FastAPI build its neighbours anew, without their guards."""

    def append(self, route: object) -> None:
        raise MisuseError("routes are declared before the application starts, not while it serves")

    insert = extend = append  # type: ignore[assignment]


def seal(router: Any) -> None:
    """Let a router, and every router that it includes, take no more routes."""
    if isinstance(router.routes, Sealed):
        return
    router.routes = Sealed(router.routes)
    for route in router.routes:
        included = getattr(route, "original_router", None)
        if included is not None:
            seal(included)
