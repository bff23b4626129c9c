"""Rate limits: so many and not one more, whoever answers, whatever the request calls itself."""

from __future__ import annotations

import contextlib
import fcntl
import math
import multiprocessing
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from sqlalchemy.exc import OperationalError

from bylaw.cli import main as command_line
from bylaw.controls import audit, rate_limits
from bylaw.controls.rate_limits import CONTROL, pace, processes, sabotages
from bylaw.controls.rate_limits.probes import losing
from bylaw.controls.rate_limits.rates import parsed
from bylaw.errors import PolicyError
from bylaw.exchange import ALLOW, BLOCK, Allow, Exchange, RawHead, Refuse, TextHead
from bylaw.identity import SIGNED_IN, Identity
from bylaw.ports import Ports
from bylaw.routes import Route
from bylaw.site import Site
from bylaw.store import counters
from bylaw.store.counters import Lost, Memory
from bylaw.verify.fakes import FakeClock
from bylaw.verify.laboratory import Bench, Laboratory
from bylaw.verify.runner import attempt, broken
from bylaw.verify.starting import Elsewhere
from bylaw.verify.target import Target
from tests.applications import fastapi_app, flask_app
from tests.applications.bare import driven
from tests.applications.stacks import state
from tests.controls.houses import ENVIRON, Builder, decided, exchange
from tests.store.redis_server import RedisServer

NOTES = flask_app.POLICY.read_text("utf-8")
CREATE: dict[str, Callable[[Path], Any]] = {
    "flask": flask_app.create_app,
    "fastapi": fastapi_app.create_app,
}
DEVELOPMENT = {"BYLAW_ENV": "development", "BASE_URL": "http://127.0.0.1:5000"}
S1 = '[rate_limits]\ndefault = ["200/day", "50/hour"]\nroutes = { "/auth/login" = ["5/minute"] }\n'
ALICE = Identity("alice")


@pytest.fixture(scope="module")
def build(tmp_path_factory: pytest.TempPathFactory) -> Builder:
    return Builder(tmp_path_factory.mktemp("rate_limits"))


@pytest.fixture(scope="module")
def redis_server() -> Iterator[RedisServer]:
    """A real Redis, started by the tests."""
    made = RedisServer()
    yield made
    made.close()


@pytest.fixture
def redis(redis_server: RedisServer) -> RedisServer:
    """The same with nothing in it."""
    with redis_server.client() as client:
        client.flushall()
    return redis_server


@pytest.fixture(params=sorted(CREATE))
def starting(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[..., Laboratory]]:
    """Laboratories of the notes application with these limits, which count: `starting(section)`."""
    started: list[Laboratory] = []

    def start(section: str, **how: Any) -> Laboratory:
        file = tmp_path / f"policy-{len(started)}.toml"
        file.write_text(losing._without(NOTES, "rate_limits") + "\n" + section, "utf-8")
        started.append(Laboratory(Target("notes", lambda: CREATE[request.param](file)), **how))
        started[-1].site.house.paced = True
        return started[-1]

    yield start
    for laboratory in started:
        laboratory.close()


def stepping(build: Builder, text: str, *routes: Route) -> tuple[Any, FakeClock]:
    """The step of a policy, and its clock; the application answers at these routes' names."""
    house = build.house(text)
    by_name = {route.name: route for route in (Route("/auth/login"), *routes)}
    house.routes.add(lambda method, path: by_name.get(path))
    clock: Any = house.ports.clock
    return CONTROL.steps["pace"](house), clock


def asked(path: str = "/", method: str = "GET", client: str = "198.51.100.7", **how: Any) -> Exchange:
    made = exchange(method, path, peer=client)
    for name, value in how.items():
        setattr(made, name, value)
    return made


def passes(step: Any, request: Exchange) -> bool:
    return isinstance(decided(step, request), Allow)


# Rates


@pytest.mark.parametrize(
    ("text", "count", "seconds", "shown"),
    [
        ("50/hour", 50, 3600, "50/hour"),
        ("200/day", 200, 86400, "200/day"),
        ("5/minute", 5, 60, "5/minute"),
        ("10 per minute", 10, 60, "10/minute"),
        ("10  PER  Minute", 10, 60, "10/minute"),
        ("100/15m", 100, 900, "100/15m"),
        ("100 / 15 minutes", 100, 900, "100/15m"),
        ("1/second", 1, 1, "1/second"),
        ("3/90s", 3, 90, "3/90s"),
        ("7/2h", 7, 7200, "7/2h"),
        ("7/2d", 7, 172800, "7/2d"),
        ("1/366d", 1, 366 * 86400, "1/366d"),
    ],
)
def test_a_rate(text: str, count: int, seconds: int, shown: str) -> None:
    """As people write it, and as Flask-Limiter's documentation does."""
    rate = parsed(text)
    assert (rate.count, rate.seconds, str(rate)) == (count, seconds, shown)


@pytest.mark.parametrize(
    "text",
    [
        *(
            "",
            "50",
            "50/",
            "/hour",
            "50/60",
            "50 hour",
            "50/fortnight",
            "-5/hour",
            "5.5/hour",
            "5/0s",
            "0/hour",
        ),
        *("50/hour; 3/minute", "5/367d", "1/999999999d", "99999999999/hour", "2000000000/hour"),
        *("\uff15/hour", "5/h\n/m"),
    ],
)
def test_what_is_no_rate(build: Builder, text: str) -> None:
    """Nothing is guessed: a limit that was not understood would be none."""
    with pytest.raises(ValueError, match=r"number|period"):
        parsed(text)
    refused = build.refusal(f"[rate_limits]\ndefault = [{text!r}]\n".replace("'", '"').replace("\n/", " /"))
    assert "rate_limits.default" in refused or "cannot be read" in refused


# Whose budget


@pytest.mark.requirement("S1-097", "S1-098", "S2-073", "C-12")
def test_a_stranger_has_fifty_an_hour_and_two_hundred_a_day_of_each_route(build: Builder) -> None:
    """As the source policies write it; of another route, and from another address, anew."""
    step, clock = stepping(build, S1, Route("/"), Route("/other"))
    assert [passes(step, asked()) for _ in range(51)] == [True] * 50 + [False]
    assert passes(step, asked("/other"))
    assert passes(step, asked(client="198.51.100.8"))
    passed = 50
    for _ in range(3):
        clock.advance(3600)
        passed += sum(passes(step, asked()) for _ in range(60))
    clock.advance(3600)
    assert passed == 200
    assert not passes(step, asked())  # the 201st of the day, in an hour of which nothing is used
    assert passes(step, asked("/other"))


@pytest.mark.requirement("S1-099", "C-12")
def test_a_routes_limit_stands_beside_the_default_ones(build: Builder) -> None:
    """A route with a limit of its own keeps the daily one: Flask-Limiter would drop it."""
    step, clock = stepping(build, S1.replace("50/hour", "12/hour"))
    passed = []
    for _ in range(4):
        passed.append(sum(passes(step, asked("/auth/login", "POST")) for _ in range(9)))
        clock.advance(60)
    assert passed == [5, 5, 2, 0]


@pytest.mark.requirement("S2-006", "S2-007", "S2-071", "S2-072")
@pytest.mark.parametrize(("rate", "count"), [("10 per minute", 10), ("5/hour", 5)])
def test_each_address_has_a_counter_of_its_own(build: Builder, rate: str, count: int) -> None:
    """Ten sign-ins a minute, five tokens an hour, by address: two addresses do not share."""
    text = f'[rate_limits]\nroutes = {{ "/auth/login" = ["{rate}"] }}\n'
    step, _ = stepping(build, text)
    for client in ("203.0.113.1", "203.0.113.2"):
        passed = [passes(step, asked("/auth/login", "POST", client)) for _ in range(count + 1)]
        assert passed == [True] * count + [False]


def test_an_ipv6_client_is_its_network(build: Builder) -> None:
    """A connection is given 2^64 addresses: all of them are one client."""
    step, _ = stepping(build, '[rate_limits]\ndefault = ["2/minute"]\n')
    passed = [passes(step, asked(client=f"2001:db8:1:2::{n:x}")) for n in range(1, 5)]
    assert passed == [True, True, False, False]
    assert passes(step, asked(client="2001:db8:1:3::1"))


@pytest.mark.requirement("C-12")
def test_people_have_a_budget_of_their_own_over_all_routes(build: Builder) -> None:
    """An office behind one address is not one person, and a person with ten pages open is."""
    text = '[rate_limits]\ndefault = ["1/minute"]\nsigned_in = ["3/minute"]\n'
    step, _ = stepping(build, text, Route("/a"), Route("/b"))
    assert [passes(step, asked("/a")) for _ in range(2)] == [True, False]
    alice = [passes(step, asked(p, identity=ALICE)) for p in ("/a", "/b", "/a", "/b")]
    assert alice == [True, True, True, False]
    assert passes(step, asked("/a", identity=Identity("bob")))
    assert not passes(step, asked("/a", identity=ALICE, client="203.0.113.9"))  # wherever from


@pytest.mark.requirement("S1-099")
def test_an_account_is_no_other_person_where_strangers_may_come(build: Builder) -> None:
    """Somebody guesses passwords signed in as one, then as another of his own accounts."""
    text = '[rate_limits]\nroutes = { "/auth/login" = ["2/minute"] }\n'
    step, _ = stepping(build, text)
    whom = [None, ALICE, Identity("mallory"), None]
    passed = [passes(step, asked("/auth/login", "POST", identity=who)) for who in whom]
    assert passed == [True, True, False, False]


def test_a_route_of_people_alone_is_counted_by_account(build: Builder) -> None:
    """A costly export: colleagues at one address do not take it from each other."""
    text = '[rate_limits]\nroutes = { "/export" = ["1/hour"] }\n'
    step, _ = stepping(build, text, Route("/export", rule=SIGNED_IN))
    whom = [ALICE, ALICE, Identity("bob"), None, None]
    passed = [passes(step, asked("/export", identity=who)) for who in whom]
    assert passed == [True, False, True, True, False]


def test_a_pattern_limits_all_below_it(build: Builder) -> None:
    """`/api/open/*` is one budget for everything below, and for nothing beside it."""
    text = '[rate_limits]\ndefault = []\nroutes = { "/api/open/*" = ["2/minute"] }\n'
    step, _ = stepping(build, text, Route("/api/open/a"), Route("/api/open/b"), Route("/api/openly"))
    passed = [passes(step, asked(f"/api/open/{name}")) for name in "aba"]
    assert passed == [True, True, False]
    assert passes(step, asked("/api/openly"))
    assert passes(step, asked("/api/open"))


def test_everybody_together(build: Builder) -> None:
    """A limit of all requests, strangers' and people's, wherever they come from."""
    step, _ = stepping(build, '[rate_limits]\ntotal = ["3/minute"]\n')
    whom = [None, ALICE, None, ALICE]
    passed = [passes(step, asked(client=f"203.0.113.{n}", identity=who)) for n, who in enumerate(whom)]
    assert passed == [True, True, True, False]


def test_no_limit_at_all(build: Builder) -> None:
    """A policy that says so limits nothing, and its answers say nothing of it; it is marked as below."""
    text = "[rate_limits]\ndefault = []\nsigned_in = []\n"
    step, _ = stepping(build, text)
    request = asked()
    assert passes(step, request)
    assert request.pace is None
    below = list(build.policy(text).of(rate_limits.Settings).below_standard())
    assert [each.key for each in below] == ["default"]


def test_made_up_paths_share_one_budget(build: Builder) -> None:
    """A scanner that asks for what is not there is one client of one route, however it spells it."""
    step, _ = stepping(build, '[rate_limits]\ndefault = ["3/minute"]\n')
    assert [passes(step, asked(f"/wp-{n}.php")) for n in range(5)] == [True] * 3 + [False] * 2


def test_files_are_free(build: Builder) -> None:
    """A page's pictures are no requests of a person."""
    step, _ = stepping(build, '[rate_limits]\ndefault = ["1/minute"]\n', Route("/s", static=True))
    assert all(passes(step, asked("/s")) for _ in range(5))


@pytest.mark.requirement("S1-104")
def test_a_laboratory_is_not_counted_until_it_asks(build: Builder) -> None:
    """Other tests need not think of limits; those about limits switch them on."""
    house = build.house('[rate_limits]\ndefault = ["1/minute"]\n')
    step = CONTROL.steps["pace"](house)
    house.paced = False
    assert all(passes(step, asked()) for _ in range(5))
    house.paced = True
    assert [passes(step, asked()) for _ in range(2)] == [True, False]


# What is answered


@pytest.mark.requirement("S1-103")
def test_a_refusal_says_when_to_come_back(build: Builder) -> None:
    """429, with the whole seconds until the window is over, and never none."""
    step, clock = stepping(build, '[rate_limits]\ndefault = ["1/hour"]\n')
    decided(step, asked())
    for after, wait in ((0, "3600"), (0.5, "3600"), (3598.6, "1"), (0.8, "1")):
        clock.advance(after)
        verdict = decided(step, asked())
        assert isinstance(verdict, Refuse)
        assert (verdict.reason.status, dict(verdict.headers)["Retry-After"]) == (429, wait)
    clock.advance(0.2)
    assert passes(step, asked())


@pytest.mark.requirement("S1-102")
@pytest.mark.parametrize("head", [TextHead, RawHead])
def test_answers_say_what_is_left(build: Builder, head: Any) -> None:
    """The three of old (the end in seconds since 1970) and the two of the draft, once each."""
    house = build.house('[rate_limits]\ndefault = ["50/hour"]\n')
    step, depart = CONTROL.steps["pace"](house), CONTROL.steps["depart"](house)
    clock: Any = house.ports.clock
    for _ in range(3):
        request = asked()
        decided(step, request)
    clock.advance(100)
    said = [("X-RateLimit-Limit", "9999"), ("Content-Type", "text/plain"), ("RateLimit", "no")]
    raw = head is RawHead
    left = head(200, [(k.lower().encode(), v.encode()) for k, v in said] if raw else said)
    depart(request, left)
    found = (
        [(k.decode(), v.decode()) for k, v in left.pairs] if raw else [(k.lower(), v) for k, v in left.pairs]
    )
    assert found == [
        ("content-type", "text/plain"),
        ("x-ratelimit-limit", "50"),
        ("x-ratelimit-remaining", "47"),
        ("x-ratelimit-reset", str(int(clock()) - 100 + 3600)),
        ("ratelimit-policy", '"default";q=50;w=3600'),
        ("ratelimit", '"default";r=47;t=3500'),
    ]
    uncounted = head(200, [])
    depart(asked(), uncounted)
    assert uncounted.pairs == []


def test_a_path_in_a_header_is_one_item(build: Builder) -> None:
    """What stands in the policy cannot end the field's text (structured fields, RFC 9651)."""
    text = '[rate_limits]\ndefault = []\nroutes = { "/grüße" = ["5/minute"] }\n'
    house = build.house(text)
    house.routes.add(lambda method, path: Route("greetings") if path == "/grüße" else None)
    step, depart = CONTROL.steps["pace"](house), CONTROL.steps["depart"](house)
    request, head = asked("/grüße"), RawHead(200, [])
    decided(step, request)
    depart(request, head)
    assert dict(head.pairs)[b"ratelimit"] == b'"/gr%C3%BC%C3%9Fe";r=4;t=60'


@pytest.mark.requirement("S1-102", "S1-103")
def test_over_the_wire_in_both_frameworks(starting: Any) -> None:
    """Fifty answers and a refusal, each with numbers that agree; after the wait it goes on."""
    lab = starting(S1)
    visitor = lab.visitor()
    replies = [visitor.get("/api/notes") for _ in range(51)]
    assert [int(r.header("x-ratelimit-remaining")) for r in replies] == [*range(49, -1, -1), 0]
    assert {r.header("x-ratelimit-limit") for r in replies} == {"50"}
    assert {r.header("x-ratelimit-reset") for r in replies} == {str(int(lab.clock()) + 3600)}
    assert (replies[-1].status, replies[-1].code) == (429, "rate_limits.exceeded")
    assert replies[-1].header("retry-after") == "3600"
    lab.clock.advance(int(replies[-1].header("retry-after")))
    assert visitor.get("/api/notes").status == replies[0].status


def test_a_person_is_shown_a_page(starting: Any) -> None:
    """Somebody with a browser gets a sentence, not JSON."""
    lab = starting('[rate_limits]\ndefault = ["1/minute"]\n')
    visitor = lab.visitor()
    visitor.page(lab.url("sign_in"))
    reply = visitor.page(lab.url("sign_in"))
    assert (reply.status, reply.header("content-type")) == (429, "text/html; charset=utf-8")
    assert "Too many requests" in reply.text
    assert reply.header("retry-after") == "60"


@pytest.mark.requirement("S1-099")
def test_an_alias_shares_the_budget(starting: Any) -> None:
    """Five at /auth/login, and none is left at /api/login: both are the same action (A138)."""
    aliases = '[pages.aliases]\n"/api/login" = "/auth/api_login"\n"/login" = "/auth/login"\n'
    lab = starting('[rate_limits]\nroutes = { "/api/login" = ["5/minute"] }\n' + aliases)
    visitor, person = lab.visitor(), lab.person("user")
    for path in ("/auth/login", "/login", "/auth/api_login", "/api/login", "/auth/login"):
        assert visitor.get(path).status != 429
    for path in ("/auth/login", "/login", "/auth/api_login", "/api/login"):
        reply = visitor.send(
            "POST", path, headers=visitor.from_here, json={"email": person.email, "password": "x"}
        )
        assert (reply.status, reply.code) == (429, "rate_limits.exceeded")


def test_a_refused_request_reaches_nothing(starting: Any) -> None:
    """It is neither looked at by the application nor does it change anything."""
    lab = starting('[rate_limits]\nsigned_in = ["2/minute"]\n')
    editor = lab.client("editor")
    token = editor.token()
    for expected in (201, 429):
        reply = editor.send(
            "POST", "/api/papers", json={"text": "x"}, headers=[*editor.from_here, ("X-CSRF-Token", token)]
        )
        assert reply.status == expected
    assert state(lab).changes == 1


# Its record


def test_the_first_excess_of_a_window_is_recorded(starting: Any) -> None:
    """OWASP's excess_rate_limit_exceeded: who, which limit, where; once a window and key."""
    lab = starting('[rate_limits]\ndefault = []\nsigned_in = ["2/minute"]\n')
    alice, bob = lab.client("user"), lab.client("user")
    for who in (alice, bob, alice, alice):
        for _ in range(3):
            who.get("/api/papers?x=secret")
    rows = lab.audit(action="excess_rate_limit_exceeded")
    assert [row["user_id"] for row in rows] == [bob.id, alice.id]
    assert rows[0]["entity_id"] == "signed-in 2/60s"
    assert rows[0]["outcome"] == "refused"
    assert rows[0]["changes"] == {"method": "GET", "path": "/api/papers"}
    assert rows[0]["ip_address"] == alice.peer


def test_records_are_bounded(flask_laboratory: Laboratory) -> None:
    """Whoever has a thousand addresses fills no disk: sixty a minute are enough to see it."""
    lab = flask_laboratory
    with lab.under(rate_limits.Settings, default=("1/minute",)), lab.paced():
        for number in range(80):
            visitor = lab.visitor(peer=f"203.0.113.{number}")
            assert [visitor.get("/x").status for _ in range(2)] == [404, 429]
        assert len(lab.audit(action="excess_rate_limit_exceeded", limit=1000)) == pace.RECORDS
        assert lab.logs.text.count("more excesses than 60 a minute") == 1


def test_what_cannot_be_recorded_is_refused_all_the_same(
    flask_laboratory: Laboratory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The database is gone: that opens nothing."""

    def gone(*args: object, **facts: object) -> None:
        raise OperationalError("INSERT", {}, Exception("gone"))

    lab = flask_laboratory
    monkeypatch.setattr(audit, "record", gone)
    with lab.under(rate_limits.Settings, default=("1/minute",)), lab.paced():
        visitor = lab.visitor()
        assert [visitor.get("/x").status for _ in range(3)] == [404, 429, 429]
    assert "gone" in lab.logs.text


# Redis


@pytest.mark.requirement("S1-100", "S2-070", "C-13")
def test_two_applications_share_one_counter(starting: Any, redis: RedisServer) -> None:
    """What one worker let through, the other has counted."""
    section = S1 + 'store = "env:REDIS_URL"\n'
    one = starting(section, counters=redis.url)
    other = starting(section, counters=redis.url, environ={"SECRET_KEY": one.environ["SECRET_KEY"]})
    passed = 0
    for number in range(30):
        for lab in (one, other):
            reply = lab.visitor().get(f"/nowhere-{number}")
            passed += reply.status == 404
    assert passed == 50
    assert reply.status == 429
    assert 3590 <= int(reply.header("retry-after")) <= 3600
    assert int(reply.header("x-ratelimit-reset")) == math.ceil(
        other.clock() + int(reply.header("retry-after"))
    )


def worker(elsewhere: Elsewhere, number: int, *, policy: Path) -> int:
    """How many of a hundred requests a process of its own lets through, by four threads."""
    site = elsewhere.site(policy)
    passed: list[int] = []

    def ask() -> None:
        for _ in range(25):
            asking = exchange("GET", "/nowhere", ("Host", "app.lab"), peer="198.51.100.7")
            passed.append(isinstance(driven(site.gate.deciding(asking), b""), Allow))

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    site.close()
    return sum(passed)


@pytest.mark.requirement("S1-100", "C-13", "C-24")
@pytest.mark.parametrize("name", ["REDIS_URL", "RATELIMIT_STORAGE_URL", "RATELIMIT_STORAGE_URI"])
def test_two_processes_share_one_counter_by_every_name_of_the_setting(
    benches: dict[str, Bench], redis: RedisServer, tmp_path: Path, name: str
) -> None:
    """Flask-Limiter does not read the name that the source policy writes: each process counts for itself."""
    policy = tmp_path / "bylaw.toml"
    policy.write_text(S1 + 'store = "env:REDIS_URL"\n')
    environ = {"REDIS_URL": "", name: redis.url}
    with benches["flask"].laboratory(environ) as lab:
        lab.counters = ""  # where the policy says
        assert sum(lab.processes(partial(worker, policy=policy), 2)) == 50


APPLICATION = """
import os
from flask import Flask
from bylaw.flask import Bylaw, public

def create_app():
    app = Flask(__name__)
    bylaw = Bylaw(app, "bylaw.toml")
    app.add_url_rule("/who", "who", public("which process answers")(lambda: str(os.getpid())))
    app.add_url_rule("/counted", "counted", public("what is counted")(lambda: str(os.getpid())))
    bylaw.ready()
    return app
"""


@pytest.mark.requirement("S1-100", "C-13")
def test_two_workers_of_a_server_share_one_counter(redis: RedisServer, tmp_path: Path) -> None:
    """Over HTTP, from two processes that `bylaw run` starts: of two hundred at once fifty are answered."""
    (tmp_path / "served.py").write_text(APPLICATION)
    (tmp_path / "bylaw.toml").write_text(
        '[rate_limits]\ndefault = ["100000/minute"]\nroutes = { "/counted" = ["50/hour"] }\n'
        'store = "env:REDIS_URL"\n'
    )
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environ = {
        **os.environ,
        **DEVELOPMENT,
        "BASE_URL": f"http://127.0.0.1:{port}",
        "DATABASE_URL": f"sqlite:///{tmp_path / 'served.db'}",
        "SECRET_KEY": ENVIRON["SECRET_KEY"],
        "RATELIMIT_STORAGE_URL": redis.url,
    }
    command = [
        str(Path(sys.executable).with_name("bylaw")),
        "run",
        "served",
        "--port",
        str(port),
        "--workers",
        "2",
    ]
    with open(tmp_path / "log", "wb") as log:
        server = subprocess.Popen(command, cwd=tmp_path, env=environ, stdout=log, stderr=log)
    try:
        answering: set[str] = set()
        until = time.monotonic() + 60
        while len(answering) < 2:
            assert server.poll() is None, (tmp_path / "log").read_text()
            assert time.monotonic() < until, (tmp_path / "log").read_text()
            with contextlib.suppress(OSError):
                answering.add(_asked(port, "/who")[1])
        with ThreadPoolExecutor(16) as pool:
            answers = list(pool.map(lambda _: _asked(port, "/counted"), range(200)))
    finally:
        server.terminate()
        server.wait(30)
    assert sum(status == 200 for status, _ in answers) == 50
    assert {status for status, _ in answers} == {200, 429}
    assert {pid for status, pid in answers if status == 200} <= answering


def _asked(port: int, path: str) -> tuple[int, str]:
    connection = HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


@pytest.mark.requirement("C-13")
def test_an_older_name_is_read_and_told(build: Builder, monkeypatch: pytest.MonkeyPatch) -> None:
    """A variable that nothing reads would be a setting that silently does nothing."""
    text = '[rate_limits]\nstore = "env:REDIS_URL"\n'
    url = "rediss://:not-in-the-output@cache.acme.eu:6379/0"
    read = build.policy(text, RATELIMIT_STORAGE_URL=url)
    assert read.of(rate_limits.Settings).store.get_secret_value() == url
    assert read.older == {"REDIS_URL": "RATELIMIT_STORAGE_URL"}
    assert build.policy(text, REDIS_URL=url, RATELIMIT_STORAGE_URI="redis://other").older == {}
    environ = {**ENVIRON, "BASE_URL": "https://shop.acme.eu", "DATABASE_URL": "sqlite:///x.db"}
    for key, value in {**environ, "RATELIMIT_STORAGE_URI": url}.items():
        monkeypatch.setenv(key, value)
    monkeypatch.delenv("REDIS_URL", raising=False)
    shown = CliRunner().invoke(command_line, ["check", str(build.folder / "bylaw.toml")]).output
    assert "REDIS_URL was read from RATELIMIT_STORAGE_URI, an older name" in shown
    assert "not-in-the-output" not in shown


@pytest.mark.requirement("S1-065", "S1-101")
@pytest.mark.parametrize(
    "value",
    [
        *("", "memory", "memory://", "memcached://cache", "redis://"),
        "rediss://:your_password_here@redis.example:6379/0",
    ],
)
def test_without_its_redis_it_does_not_start(build: Builder, value: str) -> None:
    """The policy promises counters that all processes share: a variable cannot take that back."""
    refused = build.refusal('[rate_limits]\nstore = "env:REDIS_URL"\n', REDIS_URL=value)
    assert "REDIS_URL" in refused
    assert "rediss://" in refused or "redis://host" in refused


@pytest.mark.requirement("S1-101")
def test_memory_is_for_development_and_tests(build: Builder) -> None:
    """Tests and development count in memory by a line of the policy; production takes Redis."""
    text = '[rate_limits]\nstore = "env:REDIS_URL"\n[development]\nrate_limits.store = "memory"\n'
    assert not build.policy(text, **DEVELOPMENT).of(rate_limits.Settings).shared
    assert isinstance(build.house(text, **DEVELOPMENT).counters, Memory)
    assert build.policy(text, REDIS_URL="redis://cache").of(rate_limits.Settings).shared


def test_a_password_is_not_written_out(build: Builder) -> None:
    """An address without a password may stand in the policy; one with a password may not."""
    assert not build.refusal('[rate_limits]\nstore = "redis://127.0.0.1:6379/0"\n')
    refused = build.refusal('[rate_limits]\nstore = "redis://:hunter2@cache:6379/0"\n')
    assert "written out" in refused
    assert "hunter2" not in refused


@pytest.mark.parametrize(
    ("url", "marked"),
    [
        ("redis://cache.acme.eu/0", True),
        ("redis://127.0.0.1/0", False),
        ("rediss://cache.acme.eu/0", False),
        ("unix:///run/redis.sock", False),
    ],
)
def test_a_redis_that_others_can_listen_to_is_marked(build: Builder, url: str, marked: bool) -> None:
    """Counters that go in the clear to another host are below the standard, and said to be."""
    below = build.policy(f'[rate_limits]\nstore = "{url}"\n').of(rate_limits.Settings).below_standard()
    assert [each.key for each in below] == (["store"] if marked else [])


# Redis is lost


OUTAGES = {
    "memory": [404, 404, 429],
    "refuse": [503, 503, 503],
    "allow": [404, 404, 404],
}


@pytest.mark.requirement("S1-139")
@pytest.mark.parametrize("choice", sorted(OUTAGES))
def test_redis_stops_and_comes_back(starting: Any, redis: RedisServer, choice: str) -> None:
    """While it is away it is as the policy says, known to readiness, counted and recorded; then as before."""
    section = f'[rate_limits]\ndefault = ["2/hour"]\nstore = "env:REDIS_URL"\non_outage = "{choice}"\n'
    lab = starting(section, counters=redis.url)
    house = lab.site.house
    visitor = lab.visitor()
    assert visitor.get("/nowhere").status == 404
    assert house.checks["limiter"]() == ""
    redis.stop()
    try:
        replies = [visitor.get("/nowhere") for _ in range(3)]
        assert [reply.status for reply in replies] == OUTAGES[choice]
        assert (replies[0].header("x-ratelimit-limit") == "") == (choice != "memory")
        if choice == "refuse":
            assert (replies[0].code, replies[0].header("retry-after")) == ("rate_limits.unavailable", "2")
        assert "do not answer" in house.checks["limiter"]()
        assert visitor.get(lab.url("stylesheet")).status == 200
    finally:
        redis.start()
    assert len(lab.audit(action="limiter_lost")) == 1
    assert house.counts["limiter_outages"] == 1
    house.counters._ask_at = 0.0  # a second later
    assert [visitor.get("/nowhere").status for _ in range(3)] == [404, 404, 429]
    assert house.checks["limiter"]() == ""
    [lost], [back] = lab.audit(action="limiter_lost"), lab.audit(action="limiter_back")
    assert (lost["outcome"], lost["ip_address"], back["outcome"]) == ("failure", "", "success")
    assert redis.url not in lab.logs.text


@pytest.mark.requirement("S1-139")
def test_redis_stops_in_the_middle_of_requests(starting: Any, redis: RedisServer) -> None:
    """Sixteen clients at work while it goes: nobody gets an error, and it is recorded once."""
    lab = starting('[rate_limits]\ndefault = ["1000/hour"]\nstore = "env:REDIS_URL"\n', counters=redis.url)
    lab.visitor().get("/nowhere")

    def work(number: int) -> list[int]:
        visitor = lab.visitor(peer=f"203.0.113.{number}")
        if number == 0:
            redis.stop()
        return [visitor.get("/nowhere").status for _ in range(20)]

    try:
        statuses = lab.burst(work, 16)
    finally:
        redis.start()
    assert {status for each in statuses for status in each} == {404}
    assert len(lab.audit(action="limiter_lost")) == 1


def test_a_start_without_redis_is_told_and_goes_on(starting: Any, redis: RedisServer) -> None:
    """A Redis that is away for a moment keeps nobody from starting: it is not ready until it is there."""
    redis.stop()
    try:
        lab = starting('[rate_limits]\nstore = "env:REDIS_URL"\n', counters=redis.url)
        assert len(lab.audit(action="limiter_lost")) == 1
        assert lab.visitor().get(lab.url("sign_in")).status == 200
    finally:
        redis.start()


def test_an_outage_that_cannot_be_recorded_is_logged(
    flask_laboratory: Laboratory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Database and Redis are gone together: the log has both."""

    def gone(*args: object, **facts: object) -> None:
        raise OperationalError("INSERT", {}, Exception("gone"))

    monkeypatch.setattr(audit, "record", gone)
    with losing._lost(flask_laboratory, "memory") as check:
        assert flask_laboratory.visitor().get("/x").status == 404
        assert "do not answer" in check()
    assert "limiter_lost could not be recorded" in flask_laboratory.logs.text


def test_a_loop_never_waits_for_redis(build: Builder) -> None:
    """Under ASGI the step asks for a worker thread before it talks to Redis, and not while it is lost."""
    house = build.house("")
    gone: Any = losing._Gone()
    house.counters = gone
    step = CONTROL.steps["pace"](house)
    deciding = step(asked())
    assert next(deciding) is BLOCK
    gone.asked = False
    with pytest.raises(StopIteration) as done:
        next(step(asked()))
    assert done.value.value is ALLOW


# Several processes


@pytest.mark.parametrize(
    ("environ", "command", "found"),
    [
        ({}, [], []),
        ({"WEB_CONCURRENCY": "4"}, [], [("WEB_CONCURRENCY", 4)]),
        ({"WEB_CONCURRENCY": ""}, [], []),
        ({"WEB_CONCURRENCY": "auto"}, [], []),
        ({"GRANIAN_WORKERS": " 2 "}, [], [("GRANIAN_WORKERS", 2)]),
        ({"UVICORN_WORKERS": "3"}, [], [("UVICORN_WORKERS", 3)]),
        ({"GUNICORN_CMD_ARGS": "--bind=:80 -w 5"}, [], [("GUNICORN_CMD_ARGS", 5)]),
        ({"GUNICORN_CMD_ARGS": "--workers=6"}, [], [("GUNICORN_CMD_ARGS", 6)]),
        ({"GUNICORN_CMD_ARGS": "--workers '7'"}, [], [("GUNICORN_CMD_ARGS", 7)]),
        ({"GUNICORN_CMD_ARGS": "--workers 'seven"}, [], []),
        ({"GUNICORN_CMD_ARGS": "-w"}, [], []),
        ({}, ["/usr/bin/gunicorn", "-w8", "app:app"], [("gunicorn --workers", 8)]),
        ({}, ["/venv/bin/uvicorn", "app:app", "--workers", "9"], [("uvicorn --workers", 9)]),
        ({}, ["/site-packages/uvicorn/__main__.py", "app:app", "--workers=2"], [("uvicorn --workers", 2)]),
        ({}, ["granian", "--interface", "asgi", "--workers", "2", "app:app"], [("granian --workers", 2)]),
        ({}, ["fastapi", "run", "--workers", "2"], [("fastapi --workers", 2)]),
        ({}, ["uvicorn", "app:app", "-w", "9"], []),
        ({}, ["pytest", "-n", "4", "--workers", "4"], []),
    ],
)
def test_who_says_how_many_processes_answer(
    environ: dict[str, str], command: list[str], found: list[tuple[str, int]]
) -> None:
    """Servers are told by variables, and by the command that their processes inherit."""
    assert list(processes.workers(environ, command)) == found


@pytest.mark.requirement("S1-101", "S2-069", "C-24")
def test_several_processes_with_counters_in_memory_do_not_start(starting: Any) -> None:
    """In production each would be one more budget; what to write instead is said. One process starts."""
    lab = starting("")
    for name, value in (("WEB_CONCURRENCY", "4"), ("GUNICORN_CMD_ARGS", "-w 2")):
        refused = str(lab.refuses_to_start(**{name: value}))
        assert f"({name}) would count for itself" in refused
        assert 'store = "env:REDIS_URL"' in refused
    assert lab.refuses_to_start(WEB_CONCURRENCY="1") is None
    assert lab.refuses_to_start(WEB_CONCURRENCY="4", **DEVELOPMENT) is None


def test_several_processes_with_shared_counters_start(starting: Any) -> None:
    """What Redis counts is counted once, however many answer."""
    lab = starting('[rate_limits]\nstore = "env:REDIS_URL"\n')
    assert lab.refuses_to_start(WEB_CONCURRENCY="4") is None


def test_a_command_is_no_process_that_answers(build: Builder, monkeypatch: pytest.MonkeyPatch) -> None:
    """`bylaw user list` beside a running application neither counts nor takes anything away."""
    site = _site(build)
    monkeypatch.setenv("WEB_CONCURRENCY", "4")
    try:
        site.open(serving=False)
        assert "limiter" not in site.house.checks
    finally:
        site.close()


def _site(build: Builder) -> Site:
    """The policy at work as in a real process: on its own database, nothing of a laboratory's."""
    policy = build.policy("")
    environ = {**ENVIRON, "DATABASE_URL": policy.store.database.get_secret_value()}
    from bylaw.store import migrate
    from bylaw.store.engine import connect

    engine = connect(environ["DATABASE_URL"])
    migrate.upgrade(engine)
    engine.dispose()
    return Site(policy.file, world=Ports(environ={**environ}))


@pytest.mark.requirement("S2-069", "C-24")
def test_a_second_process_of_the_machine_is_found(build: Builder) -> None:
    """Started by hand, with no variable that tells: it starts, and is not ready until it is alone."""
    site = _site(build)
    site.open()
    try:
        alone: Any = site.house.counters.beside  # type: ignore[attr-defined]
        assert site.house.checks["limiter"]() == ""
        alone.release()
        with _other_process(alone._path):
            assert "another process of this machine" in site.house.checks["limiter"]()
        assert site.house.checks["limiter"]() == ""
    finally:
        site.close()
    with alone._path.open() as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # let go of


def test_a_second_process_says_so_at_its_start(build: Builder, caplog: pytest.LogCaptureFixture) -> None:
    """The one before may still be finishing its requests, so this one starts; the log says what is wrong."""
    first = _site(build)
    first.open()
    alone: Any = first.house.counters.beside  # type: ignore[attr-defined]
    first.close()
    with _other_process(alone._path):
        second = _site(build)
        second.open()
        assert "another process of this machine" in caplog.text
        second.close()


class _other_process:  # noqa: N801 - reads as what it is
    """A process that holds the lock of a path while the block lasts."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> None:
        text = (
            "import fcntl, sys; f = open(sys.argv[1], 'w'); fcntl.flock(f, fcntl.LOCK_EX);"
            "print('held', flush=True); sys.stdin.read()"
        )
        self._process = subprocess.Popen(
            [sys.executable, "-c", text, str(self._path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == b"held\n"

    def __exit__(self, *exc: object) -> None:
        self._process.communicate(b"")


def test_after_a_fork_it_is_whoever_answers_first() -> None:
    """gunicorn --preload: the parent that loaded the application does not keep a child from answering."""
    alone = processes.Alone(f"a test {os.getpid()}")
    assert alone.take()
    reading, writing = os.pipe()
    context = multiprocessing.get_context("fork")
    child = context.Process(target=lambda: (os.write(writing, b"1" if alone.take() else b"0"), os.read(0, 0)))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        child.start()
    child.join()
    assert os.read(reading, 1) == b"1"
    assert alone.take()  # the child has gone
    alone.release()
    for end in (reading, writing):
        os.close(end)


def test_two_applications_of_one_process_are_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A factory that is called twice is no second process; and where no file can be made, nothing is said."""
    name = f"a test of two {os.getpid()}"
    one, other = processes.Alone(name), processes.Alone(name)
    assert one.take()
    assert one.take()
    assert other.take()
    one.release()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "not" / "there"))
    assert processes.Alone("nowhere").take()
    monkeypatch.setattr(processes, "fcntl", None)
    assert processes.Alone("no locks").take()


def test_a_lock_is_not_left_behind() -> None:
    """An application object that nobody closed does not keep the next one from being the one."""
    name = f"a test of none {os.getpid()}"
    forgotten = processes.Alone(name)
    assert forgotten.take()
    del forgotten
    later = processes.Alone(name)
    assert later.take()
    assert later._file is not None
    later.release()


# What cannot be kept


@pytest.mark.requirement("S1-104")
@pytest.mark.parametrize("because", ["", 'because = "load tests"\n'])
def test_off_in_production_is_refused(build: Builder, because: str) -> None:
    """With a reason or without: what is switched off for tests must not be forgotten."""
    text = f"[rate_limits]\noff = true\n{because}"
    assert "rate_limits.off" in build.refusal(text)
    refused = build.refusal(text, **DEVELOPMENT)
    assert bool(refused) == (not because)


def test_off_in_development_counts_nothing(tmp_path: Path) -> None:
    """An application's own tests may switch the limits off for themselves (S1-104)."""
    policy = tmp_path / "bylaw.toml"
    policy.write_text(NOTES + '\n[development]\nrate_limits.off = true\nrate_limits.because = "tests"\n')
    with (
        Laboratory(Target("notes", lambda: flask_app.create_app(policy)), environ=DEVELOPMENT) as lab,
        lab.paced(),
    ):
        visitor = lab.visitor()
        replies = [visitor.get("/x") for _ in range(400)]
    assert {reply.status for reply in replies} == {404}
    assert not replies[0].header("x-ratelimit-limit")


@pytest.mark.parametrize("path", ["login", "", "/a b", "/a?x", "/a#b", "/a*", "/*b", '/\\"'])
def test_what_is_no_path(build: Builder, path: str) -> None:
    """A route's limit that could match nothing would be none."""
    assert "is no path of this site" in build.refusal(f"[rate_limits.routes]\n'{path}' = ['5/minute']\n")


def test_a_route_without_a_rate_is_refused(build: Builder) -> None:
    """An empty list beside a path says nothing: it is not taken for "no limit"."""
    assert "too short" in build.refusal('[rate_limits]\nroutes = { "/x" = [] }\n')


@pytest.mark.parametrize("name", sorted(CREATE))
def test_a_route_that_is_not_there_is_refused(name: str, tmp_path: Path) -> None:
    """A limit of a path that nothing answers limits nothing: said at the start, by line."""
    policy = tmp_path / "bylaw.toml"
    policy.write_text(
        NOTES + '\n[rate_limits.routes]\n"/api/notes" = ["5/minute"]\n"/api/nots" = ["5/minute"]\n'
    )

    def ready(app: Any) -> Any:
        bylaw = app.extensions["bylaw"] if name == "flask" else app.state.bylaw
        bylaw.ready() if name == "flask" else bylaw._prepare(True)
        return app

    with pytest.raises(PolicyError) as refused:
        Laboratory(Target("notes", lambda: ready(CREATE[name](policy)))).close()
    assert "/api/nots" in str(refused.value)
    assert "nothing answers there" in str(refused.value)
    assert "/api/notes " not in str(refused.value)


def test_without_the_client_of_redis_the_policy_is_refused(
    build: Builder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`bylaw check` says what to install, before anything starts."""
    monkeypatch.setattr(rate_limits, "find_spec", lambda name: None)
    assert "pip install 'bylaw[redis]'" in build.refusal('[rate_limits]\nstore = "redis://cache"\n')


# What is printed


def test_the_statement_says_what_is_kept(build: Builder) -> None:
    """The sentences of SECURITY.md are the policy's own numbers."""
    text = S1 + 'total = ["100000/day"]\nstore = "env:REDIS_URL"\non_outage = "CHOICE"\n'
    for choice, said in (
        ("memory", "each process counts"),
        ("refuse", "with 503"),
        ("allow", "nothing is counted"),
    ):
        printed = " ".join(
            CONTROL.statement(build.policy(text.replace("CHOICE", choice), REDIS_URL="rediss://cache"))
        )
        assert "200/day and 50/hour" in printed
        assert "`/auth/login`: 5/minute" in printed
        assert "Everybody together: 100000/day" in printed
        assert said in printed
    alone = " ".join(CONTROL.statement(build.policy("[rate_limits]\ndefault = []\nsigned_in = []\n")))
    assert "memory of one process" in alone
    assert "stranger" not in alone
    below = build.policy('[rate_limits]\non_outage = "allow"\n').of(rate_limits.Settings).below_standard()
    assert [each.key for each in below] == ["on_outage"]


# The probes, and that they can fail


def test_probes_on_a_policy_with_redis(starting: Any) -> None:
    """Where the counters are shared, what is looked at is that nothing starts without them."""
    lab = starting(S1 + 'store = "env:REDIS_URL"\n')
    lab.site.house.paced = False
    for probe in CONTROL.probes:
        result = attempt(CONTROL, probe, lab)
        assert result.outcome == "pass", f"{probe.name}: {result.evidence}"
    with broken(sabotages.every_process_may_count_for_itself):
        assert attempt(CONTROL, losing.no_process_counts_for_itself, lab).outcome == "fail"


def test_a_limit_is_itself_and_not_its_numbers() -> None:
    """Two limits of the same numbers are two budgets."""
    assert counters.Limit(1, 1, "a") != counters.Limit(1, 1, "a")
    with pytest.raises(Lost):
        raise Lost("gone")
