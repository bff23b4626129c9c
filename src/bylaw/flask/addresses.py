"""Flask's addresses, bound to a request without finding out again what the gate has found out."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from flask import Flask, Request
from werkzeug.routing import MapAdapter

Bind = Callable[[Request | None], MapAdapter | None]


def bound(app: Flask) -> Bind:
    """What takes the place of the application's `create_url_adapter`."""
    return partial(_bound, app, app.create_url_adapter)


def _bound(app: Flask, bind: Bind, request: Request | None) -> MapAdapter | None:
    """Flask's map, bound to the request's host: of which nothing needs to be found out, since it is one
    of those that `hosts` lets pass. Werkzeug validates it twice and encodes it, for 5 µs; the same for
    the application's context, which has no request.
    """
    urls, config = app.url_map, app.config
    name: str | None = config["SERVER_NAME"]
    if urls.host_matching or app.subdomain_matching or not (name or "").isascii():
        return bind(request)
    if request is None:
        scheme: str = config["PREFERRED_URL_SCHEME"]
        return name and MapAdapter(  # type: ignore[return-value]
            urls, name.lower(), config["APPLICATION_ROOT"], urls.default_subdomain, scheme, "/", "GET"
        )
    environ = request.environ
    host, path, scheme = (
        environ.get("HTTP_HOST", ""),
        environ.get("PATH_INFO", ""),
        environ["wsgi.url_scheme"],
    )
    if "HTTP_UPGRADE" in environ or config["TRUSTED_HOSTS"] is not None or not (host + path).isascii():
        return bind(request)
    default = ":443" if scheme == "https" else ":80"
    request.host = host.removesuffix(default)
    return MapAdapter(
        urls,
        (name or host).lower().removesuffix(default),
        environ.get("SCRIPT_NAME") or "/",
        urls.default_subdomain or "",
        scheme,
        path,
        environ["REQUEST_METHOD"],
        environ.get("QUERY_STRING", ""),
    )
