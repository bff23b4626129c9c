"""Roles that were given for one object: which routes they open, in both frameworks, and until when."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any

import pytest
from fastapi import APIRouter, FastAPI, WebSocket
from fastapi.responses import PlainTextResponse
from flask import Flask, abort

from bylaw import fastapi as on_fastapi
from bylaw import flask as on_flask
from bylaw.controls import mfa
from bylaw.controls.sessions import long_exchanges
from bylaw.errors import MisuseError
from bylaw.fastapi import Permit, SignedIn
from bylaw.flask import current_user, login_required, permit
from bylaw.identity import FORBIDDEN, AccessRule, Identity, Permissions, all_of, asking
from bylaw.keys import digest
from bylaw.operations import granting
from bylaw.operations.administering import SYSTEM
from bylaw.reasons import Refused
from bylaw.verify.client import Client
from bylaw.verify.laboratory import Laboratory
from bylaw.verify.target import Target
from tests.controls.houses import exchange

POLICY = """
[app]
name = "Plannings"
[roles]
admin = ["*"]
planner = ["planning:*", "note:read"]
guest = ["planning:read", "note:update:own"]
[jwt]
paths = ["/bearer/*"]
key = "env:JWT_SECRET_KEY"
"""


LONG: list[Callable[[], object]] = []
"""What happens while a long request is under way."""


def flask_app(folder: Path) -> Flask:
    app = Flask("plannings", root_path=str(folder), static_folder=None)
    bylaw = on_flask.Bylaw(app, "bylaw.toml")

    def add(path: str, declare: Callable[..., Any], view: Callable[..., Any] = lambda **parts: "yes") -> None:
        app.add_url_rule(path, path, declare(lambda **parts: view(**parts)), methods=["GET", "POST"])

    def asked(number: int) -> str:
        current_user.demand("planning:run", within=f"planning:{number}")
        return "yes"

    add("/plannings/<int:number>", permit("planning:run", within="planning:{number}"))
    add("/bearer/plannings/<int:number>", permit("planning:run", within="planning:{number}"))
    add("/by-name/<number>", permit("planning:run", within="planning:{number}"))
    add("/plannings", permit("planning:run", within="planning"))
    add("/asks/<int:number>", permit("planning:run", within="planning"), asked)
    add("/report", permit("planning:run"))
    add("/note", permit("note:read", within="note:{number}"))
    add("/mine/<int:number>", permit("note:update", within="note:{number}"))

    def long(**parts: Any) -> str:
        LONG[-1]()
        current_user.demand("planning:run")
        return "yes"

    add("/long", permit("planning:run"), long)
    add("/menu", login_required, lambda: "yes" if current_user.may_somewhere("planning:run") else abort(404))
    bylaw.ready()
    return app


def fastapi_app(folder: Path) -> FastAPI:
    app = FastAPI()
    bylaw = on_fastapi.Bylaw(app, folder / "bylaw.toml")
    router = APIRouter()

    def add(where: Any, path: str, rule: Any) -> None:
        where.add_api_route(path, lambda: "yes", dependencies=[rule], methods=["GET", "POST"])

    @app.api_route("/plannings/{number}", methods=["GET", "POST"])
    def one(number: int, who: Annotated[Identity, Permit("planning:run", within="planning:{number}")]) -> str:
        return "yes"

    add(router, "/plannings/{number}", Permit("planning:run", within="planning:{number}"))
    add(app, "/by-name/{number}", Permit("planning:run", within="planning:{number}"))
    add(app, "/plannings", Permit("planning:run", within="planning"))
    add(app, "/report", Permit("planning:run"))
    add(app, "/note", Permit("note:read", within="note:{number}"))
    add(app, "/mine/{number:int}", Permit("note:update", within="note:{number}"))

    @app.get("/asks/{number}")
    def asks(number: int, who: Annotated[Identity, Permit("planning:run", within="planning")]) -> str:
        who.demand("planning:run", within=f"planning:{number}")
        return "yes"

    @app.get("/long")
    def long(who: Annotated[Identity, Permit("planning:run")]) -> str:
        LONG[-1]()
        who.demand("planning:run")
        return "yes"

    @app.get("/menu")
    def menu(who: Annotated[Identity, SignedIn()]) -> Any:
        return PlainTextResponse("", 200 if who.may_somewhere("planning:run") else 404)

    @app.websocket("/socket/{number}")
    async def socket(
        connection: WebSocket,
        number: int,
        who: Annotated[Identity, Permit("planning:run", within="planning:{number}")],
    ) -> None:
        await connection.accept()
        async for text in connection.iter_text():
            await connection.send_text(text)

    app.include_router(router, prefix="/bearer")
    bylaw.ready()
    return app


@pytest.fixture(scope="module", params=[flask_app, fastapi_app], ids=["flask", "fastapi"])
def lab(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Laboratory]:
    folder = tmp_path_factory.mktemp("plannings")
    (folder / "bylaw.toml").write_text(POLICY)
    with Laboratory(Target("plannings", lambda: request.param(folder))) as made:
        yield made


def give(lab: Laboratory, to: Client, role: str, within: str = "", life: float | None = None) -> None:
    until = None if life is None else lab.clock() + life
    granting.grant(lab.site.house, SYSTEM, to.id, role, within=within, until=until)


@pytest.mark.requirement("S1-033", "S3-022")
def test_a_role_within_one_object_opens_that_object_alone(lab: Laboratory) -> None:
    """Neither its neighbour, nor what is about another kind, nor a route that has not said that it is about
    such objects: that one may forget to ask which of them it is (A090)."""
    ann = lab.client()
    asked = (
        "/plannings/17",
        "/plannings/18",
        "/plannings",
        "/asks/17",
        "/asks/18",
        "/report",
        "/note",
        "/menu",
    )
    assert [ann.get(path).status for path in asked] == [403] * 7 + [404]
    give(lab, ann, "planner", "planning:17")
    assert [ann.get(path).status for path in asked] == [200, 403, 200, 200, 403, 403, 403, 200]
    assert lab.visitor().get("/plannings/17").status == 401
    granting.revoke(lab.site.house, SYSTEM, ann.id, "planner", within="planning:17")
    assert [ann.get(path).status for path in asked] == [403] * 7 + [404]
    everywhere = lab.client("planner")
    assert [everywhere.get(path).status for path in asked] == [200] * 8


@pytest.mark.requirement("S1-033")
@pytest.mark.parametrize(
    "number",
    ["18", "017", "17.0", "+17", "%2017", "17%20", "-17", "1e1", "%EF%BC%91%EF%BC%97", "17%00", "17:18",
     "17%2F..", "17;x", "18?number=17", "18%3Fnumber=17", "{number}", "*", "%2A", "17%0A", "17,18", "null"],
)  # fmt: skip
def test_a_number_written_otherwise_is_another_object(lab: Laboratory, number: str) -> None:
    """Whatever a framework makes of it, it opens no object but the one that was given."""
    ann = lab.client()
    give(lab, ann, "planner", "planning:17")
    assert ann.get(f"/by-name/{number}").status in (400, 403, 404, 405)
    # A converter may read it as 17, and then it is 17: for the rule and for the view alike.
    read_as_17 = (200,) if number in ("017", "%EF%BC%91%EF%BC%97") else ()
    assert ann.get(f"/plannings/{number}").status in (400, 403, 404, 422, *read_as_17)


@pytest.mark.requirement("S1-033")
def test_an_object_of_another_kind_with_the_same_number(lab: Laboratory) -> None:
    """The kind belongs to the name; so does all of it: no role reaches from `plan` to `planning`."""
    ann = lab.client()
    for within in ("note:17", "plan:17", "planning:1", "planning:170", "planning-x:17", "xplanning:17"):
        give(lab, ann, "planner", within)
    assert [ann.get(path).status for path in ("/plannings/17", "/by-name/17", "/asks/17")] == [403] * 3
    assert ann.get("/note").status == 403  # a template whose part the path does not have


def test_one_s_own_within_an_object(lab: Laboratory) -> None:
    """What a role holds for one's own objects lets in; which object it is, the operation asks."""
    ann = lab.client()
    give(lab, ann, "guest", "note:17")
    assert [ann.get(path).status for path in ("/mine/17", "/mine/18")] == [200, 403]


@pytest.mark.requirement("S1-031", "C-05")
def test_a_role_ends_at_its_moment_for_whoever_is_known(lab: Laboratory) -> None:
    """Without an entry in the feed and without a chore: in the session that was just used, and for a JWT."""
    ann, program = lab.client(), lab.client()
    for who in (ann, program):
        give(lab, who, "planner", "planning:17", 60)
        give(lab, who, "planner", "", 30)
    lab.bear(program)
    asked = ((ann, "/plannings/17"), (ann, "/report"), (program, "/bearer/plannings/17"))
    assert [who.get(path).status for who, path in asked] == [200] * 3
    lab.clock.advance(29.9)
    assert [who.get(path).status for who, path in asked] == [200] * 3
    lab.clock.advance(0.1)
    assert [who.get(path).status for who, path in asked] == [200, 403, 200]
    assert program.get("/bearer/plannings/18").status == 403
    lab.clock.advance(29.9)
    assert [who.get(path).status for who, path in asked] == [200, 403, 200]
    lab.clock.advance(0.1)
    assert [who.get(path).status for who, path in asked] == [403] * 3
    assert lab.whoami(ann).status == 200


@pytest.mark.requirement("S1-031")
def test_what_began_before_may_finish_and_gives_nothing_back(lab: Laboratory) -> None:
    """A role is taken while its holder's request is under way: that one goes on with what it began with, the
    next is refused, and what changes anybody's standing is refused at once."""
    house = lab.site.house
    ann, tried = lab.client("admin"), []
    me = Identity(id=ann.id, permissions=Permissions(["*"]), epoch=1, authenticated_at=lab.clock())

    def taken() -> None:
        lab.administrator()
        granting.revoke(house, SYSTEM, ann.id, "admin")
        with pytest.raises(Refused) as refused:
            granting.grant(house, me, ann.id, "admin", because="it is mine")
        tried.append(refused.value.reason)

    LONG.append(taken)
    assert [ann.get("/long").status, tried] == [200, [FORBIDDEN]]
    LONG.append(lambda: None)
    assert ann.get("/long").status == 403


def remembered(lab: Laboratory, ann: Client) -> Any:
    """What memory has of her session, as soon as the feed has nothing more to say of it."""
    for _ in range(50):
        assert ann.get("/plannings/17").status == 200
        lab.site.house.store.feed.read()
        found = lab.site.house.store.memory.get(digest(ann.cookies[lab.cookie]))
        if found is not None:
            return found
    raise AssertionError("nothing is remembered")


def test_a_long_exchange_ends_with_what_it_was_opened_for(lab: Laboratory) -> None:
    """A socket that goes on has its session remembered, and no longer than its user's roles hold; it is
    closed when one is taken, within an object too."""
    house = lab.site.house
    ann = lab.client()
    give(lab, ann, "planner", "planning:17", 60)
    long = exchange("GET", "/plannings/17")
    long.session = remembered(lab, ann)
    assert long_exchanges.stands(house, long)
    assert long.session.expires_at == lab.clock() + 60
    lab.clock.advance(60)
    assert not long_exchanges.remembered(house, long)
    assert not long_exchanges.stands(house, long)
    assert ann.get("/plannings/17").status == 403
    give(lab, ann, "planner", "planning:17")
    long.session = remembered(lab, ann)
    assert long_exchanges.stands(house, long)
    granting.revoke(house, SYSTEM, ann.id, "planner", within="planning:17")
    assert not long_exchanges.stands(house, long)


@pytest.mark.requirement("S1-003")
def test_a_role_within_an_object_asks_for_its_second_factor(lab: Laboratory) -> None:
    """Where a role must show two factors it must wherever it holds: one object is no way around that."""
    with lab.under(mfa.Settings, required=("planner",)):
        ann = lab.person()
        lab.open_session(ann, assurance=1)
        assert ann.get("/menu").status == 404
        give(lab, ann, "planner", "planning:17")
        assert (ann.get("/menu").status, ann.get("/menu").code) == (401, "sessions.unfinished")


def test_who_is_told_what(lab: Laboratory) -> None:
    """The record of a refusal names the object that the route is about."""
    ann = lab.client()
    ann.get("/plannings/17")
    [row] = lab.audit(action="authz_fail", user_id=ann.id)
    assert row["changes"]["needed"] == "planning:run within planning:{number}"


# The rule by itself


def somebody(*patterns: str, **scoped: str) -> Identity:
    held = {name.replace("_", ":"): Permissions([pattern]) for name, pattern in scoped.items()}
    return Identity(id="me", permissions=Permissions(patterns), scoped=held)


RULE = asking(AccessRule("permission", "planning:run"), within="planning:{number}")


@pytest.mark.parametrize(
    ("rule", "who", "parts", "may"),
    [
        (RULE, somebody(planning_17="*"), {"number": 17}, True),
        (RULE, somebody(planning_17="*"), {"number": "17"}, True),
        (RULE, somebody(planning_17="*"), {"number": 18}, False),
        (RULE, somebody(planning_17="*"), {}, False),
        (RULE, somebody(planning_17="*"), None, False),
        (RULE, somebody(planning_17="*"), {"numbers": 17}, False),
        (RULE, somebody("planning:run"), None, True),
        (RULE.of_any(), somebody(planning_17="*"), None, True),
        (RULE.of_any(), somebody(plannings_17="*"), None, False),
        (AccessRule("permission", "planning:run"), somebody(planning_17="*"), {"number": 17}, False),
        (
            all_of([RULE, AccessRule("permission", "note:read")]),
            somebody(planning_17="*"),
            {"number": 17},
            False,
        ),
        (all_of([RULE, RULE]), somebody(planning_17="*"), {"number": 17}, True),
        (
            all_of([RULE, asking(AccessRule("permission", "planning:see"), within="planning:{number}")]),
            somebody("planning:see", planning_17="planning:run"),
            {"number": 17},
            True,
        ),
        (
            all_of([RULE, asking(AccessRule("permission", "planning:see"), within="planning:{other}")]),
            somebody(planning_17="*"),
            {"number": 17, "other": 17},
            False,
        ),
        (
            all_of([RULE, asking(AccessRule("signed_in"))]),
            somebody(planning_17="*"),
            {"number": 17},
            True,
        ),
    ],
)
def test_what_the_rule_decides(
    rule: AccessRule, who: Identity, parts: dict[str, object] | None, may: bool
) -> None:
    """The object by the path's part, a kind for any of them, none for none; of two, both about the same."""
    assert (rule.decide(who, 0.0, parts) is None) is may
    assert rule.decide(who, 0.0, parts) in (None, FORBIDDEN)


@pytest.mark.parametrize(
    "within",
    ["planning:17", "Planning", "planning:{}", "planning:{a}{b}", "{kind}:17", "*", "planning:{a b}", ":x"],
)
def test_an_object_that_is_none_is_a_mistake(within: str) -> None:
    """Said where it is declared, not at the first request that nobody may make."""
    with pytest.raises(MisuseError, match="within"):
        permit("planning:run", within=within)
    with pytest.raises(MisuseError, match="within"):
        Permit("planning:run", within=within)
