"""Access: routes that nobody has declared, owners that are nobody, administrators in a race."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from fastapi import APIRouter, FastAPI, WebSocket
from flask import Blueprint, Flask
from flask.views import MethodView
from sqlalchemy.exc import IntegrityError
from werkzeug.middleware.dispatcher import DispatcherMiddleware

from bylaw.errors import MisuseError, PolicyError
from bylaw.identity import ANONYMOUS, Identity, permissions_of
from bylaw.reasons import Refused
from bylaw.verify.laboratory import Bench, Laboratory
from bylaw.verify.target import Target
from tests.applications import fastapi_app, flask_app
from tests.attacks.interpreter import state


def _view() -> str:
    return "secret"


def _flask_view(app: Flask) -> None:
    app.add_url_rule("/late", "late", _view)


def _flask_blueprint(app: Flask) -> None:
    blueprint = Blueprint("late", __name__, url_prefix="/late")
    blueprint.add_url_rule("/x", "x", _view, methods=["POST"])
    app.register_blueprint(blueprint)


def _flask_class(app: Flask) -> None:
    class Late(MethodView):
        def get(self) -> str:
            return "secret"

    app.add_url_rule("/late", view_func=Late.as_view("late"))


def _flask_mounted(app: Flask) -> None:
    app.wsgi_app = DispatcherMiddleware(app.wsgi_app, {"/late": _view})  # type: ignore[dict-item, method-assign]


def _fastapi_route(app: FastAPI) -> None:
    app.get("/late")(_view)


def _fastapi_router(app: FastAPI) -> None:
    router = APIRouter(prefix="/late")
    router.api_route("/x", methods=["PUT", "DELETE"])(_view)
    app.include_router(router, prefix="/v1")


def _fastapi_starlette(app: FastAPI) -> None:
    app.add_route("/late", _view)  # type: ignore[arg-type]


def _fastapi_socket(app: FastAPI) -> None:
    async def late(socket: WebSocket) -> None:
        await socket.accept()

    app.websocket("/late")(late)


def _fastapi_mounted(app: FastAPI) -> None:
    other = FastAPI()
    other.get("/x")(_view)
    app.mount("/late", other)


def _fastapi_stranger(app: FastAPI) -> None:
    app.mount("/late", lambda scope, receive, send: None)  # type: ignore[arg-type, return-value]


HOLES: list[tuple[str, Callable[[Any], None]]] = [
    ("flask", _flask_view),
    ("flask", _flask_blueprint),
    ("flask", _flask_class),
    ("flask", _flask_mounted),
    ("fastapi", _fastapi_route),
    ("fastapi", _fastapi_router),
    ("fastapi", _fastapi_starlette),
    ("fastapi", _fastapi_socket),
    ("fastapi", _fastapi_mounted),
    ("fastapi", _fastapi_stranger),
]


@pytest.mark.requirement("S1-030")
@pytest.mark.parametrize(("framework", "hole"), HOLES, ids=[hole.__name__ for _, hole in HOLES])
def test_a094_a_route_that_nobody_declared_does_not_start(
    framework: str, hole: Callable[[Any], None]
) -> None:
    """A view, a router, a socket or a whole application is added, and nobody said who may call it."""
    module = flask_app if framework == "flask" else fastapi_app

    def factory() -> Any:
        app = module.create_app()
        hole(app)
        return app

    bench = Bench(Target(framework, factory))
    try:
        with pytest.raises(PolicyError, match="late|wrapped after"):
            bench.laboratory()
    finally:
        bench.close()


@pytest.mark.requirement("S1-030")
@pytest.mark.parametrize("framework", ["flask", "fastapi"])
def test_a094_a_route_added_after_the_start_answers_nobody(framework: str, benches: dict[str, Bench]) -> None:
    """A plug-in adds a view while the application is running: refused, or its answer is withheld."""
    with benches[framework].laboratory() as laboratory:
        app: Any = laboratory.app
        assert laboratory.visitor().get("/").status == 200  # started, and checked
        if framework == "flask":
            app._got_first_request = False  # what Flask itself would refuse
            app.add_url_rule("/late", "late", _view)
        else:
            with pytest.raises(MisuseError):
                app.get("/late")(_view)
        for client in (laboratory.visitor(), laboratory.ordinary(), laboratory.administrator()):
            reply = client.get("/late")
            assert reply.status >= 400
            assert b"secret" not in reply.body


@pytest.mark.requirement("S1-033")
@pytest.mark.parametrize("owner", [None, "", "0", "1", "alice "])
def test_a090_nobodys_object_is_not_everybodys(owner: str | None) -> None:
    """An object whose owner was lost, and an identity without an id, do not belong together."""
    grants = {"editor": ["note:update:own"]}
    editor = Identity(id="alice", permissions=permissions_of(["editor"], grants))
    nobody = Identity(id="", permissions=permissions_of(["editor"], grants))
    for who in (editor, nobody, ANONYMOUS):
        assert not who.may("note:update", owner=owner)
        with pytest.raises(Refused):
            who.demand("note:update", owner=owner)
    assert editor.may("note:update", owner="alice")


@pytest.mark.requirement("S1-027", "S1-112")
def test_a092_two_administrators_cannot_take_each_other_away(laboratory: Laboratory) -> None:
    """Two administrators demote one another at the same moment: one of them remains."""
    one, other = laboratory.client("admin"), laboratory.client("admin")
    headers = {who.id: [*who.from_here, ("X-CSRF-Token", who.token())] for who in (one, other)}
    pairs = [(one, other), (other, one)]

    def demote(number: int) -> int:
        who, whom = pairs[number]
        reply = who.send(
            "POST",
            f"{laboratory.api('users')}/{whom.id}",
            headers=headers[who.id],
            json={"action": "roles", "role": ["user"]},
        )
        return reply.status

    answers = laboratory.burst(demote, 2)
    assert 200 in answers
    assert set(answers) <= {200, 401, 403, 409}
    roles = {dict(row)["role"] for row in state(laboratory)["role_assignments"]}
    assert "admin" in roles


@pytest.mark.requirement("S1-031", "S1-033")
@pytest.mark.parametrize("role", ["manager,admin", "*", "gone", "user:manage"])
def test_a092_a_role_that_is_not_the_policys_may_nothing(laboratory: Laboratory, role: str) -> None:
    """A row was edited by hand, or the policy has lost a role: it means nothing, and no 500."""
    client = laboratory.client(role)
    assert client.get("/report").status == 403
    assert client.get(laboratory.api("users")).status == 403
    assert laboratory.whoami(client).status == 200


@pytest.mark.requirement("S1-031")
@pytest.mark.parametrize("role", ["Manager", "MANAGER", " manager", "manager ", ""])
def test_a092_a_role_in_other_dress_is_not_stored(flask_laboratory: Laboratory, role: str) -> None:
    """Written straight into the table, an odd-cased role is refused by the database itself."""
    with pytest.raises(IntegrityError):
        flask_laboratory.client(role)
