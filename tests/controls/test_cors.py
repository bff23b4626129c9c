"""Cross-origin reads: who may read answers, what a preflight grants, and what is refused here."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given as examples
from hypothesis import strategies as st

from bylaw.controls import cors, csrf
from bylaw.controls.cors import CONTROL
from bylaw.exchange import ALLOW, Answer, Exchange, RawHead, Refuse, TextHead
from bylaw.routes import Route
from bylaw.verify.client import Reply
from bylaw.verify.laboratory import Bench, Laboratory
from bylaw.verify.runner import attempt
from bylaw.verify.target import Target
from tests.applications import fastapi_app, flask_app
from tests.controls.houses import OWN, Builder, exchange

PARTNER = "https://partner.lab"
NOTES = flask_app.POLICY.read_text("utf-8").partition("\n[cors]")[0]
CREATE: dict[str, Callable[[Path], Any]] = {
    "flask": flask_app.create_app,
    "fastapi": fastapi_app.create_app,
}
ON = f'[cors]\norigins = ["{PARTNER}"]\n'
COOKIES = f"{ON}credentials = true\n"
DEVELOPMENT = {"BYLAW_ENV": "development", "BASE_URL": "http://127.0.0.1:5000"}
ACAO, ACAC = "access-control-allow-origin", "access-control-allow-credentials"
ACAM, ACAH = "access-control-allow-methods", "access-control-allow-headers"


@pytest.fixture(scope="module")
def build(tmp_path_factory: pytest.TempPathFactory) -> Builder:
    return Builder(tmp_path_factory.mktemp("cors"))


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


@pytest.fixture(scope="module")
def mtc() -> Iterator[Bench]:
    bench = Bench(Target.named("apps.mtc"))
    yield bench
    bench.close()


Departing = Callable[..., dict[str, list[str]]]


@pytest.fixture(params=["text", "raw"])
def depart(request: pytest.FixtureRequest, build: Builder) -> Departing:
    """What leaves when the application says `pairs`: each field's values by its name in lower case."""

    def leave(text: str, asked: Exchange, *pairs: tuple[str, str]) -> dict[str, list[str]]:
        step = CONTROL.steps["depart"](build.house(text))
        head: Any
        if request.param == "text":
            head = TextHead(200, list(pairs))
        else:
            head = RawHead(200, [(name.lower().encode(), value.encode()) for name, value in pairs])
        step(asked, head)
        left: dict[str, list[str]] = {}
        for pair in head.pairs:
            name, value = (each if isinstance(each, str) else each.decode() for each in pair)
            left.setdefault(name.lower(), []).append(value)
        return left

    return leave


def preflight(lab: Laboratory, path: str, method: str, origin: str = PARTNER, headers: str = "") -> Reply:
    asking = [("Origin", origin), ("Access-Control-Request-Method", method)]
    if headers:
        asking.append(("Access-Control-Request-Headers", headers))
    return lab.visitor().send("OPTIONS", path, headers=asking)


def grants(reply: Reply) -> dict[str, str]:
    return {k.lower(): v for k, v in reply.headers if k.lower().startswith("access-control-")}


# The published policies, as printed


@pytest.mark.requirement("S1-047", "S1-048", "S1-057", "S1-058", "S1-060", "C-18")
def test_the_worked_example_is_answered_as_it_is_printed(mtc: Bench) -> None:
    """OPTIONS /api/upf/processes in development: the five lines of the published policy, letter by letter."""
    with mtc.laboratory(DEVELOPMENT) as laboratory:
        reply = laboratory.visitor().send(
            "OPTIONS",
            "/api/upf/processes",
            headers=[
                ("Origin", "http://127.0.0.1:5000"),
                ("Access-Control-Request-Method", "POST"),
                ("Access-Control-Request-Headers", "Content-Type, X-CSRFToken"),
            ],
        )
        assert reply.status == 200
        assert reply.body == b""
        assert grants(reply) == {
            ACAO: "http://127.0.0.1:5000",
            ACAC: "true",
            ACAM: "POST, OPTIONS",
            ACAH: "Content-Type, X-CSRFToken",
            "access-control-max-age": "600",
        }
        for other in ("http://localhost:5000", "http://127.0.0.1", "https://127.0.0.1:5000"):
            assert grants(preflight(laboratory, "/api/upf/processes", "POST", other)) == {}


@pytest.mark.requirement(
    "S1-049", "S1-050", "S1-051", "S1-052", "S1-053", "S1-054", "S1-055", "S1-056", "C-18"
)
def test_the_workshop_in_production(mtc: Bench) -> None:
    """Only BASE_URL, its five methods and two header fields; no PATCH, no TRACE and no other field."""
    with mtc.laboratory() as laboratory:
        settings = laboratory.policy.of(cors.Settings)
        assert settings.origins == (laboratory.policy.app.origin,)
        assert cors.methods(settings, frozenset()) == ("GET", "POST", "PUT", "DELETE", "OPTIONS")
        assert settings.headers == ("Content-Type", "X-CSRFToken")
        own = laboratory.policy.app.origin
        for method in ("PATCH", "TRACE"):
            reply = preflight(laboratory, "/api/upf/processes/1", method, own)
            assert (reply.status, reply.code) == (403, "cors.method")
            assert ACAM not in grants(reply)
        reply = preflight(laboratory, "/api/upf/processes", "POST", own, "X-Other, X-CSRFToken")
        assert reply.header(ACAH) == "Content-Type, X-CSRFToken"
        person = laboratory.ordinary()
        reply = person.get(laboratory.api("me"), headers=[("Origin", own)])
        assert (reply.status, reply.header(ACAO), reply.header(ACAC)) == (200, own, "true")
        assert grants(person.get(laboratory.api("me"), headers=[("Origin", "https://mtc.example")])) == {}
        assert laboratory.visitor().send("TRACE", laboratory.api("me")).status == 405


REGISTER = f"""{NOTES}
[cors]
origins = ["{PARTNER}"]
credentials = true
methods = ["GET", "POST", "PUT", "DELETE"]
headers = ["Authorization", "Content-Type"]
"""


@pytest.mark.requirement("S3-046", "S3-047", "S3-048", "S3-049")
def test_the_register_of_projects(starting: Callable[..., Laboratory]) -> None:
    """An explicit list, cookies, four methods and two fields: what the third policy asks for."""
    laboratory = starting(REGISTER)
    reply = laboratory.ordinary().get("/api/notes", headers=[("Origin", PARTNER)])
    assert grants(reply) == {ACAO: PARTNER, ACAC: "true"}
    assert grants(laboratory.ordinary().get("/api/notes", headers=[("Origin", "https://evil.test")])) == {}
    assert preflight(laboratory, "/api/notes/1", "PATCH").status == 403
    reply = preflight(laboratory, "/api/notes/1", "PUT", headers="X-Other")
    assert (reply.status, reply.header(ACAH)) == (200, "Authorization, Content-Type")
    assert "PUT" in reply.header(ACAM)
    assert "PATCH" not in reply.header(ACAM)


# What a policy may say


@pytest.mark.requirement("S1-051", "S1-054", "S3-050", "S3-051", "C-18")
@pytest.mark.parametrize(
    ("origin", "words"),
    [
        ("*", "any site could read every answer"),
        ("null", "sandboxed frame"),
        ("NULL", "sandboxed frame"),
        ("https://*.acme.eu", "a pattern"),
        (r"https://.*\.acme\.eu", "a pattern"),
        ("^https://acme.eu$", "a pattern"),
        ("https://(a|b).acme.eu", "a pattern"),
        ("http://acme.eu", "not an origin as browsers send it"),
        ("acme.eu", "not an origin as browsers send it"),
        ("https://acme.eu/", "not an origin as browsers send it"),
        ("https://acme.eu/path", "not an origin as browsers send it"),
        ("https://acme.eu:443", "not an origin as browsers send it"),
        ("https://ACME.eu", "not an origin as browsers send it"),
        ("https://user@acme.eu", "not an origin as browsers send it"),
        ("https://acme.eu https://b.eu", "not an origin as browsers send it"),
        ("app://acme.eu", "not an origin as browsers send it"),
        ("", "not an origin as browsers send it"),
        ("https://yourdomain.com", "placeholder"),
        ("https://example.com", "placeholder"),
        ("https://localhost:3000", "placeholder"),
        ("https://127.0.0.1", "placeholder"),
        ("https://[::1]:8443", "placeholder"),
    ],
    ids=str,
)
def test_what_is_no_origin_refuses_to_start(build: Builder, origin: str, words: str) -> None:
    """A list that lets in more than it names, or nobody, is not taken; the reader is told what to write."""
    said = build.refusal(f"[cors]\norigins = ['{origin}']")
    assert "cors.origins.0" in said
    assert words in said


@pytest.mark.requirement("S1-054", "S3-051")
def test_every_site_with_cookies_says_how_bad_it_is(build: Builder) -> None:
    """The one combination that every policy forbids is refused in its own words."""
    said = build.refusal('[cors]\norigins = ["*"]\ncredentials = true')
    assert "any site could read answers with the visitor's cookies (credentials are on)" in said


@pytest.mark.requirement("S1-047", "S1-054")
@pytest.mark.parametrize(
    "origin", ["http://127.0.0.1:5000", "http://localhost:3000", "http://[::1]:5000", "https://acme.eu"]
)
def test_development_has_this_machine(build: Builder, origin: str) -> None:
    """Over http and on this machine is where development is; a star is one there too."""
    assert build.refusal(f'[cors]\norigins = ["{origin}"]', **DEVELOPMENT) == ""
    assert "any site" in build.refusal('[cors]\norigins = ["*"]', **DEVELOPMENT)


@pytest.mark.parametrize(
    "line",
    [
        'methods = ["TRACE"]',
        'methods = ["get"]',
        'headers = ["*"]',
        'headers = ["X-A, X-B"]',
        'headers = [""]',
        'headers = ["X\\nY"]',
        'expose = ["*"]',
        'expose = ["Set-Cookie\\r"]',
        "max_age = 86401",
        'credentials = "yes"',
    ],
)
@pytest.mark.requirement("S1-056")
def test_values_that_grant_more_than_they_say_are_refused(build: Builder, line: str) -> None:
    """TRACE, a star among the fields and two fields in one are no values."""
    assert "cors." in build.refusal(f"{ON}{line}")


# On the way out


@pytest.mark.requirement("S1-047", "S1-048", "S1-051", "S3-046")
def test_a_named_origin_is_named_in_the_answer(depart: Departing) -> None:
    """Whoever is on the list may read, with cookies where the policy says so, and what it shows."""
    text = f'{COOKIES}expose = ["X-Request-Id", "Link"]'
    assert depart(text, exchange("GET", "/", ("Origin", PARTNER))) == {
        "vary": ["Origin"],
        ACAO: [PARTNER],
        ACAC: ["true"],
        "access-control-expose-headers": ["X-Request-Id, Link"],
    }
    assert depart(ON, exchange("GET", "/", ("Origin", PARTNER))) == {"vary": ["Origin"], ACAO: [PARTNER]}


@pytest.mark.requirement("S1-047", "S1-054", "S3-051")
@pytest.mark.parametrize(
    "origins",
    [
        [],
        ["null"],
        [""],
        ["HTTPS://PARTNER.LAB"],
        [f"{PARTNER}:443"],
        [f"{PARTNER}.evil.test"],
        ["https://evilpartner.lab"],
        [f" {PARTNER}"],
        [PARTNER, PARTNER],
        [PARTNER, "https://evil.test"],
        [f"{PARTNER}, {PARTNER}"],
        ["https://partnerxlab"],
    ],
    ids=str,
)
def test_everybody_else_is_not(depart: Departing, origins: list[str]) -> None:
    """What is not the listed origin, letter by letter and once, is nobody."""
    asked = exchange("GET", "/", *(("Origin", origin) for origin in origins))
    assert depart(COOKIES, asked) == {"vary": ["Origin"]}


@examples(st.text(max_size=60))
def test_no_other_text_is_a_named_origin(build: Builder, text: str) -> None:
    """Whatever is sent as Origin, only the listed text is listed."""
    listed = frozenset(build.policy(ON).of(cors.Settings).origins)
    assert cors.is_listed(listed, text) is (text == PARTNER)


@pytest.mark.requirement("S1-054")
@pytest.mark.parametrize("text", ["", ON, COOKIES], ids=["nobody", "named", "cookies"])
@pytest.mark.parametrize("origin", ["", "https://evil.test"])
def test_the_application_has_no_say(depart: Departing, text: str, origin: str) -> None:
    """CORS middleware that was left behind the gate does not open what the policy shuts."""
    said = [(name.title(), "*") for name in sorted(cors.OWN)]
    asked = exchange("GET", "/", *([("Origin", origin)] if origin else []))
    left = depart(text, asked, *said, ("X-Other", "1"))
    assert left == {"x-other": ["1"], **({"vary": ["Origin"]} if text else {})}


@pytest.mark.requirement("S1-054")
def test_the_policy_replaces_what_the_application_says(depart: Departing) -> None:
    """One field of each name leaves, and it is the policy's."""
    asked = exchange("GET", "/", ("Origin", PARTNER))
    left = depart(ON, asked, ("Access-Control-Allow-Origin", "*"), (ACAC, "true"), (ACAO, "null"))
    assert left == {"vary": ["Origin"], ACAO: [PARTNER]}


@pytest.mark.requirement("C-18")
@pytest.mark.parametrize(
    ("said", "leaves"),
    [
        ([], ["Origin"]),
        (["Accept-Encoding"], ["Accept-Encoding, Origin"]),
        (["Cookie", "Accept"], ["Cookie, Accept, Origin"]),
        (["origin"], ["origin"]),
        (["Accept, ORIGIN ,Cookie"], ["Accept, ORIGIN ,Cookie"]),
        (["*"], ["*"]),
        (["Accept", "*"], ["Accept", "*"]),
        ([""], ["Origin"]),
        (["Original"], ["Original, Origin"]),
    ],
    ids=str,
)
def test_vary_is_merged(depart: Departing, said: list[str], leaves: list[str]) -> None:
    """A cache keeps an answer for each origin, and for whatever else the application says."""
    assert depart(ON, exchange("GET"), *(("Vary", value) for value in said))["vary"] == leaves


def test_nobody_named_leaves_vary_alone(depart: Departing) -> None:
    """Where no origin is named, no answer depends on it, and none says so."""
    assert depart("", exchange("GET", "/", ("Origin", PARTNER)), ("Vary", "Accept")) == {"vary": ["Accept"]}


# On the way in


def asked(build: Builder, text: str, *pairs: tuple[str, str], method: str = "OPTIONS") -> Any:
    house = build.house(text)
    house.routes.add(lambda method, path: Route("notes", frozenset({"GET", "POST"})))
    return CONTROL.steps["origin"](house)(exchange(method, "/notes", *pairs))


@pytest.mark.requirement("S1-057", "S1-059")
def test_what_a_preflight_is_and_what_not(build: Builder) -> None:
    """OPTIONS with an origin and a method to ask for is the browser's question; the rest passes."""
    origin, method = ("Origin", PARTNER), ("Access-Control-Request-Method", "POST")
    assert isinstance(asked(build, ON, origin, method), Answer)
    assert asked(build, ON, origin) is ALLOW
    assert asked(build, ON, method) is ALLOW
    assert asked(build, ON) is ALLOW
    assert asked(build, ON, origin, method, method="POST") is ALLOW
    assert asked(build, ON, origin, method, method="options") is ALLOW
    assert asked(build, "", origin, method) is ALLOW


@pytest.mark.requirement("S1-047", "S1-050", "S1-056", "S1-059", "S3-048")
@pytest.mark.parametrize(
    ("origin", "method", "code"),
    [
        ("https://evil.test", "POST", "cors.origin"),
        ("null", "POST", "cors.origin"),
        (OWN, "POST", "cors.origin"),
        (PARTNER, "PATCH", "cors.method"),
        (PARTNER, "TRACE", "cors.method"),
        (PARTNER, "post", "cors.method"),
        (PARTNER, "", "cors.method"),
    ],
)
def test_who_is_refused(build: Builder, origin: str, method: str, code: str) -> None:
    """An origin that is not named and a method that is not granted get 403, and nothing else."""
    verdict = asked(build, ON, ("Origin", origin), ("Access-Control-Request-Method", method))
    assert isinstance(verdict, Refuse)
    assert (verdict.reason.code, verdict.reason.status) == (code, 403)


@pytest.mark.requirement("S1-056", "S1-058", "C-18")
@pytest.mark.parametrize(
    ("policy", "answered", "granted"),
    [
        (None, ["GET", "HEAD", "OPTIONS", "POST"], ("GET", "HEAD", "POST", "OPTIONS")),
        (["GET", "POST", "PUT", "DELETE", "OPTIONS"], ["POST", "OPTIONS"], ("POST", "OPTIONS")),
        (["OPTIONS", "DELETE", "GET"], ["GET", "DELETE", "TRACE"], ("DELETE", "GET", "OPTIONS")),
        (["GET"], ["POST"], ("OPTIONS",)),
        (["GET", "PUT"], [], ("GET", "PUT", "OPTIONS")),
        ([], ["GET"], ("OPTIONS",)),
    ],
    ids=str,
)
def test_policy_and_route_must_both_have_a_method(
    policy: list[str] | None, answered: list[str], granted: tuple[str, ...]
) -> None:
    """A list that forgets a method, and a route that does not answer one, both keep it back."""
    settings = cors.Settings() if policy is None else cors.Settings(methods=tuple(policy))  # type: ignore[arg-type]
    assert cors.methods(settings, frozenset(answered)) == granted


@pytest.mark.requirement("S1-057", "S1-058", "C-18")
def test_a_preflight_never_reaches_the_application(starting: Callable[..., Laboratory]) -> None:
    """The gate answers, whatever is behind it; caches are told what the answer depends on."""
    laboratory = starting(f"{NOTES}\n{COOKIES}")
    with laboratory.raising(RuntimeError("called")):
        reply = preflight(laboratory, "/api/papers/1", "PUT", headers="content-type")
    assert (reply.status, reply.body, reply.header("content-length")) == (200, b"", "0")
    assert reply.all("vary") == ["Origin, Access-Control-Request-Method, Access-Control-Request-Headers"]
    assert {m.strip() for m in reply.header(ACAM).split(",")} >= {"PUT", "PATCH", "OPTIONS"}
    assert preflight(laboratory, "/api/papers/export", "PUT").status == 403
    assert preflight(laboratory, "/no/such/path", "PUT").status == 200
    assert laboratory.visitor().send("PUT", "/no/such/path", headers=[("Origin", PARTNER)]).status == 404


@pytest.mark.requirement("S1-057")
def test_options_without_cors_is_the_applications_own(starting: Callable[..., Laboratory]) -> None:
    """Where no origin is named, a preflight goes where every other request goes, and grants nothing."""
    laboratory = starting(NOTES)
    allow = [("Allow", "GET, PROPFIND"), (ACAO, "*")]
    with laboratory.answering(204, allow):
        reply = preflight(laboratory, "/dav", "PROPFIND")
    assert (reply.status, reply.header("allow"), grants(reply)) == (204, "GET, PROPFIND", {})


# Refusals, errors, and requests that change something


@pytest.mark.requirement("S1-048", "S1-053")
def test_a_script_can_read_why_it_was_refused(starting: Callable[..., Laboratory]) -> None:
    """Refusals and errors are readable for whom answers are, and for nobody else."""
    laboratory = starting(f"{NOTES}\n{COOKIES}")
    for origin, wanted in ((PARTNER, {ACAO: PARTNER, ACAC: "true"}), ("https://evil.test", {})):
        headers = [("Origin", origin)]
        visitor = laboratory.visitor()
        replies = [
            visitor.get(laboratory.api("me"), headers=headers),
            visitor.get("/nothing", headers=headers),
            visitor.send("POST", laboratory.api("sign_in"), headers=headers, body=b"{"),
            visitor.get("/broken", headers=headers),
        ]
        assert [grants(reply) for reply in replies] == [wanted] * 4
        assert {reply.status for reply in replies} <= {400, 401, 403, 404, 415, 500}


def signing_out(laboratory: Laboratory, origin: str) -> Reply:
    client = laboratory.ordinary()
    headers = [("Origin", origin), ("Sec-Fetch-Site", "cross-site"), (client.token_header, client.token())]
    return client.send("POST", laboratory.api("sign_out"), headers=headers, json={})


@pytest.mark.requirement("S1-053", "S1-059", "C-17")
def test_csrf_takes_a_named_origin_at_its_word(starting: Callable[..., Laboratory]) -> None:
    """With cookies and the session's token it may act; without the token, or from elsewhere, nobody may."""
    laboratory = starting(f"{NOTES}\n{COOKIES}")
    assert signing_out(laboratory, PARTNER).status == 200
    assert signing_out(laboratory, "https://evil.test").code == "csrf.cross_site"
    client = laboratory.ordinary()
    reply = client.send("POST", laboratory.api("sign_out"), headers=[("Origin", PARTNER)], json={})
    assert reply.code == "csrf.token_missing"


@pytest.mark.requirement("S1-059", "C-17", "C-18")
def test_without_credentials_no_cookie_is_taken(starting: Callable[..., Laboratory]) -> None:
    """An API for bearers of tokens: the origin may send, but not with anybody's cookie."""
    laboratory = starting(f"{NOTES}\n{ON}")
    assert signing_out(laboratory, PARTNER).code == "csrf.cross_site"
    sent = [("Origin", PARTNER), ("Sec-Fetch-Site", "cross-site")]
    reply = laboratory.visitor().send("POST", "/api/notes", headers=sent, json={"text": "x"})
    assert (reply.status, reply.code) == (401, "roles.unauthenticated")


@pytest.mark.requirement("S1-050", "S1-059")
def test_a_method_that_is_not_granted_is_not_taken(starting: Callable[..., Laboratory]) -> None:
    """POST needs no preflight's leave in a browser: where it is not granted it is refused here."""
    laboratory = starting(f'{NOTES}\n{COOKIES}methods = ["GET"]')
    assert signing_out(laboratory, PARTNER).code == "csrf.cross_site"


@pytest.mark.requirement("C-18")
def test_naming_this_site_itself_changes_nothing(build: Builder) -> None:
    """The published policy lists its own address: a foreign page that claims it is refused as before."""
    text = f'[cors]\norigins = ["{OWN}"]\ncredentials = true'
    step = csrf.CONTROL.steps["origin"](build.house(text))
    claimed = exchange("POST", "/", ("Origin", OWN), ("Sec-Fetch-Site", "cross-site"))
    assert isinstance(step(claimed), Refuse)
    assert step(exchange("POST", "/", ("Origin", OWN), ("Sec-Fetch-Site", "same-origin"))) is ALLOW


def test_switched_off_nobody_is_trusted(build: Builder) -> None:
    """Without the control, its list means nothing to csrf either."""
    text = f'{COOKIES}off = true\nbecause = "a proxy in front answers preflights"'
    assert cors.trusts(build.policy(text)) is None
    assert cors.trusts(build.policy("")) is None


# What is printed


def test_the_statement(build: Builder) -> None:
    """SECURITY.md says who may read, with what, and by which methods."""
    assert CONTROL.statement(build.policy("")) == [
        "No script of another origin can read an answer; the application has no say in it."
    ]
    said = " ".join(CONTROL.statement(build.policy(f'{COOKIES}methods = ["GET", "PUT"]\nheaders = []')))
    assert f"with cookies: {PARTNER};" in said
    assert (
        "GET, PUT, OPTIONS as far as the route answers them, no header field of its own, for 10 min" in said
    )
    assert "without cookies" in " ".join(CONTROL.statement(build.policy(ON)))
    assert "as far as that goes" in " ".join(csrf.CONTROL.statement(build.policy(ON)))


def test_without_named_origins_the_probes_name_one_and_say_so(starting: Callable[..., Laboratory]) -> None:
    """A policy that names nobody is looked at with an origin named for the probe, and is not praised for it
    as if the policy had named it."""
    laboratory = starting(NOTES)
    results = {p.name: attempt(CONTROL, p, laboratory) for p in CONTROL.probes}
    assert {result.outcome for result in results.values()} == {"pass"}
    said = {name for name, result in results.items() if "the policy names none" in result.evidence}
    assert said == set(results)
    assert laboratory.policy.of(cors.Settings).origins == ()
