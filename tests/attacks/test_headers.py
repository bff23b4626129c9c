"""Headers: what an application itself puts there, what a policy says, what a socket shows."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from bylaw.controls import headers
from bylaw.verify.laboratory import Laboratory
from tests.applications import flask_app

BLOCK = (
    "x-content-type-options",
    "x-frame-options",
    "content-security-policy",
    "referrer-policy",
    "strict-transport-security",
    "cross-origin-resource-policy",
    "x-request-id",
)
PAYLOADS = ["x\r\nX-Evil: 1", "x\nX-Evil: 1", "x\rX-Evil: 1", "x\0y", "\r\n\r\n<script>"]


@pytest.mark.requirement("S3-062", "S3-063", "S3-065", "C-36")
@pytest.mark.parametrize("status", [200, 201, 204, 301, 304, 400, 404, 405, 418, 500, 502, 503])
def test_a130_every_status_bears_the_headers(laboratory: Laboratory, status: int) -> None:
    """Whatever status an application answers with, the browser is told the same, once."""
    for kind in ("text/html; charset=utf-8", "application/json", "text/plain", "image/png"):
        with laboratory.answering(status, [("Content-Type", kind), ("Location", "/x")]):
            for method in ("GET", "HEAD"):
                reply = laboratory.visitor().send(method, "/anything")
                for name in BLOCK:
                    assert len(reply.all(name)) == 1, (name, kind, reply.all(name))


@pytest.mark.requirement("S3-062", "S3-063", "C-36")
@pytest.mark.parametrize(
    ("name", "weak"),
    [
        ("X-Frame-Options", "ALLOWALL"),
        ("X-Content-Type-Options", "none"),
        ("Server", "Werkzeug/3"),
        ("X-Powered-By", "Python"),
        ("Strict-Transport-Security", "max-age=0"),
        ("X-Request-Id", "made-up"),
        ("x-frame-options", "ALLOWALL"),
    ],
)
def test_a130_an_applications_own_header_is_never_doubled(
    laboratory: Laboratory, name: str, weak: str
) -> None:
    """An application sets a header of its own, twice: one of that name leaves, or none."""
    with laboratory.answering(200, [(name, weak), (name, weak), ("Content-Type", "text/html")]):
        reply = laboratory.visitor().get("/")
    assert len(reply.all(name)) <= 1, reply.all(name)
    if name.lower() in ("server", "x-powered-by"):
        assert reply.all(name) == []


@pytest.mark.requirement("S3-065", "C-36")
def test_a130_a_page_has_a_nonce_of_its_own_each_time(laboratory: Laboratory) -> None:
    """A nonce that comes twice could be put into a page by somebody who has seen the first."""
    alice = laboratory.ordinary()
    seen = set()
    for _ in range(5):
        page = alice.page("/page")
        policy = page.header("content-security-policy")
        (nonce,) = set(re.findall(r"'nonce-([\w-]{22,})'", policy))
        assert f"nonce='{nonce}'" in page.text
        assert "'unsafe-" not in policy
        for directive in ("frame-ancestors 'none'", "base-uri 'none'", "object-src 'none'"):
            assert directive in policy
        seen.add(nonce)
    assert len(seen) == 5


@pytest.mark.requirement("S3-065", "C-36")
def test_a130_a_real_server_sends_them_too(laboratory: Laboratory) -> None:
    """Seen at the socket: the headers are there, and none names the server's software."""
    with laboratory.live() as server:
        for line in (
            "GET / HTTP/1.1",
            "GET /auth/login HTTP/1.1",
            "GET /broken HTTP/1.1",
            "GET /nothing HTTP/1.1",
            "POST / HTTP/1.1",
            "HEAD / HTTP/1.1",
        ):
            answer = server.request(line, "Host: app.lab")
            head = answer.partition(b"\r\n\r\n")[0].lower().decode("latin-1")
            for name in BLOCK:
                assert head.count(f"\n{name}:") == 1, (line, name, head)
            for name in ("server", "x-powered-by"):
                assert f"\n{name}:" not in head, head


@pytest.mark.requirement("S3-065")
def test_a130_no_https_is_promised_where_there_is_none(laboratory: Laboratory) -> None:
    """In development, over http, no browser is told to come back by https for two years."""
    environ = {"BYLAW_ENV": "development", "BASE_URL": "http://127.0.0.1:5000"}
    with type(laboratory)(laboratory.target, environ=environ) as development:
        reply = development.visitor().get("/")
    assert reply.all("strict-transport-security") == []
    assert reply.header("x-content-type-options") == "nosniff"


@pytest.mark.requirement("S3-065")
@pytest.mark.parametrize(
    "own",
    [
        ("Cache-Control", "public, max-age=3600"),
        ("Cache-Control", "private"),
        ("cache-control", "max-age=60"),
        ("Cache-Control", "no-cache"),
    ],
)
def test_a132_an_application_cannot_have_a_private_answer_kept(
    laboratory: Laboratory, own: tuple[str, str]
) -> None:
    """A view says that its answer to alice may be kept by everybody; it leaves as no-store."""
    alice = laboratory.ordinary()
    with laboratory.answering(200, [own, ("Content-Type", "text/html")]):
        private = alice.get("/anything.css")
        public = laboratory.visitor().get("/anything.css")
    assert private.all("cache-control") == ["no-store"]
    assert public.all("cache-control") == [own[1]]


@pytest.mark.requirement("S3-062", "S3-065")
@pytest.mark.parametrize("payload", PAYLOADS)
@pytest.mark.parametrize(
    "name", ["X-Note", "Location", "Content-Disposition", "Set-Cookie", "Content-Type", "Content-Language"]
)
def test_a136_a_line_break_of_the_application_becomes_no_header(
    laboratory: Laboratory, name: str, payload: str
) -> None:
    """A view puts what it was sent into a header as it is: one clean answer leaves, not two."""
    with laboratory.answering(200, [(name, payload), ("X-Other", "kept")]):
        reply = laboratory.visitor().get("/")
    assert not reply.all("x-evil")
    for key, value in reply.headers:
        assert not set(key + value) & set("\r\n\0"), (key, value)
    for expected in BLOCK:
        assert len(reply.all(expected)) == 1
    assert "<script>" not in str(reply.headers)


@pytest.mark.requirement("S3-062")
@pytest.mark.parametrize("payload", ["x\r\nX-Evil: 1", "x\0", "☃", "\ud800"])
def test_a136_nor_does_it_at_a_real_server(laboratory: Laboratory, payload: str) -> None:
    """The same at a socket, where a half-written head would be seen: one whole answer."""
    if payload.isascii() or laboratory.is_wsgi:  # what ASGI carries is bytes
        with laboratory.answering(200, [("X-Note", payload)], b"body"), laboratory.live() as server:
            answer = server.request("GET / HTTP/1.1", "Host: app.lab")
        head = answer.partition(b"\r\n\r\n")[0]
        assert re.match(rb"HTTP/1\.[01] (200|500) ", head), answer
        assert b"\r\nX-Evil" not in head
        assert b"\nx-content-type-options: nosniff" in head.lower()


@pytest.mark.requirement("S3-062")
@pytest.mark.parametrize(
    "source",
    [
        "https://a.test; script-src *",
        "https://a.test, default-src *",
        "https://a.test\r\nX-Evil: 1",
        "https://a.test https://b.test",
        "",
        "https://ä.test",
        "https://a.test\0",
    ],
)
@pytest.mark.parametrize("key", ["script_src", "style_src", "img_src", "connect_src", "frame_ancestors"])
def test_a136_a_policy_with_a_second_directive_in_a_source_does_not_start(
    flask_laboratory: Laboratory, key: str, source: str
) -> None:
    """A source of a page's policy is one source: what would end it refuses to start."""
    escaped = "".join(f"\\u{ord(c):04x}" for c in source)
    text = flask_app.POLICY.read_text() + f'\n[headers]\n{key} = ["{escaped}"]\n'
    error = flask_laboratory.refuses_to_start(policy=text)
    assert error is not None
    assert f"headers.{key}" in str(error)


@pytest.mark.requirement("S3-065")
def test_a135_what_a_cache_may_keep_holds_nothing_private(laboratory: Laboratory) -> None:
    """Every route, as alice: whatever may be kept is the same that a stranger gets."""
    alice = laboratory.ordinary()
    for _, path, _ in laboratory.routes():
        for tail in ("", "/x.css", ".css", ";x.js", "%2fx.png", "?x.css"):
            reply = alice.send("GET", path.replace("{id}", alice.id) + tail, keep=False)
            if "no-store" not in reply.header("cache-control"):
                stranger = laboratory.visitor().get(path + tail)
                assert (reply.status, reply.body) == (stranger.status, stranger.body), path
                assert not reply.all("set-cookie")


def test_the_statement_names_what_leaves(flask_laboratory: Laboratory) -> None:
    """What SECURITY.md will say about a page's policy is what a browser is sent."""
    page = flask_laboratory.visitor().page(flask_laboratory.url("sign_in"))
    settings = flask_laboratory.policy.of(headers.Settings)
    plain = re.sub(r" 'nonce-[\w-]+'", "", page.header("content-security-policy"))
    assert plain == headers.page_policy(settings, None)
    assert Path(flask_app.POLICY).is_file()
