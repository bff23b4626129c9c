"""The notes application in Django, which bylaw does not know: WSGI behind the adapter, rules by path."""

from __future__ import annotations

import re
from functools import cache
from typing import Any
from urllib.parse import parse_qsl

import django
from django.conf import settings
from django.core.handlers.wsgi import WSGIHandler
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.urls import path

from bylaw.adapters import wsgi
from bylaw.site import Site
from tests.applications import by_path
from tests.applications.by_path import ROUTES, Asked, Said, Views


@cache
def _configure() -> None:
    """Django has one set of settings for a process; what differs between two starts is in the request."""
    settings.configure(
        ALLOWED_HOSTS=["*"],  # the policy says which names are ours
        APPEND_SLASH=False,
        DEBUG=False,
        DEBUG_PROPAGATE_EXCEPTIONS=True,  # the adapter answers what a view raises
        LOGGING_CONFIG=None,
        MIDDLEWARE=[],
        ROOT_URLCONF=__name__,
        SECRET_KEY="none of its signatures is used",  # pragma: allowlist secret
        USE_I18N=False,
        USE_TZ=True,
    )
    django.setup()


def _view(names: dict[str, str]) -> Any:
    def view(request: HttpRequest, **args: Any) -> HttpResponse:
        name = names.get("GET" if request.method == "HEAD" else request.method or "")
        if name is None:
            return HttpResponseNotAllowed(list(names))
        said: Said = getattr(request.META["notes.views"], name)(_asked(request, args))
        response = HttpResponse(said.body, status=said.status, content_type=said.kind, headers=said.headers)
        if said.cookie:
            response.set_cookie("lang", said.cookie)
        return response

    view.csrf_exempt = True  # type: ignore[attr-defined]
    return view


def _asked(request: HttpRequest, args: dict[str, Any]) -> Asked:
    return Asked(
        args,
        parse_qsl(request.META.get("QUERY_STRING", ""), keep_blank_values=True),
        request.META.get("CONTENT_TYPE", ""),
        lambda: request.body,
        lambda: dict(request.POST.items()),
    )


def _converted(route: str) -> str:
    return re.sub(r"\{(\w+)\}", lambda m: f"<{'int' if m[1] == 'number' else 'str'}:{m[1]}>", route[1:])


urlpatterns = [path(_converted(route), _view(names)) for route, names in ROUTES]


class Gated(wsgi.Gated):
    """What a developer writes as `application = Gated(get_wsgi_application(), Site("bylaw.toml"))`."""

    def __init__(self) -> None:
        _configure()
        site = Site(by_path.policy())
        self.views = Views(site)
        self.state = self.views.state
        inner = WSGIHandler()

        def application(environ: dict[str, Any], start_response: Any) -> Any:
            environ["notes.views"] = self.views
            return inner(environ, start_response)

        super().__init__(application, site)


def create_app() -> Gated:
    return Gated()
