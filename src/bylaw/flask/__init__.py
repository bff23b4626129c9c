"""bylaw for Flask: what a Flask person expects, over the WSGI adapter.

app = Flask(__name__)
bylaw = Bylaw(app, "bylaw.toml")

@app.post("/api/upf/processes")
@permit("process:create")
def create_process(): ...

bylaw.ready()       # at the end of a factory: refuses to start where a route has no rule
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from flask import Flask, Request, request, stream_with_context
from flask import Response as FlaskResponse
from flask.sessions import SecureCookieSessionInterface
from markupsafe import Markup
from werkzeug.exceptions import HTTPException
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.routing import RequestRedirect, Rule

from bylaw.adapters import wsgi
from bylaw.controls import cookies, csrf, errors, headers, hosts, roles, uploads
from bylaw.errors import PolicyError, Problem
from bylaw.exchange import SAFE_METHODS, Answer, Exchange, Refuse, Response
from bylaw.flask.addresses import bound
from bylaw.flask.declaring import current_user, login_required, own, permit, public, takes, takings
from bylaw.flask.files import Closing, Keeping, RequestFiles
from bylaw.flask.sessions import Sessions
from bylaw.identity import PUBLIC, AccessRule, all_of
from bylaw.offered import Offered
from bylaw.operations.files import Given
from bylaw.operations.files.keeping import packaged
from bylaw.pages import rendering
from bylaw.reasons import Refused
from bylaw.routes import Route, Taking, merged
from bylaw.site import Site

__all__ = ["Bylaw", "Given", "current_user", "login_required", "permit", "public", "takes"]


def _bounded(loads: Callable[..., Any]) -> Callable[..., Any]:
    """JSON that is nested deeper than Python can follow is malformed (400), no error of the view (500)."""

    def bounded(text: str | bytes, **options: Any) -> Any:
        try:
            return loads(text, **options)
        except RecursionError:
            raise ValueError("nested too deeply") from None

    return bounded


class Bylaw(Offered):
    """The policy `file` (relative to the application's root) at work in a Flask application."""

    def __init__(self, app: Flask, file: str | Path = "bylaw.toml") -> None:
        self.site = Site(Path(app.root_path) / file)
        self.app = app
        self._rules: dict[str, AccessRule] = {}
        self._static: set[str] = set()
        self._mounts: dict[str, AccessRule] = {}
        self._guarded_mounts: set[str] = set()
        self._wrapped = app.wsgi_app
        self._routed = False
        self.gated = wsgi.Gated(app.wsgi_app, self.site, self.ready)
        app.wsgi_app = self.gated  # type: ignore[method-assign]
        app.extensions["bylaw"] = self
        if not self.policy.of(hosts.Settings).off:
            app.create_url_adapter = bound(app)  # type: ignore[assignment, method-assign]
        self._preprocess = app.preprocess_request
        app.preprocess_request = self._first  # type: ignore[method-assign]
        app.register_error_handler(HTTPException, self._http_error)
        app.register_error_handler(Refused, self._refused)
        app.jinja_env.globals.update(
            current_user=current_user,
            csrf_field=self._csrf_field,
            csrf_token=self._csrf_token,
            csp_nonce=self._nonce,
            bylaw_url=self.url,
        )
        app.log_exception = self._log  # type: ignore[method-assign]
        self._configure(app)

    @property
    def files(self) -> RequestFiles:
        """Uploaded files: `bylaw.files.given("file")`, `.take(given, by=who)`, `.send(file_id, subject)`."""
        return RequestFiles(self.site.house, self.takings)

    def export(
        self,
        name: str,
        columns: Sequence[str],
        rows: Iterable[Iterable[object]],
        *,
        format: str = "csv",  # noqa: A002 - see Site.export
        filter: str = "",  # noqa: A002 - (the same)
    ) -> FlaskResponse:
        """The response of a view that gives a table out: see `Site.export`. `rows` may use what the request
        has, such as its database session, until the last one has left."""
        made = self.site.export(name, columns, rows, format=format, filter=filter)
        response = FlaskResponse(stream_with_context(made), made.status, made.headers)
        response.call_on_close(made.close)
        return response

    def mount(self, prefix: str, rule: AccessRule = PUBLIC) -> None:
        """Declare who may call a WSGI application that DispatcherMiddleware has at `prefix`."""
        self._mounts[prefix] = rule

    # Start-up

    def _configure(self, app: Flask) -> None:
        """Flask's own session and addresses by the policy, with keys of their own purpose."""
        settings = self.policy.of(cookies.Settings)
        ring = self.site.house.keys.derive("flask.session")
        app.config.update(
            SECRET_KEY=ring[0],
            SECRET_KEY_FALLBACKS=list(ring[1:]),
            SESSION_COOKIE_NAME=cookies.name(self.policy, "flask"),
            SESSION_COOKIE_SECURE=self.policy.app.secure,
            SESSION_COOKIE_HTTPONLY=True,
            SESSION_COOKIE_SAMESITE=settings.same_site,
            SESSION_COOKIE_PARTITIONED=settings.partitioned,
            PREFERRED_URL_SCHEME="https" if self.policy.app.secure else "http",
        )
        if app.config["SERVER_NAME"] is None and not self.policy.of(hosts.Settings).allowed:
            # Links and redirects lead to base_url, in a task without a request too; `app.test_client()`
            # asks for it. With further names a link stays with the one that was asked for.
            app.config["SERVER_NAME"] = self.policy.app.origin.partition("://")[2]
        app.json.loads = _bounded(app.json.loads)  # type: ignore[method-assign]
        kind = Closing if self.policy.of(uploads.Settings).off else Keeping
        app.request_class = type("Request", (kind, app.request_class), {})
        if type(app.session_interface) is SecureCookieSessionInterface:  # not the application's own
            app.session_interface = Sessions(self.site.house)

    def ready(self) -> None:
        """Refuse to start where the policy cannot be kept. Raises PolicyError with every problem.

        Called at the end of a factory; otherwise the first request does.
        """
        problems = [
            *self._bypasses(),
            *self._key(),
            *self._undeclared(),
            *self._on_methods(),
            *self._strangers(),
            *self.site.declared_in_code(),
        ]
        if problems:
            raise PolicyError(f"{self.policy.app.name} has routes that nobody may be let into", problems)
        self._take_note()
        self.site.house.roots.update(self._roots())
        if not self._routed:
            self.site.house.routes.add(self._find)
            self._routed = True
        self.site.open()
        self.site.routed()

    def _take_note(self) -> None:
        """Say which routes take files, for whoever lists them."""
        for rule in self.app.url_map.iter_rules():
            declared = merged(self.takings(rule.endpoint))
            if declared is not None:
                for method in sorted((rule.methods or set()) - SAFE_METHODS):
                    self.site.house.routes.files[method, rule.rule] = declared

    def _find(self, method: str, path: str) -> Route | None:
        """The route at a path by Flask's own map, for limits and for what other sites may ask."""
        urls = self.app.url_map.bind("")
        methods = frozenset(urls.allowed_methods(path))
        for asked in dict.fromkeys((method, *sorted(methods))):
            try:
                rule, _ = urls.match(path, asked, return_rule=True)
            except RequestRedirect as elsewhere:
                return self._find(method, urlsplit(elsewhere.new_url).path)
            except HTTPException:
                continue
            static = self._is_static(rule.endpoint)
            files = merged(self.takings(rule.endpoint))
            return Route(rule.endpoint, methods, static, self._rules.get(rule.endpoint), files)
        return None

    def takings(self, endpoint: str | None) -> list[Taking]:
        """What an endpoint has declared that it takes, by field."""
        view = self.app.view_functions.get(endpoint or "")
        return [*takings(view), *takings(getattr(view, "view_class", None))]

    def _roots(self) -> Iterator[Path]:
        """Where files are served or run as they are."""
        for holder in (self.app, *self.app.blueprints.values()):
            if holder.static_folder:
                yield Path(holder.static_folder)
            if holder.template_folder:
                yield Path(holder.root_path) / holder.template_folder
        yield from packaged(Path(self.app.root_path))

    def _bypasses(self) -> Iterator[Problem]:
        if self.policy.production:
            for flag, on in (("debug", self.app.debug), ("testing", self.app.testing)):
                if on:
                    yield Problem(
                        f"app.{flag}",
                        "on in production",
                        "it shows internals to visitors or weakens checks",
                        "off, or BYLAW_ENV=development",
                    )

    def _key(self) -> Iterator[Problem]:
        """A key of the application's own would sign unseen: a fallback in the code (C-07)."""
        if self.app.secret_key != self.site.house.keys.derive("flask.session")[0]:
            yield Problem(
                "app.secret_key",
                "set after Bylaw",
                "nobody has looked at what signs sessions",
                "leave it out: it is derived from [secrets] key",
            )

    def _undeclared(self) -> Iterator[Problem]:
        for rule in self.app.url_map.iter_rules():
            declared = self._declared(rule)
            if declared is None:
                methods = ",".join(sorted((rule.methods or set()) - {"HEAD", "OPTIONS"}))
                yield Problem(
                    f"{methods} {rule.rule}",
                    f"({rule.endpoint})",
                    "nobody has said who may call it",
                    '@permit("noun:verb"), @login_required or @public("why")',
                )
            else:
                self._rules[rule.endpoint] = declared

    def _declared(self, rule: Rule) -> AccessRule | None:
        view = self.app.view_functions.get(rule.endpoint)
        view_class = getattr(view, "view_class", None)
        declared = all_of([*own(view), *own(view_class)])
        if declared is None and self._is_static(rule.endpoint):
            self._static.add(rule.endpoint)
            return AccessRule("public", because="static files")
        return declared

    def _is_static(self, endpoint: str) -> bool:
        """Whether the endpoint is Flask's own for the static files of the application or a blueprint."""
        owner, _, name = endpoint.rpartition(".")
        holder = self.app.blueprints.get(owner) if owner else self.app
        return name == "static" and holder is not None and holder.has_static_folder

    def _on_methods(self) -> Iterator[Problem]:
        """Rules on single methods of a class of views, where nobody would look for them."""
        for endpoint, view in self.app.view_functions.items():
            view_class = getattr(view, "view_class", None)
            if view_class is None:
                continue
            for name, method in vars(view_class).items():
                if own(method):
                    yield Problem(
                        f"{view_class.__name__}.{name}",
                        f"({endpoint})",
                        "a rule on a method is not asked: Flask calls the class",
                        "declare it on the class, or use one view per rule",
                    )

    def _strangers(self) -> Iterator[Problem]:
        """Applications beside this one, which requests reach without an access rule."""
        if self.app.wsgi_app is not self.gated:
            yield Problem(
                "app.wsgi_app",
                "wrapped after Bylaw",
                "what answers there passes no gate",
                "wrap it before Bylaw(app, …)",
            )
        inner: Any = self._wrapped
        while inner is not None and not hasattr(inner, "__func__"):
            if isinstance(inner, DispatcherMiddleware):
                yield from self._guard_mounts(inner)
            inner = getattr(inner, "app", None) or getattr(inner, "wsgi_app", None)

    def _guard_mounts(self, dispatcher: DispatcherMiddleware) -> Iterator[Problem]:
        """Put its rule before every mounted application, where the dispatcher itself calls it."""
        for prefix, mounted in dispatcher.mounts.items():
            if prefix in self._guarded_mounts:
                continue
            if prefix not in self._mounts:
                yield Problem(
                    f"mount {prefix}",
                    "(DispatcherMiddleware)",
                    "nobody has said who may call it",
                    f'bylaw.mount("{prefix}", rule)',
                )
                continue
            self._guarded_mounts.add(prefix)
            dispatcher.mounts = {
                **dispatcher.mounts,
                prefix: wsgi.guarded(mounted, self.site, self._mounts[prefix]),
            }

    def routes(self) -> Iterator[tuple[str, str, AccessRule]]:
        """Every (method, path, access rule) of the application itself."""
        for rule in self.app.url_map.iter_rules():
            for method in sorted((rule.methods or set()) - {"HEAD", "OPTIONS"}):
                yield method, rule.rule, self._rules[rule.endpoint]

    # A request

    def _first(self) -> Any:
        """Ask who may call before anything of the application runs. As a function before the request
        it would be the same, were it not for the application's own that are put in front of it."""
        refused = self._permit()
        return self._preprocess() if refused is None else refused

    def _permit(self) -> FlaskResponse | None:
        """The matched route's access rule, before anything of the application runs."""
        # Once: each name that is asked of the proxy costs a look-up of its own, five of them 2 µs.
        asked: Request = request._get_current_object()  # type: ignore[attr-defined]
        if asked.url_rule is None:
            return None  # 404 or 405: there is nothing to guard
        exchange: Exchange = asked.environ[wsgi.EXCHANGE]
        if exchange.path[:2] == "//":
            # Werkzeug takes it for the path with one slash, which no path of the policy covers: what is kept
            # from cookies, or to a rate, would be neither.
            return self._response(exchange, Refuse(errors.NOT_FOUND))
        endpoint = asked.url_rule.endpoint
        rule = self._rules.get(endpoint)
        if rule is None:
            return self._response(exchange, Refuse(roles.UNDECLARED))  # added after start-up
        exchange.static = endpoint in self._static
        if rule.within:
            exchange.note("parts", asked.view_args)
        if self.site.gate.allows(exchange, rule):
            return None
        verdict = wsgi.drive(self.site.gate.permit(exchange, rule), asked.environ)
        return self._response(exchange, verdict)

    def _response(self, exchange: Exchange, verdict: Refuse | Answer) -> FlaskResponse:
        rendered: Response = self.site.gate.rendered(exchange, verdict)
        response = FlaskResponse(rendered.body, rendered.status, rendered.headers)
        if rendered.header("content-type") is None:  # Flask would call a redirect's nothing a page
            del response.headers["Content-Type"]
        return response

    def _refused(self, refused: Refused) -> FlaskResponse:
        exchange: Exchange = request.environ[wsgi.EXCHANGE]
        return self._response(exchange, self.site.gate.refused(exchange, refused))

    def _http_error(self, error: HTTPException) -> Any:
        """`abort(…)` and Werkzeug's own refusals, in the policy's words."""
        code = error.code or 500
        if error.response is not None or code < 400:
            return error
        exchange: Exchange = request.environ[wsgi.EXCHANGE]
        gate = self.site.gate
        inside = getattr(error, "original_exception", None)
        if inside is not None:
            return self._response(exchange, errors.verdict(inside))
        if code == 401:
            return self._response(exchange, gate.unauthenticated(exchange))
        if code == 403:
            return self._response(exchange, gate.forbidden(exchange, request.endpoint or ""))
        kept = tuple((k, v) for k, v in error.get_headers() if k in ("Allow", "Retry-After"))
        return self._response(exchange, Refuse(errors.by_status(code), status=code, headers=kept))

    def _log(self, exc_info: Any) -> None:
        """What a view raised, once, and under the request's id: Flask's own line has none."""
        errors.failed(self._exchange(), exc_info[1])

    # Templates

    def _exchange(self) -> Exchange:
        found: Exchange = request.environ[wsgi.EXCHANGE]
        return found

    def _csrf_token(self) -> str:
        return csrf.token(self.site.house, self._exchange())

    def _csrf_field(self) -> Markup:
        return rendering.field(self.site.house, self._exchange())

    def _nonce(self) -> str:
        return headers.nonce(self._exchange())
