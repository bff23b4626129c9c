"""The measurements run, count what they promise to count, and say so in a form that programs read."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from pathlib import Path
from statistics import median

import pytest

from benchmarks import __main__ as command
from benchmarks import applications, report, requests
from benchmarks.in_process import BUDGET
from benchmarks.premises import HOST, ORIGIN, Queries, Visit, production
from benchmarks.spread import Spread
from benchmarks.storm import Latency
from bylaw.site import Site

ROOT = Path(__file__).parent.parent


@pytest.mark.timeout(180)
def test_a_quick_measurement_runs_to_its_end(tmp_path: Path) -> None:
    """Whoever runs `python -m benchmarks --quick` gets tables, and the same figures as JSON."""
    file = tmp_path / "figures.json"
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", "--quick", "--json", str(file)],
        check=False,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=170,
    )
    assert done.returncode == 0, done.stderr
    figures = json.loads(file.read_text())
    assert set(figures) == {"machine", *command.SECTIONS}
    assert figures["requests"]["queries"] == 0
    budgeted = [p for row in figures["requests"]["rows"] for p in row["against"] if p["budget"]]
    assert [p["name"] for p in budgeted] == [
        "Flask GET, bare",
        "Flask POST, bare",
        "FastAPI GET, bare with a dependency",
        "FastAPI POST, bare with a dependency",
    ]
    assert f"budget {BUDGET}" in done.stdout
    [storm] = figures["storms"]
    assert storm["signed_in"] > 0
    assert storm["quiet"]["count"] > 10
    assert storm["storm"]["count"] > 10
    served = {(row["server"], row["name"]) for row in figures["http"]}
    assert {("uvicorn", "bylaw"), ("granian", "bylaw")} <= served
    assert figures["scale"]["memory"]["bounded"] * 10 == figures["scale"]["memory"]["sessions"]
    assert {row["rows"] for row in figures["imports"]} == {500}
    assert {(row["kind"], row["queries"]) for row in figures["revocations"]} == {
        ("session", 0),
        ("access token (JWT)", 0),
        ("API key", 0),
    }


def test_the_figures_that_are_shown_are_those_that_were_measured() -> None:
    """The tables of the benchmarks' README and the plot are drawn from the kept figures, by no hand."""
    figures = json.loads(command.FIGURES.read_text("utf-8"))
    assert report.text(figures) in report.README.read_text("utf-8")
    drawn = report.PLOT.read_text("utf-8")
    for row in figures["requests"]["rows"]:
        for pair in row["against"]:
            if pair["name"].endswith(", bare"):
                assert f"{pair['added']['median']:,.0f} µs" in drawn


def test_the_bare_application_sends_the_same_fields() -> None:
    """Writing fields is the server's work: what is compared over HTTP sends as many and as long ones."""
    with production():
        app = applications.guarded_flask()
        site: Site = app.extensions["bylaw"].site
        visit = Visit(site, "fields@people.test")
        client = app.test_client()
        client.set_cookie(*visit.cookie.split("="), domain=HOST, secure=True)
        sent = client.get("/items", base_url=ORIGIN, headers={"Sec-Fetch-Site": "same-origin"})
        site.close()
    bare = applications.headed_flask().test_client().get("/items")
    assert (sent.status_code, bare.status_code) == (200, 200)
    assert {name.lower() for name, _ in sent.headers} == {name.lower() for name, _ in bare.headers}
    own = ("x-request", "x-rate", "rate", "date", "server")
    fixed = [(name, value) for name, value in bare.headers if not name.lower().startswith(own)]
    assert [(name, sent.headers[name]) for name, _ in fixed] == fixed


def test_a_query_of_a_request_is_counted() -> None:
    """The count of queries is no decoration: a process's first request of a session is one."""
    with production():
        app = applications.guarded_flask()
        site: Site = app.extensions["bylaw"].site
        visit, queries = Visit(site, "counted@people.test"), Queries(site)
        once = requests.wsgi(app, requests.get(visit.cookie))
        once()
        first = queries.count
        once()
        site.close()
    assert first > 0
    assert queries.count == first


def test_a_refused_request_is_no_measurement() -> None:
    """An application that refuses quickly must not look fast: another status than the expected raises."""
    with production():
        flask, fastapi = applications.guarded_flask(), applications.guarded_fastapi()
        stranger = requests.get("nobody=1")
        with pytest.raises(RuntimeError, match="401"):
            requests.wsgi(flask, stranger)()
        with pytest.raises(RuntimeError, match="401"):
            asyncio.run(requests.asgi(fastapi, stranger)())
        flask.extensions["bylaw"].site.close()
        fastapi.state.bylaw.site.close()


def test_a_spread_is_of_the_rounds() -> None:
    """The median and the outer twentieths, so that one slow moment of the machine decides nothing."""
    rounds = [1.0] * 19 + [100.0]
    spread = Spread.of(rounds)
    assert (spread.median, spread.p5) == (1.0, 1.0)
    assert spread.p95 < 100.0


def test_a_hundredth_of_the_requests_is_the_p99() -> None:
    """Latencies are told in milliseconds, the slowest one too."""
    taken = [n / 1000 for n in range(1, 101)]
    latency = Latency.of(taken)
    assert latency.count == 100
    assert latency.p50 == pytest.approx(median(taken) * 1000)
    assert 99 <= latency.p99 <= latency.worst == 100


def test_one_section_alone_leaves_the_others_out(capsys: pytest.CaptureFixture[str]) -> None:
    """`python -m benchmarks requests` prints what a request costs, and starts no server."""
    assert command.main(["requests", "--quick"]) == 0
    said = capsys.readouterr().out
    assert "0 queries in" in said
    assert "sign in" not in said


def test_a_section_that_is_not_there_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    """A misspelt section measures nothing, and says which there are."""
    with pytest.raises(SystemExit):
        command.main(["reqests"])
    assert "no such section: reqests; there are requests, http" in capsys.readouterr().err
