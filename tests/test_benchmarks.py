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
from benchmarks import applications, requests
from benchmarks.in_process import BUDGET, Spread
from benchmarks.premises import Queries, Visit, production
from benchmarks.storm import Latency
from bylaw.site import Site

ROOT = Path(__file__).parent.parent


@pytest.mark.timeout(180)
def test_a_quick_measurement_runs_to_its_end(tmp_path: Path) -> None:
    """Whoever runs `python -m benchmarks --quick` gets a table, and the same figures as JSON."""
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


def test_the_measurement_alone_leaves_the_storm_out(capsys: pytest.CaptureFixture[str]) -> None:
    """`--no-storm` prints what a request costs, and starts no server."""
    assert command.main(["--quick", "--no-storm"]) == 0
    said = capsys.readouterr().out
    assert "0 queries in" in said
    assert "503/s" not in said
