"""docs/sharing-sign-in.md, as it stands there: a Flask and a FastAPI application, each a process of its own,
behind a proxy on one host name."""

from __future__ import annotations

import http.client
import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from http.cookies import SimpleCookie
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from bylaw.controls import secrets
from bylaw.operations import administering, granting
from bylaw.site import Site
from bylaw.store import migrate
from bylaw.verify.world import environment
from tests.cli.transcript import here
from tests.docs import pages

PAGE = pages.ROOT / "docs/sharing-sign-in.md"
ORIGIN = "https://work.acme.eu"
HOST = "work.acme.eu"
PASSWORD = "Tr4vel by night, sleep by day!"
BOUND = 1.0
"""Seconds: [store] revocation_bound of both."""


class Proxy(BaseHTTPRequestHandler):
    """Ends TLS, as far as anybody behind it can tell, and gives each path to its application."""

    protocol_version = "HTTP/1.1"
    ports: dict[str, int]

    def _pass(self) -> None:
        port = self.ports["register" if self.path.startswith("/register/") else "desk"]
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        dropped = ("x-forwarded-for", "x-forwarded-proto", "connection")
        fields = {name: value for name, value in self.headers.items() if name.lower() not in dropped}
        fields |= {"X-Forwarded-For": self.client_address[0], "X-Forwarded-Proto": "https"}
        fields |= {"X-Forwarded-Host": self.headers["Host"], "Connection": "close"}
        behind = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        try:
            behind.request(self.command, self.path, body, fields)
            reply = behind.getresponse()
            content = reply.read()
        finally:
            behind.close()
        self.send_response_only(reply.status)
        for name, value in reply.getheaders():
            if name.lower() not in ("connection", "transfer-encoding", "content-length"):
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = _pass  # noqa: N815 - the standard library's names

    def log_message(self, format: str, *args: Any) -> None:
        """Nobody reads it."""


@dataclass
class Browser:
    """Somebody's browser, which knows one host: it neither knows nor cares what answers behind it."""

    port: int
    page: str = ""
    cookies: dict[str, str] = field(default_factory=dict)

    def send(
        self,
        method: str,
        path: str,
        data: Any = None,
        *,
        token: str = "",
        cookies: dict[str, str] | None = None,
    ) -> tuple[int, Any]:
        jar = self.cookies if cookies is None else cookies
        accept = "text/html" if path == self.page else "application/json"
        headers = {"Host": HOST, "Accept": accept, "Sec-Fetch-Site": "same-origin"}
        if jar:
            headers["Cookie"] = "; ".join(f"{name}={value}" for name, value in jar.items())
        if method == "POST":
            headers |= {"Origin": ORIGIN, "Content-Type": "application/json"}
        if token:
            headers["X-CSRF-Token"] = token
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request(method, path, None if data is None else json.dumps(data), headers)
            reply = connection.getresponse()
            text = reply.read().decode()
            if cookies is None:
                self._keep(reply.headers.get_all("Set-Cookie") or [])
        finally:
            connection.close()
        return reply.status, json.loads(text) if text.startswith(("{", "[")) else text

    def _keep(self, given: list[str]) -> None:
        for line in given:
            for name, cookie in SimpleCookie(line).items():
                if cookie["max-age"] == "0":
                    self.cookies.pop(name, None)
                else:
                    self.cookies[name] = cookie.value

    def get(self, path: str) -> tuple[int, Any]:
        return self.send("GET", path)

    def token(self) -> str:
        """The token that a page of the desk's holds, for a form there."""
        text = str(self.send("GET", self.page)[1])
        mark = 'name="csrf_token" value="'
        assert mark in text, text[:300]
        return text.partition(mark)[2].partition('"')[0]


@dataclass
class Shared:
    """Both applications, and the way behind their backs to people and roles."""

    port: int
    desk: Site
    register: Site
    folder: Path

    def person(self, *roles: str) -> tuple[str, str]:
        """The id and the address of somebody new, with roles that either policy names."""
        email = f"p{time.monotonic_ns()}@acme.eu"
        made = administering.create(
            self.desk.house, administering.SYSTEM, email=email, confirmed=True, password=PASSWORD
        )
        for role in roles:
            site = self.desk if role in self.desk.policy.controls["roles"].grants else self.register
            granting.grant(site.house, administering.SYSTEM, made.id, role)
        return made.id, email

    def api(self, name: str) -> str:
        """The path of one of the desk's endpoints for scripts."""
        return next(r.path for r in self.desk.pages.routes() if r.api and r.endpoint.name == name)

    def signed_in(self, *roles: str) -> tuple[str, Browser]:
        user_id, email = self.person(*roles)
        browser = Browser(self.port, self.desk.pages.urls["change_password"])
        status, said = browser.send("POST", self.api("sign_in"), {"email": email, "password": PASSWORD})
        assert status == 200, said
        return user_id, browser


@contextmanager
def _free() -> Iterator[int]:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        yield one.getsockname()[1]


def _served(folder: Path, name: str, environ: dict[str, str], stack: ExitStack) -> int:
    """An application in a process of its own; its port."""
    with _free() as port:
        pass
    log = (folder / f"{name}.log").open("wb")
    stack.callback(log.close)
    process = subprocess.Popen(
        [Path(sys.executable).parent / "bylaw", "run", name, "--port", str(port)],
        cwd=folder, env={**os.environ, **environ}, stdout=log, stderr=subprocess.STDOUT,
    )  # fmt: skip
    stack.callback(process.wait, 20)
    stack.callback(process.terminate)
    return port


def _await(folder: Path, ports: dict[str, int]) -> None:
    """Until each of them takes connections."""
    deadline, pause = time.monotonic() + 60, threading.Event()
    for name, port in ports.items():
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                break
            except OSError:
                assert time.monotonic() < deadline, (folder / f"{name}.log").read_text(errors="replace")
                pause.wait(0.05)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shared]:
    folder = tmp_path_factory.mktemp("shared")
    for block in pages.blocks(PAGE):
        if block.name:
            (folder / block.name).write_text(block.text, "utf-8")
    environ = {
        "BASE_URL": ORIGIN,
        "DATABASE_URL": f"sqlite:///{folder / 'work.db'}",
        "SECRET_KEY": secrets.new(),
        "BYLAW_ENV": "production",
        "PYTHONPATH": os.pathsep.join([pages.environ()["PYTHONPATH"], str(folder)]),
    }
    with ExitStack() as stack, environment({**environ, "WEB_CONCURRENCY": ""}):
        desk, register = (Site(folder / f"{name}.toml") for name in ("desk", "register"))
        for each in (desk, register):
            stack.callback(each.close)
        migrate.upgrade(desk.house.store.engine)
        ports = {name: _served(folder, name, environ, stack) for name in ("desk", "register")}
        _await(folder, ports)
        handler = type("Handler", (Proxy,), {"ports": ports})
        proxy = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        proxy.daemon_threads = True
        threading.Thread(target=proxy.serve_forever, args=(0.05,), daemon=True).start()
        stack.callback(proxy.server_close)
        stack.callback(proxy.shutdown)
        yield Shared(proxy.server_address[1], desk, register, folder)


def within_the_bound(holds: Any) -> None:
    """It comes true while the bound lasts; a question that was asked before its end may be answered late."""
    ended = time.monotonic()
    while True:
        asked = time.monotonic()
        if holds():
            return
        assert asked - ended <= BOUND


def test_signed_in_at_one_is_known_at_the_other(shared: Shared) -> None:
    """Somebody signs in at the Flask application; the next request, to the FastAPI application, is his."""
    user_id, browser = shared.signed_in("clerk")
    assert browser.get("/me") == (200, {"id": user_id, "roles": ["clerk"]})
    assert browser.get("/register/me") == (200, {"id": user_id, "roles": ["clerk"]})
    assert browser.get("/register/entries") == (200, [])
    stranger = Browser(shared.port)
    assert (stranger.get("/me")[0], stranger.get("/register/me")[0]) == (401, 401)


def test_a_token_of_one_is_good_at_the_other(shared: Shared) -> None:
    """A form that the desk has rendered is sent to the register and the desk; another session's is not."""
    user_id, browser = shared.signed_in("clerk", "registrar")
    token = browser.token()
    for path in ("/register/entries", "/letters"):
        status, said = browser.send("POST", path, {"text": "x"}, token=token)
        assert (status, said) == (201, {"text": "x", "by": user_id})
        assert browser.send("POST", path, {"text": "x"})[0] == 403
    _, other = shared.signed_in("clerk", "registrar")
    for path in ("/register/entries", "/letters"):
        assert other.send("POST", path, {"text": "x"}, token=token)[0] == 403


@pytest.mark.requirement("C-32", "C-05")
def test_signing_out_at_one_ends_both(shared: Shared) -> None:
    """Both processes have the session in memory; it ends at one, and a copied cookie is nobody's at either,
    within the bound."""
    _, browser = shared.signed_in("clerk")
    copy = dict(browser.cookies)
    for path in ("/me", "/register/me"):
        assert browser.get(path)[0] == 200
    assert browser.send("POST", shared.api("sign_out"), {}, token=browser.token())[0] == 200
    assert Browser(shared.port).send("GET", "/me", cookies=copy)[0] == 401, "where it was ended: at once"
    within_the_bound(lambda: Browser(shared.port).send("GET", "/register/me", cookies=copy)[0] == 401)


@pytest.mark.requirement("C-05", "S3-072")
def test_a_role_holds_at_both_from_the_next_request(shared: Shared) -> None:
    """Roles are one list, and each policy says what its names mean; a change reaches both in the bound."""
    user_id, browser = shared.signed_in("reader")
    token = browser.token()
    assert browser.send("POST", "/register/entries", {"text": "x"}, token=token)[0] == 403
    granting.grant(shared.register.house, administering.SYSTEM, user_id, "registrar")
    within_the_bound(lambda: browser.get("/register/me")[1].get("roles") == ["reader", "registrar"])
    assert browser.send("POST", "/register/entries", {"text": "x"}, token=browser.token())[0] == 201
    assert browser.send("POST", "/letters", {"text": "x"}, token=browser.token())[0] == 403, (
        "no role of the desk"
    )
    granting.revoke(shared.register.house, administering.SYSTEM, user_id, "registrar")
    within_the_bound(lambda: browser.get("/register/entries")[0] == 403)


@pytest.mark.requirement("C-05", "S3-072")
def test_a_disabled_account_is_nobody_at_both(shared: Shared) -> None:
    """An administrator of one shuts an account: the other refuses it within the bound as well."""
    user_id, browser = shared.signed_in("clerk")
    assert (browser.get("/me")[0], browser.get("/register/me")[0]) == (200, 200)
    copy = dict(browser.cookies)
    administering.disable(shared.desk.house, administering.SYSTEM, user_id, reason="left")
    for path in ("/me", "/register/me"):
        within_the_bound(lambda path=path: Browser(shared.port).send("GET", path, cookies=copy)[0] == 401)


def test_an_administrator_of_one_leaves_the_others_roles(shared: Shared) -> None:
    """The desk's administrator gives somebody exactly one role of the desk; what the register has given him
    is nothing that the desk knows, and stays."""
    user_id, _ = shared.signed_in("registrar", "reader")
    granting.set_roles(shared.desk.house, administering.SYSTEM, user_id, ["clerk"])
    user = administering.find(shared.desk.house, administering.SYSTEM, user_id)
    assert user.roles == {"clerk", "registrar"}
    granting.set_roles(shared.desk.house, administering.SYSTEM, user_id, [])
    user = administering.find(shared.desk.house, administering.SYSTEM, user_id)
    assert user.roles == {"registrar"}


@pytest.mark.parametrize(
    ("environ", "says"),
    [
        ({"BASE_URL": "https://other.acme.eu"}, "app.base_url"),
        ({"DATABASE_URL": "sqlite:///other.db"}, "store.database"),
        ({"SECRET_KEY": secrets.new()}, "secrets.key"),
    ],
)
def test_two_that_are_apart_are_told(shared: Shared, environ: dict[str, str], says: str) -> None:
    """One of the two has another origin, database or secret: `bylaw check` fails and names it, and shows no
    secret."""
    file = shared.folder / "apart.toml"
    text = (shared.folder / "register.toml").read_text()
    [(name, value)] = environ.items()
    section, key = says.split(".")
    if section == "app":
        text = text.replace("[app]\n", f'[app]\nbase_url = "env:OTHER_{name}"\n')
    else:
        text += f'\n[{section}]\n{key} = "env:OTHER_{name}"\n'
    file.write_text(text)
    beside = f"bylaw check {shared.folder}/desk.toml --beside {file}"
    said, code = here(beside, {f"OTHER_{name}": value})
    assert code == 1, said
    assert f"the two do not share their sign-ins: {says}" in said
    assert value not in said or section == "app"
    said, code = here(beside.replace("apart", "register") + " --json", {})
    assert code == 0, said
    found = json.loads(said)
    assert found["apart"] == []
    assert {"sessions.idle", "roles.registrar"} <= {each["key"] for each in found["different"]}
