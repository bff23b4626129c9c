"""Access rules by path: for whatever stands behind the gate, nothing is open that nobody has opened."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bylaw.adapters import asgi, wsgi
from bylaw.errors import MisuseError, PolicyError
from bylaw.policy import Access, PathRule
from bylaw.reasons import Refused
from bylaw.rules import PathRules, faults, rule_of
from bylaw.site import Site, identity
from bylaw.verify import matrix, runner
from bylaw.verify.laboratory import Bench, Laboratory
from bylaw.verify.target import Target
from tests.adapters import test_parity
from tests.applications import fastapi_app, flask_app
from tests.applications.by_path import ROUTES
from tests.applications.notes import MISSING
from tests.applications.stacks import BY_PATH, TARGETS, hurry
from tests.controls.houses import Builder


def rule(path: str, *methods: str, permission: str | None = None, **said: Any) -> PathRule:
    if permission is None and not said:
        said["signed_in"] = True
    return PathRule(path=path, methods=methods or ("GET",), permission=permission, **said)  # type: ignore[arg-type]


RULES = PathRules(
    [
        rule("/", public="the front page"),
        rule("/notes", permission="note:read"),
        rule("/notes", "POST", permission="note:create"),
        rule("/notes/{id}", permission="note:read"),
        rule("/notes/{id}/parts/{part}", permission="part:read"),
        rule("/notes/new", permission="note:create"),
        rule("/files/*", public="everybody's files"),
        rule("/files/secret/*", permission="secret:read"),
        rule("/files/secret/*", "DELETE", permission="secret:delete"),
        rule("/files/index", permission="file:list"),
        rule("/slash/", permission="slash:read"),
        rule("/live", "WEBSOCKET", signed_in=True),
    ]
)


@pytest.mark.requirement("S1-112", "S3-031")
@pytest.mark.parametrize(
    ("path", "method", "expected"),
    [
        ("/", "GET", "public"),
        ("/", "HEAD", "public"),
        ("/", "POST", None),
        ("/notes", "GET", "note:read"),
        ("/notes", "POST", "note:create"),
        ("/notes", "DELETE", None),
        ("/notes/5", "GET", "note:read"),
        ("/notes/a b\u00e9", "GET", "note:read"),
        ("/notes/new", "GET", "note:create"),
        ("/notes/5/parts/6", "GET", "part:read"),
        ("/notes/5/parts", "GET", None),
        ("/files/a/b/c", "GET", "public"),
        ("/files/secret/a", "GET", "secret:read"),
        ("/files/secret/a", "DELETE", "secret:delete"),
        ("/files/index", "GET", "file:list"),
        ("/slash/", "GET", "slash:read"),
        ("/live", "WEBSOCKET", "signed in"),
        ("/live", "GET", None),
    ],
)
def test_the_nearest_rule_decides(path: str, method: str, expected: str | None) -> None:
    """A text is nearer than a name in braces, and that nearer than whatever is below."""
    found = (RULES.at(path) or {}).get(method)
    assert (None if found is None else str(found)) == expected


@pytest.mark.requirement("S1-112", "S3-031")
@pytest.mark.parametrize(
    "path",
    [
        "//notes", "/notes//5", "/notes/", "/notes/5/", "/Notes", "/NOTES/5", "/notes/NEW", "/notes/New",
        "/notes/../notes", "/notes/.", "/notes/./5", "/./notes", "/notes/..", "/x/../notes",
        "/notes;a=b", "/notes/5;", "/;/notes", "/notes\\5", "\\notes", "/notes/5\x00", "/notes/\n",
        "/notes%2f5", "/notes/%35", "/notes/%2e%2e", "/%6eotes", "/notes/\ufffd",
        "/files/SECRET/a", "/files/Secret/a", "/files/secret/../a", "/files/./secret/a", "/files//secret/a",
        "/files/%73ecret/a", "/files/secret;/a", "/files/x/..\\secret", "/files/INDEX", "/files/index/",
        "/files", "/slash", "notes", "", "*", "/nothing", "/notes/5/6",
    ],
)  # fmt: skip
def test_what_can_be_read_in_two_ways_is_nobodys(path: str) -> None:
    """Another program would shorten, decode or fold it to a path with another rule: it is refused."""
    assert RULES.at(path) is None
    assert RULES.find("GET", path) is None


@pytest.mark.parametrize(
    "path", ["/files/A", "/files/a/", "/notes/A", "/files/a.b", "/files/.a", "/files/a..b", "/files/100%"]
)
def test_what_reads_alike_in_every_way_is_let_through(path: str) -> None:
    """Capitals and dots where they lead to the same rule."""
    assert RULES.at(path) is not None


@given(path=st.text(st.sampled_from("/abAB.;\\%2ef{}*"), max_size=12).map("/".__add__))
def test_a_guarded_path_is_not_reached_by_another_spelling(path: str) -> None:
    """What a lenient framework takes for `/a/b` is never under the rule of everything else."""
    rules = PathRules([rule("/*", public="everything else"), rule("/a/b", permission="x:y")])
    found = rules.at(path)
    lenient = [each for each in path.lower().split("/") if each not in ("", ".")]
    if lenient == ["a", "b"] and found is not None:
        assert str(found["GET"]) == "x:y"


def test_routes_are_told_by_their_pattern() -> None:
    """Limits and CORS count a route by its pattern, not by each path."""
    found = RULES.find("GET", "/notes/5")
    assert found is not None
    assert (found.name, found.methods, found.public) == ("/notes/{id}", {"GET", "HEAD"}, False)
    assert RULES.find("GET", "/files/a/b") == RULES.find("GET", "/files/c")
    assert ("GET", "/files/*") in {(method, path) for method, path, _ in RULES.routes()}


def test_made_up_paths_fill_no_memory() -> None:
    """Paths without number cost a look-up each, and are forgotten again."""
    rules = PathRules([rule("/*")])
    for number in range(10_050):
        rules.at(f"/{number}")
    rules.at("/" + "a" * 5000)
    assert len(rules._known) <= 10_000
    assert max(map(len, rules._known)) <= 200


@pytest.mark.parametrize(
    ("rules", "said"),
    [
        ([rule("/a"), rule("/a", permission="x:y")], "two rules for GET"),
        ([rule("/a/{x}"), rule("/a/{y}", permission="x:y")], "two rules for GET"),
        ([rule("/a/{x}"), rule("/{x}/a")], "neither is the nearer one"),
        ([rule("/a/*"), rule("/{x}/b")], "neither is the nearer one"),
        ([rule("/a"), rule("/A", permission="x:y")], "one path to some frameworks"),
        ([rule("/a"), rule("/a/", permission="x:y")], "one path to some frameworks"),
        ([rule("/a", permission="x:y", signed_in=True)], "does not say who"),
        ([PathRule(path="/a")], "does not say who"),
        ([PathRule(path="/a", methods=(), signed_in=True)], "nothing can be done"),
        ([rule("/a"), rule("/a/"), rule("/A")], ""),
        ([rule("/a"), rule("/a", "POST"), rule("/a/{x}"), rule("/a/*"), rule("/*"), rule("/a/b/c")], ""),
        ([rule("/a/{x}/c"), rule("/a/b/c"), rule("/{x}/{y}/c"), rule("/{x}/{y}/{z}")], ""),
    ],
)  # fmt: skip
def test_rules_that_nobody_could_tell_apart_do_not_start(rules: list[PathRule], said: str) -> None:
    """Which of two counts must not depend on their order, or on a framework's."""
    found = [why for _, why, _ in faults(rules)]
    assert any(said in why for why in found) if said else not found


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[[access.routes]]\npath = "notes"\nsigned_in = true', "not of this form"),
        ('[[access.routes]]\npath = "/a/../b"\nsigned_in = true', ""),
        ('[[access.routes]]\npath = "/a/*/b"\nsigned_in = true', "not of this form"),
        ('[[access.routes]]\npath = "/a/{x}y"\nsigned_in = true', "not of this form"),
        ('[[access.routes]]\npath = "//a"\nsigned_in = true', "not of this form"),
        ('[[access.routes]]\npath = "/a%20b"\nsigned_in = true', "not of this form"),
        ('[[access.routes]]\npath = "/a"\nmethods = ["TRACE"]\nsigned_in = true', "no such value"),
        ('[[access.routes]]\npath = "/a"\npublic = "why not"', "too short"),
        ('[[access.routes]]\npath = "/a"\npermission = "*"', "not of this form"),
        ('[[access.routes]]\npath = "/a"', "bylaw.toml:1  access.routes.0"),
        ('[[access.route]]\npath = "/a"', "no such key"),
    ],
)
def test_a_policy_with_such_rules_does_not_start(tmp_path: Path, text: str, said: str) -> None:
    """Said with file and line, like everything else in the policy."""
    refusal = Builder(tmp_path).refusal(text)
    assert said in refusal
    assert bool(refusal) == bool(said)


def test_an_entry_that_says_nothing_is_no_rule() -> None:
    """Two answers to who may call it are none."""
    assert rule_of(PathRule(path="/a")) is None
    with pytest.raises(ValueError, match="/a"):
        PathRules([PathRule(path="/a")])
    assert Access().routes == ()


# Behind the gate


@pytest.fixture(scope="module")
def benches_by_path() -> Iterator[dict[str, Bench]]:
    """A bench for Django, Bottle and Starlette."""
    made = {name: Bench(target) for name, target in BY_PATH.items()}
    yield made
    for bench in made.values():
        bench.close()


@pytest.fixture(params=sorted(BY_PATH))
def behind(request: pytest.FixtureRequest, benches_by_path: dict[str, Bench]) -> Iterator[Laboratory]:
    """The notes application in a framework that bylaw does not know."""
    with benches_by_path[request.param].laboratory() as made:
        yield made


@pytest.mark.requirement("S1-027", "S1-112", "S3-031")
def test_the_access_matrix_is_as_the_policy_says(behind: Laboratory) -> None:
    """Every route by every role and by nobody, with real requests."""
    cells = matrix.measure(behind)
    assert [str(cell) for cell in cells if not cell.as_declared] == []
    asked = {cell.path for cell in cells}
    assert {path.replace("{key}", "*") for path, _ in ROUTES} <= asked


@pytest.mark.requirement("S1-112")
def test_a_route_that_nobody_declared_is_not_there(behind: Laboratory) -> None:
    """A developer adds a view and forgets the policy: nobody sees it, not even an administrator."""
    root = behind.administrator()
    reply = root.get("/not/declared")
    assert (reply.status, reply.code) == (404, "errors.not_found")
    rules = behind.site.gate.by_path
    with behind.answering(200, body=b"forgotten"):
        behind.site.gate.by_path = rules
        assert root.get("/not/declared").status == 404
        assert root.get("/report").text == "forgotten"


def test_a_method_that_nobody_declared_is_told(behind: Laboratory) -> None:
    """405 names the methods that have a rule."""
    reply = behind.administrator().act("DELETE", "/api/notes")
    assert (reply.status, reply.code, reply.header("allow")) == (
        405,
        "errors.method_not_allowed",
        "GET, HEAD, POST",
    )


def test_the_application_knows_who_asks(behind: Laboratory) -> None:
    """`bylaw.site.identity()` in a view of any framework."""
    editor = behind.client("editor")
    reply = editor.act("POST", "/api/papers", json={"text": "mine"})
    assert (reply.status, reply.json()["owner"]) == (201, editor.id)
    assert identity().id == ""


@pytest.mark.requirement("S3-052", "S3-055")
def test_what_a_view_raises_is_answered_in_the_policys_words(behind: Laboratory) -> None:
    """A refusal of an operation, the framework's own 404, and an error of a view."""
    manager = behind.client("manager")
    missing = manager.get("/api/papers/999")
    assert (missing.status, missing.code) == (404, MISSING.code)
    broken = manager.get("/broken")
    assert (broken.status, broken.code) == (500, "errors.internal")
    assert "canary" not in broken.text
    foreign = behind.client("editor").act("PUT", "/api/notes/999", json={"text": "x"})
    assert foreign.status in (403, 404)


@pytest.mark.requirement("S1-094", "S2-015")
def test_bodies_are_measured_behind_any_framework(behind: Laboratory) -> None:
    """Ten thousand parts to a view that reads forms: stopped, whatever the framework makes of it."""
    manager = behind.client("manager")
    kind = [("Content-Type", "multipart/form-data; boundary=b")]
    part = b'--b\r\nContent-Disposition: form-data; name="text"\r\n\r\nx\r\n'
    body = part * 10_000 + b"--b--\r\n"
    reply = manager.act("POST", "/form", headers=kind, body=body)
    assert (reply.status, reply.code) == (413, "body.too_many_parts")
    chunks = tuple(body[at : at + 9000] for at in range(0, len(body), 9000))
    reply = manager.act("POST", "/form", headers=kind, chunks=chunks)
    assert (reply.status, reply.code) == (413, "body.too_many_parts")  # whether or not the framework reads it
    good = manager.act("POST", "/form", headers=kind, body=part + b"--b--\r\n")
    assert (good.status, good.json()["text"]) == (200, "x")


@pytest.mark.parametrize("control", ["body", "csrf", "errors", "headers", "roles", "sessions"])
@pytest.mark.parametrize("framework", sorted(BY_PATH))
def test_bylaw_verify_runs_on_it(benches_by_path: dict[str, Bench], framework: str, control: str) -> None:
    """The probes of the controls pass behind any framework, and nothing stumbles."""
    report = runner.verify(benches_by_path[framework], only=[control])
    assert [(r.probe, r.evidence) for r in report.results if r.outcome == "fail"] == []
    assert report.count("pass")


@pytest.mark.requirement("S3-065", "S1-032", "S1-033", "C-23", "C-36")
@pytest.mark.parametrize("name", sorted(test_parity.EVERYWHERE))
def test_the_gate_answers_alike(
    name: str, benches_by_path: dict[str, Bench], stacks: dict[str, Bench]
) -> None:
    """What the gate decides alone: the same answer around Django, Bottle and Starlette as around nothing."""
    shapes = {}
    for stack, bench in {"core": stacks["core"], **benches_by_path}.items():
        with bench.laboratory() as laboratory:
            hurry(laboratory)
            shapes[stack] = test_parity.shape(test_parity.EVERYWHERE[name](laboratory))
    for stack, seen in shapes.items():
        assert seen == shapes["core"], stack


@pytest.mark.requirement("S3-065", "S1-032", "S1-033", "C-23", "C-36")
@pytest.mark.parametrize("name", sorted(test_parity.ROUTES))
def test_routes_answer_alike(name: str, benches_by_path: dict[str, Bench], stacks: dict[str, Bench]) -> None:
    """The same routes on the same rules, in the policy or in the code: the same status for everybody."""
    seen = {}
    for stack, bench in {"flask": stacks["flask"], **benches_by_path}.items():
        with bench.laboratory() as laboratory:
            hurry(laboratory)
            reply = test_parity.ROUTES[name](laboratory)
            seen[stack] = reply.status
            assert not reply.code.startswith("roles.undeclared"), stack
    assert set(seen.values()) == {seen["flask"]}, seen


@pytest.mark.parametrize("framework", ["flask", "fastapi"])
def test_a_framework_with_rules_of_its_own_takes_no_second_ones(tmp_path: Path, framework: str) -> None:
    """Two places for one question would differ one day: such an application does not start."""
    (tmp_path / "bylaw.toml").write_text('[[access.routes]]\npath = "/"\npublic = "the front page"\n')
    create: dict[str, Callable[..., Any]] = {"flask": flask_app.create_app, "fastapi": fastapi_app.create_app}
    target = Target(framework, lambda: create[framework](tmp_path / "bylaw.toml"))
    with pytest.raises(PolicyError, match="say in the code who may call them"), Laboratory(target):
        pass


def test_a_gate_without_rules_lets_nothing_out() -> None:
    """A policy without rules, around an application that asks for none: its answers do not leave."""
    with Laboratory(TARGETS["wsgi"]) as laboratory:

        def application(environ: dict[str, Any], start_response: Any) -> list[bytes]:
            start_response("200 OK", [("Content-Type", "text/plain")])
            return [b"open to everybody"]

        with laboratory.instead(application):
            reply = laboratory.administrator().get("/x")
        assert (reply.status, reply.code) == (500, "roles.undeclared")


def test_a_refusal_belongs_to_a_request() -> None:
    """An error handler that is called outside of one has nobody to answer."""
    with Laboratory(TARGETS["wsgi"]) as laboratory, pytest.raises(MisuseError):
        laboratory.site.refusal(Refused(MISSING))


@pytest.mark.parametrize("adapter", [wsgi.Gated, asgi.Gated])
def test_gated_is_all_that_a_command_needs(
    adapter: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`Gated(application, Site("bylaw.toml"))` is ready, has routes, and refuses to start like any other."""
    for name, value in {
        "BYLAW_ENV": "development",
        "BASE_URL": "http://127.0.0.1:5000",
        "DATABASE_URL": f"sqlite:///{tmp_path}/app.db",
    }.items():
        monkeypatch.setenv(name, value)
    (tmp_path / "bylaw.toml").write_text('[[access.routes]]\npath = "/{id}"\nsigned_in = true\n')
    site = Site(tmp_path / "bylaw.toml")
    gated = adapter(lambda *args: [], site)
    gated.ready()
    assert gated.gated is gated
    assert [(method, path, str(found)) for method, path, found in gated.routes()] == [
        ("GET", "/{id}", "signed in")
    ]
    site.close()
