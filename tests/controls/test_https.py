"""Https: a page is sent to https, whatever else comes in the clear is refused, and links are https."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI, Request
from flask import Flask, redirect, url_for

from bylaw import fastapi as for_fastapi
from bylaw import flask as for_flask
from bylaw.controls import https, proxies
from bylaw.controls.https import CONTROL
from bylaw.exchange import ALLOW, Answer, Refuse, Verdict
from bylaw.verify.laboratory import Laboratory
from bylaw.verify.runner import attempt
from bylaw.verify.target import Target
from tests.applications import fastapi_app, flask_app
from tests.controls.houses import Builder, exchange

CREATE: dict[str, Any] = {"flask": flask_app.create_app, "fastapi": fastapi_app.create_app}
PLAIN = """
[app]
name = "Notes"
[roles]
admin = ["*"]
editor = ["note:*"]
[signup]
open = true
role = "editor"
"""
OTHERS = ["", '[proxies]\ntrusted = ["10.0.0.0/8"]\nx_proto = 1\n']
DEVELOPMENT = {"BYLAW_ENV": "development", "BASE_URL": "http://127.0.0.1:5000"}
HTML = ("Accept", "text/html,application/xhtml+xml")
BEHIND = {"trusted": ("10.9.0.0/16",), "x_for": 1, "x_proto": 1, "x_host": 1, "x_port": 1}
TOLD = [("X-Forwarded-Proto", "https"), ("X-Forwarded-For", "203.0.113.5")]


@pytest.fixture(scope="module")
def build(tmp_path_factory: pytest.TempPathFactory) -> Builder:
    return Builder(tmp_path_factory.mktemp("https"))


def answer(
    build: Builder, *pairs: tuple[str, str], environ: dict[str, str] | None = None, **how: Any
) -> Verdict:
    """The verdict on a request over http."""
    how = {"method": "GET", "path": "/", "scheme": "http", **how}
    asked = exchange(how.pop("method"), how.pop("path"), *pairs, **how)
    verdict = CONTROL.steps["arrive"](build.house(**(environ or {})))(asked)
    assert isinstance(verdict, Verdict)
    return verdict


@pytest.mark.requirement("S2-020")
@pytest.mark.parametrize(
    ("path", "query", "location"),
    [
        ("/", "", "https://app.lab/"),
        ("/a/b", "c=d&e", "https://app.lab/a/b?c=d&e"),
        ("/a b/\u00e9", "", "https://app.lab/a%20b/%C3%A9"),
        ("//evil.test/x", "", "https://app.lab//evil.test/x"),
        ("/\\evil.test", "", "https://app.lab/%5Cevil.test"),
        ("/@evil.test", "", "https://app.lab/%40evil.test"),
        ("@evil.test", "", "https://app.lab/%40evil.test"),
        ("", "", "https://app.lab/"),
        ("/\r\nX: 1", "a\r\nX: 1", "https://app.lab/%0D%0AX%3A%201?a%0D%0AX:%201"),
        ("/", "\xc3\xa9=%c3%a9", "https://app.lab/?%C3%A9=%c3%a9"),
    ],
)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_a_page_is_sent_to_https(build: Builder, method: str, path: str, query: str, location: str) -> None:
    """The same path and query, on the policy's own host, and in no browser's memory."""
    verdict = answer(build, HTML, method=method, path=path, query=query)
    assert isinstance(verdict, Answer)
    assert verdict.response.status == 308
    assert verdict.response.headers == [("Location", location), ("Cache-Control", "no-store")]


@pytest.mark.requirement("S2-020")
@pytest.mark.parametrize(
    ("method", "pairs"),
    [
        ("GET", ()),
        ("GET", (("Accept", "*/*"),)),
        ("GET", (("Accept", "application/json, text/html"),)),
        ("HEAD", ()),
        ("POST", (HTML,)),
        ("PUT", (HTML,)),
        ("OPTIONS", (HTML,)),
        ("get", (HTML,)),
    ],
)
def test_whatever_else_is_refused(build: Builder, method: str, pairs: tuple[tuple[str, str], ...]) -> None:
    """A program would follow a redirect, and send its key in the clear each time."""
    verdict = answer(build, *pairs, method=method)
    assert isinstance(verdict, Refuse)
    assert verdict.reason is https.REQUIRED


@pytest.mark.requirement("S2-020")
@pytest.mark.parametrize(("scheme", "passes"), [("https", True), ("wss", True), ("ws", False), ("", False)])
def test_schemes(build: Builder, scheme: str, passes: bool) -> None:
    """What is not known to be encrypted is not; a WebSocket is refused, since nothing can redirect it."""
    verdict = answer(build, HTML, scheme=scheme, websocket=scheme.startswith("ws"))
    assert (verdict is ALLOW) is passes
    if scheme == "ws":
        assert isinstance(verdict, Refuse)


def test_development_has_no_https(build: Builder) -> None:
    """Where base_url is http, http is answered."""
    assert answer(build, environ=DEVELOPMENT) is ALLOW
    assert "no production policy" in CONTROL.statement(build.policy(**DEVELOPMENT))[0]
    assert "https://app.lab" in CONTROL.statement(build.policy())[0]


# What applications generate


def _flask(file: Path) -> Flask:
    app = Flask(__name__)
    bylaw = for_flask.Bylaw(app, file)

    @app.get("/where")
    @for_flask.public("tells its own address")
    def where() -> str:
        return url_for("where", _external=True)

    @app.get("/away")
    @for_flask.public("redirects to an address of its own")
    def away() -> Any:
        return redirect(url_for("where", _external=True))

    @app.get("/slash/")
    @for_flask.public("is redirected to by the framework")
    def slash() -> str:
        return ""

    bylaw.ready()
    return app


def _fastapi(file: Path) -> FastAPI:
    app = FastAPI()
    for_fastapi.Bylaw(app, file)

    @app.get("/where", dependencies=[for_fastapi.Public("tells its own address")])
    def where(request: Request) -> str:
        return str(request.url_for("where"))

    @app.get("/slash/", dependencies=[for_fastapi.Public("is redirected to by the framework")])
    def slash() -> str:
        return ""

    return app


LINKING: dict[str, Any] = {"flask": _flask, "fastapi": _fastapi}


@pytest.mark.requirement("S1-082", "C-38")
@pytest.mark.parametrize("framework", sorted(LINKING))
@pytest.mark.parametrize("more", ["", '[hosts]\nallowed = [".shop.test"]\n'])
def test_an_applications_links_are_https_behind_a_proxy(framework: str, more: str, tmp_path: Path) -> None:
    """TLS ends at the proxy, the server sees http: links and redirects are https, and of this site."""
    file = tmp_path / "bylaw.toml"
    file.write_text(PLAIN + more, "utf-8")
    with Laboratory(Target("links", lambda: LINKING[framework](file))) as laboratory:
        visitor = laboratory.visitor(peer="10.9.0.7")
        visitor.scheme = "http"
        with laboratory.under(proxies.Settings, **BEHIND):
            assert "https://app.lab/where" in visitor.get("/where", headers=TOLD).text
            named = [*TOLD, ("Host", "10.0.0.7:8000"), ("X-Forwarded-Host", "app.lab")]
            assert "https://app.lab/where" in visitor.get("/where", headers=named).text
            slash = visitor.get("/slash", headers=TOLD)
            assert slash.header("location") in ("https://app.lab/slash/", "/slash/")
            for host in ("evil.test", "app.lab.evil.test"):
                refused = visitor.get("/where", headers=[*TOLD, ("X-Forwarded-Host", host)])
                assert refused.status == 421
                refused = visitor.get("/where", headers=[*TOLD, ("Host", host)])
                assert refused.status == 421
            if more:
                asked = visitor.get("/where", headers=[*TOLD, ("Host", "a.shop.test")])
                assert "https://a.shop.test/where" in asked.text


@pytest.mark.requirement("S1-081")
def test_flasks_links_without_a_request_are_https(tmp_path: Path) -> None:
    """A task that writes a mail has no request: its links lead to base_url, over https."""
    file = tmp_path / "bylaw.toml"
    file.write_text(PLAIN, "utf-8")
    with Laboratory(Target("links", lambda: _flask(file))) as laboratory:
        app: Any = laboratory.app
        assert app.config["PREFERRED_URL_SCHEME"] == "https"
        with app.app_context():
            assert url_for("where", _external=True) == "https://app.lab/where"
        assert app.test_client().get("/where").text == "https://app.lab/where"


def test_an_applications_own_server_name_stands(tmp_path: Path) -> None:
    """Whoever has set SERVER_NAME, or has further names allowed, knows better."""
    for more, name, expected in (
        ("", "own.lab", "own.lab"),
        ('[hosts]\nallowed = ["b.test"]\n', None, None),
        ("", None, "app.lab"),
    ):
        file = tmp_path / "bylaw.toml"
        file.write_text(PLAIN + more, "utf-8")

        def create(file: Path = file, name: str | None = name) -> Flask:
            app = Flask(__name__)
            app.config["SERVER_NAME"] = name
            for_flask.Bylaw(app, file)
            return app

        with Laboratory(Target("named", create)) as laboratory:
            assert laboratory.app.config["SERVER_NAME"] == expected


# Proof


@pytest.mark.parametrize("text", OTHERS)
@pytest.mark.parametrize("framework", sorted(CREATE))
def test_the_promises_hold_on_another_policy(framework: str, text: str, tmp_path: Path) -> None:
    """The probes know what a policy says: they pass for one that says something else."""
    file = tmp_path / "bylaw.toml"
    file.write_text(PLAIN + text, "utf-8")
    with Laboratory(Target("notes", lambda: CREATE[framework](file))) as laboratory:
        results = [attempt(CONTROL, probe, laboratory) for probe in CONTROL.probes]
    assert [r.evidence for r in results if r.outcome != "pass"] == []
