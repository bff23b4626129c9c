"""`python -m benchmarks`: what bylaw costs a request, and what a storm of sign-ins costs the others."""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks import in_process, storm


def main(arguments: list[str] | None = None) -> int:
    """Measure, print a table, and write the figures where that was asked for."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a few rounds, to see that it works")
    parser.add_argument("--no-storm", action="store_true", help="only the cost of one request")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures into FILE as well")
    options = parser.parse_args(arguments)
    machine = _machine()
    print(
        f"Python {machine['python']}, {machine['system']}, {machine['cores']} cores, load {machine['load']}\n"
    )
    costs = in_process.measure(rounds=10, batch=20) if options.quick else in_process.measure()
    _print_costs(costs)
    weathers = []
    if not options.no_storm:
        for server, heed in storm.QUICK if options.quick else storm.ALL:
            seconds = 1.5 if options.quick else 8.0
            weathers.append(storm.measure(server, seconds=seconds, heed=heed))
        _print_weathers(weathers)
    if options.json:
        figures = {
            "machine": machine,
            "requests": asdict(costs),
            "storms": [{**asdict(weather), "ratio": weather.ratio} for weather in weathers],
        }
        options.json.write_text(json.dumps(figures, indent=2) + "\n", "utf-8")
    return 0


def _machine() -> dict[str, Any]:
    """What the figures depend on; no names."""
    return {
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "cores": os.cpu_count(),
        "load": f"{os.getloadavg()[0]:.1f}",
    }


def _print_costs(result: in_process.Result) -> None:
    print("One request of somebody signed in, in process, all controls on. Processor time of the thread,")
    print(
        "median of the rounds [5th to 95th percentile]; ratio and difference are paired within each round.\n"
    )
    for row in result.rows:
        micros = f"{row.micros.median:6.1f} µs [{row.micros.p5:.1f} to {row.micros.p95:.1f}]"
        print(f"  {row.name:<36} {micros}")
        for pair in row.against:
            ratio = f"{pair.ratio.median:.2f} [{pair.ratio.p5:.2f} to {pair.ratio.p95:.2f}]"
            budget = f", budget {in_process.BUDGET}: {_kept(pair.ratio.median, in_process.BUDGET)}"
            print(
                f"    × {pair.name:<32} {ratio}, {pair.added.median:+.1f} µs{budget if pair.budget else ''}"
            )
    print(f"\n  {result.queries} queries in {result.requests:,} guarded requests\n")


def _print_weathers(weathers: list[storm.Weather]) -> None:
    print(
        f"{storm.CLIENTS} clients sign in in a closed loop, one worker; meanwhile somebody signed in reads\n"
    )
    print(
        f"  {'':<22} {'quiet p50':>9} {'p99':>6} {'storm p50':>10} {'p99':>6} {'worst':>6}  "
        f"{'ratio':>5}  {'in/s':>5} {'503/s':>6}  {'MiB':>9}"
    )
    for w in weathers:
        print(
            f"  {w.server:<22} {w.quiet.p50:>9.1f} {w.quiet.p99:>6.1f} {w.storm.p50:>10.1f} "
            f"{w.storm.p99:>6.1f} {w.storm.worst:>6.0f}  {w.ratio:>5.1f}  {w.signed_in:>5.1f} "
            f"{w.refused:>6.1f}  {w.resident_before:>3} → {w.resident_after:<3}"
            f"{'' if w.heeded else '  not heeding Retry-After'}"
            f"{f'  budget {storm.BUDGET:.0f}: {_kept(w.ratio, storm.BUDGET)}' if w.heeded else ''}"
        )


def _kept(value: float, budget: float) -> str:
    return "kept" if value <= budget else "NOT kept"


if __name__ == "__main__":
    sys.exit(main())
