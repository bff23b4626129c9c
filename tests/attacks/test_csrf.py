"""Cross-site requests: what a file of vectors cannot say."""

from __future__ import annotations

from pathlib import Path

import pytest

from bylaw.verify.laboratory import Bench, Laboratory
from bylaw.verify.target import Target
from tests.applications import fastapi_app, flask_app
from tests.applications.stacks import state
from tests.attacks import interpreter

MARKED = ("GET", "HEAD", "OPTIONS")


@pytest.fixture(params=["flask", "fastapi"])
def strict(request: pytest.FixtureRequest, tmp_path: Path) -> Laboratory:
    """The notes application under a policy that answers 400, as the first source policy does."""
    policy = tmp_path / "bylaw.toml"
    policy.write_text(flask_app.POLICY.read_text() + "\n[csrf]\nstatus = 400\n")
    factory = flask_app.create_app if request.param == "flask" else fastapi_app.create_app
    bench = Bench(Target(request.param, lambda: factory(policy)))
    laboratory = bench.laboratory()
    request.addfinalizer(bench.close)
    request.addfinalizer(laboratory.close)
    return laboratory


@pytest.mark.requirement("S1-039", "C-23")
@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_a098_the_status_is_the_policys(strict: Laboratory, method: str) -> None:
    """A policy that says 400 answers 400 to a missing and to a wrong token, on both frameworks."""
    client = strict.client("editor")
    before = interpreter.state(strict)
    missing = client.send(method, "/api/papers/1", headers=client.from_here, json={"text": "x"})
    wrong = client.send(
        method,
        "/api/papers/1",
        json={"text": "x"},
        headers=[*client.from_here, ("X-CSRF-Token", "aaaaaaaa.bbbb")],
    )
    assert (missing.status, missing.code) == (400, "csrf.token_missing")
    assert (wrong.status, wrong.code) == (400, "csrf.token_wrong")
    assert interpreter.state(strict) == before


@pytest.mark.requirement("S1-038")
def test_a098_every_character_of_a_token_counts(flask_laboratory: Laboratory) -> None:
    """A token with one character changed, dropped or doubled is another token."""
    client = flask_laboratory.client("editor")
    token = client.token()
    variants = {token[:-1], token[1:], token * 2, token.swapcase(), token + "\t", " " + token}
    for place in range(len(token)):
        other = "A" if token[place] != "A" else "B"
        variants |= {token[:place] + other + token[place + 1 :], token[:place] + token[place + 1 :]}
    # The last character of a base64 text holds unused bits: those variants decode alike, and are
    # refused all the same, since texts are compared.
    for variant in variants - {token}:
        reply = client.send(
            "POST", "/api/papers", json={"text": "x"}, headers=[*client.from_here, ("X-CSRF-Token", variant)]
        )
        assert reply.status == 403, variant
    assert state(flask_laboratory).changes == 0


@pytest.mark.requirement("S1-038")
def test_a102_no_address_changes_anything(laboratory: Laboratory) -> None:
    """An administrator's browser is led to every address there is, by a picture on another site."""
    root = laboratory.administrator()
    root.act("POST", "/api/papers", json={"text": "x"})
    before = interpreter.state(laboratory)
    headers = [("Origin", "https://evil.test"), ("Sec-Fetch-Site", "cross-site"), ("Sec-Fetch-Dest", "image")]
    for _, path, _ in laboratory.routes():
        concrete = (
            path.replace("{id}", root.id)
            .replace("<int:number>", "1")
            .replace("{number:int}", "1")
            .replace("<key>", "x")
            .replace("{key}", "x")
        )
        for method in MARKED:
            reply = root.send(method, concrete, headers=headers)
            assert reply.status < 500 or path == "/broken", (method, path, reply)
            assert interpreter.state(laboratory) == before, (method, path)
    assert laboratory.whoami(root).status == 200


@pytest.mark.requirement("S1-034")
def test_a098_a_route_that_says_nothing_of_it_is_protected(laboratory: Laboratory) -> None:
    """Whatever an application adds below the gate asks for the token, without a word about it."""
    client = laboratory.client("editor")
    with laboratory.answering(200, body=b"changed"):
        refused = client.send("POST", "/brand/new", headers=client.from_here, json={})
        passed = client.act("POST", "/brand/new", json={})
    assert (refused.status, refused.code) == (403, "csrf.token_missing")
    assert (passed.status, passed.body) == (200, b"changed")
