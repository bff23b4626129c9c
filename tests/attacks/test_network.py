"""Names, addresses and schemes: what a real server's parser makes of them, and other policies."""

from __future__ import annotations

import re
from typing import Any

import pytest

from bylaw.controls import ip_allowlist, proxies
from bylaw.controls.ip_allowlist import Listed
from bylaw.controls.proxies import probes
from bylaw.verify import live
from bylaw.verify.laboratory import Bench, Laboratory
from tests.applications.stacks import TARGETS

BEHIND = {"trusted": ("10.9.0.0/16",), "x_for": 1, "x_proto": 1, "x_host": 1, "x_port": 0, "forwarded": True}
each_stack = pytest.mark.parametrize("stack", sorted(TARGETS))


def status_of(answer: bytes) -> int:
    """The status of the one answer that came; 0 where the server only hung up."""
    found = re.match(rb"HTTP/1\.[01] (\d{3}) ", answer)
    assert answer.count(b"HTTP/1.") <= 1, answer
    return int(found[1]) if found else 0


@pytest.mark.requirement("C-38")
@pytest.mark.parametrize(
    "hosts",
    [
        ("Host: app.lab", "Host: evil.test"),
        ("Host: evil.test", "Host: app.lab"),
        ("Host: app.lab", "Host: app.lab"),
        ("Host: app.lab", "host: evil.test"),
        ("Host: app.lab,evil.test",),
        ("Host: app.lab:evil",),
        ("Host: evil.test",),
        ("Host : evil.test", "Host: app.lab"),
        ("Host:",),
        (),
    ],
)
def test_a115_a_real_server_passes_on_no_second_name(laboratory: Laboratory, hosts: tuple[str, ...]) -> None:
    """At a socket, as no client library would send it: two names, none, or a wrong one get 400 or 421."""
    body = b'{"email": "new@people.test", "password": "another long password", "name": ""}'
    lines = ("Content-Type: application/json", f"Content-Length: {len(body)}")
    with laboratory.live() as server:
        path = laboratory.api("sign_up")
        answer = server.request(f"POST {path} HTTP/1.1", *hosts, *lines, body=body)
        assert status_of(answer) in (0, 400, 421), answer
        assert b"evil.test" not in answer
        page = server.request(f"GET {laboratory.url('sign_in')} HTTP/1.1", *hosts, "Accept: text/html")
        assert status_of(page) in (0, 400, 421), page
    assert laboratory.mail() == []


@pytest.mark.requirement("C-38")
@pytest.mark.parametrize(
    "target", ["http://evil.test", "https://evil.test:443", "//evil.test", "http://app.lab"]
)
def test_a115_the_name_in_the_request_line_leads_nowhere(laboratory: Laboratory, target: str) -> None:
    """An absolute target (RFC 9112 section 3.2.2): a server may cut it off, and then Host alone counts, or
    pass it on, and then nothing is there. No answer names it."""
    with laboratory.live() as server:
        for path in (laboratory.url("sign_in"), "/go?to=/page", laboratory.url("me")):
            answer = server.request(f"GET {target}{path} HTTP/1.1", "Host: app.lab", "Accept: text/html")
            assert status_of(answer) in (200, 303, 400, 404, 421), answer
            assert b"evil.test" not in answer.partition(b"\r\n\r\n")[0], answer
            foreign = server.request(f"GET {target}{path} HTTP/1.1", "Host: evil.test", "Accept: text/html")
            assert status_of(foreign) in (400, 421), foreign


@pytest.mark.requirement("S1-084", "C-38")
def test_a120_a_real_server_believes_nobody_either(laboratory: Laboratory) -> None:
    """The server has an opinion of its own on forwarded headers in many set-ups: here it has none."""
    stranger = laboratory.visitor()
    with laboratory.live() as server:
        answer = server.request(
            f"POST {laboratory.api('sign_in')} HTTP/1.1",
            "Host: app.lab",
            f"Origin: {stranger.origin}",
            "X-Forwarded-For: 203.0.113.66",
            "X-Forwarded-Proto: http",
            "Content-Type: application/json",
            "Content-Length: 46",
            body=b'{"email": "a@people.test", "password": "wrong"}'[:46],
        )
    assert status_of(answer) in (400, 401), answer
    for row in laboratory.audit(limit=5):
        assert row["ip_address"] == live.HOST


@pytest.mark.requirement("S2-020")
def test_http_at_a_real_server_is_not_answered(laboratory: Laboratory) -> None:
    """A server without TLS, and nobody in front that is trusted: a page leads to https, data is refused."""
    app: Any = laboratory.app
    with live.wsgi(app.wsgi_app) if laboratory.is_wsgi else live.asgi(app) as server:
        page = server.request("GET /auth/login?next=/x HTTP/1.1", "Host: app.lab", "Accept: text/html")
        data = server.request("GET /api/notes HTTP/1.1", "Host: app.lab", "X-Forwarded-Proto: https")
        balancer = server.request("GET /healthz HTTP/1.1", "Host: 10.0.0.7:8000")
    assert status_of(page) == 308
    assert b"\r\nlocation: https://app.lab/auth/login?next=/x\r\n" in page.replace(b"Location", b"location")
    assert status_of(data) == 403
    assert b"https.required" in data
    assert status_of(balancer) == 200


@pytest.mark.requirement("S1-083", "C-38")
@each_stack
@pytest.mark.parametrize(
    "value", [*probes.QUOTED, 'for="127.0.0.1\\";host=evil.test', "for=127.0.0.1;;host=a b"]
)
def test_a123_nothing_is_taken_from_inside_quotes(stacks: dict[str, Bench], stack: str, value: str) -> None:
    """Through a trusted proxy that speaks Forwarded: no host, no scheme and no client from inside quotes."""
    with stacks[stack].laboratory() as laboratory, laboratory.under(proxies.Settings, **BEHIND):
        person = laboratory.client()
        person.peer = "10.9.0.7"
        assert probes.recorded(laboratory, person, [("Forwarded", value)]) == "10.9.0.7"
        page = person.send(
            "GET", laboratory.url("sign_in"), headers=[("Forwarded", value), ("Accept", "text/html")]
        )
        assert page.status == 200
        assert "evil.test" not in page.text
        assert "elsewhere.invalid" not in page.text


@pytest.mark.requirement("S1-083", "C-38")
@each_stack
def test_a123_what_a_proxy_says_rightly_is_believed(stacks: dict[str, Bench], stack: str) -> None:
    """The last element is the proxy's: its client, its scheme, its host, whatever stands before it."""
    spoof = 'for=127.0.0.1;host=evil.test;proto=http, for="_x, for=y"'
    right = 'For="[2001:db8::7]:4711";Proto=HTTPS;Host="app.lab"'
    with stacks[stack].laboratory() as laboratory, laboratory.under(proxies.Settings, **BEHIND):
        person = laboratory.client()
        person.peer, person.scheme = "10.9.0.7", "http"
        told = [("Forwarded", f"{spoof}, {right}"), ("X-Forwarded-For", "127.0.0.1")]
        assert probes.recorded(laboratory, person, told) == "2001:db8::7"
        assert person.get(laboratory.api("me")).code == "https.required"
        assert person.get(laboratory.api("me"), headers=told).status == 200


@pytest.mark.requirement("S3-085")
@each_stack
def test_a138_an_applications_own_path_is_listed_in_every_spelling(
    stacks: dict[str, Bench], stack: str
) -> None:
    """A path of the application, which only its framework knows: what it might be read as is closed."""
    with (
        stacks[stack].laboratory() as laboratory,
        laboratory.under(ip_allowlist.Settings, paths=(Listed(path="/report", networks=("192.0.2.0/24",)),)),
        laboratory.fenced(),
    ):
        admin = laboratory.administrator()
        admin.peer = "203.0.113.9"
        for path in ("/report", "/report/", "//report", "/REPORT", "/%72eport", "/x/../report", "/report;a"):
            assert admin.get(path).status == 404, path
        assert admin.get("/reports").status in (200, 404)
        admin.peer = "192.0.2.5"
        assert admin.get("/report").status == 200
