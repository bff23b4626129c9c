"""Step-up: a route, an operation or a path asks for a second factor, or for a proof of lately."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import pytest
from fastapi import FastAPI
from flask import Flask

from bylaw import fastapi as for_fastapi
from bylaw import flask as for_flask
from bylaw.adapters import wsgi
from bylaw.controls.mfa.probes import enrol
from bylaw.errors import MisuseError
from bylaw.fastapi import Identity, Permit, SignedIn
from bylaw.flask import current_user, login_required, permit
from bylaw.identity import SIGNED_IN, AccessRule, all_of, asking
from bylaw.reasons import Refused
from bylaw.site import Site, identity
from bylaw.verify import matrix
from bylaw.verify.client import Client, Reply
from bylaw.verify.laboratory import Bench, Laboratory
from bylaw.verify.target import Target
from tests.adapters.test_access import rule
from tests.applications.stacks import hurry
from tests.controls.houses import Builder

POLICY = '[app]\nname = "Steps"\n[roles]\nadmin = ["*"]\nuser = ["money:send"]\n'
BY_PATH = """
[[access.routes]]
path = "/seen"
permission = "money:send"
[[access.routes]]
path = "/money"
methods = ["GET", "POST"]
permission = "money:send"
second_factor = true
max_age = "10m"
[[access.routes]]
path = "/old"
signed_in = true
max_age = 60
[[access.routes]]
path = "/inside"
methods = ["GET", "POST"]
signed_in = true
"""


def flask_app(policy: Path) -> Any:
    app = Flask(__name__)
    for_flask.Bylaw(app, policy)

    @app.get("/seen")
    @permit("money:send")
    def seen():
        return {"by": current_user.id}

    @app.route("/money", methods=["GET", "POST"])
    @permit("money:send", second_factor=True, max_age="10m")
    def money():
        return {"by": current_user.id}

    @app.get("/old")
    @login_required(max_age=60)
    def old():
        return {"by": current_user.id}

    @app.route("/inside", methods=["GET", "POST"])
    @login_required
    def inside():
        current_user.demand_fresh("5m", second_factor=True)
        return {"by": current_user.id}

    return app


def fastapi_app(policy: Path) -> Any:
    app = FastAPI()
    for_fastapi.Bylaw(app, policy)

    @app.get("/seen")
    def seen(who: Annotated[Identity, Permit("money:send")]) -> dict[str, str]:
        return {"by": who.id}

    @app.get("/money")
    @app.post("/money")
    def money(
        who: Annotated[Identity, Permit("money:send", second_factor=True, max_age=600)],
    ) -> dict[str, str]:
        return {"by": who.id}

    @app.get("/old")
    def old(who: Annotated[Identity, SignedIn(max_age="1m")]) -> dict[str, str]:
        return {"by": who.id}

    @app.get("/inside")
    @app.post("/inside")
    async def inside(who: Annotated[Identity, SignedIn()]) -> dict[str, str]:
        who.demand_fresh("5m", second_factor=True)
        return {"by": who.id}

    return app


def by_path(policy: Path) -> Any:
    """Three lines of WSGI: which route asks for what stands in the policy."""
    policy.write_text(POLICY + BY_PATH, "utf-8")

    def answer(environ: Any, start_response: Any) -> list[bytes]:
        try:
            if environ["PATH_INFO"] == "/inside":
                identity().demand_fresh("5m", second_factor=True)
        except Refused as refused:
            said = site.refusal(refused)
            start_response(f"{said.status} Refused", said.headers)
            return [said.body]
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [identity().id.encode()]

    site = Site(policy)
    return wsgi.Gated(answer, site)


FACTORIES = {"flask": flask_app, "fastapi": fastapi_app, "by path": by_path}


@pytest.fixture(params=sorted(FACTORIES))
def lab(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Laboratory]:
    """The same four routes in Flask, in FastAPI, and behind rules by path."""
    policy = tmp_path / "bylaw.toml"
    policy.write_text(POLICY, "utf-8")
    bench = Bench(Target(request.param, lambda: FACTORIES[request.param](policy)))
    with bench.laboratory() as made:
        hurry(made)
        yield made
    bench.close()


def signed_in(lab: Laboratory, *, assurance: int = 1) -> Client:
    client = lab.person("user")
    lab.open_session(client, assurance=assurance)
    client.token_page = lab.url("factors")
    return client


def challenge(reply: Reply) -> str:
    assert (reply.status, reply.code) == (401, "mfa.step_up"), reply
    return reply.header("www-authenticate")


@pytest.mark.requirement("S3-083")
def test_a_route_asks_for_a_second_factor(lab: Laboratory) -> None:
    """One factor opens the rest and not this: a program is told which, and after showing it, it opens."""
    client = signed_in(lab)
    assert client.get("/seen").status == 200
    for method in ("GET", "POST"):
        said = challenge(client.act(method, "/money"))
        assert said == (
            'Session realm="app", error="insufficient_user_authentication", acr_values="aal2", max_age="600"'
        )
    enrol(lab, client)
    assert client.get("/money").status == 200
    assert client.act("POST", "/money").status == 200


@pytest.mark.requirement("S3-083")
def test_a_route_asks_for_a_proof_of_lately(lab: Laboratory) -> None:
    """To the second: then whoever found the screen unlocked is asked, and the owner goes on where he was."""
    client = signed_in(lab, assurance=2)
    lab.clock.advance(60)
    assert client.get("/old").status == 200
    lab.clock.advance(1)
    assert challenge(client.get("/old")).endswith('error="insufficient_user_authentication", max_age="60"')
    sent = client.page("/old?of=may")
    assert (sent.status, sent.header("location")) == (303, f"{lab.url('step_up')}?next=/old%3Fof%3Dmay")
    page = client.page(sent.header("location"))
    assert page.status == 200
    assert 'name="password"' in page.text
    form = [("csrf_token", client.token()), ("password", client.password), ("next", "/old?of=may")]
    back = client.send("POST", lab.url("step_up"), form=form, headers=client.from_here)
    assert (back.status, back.header("location")) == (303, "/old?of=may")
    assert client.page("/old?of=may").status == 200


@pytest.mark.requirement("S3-083")
def test_an_operation_asks_on_the_way(lab: Laboratory) -> None:
    """`who.demand_fresh` inside a view is answered as the route's own rule would be."""
    client = signed_in(lab)
    assert 'acr_values="aal2", max_age="300"' in challenge(client.get("/inside"))
    sent = client.page("/inside")
    assert sent.header("location") == f"{lab.url('step_up')}?next=/inside&wants=second"
    assert lab.url("factors") in client.page(sent.header("location")).text
    app = enrol(lab, client)
    assert client.get("/inside").status == 200
    lab.clock.advance(301)
    challenge(client.act("POST", "/inside"))
    assert client.act("POST", lab.api("step_up"), json={"code": app.shown()}).status == 200
    assert client.act("POST", "/inside").status == 200


@pytest.mark.requirement("S3-083")
def test_a_form_leads_to_the_page_and_back_to_where_it_was(lab: Laboratory) -> None:
    """A browser that sent a form comes back to the page with the form; no other site is a way back."""
    client = signed_in(lab)
    for referer, back in (
        (f"{client.origin}/seen?of=may", "/seen%3Fof%3Dmay"),
        ("https://evil.test/seen", "/"),
        (f"{client.origin}.evil.test/seen", "/"),
        ("", "/"),
    ):
        headers = [("Accept", "text/html"), *([("Referer", referer)] if referer else [])]
        sent = client.act("POST", "/money", headers=headers)
        assert sent.status == 303
        assert sent.header("location") == f"{lab.url('step_up')}?next={back}&wants=second"


@pytest.mark.requirement("S3-083")
@pytest.mark.parametrize(
    "place", ["//evil.test", "https://evil.test/", "/\\evil.test", "javascript:alert(1)", "/%2f%2fevil.test"]
)
def test_no_way_back_leaves_the_site(lab: Laboratory, place: str) -> None:
    """A125: whatever the address says, showing who one is leads nowhere else."""
    client = signed_in(lab, assurance=2)
    form = [("csrf_token", client.token()), ("password", client.password), ("next", place)]
    reply = client.send("POST", lab.url("step_up"), form=form, headers=client.from_here)
    assert (reply.status, reply.header("location")) == (303, "/")


def test_the_measured_matrix_is_as_declared(lab: Laboratory) -> None:
    """The access matrix says what is asked for besides, and finds it kept."""
    cells = matrix.measure(lab)
    assert [cell for cell in cells if not cell.as_declared and cell.seen != "not_examined"] == []
    wanted = {cell.rule for cell in cells if cell.path == "/money"}
    assert wanted == {"money:send, two factors, shown within 10 minutes"}


def test_the_openapi_document_says_what_a_session_must_have_shown(tmp_path: Path) -> None:
    """Beside the scheme: OpenAPI 3.1 lets roles stand there."""
    policy = tmp_path / "bylaw.toml"
    policy.write_text(POLICY, "utf-8")
    bench = Bench(Target("fastapi", lambda: fastapi_app(policy)))
    with bench.laboratory() as made:
        document = made.app.openapi()
    bench.close()
    assert document["paths"]["/money"]["post"]["security"] == [{"session": ["aal2", "max_age=600"]}]
    assert document["paths"]["/seen"]["get"]["security"] == [{"session": []}]


# The rule


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, (1, 0)),
        ({"second_factor": True}, (2, 0)),
        ({"max_age": 90}, (1, 90)),
        ({"max_age": "2h", "second_factor": True}, (2, 7200)),
    ],
)
def test_what_is_asked_for(given: dict[str, Any], expected: tuple[int, int]) -> None:
    """Seconds as a number or as text; nothing more where nothing is said."""
    made = asking(SIGNED_IN, **given)
    assert (made.assurance, made.max_age) == expected


@pytest.mark.parametrize(
    "given",
    [{"max_age": "soon"}, {"max_age": -1}, {"max_age": 1.5}, {"max_age": True}, {"max_age": None},
     {"second_factor": "yes"}, {"second_factor": 1}],
)  # fmt: skip
def test_an_age_that_is_none_is_refused_where_it_is_written(given: dict[str, Any]) -> None:
    """A mistake in a decorator is found at start, and opens nothing."""
    for declare in (permit, Permit):
        with pytest.raises(MisuseError):
            declare("money:send", **given)
    with pytest.raises(MisuseError):
        Identity("ann").demand_fresh(**given)


@pytest.mark.parametrize(
    "permission", ["read", "order.read", "Order:read", "order:*", "order:read:own", "*", ""]
)
def test_a_permission_that_no_role_could_name_is_refused_where_it_is_written(permission: str) -> None:
    """A slip in a decorator would let in whoever holds everything, and nobody beside."""
    for declare in (permit, Permit):
        with pytest.raises(MisuseError, match="noun:verb"):
            declare(permission)


def test_of_several_rules_the_strictest_holds() -> None:
    """A router that asks for a second factor and a route that asks for a proof of lately: both."""
    made = all_of(
        [asking(AccessRule("permission", "a:b"), second_factor=True), asking(SIGNED_IN, max_age=60)]
    )
    assert made is not None
    assert (made.permission, made.assurance, made.max_age) == ("a:b", 2, 60)
    assert all_of([asking(SIGNED_IN, max_age=60), asking(SIGNED_IN, max_age=30)]) == asking(
        SIGNED_IN, max_age=30
    )


def test_nobody_is_asked_to_show_it_again() -> None:
    """Whoever is not signed in is sent to sign in."""
    with pytest.raises(Exception, match=r"roles\.unauthenticated"):
        Identity("").demand_fresh()


@pytest.mark.parametrize("given", [{"second_factor": True}, {"max_age": "1m"}])
def test_a_public_path_asks_for_nothing(tmp_path: Path, given: dict[str, Any]) -> None:
    """Everybody may, and has shown nothing: the two together are a mistake."""
    entry = "\n".join(f"{k} = {str(v).lower() if v is True else repr(v)}" for k, v in given.items())
    text = f'[[access.routes]]\npath = "/x"\npublic = "everybody\'s page"\n{entry}\n'
    assert "no second_factor and no max_age beside public" in Builder(tmp_path).refusal(text)
    assert rule("/x", permission="a:b", **given)
