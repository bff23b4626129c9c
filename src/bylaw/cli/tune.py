"""bylaw tune: what a password's hash should cost on this host."""

from __future__ import annotations

import json
import os
import re
import statistics
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final

import click
from rich.table import Table

from bylaw import hashing
from bylaw.cli.common import JSON, out, spoken
from bylaw.controls.passwords import costs
from bylaw.quantities import octets, weighed

MEMORY: Final = (256, 192, 128, 96, 64, 46, 32, 19)
"""MiB of one hash that are tried, the most first."""
RUNS: Final = 3
SLACK: Final = 1.1
"""What a measurement may be beyond the target: the next one would be other by as much."""
_MOMENT: Final = re.compile(r"(\d{1,5}) ?(ms|s)", re.ASCII)
Measure = Callable[[int, int], float]
"""Seconds of processor time that one hash of (KiB, passes) takes."""


@dataclass(frozen=True, slots=True)
class Price:
    """Parameters of Argon2id and what one hash takes here, in seconds of processor time."""

    mebibytes: int
    passes: int
    seconds: float

    @property
    def kib(self) -> int:
        return self.mebibytes * 1024


class _Moment(click.ParamType[float]):
    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        if isinstance(value, float):
            return value
        match = _MOMENT.fullmatch(str(value).strip())
        seconds = int(match[1]) / (1000 if match[2] == "ms" else 1) if match else 0.0
        if not 0.02 <= seconds <= 5:
            self.fail(f"{value!r} is no time from 20ms to 5s, e.g. 250ms", param, ctx)
        return seconds


class _Size(click.ParamType[int]):
    name = "size"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        try:
            size = octets(str(value))
        except ValueError:
            size = 0
        if not isinstance(size, int) or not 64 * 1024**2 <= size <= 1024**4:
            self.fail(f"{value!r} is no size from 64MB on, e.g. 256MB", param, ctx)
        return size


@click.command(short_help="Measure this host, and propose what a password's hash should cost.")
@click.option(
    "--target", type=_Moment(), default="250ms", show_default=True, help="Time of one hash at most."
)
@click.option(
    "--memory",
    type=_Size(),
    default="256MB",
    show_default=True,
    help="Memory of all hashes at once at most.",
)
@JSON
@spoken
def tune(target: float, memory: int, as_json: bool) -> None:
    """Measure this host, and propose Argon2id parameters with the policy's lines.

    As much memory as there is room for and as many passes as the time allows: what costs an attacker
    most. Never less than OWASP's minimum, whatever was asked for. Run it where the application runs, and
    while little else does.
    """
    threads = pool(memory)
    steps = list(candidates(memory, threads))
    with click.progressbar(
        steps, label="Measuring", file=sys.stderr, hidden=as_json or not sys.stderr.isatty()
    ) as shown:
        prices = [price for size in shown for price in affordable(measured, size, target)]
    best = settle(measured, propose(prices, target), target)
    if as_json:
        out.print_json(json.dumps(_data(best, target, memory, threads)))
    else:
        _show(best, target, memory, threads)


def pool(memory: int) -> int:
    """How many hashes are computed at once: as many as there are processors, and room for."""
    return max(1, min(os.cpu_count() or 1, memory // (MEMORY[-1] * 1024**2)))


def candidates(memory: int, threads: int) -> Iterable[int]:
    """MiB of one hash for which each of the threads has room; the least is among them whatever there is."""
    room = memory // threads // 1024**2
    return [size for size in MEMORY if size <= room] or [MEMORY[-1]]


def measured(kib: int, passes: int) -> float:
    """The median of a few hashes, in processor time: what else the host does meanwhile does not count."""
    scheme = hashing.Argon2id(kib, passes)
    times = []
    for _ in range(RUNS):
        began = time.thread_time()
        scheme.make("correct horse battery staple")
        times.append(time.thread_time() - began)
    return statistics.median(times)


def affordable(measure: Measure, mebibytes: int, target: float) -> Iterable[Price]:
    """The least that OWASP allows of this size, and as many passes more as the time allows."""
    kib = mebibytes * 1024
    least = next(n for n in range(1, hashing.MOST_PASSES + 1) if not hashing.weak(kib, n))
    first = measure(kib, least)
    yield Price(mebibytes, least, first)
    # The first pass asks the system for the memory as well: one more tells what the others cost.
    each = max(measure(kib, least + 1) - first, first / (least + 1) / 2)
    more = min(int((target - first) / each), hashing.MOST_PASSES - least)
    if more > 0:
        yield Price(mebibytes, least + more, first + more * each)


def propose(prices: Iterable[Price], target: float) -> Price:
    """What moves most memory within the time; where nothing does, the quickest that is allowed."""
    found = list(prices)
    within = [price for price in found if price.seconds <= target]
    if not within:
        return min(found, key=lambda price: price.seconds)
    most = max(costs.moved(price.kib, price.passes) for price in within)
    # Of what costs about the same, the most memory: that cannot be had by computing longer (RFC 9106).
    alike = [price for price in within if costs.moved(price.kib, price.passes) >= most * 0.85]
    return max(alike, key=lambda price: price.mebibytes)


def settle(measure: Measure, price: Price, target: float) -> Price:
    """The price as it is measured whole, with fewer passes while that is more than was asked for."""
    least = next(n for n in range(1, hashing.MOST_PASSES + 1) if not hashing.weak(price.kib, n))
    passes = price.passes
    while True:
        seconds = measure(price.kib, passes)
        if seconds <= target * SLACK or passes == least:
            return Price(price.mebibytes, passes, seconds)
        passes = max(least, min(passes - 1, int(passes * target / seconds)))


def lines(best: Price, memory: int) -> str:
    """What to write into the policy."""
    return (
        "[passwords]\n"
        f'argon2_memory = "{best.mebibytes}MB"\n'
        f"argon2_passes = {best.passes}\n"
        f"memory = {max(memory // 1024**2, best.mebibytes, 64)}"
    )


def _data(best: Price, target: float, memory: int, threads: int) -> dict[str, Any]:
    cost = costs.argon2id(best.kib, best.passes)
    return {
        "host": {"processors": os.cpu_count() or 1, "hashes_at_once": threads},
        "target_ms": round(target * 1000),
        "memory": memory,
        "argon2_memory": best.mebibytes * 1024**2,
        "argon2_passes": best.passes,
        "ms": round(best.seconds * 1000),
        "within_target": best.seconds <= target * SLACK,
        "sign_ins_per_second": round(threads / best.seconds, 1),
        "attacker": {
            "guesses_per_second": round(cost.guesses_per_second),
            "leaked_list_seconds": round(cost.listed_seconds),
            "leaked_list_usd": round(cost.listed_usd, 2),
            "random_8_usd": round(cost.random_usd),
        },
        "policy": lines(best, memory),
    }


def _show(best: Price, target: float, memory: int, threads: int) -> None:
    out.print(
        f"{os.cpu_count() or 1} processors, {weighed(memory)} for hashes: {threads} at once, "
        f"about {threads / best.seconds:.0f} sign-ins a second",
        markup=False,
    )
    if best.seconds > target * SLACK:
        out.print(
            f"\nOWASP's minimum of {best.mebibytes} MB takes {best.seconds * 1000:.0f} ms here, not the "
            f"{target * 1000:.0f} ms that were asked for; less is not proposed.",
            markup=False,
        )
    out.print(f"\n{lines(best, memory)}\n", markup=False)
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for title in ("", "verify ms", "guesses/s", "10 million leaked", "8 random [A-Za-z0-9]"):
        table.add_column(title, overflow="fold")
    for name, kib, passes, ms in (
        ("proposed", best.kib, best.passes, f"{best.seconds * 1000:.0f}"),
        ("bylaw's default", hashing.ARGON2_KIB, hashing.ARGON2_PASSES, ""),
        ("OWASP's minimum", *hashing.ARGON2_LEAST[1], ""),
    ):
        cost = costs.argon2id(kib, passes)
        table.add_row(
            f"{name} (m={kib // 1024} MiB, t={passes})",
            ms,
            f"{cost.guesses_per_second:,.0f}",
            f"{cost.listed_seconds / 60:.1f} min, {cost.listed_usd:,.2f} USD",
            f"{cost.random_usd / 1e6:,.1f} M USD",
        )
    out.print(table, soft_wrap=False)
    out.print(
        "\nAt most, on one rented H200 at 3 USD an hour (docs/controls/passwords.md#what-guessing-costs). No "
        "hash protects a password that is on a list: the blocklist, the lockout and a pepper do.",
        markup=False,
    )
