"""Cookies: names, attributes, what the application sets, and what a neighbour plants."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given as examples
from hypothesis import strategies as st

from bylaw.controls import cookies
from bylaw.controls.cookies import CONTROL, SESSION, VISITOR
from bylaw.exchange import Exchange, PairHeaders, RawHead, TextHead
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
EMBEDDED = """
[cookies]
same_site = "None"
partitioned = true
because = "shown in another site's frame"
[headers]
frame_ancestors = ["https://spaces.test"]
"""
DEVELOPMENT = {"BYLAW_ENV": "development", "BASE_URL": "http://127.0.0.1:5000"}


@pytest.fixture(scope="module")
def build(tmp_path_factory: pytest.TempPathFactory) -> Builder:
    return Builder(tmp_path_factory.mktemp("cookies"))


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


def attributes(cookie: str) -> set[str]:
    return {part.strip().lower() for part in cookie.split(";")[1:]}


# bylaw's own


@pytest.mark.requirement("S1-076", "S1-077", "S2-008", "S2-009")
def test_the_sessions_cookie(build: Builder) -> None:
    """In production the session's cookie cannot be read by script, sent in clear or set by a neighbour."""
    made = cookies.make(build.policy(), SESSION, "secret")
    assert made == "__Host-sid=secret; Path=/; HttpOnly; SameSite=Lax; Secure"


@pytest.mark.requirement("S1-078", "C-09")
def test_strict_where_the_policy_says_so(build: Builder) -> None:
    """The company's policy: SameSite=Strict in production."""
    made = cookies.make(build.policy('[cookies]\nsame_site = "Strict"'), SESSION, "x")
    assert "samesite=strict" in attributes(made)


@pytest.mark.requirement("S1-079", "S1-080")
def test_development_over_http(build: Builder) -> None:
    """Over http in development: HttpOnly and Lax, but neither Secure nor a prefix that needs it."""
    policy = build.policy(
        '[cookies]\nsame_site = "Strict"\n[development]\ncookies.same_site = "Lax"', **DEVELOPMENT
    )
    assert cookies.make(policy, SESSION, "x") == "sid=x; Path=/; HttpOnly; SameSite=Lax"


@pytest.mark.requirement("S2-010", "C-09")
def test_embedded_in_another_site(build: Builder) -> None:
    """SameSite=None goes with Secure and Partitioned, and is marked as below the standard."""
    policy = build.policy(EMBEDDED)
    made = cookies.make(policy, SESSION, "x")
    assert {"samesite=none", "secure", "partitioned", "httponly", "path=/"} == attributes(made)
    assert [
        (name, below.key, below.value) for name, below, _ in policy.below_standard() if name == "cookies"
    ] == [("cookies", "same_site", "None")]
    assert "Partitioned" in CONTROL.statement(policy)[0]
    assert "cookies" not in {name for name, _, _ in build.policy().below_standard()}


def test_the_cookie_that_ends_is_the_one_that_was_set(build: Builder) -> None:
    """A browser drops a cookie only where name, path and attributes are those it was set with."""
    for policy in (build.policy(), build.policy(EMBEDDED), build.policy(**DEVELOPMENT)):
        made = cookies.make(policy, SESSION, "x")
        ended = cookies.make(policy, SESSION, "", lifetime=0)
        assert attributes(ended) == attributes(made) | {"max-age=0"}


def test_names(build: Builder) -> None:
    """The prefix is there exactly where a browser would keep a cookie that has it."""
    assert cookies.name(build.policy(), VISITOR) == "__Host-visitor"
    assert cookies.name(build.policy(**DEVELOPMENT), VISITOR) == "visitor"


# The application's


@pytest.mark.requirement("S1-076", "S1-077", "S1-078", "S2-008", "S2-009", "S2-010")
@pytest.mark.parametrize(
    ("cookie", "left"),
    [
        ("a=b", "a=b; SameSite=Lax; Secure; HttpOnly"),
        ("a=b;", "a=b; ; SameSite=Lax; Secure; HttpOnly"),
        ("a=b; Path=/x; Max-Age=9", "a=b; Path=/x; Max-Age=9; SameSite=Lax; Secure; HttpOnly"),
        ("a=b; Secure; HttpOnly; SameSite=Strict", "a=b; Secure; HttpOnly; SameSite=Strict"),
        ("a=b; secure; httponly; samesite=lax", "a=b; secure; httponly; SameSite=Lax; "),
        ("a=b; SameSite=None; Secure", "a=b; Secure; SameSite=Lax; HttpOnly"),
        ("a=b; SameSite=Lax; SameSite=None", "a=b; SameSite=Lax; Secure; HttpOnly"),
        ("a=b; SameSite=None; SameSite=Strict", "a=b; SameSite=Strict; Secure; HttpOnly"),
        ("a=b; SameSite", "a=b; SameSite=Lax; Secure; HttpOnly"),
        ("a=b; SameSite=whatever", "a=b; SameSite=Lax; Secure; HttpOnly"),
        ("a=b; SameSite = STRICT ", "a=b; SameSite=Strict; Secure; HttpOnly"),
        ("a=b; Domain=app.lab", "a=b; Domain=app.lab; SameSite=Lax; Secure; HttpOnly"),
        ("shown=b", "shown=b; SameSite=Lax; Secure"),
        ("shown; Path=/", "shown; Path=/; SameSite=Lax; Secure"),
        ("shown=b; HttpOnly", "shown=b; HttpOnly; SameSite=Lax; Secure"),
        ("shown2=b", "shown2=b; SameSite=Lax; Secure; HttpOnly"),
        ("a=httponly", "a=httponly; SameSite=Lax; Secure; HttpOnly"),
        ("a=b=c; Comment=x=y", "a=b=c; Comment=x=y; SameSite=Lax; Secure; HttpOnly"),
    ],
)
def test_a_cookie_of_the_application_is_completed(build: Builder, cookie: str, left: str) -> None:
    """What the application leaves out is added, and its None is not its own to say."""
    policy = build.policy('[cookies]\nreadable = ["shown"]')
    assert cookies.complete(policy, cookie) == left.removesuffix("; ")


@pytest.mark.requirement("S2-010")
def test_an_embedded_applications_cookie(build: Builder) -> None:
    """Where the policy says None, the application's cookies are kept apart by embedding site, too."""
    policy = build.policy(EMBEDDED)
    assert attributes(cookies.complete(policy, "a=b")) == {
        "samesite=none",
        "secure",
        "httponly",
        "partitioned",
    }
    assert attributes(cookies.complete(policy, "a=b; SameSite=None; Partitioned")) == {
        "samesite=none",
        "secure",
        "httponly",
        "partitioned",
    }


def test_over_http_nothing_is_marked_secure(build: Builder) -> None:
    """In development a Secure cookie would never come back."""
    assert "secure" not in attributes(cookies.complete(build.policy(**DEVELOPMENT), "a=b"))


LATIN = st.text(st.characters(max_codepoint=255), max_size=80)


@examples(
    cookie=LATIN
    | st.lists(
        st.sampled_from(
            ["a=b", ";", "SameSite", "=", "None", "samesite=none", " ", "\xa0", "HttpOnly", "Secure", "\x85"]
        )
    ).map("".join)
)
def test_any_cookie_is_completed(build: Builder, cookie: str) -> None:
    """Whatever an application puts into Set-Cookie, it leaves Secure, HttpOnly and not as None."""
    policy = POLICIES.setdefault("default", build.policy())
    left = cookies.complete(policy, cookie)
    said = attributes(left)
    assert {"secure", "httponly"} <= {name.partition("=")[0].strip() for name in said}
    browsers = [part.partition("=")[2] for part in said if part.partition("=")[0].strip() == "samesite"]
    assert browsers in (["lax"], ["strict"])


POLICIES: dict[str, Any] = {}


@examples(
    header=LATIN
    | st.lists(
        st.sampled_from(["__Host-sid", "=", "x", ";", " ", "\t", "\xa0", "\x85", '"', ",", "sid", "\0"])
    ).map("".join)
)
def test_any_cookie_header_is_read(header: str) -> None:
    """Whatever a browser or an attacker sends as cookies, one has a value or it has none."""
    asked = Exchange(method="GET", path="/", headers=PairHeaders([("Cookie", header)]))
    value = asked.cookie("__Host-sid")
    assert value is None or (
        f"__Host-sid={value}" in header.replace(" ", "").replace("\t", "") or value.strip(" \t") == value
    )


@pytest.mark.requirement("C-09")
@pytest.mark.parametrize(
    ("header", "value"),
    [
        ("__Host-sid=s", "s"),
        ("a=b; __Host-sid=s; c=d", "s"),
        ("a=b;__Host-sid=s", "s"),
        (" \t__Host-sid \t= \ts \t", "s"),
        ("__Host-sid=s=t", "s=t"),
        ('__Host-sid="s"', '"s"'),
        ("__Host-sid=s; __Host-sid=t", None),
        ("__Host-sid=s; __Host-sid=s", None),
        ("__host-sid=s", None),
        ("__HOST-SID=s", None),
        ("\xa0__Host-sid=s", None),
        ("\x85__Host-sid=s", None),
        ("\x0b__Host-sid=s", None),
        ("\x1f__Host-sid=s", None),
        ("\xa0__Host-sid=planted; __Host-sid=s", "s"),
        ("=__Host-sid=s", None),
        ("__Host-sid", None),
        ('a="; __Host-sid=planted; b="', "planted"),
        ('$Version=1; a="b; __Host-sid=s"', 's"'),
        ("", None),
    ],
)
def test_what_is_read_as_the_sessions_cookie(header: str, value: str | None) -> None:
    """A cookie counts by exactly its name and when it came once; quotes and blanks hide nothing.

    A browser lets any neighbour set "\\xa0__Host-sid": the name does not begin with the prefix.
    """
    assert exchange("GET", "/", ("Cookie", header)).cookie("__Host-sid") == value


def test_two_cookie_headers_are_one(build: Builder) -> None:
    """HTTP/2 may send each cookie in a field of its own (RFC 9113 section 8.2.3)."""
    asked = exchange("GET", "/", ("Cookie", "a=b"), ("Cookie", "__Host-sid=s"))
    assert asked.cookie("__Host-sid") == "s"
    asked = exchange("GET", "/", ("Cookie", "__Host-sid=t"), ("Cookie", "__Host-sid=s"))
    assert asked.cookie("__Host-sid") is None


# The step


@pytest.mark.parametrize("kind", [TextHead, RawHead])
def test_on_its_way_out(build: Builder, kind: Any) -> None:
    """The application's cookies are completed, bylaw's own follow, one word for each name."""
    depart = CONTROL.steps["depart"](build.house())
    pairs: Any = [
        ("Set-Cookie", "a=b"),
        ("X", "y"),
        ("Set-Cookie", "c=d; HttpOnly"),
        ("Set-Cookie", "__Host-sid=planted"),
        ("Set-Cookie", "__Host-visitor=planted"),
    ]
    if kind is RawHead:
        pairs = [(name.lower().encode(), value.encode()) for name, value in pairs]
    head = kind(200, pairs)
    asked = exchange("GET")
    asked.set_cookie("__Host-sid=; Max-Age=0")
    asked.set_cookie("__Host-visitor=v")
    asked.set_cookie("__Host-sid=new")
    depart(asked, head)
    assert head.every("set-cookie") == [
        "a=b; SameSite=Lax; Secure; HttpOnly",
        "c=d; HttpOnly; SameSite=Lax; Secure",
        "__Host-sid=new",
        "__Host-visitor=v",
    ]
    assert head.get("x") == "y"


def test_a_response_without_cookies_stays_without(build: Builder) -> None:
    """Nothing is added where nothing was set."""
    head = TextHead(200, [("X", "y")])
    CONTROL.steps["depart"](build.house())(exchange("GET"), head)
    assert head.pairs == [("X", "y")]


# The policy


@pytest.mark.requirement("S2-010", "C-09")
@pytest.mark.parametrize("anybody", ['"*"', '"https:"', '"https://spaces.test", "*"'])
def test_none_is_for_sites_that_the_policy_names(build: Builder, anybody: str) -> None:
    """Any site could show the application in a frame, signed in: SameSite=None needs the sites' names."""
    framed = f"[headers]\nframe_ancestors = [{anybody}]\n"
    embedded = '[cookies]\nsame_site = "None"\npartitioned = true\n'
    assert "any site may show this one" in build.refusal(framed + embedded)
    build.policy(framed.replace(anybody, '"https://spaces.test"') + embedded)


@pytest.mark.requirement("S2-010", "C-09")
@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('same_site = "None"', ["cookies.same_site", "with every site's requests", "partitioned = true"]),
        ('same_site = "None"\npartitioned = true', ["cookies.same_site", "headers.frame_ancestors"]),
        ('same_site = "lax"', ['cookies.same_site = "lax"']),
        ('readable = ["__Host-sid"]', ["cookies.readable.0", "never readable by script"]),
        ('readable = ["theme", "__Host-visitor"]', ["cookies.readable.1", "never readable"]),
        ('readable = ["a b"]', ["cookies.readable.0"]),
        ('readable = [""]', ["cookies.readable.0"]),
        ("secure = false", ["cookies.secure", "no such key"]),
        ('off = true\nbecause = "we wanted to"', ["cookies.off", "nobody could sign in"]),
        ("http_only = false", ["cookies.http_only", "no such key"]),
    ],
)
def test_a_policy_that_cannot_be_kept(build: Builder, text: str, said: list[str]) -> None:
    """What would send the session to others, or show it to scripts, refuses to start."""
    refusal = build.refusal(f"[cookies]\n{text}")
    assert all(part in refusal for part in said), refusal


@pytest.mark.requirement("S1-076", "S2-009")
def test_production_without_https(build: Builder) -> None:
    """Production over http refuses to start: no cookie of it would be Secure."""
    refusal = build.refusal("", BASE_URL="http://intranet.acme.eu")
    assert "production cookies are Secure" in refusal


def test_partitioned_without_https(build: Builder) -> None:
    """A partitioned cookie that no browser would take refuses to start, in development as well."""
    refusal = build.refusal("[cookies]\npartitioned = true", **DEVELOPMENT)
    assert "cookies.partitioned" in refusal
    assert "over https alone" in refusal


def test_the_statement(build: Builder) -> None:
    """What SECURITY.md says: the name, the attributes, and which cookies scripts may read."""
    said = CONTROL.statement(build.policy('[cookies]\nreadable = ["theme", "lang"]'))
    assert said[0].startswith("The session's cookie is `__Host-sid`, Secure, HttpOnly, SameSite=Lax, Path=/")
    assert said[2] == "Readable by script: `theme`, `lang`."
    said = CONTROL.statement(build.policy(**DEVELOPMENT))
    assert said[0].startswith("The session's cookie is `sid`, HttpOnly, SameSite=Lax, Path=/")
    assert len(said) == 2


# Stories, through Flask and FastAPI


@pytest.mark.requirement("S1-076", "S1-077", "S1-078", "S2-008", "S2-009")
def test_every_set_cookie_in_production(laboratory: Laboratory) -> None:
    """A039: cookies of signing in and out, of refusals, redirects and forms, are all locked down."""
    alice = laboratory.person("editor")
    alice.cookies[laboratory.cookie] = "x" * 43
    replies = [
        alice.page(laboratory.url("sessions")),  # 303 to the sign-in page, and an unknown session
        alice.page(laboratory.url("sign_in")),
        laboratory.sign_in(alice),
        alice.get("/greeting?lang=de"),
        alice.act("POST", laboratory.url("sign_out")),
        laboratory.visitor().send(
            "POST",
            laboratory.url("sign_in"),
            form={},
            headers=[("Accept", "text/html"), ("Origin", "https://app.lab")],
        ),
    ]
    seen = [cookie for reply in replies for cookie in reply.all("set-cookie")]
    assert {reply.status for reply in replies} >= {200, 303, 403}
    assert {cookie.partition("=")[0] for cookie in seen} >= {"__Host-sid", "__Host-visitor", "lang"}
    for cookie in seen:
        assert {"secure", "httponly", "samesite=lax", "path=/"} <= attributes(cookie), cookie
        assert not any(a.startswith("domain") for a in attributes(cookie))


@pytest.mark.requirement("S1-078", "C-09")
def test_strict_all_the_way(starting: Callable[..., Laboratory]) -> None:
    """With Strict in the policy, signing in over HTTP gives a Strict cookie, and it is enough to be known."""
    laboratory = starting(NOTES + '\n[cookies]\nsame_site = "Strict"\n')
    alice = laboratory.person("editor")
    reply = laboratory.sign_in(alice)
    assert "samesite=strict" in attributes(reply.all("set-cookie")[0])
    assert laboratory.whoami(alice).status == 200


def test_scripts_read_what_the_policy_lets_them(starting: Callable[..., Laboratory]) -> None:
    """A cookie that the policy names is left readable, and no other is."""
    laboratory = starting(NOTES + '\n[cookies]\nreadable = ["lang"]\n')
    cookie = laboratory.visitor().get("/greeting").all("set-cookie")
    assert len(cookie) == 1
    assert "httponly" not in attributes(cookie[0])
    assert {"secure", "samesite=lax"} <= attributes(cookie[0])


def test_a_hole_in_the_application_plants_no_session(laboratory: Laboratory) -> None:
    """Whoever can make the application set a cookie of any name cannot fix a visitor's session."""
    mallory = laboratory.client("user")
    value = mallory.cookies[laboratory.cookie]
    planted = [("Set-Cookie", f"{laboratory.cookie}={value}; Path=/; Secure"), ("Set-Cookie", "theme=dark")]
    victim = laboratory.visitor()
    with laboratory.answering(200, planted):
        victim.get("/")
    assert set(victim.cookies) == {"theme"}


# Proof


@pytest.mark.parametrize("probe", CONTROL.probes, ids=lambda probe: probe.name)
@pytest.mark.requirement("S2-010")
def test_the_promise_holds_where_it_is_embedded(starting: Callable[..., Laboratory], probe: Any) -> None:
    """The probes know what the policy says: they pass for an application in another site's frame."""
    result = attempt(CONTROL, probe, starting(NOTES + EMBEDDED))
    assert result.outcome == "pass", result.evidence
