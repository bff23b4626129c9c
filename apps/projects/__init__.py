"""The project register: projects and documents of which every version is kept."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from fastapi.staticfiles import StaticFiles
from sqlalchemy import Engine

from apps.projects import database, problems, sample_data
from apps.projects.routers import documents, projects, status, users
from bylaw.fastapi import Bylaw, Public

__all__ = ["create_app", "prepare_laboratory", "sample"]

HERE = Path(__file__).parent
VERSION = "1.0.0"
DESCRIPTION = """Projects and documents of which every version is kept: who changed what and when, compared,
restored, as of any moment. A change says which version it is based on; of two at once one wins, the other
gets 409 with the newest number.

Sign in at `POST /auth/token`; an access token is good for 30 minutes and comes in the `Authorization`
field."""


def create_app() -> FastAPI:
    """The application. Raises PolicyError, and RuntimeError in production where its tables are missing."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        yield
        await app.state.database.dispose()

    app = FastAPI(
        title="Project register",
        version=VERSION,
        description=DESCRIPTION,
        lifespan=lifespan,
        # The pages that FastAPI has for this load their scripts from another site (docs/projects.md).
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        redirect_slashes=False,  # one address for one thing; nobody's token is sent on
    )
    bylaw = Bylaw(app, HERE / "bylaw.toml")
    app.state.database = database.connect(bylaw.engine.url)
    problems.install(app)
    for router in (status.router, projects.router, documents.router, users.router):
        app.include_router(router)
    app.mount("/static", StaticFiles(directory=HERE / "static"))

    @app.get(
        "/openapi.json",
        include_in_schema=False,
        dependencies=[Public("what the API can do, and nothing of what is in it")],
    )
    async def described() -> dict[str, Any]:
        return app.openapi()

    bylaw.ready()
    database.check(bylaw.engine, production=bylaw.policy.production)
    return app


def prepare_laboratory(engine: Engine) -> None:
    """Tables and sample data in an empty database, for a verification that attacks the application.

    Nothing is recorded: there is no application yet, and its audit log is to begin with the attacks.
    """
    database.prepare(engine)
    sample_data.load(engine, sample_data.NOBODY, _nowhere)


def sample(bylaw: Bylaw) -> None:
    """What a developer sees at first: an editor, two projects with their versions, and documents."""
    sample_data.load(bylaw.engine, sample_data.editor(bylaw.site.house), bylaw.record)


def _nowhere(connection: Any, *, action: str, **facts: Any) -> None:
    """The record of what happens before there is anybody to record it for."""
