"""bylaw check: whether the policy can be kept, and what is below today's standard."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
from rich.table import Table

from bylaw import pages
from bylaw import policy as policies
from bylaw.cli.common import JSON, bench, fail, out, policy_file, spoken
from bylaw.controls import CONTROLS, exemptions
from bylaw.errors import PolicyError
from bylaw.identity import AccessRule
from bylaw.policy import Policy


@click.command(short_help="Say whether the policy can be kept.")
@click.argument("policy", required=False)
@click.option("--strict", is_flag=True, help="Fail as well when a value is below the standard.")
@JSON
@spoken
def check(policy: str | None, strict: bool, as_json: bool) -> None:
    """Read POLICY (a file, or an application's module) as a start would.

    Every problem is reported at once. Values below today's standard are allowed, and listed with
    the source that says so. Exemptions are listed; an application's module is started in a laboratory,
    and what is public there is listed as well.
    """
    file = policy_file(policy)
    try:
        read = policies.load(file, CONTROLS)
        pages.table(read)
    except PolicyError as error:
        if not as_json:
            raise
        out.print_json(json.dumps({"problems": [_problem(p) for p in error.problems]}))
        raise SystemExit(1) from None
    below = list(read.below_standard())
    routes, unread = _routes(policy, file)
    rows = exemptions.register(read, routes)
    if as_json:
        out.print_json(
            json.dumps(
                {
                    "problems": [],
                    "below_standard": [
                        {
                            "section": section,
                            "key": b.key,
                            "value": b.value,
                            "standard": b.standard,
                            "source": b.source,
                            "because": because,
                        }
                        for section, b, because in below
                    ],
                    "exemptions": [asdict(row) for row in rows],
                },
                default=str,
            )
        )
    else:
        _show(read, below)
        _show_exemptions(read, rows)
        if unread:
            out.print(f"\nWhat is public could not be read off the application: {unread}", markup=False)
    if strict and below:
        fail(f"{len(below)} values are below today's standard (--strict)")


def _problem(problem: Any) -> dict[str, str]:
    return {"where": problem.where, "what": problem.what, "why": problem.why, "accepted": problem.accepted}


def _show(read: Policy, below: list[Any]) -> None:
    off = [name for name, settings in read.controls.items() if settings.off]
    out.print(
        f"{read.app.name} · {read.environment} policy · {len(read.controls) - len(off)} "
        f"controls on, {len(off)} off · it can be kept",
        markup=False,
    )
    for name in off:
        out.print(f"  {name} is off: {read.controls[name].because}", markup=False)
    for name, older in read.older.items():
        out.print(f"  {name} was read from {older}, an older name: rename the variable", markup=False)
    if below:
        out.print("\nBelow today's standard (allowed, and printed in SECURITY.md):")
        table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
        for title in ("setting", "value", "standard", "source", "because"):
            table.add_column(title, overflow="fold")
        for section, b, because in below:
            table.add_row(f"{section}.{b.key}", b.value, b.standard, b.source, because or "no reason given")
        out.print(table, soft_wrap=False)


def _show_exemptions(read: Policy, rows: list[exemptions.Row]) -> None:
    if not rows:
        return
    soon = dict(exemptions.ending(read, datetime.now(UTC).date()))
    out.print("\nExempt, or public:")
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for title in ("what", "exempt from", "until", "because", "in its place", "who answers for it"):
        table.add_column(title, overflow="fold")
    for row in rows:
        until = str(row.expires or "")
        if row in soon:
            until += f", {soon[row]} days left"
        of = "signing in" if row.of == exemptions.PUBLIC else row.of
        table.add_row(row.what, of, until, row.reason, row.instead, row.owner)
    out.print(table, soft_wrap=False)


Routes = list[tuple[str, str, AccessRule]]


def _routes(text: str | None, file: Path) -> tuple[Routes, str]:
    """The routes of the application that was named, and of bylaw's own pages in it; or why there are none.

    The application is started in a laboratory, as `bylaw matrix` does: on no database of anybody's. Raises
    PolicyError where it has a route that it could not start with.
    """
    if text is None or file == Path(text) or Path(text).exists():
        return [], ""  # a policy file has no routes
    try:
        with bench(text) as made, made.laboratory() as laboratory:
            return laboratory.routes(), ""
    except PolicyError:
        raise
    except LookupError as error:
        return [], str(error.args[0])
    except Exception as error:  # noqa: BLE001 - an application may fail in any way; its policy is still one
        return [], f"it does not start here ({type(error).__name__})"
