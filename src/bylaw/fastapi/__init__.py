"""bylaw for FastAPI: what a FastAPI person expects, over the ASGI adapter.

    app = FastAPI()
    bylaw = Bylaw(app, "bylaw.toml")

    @app.post("/documents")
    def create(draft: Draft, who: Annotated[Identity, Permit("document:create")]): ...

A rule may stand on a parameter, in a route's `dependencies` or in a router's. It is asked before the
body is read, so that whoever may not call a route learns nothing about its fields.
"""

from __future__ import annotations

import functools
import re
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ParamSpec, TypeVar, cast

from fastapi import FastAPI, Request
from fastapi.dependencies.models import Dependant
from fastapi.exceptions import RequestValidationError
from fastapi.routing import iter_route_contexts
from markupsafe import Markup
from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection
from starlette.responses import Response as StarletteResponse
from starlette.routing import Mount, compile_path
from starlette.staticfiles import StaticFiles

from bylaw.adapters import asgi
from bylaw.controls import csrf, errors, headers
from bylaw.errors import PolicyError, Problem
from bylaw.exchange import Answer, Exchange, Refuse, Response
from bylaw.fastapi.declaring import Permit, Public, SignedIn, Takes
from bylaw.fastapi.routes import demands, home, introduced, rules, seal, streams, takings, undeclared
from bylaw.fastapi.sending import Exported, SentFiles
from bylaw.fastapi.validation import invalid
from bylaw.identity import PUBLIC, AccessRule, Identity, all_of
from bylaw.offered import Offered
from bylaw.operations.files import Given
from bylaw.operations.files.keeping import packaged
from bylaw.pages import openapi, openapi_schemes, rendering
from bylaw.reasons import Refused
from bylaw.routes import Route, merged
from bylaw.site import Site

__all__ = ["Bylaw", "Given", "Identity", "Permit", "Public", "SignedIn", "Takes"]

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")
_CONVERTOR = re.compile(r":\w+}")
"""What a path says of a parameter's type, and the document does not."""
STATIC = AccessRule("public", because="static files")
DOCUMENTATION = AccessRule("permission", "docs:view")
"""Who sees /docs and /openapi.json in production; in development everybody does."""


class Bylaw(Offered):
    """The policy `file` at work in a FastAPI application."""

    def __init__(self, app: FastAPI, file: str | Path = "bylaw.toml") -> None:
        self.site = Site(file)
        self.app = app
        self._routes: list[tuple[str, str, AccessRule]] = []
        self._lifted: dict[int, tuple[Dependant, AccessRule]] = {}
        """Dependants whose rule the guard asks alone, by their id; held, so that no other gets the id."""
        self._patterns: list[tuple[re.Pattern[str], Route]] = []
        self.gated: asgi.Gated | None = None
        self._mounts: dict[str, AccessRule] = {}
        self._routed = False
        self._starting = threading.Lock()
        build = app.build_middleware_stack

        def stack() -> Any:
            # Around everything, Starlette's own error handling too: headers belong on a 500 (C-36).
            self.gated = asgi.Gated(build(), self.site, self._prepare)
            return self.gated

        app.build_middleware_stack = stack  # type: ignore[method-assign]
        app.state.bylaw = self
        self._speak_for(app)
        self._describe(app)

    def _speak_for(self, app: FastAPI) -> None:
        """Have an application (this one, or one that is mounted) refuse in the policy's words."""
        app.add_exception_handler(HTTPException, self._http_error)  # type: ignore[arg-type]
        app.add_exception_handler(RequestValidationError, self._invalid)  # type: ignore[arg-type]
        app.add_exception_handler(Refused, self._refused)  # type: ignore[arg-type]
        app.add_exception_handler(Exception, self._failed)

    @property
    def files(self) -> SentFiles:
        """Uploaded files: `bylaw.files.take(given, by=who)`, `bylaw.files.send(file_id, subject)`. They wait
        for disk and database: in a plain `def`, or through `bylaw.off_loop`."""
        return SentFiles(self.site.house)

    def export(
        self,
        name: str,
        columns: Sequence[str],
        rows: Iterable[Iterable[object]],
        *,
        format: str = "csv",  # noqa: A002 - see Site.export
        filter: str = "",  # noqa: A002 - (the same)
    ) -> StarletteResponse:
        """The response of a route that gives a table out: see `Site.export`. `rows` is walked by worker
        threads when the route has returned: a database session that they need is theirs to open."""
        return Exported(self.site.export(name, columns, rows, format=format, filter=filter))

    async def off_loop(
        self, work: Callable[Arguments, Result], *args: Arguments.args, **named: Arguments.kwargs
    ) -> Result:
        """Call what waits, such as one of bylaw's operations, in a worker thread, where it knows who asks:
        `await bylaw.off_loop(administering.find, bylaw.site.house, who, user_id)`. The event loop, and with
        it everybody else's request, goes on meanwhile."""
        return cast(Result, await self._waiting(functools.partial(work, *args, **named)))

    def mount(self, prefix: str, rule: AccessRule = PUBLIC) -> None:
        """Declare who may call what is mounted at the path `prefix` and declares nothing itself."""
        self._mounts[prefix.rstrip("/")] = rule

    # For pages: `templates.env.globals["bylaw"] = bylaw`, then `{{ bylaw.csrf_field(request) }}`

    def csrf_field(self, request: HTTPConnection) -> Markup:
        """The hidden field with the token against request forgery, for a form."""
        return rendering.field(self.site.house, request.scope[asgi.EXCHANGE])

    def csrf_token(self, request: HTTPConnection) -> str:
        """The same token, for a script to send in the header."""
        return csrf.token(self.site.house, request.scope[asgi.EXCHANGE])

    def csp_nonce(self, request: HTTPConnection) -> str:
        """The nonce that a page's own scripts and styles bear."""
        return headers.nonce(request.scope[asgi.EXCHANGE])

    def routes(self) -> Iterator[tuple[str, str, AccessRule]]:
        """Every (method, path, access rule) of the application itself."""
        yield from self._routes

    # Start-up

    def ready(self) -> None:
        """Refuse to start where the policy cannot be kept. Raises PolicyError with every problem."""
        self._prepare(False)

    def _prepare(self, last: bool) -> None:
        """Put its rule before every route that has none yet; the `last` time, no more may come."""
        with self._starting:  # the first requests may come together
            self._routes, self._patterns = [], []
            problems = [*self._guard_all(self.app, "", last), *self.site.declared_in_code()]
            if self.policy.production and self.app.debug:
                problems.append(
                    Problem(
                        "app.debug",
                        "on in production",
                        "it shows internals to visitors",
                        "off, or BYLAW_ENV=development",
                    )
                )
            if problems:
                raise PolicyError(f"{self.policy.app.name} has routes that nobody may be let into", problems)
            if not self._routed:
                self.site.house.routes.add(self._find)
                self._routed = True
            self.site.open()
            if last:
                self.site.routed()

    def _find(self, method: str, path: str) -> Route | None:
        """The route at a path, for limits and for what other sites may ask."""
        here = [route for pattern, route in self._patterns if pattern.match(path)]
        if not here:
            return None
        first = next((route for route in here if method in route.methods), here[0])
        return replace(first, methods=frozenset().union(*(route.methods for route in here)))

    def _guard_all(self, app: Any, prefix: str, last: bool) -> Iterator[Problem]:
        """Every route, those of included routers and of mounted applications too.

        Since FastAPI 0.137 an included router is one node: `app.routes` does not show its routes.
        """
        for context in iter_route_contexts(app.routes):
            path = prefix + (context.path or "")
            if isinstance(context.original_route, Mount):
                yield from self._guard_mount(context, path, last)
                continue
            rule = self._rule(app, context)
            if rule is None:
                methods = ",".join(sorted((context.methods or {"WEBSOCKET"}) - {"HEAD"}))
                name = getattr(context.endpoint, "__qualname__", context.name)
                yield Problem(
                    f"{methods} {path}",
                    f"({name})",
                    "nobody has said who may call it",
                    'Annotated[Identity, Permit("noun:verb")], SignedIn() or Public("why")',
                )
                continue
            self._put_before(context, rule)
            self._lift(context, rule)
            self.site.house.roots.update(packaged(home(context.endpoint)))
            files = merged(takings(context))
            yield from undeclared(context, path)
            found = Route(path, frozenset(context.methods or ()), rule=rule, files=files)
            self._patterns.append((compile_path(path)[0], found))
            for method in sorted((context.methods or {"WEBSOCKET"}) - {"HEAD"}):
                self._routes.append((method, path, rule))
                if files is not None:
                    self.site.house.routes.files[method, path] = files
        if last:
            seal(getattr(app, "router", app))

    def _guard_mount(self, context: Any, path: str, last: bool) -> Iterator[Problem]:
        """Another application below a path: by its own routes, or as a whole."""
        mounted = context.app
        files = isinstance(mounted, StaticFiles) or getattr(mounted, "static", False)
        self.site.house.roots.update(Path(each) for each in getattr(mounted, "all_directories", ()))
        declared = self._mounts.get(path.rstrip("/"))
        if files or declared is not None or not hasattr(mounted, "routes"):
            below = re.compile(f"^{re.escape(path.rstrip('/'))}(/|$)")
            self._patterns.append((below, Route(path, static=files)))
        if declared is not None:
            self._put_before(context, declared)
        elif files:
            self._put_before(context, STATIC)
        elif hasattr(mounted, "routes"):
            if isinstance(mounted, FastAPI) and mounted.middleware_stack is None:
                self._speak_for(mounted)
            yield from self._guard_all(mounted, path, last)
        elif not hasattr(mounted, "guards"):
            yield Problem(
                f"mount {path}",
                f"({type(mounted).__name__})",
                "nobody has said who may call it",
                f'bylaw.mount("{path}", rule)',
            )

    def _rule(self, app: Any, context: Any) -> AccessRule | None:
        dependant = getattr(context, "dependant", None)
        if dependant is not None:
            lifted = self._lifted.get(id(dependant))
            # A router's and a route's: all of them must hold.
            return all_of(rules(dependant)) if lifted is None else lifted[1]
        documents = {
            getattr(app, name, None)
            for name in ("docs_url", "redoc_url", "openapi_url", "swagger_ui_oauth2_redirect_url")
        }
        if context.path in documents - {None}:
            return DOCUMENTATION if self.policy.production else PUBLIC
        return None

    def _put_before(self, context: Any, rule: AccessRule) -> None:
        """Wrap what the router calls for this route. An included route is called by its context."""
        inner = context._route_context
        target: Any = context.original_route
        if inner is not None:
            target = inner.starlette_route or inner
        if not hasattr(target.app, "guards"):
            target.app = self._guarded(target.app, rule)

    def _lift(self, context: Any, rule: AccessRule) -> None:
        """Hand an endpoint its identity without a dependency: the guard has asked the rule already, and
        FastAPI takes 10 to 17 µs to solve the same once more.

        FastAPI reads `dependencies` and `call` of a route's dependant at each request.
        """
        dependant = getattr(context, "dependant", None)
        if dependant is None or id(dependant) in self._lifted or streams(dependant.call):
            return
        asked = demands(dependant)
        if not asked:
            return
        self._lifted[id(dependant)] = dependant, rule
        dependant.dependencies = [d for d in dependant.dependencies if d not in asked]
        names = tuple(d.name for d in asked if d.name is not None)
        if names:
            dependant.call = introduced(dependant.call, names)

    def _guarded(self, application: asgi.Application, rule: AccessRule) -> asgi.Application:
        async def guarded(scope: asgi.Scope, receive: asgi.Receive, send: asgi.Send) -> None:
            exchange: Exchange = scope[asgi.EXCHANGE]
            exchange.static = rule is STATIC
            if rule.within:
                exchange.note("parts", scope.get("path_params"))
            if self.site.gate.allows(exchange, rule):
                await application(scope, receive, send)
                return
            if self.gated is None:
                raise RuntimeError("a route was called without the gate")
            verdict = await self.gated.drive(self.site.gate.permit(exchange, rule))
            if exchange.websocket:
                await send({"type": "websocket.close", "code": 1008})
                return
            await self._response(exchange, verdict)(scope, receive, send)

        guarded.guards = rule  # type: ignore[attr-defined]
        return guarded

    # A request

    def _response(self, exchange: Exchange, verdict: Refuse | Answer) -> StarletteResponse:
        rendered: Response = self.site.gate.rendered(exchange, verdict)
        response = StarletteResponse(rendered.body, rendered.status)
        response.raw_headers.extend(
            (name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in rendered.headers
        )
        return response

    async def _refused(self, request: Request, refused: Refused) -> StarletteResponse:
        exchange: Exchange = request.scope[asgi.EXCHANGE]
        return self._response(exchange, await self._waiting(self.site.gate.refused, exchange, refused))

    async def _failed(self, request: Request, error: Exception) -> StarletteResponse:
        """What a route raised. Starlette raises it again after this answer, and the adapter logs it."""
        exchange: Exchange = request.scope[asgi.EXCHANGE]
        return self._response(exchange, errors.verdict(error))

    async def _waiting(self, work: Callable[..., Any], *args: Any) -> Any:
        if self.gated is None:
            raise RuntimeError("a route was called without the gate")
        return await self.gated.off_loop(work, *args)

    async def _http_error(self, request: Request, error: HTTPException) -> StarletteResponse:
        """`HTTPException` of the application and of Starlette, in the policy's words."""
        exchange: Exchange = request.scope[asgi.EXCHANGE]
        gate = self.site.gate
        if error.status_code < 400:
            return StarletteResponse(status_code=error.status_code, headers=dict(error.headers or {}))
        if error.status_code == 401:
            return self._response(exchange, cast(Refuse, gate.unauthenticated(exchange)))
        if error.status_code == 403:
            said = "" if error.detail == _phrase(403) else str(error.detail)
            refuse = await self._waiting(gate.forbidden, exchange, "the application", said)
            return self._response(exchange, refuse)
        if isinstance(error.__cause__, Refused):  # FastAPI calls whatever ends its reading a bad body
            return await self._refused(request, error.__cause__)
        headers = tuple((error.headers or {}).items())
        detail = str(error.detail) if error.status_code < 500 else ""
        reason = errors.by_status(error.status_code)
        if detail == _phrase(error.status_code):
            detail = ""
        return self._response(exchange, Refuse(reason, detail, error.status_code, headers))

    async def _invalid(self, request: Request, error: RequestValidationError) -> StarletteResponse:
        """422 with field and reason, never the value: FastAPI's own echoes it (C-11)."""
        return self._response(
            request.scope[asgi.EXCHANGE], invalid(request.headers.get("content-type") or "", error)
        )

    # The OpenAPI document

    def _describe(self, app: FastAPI) -> None:
        original = app.openapi

        def described() -> dict[str, Any]:
            if app.openapi_schema is None:
                app.openapi_schema = openapi.extend(
                    original(),
                    self.site.pages.routes(),
                    [
                        (method, _CONVERTOR.sub("}", path), rule)
                        for method, path, rule in self._routes
                        if rule.kind != "public"
                    ],
                    schemes=openapi_schemes.Schemes(self.policy),
                )
            return app.openapi_schema

        app.openapi = described  # type: ignore[method-assign]


def _phrase(status: int) -> str:
    import http

    try:
        return http.HTTPStatus(status).phrase
    except ValueError:
        return ""
