"""`python -m benchmarks`: what bylaw costs, beside the bare framework and beside what teams glue together."""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from benchmarks import (
    imports,
    in_process,
    limiter,
    over_http,
    peers,
    report,
    revocation,
    scale,
    storm,
    uploads,
)

FIGURES: Final = Path(__file__).with_name("figures.json")


def main(arguments: list[str] | None = None) -> int:
    """Measure, print tables, and write the figures where that was asked for."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "only", nargs="*", metavar="SECTION", help=f"of {', '.join(SECTIONS)}; all by default"
    )
    parser.add_argument("--quick", action="store_true", help="a few rounds, to see that it works")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures into FILE as well")
    parser.add_argument(
        "--write",
        action="store_true",
        help="keep the figures in this folder's figures.json and README.md, and draw the plot",
    )
    options = parser.parse_args(arguments)
    unknown = [name for name in options.only if name not in SECTIONS]
    if unknown:
        parser.error(f"no such section: {', '.join(unknown)}; there are {', '.join(SECTIONS)}")
    if peers.missing():
        print(f"not installed, so not measured: {', '.join(peers.missing())} (make bench)\n", file=sys.stderr)
    figures: report.Figures = {"machine": _machine()}
    for name in options.only or SECTIONS:
        print(f"measuring: {name}", file=sys.stderr)
        figures[name] = SECTIONS[name](options.quick)
    print(report.text(figures))
    if options.write:
        if options.only and FIGURES.exists():
            kept = json.loads(FIGURES.read_text("utf-8"))
            figures = {**kept, **figures, "machine": kept["machine"]}  # most figures are of that moment
        FIGURES.write_text(json.dumps(figures, indent=1) + "\n", "utf-8")
        report.write(figures)
        report.plot(figures)
    if options.json:
        options.json.write_text(json.dumps(figures, indent=1) + "\n", "utf-8")
    return 0


def _machine() -> dict[str, Any]:
    """What the figures depend on; no names."""
    return {
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "cores": os.cpu_count(),
        "load": f"{os.getloadavg()[0]:.1f}",
    }


def _requests(quick: bool) -> Any:
    found = in_process.measure(rounds=10, batch=20) if quick else in_process.measure()
    return {**asdict(found), "budget": in_process.BUDGET}


def _http(quick: bool) -> Any:
    rows = over_http.measure(rounds=2, seconds=1.0) if quick else over_http.measure()
    return [asdict(row) for row in rows]


def _redis(quick: bool) -> Any:
    return asdict(limiter.measure(rounds=20 if quick else 400))


def _storms(quick: bool) -> Any:
    found = [
        storm.measure(server, seconds=1.5 if quick else 8.0, heed=heed)
        for server, heed in (storm.QUICK if quick else storm.ALL)
    ]
    return [{**asdict(weather), "ratio": weather.ratio} for weather in found]


def _scale(quick: bool) -> Any:
    memory = scale.memory(count=5_000) if quick else scale.memory()
    costs = scale.accounts(crowds=(1_000, 10_000), rounds=5) if quick else scale.accounts()
    return {"memory": asdict(memory), "accounts": [asdict(cost) for cost in costs]}


def _revocations(quick: bool) -> Any:
    if quick:
        rows = revocation.measure(changes=3, databases=("SQLite",))
    else:
        rows = revocation.measure()
    return [asdict(row) for row in rows]


def _uploads(quick: bool) -> Any:
    rows = uploads.measure(rounds=2, sizes=(1,)) if quick else uploads.measure()
    return [asdict(row) for row in rows]


def _imports(quick: bool) -> Any:
    rows = imports.measure(rounds=2, count=500, apart=False) if quick else imports.measure()
    return [asdict(row) for row in rows]


SECTIONS: Final[dict[str, Callable[[bool], Any]]] = {
    "requests": _requests,
    "http": _http,
    "redis": _redis,
    "storms": _storms,
    "scale": _scale,
    "revocations": _revocations,
    "uploads": _uploads,
    "imports": _imports,
}


if __name__ == "__main__":
    sys.exit(main())
