"""Hosts: the application answers for its own names, in every spelling of them, and for no other."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bylaw.controls import hosts
from bylaw.controls.hosts import CONTROL
from bylaw.exchange import ALLOW, Exchange, Forwarded, HeaderNames, Malformed, Refuse, Verdict
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
OTHERS = [
    "",
    '[hosts]\nallowed = [".shop.test", "[2001:db8::1]:8443"]\nstatus = 400\n',
]
DEVELOPMENT = {"BYLAW_ENV": "development", "BASE_URL": "http://127.0.0.1:5000"}


@pytest.fixture(scope="module")
def build(tmp_path_factory: pytest.TempPathFactory) -> Builder:
    return Builder(tmp_path_factory.mktemp("hosts"))


def answer(build: Builder, host: str | None, text: str = "", path: str = "/", **environ: str) -> Verdict:
    """The verdict on a request for `host`."""
    pairs = [] if host is None else [("Host", host)]
    verdict = CONTROL.steps["arrive"](build.house(text, **environ))(exchange("GET", path, *pairs))
    assert isinstance(verdict, Verdict)
    return verdict


@pytest.mark.requirement("C-38")
@pytest.mark.parametrize(
    ("host", "base_url"),
    [
        ("app.lab", "https://app.lab"),
        ("APP.lab.", "https://app.lab"),
        ("app.lab:443", "https://app.lab:443"),
        ("app.lab", "https://app.lab:443"),
        ("app.lab:8443", "https://APP.lab:8443"),
        ("192.0.2.7", "https://192.0.2.7"),
        ("[2001:db8:0::7]:443", "https://[2001:db8::7]"),
    ],
)
def test_its_own_name(build: Builder, host: str, base_url: str) -> None:
    """People reach it at base_url, whatever that is and however a browser writes it."""
    assert answer(build, host, BASE_URL=base_url) is ALLOW


@pytest.mark.requirement("C-38")
@pytest.mark.parametrize("host", ["evil.test", "app.lab:8443", "app.lab:80", "lab", "x.app.lab", "localhost"])
@pytest.mark.parametrize("status", [400, 421])
def test_another_name(build: Builder, host: str, status: int) -> None:
    """Any other name is refused with the status that the policy has."""
    verdict = answer(build, host, f"[hosts]\nstatus = {status}\n")
    assert isinstance(verdict, Refuse)
    assert (verdict.reason, verdict.status) == (hosts.UNKNOWN, status)


@pytest.mark.requirement("C-38")
@pytest.mark.parametrize(
    "host", [None, "", "a b", "app.lab,app.lab", "u@app.lab", "app.lab:", "https://app.lab"]
)
def test_what_is_no_name(build: Builder, host: str | None) -> None:
    """What two parsers would read differently is not compared at all."""
    with pytest.raises(Malformed):
        answer(build, host)


@pytest.mark.requirement("C-38")
@pytest.mark.parametrize("path", ["http://evil.test/", "https://app.lab/", "evil.test:443", "x", ""])
def test_a_target_with_a_name_in_it(build: Builder, path: str) -> None:
    """A server that hands the whole address on as the path would have two names in one request."""
    with pytest.raises(Malformed):
        answer(build, "app.lab", path=path)


def test_options_of_the_server_itself(build: Builder) -> None:
    """`OPTIONS *` asks about the server and has no path (RFC 9110 section 9.3.7)."""
    assert answer(build, "app.lab", path="*") is ALLOW
    assert answer(build, "APP.lab", path="*") is ALLOW


@pytest.mark.requirement("C-38")
@pytest.mark.parametrize(
    ("host", "allowed"),
    [
        ("localhost:5000", True),
        ("127.0.0.1", True),
        ("[::1]:8", True),
        ("e.test", False),
        ("127.0.0.2", False),
    ],
)
def test_in_development(build: Builder, host: str, allowed: bool) -> None:
    """A developer's browser asks for this machine under three names, and with any port."""
    assert (answer(build, host, **DEVELOPMENT) is ALLOW) is allowed


@pytest.mark.requirement("C-38")
@pytest.mark.parametrize(("host", "allowed"), [("app.lab", True), ("evil.test", False), (None, True)])
def test_what_a_trusted_proxy_names_is_what_counts(build: Builder, host: str | None, allowed: bool) -> None:
    """The Host of the request itself is the proxy's own, where the proxy names another."""
    step = CONTROL.steps["arrive"](build.house())
    asked: Exchange = exchange("GET", "/", ("Host", "upstream:8000" if host else "app.lab"))
    asked.forwarded = Forwarded(HeaderNames("x-forwarded-host"), host=host)
    assert (step(asked) is ALLOW) is allowed


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ("*", "any name could be written"),
        ("*.acme.eu", "any name could be written"),
        (".eu", "every site below"),
        ("https://acme.eu", "not a host as browsers send it"),
        ("acme.eu/x", "not a host as browsers send it"),
        ("Acme.eu", "not a host as browsers send it"),
        ("acme.eu.", "not a host as browsers send it"),
        ("", "not a host as browsers send it"),
    ],
)
def test_a_list_that_does_not_start(build: Builder, entry: str, said: str) -> None:
    """An entry that names no host, or all of them, is refused by its place and with what to write."""
    refusal = build.refusal(f'[hosts]\nallowed = ["shop.acme.eu", "{entry}"]\n')
    assert said in refusal
    assert "bylaw.toml:2" in refusal


@pytest.mark.parametrize("base_url", ["https://app..lab", "https://-app.lab"])
def test_an_address_that_no_request_could_name_does_not_start(build: Builder, base_url: str) -> None:
    """The application would answer nobody: better said at the start."""
    assert "BASE_URL" in build.refusal("", BASE_URL=base_url)


def test_the_statement_names_the_names(build: Builder) -> None:
    """SECURITY.md says for which names the application answers."""
    assert "answers for `app.lab`;" in CONTROL.statement(build.policy())[0]
    said = CONTROL.statement(build.policy('[hosts]\nallowed = [".shop.test"]\nstatus = 400\n'))[0]
    assert "`app.lab`, `.shop.test` (a leading dot" in said
    assert "gets 400" in said


@pytest.mark.requirement("C-38")
def test_nothing_in_bylaw_builds_a_link_from_host() -> None:
    """Whoever reads Host compares it, hands it on, or is the laboratory: no page, mail or redirect does."""
    package = Path(hosts.__file__).parents[2]
    reading = ('one("host")', 'all("host")', "HTTP_HOST", 'b"host"', "request.host", "url_root")
    found = {
        file.relative_to(package).as_posix(): word
        for file in package.rglob("*.py")
        for word in reading
        if word in file.read_text("utf-8")
    }
    apart = {name for name in found if not name.startswith(("verify/", "controls/proxies/"))}
    # Flask's map is bound to the request's host, as Flask itself does: only after `hosts` has let it pass.
    assert apart - {"flask/addresses.py"} == {
        "controls/hosts/__init__.py",
        "adapters/asgi.py",
        "adapters/wsgi.py",
    }


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
