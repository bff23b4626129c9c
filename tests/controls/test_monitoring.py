"""Monitoring: a balancer and an operator are answered, and nobody else learns anything."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bylaw.controls import errors, monitoring, proxies
from bylaw.controls.monitoring import CONTROL, measures
from bylaw.exchange import ALLOW, Answer, Exchange, Refuse, Response, TextHead, Verdict
from bylaw.house import House
from bylaw.store import migrate
from bylaw.verify.fakes import FakeClock
from bylaw.verify.laboratory import Laboratory
from bylaw.verify.runner import attempt
from bylaw.verify.target import Target
from tests.applications import fastapi_app, flask_app
from tests.controls.houses import Builder, decided, exchange

CREATE: dict[str, Any] = {"flask": flask_app.create_app, "fastapi": fastapi_app.create_app}
PLAIN = """
[app]
name = "Notes"
[roles]
admin = ["*"]
editor = ["note:*"]
[signup]
open = true
role = "editor"
"""
OTHERS = [
    "",
    '[monitoring]\nhealth = ""\nready = "/status/ready"\nmetrics = "/internal/metrics"\nnetworks = []\n',
]
INSIDE, OUTSIDE = "10.0.0.7", "203.0.113.9"


@pytest.fixture(scope="module")
def build(tmp_path_factory: pytest.TempPathFactory) -> Builder:
    return Builder(tmp_path_factory.mktemp("monitoring"))


@pytest.fixture
def house(build: Builder) -> House:
    """A house with a database of this version."""
    made = build.house()
    migrate.upgrade(made.store.engine)
    return made


def ask(house: House, path: str, method: str = "GET", peer: str = OUTSIDE) -> Verdict:
    step = CONTROL.steps["arrive"](house)
    return decided(step, exchange(method, path, peer=peer))


def body(verdict: Verdict) -> str:
    assert isinstance(verdict, Answer)
    response: Response = verdict.response
    assert response.status == 200
    assert ("Cache-Control", "no-store") in response.headers
    return response.body.decode()


@pytest.mark.requirement("S1-139")
def test_health_asks_nobody(build: Builder) -> None:
    """Without tables, a feed or a clock: the process answers."""
    assert body(ask(build.house(), "/healthz")) == '{"status": "ok"}'
    assert ask(build.house(), "/healthz/") is ALLOW
    assert ask(build.house(), "/") is ALLOW


@pytest.mark.requirement("S1-139")
@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/metrics"])
@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "BREW"])
def test_only_reading(house: House, path: str, method: str) -> None:
    """What somebody sends is not taken."""
    verdict = ask(house, path, method, INSIDE)
    assert isinstance(verdict, Refuse)
    assert verdict.reason is errors.METHOD
    assert verdict.headers == (("Allow", "GET, HEAD"),)
    outside = ask(house, path, method)
    assert isinstance(outside, Refuse)
    assert outside.reason is (errors.NOT_FOUND if path == "/metrics" else errors.METHOD)


@pytest.mark.requirement("S1-139")
def test_ready(house: House) -> None:
    """All is well: an operator sees what was looked at, everybody else that it is."""
    assert body(ask(house, "/readyz")) == '{"status": "ready"}'
    told = body(ask(house, "/readyz", "GET", INSIDE))
    assert told == '{"status": "ready", "checks": ["database", "feed", "migrations"]}'
    house.store.close()


@pytest.mark.requirement("S1-139")
@pytest.mark.parametrize(
    ("check", "fault"),
    [
        (lambda: "Redis does not answer", "Redis does not answer"),
        (lambda: 1 / 0, "does not answer"),
        (lambda: (_ for _ in ()).throw(OSError("redis://:password@host")), "does not answer"),
    ],
)
def test_redis_down_is_not_ready(house: House, check: Any, fault: str) -> None:
    """Limits that no longer count: readiness fails, and says to operators alone what it is."""
    house.checks["limiter"] = check
    inside, outside = ask(house, "/readyz", "GET", INSIDE), ask(house, "/readyz")
    for verdict, fields in ((inside, {"limiter": fault}), (outside, {})):
        assert isinstance(verdict, Refuse)
        assert verdict.reason is monitoring.NOT_READY
        assert verdict.fields == fields
        assert verdict.detail == ""
    house.store.close()


@pytest.mark.requirement("S1-139")
def test_an_empty_database_is_not_ready(tmp_path: Path) -> None:
    """Before `bylaw db upgrade` nobody is sent here."""
    house = Builder(tmp_path).house()
    verdict = ask(house, "/readyz", "GET", INSIDE)
    assert isinstance(verdict, Refuse)
    assert set(verdict.fields) == {"migrations", "feed"}
    assert "bylaw db upgrade" in verdict.fields["migrations"]
    house.store.close()


@pytest.mark.requirement("S1-139")
def test_the_checks_are_made_once_a_second(house: House) -> None:
    """A storm on /readyz is no storm on the database."""
    asked: list[int] = []

    def counting() -> str:
        asked.append(1)
        return ""

    house.checks["counting"] = counting
    step = CONTROL.steps["arrive"](house)
    clock: Any = house.ports.clock
    assert isinstance(clock, FakeClock)
    for turn in (0, 0, 2, 0, -5, 0):
        clock.advance(turn)
        body(decided(step, exchange("GET", "/readyz")))
    assert len(asked) == 3
    house.store.close()


@pytest.mark.requirement("S1-139")
def test_while_a_check_hangs_nobody_waits_behind_it(house: House) -> None:
    """One caller waits for the database; the others are told what was seen before, or that nothing was."""
    step = CONTROL.steps["arrive"](house)
    seen: list[Verdict] = []

    def hanging() -> str:
        seen.append(decided(step, exchange("GET", "/readyz", peer=INSIDE)))
        return ""

    house.checks["hanging"] = hanging
    body(decided(step, exchange("GET", "/readyz")))
    clock: Any = house.ports.clock
    clock.advance(2)
    body(decided(step, exchange("GET", "/readyz")))
    assert isinstance(seen[0], Refuse)
    assert seen[0].fields == {"readiness": "is being looked at for the first time"}
    assert "ready" in body(seen[1])
    house.store.close()


@pytest.mark.requirement("S1-139")
@pytest.mark.parametrize(
    ("peer", "relayed", "shown"),
    [
        ("127.0.0.1", False, True),
        ("::1", False, True),
        ("10.255.0.1", False, True),
        ("172.16.0.1", False, True),
        ("192.168.1.1", False, True),
        ("fd00::1", False, True),
        ("::ffff:10.0.0.1", False, True),
        ("10.255.0.1", True, False),
        ("172.32.0.1", False, False),
        ("203.0.113.9", False, False),
        ("2001:db8::1", False, False),
        ("", False, False),
        ("localhost", False, False),
    ],
)
def test_who_sees_metrics(house: House, peer: str, relayed: bool, shown: bool) -> None:
    """Loopback and private networks by default, and nobody whom a header hides."""
    asked: Exchange = exchange("GET", "/metrics", peer=peer)
    if relayed:
        asked.note(proxies.RELAYED, True)
    verdict = decided(CONTROL.steps["arrive"](house), asked)
    if shown:
        assert "bylaw_hash_places{" in body(verdict)
    else:
        assert isinstance(verdict, Refuse)
        assert verdict.reason is errors.NOT_FOUND


def test_what_is_counted(house: House) -> None:
    """Answers by method and class, refusals by reason, events by name; each with its type and its help."""
    depart = CONTROL.steps["depart"](house)
    answers = [("GET", 200), ("GET", 204), ("POST", 422), ("BREW", 405), ("other", 500), ("GET", 1200)]
    for method, status in answers:
        depart(exchange(method, "/"), TextHead(status, []))
    house.count("csrf.cross_site")
    house.count("rate_limits.outage_of_a_test")
    lines = body(ask(house, "/metrics", "GET", INSIDE)).splitlines()
    samples = {line.partition(",process")[0]: line.rpartition(" ")[2] for line in lines if line[0] != "#"}
    assert samples['bylaw_requests_total{method="GET",outcome="2xx"'] == "3"
    assert samples['bylaw_requests_total{method="POST",outcome="4xx"'] == "1"
    assert samples['bylaw_requests_total{method="other",outcome="4xx"'] == "1"
    assert samples['bylaw_requests_total{method="other",outcome="5xx"'] == "1"
    assert samples['bylaw_refusals_total{reason="csrf.cross_site"'] == "1"
    assert samples['bylaw_events_total{event="rate_limits.outage_of_a_test"'] == "1"
    families = [line.split()[2] for line in lines if line.startswith("# TYPE")]
    assert families == [line.split()[2] for line in lines if line.startswith("# HELP")]
    assert len(families) == len(set(families))


def test_places_of_the_hash_pool(house: House) -> None:
    """How full the pool is: nothing before its first hash, everything in a storm."""
    assert house.hashes.taken == 0
    with house.hashes.occupied():
        assert house.hashes.taken == house.hashes.places
        told = body(ask(house, "/metrics", "GET", INSIDE))
        assert f"}} {house.hashes.places}\n# HELP bylaw_sessions_remembered" in told
    assert house.hashes.taken == 0


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('health = "/x"\nready = "/x"', "another one's path"),
        ('metrics = "/auth/metrics"', "where bylaw's own pages are"),
        ('metrics = "/auth"', "where bylaw's own pages are"),
        ('health = "/login"\n[pages.aliases]\n"/login" = "/auth/login"', "where bylaw's own pages are"),
        ('metrics = "metrics"', "not of this form"),
        ('metrics = "/m?x"', "not of this form"),
        ('networks = ["operators"]', "is no network"),
    ],
)
def test_what_does_not_start(build: Builder, text: str, said: str) -> None:
    """Paths that clash and networks that are none are refused at the start."""
    assert said in build.refusal(f"[monitoring]\n{text}\n")


def test_what_is_switched_off_is_not_there(build: Builder) -> None:
    """An empty path answers nothing, an empty root path included."""
    text = '[monitoring]\nhealth = ""\nready = ""\nmetrics = ""\n'
    step = CONTROL.steps["arrive"](build.house(text))
    for path in ("", "/", "/healthz", "/readyz", "/metrics"):
        assert step(exchange("GET", path, peer=INSIDE)) is ALLOW
    assert CONTROL.statement(build.policy(text)) == ["The application does not say how it is."]
    named = build.policy('[monitoring]\nnetworks = ["env:NET"]\n', NET="192.0.2.0/24")
    said = " ".join(CONTROL.statement(named))
    assert "`env:NET`" in said
    assert "192.0.2" not in said


def test_nobody_is_an_operator_of_a_policy_without_networks(build: Builder) -> None:
    """An empty list lets nobody in, and says so."""
    text = "[monitoring]\nnetworks = []\n"
    verdict = ask(build.house(text), "/metrics", "GET", "127.0.0.1")
    assert isinstance(verdict, Refuse)
    assert "nobody" in CONTROL.statement(build.policy(text))[2]


@pytest.mark.requirement("S1-139")
def test_the_applications_readiness(laboratory: Laboratory) -> None:
    """Over the whole stack: ready, and after a fault 503 as a problem that a program reads."""
    visitor = laboratory.visitor()
    assert visitor.get("/readyz").json() == {"status": "ready"}
    laboratory.site.house.checks["limiter"] = lambda: "Redis does not answer"
    laboratory.clock.advance(2)
    reply = visitor.get("/readyz", headers=[("Host", "10.0.0.7:8000")])
    assert (reply.status, reply.code) == (503, "monitoring.not_ready")
    operator = laboratory.visitor(peer=INSIDE)
    assert "Redis does not answer" in operator.get("/readyz").text
    assert 'bylaw_refusals_total{reason="monitoring.not_ready"' in operator.get("/metrics").text


# Proof


@pytest.mark.parametrize("text", OTHERS)
@pytest.mark.parametrize("framework", sorted(CREATE))
def test_the_promises_hold_on_another_policy(framework: str, text: str, tmp_path: Path) -> None:
    """The probes know what a policy says: they pass for one that says something else."""
    file = tmp_path / "bylaw.toml"
    file.write_text(PLAIN + text, "utf-8")
    with Laboratory(Target("notes", lambda: CREATE[framework](file))) as laboratory:
        results = [attempt(CONTROL, probe, laboratory) for probe in CONTROL.probes]
    assert [r.evidence for r in results if r.outcome != "pass"] == []


# What is measured off the request path


def samples(house: House) -> dict[str, float]:
    found = {}
    for line in body(ask(house, "/metrics", peer=INSIDE)).splitlines():
        if not line.startswith("#"):
            name, _, value = line.rpartition(" ")
            found[name.partition(",process")[0].partition("{process")[0].removesuffix("}")] = float(value)
    return found


@pytest.mark.requirement("S2-043")
def test_sizes_are_looked_at_once_a_minute(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """However often a scrape comes, the database is asked by a chore alone, and now and then."""
    looks: list[int] = []
    real = measures.size.bytes_of
    monkeypatch.setattr(measures.size, "bytes_of", lambda connection: (looks.append(1), real(connection))[1])
    chore = monitoring.measuring(house)
    for _ in range(3):
        chore()
        samples(house)
    assert len(looks) == 1
    seen = samples(house)
    assert seen['bylaw_database_bytes{part="data"'] > 0
    assert seen['bylaw_database_rows{table="users"'] == 0
    assert "bylaw_database_limit_bytes" not in seen
    assert "bylaw_backup_taken_seconds" not in seen


@pytest.mark.requirement("S2-042", "S2-043")
def test_a_warning_is_said_once_a_day(
    build: Builder, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A database over its limit and a copy that is missing are said once a day for as long as it lasts."""
    house = build.house(f'{PLAIN}\n[monitoring]\ndatabase_size = "4kB"\nbackups = "{tmp_path}/none"\n')
    migrate.upgrade(house.store.engine)
    clock = house.ports.clock
    assert isinstance(clock, FakeClock)
    chore = monitoring.measuring(house)
    for _ in range(10):
        chore()
        clock.advance(measures.EVERY)
    said = [record.getMessage() for record in caplog.records if record.name == "bylaw.monitoring"]
    assert len(said) == 2
    assert "more than monitoring.database_size (4 kB)" in said[0]
    assert f"bylaw db backup {tmp_path}/none" in said[1]
    clock.advance(measures.SAID_FOR)
    chore()
    assert len([r for r in caplog.records if r.name == "bylaw.monitoring"]) == 4
    seen = samples(house)
    assert (seen["bylaw_database_over_limit"], seen["bylaw_backup_overdue"]) == (1, 1)
    assert any("4 kB" in text for text in CONTROL.statement(house.policy))
    assert any("older than 26 hours" in text for text in CONTROL.statement(house.policy))


@pytest.mark.requirement("S2-043")
def test_nothing_is_measured_where_it_is_off(build: Builder) -> None:
    """A control that is off does nothing."""
    house = build.house(f'{PLAIN}\n[monitoring]\noff = true\nbecause = "another one watches"\n')
    monitoring.measuring(house)()
    assert house.gauges == {}
