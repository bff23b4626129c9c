"""The notes application in Starlette alone: ASGI behind the adapter, rules by path."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from bylaw.adapters import asgi
from bylaw.controls import errors
from bylaw.reasons import Refused
from bylaw.site import Site
from tests.applications import by_path
from tests.applications.by_path import ROUTES, Asked, Said, Views


def _view(views: Views, names: dict[str, str]) -> Any:
    async def view(request: Request) -> Response:
        kind = request.headers.get("content-type", "")
        body, form = b"", dict[str, str]()
        if request.method not in ("GET", "HEAD"):
            if "form" in kind.lower():
                form = {name: str(value) for name, value in (await request.form()).items()}
            else:
                body = await request.body()
        asked = Asked(
            request.path_params,
            parse_qsl(request.url.query, keep_blank_values=True),
            kind,
            lambda: body,
            lambda: form,
        )
        name = names["GET" if request.method == "HEAD" else request.method]
        said: Said = await run_in_threadpool(getattr(views, name), asked)
        response = Response(said.body, said.status, {**said.headers, "Content-Type": said.kind})
        if said.cookie:
            response.set_cookie("lang", said.cookie)
        return response

    return view


class Gated(asgi.Gated):
    """What a developer writes as `application = Gated(Starlette(...), Site("bylaw.toml"))`."""

    def __init__(self) -> None:
        site = Site(by_path.policy())
        views = Views(site)

        def refused(request: Request, error: Exception) -> Response:
            if isinstance(error, HTTPException):
                said = tuple((error.headers or {}).items())
                error = Refused(errors.by_status(error.status_code), status=error.status_code, headers=said)
            assert isinstance(error, Refused)
            answer = site.refusal(error)
            return Response(answer.body, answer.status, dict(answer.headers))

        routes = [
            Route(route.replace("{number}", "{number:int}"), _view(views, names), methods=list(names))
            for route, names in ROUTES
        ]
        self.state = views.state
        handlers: Any = {Refused: refused, HTTPException: refused}
        super().__init__(Starlette(routes=routes, exception_handlers=handlers), site)


def create_app() -> Gated:
    return Gated()
