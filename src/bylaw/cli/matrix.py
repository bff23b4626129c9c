"""bylaw matrix: who may call what, measured."""

from __future__ import annotations

import json
from dataclasses import asdict

import click
from rich.progress import Progress
from rich.table import Table

from bylaw.cli.common import JSON, bench, err, out, show_files, spoken
from bylaw.verify import matrix as matrices
from bylaw.verify import reports


@click.command(short_help="Measure who may call what.")
@click.argument("app")
@JSON
@spoken
def matrix(app: str, as_json: bool) -> None:
    """Ask every route of APP as every role and as nobody, with real requests.

    "yes" was let in, "–" was refused, "?" could not be examined; "!" marks what is not as declared.
    """
    with bench(app) as made, made.laboratory() as laboratory:
        expected = len(laboratory.routes()) * (len(laboratory.roles) + 1)
        with Progress(console=err, transient=True, disable=not err.is_terminal) as bar:
            task = bar.add_task("access", total=expected)
            cells = matrices.measure(laboratory, lambda cell: bar.advance(task))
        files = matrices.takings(laboratory)
    examined = sum(cell.seen != "not_examined" for cell in cells)
    if as_json:
        out.print(
            json.dumps(
                {
                    "expected": expected,
                    "examined": examined,
                    "files": files,
                    "cells": [{**asdict(c), "as_declared": c.as_declared} for c in cells],
                },
                indent=2,
            ),
            markup=False,
            soft_wrap=True,
        )
    else:
        titles, rows = reports.matrix_rows(cells)
        table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
        for title in titles:
            table.add_column(title, overflow="fold")
        for row in rows:
            table.add_row(*row)
        out.print(table, soft_wrap=False)
        out.print(f"\n{reports.matrix_summary(cells)} · examined {examined} of {expected}", markup=False)
        show_files(files)
    if any(not c.as_declared and c.seen != "not_examined" for c in cells):
        raise SystemExit(1)
