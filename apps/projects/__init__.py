"""The project register: projects and documents of which every version is kept."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from fastapi import FastAPI
from sqlalchemy import Engine

from apps.projects import database, problems
from apps.projects.routers import documents, projects
from bylaw.fastapi import Bylaw

__all__ = ["create_app", "prepare_laboratory"]

POLICY = Path(__file__).with_name("bylaw.toml")


def create_app() -> FastAPI:
    """The application."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        yield
        await app.state.database.dispose()

    app = FastAPI(title="Project register", version="1.0.0", lifespan=lifespan)
    bylaw = Bylaw(app, POLICY)
    app.state.database = database.connect(bylaw.engine.url)
    problems.install(app)
    app.include_router(projects.router)
    app.include_router(documents.router)
    return app


def prepare_laboratory(engine: Engine) -> None:
    """The register's tables in an empty database."""
    database.prepare(engine)
