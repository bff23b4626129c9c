"""Cross-site request forgery: where a request came from, and whether it was meant."""

from __future__ import annotations

import datetime
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import pytest
from fastapi import FastAPI, WebSocket
from hypothesis import given as examples
from hypothesis import strategies as st

from bylaw.controls import csrf
from bylaw.controls import headers as headers_control
from bylaw.controls.cookies import SESSION, VISITOR
from bylaw.controls.csrf import CONTROL, forms
from bylaw.exchange import ALLOW, Exchange, Malformed, PairHeaders, Refuse, TextHead, Verdict
from bylaw.fastapi import Bylaw, Permit
from bylaw.identity import Identity
from bylaw.keys import KeyRing
from bylaw.store.memory import Remembered
from bylaw.verify.client import Client
from bylaw.verify.laboratory import Laboratory
from bylaw.verify.runner import attempt
from bylaw.verify.target import Target
from tests.applications import fastapi_app, flask_app
from tests.controls.houses import OWN, Builder, decided, exchange, given

FOREIGN = "https://evil.test"
URLENCODED = "application/x-www-form-urlencoded"
MULTIPART = "multipart/form-data; boundary=b"
NOTES = (flask_app.POLICY).read_text("utf-8")
CREATE: dict[str, Callable[[Path], Any]] = {
    "flask": flask_app.create_app,
    "fastapi": fastapi_app.create_app,
}


@pytest.fixture(scope="module")
def build(tmp_path_factory: pytest.TempPathFactory) -> Builder:
    return Builder(tmp_path_factory.mktemp("csrf"))


@pytest.fixture(params=sorted(CREATE))
def starting(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[..., Laboratory]]:
    """Laboratories of the notes application on another policy: `starting(policy_text, **how)`."""
    started: list[Laboratory] = []

    def start(text: str, **how: Any) -> Laboratory:
        file = tmp_path / f"policy-{len(started)}.toml"
        file.write_text(text, "utf-8")
        target = Target("notes", lambda: CREATE[request.param](file))
        started.append(Laboratory(target, **how))
        return started[-1]

    yield start
    for laboratory in started:
        laboratory.close()


def code(verdict: Verdict) -> str:
    """The reason's code without the control's name; empty for whoever may pass."""
    if verdict is ALLOW:
        return ""
    assert isinstance(verdict, Refuse)
    assert verdict.reason.control == "csrf"
    return verdict.reason.code.partition(".")[2]


def changes(laboratory: Laboratory) -> int:
    """How often the application has changed something."""
    notes = getattr(laboratory.app, "extensions", {}).get("notes") or laboratory.app.state.notes
    return int(notes.changes)


# Where it came from: Go 1.25's table, and what is stricter here

WHERE_FROM = [
    # label, method, Sec-Fetch-Site, Origin, Go lets it pass, here
    ("same-origin", "POST", "same-origin", None, True, ""),
    ("none: the address bar", "POST", "none", None, True, ""),
    ("cross-site", "POST", "cross-site", None, False, "cross_site"),
    ("same-site", "POST", "same-site", None, False, "cross_site"),
    ("no header, no origin", "POST", None, None, True, ""),
    ("no header, own origin", "POST", None, OWN, True, ""),
    ("no header, foreign origin", "POST", None, FOREIGN, False, "cross_site"),
    ("no header, null origin", "POST", None, "null", False, "cross_site"),
    ("GET", "GET", "cross-site", None, True, ""),
    ("HEAD", "HEAD", "cross-site", None, True, ""),
    ("OPTIONS", "OPTIONS", "cross-site", None, True, ""),
    ("PUT", "PUT", "cross-site", None, False, "cross_site"),
    ("trusted origin, no header", "POST", None, "https://partner.test", True, ""),
    ("trusted origin, cross-site", "POST", "cross-site", "https://partner.test", True, ""),
    ("untrusted origin, cross-site", "POST", "cross-site", FOREIGN, False, "cross_site"),
    ("own origin, cross-site", "POST", "cross-site", OWN, False, "cross_site"),
    ("own origin, same-site", "POST", "same-site", OWN, False, "cross_site"),
    ("a page without referrer", "POST", "same-origin", "null", True, ""),
    # Stricter than Go, which believes same-origin whatever Origin says, and compares hosts alone.
    ("same-origin, foreign origin", "POST", "same-origin", FOREIGN, True, "cross_site"),
    ("none, foreign origin", "POST", "none", FOREIGN, True, "cross_site"),
    ("own host by another scheme", "POST", None, "http://app.lab", True, "cross_site"),
    ("own host, another port", "POST", None, "https://app.lab:8443", False, "cross_site"),
    ("own host, default port", "POST", None, "https://app.lab:443", False, "cross_site"),
    ("own host with a dot", "POST", None, "https://app.lab.", False, "cross_site"),
    ("own host as a prefix", "POST", None, "https://app.lab.evil.test", False, "cross_site"),
    ("own host as a suffix", "POST", None, "https://evilapp.lab", False, "cross_site"),
    ("own host as a user", "POST", None, "https://app.lab@evil.test", False, "cross_site"),
    ("own origin with a path", "POST", None, "https://app.lab/", True, "cross_site"),
    ("own origin in capitals", "POST", None, "HTTPS://APP.LAB", True, ""),
    ("trusted host as a suffix", "POST", None, "https://a.partner.test", False, "cross_site"),
    ("an empty origin", "POST", None, "", True, "cross_site"),
    ("an empty header", "POST", "", None, True, "cross_site"),
    ("an unknown value", "POST", "same-planet", None, False, "cross_site"),
    ("a value in capitals", "POST", "SAME-ORIGIN", None, False, "cross_site"),
    ("a method in small letters", "post", "cross-site", None, False, "cross_site"),
    ("a method of nobody's", "PURGE", "cross-site", None, False, "cross_site"),
    ("TRACE asks for no change", "TRACE", "cross-site", None, False, ""),
]


@pytest.mark.requirement("S1-034", "S1-038", "S2-016", "C-15", "C-18")
@pytest.mark.parametrize(
    ("label", "method", "site", "origin", "go", "here"), WHERE_FROM, ids=[row[0] for row in WHERE_FROM]
)
def test_where_a_request_came_from(
    build: Builder, label: str, method: str, site: str | None, origin: str | None, go: bool, here: str
) -> None:
    """Another site's request is told by what the browser says of it, and nothing of it is guessed."""
    house = build.house('[csrf]\ntrusted_origins = ["https://Partner.test"]')
    step = CONTROL.steps["origin"](house)
    verdict = step(exchange(method, "/", *given(Sec_Fetch_Site=site, Origin=origin)))
    assert code(verdict) == here
    if not go and method != "TRACE":
        assert here == "cross_site", "never laxer than Go's CrossOriginProtection"


@pytest.mark.parametrize("status", [400, 403])
@pytest.mark.requirement("S1-039", "C-23")
def test_the_policy_names_the_status(build: Builder, status: int) -> None:
    """A refusal has the status that the policy names, at both steps."""
    house = build.house(f"[csrf]\nstatus = {status}")
    came = CONTROL.steps["origin"](house)(exchange("POST", "/", ("Origin", FOREIGN)))
    asked = exchange("POST")
    asked.session = session()
    meant = CONTROL.steps["intent"](house)(asked)
    assert isinstance(came, Refuse)
    assert isinstance(meant, Refuse)
    assert (came.status, meant.status) == (status, status)


@pytest.mark.parametrize("name", ["Origin", "Sec-Fetch-Site"])
def test_a_header_that_came_twice_is_read_in_no_way(build: Builder, name: str) -> None:
    """Two Origins are no origin: whichever the application believed could be the wrong one."""
    step = CONTROL.steps["origin"](build.house())
    with pytest.raises(Malformed):
        step(exchange("POST", "/", (name, OWN), (name, FOREIGN)))
    with pytest.raises(Malformed):
        step(exchange("POST", "/", (name, f"{OWN}, {FOREIGN}")))


EXEMPT = """
[[csrf.exempt]]
path = "/api/open/*"
reason = "JSON only, for scripts"
owner = "platform"
expires = 2027-03-31

[[csrf.exempt]]
path = "/api/login"
reason = "JSON only, for scripts"
owner = "platform"
expires = 2099-12-31
[exemptions]
longest = "36500d"
because = "tests must run on any day"
"""


@pytest.mark.requirement("S1-040", "S1-041", "S1-045", "S1-046", "C-17")
@pytest.mark.parametrize(
    ("method", "kind", "site", "origin", "cookie", "expected"),
    [
        ("POST", "application/json", "same-origin", OWN, True, ""),
        ("POST", "application/json; charset=utf-8", None, OWN, True, ""),
        ("POST", "Application/JSON", None, OWN, True, ""),
        ("POST", "application/merge-patch+json", None, OWN, True, ""),
        ("PATCH", "application/json", "none", None, True, ""),
        ("DELETE", None, None, OWN, True, ""),
        ("POST", "application/json", None, None, False, ""),
        ("POST", "application/json", None, None, True, "no_origin"),
        ("POST", "application/json", "cross-site", FOREIGN, True, "cross_site"),
        ("POST", "application/json", None, FOREIGN, False, "cross_site"),
        ("POST", None, None, OWN, True, "not_json"),
        ("POST", "", None, OWN, True, "not_json"),
        ("POST", "*/*", None, OWN, True, "not_json"),
        ("POST", "text/plain", None, OWN, False, "not_json"),
        ("POST", "text/plain; application/json", None, OWN, True, "not_json"),
        ("POST", "text/plain, application/json", None, OWN, True, "not_json"),
        ("POST", "application/json, text/plain", None, OWN, True, "not_json"),
        ("POST", "application/jsonp", None, OWN, True, "not_json"),
        ("POST", URLENCODED, None, OWN, True, "not_json"),
        ("POST", MULTIPART, None, OWN, True, "not_json"),
        ("PUT", "text/plain", None, OWN, True, "not_json"),
    ],
)
def test_an_exempt_path_takes_json_of_this_site(
    build: Builder,
    method: str,
    kind: str | None,
    site: str | None,
    origin: str | None,
    cookie: bool,
    expected: str,
) -> None:
    """Without a token, what a foreign form could send is refused, and so is a session of nowhere."""
    step = CONTROL.steps["origin"](build.house(EXEMPT))
    sid = f"__Host-{SESSION}=anything" if cookie else None
    fields = given(Content_Type=kind, Sec_Fetch_Site=site, Origin=origin, Cookie=sid)
    assert code(step(exchange(method, "/api/open/notes", *fields))) == expected


@pytest.mark.parametrize(
    ("path", "exempt"),
    [
        ("/api/open/notes", True),
        ("/api/open/", True),
        ("/api/open/a/b/c", True),
        ("/api/login", True),
        ("/api/open", False),
        ("/api/opening", False),
        ("/api/login/", False),
        ("/api/login/x", False),
        ("/API/LOGIN", False),
        ("/x/api/login", False),
        ("/api/open/../notes", False),
        ("/api/open/./notes", False),
        ("/api/open//notes", False),
        ("//api/open/notes", False),
    ],
)
@pytest.mark.requirement("S1-043")
def test_an_exemption_covers_what_it_names(build: Builder, path: str, exempt: bool) -> None:
    """A path that only looks exempt, or would be shortened to one that is not, needs the token."""
    asked = exchange("POST", path, ("Content-Type", "application/json"))
    asked.session = session()
    verdict = CONTROL.steps["intent"](build.house(EXEMPT))(asked)
    assert code(verdict) == ("" if exempt else "token_missing")


def test_an_exemption_ends_in_a_process_that_runs_on(build: Builder) -> None:
    """An exemption that runs out while nobody restarts the process ends all the same."""
    house = build.house(EXEMPT)
    clock = house.ports.clock
    last = datetime.datetime(2027, 3, 31, 23, 59, 59, tzinfo=datetime.UTC).timestamp()
    step = CONTROL.steps["intent"](house)
    seen = []
    for now in (last, last + 1):
        clock.at = now  # type: ignore[attr-defined]
        asked = exchange("POST", "/api/open/notes", ("Content-Type", "application/json"))
        asked.session = session()
        seen.append(code(step(asked)))
    assert seen == ["", "token_missing"]


def test_the_exemption_that_still_holds_counts(build: Builder) -> None:
    """Of two exemptions of a path, the one that has run out does not hide the other."""
    house = build.house(EXEMPT.replace('"/api/login"', '"/api/open/*"'))
    house.ports.clock.at = datetime.datetime(2030, 1, 1, tzinfo=datetime.UTC).timestamp()  # type: ignore[attr-defined]
    asked = exchange("POST", "/api/open/notes", ("Content-Type", "application/json"))
    asked.session = session()
    assert code(CONTROL.steps["intent"](house)(asked)) == ""


# WebSockets: a handshake looks like GET, bears the cookie and is never asked for a token


@pytest.mark.requirement("S1-038")
@pytest.mark.parametrize(
    ("site", "origin", "cookie", "expected"),
    [
        ("same-origin", OWN, True, ""),
        (None, OWN, True, ""),
        (None, None, False, ""),
        (None, None, True, "no_origin"),
        ("cross-site", FOREIGN, True, "cross_site"),
        (None, FOREIGN, False, "cross_site"),
        ("same-site", "https://neighbour.app.lab", True, "cross_site"),
        (None, "null", True, "cross_site"),
    ],
)
def test_a_handshake_comes_from_this_site(
    build: Builder, site: str | None, origin: str | None, cookie: bool, expected: str
) -> None:
    """Another site opens no WebSocket as the visitor (CWE-1385)."""
    house = build.house()
    sid = f"__Host-{SESSION}=anything" if cookie else None
    fields = given(Sec_Fetch_Site=site, Origin=origin, Cookie=sid)
    asked = exchange("GET", "/live", *fields, websocket=True)
    assert code(CONTROL.steps["origin"](house)(asked)) == expected
    asked.session = session()
    assert code(CONTROL.steps["intent"](house)(asked)) == "", "no browser can send a token with it"


@pytest.mark.requirement("S1-038")
def test_a_foreign_page_opens_no_websocket_in_fastapi(tmp_path: Path) -> None:
    """Through the whole stack, a foreign handshake with a reader's cookie is refused."""
    file = tmp_path / "bylaw.toml"
    file.write_text(NOTES, "utf-8")

    def create() -> FastAPI:
        app = FastAPI()
        Bylaw(app, file)

        @app.websocket("/live")
        async def live(socket: WebSocket, who: Annotated[Identity, Permit("note:read")]) -> None:
            await socket.accept()
            await socket.close()

        return app

    with Laboratory(Target("live", create)) as laboratory:
        reader = laboratory.client("user")
        transport: Any = laboratory.transport
        for headers, status in (
            ([("Origin", FOREIGN)], 403),
            ([], 403),
            ([("Origin", OWN)], 101),
            ([("Origin", OWN), ("Sec-Fetch-Site", "cross-site")], 403),
        ):
            reply = transport.handshake(reader.prepared("GET", "/live", headers=headers))
            assert reply.status == status, headers


# The token


def session(digest: str = "d" * 64) -> Remembered:
    return Remembered(digest, Identity(id="ann"), 2e9, 0.0, 0.0)


def with_token(house: Any, token: str, *, bound: Any = None, kind: str = "header") -> Exchange:
    asked = exchange("POST", "/", ("X-CSRF-Token", token))
    asked.session = bound
    return asked


@pytest.mark.requirement("S1-035", "S1-037")
def test_the_sessions_token_passes_and_no_other(build: Builder) -> None:
    """A token is different each time, good for its session as often as wanted, and for no other."""
    house = build.house()
    step = CONTROL.steps["intent"](house)
    page = exchange("GET")
    page.session = session()
    made = {csrf.token(house, page) for _ in range(20)}
    assert len(made) == 20
    for token in made:
        assert code(step(with_token(house, token, bound=session()))) == ""
        assert code(step(with_token(house, token, bound=session("e" * 64)))) == "token_wrong"


@pytest.mark.parametrize(
    ("token", "expected"),
    [
        ("", "token_missing"),
        ("x", "token_wrong"),
        (".", "token_wrong"),
        ("a.b", "token_wrong"),
        ("a" * 100_000, "token_wrong"),
        ("\xff.\xfe", "token_wrong"),
    ],
)
@pytest.mark.requirement("S1-038", "S1-039")
def test_a_token_that_was_made_up(build: Builder, token: str, expected: str) -> None:
    """Whatever stands in the header, it is the session's token or it is refused."""
    asked = with_token(build.house(), token, bound=session())
    assert code(CONTROL.steps["intent"](build.house())(asked)) == expected


def test_nothing_acts_without_a_session(build: Builder) -> None:
    """A program without a session needs no token: there is no cookie that could be abused."""
    assert code(CONTROL.steps["intent"](build.house())(exchange("POST"))) == ""


@pytest.mark.requirement("S1-041")
def test_a_form_of_bylaws_own_needs_a_token_from_visitors_too(build: Builder) -> None:
    """Signing in is forged without any session: the form's token is bound to a visitor's cookie."""
    house = build.house()
    step = CONTROL.steps["intent"](house)
    page = exchange("GET")
    token = csrf.token(house, page)
    assert csrf.token(house, page).count(".") == 1
    assert page.cookie_changes is not None
    assert len(page.cookie_changes) == 1, "one cookie for both forms of a page"
    cookie = page.cookie_changes[0].partition(";")[0]

    def post(*pairs: tuple[str, str]) -> str:
        asked = exchange("POST", "/", *pairs)
        asked.note("form", True)
        refused = code(decided(step, asked))
        assert asked.cookie_changes is None, "only a page gives out a visitor's cookie"
        return refused

    assert post(("X-CSRF-Token", token), ("Cookie", cookie)) == ""
    assert post(("X-CSRF-Token", token)) == "token_wrong"
    assert post(("X-CSRF-Token", token), ("Cookie", f"__Host-{VISITOR}=mallory")) == "token_wrong"
    assert post(("X-CSRF-Token", token), ("Cookie", f"{cookie}; {cookie}")) == "token_wrong"
    assert post(("Cookie", cookie)) == "token_missing"


def test_a_returning_visitor_keeps_the_cookie(build: Builder) -> None:
    """Two tabs of one visitor do not put each other's forms out of date."""
    house = build.house()
    page = exchange("GET", "/", ("Cookie", f"__Host-{VISITOR}=ann"))
    csrf.token(house, page)
    assert page.cookie_changes is None


def test_no_cache_keeps_a_page_of_the_application_with_a_token(build: Builder) -> None:
    """A cacheable page that bears a visitor's token is stored nowhere, with a new cookie or without."""
    house = build.house()
    for pairs in ((), (("Cookie", f"__Host-{VISITOR}=ann"),)):
        page, head = exchange("GET", "/", *pairs), TextHead(200, [("Cache-Control", "public")])
        csrf.token(house, page)
        headers_control.CONTROL.steps["depart"](house)(page, head)
        assert head.every("cache-control") == ["no-store"]


def test_a_visitors_value_never_passes_for_a_session(build: Builder) -> None:
    """A visitor who names a session's digest in the cookie gets a token for a visitor of that name."""
    house = build.house()
    page = exchange("GET", "/", ("Cookie", f"__Host-{VISITOR}=session.{'d' * 64}"))
    token = csrf.token(house, page)
    asked = with_token(house, token, bound=session())
    assert code(CONTROL.steps["intent"](house)(asked)) == "token_wrong"


@pytest.mark.requirement("C-21")
def test_a_new_secret_ends_no_token_while_the_old_one_is_accepted(build: Builder) -> None:
    """Rotating SECRET_KEY leaves the forms that people have open good, until the old one goes."""
    house = build.house()
    page = exchange("GET")
    page.session = session()
    token = csrf.token(house, page)
    old, new = b"o" * 32, b"n" * 32
    before = replace(house, keys=KeyRing([old]))
    token = csrf.token(before, page)
    for keys, expected in (([new, old], ""), ([new], "token_wrong"), ([old, new], "")):
        step = CONTROL.steps["intent"](replace(house, keys=KeyRing(keys)))
        assert code(step(with_token(house, token, bound=session()))) == expected


# The token in a form's body


def urlencoded(*fields: tuple[str, str]) -> bytes:
    return "&".join(f"{name}={value}" for name, value in fields).encode("latin-1")


def multipart(*fields: tuple[str, str], end: str = "--b--\r\n") -> bytes:
    parts = [
        f'--b\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n' for name, value in fields
    ]
    return ("".join(parts) + end).encode("latin-1")


def part(*fields: bytes) -> bytes:
    """A multipart body of one part with these header fields."""
    return b"--b\r\n" + b"\r\n".join(fields) + b"\r\n\r\nT\r\n--b--\r\n"


TOKEN = ("csrf_token", "T")
LONG = ("long", "x" * csrf.PEEKED)


@pytest.mark.parametrize(
    ("label", "fields", "expected"),
    [
        ("first", [TOKEN, ("a", "1")], "T"),
        ("last", [("a", "1"), TOKEN], "T"),
        ("alone", [TOKEN], "T"),
        ("first, before much else", [TOKEN, LONG, LONG], "T"),
        ("behind 64 KiB", [LONG, TOKEN], None),
        ("cut off", [("a", "x" * (csrf.PEEKED - 80)), ("csrf_token", "T" * 200)], None),
        ("twice", [TOKEN, ("a", "1"), TOKEN], None),
        ("twice, two values", [TOKEN, ("csrf_token", "U")], None),
        ("missing", [("a", "1")], None),
        ("by another name", [("csrf_token2", "T"), ("xcsrf_token", "T"), ("CSRF_TOKEN", "T")], None),
        ("empty", [("csrf_token", "")], ""),
        ("nothing at all", [], None),
    ],
)
@pytest.mark.parametrize("encode", [urlencoded, multipart])
@pytest.mark.requirement("S1-036")
def test_the_token_of_a_body(
    encode: Callable[..., bytes], label: str, fields: list[tuple[str, str]], expected: str | None
) -> None:
    """The token is read where a form has it, and two of them are none."""
    body = encode(*fields)
    kind = URLENCODED if encode is urlencoded else MULTIPART
    start, whole = body[: csrf.PEEKED], len(body) <= csrf.PEEKED
    assert forms.token(start, whole, kind, "csrf_token") == expected


@pytest.mark.parametrize(
    ("label", "kind", "body"),
    [
        ("no boundary", "multipart/form-data", multipart(TOKEN)),
        ("an empty boundary", 'multipart/form-data; boundary=""', multipart(TOKEN)),
        ("another boundary", "multipart/form-data; boundary=c", multipart(TOKEN)),
        ("a boundary of 1000", f"multipart/form-data; boundary={'b' * 1000}", multipart(TOKEN)),
        ("not multipart", MULTIPART, b"csrf_token=T"),
        (
            "a file of that name",
            MULTIPART,
            part(b'Content-Disposition: form-data; name="csrf_token"; filename="f"'),
        ),
        ("a name in another header", MULTIPART, part(b'X: form-data; name="csrf_token"')),
        (
            "a header of 600 bytes",
            MULTIPART,
            part(b"Content-Disposition: form-data; " + b"a=b;" * 150 + b' name="csrf_token"'),
        ),
        ("an unfinished part", MULTIPART, multipart(TOKEN, end="")[:-2]),
        ("too many fields", URLENCODED, urlencoded(*[("a", "1")] * 1001, TOKEN)),
    ],
    ids=lambda value: value if isinstance(value, str) and len(value) < 30 else "",
)
def test_what_is_no_form_has_no_token(label: str, kind: str, body: bytes) -> None:
    """A body that is not what its type says bears no token, and is no error either."""
    assert forms.token(body, True, kind, "csrf_token") is None


def test_a_value_is_decoded_as_a_browser_encodes_it() -> None:
    """Plus and percent are undone; a header's case and further headers do not matter."""
    assert forms.token(b"csrf%5Ftoken=a%2Eb+c", True, URLENCODED, "csrf_token") == "a.b c"
    body = part(b"Content-Type: text/plain", b"CONTENT-DISPOSITION: form-data; name=csrf_token")
    assert forms.token(body, True, "Multipart/Form-Data; boundary=b", "csrf_token") == "T"


@examples(
    start=st.binary(max_size=400)
    | st.builds(
        b"".join,
        st.lists(
            st.sampled_from(
                [
                    b"--b",
                    b"--b--",
                    b"\r\n",
                    b"\r",
                    b"\n",
                    b"Content-Disposition: ",
                    b'form-data; name="csrf_token"',
                    b'; filename="',
                    b":",
                    b"x",
                    b"&",
                    b"csrf_token=",
                    b"%",
                    b"\xff",
                    b"\0",
                ]
            ),
            max_size=30,
        ),
    ),
    whole=st.booleans(),
    kind=st.sampled_from([URLENCODED, MULTIPART, 'multipart/form-data; boundary="', ""])
    | st.text(st.characters(max_codepoint=255), max_size=60),
)
def test_any_body_has_a_token_or_none(start: bytes, whole: bool, kind: str) -> None:
    """Whatever is sent as a form, reading its token is no error."""
    found = forms.token(start, whole, kind, "csrf_token")
    assert found is None or isinstance(found, str)


LATIN = st.text(st.characters(max_codepoint=255), max_size=60)


@examples(
    method=st.sampled_from(["POST", "GET", "DELETE", "post", ""]) | LATIN,
    path=st.text(max_size=40).map(lambda text: "/" + text),
    pairs=st.lists(
        st.tuples(
            st.sampled_from(["Origin", "Sec-Fetch-Site", "Cookie", "Content-Type", "Host", "X-CSRF-Token"]),
            LATIN
            | st.sampled_from(
                [
                    OWN,
                    "null",
                    "same-origin",
                    "cross-site",
                    URLENCODED,
                    MULTIPART,
                    f"__Host-{SESSION}=x",
                    "application/json",
                    "https://[::1",
                ]
            ),
        ),
        max_size=6,
    ),
    body=st.binary(max_size=200),
    known=st.booleans(),
)
def test_any_request_gets_a_verdict(
    build: Builder, method: str, path: str, pairs: list[tuple[str, str]], body: bytes, known: bool
) -> None:
    """No header, path or body makes the control stumble: it decides, or says that it cannot be read."""
    house = HOUSES.setdefault("exempt", build.house(EXEMPT))
    asked = Exchange(method=method, path=path, headers=PairHeaders(pairs))
    asked.session = session() if known else None
    for phase in ("origin", "intent"):
        try:
            verdict = decided(CONTROL.steps[phase](house), asked, body)
        except Malformed:
            continue
        assert code(verdict) in {"", *(reason.code.partition(".")[2] for reason in CONTROL.reasons)}


HOUSES: dict[str, Any] = {}


# The policy


@pytest.mark.requirement("S1-043", "S1-044", "S1-045")
@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('trusted_origins = ["*"]', ["csrf.trusted_origins.0", "any site could act with the visitor's"]),
        ('trusted_origins = ["https://*.acme.eu"]', ["any site could act"]),
        ('trusted_origins = ["https://a.test", "null"]', ["csrf.trusted_origins.1", "is not an origin"]),
        ('trusted_origins = ["a.test"]', ["is not an origin"]),
        ('trusted_origins = ["http://a.test"]', ["is not an origin", "https in production"]),
        ('trusted_origins = ["https://a.test/"]', ["is not an origin"]),
        ('trusted_origins = ["https://a.test/path"]', ["is not an origin"]),
        ('trusted_origins = ["https://a.test?q"]', ["is not an origin"]),
        ('trusted_origins = ["https://a.test#f"]', ["is not an origin"]),
        ('trusted_origins = ["https://u@a.test"]', ["is not an origin"]),
        ('trusted_origins = ["https://"]', ["is not an origin"]),
        ('trusted_origins = ["https:///path"]', ["is not an origin"]),
        ('trusted_origins = ["ftp://a.test"]', ["is not an origin"]),
        ('trusted_origins = ["https://a.test, https://b.test"]', ["is not an origin"]),
        ('trusted_origins = ["https://a.test:443"]', ["is not an origin as browsers send it"]),
        ('trusted_origins = ["https://bücher.test"]', ["is not an origin"]),
        ('trusted_origins = [""]', ["is not an origin"]),
        ("status = 401", ["csrf.status = 401", "400", "403"]),
        ('header = "X CSRF"', ["csrf.header"]),
        ('field = "csrf token"', ["csrf.field"]),
        ("statuss = 400", ["csrf.statuss", "no such key", "nearest: status"]),
        ("off = true", ["csrf.off = true", "without a reason"]),
    ],
)
def test_a_policy_that_cannot_be_kept(build: Builder, text: str, said: list[str]) -> None:
    """What would let others in, or could never match, refuses to start and says where."""
    refusal = build.refusal(f"[csrf]\n{text}")
    assert all(part in refusal for part in said), refusal
    assert "bylaw.toml:2" in refusal


ENTRY = '[[csrf.exempt]]\npath = "{path}"\nreason = "{reason}"\nowner = "{owner}"\nexpires = {expires}\n'
LASTING = '[exemptions]\nlongest = "36500d"\nbecause = "tests must run on any day"\n'
SOUND = {"path": "/api/open/*", "reason": "JSON only, for scripts", "owner": "tests", "expires": "2099-12-31"}


@pytest.mark.requirement("S1-043", "S1-044")
@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"path": "/*"}, ["csrf.exempt.0.path", "covers the whole site, or nothing"]),
        ({"path": "/api*"}, ["covers the whole site, or nothing"]),
        ({"path": "/api/*/x"}, ["covers the whole site, or nothing"]),
        ({"path": "/api/**"}, ["covers the whole site, or nothing"]),
        ({"path": "api"}, ["csrf.exempt.0.path"]),
        ({"path": "/api?x"}, ["csrf.exempt.0.path"]),
        ({"reason": "because"}, ["csrf.exempt.0.reason"]),
        ({"owner": "x"}, ["csrf.exempt.0.owner"]),
        ({"expires": "2020-01-31"}, ["the exemption of /api/open/* expired on 2020-01-31"]),
        ({"expires": "true"}, ["csrf.exempt.0.expires"]),
    ],
)
def test_an_exemption_that_cannot_be_kept(build: Builder, change: dict[str, str], said: list[str]) -> None:
    """An exemption without reason, owner or future, or for everything, refuses to start."""
    assert build.refusal(ENTRY.format(**SOUND) + LASTING) == ""
    refusal = build.refusal(ENTRY.format(**{**SOUND, **change}) + LASTING)
    assert all(part in refusal for part in said), refusal


@pytest.mark.parametrize("key", ["path", "reason", "owner", "expires"])
@pytest.mark.requirement("S1-043", "S1-044")
def test_an_exemption_says_everything(build: Builder, key: str) -> None:
    """None of an exemption's four facts may be left out."""
    lines = [line for line in (ENTRY.format(**SOUND) + LASTING).splitlines() if not line.startswith(key)]
    refusal = build.refusal("\n".join(lines))
    assert f"csrf.exempt.0.{key}" in refusal


@pytest.mark.requirement("S1-042", "S1-046")
def test_an_alias_needs_an_exemption_of_its_endpoint(build: Builder) -> None:
    """A second name inside an exempt path would take the token from an endpoint that asks for it."""
    alias = '[pages.aliases]\n"/api/open/password" = "/auth/api_password"\n'
    refusal = build.refusal(alias + ENTRY.format(**SOUND) + LASTING)
    assert "an exemption would cover /auth/api_password by this name" in refusal
    own = ENTRY.format(**{**SOUND, "path": "/auth/api_password"})
    assert build.refusal(alias + ENTRY.format(**SOUND) + own + LASTING) == ""


@pytest.mark.requirement("C-18")
@pytest.mark.parametrize(
    "origin",
    [
        "https://partner.acme.eu",
        "https://partner.acme.eu:8443",
        "https://[2001:db8::1]:8443",
        "https://xn--bcher-kva.test",
    ],
)
def test_an_origin_that_browsers_send(build: Builder, origin: str) -> None:
    """Whole origins may be trusted, by name, number and port."""
    assert build.refusal(f'[csrf]\ntrusted_origins = ["{origin}"]') == ""


def test_development_may_trust_plain_http(build: Builder) -> None:
    """Only where development was asked for may another origin come without encryption."""
    text = '[csrf]\ntrusted_origins = ["http://127.0.0.1:5173"]'
    assert build.refusal(text, BYLAW_ENV="development", BASE_URL="http://127.0.0.1:5000") == ""
    text = '[csrf]\ntrusted_origins = ["http://127.0.0.1:80"]'
    assert "as browsers send it" in build.refusal(text, BYLAW_ENV="development")


@pytest.mark.requirement("S1-043", "S1-044")
def test_the_statement_names_every_exemption(build: Builder) -> None:
    """What SECURITY.md says: the rule, the status, who else is trusted, and each exemption with why."""
    text = (
        '[csrf]\nstatus = 400\ntrusted_origins = ["https://partner.test"]' + ENTRY.format(**SOUND) + LASTING
    )
    text = text.replace("][[", "]\n[[")
    said = CONTROL.statement(build.policy(text))
    assert said[1] == "A refused request gets 400 and changes nothing."
    assert "https://partner.test" in said[2]
    assert said[3] == (
        "Exempt from the token, until 2099-12-31: `/api/open/*` (JSON only, for scripts; "
        "JSON only, same origin enforced; owner: tests)."
    )
    assert len(CONTROL.statement(build.policy())) == 2


# Stories, through Flask and FastAPI


@pytest.mark.requirement("S1-034", "S1-038", "S1-039", "C-15")
@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_no_token_or_a_wrong_one_changes_nothing(laboratory: Laboratory, method: str) -> None:
    """A098: with an editor's cookie and no token, a wrong one or one in the address, nothing changes."""
    manager = laboratory.client("manager")
    assert manager.act("POST", "/api/notes", json={"text": "first"}).status == 201
    before = changes(laboratory)
    path = "/api/notes" if method == "POST" else "/api/notes/1"
    token = manager.token()
    for headers, target, reason in (
        ([], path, "csrf.token_missing"),
        ([("X-CSRF-Token", secrets.token_urlsafe(20))], path, "csrf.token_wrong"),
        ([("X-CSRF-Token", "")], path, "csrf.token_missing"),
        ([], f"{path}?csrf_token={token}", "csrf.token_missing"),
        ([("Cookie2", f"csrf_token={token}")], path, "csrf.token_missing"),
    ):
        reply = manager.send(method, target, headers=[*manager.from_here, *headers], json={"text": "x"})
        assert (reply.status, reply.code) == (403, reason), headers
    assert changes(laboratory) == before
    assert manager.get("/api/notes").status == 200
    assert manager.act(method, path, json={"text": "meant"}).status in (200, 201)
    assert changes(laboratory) == before + 1


@pytest.mark.requirement("S1-034", "S1-038")
def test_safe_methods_are_unaffected(laboratory: Laboratory) -> None:
    """A098: reading needs no token, from wherever the link was."""
    reader = laboratory.client("user")
    for method in ("GET", "HEAD", "OPTIONS"):
        reply = reader.send(method, "/api/notes", headers=[("Sec-Fetch-Site", "cross-site")])
        assert not reply.code.startswith("csrf."), method


@pytest.mark.requirement("S1-035")
def test_the_token_of_another_session(laboratory: Laboratory) -> None:
    """A099: mallory's tokens, alice's from before signing in and her past one fail in alice's session."""
    mallory, stranger = laboratory.client("editor"), laboratory.visitor()
    alice = laboratory.person("editor")
    before = alice.token()
    assert laboratory.sign_in(alice).status == 200
    past = alice.token()
    assert alice.act("POST", laboratory.api("sign_out"), json={}).status == 200
    assert laboratory.sign_in(alice).status == 200
    for token in (mallory.token(), stranger.token(), before, past):
        headers = [*alice.from_here, (alice.token_header, token)]
        reply = alice.send("POST", "/api/notes", headers=headers, json={"text": "x"})
        assert (reply.status, reply.code) == (403, "csrf.token_wrong")
    assert changes(laboratory) == 0


@pytest.mark.requirement("C-17", "S1-040")
@pytest.mark.parametrize("path", ["/api/notes", "/api/open/notes"])
@pytest.mark.parametrize("kind", ["text/plain", URLENCODED, None, "*/*", "application/json"])
def test_json_smuggled_as_a_simple_request(laboratory: Laboratory, path: str, kind: str | None) -> None:
    """A100: a foreign page posts JSON under a type that needs no preflight."""
    editor = laboratory.client("editor")
    typed = [("Content-Type", kind)] if kind else []
    for origin in ([("Origin", FOREIGN)], [("Sec-Fetch-Site", "cross-site")], [("Origin", "null")], []):
        reply = editor.send("POST", path, headers=[*origin, *typed], body=b'{"text": "smuggled"}')
        assert reply.status in (403, 415), (origin, kind)
        assert reply.code.startswith("csrf.") or reply.code == "body.unsupported_type"
    assert changes(laboratory) == 0


@pytest.mark.requirement("S1-040", "S1-046")
def test_the_exempt_path_takes_json_of_this_site(laboratory: Laboratory) -> None:
    """A script of this site sends JSON to an exempt path without a token; a form cannot."""
    editor = laboratory.client("editor")
    sent = editor.send("POST", "/api/open/notes", headers=editor.from_here, json={"text": "meant"})
    assert sent.status == 201
    reply = editor.send("POST", "/api/open/notes", headers=editor.from_here, form={"text": "x"})
    assert reply.code == "csrf.not_json"
    reply = editor.send("POST", "/api/open/notes", json={"text": "x"})
    assert reply.code == "csrf.no_origin"
    assert changes(laboratory) == 1


@pytest.mark.requirement("S1-038")
def test_nothing_changes_by_get(laboratory: Laboratory) -> None:
    """A102: an image of another site at every address that changes something changes nothing."""
    editor = laboratory.client("editor")
    image = [("Sec-Fetch-Site", "cross-site"), ("Sec-Fetch-Mode", "no-cors"), ("Sec-Fetch-Dest", "image")]
    for method, path, _ in laboratory.routes():
        if method == "POST":
            reply = editor.send("GET", path, headers=image, keep=False)
            assert reply.status < 500, path
    assert changes(laboratory) == 0
    assert laboratory.whoami(editor).status == 200
    assert editor.send("GET", laboratory.url("sign_out"), headers=image).status == 405


@pytest.mark.requirement("S1-041")
def test_sign_in_and_sign_up_are_not_forged(laboratory: Laboratory) -> None:
    """A104: another site signs a visitor in, or up, with credentials of its own choice."""
    mallory = laboratory.person("user")
    known = {"email": mallory.email, "password": mallory.password}
    foreign = [("Origin", FOREIGN), ("Sec-Fetch-Site", "cross-site")]
    for name in ("sign_in", "sign_up"):
        ways: list[tuple[str, dict[str, Any]]] = [
            (laboratory.url(name), {"form": known}),
            (laboratory.api(name), {"json": known}),
            (laboratory.api(name), {"form": known}),
        ]
        for target, how in ways:
            visitor = laboratory.visitor()
            reply = visitor.send("POST", target, headers=foreign, **how)
            assert (reply.status, reply.code) == (403, "csrf.cross_site"), target
            assert not reply.all("set-cookie")
    assert laboratory.mail() == []
    program = laboratory.visitor()
    assert program.send("POST", laboratory.api("sign_in"), json=known).status == 200, (
        "a program says nothing of where it is: the documented rule"
    )


@pytest.mark.requirement("S1-035")
def test_naive_double_submit(laboratory: Laboratory) -> None:
    """A107: a sibling sub-domain plants a cookie and sends the same value as the token."""
    alice = laboratory.client("editor")
    sid = f"{laboratory.cookie}={alice.cookies[laboratory.cookie]}"
    planted = laboratory.visitor()
    theirs = planted.token()
    visitor = planted.cookies[f"__Host-{VISITOR}"]
    for cookies, token in (
        (f"{sid}; csrf_token=mine", "mine"),
        (f"{sid}; csrf_token=mine; csrf_token=mine", "mine"),
        (f"{sid}; __Host-{VISITOR}={visitor}", theirs),
        (f"{sid}; __Host-{VISITOR}={visitor}", visitor),
        (f'{sid}; a="; __Host-{VISITOR}={visitor}; b="', theirs),
        (f"__Host-{VISITOR}={visitor}; {sid}; =; ;;{sid[:3]}", theirs),
    ):
        headers = [*alice.from_here, ("Cookie", cookies), (alice.token_header, token)]
        reply = alice.send("POST", "/api/notes", headers=headers, json={"text": "x"}, keep=False)
        assert (reply.status, reply.code) == (403, "csrf.token_wrong"), cookies
    assert changes(laboratory) == 0


@contextmanager
def browsing(laboratory: Laboratory) -> Iterator[tuple[Client, str]]:
    """An editor on the page with the form, and the form's token."""
    editor = laboratory.client("editor")
    editor.token_page = "/page"
    yield editor, editor.token()


def posted(editor: Client, kind: str, body: bytes, **how: Any) -> Any:
    return editor.send("POST", "/form", headers=[*editor.from_here, ("Content-Type", kind)], body=body, **how)


@pytest.mark.requirement("S1-036")
@pytest.mark.parametrize(("kind", "encode"), [(URLENCODED, urlencoded), (MULTIPART, multipart)])
def test_a_page_of_the_application_posts_its_form(
    laboratory: Laboratory, kind: str, encode: Callable[..., bytes]
) -> None:
    """The form has the hidden field, its post passes, and the application reads the body as it was."""
    with browsing(laboratory) as (editor, token):
        assert '<input type="hidden" name="csrf_token" value="' in editor.page("/page").text
        for text in ("short", "x" * 30_000, "y" * 200_000):
            reply = posted(editor, kind, encode(("csrf_token", token), ("text", text)))
            assert reply.status == 200
            assert reply.json()["text"] == text
        assert changes(laboratory) == 3


@pytest.mark.requirement("S1-036", "S1-039")
@pytest.mark.parametrize(("kind", "encode"), [(URLENCODED, urlencoded), (MULTIPART, multipart)])
def test_a_form_without_its_token_where_it_belongs(
    laboratory: Laboratory, kind: str, encode: Callable[..., bytes]
) -> None:
    """No token, two tokens, and one behind 64 KiB of something else: refused, and nothing changes."""
    with browsing(laboratory) as (editor, token):
        for fields in (
            [("text", "x")],
            [("csrf_token", token), ("csrf_token", token), ("text", "x")],
            [("text", "x" * 70_000), ("csrf_token", token)],
            [("csrf_token", "made.up"), ("text", "x")],
        ):
            reply = posted(editor, kind, encode(*fields))
            assert reply.status == 403
            assert reply.code in ("csrf.token_missing", "csrf.token_wrong")
        assert changes(laboratory) == 0


@pytest.mark.parametrize(("kind", "encode"), [(URLENCODED, urlencoded), (MULTIPART, multipart)])
def test_a_form_that_arrives_in_pieces(
    laboratory: Laboratory, kind: str, encode: Callable[..., bytes]
) -> None:
    """A body that trickles in, a few bytes at a time and of no announced length, is read like any other."""
    with browsing(laboratory) as (editor, token):
        body = encode(("csrf_token", token), ("text", "z" * 5_000))
        pieces = tuple(body[i : i + 7] for i in range(0, len(body), 7))
        reply = posted(editor, kind, b"", chunks=pieces)
        assert reply.status == 200
        assert reply.json()["text"] == "z" * 5_000


@pytest.mark.requirement("C-21")
def test_a_form_survives_the_rotation_of_the_secret(starting: Callable[..., Laboratory]) -> None:
    """A page opened before SECRET_KEY was changed can still be sent, until the old secret is taken out."""
    rotating = NOTES + '\n[secrets]\nprevious = ["env:OLD_KEY?"]\n'
    old, new = secrets.token_hex(32), secrets.token_hex(32)
    first = starting(rotating, environ={"SECRET_KEY": old})
    editor = first.client("editor")
    headers = [*editor.from_here, (editor.token_header, editor.token())]
    for environ, status in (
        ({"SECRET_KEY": new, "OLD_KEY": old}, 201),
        ({"SECRET_KEY": new}, 403),
    ):
        later = starting(rotating, database=first.database, environ=environ)
        editor.transport = later.transport
        reply = editor.send("POST", "/api/notes", headers=headers, json={"text": "kept"})
        assert reply.status == status


@pytest.mark.requirement("S1-037", "S1-039")
def test_the_company_policy_names_header_field_and_status(starting: Callable[..., Laboratory]) -> None:
    """The source policy's words: X-CSRFToken, and exactly 400 for a missing and for a wrong token."""
    laboratory = starting(NOTES + '\n[csrf]\nstatus = 400\nheader = "X-CSRFToken"\nfield = "token"\n')
    editor = laboratory.client("editor")
    for headers in ([], [("X-CSRFToken", "wrong.wrong")], [("X-CSRF-Token", editor.token())]):
        reply = editor.send("POST", "/api/notes", headers=[*editor.from_here, *headers], json={"text": "x"})
        assert reply.status == 400
    reply = editor.send("POST", "/api/notes", headers=[("Origin", FOREIGN)], json={"text": "x"})
    assert (reply.status, reply.code) == (400, "csrf.cross_site")
    assert editor.act("POST", "/api/notes", json={"text": "x"}).status == 201


@pytest.mark.requirement("S1-041", "S1-042")
def test_exempt_sign_in_under_both_of_its_names(starting: Callable[..., Laboratory]) -> None:
    """The exempt sign-in and its address of before take JSON of this site, and nothing of another."""
    entries = "".join(ENTRY.format(**{**SOUND, "path": path}) for path in ("/auth/api_login", "/api/login"))
    laboratory = starting(f'{NOTES}\n[pages.aliases]\n"/api/login" = "/auth/api_login"\n{entries}')
    for path in ("/auth/api_login", "/api/login"):
        alice = laboratory.person("editor")
        known = {"email": alice.email, "password": alice.password}
        for how, reason in (
            ({"form": known}, "csrf.not_json"),
            ({"json": known, "headers": [("Origin", FOREIGN)]}, "csrf.cross_site"),
            ({"json": known, "headers": [("Content-Type", "text/plain")]}, "csrf.not_json"),
        ):
            reply = alice.send("POST", path, **how)
            assert (reply.status, reply.code) == (403, reason), path
        assert alice.cookies == {}
        assert alice.send("POST", path, headers=alice.from_here, json=known).status == 200
        again = alice.send("POST", path, headers=alice.from_here, json=known)
        assert again.status == 200, "no token, signed in or not"
        assert alice.send("POST", path, json=known).code == "csrf.no_origin"


def test_a_page_with_a_visitors_token_is_stored_nowhere(laboratory: Laboratory) -> None:
    """A cache that kept a page would give its token to the next visitor."""
    visitor = laboratory.visitor()
    for _ in range(2):  # with a new cookie, and with one that is there already
        assert visitor.page(laboratory.url("sign_in")).all("cache-control") == ["no-store"]


# Proof


def test_probes_look_only_where_the_policy_lets_them(starting: Callable[..., Laboratory]) -> None:
    """Where the policy exempts bylaw's own paths, the probes say that they could not look."""
    entry = ENTRY.format(**{**SOUND, "path": "/auth/*"})
    laboratory = starting(NOTES.partition("[[csrf")[0] + entry + LASTING)
    seen = {p.name: attempt(CONTROL, p, laboratory).outcome for p in CONTROL.probes}
    assert seen["a_session_acts_only_with_its_token"] == "not_examined"
    assert seen["a_stranger_cannot_be_signed_in_by_another_site"] == "not_examined"
    assert seen["a_form_bears_its_token_once_and_first"] == "not_examined"
    assert seen["exempt_paths_take_json_of_this_site_alone"] == "pass"
    assert "fail" not in seen.values()
