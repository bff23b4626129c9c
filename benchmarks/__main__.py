"""`python -m benchmarks`: what bylaw costs a request, and what a storm of sign-ins costs the others.

Figures are of this machine and this moment; the ratios of one run hold better.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
from dataclasses import asdict
from pathlib import Path

from benchmarks import in_process, storm

BUDGET_RATIO = 1.35
BUDGET_STORM = 3.0


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a few rounds, to see that it works")
    parser.add_argument("--no-storm", action="store_true", help="only the cost of one request")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures into FILE as well")
    options = parser.parse_args(arguments)
    print(f"Python {platform.python_version()} on {os.cpu_count()} cores\n")
    requests = in_process.measure(rounds=10 if options.quick else 150, batch=40 if options.quick else 200)
    _print_requests(requests)
    weathers = []
    if not options.no_storm:
        seconds = 2.0 if options.quick else 8.0
        weathers = [storm.measure(server, seconds=seconds, heed=True) for server in storm.SERVERS]
        _print_storms(weathers)
    if options.json:
        figures = {"requests": asdict(requests), "storms": [asdict(weather) for weather in weathers]}
        options.json.write_text(json.dumps(figures, indent=2) + "\n", "utf-8")
    return 0


def _print_requests(result: in_process.Result) -> None:
    print(
        f"One request in process, signed in, all controls on (budget: {BUDGET_RATIO} × bare); median "
        "[5th to 95th percentile of the rounds]"
    )
    for row in result.rows:
        line = f"  {row.name:<36} {row.micros.median:7.1f} µs"
        if row.ratio is not None and row.added is not None:
            line += (
                f"   {row.ratio.median:.2f} × [{row.ratio.p5:.2f} to {row.ratio.p95:.2f}]"
                f"   +{row.added.median:.1f} µs   against {row.against}"
            )
        print(line)
    print(f"  {result.queries} queries in {result.requests:,} guarded requests\n")


def _print_storms(weathers: list[storm.Weather]) -> None:
    print(
        f"{storm.CLIENTS} clients signing in as fast as they may, one worker; a signed-in GET meanwhile "
        f"(budget: {BUDGET_STORM:.0f} × the quiet p99)"
    )
    for w in weathers:
        print(
            f"  {w.server:<20} quiet p99 {w.quiet.p99:6.1f} ms   storm p50 {w.storm.p50:6.1f}, "
            f"p99 {w.storm.p99:6.1f} ms   {w.ratio:.1f} ×   {w.signed_in:.1f} sign-ins/s, "
            f"{w.refused:.1f} refused/s   {w.resident_before} → {w.resident_after} MiB"
        )


if __name__ == "__main__":
    sys.exit(main())
