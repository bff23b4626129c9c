"""bylaw verify: attack the running application by its own policy."""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.text import Text

from bylaw.cli.common import JSON, bench, err, near, out, spoken
from bylaw.controls import CONTROLS, exemptions
from bylaw.document import evidence
from bylaw.verify import matrix, reports, runner
from bylaw.verify.laboratory import Bench
from bylaw.verify.runner import Report


@click.command(short_help="Attack the running application by its own policy.")
@click.argument("app")
@click.option(
    "--only",
    multiple=True,
    type=click.Choice([c.name for c in CONTROLS]),
    metavar="CONTROL",
    help="Only this control (may be given several times).",
)
@click.option(
    "--sabotage", is_flag=True, help="Break every control in each of its ways; a probe must notice each."
)
@click.option(
    "--write", is_flag=True, help="Probes, sabotages and matrix; keep the evidence beside the policy."
)
@click.option(
    "--jobs",
    type=click.IntRange(1, 64),
    help="Processes that try sabotages side by side. Default: one for each processor.",
)
@click.option("--junit", type=click.Path(path_type=Path), help="Write JUnit XML into this file.")
@JSON
@spoken
def verify(
    app: str,
    only: tuple[str, ...],
    sabotage: bool,
    write: bool,
    jobs: int | None,
    junit: Path | None,
    as_json: bool,
) -> None:
    """Start APP (package.module or package.module:factory) in a laboratory and attack it.

    An outcome is pass, fail or could not look; the third is never counted as the first. Exit code 1
    when a promise does not hold or a sabotage went unnoticed.
    """
    began = time.monotonic()
    with bench(app) as made:
        report = Report()
        if not sabotage or write:
            report = _probes(made, only, quiet=as_json)
        if sabotage or write:
            report.sabotages = _sabotages(made, only, jobs or os.cpu_count() or 1, quiet=as_json)
        cells = _matrix(made) if (not only and not sabotage) or write else []
        if write:
            with made.laboratory() as laboratory:
                file = laboratory.policy.file
                rows = exemptions.register(laboratory.policy, laboratory.routes())
            gathered = evidence.gather(file, datetime.now(UTC).date(), report, cells, rows)
            err.print(f"evidence: {near(evidence.write(gathered, file))}")
    if junit is not None:
        junit.write_text(reports.as_junit(report), "utf-8")
    if as_json:
        out.print(reports.as_json(report), markup=False, soft_wrap=True)
    else:
        _tail(report, cells, time.monotonic() - began)
    if not report.kept or any(not c.as_declared and c.seen != "not_examined" for c in cells):
        raise SystemExit(1)


def _probes(made: Bench, only: tuple[str, ...], *, quiet: bool) -> Report:
    with made.laboratory() as laboratory:
        policy = laboratory.policy
        controls = runner.on_trial(policy, only)
        total = sum(len(c.probes) for c in controls)
        if not quiet:
            out.print(
                f"{policy.app.name} · {policy.environment} policy · laboratory on "
                f"{laboratory.site.house.store.engine.dialect.name} · {total} probes of "
                f"{len(controls)} controls",
                markup=False,
            )
    with _bar() as bar:
        task = bar.add_task("probes", total=total)
        left = {c.name: len(c.probes) for c in controls}
        report = Report()

        def seen(control: Any, result: Any) -> None:
            report.results.append(result)
            bar.advance(task)
            left[control.name] -= 1
            if not left[control.name] and not quiet:
                _line(report, control.name, len(control.probes))

        return runner.verify(made, only=only, progress=seen)


def _line(report: Report, control: str, probes: int) -> None:
    word, said = reports.control_line(report, control)
    style = {"pass": "green", "FAIL": "bold red"}.get(word, "yellow")  # nosec B105  # no secret: an example, a word or a laboratory's
    out.print(
        Text.assemble(f"{control:<12} {probes:>3} probes   ", (word, style), f"   {said}" if said else "")
    )


def _sabotages(made: Bench, only: tuple[str, ...], jobs: int, *, quiet: bool) -> list[runner.Caught]:
    with made.laboratory() as laboratory:
        total = sum(len(c.sabotages) for c in runner.on_trial(laboratory.policy, only))
    with _bar() as bar:
        task = bar.add_task("sabotages", total=total)

        def seen(control: Any, caught: Any) -> None:
            bar.advance(task)
            if not quiet:
                noticed = ("caught", "green") if caught.by else ("UNNOTICED", "bold red")
                out.print(
                    Text.assemble(
                        f"{control.name:<12} {caught.sabotage:<34} ",
                        noticed,
                        f" by {caught.by}" if caught.by else "",
                    )
                )

        return runner.sabotage(made, only=only, jobs=jobs, progress=seen).sabotages


def _matrix(made: Bench) -> list[matrix.Cell]:
    with made.laboratory() as laboratory, _bar() as bar:
        total = len(laboratory.routes()) * (len(laboratory.roles) + 1)
        task = bar.add_task("access", total=total)
        return matrix.measure(laboratory, lambda cell: bar.advance(task))


def _bar() -> Progress:
    """A bar on standard error. Lines that are printed meanwhile go above it in a terminal, and into
    the file where standard output is one.
    """
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        console=err,
        transient=True,
        redirect_stdout=out.is_terminal,
        disable=not err.is_terminal,
    )


def _tail(report: Report, cells: list[matrix.Cell], took: float) -> None:
    if cells:
        out.print(f"access       {reports.matrix_summary(cells)}", markup=False)
        for cell in [c for c in cells if not c.as_declared]:
            out.print(
                f"             {cell.method} {cell.path} as {cell.role}: declared "
                f"{cell.expected}, was {cell.seen} ({cell.status})",
                markup=False,
            )
    if report.sabotages:
        caught = sum(s.by is not None for s in report.sabotages)
        out.print(f"sabotage     {caught} of {len(report.sabotages)} caught", markup=False)
    for result in report.results:
        if result.outcome == "fail":
            out.print(
                f"\n{result.control}.{result.probe} ({result.severity}): {result.title}\n"
                f"    {result.evidence}\n    docs/controls/{result.control}.md",
                markup=False,
            )
    if report.results:
        out.print(f"{reports.summary(report):<64} {took:>6.1f} s", markup=False)
