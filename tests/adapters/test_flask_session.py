"""Flask's own session, which is a cookie: whose it is, and that nobody's slow request writes it back."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from flask import Flask, jsonify, session

from bylaw.flask import Bylaw, public
from bylaw.testing import Bench, Client, Laboratory, Target
from tests.applications import flask_app

BEGUN, GO_ON = threading.Event(), threading.Event()


def create_app() -> Flask:
    """An application that keeps a basket in Flask's session, and is slow to do so."""
    app = Flask(__name__, root_path=str(flask_app.HERE))
    bylaw = Bylaw(app, "bylaw.toml")

    @app.get("/basket")
    @public("a basket")
    def basket():
        return jsonify(sorted(key for key in session if not key.startswith("_")))

    @app.post("/basket/<thing>")
    @public("a basket")
    def put(thing: str):
        session[thing] = True
        return {}

    @app.post("/basket/slowly/<thing>")
    @public("a basket")
    def put_slowly(thing: str):
        BEGUN.set()
        GO_ON.wait(20)
        session[thing] = True
        return {}

    @app.post("/basket/empty")
    @public("a basket")
    def empty():
        for key in list(session):
            if not key.startswith("_"):
                session.pop(key)
        return {}

    bylaw.ready()
    return app


@pytest.fixture(scope="module")
def bench() -> Iterator[Bench]:
    made = Bench(Target("baskets", create_app))
    yield made
    made.close()


@pytest.fixture
def laboratory(bench: Bench) -> Iterator[Laboratory]:
    BEGUN.clear()
    GO_ON.clear()
    with bench.laboratory() as made:
        yield made


def name(laboratory: Laboratory) -> str:
    found: str = laboratory.app.config["SESSION_COOKIE_NAME"]
    return found


def things(person: Client) -> list[str]:
    found: list[str] = person.get("/basket").json()
    return found


@pytest.mark.requirement("C-32")
def test_a_slow_request_does_not_write_the_session_back(laboratory: Laboratory) -> None:
    """Alice puts something into her basket and signs out while it is on its way; its answer comes last, and
    whoever sits down at that browser next finds nothing of hers."""
    alice = laboratory.client("user")
    alice.act("POST", "/basket/pills", json={})
    assert things(alice) == ["pills"]
    headers = [*alice.from_here, (alice.token_header, alice.token())]
    with ThreadPoolExecutor(1) as pool:
        late = pool.submit(alice.send, "POST", "/basket/slowly/book", headers=headers, json={}, keep=False)
        assert BEGUN.wait(20)
        assert alice.act("POST", laboratory.api("sign_out"), json={}).status == 200
        GO_ON.set()
        reply = late.result()
    assert reply.status == 200, "what had begun goes on"
    assert reply.all("set-cookie") == []
    alice._keep(reply)
    assert things(alice) == []


@pytest.mark.requirement("C-32")
def test_a_copied_one_is_nobodys_after_signing_out(laboratory: Laboratory) -> None:
    """Mallory has copied all of alice's cookies: after she has signed out, neither he nor somebody else who
    is signed in finds what she had put there."""
    alice = laboratory.client("user")
    alice.act("POST", "/basket/pills", json={})
    copy = alice.cookies[name(laboratory)]
    assert alice.act("POST", laboratory.api("sign_out"), json={}).status == 200
    thief, bob = laboratory.visitor(), laboratory.client("user")
    for each in (thief, bob):
        each.cookies[name(laboratory)] = copy
        assert things(each) == []
    laboratory.open_session(alice)
    alice.cookies[name(laboratory)] = copy
    assert things(alice) == ["pills"], "it is hers"


def test_what_a_visitor_has_put_there_comes_along(laboratory: Laboratory) -> None:
    """A basket that is filled before signing in is there afterwards, and from its next change on it is its
    owner's alone; an empty one is taken back."""
    visitor = laboratory.person("user")
    visitor.act("POST", "/basket/book", json={})
    laboratory.open_session(visitor)
    visitor.token_page = laboratory.url("change_password")
    assert things(visitor) == ["book"]
    visitor.act("POST", "/basket/pen", json={})
    other = laboratory.client("user")
    other.cookies[name(laboratory)] = visitor.cookies[name(laboratory)]
    assert (things(visitor), things(other)) == (["book", "pen"], [])
    visitor.act("POST", "/basket/empty", json={})
    assert name(laboratory) not in visitor.cookies


def test_a_memory_that_was_emptied_loses_nothing(laboratory: Laboratory) -> None:
    """What memory no longer has is asked of the database: a process whose memory was emptied saves it all
    the same."""
    alice = laboratory.client("user")
    headers = [*alice.from_here, (alice.token_header, alice.token())]
    with ThreadPoolExecutor(1) as pool:
        late = pool.submit(alice.send, "POST", "/basket/slowly/book", headers=headers, json={})
        assert BEGUN.wait(20)
        laboratory.site.house.store.memory.clear()
        GO_ON.set()
        assert late.result().status == 200
    assert things(alice) == ["book"]
