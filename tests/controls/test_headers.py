"""Response headers: on everything, not to be weakened, and nothing private in a cache."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given as examples
from hypothesis import strategies as st

from bylaw.controls import headers
from bylaw.controls.headers import CONTROL
from bylaw.exchange import Exchange, RawHead, TextHead
from bylaw.identity import Identity
from bylaw.verify.laboratory import Laboratory
from bylaw.verify.runner import attempt
from bylaw.verify.target import Target
from tests.applications import fastapi_app, flask_app
from tests.controls.houses import Builder, exchange

NOTES = flask_app.POLICY.read_text("utf-8")
CREATE: dict[str, Callable[[Path], Any]] = {
    "flask": flask_app.create_app,
    "fastapi": fastapi_app.create_app,
}
HSTS = "max-age=63072000; includeSubDomains"
PAGE = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "font-src 'self'; manifest-src 'self'; form-action 'self'; base-uri 'none'; object-src 'none'; "
    "frame-ancestors 'none'"
)
DATA = "default-src 'none'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'"
DEVELOPMENT = {"BYLAW_ENV": "development", "BASE_URL": "http://127.0.0.1:5000"}


@pytest.fixture(scope="module")
def build(tmp_path_factory: pytest.TempPathFactory) -> Builder:
    return Builder(tmp_path_factory.mktemp("headers"))


@pytest.fixture(params=sorted(CREATE))
def starting(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[..., Laboratory]]:
    """Laboratories of the notes application on another policy: `starting(policy_text)`."""
    started: list[Laboratory] = []

    def start(text: str) -> Laboratory:
        file = tmp_path / f"policy-{len(started)}.toml"
        file.write_text(text, "utf-8")
        started.append(Laboratory(Target("notes", lambda: CREATE[request.param](file))))
        return started[-1]

    yield start
    for laboratory in started:
        laboratory.close()


Departing = Callable[..., dict[str, list[str]]]


@pytest.fixture(params=["text", "raw"])
def depart(request: pytest.FixtureRequest, build: Builder) -> Departing:
    """What leaves when the application says `pairs`: each field's values by its name in lower case."""

    def leave(
        *pairs: tuple[str, str],
        text: str = "",
        asked: Exchange | None = None,
        status: int = 200,
        **environ: str,
    ) -> dict[str, list[str]]:
        step = CONTROL.steps["depart"](build.house(text, **environ))
        head: Any
        if request.param == "text":
            head = TextHead(status, list(pairs))
            step(asked or exchange("GET"), head)
            found = head.pairs
        else:
            head = RawHead(status, [(name.lower().encode(), value.encode()) for name, value in pairs])
            step(asked or exchange("GET"), head)
            found = [(name.decode(), value.decode()) for name, value in head.pairs]
        left: dict[str, list[str]] = {}
        for name, value in found:
            left.setdefault(name.lower(), []).append(value)
        return left

    return leave


HTML = ("Content-Type", "text/html; charset=utf-8")
JSON = ("Content-Type", "application/json")


# What leaves


@pytest.mark.requirement("S3-062", "S3-063", "S3-064", "C-01")
def test_a_page(depart: Departing) -> None:
    """A page bears the whole set, with the filter of old browsers switched off."""
    assert depart(HTML) == {
        "content-type": ["text/html; charset=utf-8"],
        "x-content-type-options": ["nosniff"],
        "strict-transport-security": [HSTS],
        "x-frame-options": ["DENY"],
        "x-xss-protection": ["0"],
        "content-security-policy": [PAGE],
        "referrer-policy": ["strict-origin-when-cross-origin"],
        "permissions-policy": ["camera=(), geolocation=(), microphone=(), payment=(), usb=()"],
        "cross-origin-opener-policy": ["same-origin"],
        "cross-origin-resource-policy": ["same-origin"],
    }


@pytest.mark.requirement("S3-062", "S3-063")
@pytest.mark.parametrize(
    "kind", ["application/json", "image/svg+xml", "text/css", "application/xhtml+xml", ""]
)
def test_everything_else(depart: Departing, kind: str) -> None:
    """What is no page can do nothing when it is opened as one, an uploaded SVG above all."""
    left = depart(*([("Content-Type", kind)] if kind else []))
    left.pop("content-type", None)
    assert left == {
        "x-content-type-options": ["nosniff"],
        "strict-transport-security": [HSTS],
        "x-frame-options": ["DENY"],
        "x-xss-protection": ["0"],
        "content-security-policy": [DATA],
        "referrer-policy": ["no-referrer"],
        "cross-origin-resource-policy": ["same-origin"],
    }


@pytest.mark.parametrize("kind", ["text/html", "TEXT/HTML", "text/html;charset=utf-8", "text/html-ish"])
def test_what_counts_as_a_page(depart: Departing, kind: str) -> None:
    """A browser does not mind how the type is spelt, so that the policy must not."""
    assert depart(("Content-Type", kind))["content-security-policy"] == [PAGE]


def test_over_http_in_development(depart: Departing) -> None:
    """Browsers are not told to come back by https where there is none."""
    assert "strict-transport-security" not in depart(HTML, **DEVELOPMENT)


@pytest.mark.parametrize(
    ("text", "name", "values"),
    [
        ("hsts = 0", "strict-transport-security", None),
        ('hsts = "365d"', "strict-transport-security", ["max-age=31536000; includeSubDomains"]),
        ('xss_protection = ""', "x-xss-protection", None),
        (
            'xss_protection = "1; mode=block"\nbecause = "a scanner of a client insists"',
            "x-xss-protection",
            ["1; mode=block"],
        ),
        ('frame_ancestors = ["https://spaces.test"]', "x-frame-options", None),
        (
            'frame_ancestors = ["\'self\'", "https://spaces.test"]',
            "content-security-policy",
            [PAGE.replace("ancestors 'none'", "ancestors 'self' https://spaces.test")],
        ),
        (
            'script_src = ["\'self\'", "https://cdn.test"]',
            "content-security-policy",
            [PAGE.replace("script-src 'self'", "script-src 'self' https://cdn.test")],
        ),
        (
            "style_src = [\"'none'\"]",
            "content-security-policy",
            [PAGE.replace("style-src 'self'", "style-src 'none'")],
        ),
        ("img_src = [\"'self'\"]", "content-security-policy", [PAGE.replace("'self' data:", "'self'")]),
        (
            'connect_src = ["\'self\'", "wss://live.test"]',
            "content-security-policy",
            [PAGE.replace("connect-src 'self'", "connect-src 'self' wss://live.test")],
        ),
    ],
)
@pytest.mark.requirement("S3-063", "S3-064", "C-01")
def test_what_the_policy_says(depart: Departing, text: str, name: str, values: list[str] | None) -> None:
    """Each setting is in the header it is about, and in no other."""
    assert depart(HTML, text=f"[headers]\n{text}").get(name) == values


# The application's own


@pytest.mark.parametrize(
    ("name", "value", "left"),
    [
        ("X-Content-Type-Options", "sniff", ["nosniff"]),
        ("Strict-Transport-Security", "max-age=0", [HSTS]),
        ("X-Frame-Options", "SAMEORIGIN", ["DENY"]),
        ("X-XSS-Protection", "1", ["0"]),
        ("Content-Security-Policy", "default-src *", ["default-src *", PAGE]),
        ("Content-Security-Policy", "sandbox", ["sandbox", PAGE]),
        ("Referrer-Policy", "no-referrer", ["no-referrer"]),
        ("Referrer-Policy", "Same-Origin", ["Same-Origin"]),
        ("Referrer-Policy", "unsafe-url", ["strict-origin-when-cross-origin"]),
        ("Referrer-Policy", "origin", ["strict-origin-when-cross-origin"]),
        ("Referrer-Policy", "no-referrer, unsafe-url", ["strict-origin-when-cross-origin"]),
        ("Referrer-Policy", "", ["strict-origin-when-cross-origin"]),
        ("Permissions-Policy", "camera=(self)", ["camera=(self)"]),
        ("Cross-Origin-Opener-Policy", "same-origin-allow-popups", ["same-origin-allow-popups"]),
        ("Cross-Origin-Resource-Policy", "cross-origin", ["cross-origin"]),
        ("Server", "gunicorn/1", None),
        ("X-Powered-By", "Flask", None),
        ("X-Other", "kept", ["kept"]),
    ],
)
@pytest.mark.requirement("S3-062", "S3-063")
def test_what_the_application_says(depart: Departing, name: str, value: str, left: list[str] | None) -> None:
    """The application may add to the policy, and may not take from it."""
    assert depart(HTML, (name, value)).get(name.lower()) == left


# Nonces


@pytest.mark.requirement("S3-065")
def test_a_nonce_is_asked_for_once(depart: Departing) -> None:
    """A page has one nonce, in scripts and styles, and no cache may keep it."""
    asked = exchange("GET")
    first = headers.nonce(asked)
    assert headers.nonce(asked) == first
    assert len(first) == 22, "128 bits"
    left = depart(HTML, ("Cache-Control", "public"), asked=asked)
    assert left["content-security-policy"] == [
        PAGE.replace("script-src 'self'", f"script-src 'self' 'nonce-{first}'").replace(
            "style-src 'self'", f"style-src 'self' 'nonce-{first}'"
        )
    ]
    assert left["cache-control"] == ["no-store"]


def test_two_answers_have_two_nonces() -> None:
    """Whoever has seen one page cannot mark a script for the next."""
    assert len({headers.nonce(exchange("GET")) for _ in range(100)}) == 100


def test_a_nonce_is_for_pages(depart: Departing) -> None:
    """Where no page came of it, the nonce opens nothing."""
    asked = exchange("GET")
    headers.nonce(asked)
    assert depart(JSON, asked=asked)["content-security-policy"] == [DATA]


# Caches


@pytest.mark.requirement("S3-065")
@pytest.mark.parametrize(
    ("who", "static", "noted", "cookie", "stored"),
    [
        (False, False, False, False, True),
        (True, False, False, False, False),
        (True, True, False, False, True),
        (False, False, True, False, False),
        (False, False, False, True, False),
        (True, True, False, True, False),
    ],
)
def test_what_may_be_stored(
    depart: Departing, who: bool, static: bool, noted: bool, cookie: bool, stored: bool
) -> None:
    """What is said to somebody signed in, or bears somebody's token or cookie, is in no cache."""
    asked = exchange("GET")
    asked.identity = Identity(id="ann") if who else None
    asked.static = static
    if noted:
        asked.note(headers.PERSONAL, True)
    else:
        asked.note("another control's", True)
    pairs = [
        JSON,
        ("Cache-Control", "public, max-age=60"),
        ("CDN-Cache-Control", "max-age=60"),
        ("Surrogate-Control", "max-age=60"),
    ]
    left = depart(*pairs, *([("Set-Cookie", "a=b")] if cookie else []), asked=asked)
    assert left["cache-control"] == (["public, max-age=60"] if stored else ["no-store"])
    assert ("cdn-cache-control" in left, "surrogate-control" in left) == (stored, stored)


# The policy


@pytest.mark.requirement("S2-055")
def test_a_placeholder_frames_nobody(build: Builder) -> None:
    """The example's site, copied and forgotten, is refused in production: it is nobody's."""
    text = '[headers]\nframe_ancestors = ["https://your_site_here.example"]'
    assert "a published placeholder" in build.refusal(text)


@pytest.mark.requirement("S3-063")
@pytest.mark.parametrize("key", ["frame_ancestors", "script_src", "style_src", "img_src", "connect_src"])
@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("https://a.test; script-src *", "is not one CSP source"),
        ("https://a.test;", "is not one CSP source"),
        ("a.test b.test", "is not one CSP source"),
        ("a.test,b.test", "is not one CSP source"),
        (r"a.test\nX-Planted: 1", "is not one CSP source"),
        (r"a.test\r", "is not one CSP source"),
        (r"a.test\u0000", "is not one CSP source"),
        (r"a.test\u00a0", "is not one CSP source"),
        ("bücher.test", "is not one CSP source"),
        ("", "is not one CSP source"),
        ("self", "would be a host of that name"),
        ("None", "would be a host of that name"),
        ("unsafe-inline", "would be a host of that name"),
        ("'nonce-abc'", "known to everybody"),
        ("'NONCE-abc'", "known to everybody"),
    ],
)
def test_a_source_that_is_none(build: Builder, key: str, source: str, said: str) -> None:
    """A136: a value of the policy cannot become a directive, a header or a host by accident."""
    refusal = build.refusal(f'[headers]\n{key} = ["{source}"]')
    assert f"headers.{key}.0" in refusal
    assert said in refusal
    assert "bylaw.toml:2" in refusal


@pytest.mark.parametrize(
    "source",
    [
        "'self'",
        "'none'",
        "https://cdn.acme.eu",
        "*.acme.eu:8443",
        "data:",
        "*",
        "'sha256-abc/def+ghi='",
        "https://a.test/path?x",
        "[2001:db8::1]",
    ],
)
def test_a_source(build: Builder, source: str) -> None:
    """Everything that CSP calls a source may stand in the policy, in quotes where CSP wants them."""
    assert build.refusal(f'[headers]\nscript_src = ["{source}"]') == ""


@examples(source=st.text(max_size=30))
def test_no_source_ends_its_directive(source: str) -> None:
    """Whatever stands in the policy is refused or stays one source of its directive."""
    if headers._not_a_source(source) is None:
        assert source.isascii()
        assert source.isprintable()
        assert not set(source) & set(";, \t")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('xss_protection = "1; mode=block"', ["headers.xss_protection", "because"]),
        ('xss_protection = "1"', ["headers.xss_protection"]),
        ("hsts = -1", ["headers.hsts"]),
        ('hsts = "two years"', ["headers.hsts", "a duration"]),
        ("nosniff = false", ["headers.nosniff", "no such key"]),
    ],
)
@pytest.mark.requirement("S3-064", "C-01")
def test_a_policy_that_cannot_be_kept(build: Builder, text: str, said: list[str]) -> None:
    """What would open a hole, without saying why or at all, refuses to start."""
    refusal = build.refusal(f"[headers]\n{text}")
    assert all(part in refusal for part in said), refusal


@pytest.mark.requirement("S3-064", "C-01")
@pytest.mark.parametrize(
    ("text", "below"),
    [
        ("", []),
        ('xss_protection = "1; mode=block"\nbecause = "a scanner of a client insists"', ["xss_protection"]),
        ('hsts = "30d"', ["hsts"]),
        ("script_src = [\"'self'\", \"'unsafe-inline'\"]", ["script_src"]),
        ('style_src = ["https:"]', ["style_src"]),
        ('connect_src = ["*"]', ["connect_src"]),
        ('frame_ancestors = ["*"]', ["frame_ancestors"]),
        ("script_src = [\"'sha256-x'\", \"'strict-dynamic'\"]", []),
    ],
)
def test_what_is_below_the_standard(build: Builder, text: str, below: list[str]) -> None:
    """A value that weakens the headers is allowed, and marked wherever the policy is shown."""
    policy = build.policy(f"[headers]\n{text}")
    assert [b.key for name, b, _ in policy.below_standard() if name == "headers"] == below


def test_the_statement(build: Builder) -> None:
    """What SECURITY.md says is what is sent."""
    said = CONTROL.statement(build.policy())
    for name, value in headers.everywhere(headers.Settings(), tls=True):
        assert f"`{name}: {value}`" in said[0]
    assert PAGE in said[1]
    assert DATA in said[1]
    assert said[2] == "May show the application in a frame: nobody."
    said = CONTROL.statement(build.policy('[headers]\nframe_ancestors = ["https://spaces.test"]'))
    assert said[2] == "May show the application in a frame: https://spaces.test."


# Stories, through Flask and FastAPI


@pytest.mark.requirement("S3-062", "S3-063", "S3-065", "C-01", "C-36")
def test_baseline_headers(laboratory: Laboratory) -> None:
    """A130: a page, data, a download, the sign-in page, a redirect and every kind of error bear them."""
    visitor, editor = laboratory.visitor(), laboratory.client("editor")
    replies = {
        "page": editor.page("/page?q=x"),
        "json": editor.get("/api/notes"),
        "download": visitor.get("/download?name=x.pdf"),
        "sign-in": visitor.page(laboratory.url("sign_in")),
        "stylesheet": visitor.get(laboratory.url("stylesheet")),
        "redirect": visitor.get("/go?to=/report"),
        "401": visitor.get("/api/notes"),
        "403": editor.get("/report"),
        "404": visitor.get("/nothing"),
        "405": editor.act("POST", "/report", json={}),
        "422": editor.act("POST", "/api/notes", json={"text": 7}),
        "500": visitor.get("/broken"),
        "csrf": visitor.send("POST", "/form", headers=[("Origin", "https://evil.test")]),
        "head": visitor.send("HEAD", "/"),
        "options": visitor.send("OPTIONS", "/", headers=[("Origin", "https://evil.test")]),
    }
    assert {replies[s].status for s in ("401", "403", "404", "405", "422", "500")} == {
        401,
        403,
        404,
        405,
        422,
        500,
    }
    for what, reply in replies.items():
        assert reply.all("x-content-type-options") == ["nosniff"], what
        assert reply.all("x-frame-options") == ["DENY"], what
        assert reply.all("strict-transport-security") == [HSTS], what
        assert reply.all("x-xss-protection") == ["0"], what
        assert reply.all("referrer-policy"), what
        assert len(reply.all("content-security-policy")) == 1, what
        assert "frame-ancestors 'none'" in reply.header("content-security-policy"), what
        assert "unsafe" not in reply.header("content-security-policy"), what
        assert not reply.all("server"), what
        assert not reply.all("x-powered-by"), what


@pytest.mark.requirement("S3-065")
def test_a_streaming_answer(laboratory: Laboratory) -> None:
    """Headers are there before the first piece of an answer that comes in pieces."""
    with laboratory.answering(200, [("Content-Type", "text/event-stream")], b"data: 1\n\n"):
        reply = laboratory.visitor().get("/stream")
    assert reply.body == b"data: 1\n\n"
    assert reply.header("x-content-type-options") == "nosniff"


@pytest.mark.requirement("S3-065")
def test_a_page_has_its_own_nonce(laboratory: Laboratory) -> None:
    """The script of a page bears the nonce that its policy names, another one each time."""
    editor = laboratory.client("editor")
    seen = set()
    for _ in range(3):
        reply = editor.page("/page")
        nonce = reply.text.partition("nonce='")[2].partition("'")[0]
        assert f"script-src 'self' 'nonce-{nonce}'" in reply.header("content-security-policy")
        seen.add(nonce)
    assert len(seen) == 3


@pytest.mark.requirement("S3-065")
def test_private_pages_are_not_stored(laboratory: Laboratory) -> None:
    """A132: forms with a token, who I am and an export are gone from the browser after signing out."""
    editor, visitor = laboratory.client("editor"), laboratory.visitor()
    for who, path in (
        (visitor, laboratory.url("sign_in")),
        (visitor, laboratory.url("sign_up")),
        (editor, laboratory.api("me")),
        (editor, laboratory.url("sessions")),
        (editor, laboratory.url("change_password")),
        (editor, "/page"),
        (editor, "/api/papers/export"),
    ):
        assert who.page(path).all("cache-control") == ["no-store"], path
    reply = editor.act("POST", laboratory.api("sign_out"), json={})
    assert reply.header("clear-site-data") == '"cache", "storage"'
    assert reply.all("cache-control") == ["no-store"]


@pytest.mark.requirement("S3-065")
@pytest.mark.parametrize(
    "end", ["/x.css", ";x.js", "%2fx.png", "/..%2fstatic/x.css", "?x.css", "/static/x.css"]
)
def test_cache_deception(laboratory: Laboratory, end: str) -> None:
    """A135: a private page under an address that looks like a file's is no-store, or is not there."""
    editor = laboratory.client("editor")
    for path in ("/page", laboratory.url("sessions"), laboratory.api("me")):
        reply = editor.page(f"{path}{end}")
        assert reply.all("cache-control") == ["no-store"], path
        assert reply.status in (200, 404)


@pytest.mark.requirement("S3-065")
@pytest.mark.parametrize(
    "bad", ["%0d%0aX-Planted:1", "%0aX-Planted:1", "%0d", "%00", ";", "%22;%20x=1", "%e2%80%a8"]
)
def test_header_injection(laboratory: Laboratory, bad: str) -> None:
    """A136: breaks and semicolons in a redirect, a file's name, a language or an id plant nothing."""
    visitor = laboratory.visitor()
    for reply in (
        visitor.get(f"/go?to=/a{bad}"),
        visitor.get(f"/download?name=a{bad}"),
        visitor.get(f"/greeting?lang=a{bad}"),
        visitor.get(f"{laboratory.url('sign_in')}?next=/a{bad}"),
        visitor.page(f"/page/a{bad}"),
        visitor.page(f"{laboratory.url('sessions')}?a{bad}"),
        visitor.get("/", headers=[("X-Request-Id", f"a{bad}")]),
    ):
        assert reply.status < 500
        names = {name.lower() for name, _ in reply.headers}
        assert not any("planted" in name for name in names)
        for name, value in reply.headers:
            assert not set(name + value) & set("\r\n\0")
        said = [re.sub(r" 'nonce-[\w-]{22}'", "", c) for c in reply.all("content-security-policy")]
        assert all(c in (PAGE, DATA) for c in said)


@pytest.mark.requirement("S3-064", "C-01")
def test_the_registers_policy(starting: Callable[..., Laboratory]) -> None:
    """The source's planned value is sent where the policy says so and why."""
    laboratory = starting(
        NOTES + '\n[headers]\nxss_protection = "1; mode=block"\nbecause = "the published plan asks for it"\n'
    )
    assert laboratory.visitor().get("/").all("x-xss-protection") == ["1; mode=block"]


# Proof


@pytest.mark.parametrize("probe", CONTROL.probes, ids=lambda probe: probe.name)
def test_the_promise_holds_on_another_policy(starting: Callable[..., Laboratory], probe: Any) -> None:
    """The probes know what the policy says: they pass for one that lets itself be framed."""
    text = '\n[headers]\nframe_ancestors = ["https://spaces.test"]\nhsts = 0\nxss_protection = ""\n'
    result = attempt(CONTROL, probe, starting(NOTES + text))
    assert result.outcome == "pass", result.evidence
