"""The notes application in Bottle, which bylaw does not know: WSGI behind the adapter, rules by path."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import parse_qsl

from bottle import Bottle, HTTPError, HTTPResponse, request, response

from bylaw.adapters import wsgi
from bylaw.controls import errors
from bylaw.operations.files import Given
from bylaw.reasons import Refused
from bylaw.site import Site, identity
from tests.applications import by_path
from tests.applications.by_path import ROUTES, Asked, Said, Views
from tests.applications.notes import shown


def _view(views: Views, name: str) -> Any:
    def view(**args: Any) -> HTTPResponse:
        said: Said = getattr(views, name)(
            Asked(
                args,
                parse_qsl(request.query_string, keep_blank_values=True),
                request.content_type,
                lambda: request.body.read(),
                lambda: dict(request.forms.decode().items()),
            )
        )
        answer = HTTPResponse(said.body, said.status, {"Content-Type": said.kind, **said.headers})
        if said.cookie:
            answer.set_cookie("lang", said.cookie, path="/")
        return answer

    return view


def _attach(site: Site) -> dict[str, Any]:
    """Files come in by the same one way: what a framework makes of a part is handed to `site.files.take`."""
    given = [Given(f.raw_filename, f.content_type or "", f.file) for f in request.files.getall("file")]
    response.status = 201
    return {"files": [shown(site.files.take(each, by=identity(), subject="notes")) for each in given]}


class Gated(wsgi.Gated):
    """What a developer writes as `application = Gated(app, Site("bylaw.toml"))`."""

    def __init__(self) -> None:
        site = Site(by_path.policy())
        views = Views(site)
        app = Bottle()
        app.config["catchall"] = False  # the adapter answers what a view raises

        def error(found: HTTPError) -> bytes:
            """Bottle's own 404 and 405, which would show the address again."""
            answer = site.refusal(Refused(errors.by_status(found.status_code), status=found.status_code))
            for name, value in answer.headers:
                response.set_header(name, value)
            return answer.body

        app.default_error_handler = error
        for route, names in ROUTES:
            rule = re.sub(r"\{(\w+)\}", lambda m: f"<{m[1]}{':int' if m[1] == 'number' else ''}>", route)
            for method, name in names.items():
                app.route(rule, method, _view(views, name))
        app.route("/api/attachments", "POST", lambda: _attach(site))
        self.state = views.state
        super().__init__(app, site)


def create_app() -> Gated:
    return Gated()
