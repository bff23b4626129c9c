"""The register's API as strangers meet it: tokens alone, closed schemas, calm refusals, all the headers."""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.routing import APIRoute, iter_route_contexts
from pydantic import BaseModel

from apps import projects
from apps.projects import database
from bylaw.verify.laboratory import Bench, Laboratory
from tests.apps.projects.conftest import given, program

SOURCES = Path(projects.__file__).parent
NOTHING = "00000000-0000-4000-8000-000000000001"
WORDS_OF_SQL = re.compile(r"exec_driver_sql|import text|cursor\.execute|execute\(\s*f?['\"]")
FRONTEND, OTHER = "https://app.acme-register.eu", "https://desk.acme-register.eu:8443"


@pytest.mark.requirement("S3-022", "S3-023")
def test_every_route_says_who_may_call_it(shared: Laboratory) -> None:
    """But for the page and the description of the API, nothing is answered to nobody."""
    open_to_all = {path for _, path, rule in shared.bylaw.routes() if rule.kind == "public"}
    assert open_to_all == {"/", "/openapi.json"}
    visitor = shared.visitor()
    for method, path, rule in shared.bylaw.routes():
        if rule.kind != "public":
            reply = visitor.send(
                method, re.sub(r"{\w+}", NOTHING, path), json={} if method in ("POST", "PUT") else None
            )
            assert (reply.status, path) == (401, path)
            assert reply.header("www-authenticate").startswith("Bearer")


@pytest.mark.requirement("S3-022")
def test_a_cookie_means_nothing_to_the_api(shared: Laboratory) -> None:
    """A session opens the account's pages; on the API's paths a token counts, and nothing else."""
    root = shared.client("admin")
    assert shared.whoami(root).status == 200
    assert [root.get(path).status for path in ("/projects", "/users", "/users/me")] == [401, 401, 401]
    assert root.act("POST", "/projects", json={"title": "x"}).status == 401
    made = given(shared, root)
    assert made.get("/users/me").json()["id"] == root.id
    # With the cookie beside it, it is the token's owner who asks.
    both = root.get("/users/me", headers=[("Authorization", f"Bearer {program(shared, 'viewer').token}")])
    assert both.json()["id"] != root.id


@pytest.mark.requirement("S3-012", "S3-015")
def test_a_token_is_good_for_thirty_minutes(register: Laboratory) -> None:
    """Accepted at 29:59, refused at 30:01, on every route that is not public."""
    root = program(register, "admin")
    paths = [p for m, p, rule in register.bylaw.routes() if m == "GET" and rule.kind != "public"]
    register.clock.advance(1799)
    assert root.get("/projects").status == 200
    register.clock.advance(2)
    assert {root.get(re.sub(r"{\w+}", NOTHING, path)).status for path in paths} == {401}


@pytest.mark.requirement("S3-026", "S3-029", "C-08")
def test_every_body_has_a_model_that_takes_nothing_else(shared: Laboratory) -> None:
    """Route by route: what is sent is a Pydantic model, closed and strict."""
    bodies = 0
    for context in iter_route_contexts(shared.app.routes):
        route = context.original_route
        if isinstance(route, APIRoute) and route.body_field is not None:
            model: Any = route.body_field.field_info.annotation
            assert issubclass(model, BaseModel)
            assert (model.model_config["extra"], model.model_config["strict"]) == ("forbid", True)
            bodies += 1
    assert bodies == 10


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"title": ""}, "title"),
        ({"title": "   "}, "title"),
        ({"title": "a\nb"}, "title"),
        ({"title": "a\0b"}, "title"),
        ({"title": "x" * 201}, "title"),
        ({"title": 7}, "title"),
        ({"summary": "no title"}, "title"),
        ({"title": "x", "summary": "a\0b"}, "summary"),
        ({"title": "x", "summary": "secret-" * 10_000}, "summary"),
        ({"title": "x", "status": "done"}, "status"),
        ({"title": "x", "owner_id": NOTHING}, "owner_id"),
        ({"title": "x", "role": "admin"}, "role"),
        ([], "body"),
        ("x", "body"),
        (None, "body"),
    ],
)
@pytest.mark.requirement("S3-027", "S3-029", "S3-030", "C-11")
def test_what_is_not_accepted_is_named_without_its_value(shared: Laboratory, body: Any, field: str) -> None:
    """422 with the field and what is wrong with it; what was sent is not sent back."""
    ann = program(shared, "editor")
    raw = json.dumps(body).encode()
    reply = ann.send("POST", "/projects", body=raw, headers=[("Content-Type", "application/json")])
    assert reply.status == 422, reply.text
    assert any(field in each["pointer"] for each in reply.json()["errors"]), reply.text
    assert "secret-" not in reply.text


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/projects/17", 422),
        ("GET", "/projects/%00", 422),
        ("GET", f"/projects/{NOTHING}?at=yesterday", 422),
        ("GET", f"/projects/{NOTHING}?at=2026-01-01T00:00:00", 422),
        ("GET", f"/projects/{NOTHING}?at=0001-01-01T00:00:00%2B23:00", 422),
        ("GET", f"/projects/{NOTHING}?at=9999-12-31T23:59:59-23:00", 422),
        ("GET", f"/projects/{NOTHING}?at=9999-12-31T23:59:59Z", 404),
        ("GET", f"/projects/{NOTHING}/versions/0", 422),
        ("GET", f"/projects/{NOTHING}/versions/99999999999", 422),
        ("GET", f"/projects/{NOTHING}/versions?before=-1", 422),
        ("GET", f"/projects/{NOTHING}/differences?older=1", 422),
        ("GET", "/projects?after=%00", 422),
        ("GET", "/projects?after=1%27%20OR%20%271%27=%271", 422),
        ("DELETE", f"/projects/{NOTHING}", 422),
        ("DELETE", f"/projects/{NOTHING}?based_on=1e3", 422),
        ("GET", "/users?after=%00", 422),
        ("GET", "/users/nobody", 422),
        ("GET", f"/users/{NOTHING}/roles?at=99999999999", 422),
        ("PATCH", "/projects", 405),
        ("GET", "/projects/", 404),
    ],
)
@pytest.mark.requirement("S3-027", "S3-028", "S3-030")
def test_odd_addresses_are_refused_calmly(
    anywhere_shared: Laboratory, method: str, path: str, status: int
) -> None:
    """Not an id, not a moment, not a number: 4xx on both databases, and never a 500."""
    assert program(anywhere_shared, "admin").send(method, path).status == status


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def anywhere_shared(request: pytest.FixtureRequest, bench: Bench) -> Iterator[Laboratory]:
    """One laboratory on each database for tests that change nothing."""
    from tests.apps.projects.conftest import laboratory_at

    if request.param == "sqlite":
        with bench.laboratory() as laboratory:
            yield laboratory
    else:
        with laboratory_at(request.getfixturevalue("postgresql")) as laboratory:
            yield laboratory


# Errors


@pytest.mark.requirement("S3-052", "S3-053", "S3-054", "S3-055", "S3-056", "C-23")
def test_an_error_says_internal_server_error_and_nothing_else(
    register: Laboratory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The body is from a fixed set; the log has the traceback, without the secrets in it."""
    from apps.projects.versions import Register

    async def broken(*args: Any, **how: Any) -> Any:
        raise RuntimeError("canary-7: password=Sesame99 at db.internal:5432")

    monkeypatch.setattr(Register, "listed", broken)
    reply = program(register, "viewer").get("/projects")
    assert (reply.status, reply.header("content-type")) == (500, "application/problem+json")
    told = reply.json()
    assert (told["detail"], told["code"]) == ("Internal server error", "errors.internal")
    assert "canary" not in reply.text
    logged = register.logs.text
    assert "Traceback" in logged
    assert "canary-7" in logged
    assert "Sesame99" not in logged


def test_a_database_that_is_away_is_503(register: Laboratory) -> None:
    """Not the register's fault, and not told in the driver's words; the page says so calmly."""
    ann = program(register, "editor")
    path = f"/projects/{ann.made()['id']}"
    ann.get(path)
    away = database.connect(register.site.house.store.engine.url.set(database="/nowhere/at/all.db"))
    before, register.app.state.database = register.app.state.database, away
    try:
        reply = ann.get(path)
        assert (reply.status, reply.code) == (503, "errors.unavailable")
        assert reply.header("retry-after")
        page = register.visitor().page("/")
        assert page.status == 200
        assert "does not answer" in page.text
    finally:
        register.app.state.database = before


@pytest.mark.requirement("S3-024")
def test_without_its_tables_nothing_starts_in_production(bench: Bench, tmp_path: Path) -> None:
    """What would be a 500 at the first request is said before."""
    with bench.laboratory() as laboratory:
        connection = sqlite3.connect(laboratory.site.house.store.engine.url.database or "")
        connection.execute("DROP TABLE document_versions")
        connection.close()
        with pytest.raises(RuntimeError, match="document_versions.*python -m apps.projects"):
            database.check(laboratory.site.house.store.engine, production=True)
        database.check(laboratory.site.house.store.engine, production=False)
        database.check(laboratory.site.house.store.engine, production=True)


# Headers and other sites


@pytest.mark.requirement("S3-062", "S3-063", "S3-064", "S3-065", "C-01", "C-36")
def test_the_headers_are_on_everything(shared: Laboratory, monkeypatch: pytest.MonkeyPatch) -> None:
    """On answers, refusals, errors, files and preflights alike."""
    from apps.projects.people import People

    def broken(*args: Any) -> Any:
        raise RuntimeError("x")

    monkeypatch.setattr(People, "listed", broken)
    visitor, root = shared.visitor(), program(shared, "admin")
    replies = {
        200: root.get("/projects"),
        401: visitor.get("/projects"),
        404: visitor.get("/nothing"),
        405: root.send("PATCH", "/projects"),
        422: root.get("/projects/17"),
        500: root.get("/users"),
    }
    files = [visitor.get("/static/status.css"), visitor.page("/"), visitor.get("/openapi.json")]
    assert {status: reply.status for status, reply in replies.items()} == {
        status: status for status in replies
    }
    for reply in (*replies.values(), *files):
        assert reply.header("x-content-type-options") == "nosniff"
        assert reply.header("x-frame-options") == "DENY"
        assert reply.header("x-xss-protection") == "1; mode=block"
        assert "frame-ancestors 'none'" in reply.header("content-security-policy")


@pytest.fixture(scope="module")
def with_frontends(bench: Bench) -> Iterator[Laboratory]:
    """The register, and the two sites that its environment names."""
    origins = json.dumps([FRONTEND, OTHER])
    with bench.laboratory({"BACKEND_CORS_ORIGINS": origins}) as laboratory:
        yield laboratory


def preflight(
    laboratory: Laboratory, origin: str, method: str = "POST", header: str = "authorization"
) -> Any:
    asked = [
        ("Origin", origin),
        ("Access-Control-Request-Method", method),
        ("Access-Control-Request-Headers", header),
    ]
    return laboratory.visitor().send("OPTIONS", "/projects", headers=asked)


@pytest.mark.requirement("S3-046", "S3-047", "S3-048", "S3-049", "S3-050", "S3-051", "C-18")
def test_the_listed_sites_may_ask_and_nobody_else(with_frontends: Laboratory) -> None:
    """BACKEND_CORS_ORIGINS is a list, letter by letter; credentials, methods and headers as published."""
    for origin in (FRONTEND, OTHER):
        reply = preflight(with_frontends, origin)
        assert reply.header("access-control-allow-origin") == origin
        assert reply.header("access-control-allow-credentials") == "true"
        assert set(reply.header("access-control-allow-methods").split(", ")) <= {"GET", "POST", "OPTIONS"}
        assert reply.header("access-control-allow-headers") == "Authorization, Content-Type"
        assert "Origin" in reply.header("vary")
        assert reply.header("x-content-type-options") == "nosniff"
    for origin in (
        "https://evil.example",
        "null",
        FRONTEND.upper(),
        f"{FRONTEND}.evil.test",
        "http://app.acme-register.eu",
    ):
        reply = preflight(with_frontends, origin)
        assert (reply.status, reply.header("access-control-allow-origin")) == (403, "")
    assert preflight(with_frontends, FRONTEND, "PATCH").status == 403
    assert (
        "x-other"
        not in preflight(with_frontends, FRONTEND, header="x-other")
        .header("access-control-allow-headers")
        .lower()
    )
    ann = program(with_frontends, "editor")
    body = {"title": "From the front end"}
    reply = ann.send(
        "POST", "/projects", json=body, headers=[("Origin", FRONTEND), ("Sec-Fetch-Site", "cross-site")]
    )
    assert (reply.status, reply.header("access-control-allow-origin")) == (201, FRONTEND)


@pytest.mark.requirement("S3-050", "S3-051")
@pytest.mark.parametrize(
    "origins", ["*", '["*"]', "http://app.acme-register.eu", '["https://a.test", "null"]', "[]x"]
)
def test_any_site_and_sites_without_encryption_do_not_start(shared: Laboratory, origins: str) -> None:
    """With credentials on, a wildcard would hand everybody's answers to everybody's site."""
    refused = shared.refuses_to_start(BACKEND_CORS_ORIGINS=origins)
    assert refused is not None
    assert "cors.origins" in str(refused)


# The source code


@pytest.mark.requirement("S3-032", "S3-033", "S3-034", "S3-035")
def test_no_query_is_put_together_of_text() -> None:
    """Every statement is SQLAlchemy's. Two words of SQL are sent as they stand, and neither holds a value."""
    found = [
        (file.name, line.strip())
        for file in sorted(SOURCES.rglob("*.py"))
        for line in file.read_text("utf-8").splitlines()
        if re.search(
            r"exec_driver_sql|import text|sqlalchemy\.text|cursor\.execute|execute\(\s*f?['\"]", line
        )
    ]
    assert found == [
        ("database.py", 'cursor.execute(f"PRAGMA {pragma}")'),
        ("database.py", 'connection.exec_driver_sql("BEGIN IMMEDIATE" if immediate else "BEGIN")'),
    ]


@pytest.mark.requirement("S3-009", "S3-011", "S3-014", "S3-005", "S3-006", "S3-007")
def test_the_policy_holds_the_published_values(shared: Laboratory) -> None:
    """What the source says in numbers and names is what this policy says; nothing starts without."""
    from bylaw.controls import jwt, passwords

    tokens = shared.policy.of(jwt.Settings)
    assert (tokens.algorithm, tokens.lifetime) == ("HS256", 1800)
    rules = shared.policy.of(passwords.Settings)
    assert (rules.min_length, rules.composition, rules.hash) == (8, (), "argon2id")
    assert rules.max_length >= 64
    for key in ("too-short", shared.environ["SECRET_KEY"]):
        refused = shared.refuses_to_start(JWT_SECRET_KEY=key)
        assert refused is not None
        assert "jwt.key" in str(refused)
