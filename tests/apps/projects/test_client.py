"""The client of docs/projects.md runs as it stands there, and does what the page says."""

from __future__ import annotations

import sys
import types
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from bylaw.verify.client import Sent
from bylaw.verify.laboratory import Laboratory
from tests.apps.projects.conftest import program
from tests.docs import pages

PAGE = pages.ROOT / "docs" / "projects.md"
CLASS, USE = (block for block in pages.blocks(PAGE) if block.language == "python")


class Through(httpx.BaseTransport):
    """What brings a request of httpx into an application in this process."""

    def __init__(self, laboratory: Laboratory) -> None:
        self._laboratory = laboratory

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        at = urlsplit(str(request.url))
        pairs = [(k.decode(), v.decode()) for k, v in request.headers.raw if k.lower() != b"host"]
        pairs.append(("Host", "app.lab"))
        body = request.read()
        self._laboratory.clock.advance(1)  # nobody asks twice at the same moment
        sent = Sent(request.method, at.path, at.query, pairs, body, "https", "198.51.100.7")
        reply = self._laboratory.transport(sent)
        return httpx.Response(reply.status, headers=reply.headers, content=reply.body)


@pytest.fixture
def used(register: Laboratory, monkeypatch: pytest.MonkeyPatch) -> Any:
    """What runs a block of the page as somebody: it leads to the laboratory, wherever it says it goes."""
    real = httpx.Client
    monkeypatch.setattr(httpx, "Client", lambda **how: real(transport=Through(register), **how))
    module = types.ModuleType("client")
    exec(compile(CLASS.text, "client.py", "exec"), module.__dict__)  # noqa: S102 - this repository's own page
    monkeypatch.setitem(sys.modules, "client", module)

    def run(role: str) -> dict[str, Any]:
        person = register.person(role)
        seen = {"httpx": httpx, "email": person.email, "password": person.password}
        exec(compile(USE.text, "projects.md", "exec"), seen)  # noqa: S102 - (the same)
        return {**seen, "person": person}

    return run


@pytest.mark.requirement("S3-010", "S3-012", "S3-068")
def test_the_pages_example_does_what_it_says(used: Any) -> None:
    """From the first version to the fourth, which is the first again."""
    seen = used("editor")
    assert [v["number"] for v in seen["versions"]] == [2, 1]
    assert seen["difference"].keys() == {"summary", "status"}
    assert (seen["as_it_was"]["version"], seen["as_it_was"]["summary"]) == (1, "At the old mill.")
    assert (seen["restored"]["version"], seen["restored"]["summary"]) == (4, "At the old mill.")
    assert seen["restored"]["owner_id"] == seen["person"].id


@pytest.mark.requirement("S3-012", "S3-013")
def test_the_client_goes_on_when_its_token_has_expired(used: Any, register: Laboratory) -> None:
    """By its refresh token, which is good once; and by its password where that one has gone too."""
    register_client = used("editor")["register"]
    first = register_client._tokens
    register.clock.advance(1801)
    assert register_client.send("GET", "/projects").status_code == 200
    assert register_client._tokens["refresh_token"] != first["refresh_token"]
    register.clock.advance(8 * 86400)
    assert register_client.send("GET", "/projects").status_code == 200


def test_the_client_signs_in_again_where_a_fresh_proof_is_asked_for(used: Any, register: Laboratory) -> None:
    """An administrator's program, ten minutes later."""
    root = used("admin")["register"]
    register.clock.advance(601)
    other = register.person("viewer")
    body = {"role": "editor", "because": "she writes now"}
    assert root.send("PUT", f"/users/{other.id}/role", json=body).json()["roles"] == ["editor"]


def test_the_client_changes_its_field_though_somebody_is_faster(used: Any, register: Laboratory) -> None:
    """Told 409, it looks again and leaves what the other has written."""
    client = used("editor")["register"]
    made = client.send("POST", "/projects", json={"title": "First", "summary": "mine"}).json()
    path, root = f"/projects/{made['id']}", program(register, "admin")
    real, faster = client.send, [True]

    def send(method: str, where: str, **sent: Any) -> Any:
        if method == "PUT" and faster.pop():
            faster.append(False)
            body = {"title": "Second", "summary": "mine", "based_on": 1}
            assert root.send("PUT", path, json=body).status == 200
        return real(method, where, **sent)

    client.send = send
    assert client.change(path, status="active")["version"] == 3
    now = real("GET", path).json()
    assert (now["title"], now["status"]) == ("Second", "active")


def test_a_refusal_reaches_whoever_uses_the_client(used: Any) -> None:
    """A viewer's example ends where it writes."""
    with pytest.raises(httpx.HTTPStatusError, match="403"):
        used("viewer")
