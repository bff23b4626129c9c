"""The measured applications: one JSON resource, bare and behind bylaw, in Flask and in FastAPI."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any, Final

from fastapi import Depends, FastAPI, Request
from flask import Flask, request
from pydantic import BaseModel

from bylaw import fastapi as for_fastapi
from bylaw import flask as for_flask
from bylaw.fastapi import Identity, Permit

POLICY: Final = Path(__file__).parent / "bylaw.toml"
BEHIND_PROXY: Final = Path(__file__).parent / "behind_proxy.toml"
ITEM: Final[dict[str, Any]] = {"id": 7, "name": "bolt", "tags": ["steel", "m8"], "count": 250}


ADDED: Final = [
    ("X-Request-Id", "0123456789abcdef"),
    ("X-RateLimit-Limit", "1000000000"),
    ("X-RateLimit-Remaining", "999999000"),
    ("X-RateLimit-Reset", "1800000000"),
    ("RateLimit-Policy", '"signed-in";q=1000000000;w=86400'),
    ("RateLimit", '"signed-in";r=999999000;t=86399'),
    ("X-Content-Type-Options", "nosniff"),
    ("Strict-Transport-Security", "max-age=63072000; includeSubDomains"),
    ("X-Frame-Options", "DENY"),
    ("X-XSS-Protection", "0"),
    (
        "Content-Security-Policy",
        "default-src 'none'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'",
    ),
    ("Referrer-Policy", "no-referrer"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
    ("Cache-Control", "no-store"),
]
"""The fields that bylaw adds to `ITEM`, as a test compares them with what it sends."""


class Draft(BaseModel):
    """What the POST takes."""

    name: str
    count: int


def bare_flask() -> Flask:
    """Flask as it comes."""
    app = Flask(__name__)

    @app.get("/items")
    def read() -> Any:
        return ITEM

    @app.post("/items")
    def create() -> Any:
        return request.get_json(), 201

    return app


def headed_flask() -> Flask:
    """Flask as it comes, sending the fields that bylaw adds: writing them is the server's work."""
    app = bare_flask()
    inner = app.wsgi_app

    def headed(environ: Any, start_response: Any) -> Any:
        def started(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
            headers += ADDED
            return start_response(status, headers)

        return inner(environ, started)

    app.wsgi_app = headed  # type: ignore[method-assign]
    return app


def keyed_flask() -> Flask:
    """Flask with the SECRET_KEY that everybody sets who signs people in: it looks for a session of its own
    in each request's cookies. Behind bylaw it does so only where one is."""
    app = bare_flask()
    app.secret_key = os.urandom(32)
    return app


def guarded_flask(policy: Path = POLICY) -> Flask:
    """The same behind bylaw, for whoever may read and create items."""
    app = Flask(__name__)
    bylaw = for_flask.Bylaw(app, policy)

    @app.get("/items")
    @for_flask.permit("item:read")
    def read() -> Any:
        return ITEM

    @app.post("/items")
    @for_flask.permit("item:create")
    def create() -> Any:
        return request.get_json(), 201

    bylaw.ready()
    return app


def bare_fastapi() -> FastAPI:
    """FastAPI as it comes."""
    app = FastAPI()

    @app.get("/items")
    async def read() -> dict[str, Any]:
        return ITEM

    @app.post("/items", status_code=201)
    async def create(draft: Draft) -> Draft:
        return draft

    return app


def headed_fastapi() -> Any:
    """FastAPI as it comes, sending the fields that bylaw adds."""
    app = bare_fastapi()
    added = [(name.lower().encode(), value.encode()) for name, value in ADDED]

    async def headed(scope: Any, receive: Any, send: Any) -> None:
        async def sent(message: Any) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], *added]
            await send(message)

        await app(scope, receive, sent)

    return headed


async def caller(request: Request) -> str:
    """The trivial dependency: what any application that asks who calls has at the very least."""
    return request.scope["method"]  # type: ignore[no-any-return]


def dependent_fastapi() -> FastAPI:
    """FastAPI with one trivial dependency: what `guarded_fastapi` is compared with."""
    app = FastAPI()

    @app.get("/items")
    async def read(who: Annotated[str, Depends(caller)]) -> dict[str, Any]:
        return ITEM

    @app.post("/items", status_code=201)
    async def create(draft: Draft, who: Annotated[str, Depends(caller)]) -> Draft:
        return draft

    return app


def guarded_fastapi(policy: Path = POLICY) -> FastAPI:
    """The same behind bylaw, for whoever may read and create items."""
    app = FastAPI()
    for_fastapi.Bylaw(app, policy)

    @app.get("/items")
    async def read(who: Annotated[Identity, Permit("item:read")]) -> dict[str, Any]:
        return ITEM

    @app.post("/items", status_code=201)
    async def create(draft: Draft, who: Annotated[Identity, Permit("item:create")]) -> Draft:
        return draft

    return app


def served_flask() -> Flask:
    """`guarded_flask` for a server, which a proxy stands in front of."""
    return guarded_flask(BEHIND_PROXY)


def served_fastapi() -> FastAPI:
    """`guarded_fastapi` for a server, which a proxy stands in front of."""
    return guarded_fastapi(BEHIND_PROXY)
