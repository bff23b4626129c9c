"""How an endpoint of FastAPI gets to know who calls: from the guard, whatever way it asks."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Annotated, Any

import pytest
from fastapi import APIRouter, Depends, FastAPI

from bylaw.fastapi import Bylaw, Identity, Permit, Public, SignedIn
from bylaw.testing import Bench, Laboratory, Target

POLICY = """
[app]
name = "Identities"

[roles]
admin = ["*"]
user = ["note:read"]
"""
Reader = Annotated[Identity, Permit("note:read")]


async def shouted(who: Reader) -> str:
    """A dependency of the application's own, which asks who calls itself."""
    return who.name.upper()


def application(folder: Path) -> FastAPI:
    """Every way of asking who calls."""
    app = FastAPI()
    Bylaw(app, folder / "bylaw.toml")
    inside = APIRouter(prefix="/inside", dependencies=[Permit("note:read")])

    @app.get("/awaited")
    async def awaited(who: Reader) -> str:
        return who.name

    @app.get("/threaded")
    def threaded(who: Reader) -> str:
        return who.name

    @app.get("/twice")
    async def twice(who: Reader, also: Annotated[Identity, SignedIn()]) -> list[str]:
        return [who.name, also.name]

    @app.get("/default")
    async def default(who: Identity = Permit("note:read")) -> str:  # noqa: B008 - FastAPI's older form
        return who.name

    @app.get("/beneath")
    async def beneath(name: Annotated[str, Depends(shouted)]) -> str:
        return name

    @app.get("/open")
    async def everybody(who: Annotated[Identity, Public("a test")]) -> bool:
        return who.is_authenticated

    @app.get("/streamed")
    async def streamed(who: Reader) -> AsyncIterator[dict[str, str]]:
        yield {"name": who.name}

    @inside.get("/here/{number:int}")
    async def here(number: int, who: Annotated[Identity, SignedIn()]) -> Any:
        return [number, who.name]

    app.include_router(inside)
    app.include_router(inside, prefix="/again")
    return app


@pytest.fixture(scope="module")
def laboratory(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("identities")
    (folder / "bylaw.toml").write_text(POLICY, "utf-8")
    bench = Bench(Target("identities", lambda: application(folder)))
    with bench.laboratory() as laboratory:
        yield laboratory
    bench.close()


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("/awaited", "{name}"),
        ("/threaded", "{name}"),
        ("/twice", ["{name}", "{name}"]),
        ("/default", "{name}"),
        ("/beneath", "{NAME}"),
        ("/inside/here/7", [7, "{name}"]),
        ("/again/inside/here/8", [8, "{name}"]),
    ],
)
def test_an_endpoint_is_told_who_calls(laboratory: Laboratory, path: str, said: Any) -> None:
    """However it asks, an endpoint gets the caller, and nobody else gets in."""
    assert laboratory.visitor().get(path).status == 401
    stranger, reader = laboratory.client(), laboratory.client("user")
    assert stranger.get(path).status == 403
    names = {"{name}": reader.email.partition("@")[0], "{NAME}": reader.email.partition("@")[0].upper()}
    expected = [names.get(each, each) for each in said] if isinstance(said, list) else names[said]
    reply = reader.get(path)
    assert (reply.status, reply.json()) == (200, expected)


def test_a_streaming_endpoint_is_told_too(laboratory: Laboratory) -> None:
    """An endpoint that yields its answer keeps its dependency: FastAPI looks at the function itself."""
    reader = laboratory.client("user")
    assert laboratory.visitor().get("/streamed").status == 401
    reply = reader.get("/streamed")
    assert (reply.status, reader.email.partition("@")[0] in reply.text) == (200, True)


def test_a_public_endpoint_is_told_that_nobody_calls(laboratory: Laboratory) -> None:
    """The identity of nobody is a value, never None."""
    assert laboratory.visitor().get("/open").json() is False
    assert laboratory.client("user").get("/open").json() is True


def test_two_callers_at_once_are_not_mixed_up(laboratory: Laboratory) -> None:
    """Forty requests of two people on one event loop: each is told its own name."""
    people = [laboratory.client("user") for _ in range(2)]
    sent = [people[n % 2].prepared("GET", ("/awaited", "/threaded")[n // 2 % 2]) for n in range(40)]
    names = [people[n % 2].email.partition("@")[0] for n in range(40)]
    assert [reply.json() for reply in laboratory.tasks(sent)] == names


def test_the_document_says_which_endpoints_ask_for_a_session(laboratory: Laboratory) -> None:
    """OpenAPI names the session for every guarded endpoint, and for no public one."""
    document = laboratory.app.openapi()
    secured = {path for path, item in document["paths"].items() if "security" in item.get("get", {})}
    assert {"/awaited", "/threaded", "/default", "/inside/here/{number}"} <= secured
    assert "/open" not in secured


def test_an_application_below_knows_who_calls(tmp_path: Path) -> None:
    """Mounted, it is another application to FastAPI: its rules are asked, and by the right clock."""
    (tmp_path / "bylaw.toml").write_text(POLICY)

    def factory() -> FastAPI:
        app, below = FastAPI(), FastAPI(openapi_url=None)
        Bylaw(app, tmp_path / "bylaw.toml")

        @below.get("/who")
        def who(who: Reader, lately: Annotated[Identity, Permit("note:read", max_age=600)]) -> list[str]:
            return [who.id, lately.id]

        app.mount("/below", below)
        return app

    bench = Bench(Target("below", factory))
    try:
        with bench.laboratory() as laboratory:
            client = laboratory.client("user")
            assert client.get("/below/who").json() == [client.id, client.id]
            assert laboratory.visitor().get("/below/who").status == 401
            laboratory.clock.advance(601)
            assert client.get("/below/who").code == "mfa.step_up"
    finally:
        bench.close()
