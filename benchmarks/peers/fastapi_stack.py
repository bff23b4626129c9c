"""FastAPI with fastapi-users (database sessions), slowapi, CORSMiddleware, `secure` and starlette-csrf."""

from __future__ import annotations

import os
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Any

from fastapi import Depends, FastAPI, HTTPException, Request, Response
from fastapi.middleware.cors import CORSMiddleware
from fastapi_users import BaseUserManager, FastAPIUsers, UUIDIDMixin
from fastapi_users.authentication import AuthenticationBackend, CookieTransport
from fastapi_users.authentication.strategy.db import DatabaseStrategy
from fastapi_users_db_sqlalchemy import SQLAlchemyBaseUserTableUUID, SQLAlchemyUserDatabase
from fastapi_users_db_sqlalchemy.access_token import (
    SQLAlchemyAccessTokenDatabase,
    SQLAlchemyBaseAccessTokenTableUUID,
)
from itsdangerous import URLSafeSerializer
from secure import Secure
from slowapi import Limiter
from slowapi.middleware import SlowAPIMiddleware
from slowapi.util import get_remote_address
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from starlette_csrf import CSRFMiddleware

from benchmarks.applications import ITEM, Draft
from benchmarks.peers import DIRECTORY, EMAIL, LIMITS, PARTNER, Carried, leave


class Base(DeclarativeBase):
    """The tables."""


class User(SQLAlchemyBaseUserTableUUID, Base):
    """A user, with a role of its own."""

    role: Mapped[str] = mapped_column(default="user")


class AccessToken(SQLAlchemyBaseAccessTokenTableUUID, Base):
    """A session."""


class Manager(UUIDIDMixin, BaseUserManager[User, uuid.UUID]):
    """What fastapi-users asks for."""


async def opened(request: Request) -> AsyncIterator[AsyncSession]:
    """A database session for the request."""
    async with request.app.state.sessions() as session:
        yield session


Session = Annotated[AsyncSession, Depends(opened)]


async def users(session: Session) -> AsyncIterator[Any]:
    """Where users are looked up."""
    yield SQLAlchemyUserDatabase(session, User)


async def tokens(session: Session) -> AsyncIterator[Any]:
    """Where sessions are looked up."""
    yield SQLAlchemyAccessTokenDatabase(session, AccessToken)


async def manager(found: Annotated[Any, Depends(users)]) -> AsyncIterator[Any]:
    """The manager of a request."""
    yield Manager(found)


def strategy(found: Annotated[Any, Depends(tokens)]) -> Any:
    """Sessions that live an hour."""
    return DatabaseStrategy(found, lifetime_seconds=3600)


BACKEND = AuthenticationBackend(
    name="session",
    transport=CookieTransport(cookie_name="session", cookie_max_age=3600),
    get_strategy=strategy,
)
caller = FastAPIUsers[User, uuid.UUID](manager, [BACKEND]).current_user(active=True)


async def allowed(user: Annotated[Any, Depends(caller)]) -> Any:
    """Whoever has the role."""
    if user.role != "user":
        raise HTTPException(403)
    return user


def create(directory: Path) -> tuple[FastAPI, Callable[[], Awaitable[Carried]]]:
    """The application; the second value signs somebody in, awaited on the application's own loop."""
    engine = create_async_engine(f"sqlite+aiosqlite:///{directory / 'fastapi-peers.db'}")
    secret = os.urandom(32).hex()

    async def sign_in() -> Carried:
        async with engine.begin() as connection:
            await connection.run_sync(Base.metadata.create_all)
        token = uuid.uuid4().hex
        async with app.state.sessions() as session:
            user = User(email=EMAIL, hashed_password=os.urandom(16).hex(), is_active=True, role="user")
            session.add(user)
            await session.flush()
            session.add(AccessToken(token=token, user_id=user.id))
            await session.commit()
        # As starlette-csrf itself makes it.
        csrf = str(URLSafeSerializer(secret, "csrftoken").dumps(os.urandom(16).hex()))
        carried = [("cookie", f"session={token}; csrftoken={csrf}"), ("x-csrftoken", csrf)]
        if DIRECTORY in os.environ:
            leave(directory, carried)
        return carried

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        await sign_in()
        yield
        await engine.dispose()

    app = FastAPI(lifespan=lifespan)
    app.state.sessions = async_sessionmaker(engine, expire_on_commit=False)
    app.state.limiter = Limiter(get_remote_address, default_limits=LIMITS, headers_enabled=True)  # type: ignore[arg-type,unused-ignore]
    app.add_middleware(SlowAPIMiddleware)
    app.add_middleware(
        CORSMiddleware,
        allow_origins=[PARTNER],
        allow_credentials=True,
        allow_methods=["*"],
        allow_headers=["*"],
    )
    app.add_middleware(CSRFMiddleware, secret=secret, sensitive_cookies={"session"})
    secured = Secure.with_default_headers()

    @app.middleware("http")
    async def headers(request: Request, following: Callable[[Request], Awaitable[Response]]) -> Response:
        response = await following(request)
        await secured.set_headers_async(response)
        return response

    @app.get("/items")
    async def read(request: Request, who: Annotated[Any, Depends(allowed)]) -> dict[str, Any]:
        return ITEM

    @app.post("/items", status_code=201)
    async def create_item(request: Request, draft: Draft, who: Annotated[Any, Depends(allowed)]) -> Draft:
        return draft

    return app, sign_in


def served() -> FastAPI:
    """The same, for a server."""
    return create(Path(os.environ[DIRECTORY]))[0]
