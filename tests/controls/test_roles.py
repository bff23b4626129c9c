"""Roles: what they may do, which routes say so, who may give them, and what a refusal looks like."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any

import pytest
from fastapi import APIRouter, Depends, FastAPI, WebSocket
from flask import Blueprint, Flask
from flask.views import MethodView
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.exc import IntegrityError
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.staticfiles import StaticFiles
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.routing import Rule

from bylaw import fastapi as on_fastapi
from bylaw import flask as on_flask
from bylaw.controls import roles
from bylaw.controls.roles import CONTROL
from bylaw.errors import MisuseError, PolicyError
from bylaw.exchange import TextHead
from bylaw.fastapi import Permit, Public, SignedIn
from bylaw.flask import login_required, permit, public
from bylaw.identity import (
    ANONYMOUS,
    FORBIDDEN,
    PUBLIC,
    SIGNED_IN,
    UNAUTHENTICATED,
    AccessRule,
    Identity,
    permissions_of,
)
from bylaw.reasons import Refused
from bylaw.store import users
from bylaw.verify import matrix
from bylaw.verify.client import Client, Reply
from bylaw.verify.laboratory import Laboratory
from bylaw.verify.runner import attempt
from bylaw.verify.target import Target
from tests.controls.houses import Builder, exchange

POLICY = """
[app]
name = "Rooms"
[roles]
admin = ["*"]
clerk = ["user:manage"]
manager = ["process:*", "lot:*", "report:*"]
user = ["*:read", "entry:create"]
editor = ["*:read", "document:create", "document:*:own"]
nothing = []
"""
"""The three roles of the first source policy (S1-027 to S1-029), the third's editor, and two more."""
GRANTS = {
    "admin": ["*"],
    "clerk": ["user:manage"],
    "manager": ["process:*", "lot:*", "report:*"],
    "user": ["*:read", "entry:create"],
    "editor": ["*:read", "document:create", "document:*:own"],
    "nothing": [],
}


def who(*held: str, id: str = "me") -> Identity:
    return Identity(id=id, roles=frozenset(held), permissions=permissions_of(held, GRANTS))


Start = Callable[[Callable[[], Any]], Laboratory]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Laboratories of applications that a test writes itself, on the policy above."""
    (tmp_path / "bylaw.toml").write_text(POLICY)
    started: list[Laboratory] = []

    def made(factory: Callable[[], Any]) -> Laboratory:
        started.append(Laboratory(Target("written here", factory)))
        return started[-1]

    yield made
    for laboratory in started:
        laboratory.close()


def flask_app(tmp_path: Path) -> tuple[Flask, on_flask.Bylaw]:
    app = Flask("rooms", root_path=str(tmp_path), static_folder=None)
    return app, on_flask.Bylaw(app, tmp_path / "bylaw.toml")


def fastapi_app(tmp_path: Path) -> tuple[FastAPI, on_fastapi.Bylaw]:
    app = FastAPI()
    return app, on_fastapi.Bylaw(app, tmp_path / "bylaw.toml")


def refused(start: Start, factory: Callable[[], Any]) -> str:
    with pytest.raises(PolicyError) as error:
        start(factory)
    return str(error.value)


def change(laboratory: Laboratory, by: Client, of: Client, action: str, *granted: str) -> Reply:
    return by.act(
        "POST",
        laboratory.api("user").replace("{id}", of.id),
        json={"action": action, "role": list(granted), "reason": "a test"},
    )


# What a role may do


@pytest.mark.requirement("S1-027", "S1-028", "S1-029", "C-22")
@pytest.mark.parametrize(
    ("role", "allowed", "refused"),
    [
        ("admin", ["process:create", "user:manage", "anything:at_all", "a:b:own"], []),
        (
            "manager",
            ["process:create", "process:read", "lot:update", "report:read", "lot:update:own"],
            ["user:manage", "entry:create", "processes:create", "process", "lot", ":create", ""],
        ),
        (
            "user",
            ["process:read", "anything:read", "entry:create"],
            ["process:create", "entry:update", "user:manage", "read", "process:read:all", "*", "*:*"],
        ),
        (
            "editor",
            ["document:create", "document:update:own", "document:delete:own", "document:read"],
            ["document:update", "document:delete", "paper:update:own", "document:*"],
        ),
        ("clerk", ["user:manage"], ["user:read", "user:*", "*"]),
        ("nothing", [], ["a:read", "", "*"]),
        ("unknown", [], ["a:read", "*"]),
        ("Admin", [], ["a:read", "user:manage"]),
        ("admin ", [], ["user:manage"]),
        ("", [], ["user:manage"]),
    ],
)
def test_patterns(role: str, allowed: list[str], refused: list[str]) -> None:
    """A pattern grants what it says; a role that is not declared, or oddly spelt, grants nothing."""
    held = who(role).permissions
    assert [p for p in allowed if not held.allow(p)] == []
    assert [p for p in refused if held.allow(p)] == []
    assert [p for p in refused if held.allow(p)] == [], "the second answer is the first"


def test_made_up_permissions_fill_no_memory() -> None:
    """Whoever makes keys for himself asks for as many scopes as he likes: what was answered is not kept for
    each of them for ever."""
    held = permissions_of(["user"], GRANTS)
    for number in range(3000):
        assert not held.allow(f"made-up:verb-{number}")
        assert not held.allow_own(f"made-up:verb-{number}")
    assert len(held._answers) + len(held._answers_own) < 3000
    assert held.allow("note:read")


def test_roles_add_up() -> None:
    """Whoever holds two roles may do what either may."""
    both = who("manager", "user").permissions
    assert both.allow("process:create")
    assert both.allow("entry:create")
    assert not both.allow("user:manage")


@pytest.mark.requirement("S1-031")
@pytest.mark.parametrize(
    ("identity", "owner", "allowed"),
    [
        (who("editor"), "me", True),
        (who("editor"), "other", False),
        (who("editor"), None, False),
        (who("editor"), "", False),
        (who("admin"), None, True),
        (who("admin"), "other", True),
        (who("user"), "me", False),
        (who("editor", id=""), "", False),
        (ANONYMOUS, None, False),
        (ANONYMOUS, "", False),
    ],
)
def test_one_may_do_to_ones_own(identity: Identity, owner: str | None, allowed: bool) -> None:
    """`:own` holds for one's own alone; an object without an owner is nobody's (A090)."""
    assert identity.may("document:update", owner=owner) is allowed
    if allowed:
        identity.demand("document:update", owner=owner)
        return
    with pytest.raises(Refused) as error:
        identity.demand("document:update", owner=owner)
    assert error.value.reason is (FORBIDDEN if identity.id else UNAUTHENTICATED)


@pytest.mark.requirement("S1-030", "S1-032", "S1-033")
@pytest.mark.parametrize(
    ("rule", "nobody", "user", "admin"),
    [
        (PUBLIC, None, None, None),
        (SIGNED_IN, UNAUTHENTICATED, None, None),
        (AccessRule("permission", "entry:create"), UNAUTHENTICATED, None, None),
        (AccessRule("permission", "entry:delete"), UNAUTHENTICATED, FORBIDDEN, None),
        (AccessRule("permission", ""), UNAUTHENTICATED, FORBIDDEN, None),
    ],
)
def test_what_a_rule_decides(rule: AccessRule, nobody: Any, user: Any, admin: Any) -> None:
    """401 for nobody, 403 for somebody without the permission."""
    assert (rule.decide(None), rule.decide(who("user")), rule.decide(who("admin"))) == (nobody, user, admin)


@given(
    st.lists(st.sampled_from(["*", "a:*", "a:b", "*:b", "a:b:own", "a:*:own"]), max_size=3),
    st.from_regex(r"[ab]:[bc](:own)?", fullmatch=True),
)
def test_permissions_never_exceed_their_patterns(patterns: list[str], permission: str) -> None:
    """Whatever a role holds, it allows exactly what one of its patterns names."""
    noun, verb, *own = permission.split(":")
    named = (
        {"*", f"{noun}:*", f"{noun}:{verb}"}
        if not own
        else {"*", f"{noun}:*", f"{noun}:{verb}:own", f"{noun}:*:own"}
    )
    if not own:
        named.add(f"*:{verb}")
    assert permissions_of(["r"], {"r": patterns}).allow(permission) == bool(named & set(patterns))


# The policy


@pytest.mark.requirement("C-22")
@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('admin = ["everything"]', "'everything' is not a permission"),
        ('admin = ["*:*"]', "'*:*' is not a permission"),
        ('admin = ["Process:read"]', "is not a permission"),
        ('admin = ["process:"]', "is not a permission"),
        ('admin = ["*", "process read"]', "roles.admin.1"),
        ('admin = "*"', "roles.admin"),
        ('Admin = ["*"]', "'Admin' is not a role's name"),
        ('"a,b" = ["*"]', "is not a role's name"),
        (f'{"a" * 65} = ["*"]', "is not a role's name"),
        ('off = true\nbecause = "no"', "nobody could be let in or kept out"),
    ],
)
def test_a_policy_that_cannot_be_kept(tmp_path: Path, text: str, said: str) -> None:
    """A misspelt permission or role refuses to start: it would grant nothing, or something else."""
    assert said in Builder(tmp_path).refusal(f"[roles]\n{text}")


def test_the_statement_lists_the_roles(tmp_path: Path) -> None:
    """SECURITY.md says what each role may do."""
    build = Builder(tmp_path)
    said = " ".join(CONTROL.statement(build.policy(POLICY)))
    for sentence in ("`admin`: everything", "`nothing`: nothing", "`editor`: `*:read`, `document:create`"):
        assert sentence in said
    assert "No roles are declared" in " ".join(CONTROL.statement(build.policy("")))


def test_who_manages_users(tmp_path: Path) -> None:
    """The roles that count as administrators are those that may manage users."""
    policy = Builder(tmp_path).policy(POLICY)
    assert sorted(roles.managing(policy)) == ["admin", "clerk"]
    assert roles.known(policy, "admin")
    assert not roles.known(policy, "Admin")


@pytest.mark.requirement("S1-031")
@pytest.mark.parametrize(
    ("by", "touched", "allowed"),
    [
        ("admin", ["admin", "editor", "clerk"], True),
        ("clerk", ["clerk", "nothing"], True),
        ("clerk", ["admin"], False),
        ("clerk", ["user"], False),
        ("manager", ["manager"], True),
        ("editor", ["editor"], True),
        ("user", ["editor"], False),
        ("clerk", [], True),
        ("clerk", ["unknown"], True),
    ],
)
def test_nobody_gives_more_than_he_has(tmp_path: Path, by: str, touched: list[str], allowed: bool) -> None:
    """A role is given and taken by whoever may do all that it allows (A089)."""
    house = Builder(tmp_path).house(POLICY)
    if allowed:
        roles.demand_no_less(house, who(by), touched)
        return
    with pytest.raises(Refused) as error:
        roles.demand_no_less(house, who(by), touched)
    assert error.value.reason is FORBIDDEN


@pytest.mark.requirement("S1-032", "C-37")
@pytest.mark.parametrize(
    ("status", "headers", "challenge"),
    [
        (401, [], roles.CHALLENGE),
        (401, [("WWW-Authenticate", "Bearer")], "Bearer"),
        (403, [], None),
        (200, [], None),
    ],
)
def test_a_401_bears_a_challenge(
    tmp_path: Path, status: int, headers: list[tuple[str, str]], challenge: str | None
) -> None:
    """Whoever answered it, and with the application's own challenge where it has one."""
    head = TextHead(status, headers)
    CONTROL.steps["depart"](Builder(tmp_path).house(POLICY))(exchange(), head)
    assert head.get("www-authenticate") == challenge


# Routes that nobody has declared


@pytest.mark.requirement("S1-030")
def test_flask_refuses_to_start_with_undeclared_routes(start: Start, tmp_path: Path) -> None:
    """Views, blueprints, classes of views and mounts: each that lacks a rule is named, all at once."""

    def factory() -> Flask:
        app, bylaw = flask_app(tmp_path)
        outer, inner = Blueprint("outer", "x", url_prefix="/outer"), Blueprint("inner", "x")

        @app.get("/declared")
        @permit("note:read")
        def declared() -> str:
            return ""

        @app.route("/plain", methods=["GET", "POST"])
        def plain() -> str:
            return ""

        @inner.delete("/nested/<int:number>")
        def nested(number: int) -> str:
            return ""

        class Late(MethodView):
            def get(self) -> str:
                return ""

        @app.get("/static-by-name", endpoint="static")
        def by_name() -> str:
            return "not a static file at all"

        outer.register_blueprint(inner)
        app.register_blueprint(outer)
        app.add_url_rule("/class", view_func=Late.as_view("late"))
        app.add_url_rule("/no-view", endpoint="nobody")
        bylaw.ready()
        return app

    said = refused(start, factory)
    for route in (
        "GET,POST /plain",
        "DELETE /outer/nested/<int:number>",
        "GET /class",
        "GET /no-view",
        "GET /static-by-name",
        "(outer.inner.nested)",
        '@permit("noun:verb")',
    ):
        assert route in said, said
    assert "/declared" not in said
    assert "(5 problems)" in said


@pytest.mark.requirement("S1-030")
def test_flask_refuses_to_start_with_a_rule_on_a_method_of_a_class(start: Start, tmp_path: Path) -> None:
    """A rule that Flask never asks does not pass for one: the public class would let anybody delete."""

    def factory() -> Flask:
        app, bylaw = flask_app(tmp_path)

        @public("a page")
        class Page(MethodView):
            def get(self) -> str:
                return "a page"

            @permit("page:delete")
            def delete(self) -> str:
                return "gone"

        app.add_url_rule("/page", view_func=Page.as_view("page"))
        bylaw.ready()
        return app

    said = refused(start, factory)
    assert "Page.delete" in said
    assert "(1 problem)" in said


@pytest.mark.requirement("S1-030")
def test_flask_refuses_to_start_with_an_undeclared_mount(start: Start, tmp_path: Path) -> None:
    """An application that a dispatcher puts beside this one is reached by nobody unless declared."""

    def mounted(environ: Any, start_response: Any) -> list[bytes]:
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [b"inside"]

    def factory(rule: AccessRule | None) -> Flask:
        app = Flask("rooms", root_path=str(tmp_path), static_folder=None)
        app.wsgi_app = DispatcherMiddleware(app.wsgi_app, {"/other": mounted})  # type: ignore[method-assign]
        bylaw = on_flask.Bylaw(app, tmp_path / "bylaw.toml")
        if rule is not None:
            bylaw.mount("/other", rule)
        bylaw.ready()
        return app

    assert "mount /other" in refused(start, lambda: factory(None))
    laboratory = start(lambda: factory(AccessRule("permission", "report:read")))
    assert laboratory.visitor().get("/other/x").status == 401
    assert laboratory.client("nothing").get("/other/x").status == 403
    inside = laboratory.client("manager").get("/other/x")
    assert (inside.status, inside.body) == (200, b"inside")


@pytest.mark.requirement("S1-030")
def test_a_declaration_may_stand_on_a_view_or_a_class(start: Start, tmp_path: Path) -> None:
    """Decorated views, classes with a rule or with decorators: they start, and the rule holds."""

    def factory() -> Flask:
        app, bylaw = flask_app(tmp_path)

        @permit("lot:update")
        class ByClass(MethodView):
            def get(self) -> str:
                return "class"

        class ByDecorators(MethodView):
            decorators = [login_required]  # noqa: RUF012 - as Flask has it

            def get(self) -> str:
                return "decorators"

        app.add_url_rule("/class", view_func=ByClass.as_view("by_class"))
        app.add_url_rule("/decorators", view_func=ByDecorators.as_view("by_decorators"))
        app.add_url_rule("/public", view_func=public("why not")(lambda: "public"), endpoint="p")
        bylaw.ready()
        return app

    laboratory = start(factory)
    asked = ("/class", "/decorators", "/public")
    seen = {
        name: [client.get(path).status for path in asked]
        for name, client in {
            "nobody": laboratory.visitor(),
            "nothing": laboratory.client("nothing"),
            "manager": laboratory.client("manager"),
        }.items()
    }
    assert seen == {"nobody": [401, 401, 200], "nothing": [403, 200, 200], "manager": [200, 200, 200]}


@pytest.mark.requirement("S1-030")
def test_a_static_folder_is_public_and_a_view_of_that_name_is_not(start: Start, tmp_path: Path) -> None:
    """Flask's own endpoint for files needs no rule; a view that is called so does."""
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / "a.txt").write_text("a file")

    def factory() -> Flask:
        app = Flask("rooms", root_path=str(tmp_path), static_folder="files", static_url_path="/files")
        bylaw = on_flask.Bylaw(app, tmp_path / "bylaw.toml")
        bylaw.ready()
        return app

    reply = start(factory).visitor().get("/files/a.txt")
    assert (reply.status, reply.body) == (200, b"a file")


@pytest.mark.requirement("S1-030")
def test_fastapi_refuses_to_start_with_undeclared_routes(start: Start, tmp_path: Path) -> None:
    """Routes, routers in routers, WebSockets, Starlette's routes, sub-applications and mounts."""

    def factory() -> FastAPI:
        app, bylaw = fastapi_app(tmp_path)
        outer, inner, guarded = APIRouter(), APIRouter(), APIRouter(dependencies=[SignedIn()])
        sub = FastAPI()

        @app.get("/declared")
        def declared(me: Annotated[Identity, Permit("note:read")]) -> str:
            return ""

        @guarded.get("/by-router")
        def by_router() -> str:
            return ""

        @app.api_route("/plain", methods=["GET", "POST"])
        def plain() -> str:
            return ""

        @app.get("/another-dependency", dependencies=[Depends(lambda: 1)])
        def dependency() -> str:
            return ""

        @inner.delete("/nested/{number}")
        def nested(number: int) -> str:
            return ""

        @app.websocket("/socket")
        async def socket(connection: WebSocket) -> None:
            await connection.accept()

        @sub.get("/sub")
        def sub_route() -> str:
            return ""

        async def mounted(scope: Any, receive: Any, send: Any) -> None:
            """An application that nobody knows anything about."""

        outer.include_router(inner, prefix="/inner")
        app.include_router(outer, prefix="/outer")
        app.include_router(guarded)
        app.mount("/below", sub)
        app.mount("/mounted", mounted)
        app.router.routes.append(Route("/starlette", lambda request: PlainTextResponse("")))
        bylaw.ready()
        return app

    said = refused(start, factory)
    for route in (
        "GET,POST /plain",
        "GET /another-dependency",
        "DELETE /outer/inner/nested/{number}",
        "WEBSOCKET /socket",
        "GET /below/sub",
        "mount /mounted",
        "GET /starlette",
    ):
        assert route in said, said
    assert "/declared" not in said
    assert "/by-router" not in said


@pytest.mark.requirement("S1-030", "S1-032", "S1-033")
def test_fastapi_guards_what_is_declared(start: Start, tmp_path: Path) -> None:
    """A rule on a parameter, a route or a router is asked; the documentation asks for its own."""
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / "a.txt").write_text("a file")

    def factory() -> FastAPI:
        app, bylaw = fastapi_app(tmp_path)
        sub = FastAPI(dependencies=[Permit("lot:update")])
        router = APIRouter(dependencies=[SignedIn()])

        @app.get("/parameter")
        def parameter(me: Annotated[Identity, Permit("report:read")]) -> str:
            return me.id

        @app.get("/public", dependencies=[Public("why not")])
        def everybody() -> str:
            return ""

        @router.get("/both", dependencies=[Permit("lot:update")])
        def both() -> str:
            return ""

        @sub.get("/inside")
        def inside() -> str:
            return ""

        app.include_router(router, prefix="/routed")
        app.mount("/below", sub)
        app.mount("/files", StaticFiles(directory=tmp_path / "files"))
        bylaw.ready()
        return app

    laboratory = start(factory)
    asked = (
        "/parameter",
        "/public",
        "/routed/both",
        "/below/inside",
        "/files/a.txt",
        "/docs",
        "/openapi.json",
    )
    people = {
        "nobody": laboratory.visitor(),
        "nothing": laboratory.client("nothing"),
        "manager": laboratory.client("manager"),
        "admin": laboratory.client("admin"),
    }
    seen = {name: [client.get(path).status for path in asked] for name, client in people.items()}
    assert seen["nobody"] == [401, 200, 401, 401, 200, 401, 401]
    assert seen["nothing"] == [403, 200, 403, 403, 200, 403, 403]
    assert seen["manager"] == [200, 200, 200, 200, 200, 403, 403]
    assert seen["admin"] == [200] * 7
    assert laboratory.visitor().get("/parameter").header("www-authenticate") == roles.CHALLENGE


@pytest.mark.requirement("S1-030")
def test_a_route_added_after_start_up_does_not_answer(start: Start, tmp_path: Path) -> None:
    """A late route is refused where it is added, or what it says is withheld (A094)."""

    laboratory = start(lambda: flask_app(tmp_path)[0])
    assert laboratory.visitor().get("/late").status == 404
    with pytest.raises(AssertionError):
        laboratory.app.add_url_rule("/late", view_func=lambda: "late and open")
    # Flask itself refuses that; what goes around it is refused before it runs.
    ran: list[str] = []

    def late() -> str:
        ran.append("late")
        return "late and open"

    laboratory.app.url_map.add(Rule("/late", endpoint="late"))
    laboratory.app.view_functions["late"] = late
    for client in (laboratory.visitor(), laboratory.client("admin")):
        reply = client.get("/late")
        assert (reply.status, reply.code) == (500, "roles.undeclared")
    assert not ran
    laboratory = start(lambda: fastapi_app(tmp_path)[0])
    assert laboratory.visitor().get("/late").status == 404
    with pytest.raises(MisuseError):
        laboratory.app.add_api_route("/late", lambda: "late and open")
    assert laboratory.visitor().get("/late").status == 404


# Attack stories


@pytest.mark.requirement("S1-027", "S1-028", "S1-029", "S1-030", "S1-032", "S1-033")
def test_every_route_by_every_role(laboratory: Laboratory) -> None:
    """Measured with real requests, the matrix is what the rules say."""
    assert [cell for cell in matrix.measure(laboratory) if not cell.as_declared] == []


@pytest.mark.requirement("S1-032", "S1-033", "S3-067", "C-37", "C-23")
def test_what_a_refusal_looks_like(laboratory: Laboratory) -> None:
    """Programs get 401 with a challenge or 403, people the sign-in page or a page; 403 is recorded."""
    path = laboratory.api("users")
    visitor, user = laboratory.visitor(), laboratory.ordinary()
    nobody, somebody = visitor.get(path), user.get(path)
    assert (nobody.status, nobody.code) == (401, "roles.unauthenticated")
    assert nobody.header("www-authenticate") == roles.CHALLENGE
    assert (somebody.status, somebody.code) == (403, "roles.forbidden")
    page = visitor.page(path + "?search=x")
    assert page.status == 303
    assert page.header("location").startswith(laboratory.url("sign_in") + "?next=")
    shown = user.page(laboratory.url("users"))
    assert (shown.status, shown.header("content-type")) == (403, "text/html; charset=utf-8")
    records = laboratory.audit(action="authz_fail", user_id=user.id)
    assert [row["entity_id"] for row in records] == [laboratory.url("users"), path]
    assert {row["outcome"] for row in records} == {"refused"}
    assert records[1]["changes"] == {"method": "GET", "needed": "user:manage"}


@pytest.mark.requirement("S1-031", "S3-024")
@pytest.mark.parametrize("role", ["Admin", "ADMIN", " admin", "admin ", ""])
def test_an_odd_role_never_gets_into_the_table(flask_laboratory: Laboratory, role: str) -> None:
    """The database refuses what no role can be called (S3-024); what the policy lacks grants nothing."""
    client = flask_laboratory.client()
    house = flask_laboratory.site.house
    with pytest.raises(IntegrityError), house.store.transaction() as connection:
        users.set_roles(connection, client.id, frozenset({role}), by=None)
    assert client.get(flask_laboratory.api("users")).status == 403


@pytest.mark.requirement("S1-031", "S3-024")
def test_a_role_that_the_policy_lost_grants_nothing(laboratory: Laboratory) -> None:
    """Whoever still holds a role of an earlier policy, or none at all, is somebody without rights."""
    for held in (["retired"], ["admin2", "administrator"], []):
        client = laboratory.client(*held)
        assert laboratory.whoami(client).json()["roles"] == sorted(held)
        assert client.get(laboratory.api("users")).status == 403


@pytest.mark.requirement("S1-031", "C-08")
@pytest.mark.parametrize(
    ("where", "said"),
    [
        ("headers", [("X-Role", "admin"), ("X-Forwarded-User", "root"), ("Remote-User", "admin")]),
        ("headers", [("X-Original-URL", "/"), ("X-Rewrite-URL", "/"), ("X-Forwarded-Prefix", "/x")]),
        ("headers", [("X-HTTP-Method-Override", "OPTIONS"), ("X-Method-Override", "HEAD")]),
        ("query", "?role=admin&roles=admin&is_admin=1"),
    ],
)
def test_nothing_that_is_sent_is_a_role(laboratory: Laboratory, where: str, said: Any) -> None:
    """Headers, cookies and parameters of other systems change nothing about who asks."""
    user, path = laboratory.ordinary(), laboratory.api("users")
    extra, query = (said, "") if where == "headers" else ([], said)
    assert user.get(path + query, headers=extra).status == 403
    assert laboratory.visitor().get(path + query, headers=extra).status == 401


@pytest.mark.requirement("S1-031")
@pytest.mark.parametrize(
    "extra",
    [
        {"role": "admin"},
        {"roles": ["admin"]},
        {"is_superuser": True},
        {"password_hash": "x"},
        {"epoch": 9},
        {"email": "root@people.test"},
        {"disabled_at": None},
        {"id": "1"},
    ],
)
def test_privileged_fields_are_nobodys_to_send(laboratory: Laboratory, extra: dict[str, Any]) -> None:
    """One's own pages take what they name and nothing else (A089)."""
    user = laboratory.ordinary()
    before = laboratory.whoami(user).json()
    for method, path in (
        ("POST", laboratory.api("change_password")),
        ("PATCH", laboratory.api("me")),
        ("PUT", laboratory.api("me")),
        ("POST", laboratory.api("me")),
        ("POST", laboratory.api("user").replace("{id}", user.id)),
    ):
        assert user.act(method, path, json=extra).status in (403, 405, 422)
    assert laboratory.whoami(user).json() == before


@pytest.mark.requirement("S1-031", "S3-069")
def test_a_demotion_holds_at_once(laboratory: Laboratory) -> None:
    """A manager who loses his role has lost it with his next request, in the session he had (A092)."""
    boss, manager = laboratory.administrator(), laboratory.client("manager")
    assert manager.get("/report").status == 200
    assert change(laboratory, boss, manager, "roles", "user").status == 200
    assert manager.get("/report").status == 403
    assert change(laboratory, boss, manager, "roles", "user", "manager").status == 200
    assert manager.get("/report").status == 200
    assert change(laboratory, boss, manager, "disable").status == 200
    assert manager.get("/report").status == 401
    rows = laboratory.audit(action="privilege_permissions_changed", entity_id=manager.id)
    assert [row["changes"]["roles"]["new"] for row in rows] == [["manager", "user"], ["user"]]
    assert {row["user_id"] for row in rows} == {boss.id}


@pytest.mark.requirement("S1-031")
@pytest.mark.parametrize("actions", [("roles", "roles"), ("disable", "disable"), ("roles", "disable")])
def test_two_administrators_demote_each_other(laboratory: Laboratory, actions: tuple[str, str]) -> None:
    """At the same moment, each takes the other's rights: one of them stays (A092)."""
    two = [laboratory.administrator(), laboratory.administrator()]
    headers = [[*a.from_here, (a.token_header, a.token())] for a in two]
    paths = [laboratory.api("user").replace("{id}", a.id) for a in two]
    replies = laboratory.burst(
        lambda n: two[n].send(
            "POST",
            paths[1 - n],
            headers=headers[n],
            json={"action": actions[n], "role": [], "reason": "a test"},
        ),
        2,
    )
    left = [a for a in two if a.get(laboratory.api("users")).status == 200]
    assert len(left) == 1
    assert sorted(reply.status for reply in replies)[0] == 200
    assert max(reply.status for reply in replies) in (401, 403, 409)
    for action in ("roles", "disable"):
        last = change(laboratory, left[0], left[0], action, *(["user"] if action == "roles" else []))
        assert (last.status, last.code) == (409, "roles.last_administrator")


@pytest.mark.requirement("S1-031")
def test_a_clerk_cannot_make_himself_an_administrator(start: Start, tmp_path: Path) -> None:
    """Whoever may manage users neither gives, nor takes, nor shuts out, what is above him (A089)."""
    laboratory = start(lambda: flask_app(tmp_path)[0])
    clerk, boss, other = (laboratory.client(role) for role in ("clerk", "admin", "nothing"))
    for reply in (
        change(laboratory, clerk, clerk, "roles", "clerk", "admin"),
        change(laboratory, clerk, other, "roles", "admin"),
        change(laboratory, clerk, boss, "roles"),
        change(laboratory, clerk, boss, "disable"),
        clerk.act(
            "POST",
            laboratory.api("users"),
            json={
                "email": "x@people.test",
                "name": "",
                "role": ["admin"],
            },
        ),
    ):
        assert (reply.status, reply.code) == (403, "roles.forbidden")
    assert change(laboratory, clerk, other, "roles", "clerk").status == 200
    assert change(laboratory, clerk, other, "disable").status == 200
    change(laboratory, boss, boss, "roles", "admin", "clerk")
    laboratory.client("admin")
    assert change(laboratory, boss, other, "enable").status == 200


@pytest.mark.requirement("S1-031")
@pytest.mark.parametrize(
    ("path_id", "status"),
    [
        ("0", 404),
        ("-1", 404),
        ("me", 404),
        ("%00", 404),
        ("{}", 404),
        ("a" * 3000, 404),
        ("..%2f..", 404),
        ("\u0663", 404),
    ],
)
def test_an_account_that_does_not_exist(laboratory: Laboratory, path_id: str, status: int) -> None:
    """Any other id names nobody, for reading and for changing, and never fails (A089, A186)."""
    admin = laboratory.administrator()
    path = laboratory.api("user").replace("{id}", path_id)
    assert admin.get(path).status == status
    assert (
        admin.act("POST", path, json={"action": "disable", "role": [], "reason": "a test"}).status == status
    )


@pytest.mark.requirement("C-11")
@pytest.mark.parametrize(
    "query",
    [
        "order_by=password_hash",
        "sort=password_hash",
        "password_hash=a",
        "filter[password_hash]=a",
        "fields=*",
        "search=a&fields=password_hash",
        "limit=1000000",
        "offset=1",
        "search[$ne]=a",
    ],
)
def test_the_list_cannot_be_asked_for_more(laboratory: Laboratory, query: str) -> None:
    """No parameter reaches a column that the list does not show (A097)."""
    reply = laboratory.administrator().get(f"{laboratory.api('users')}?{query}")
    assert (reply.status, reply.code) == (400, "errors.invalid")


def test_a_search_finds_letters(laboratory: Laboratory) -> None:
    """Wildcards and fragments of hashes are letters that nobody's address has (A097)."""
    admin = laboratory.administrator()
    laboratory.person(email="under_score@people.test")

    def found(text: str) -> list[str]:
        reply = admin.get(f"{laboratory.api('users')}?match=anywhere&search={text}")
        assert reply.status == 200
        assert "password_hash" not in reply.text
        assert "argon2" not in reply.text
        return [user["email"] for user in reply.json()["users"]]

    assert found("r_s") == ["under_score@people.test"]
    assert found("r%25s") == found("$argon2") == found("%5C") == found("%00") == []
    assert found("'%20OR%20'1'='1") == []


# Proof


def test_a_probe_says_when_it_could_not_look(start: Start, tmp_path: Path) -> None:
    """Without routes that ask for a permission, or a role that may do everything, nothing is claimed."""
    (tmp_path / "bylaw.toml").write_text(POLICY.replace('admin = ["*"]', 'admin = ["user:*"]'))
    laboratory = start(lambda: flask_app(tmp_path)[0])
    seen = {p.name: attempt(CONTROL, p, laboratory).outcome for p in CONTROL.probes}
    assert seen["a_change_holds_at_once"] == "not_examined"
    assert "fail" not in seen.values()
