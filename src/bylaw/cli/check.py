"""bylaw check: whether the policy can be kept, and what is below today's standard."""

from __future__ import annotations

import json
from typing import Any

import click
from rich.table import Table

from bylaw import pages
from bylaw import policy as policies
from bylaw.cli.common import JSON, fail, out, policy_file, spoken
from bylaw.controls import CONTROLS, csrf
from bylaw.errors import PolicyError
from bylaw.policy import Policy


@click.command(short_help="Say whether the policy can be kept.")
@click.argument("policy", required=False)
@click.option("--strict", is_flag=True, help="Fail as well when a value is below the standard.")
@JSON
@spoken
def check(policy: str | None, strict: bool, as_json: bool) -> None:
    """Read POLICY (a file, or an application's module) as a start would.

    Every problem is reported at once. Values below today's standard are allowed, and listed with
    the source that says so.
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
                }
            )
        )
    else:
        _show(read, below)
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
    if below:
        out.print("\nBelow today's standard (allowed, and printed in SECURITY.md):")
        table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
        for title in ("setting", "value", "standard", "source", "because"):
            table.add_column(title, overflow="fold")
        for section, b, because in below:
            table.add_row(f"{section}.{b.key}", b.value, b.standard, b.source, because or "no reason given")
        out.print(table, soft_wrap=False)
    exemptions = read.of(csrf.Settings).exempt
    if exemptions:
        out.print("\nExempt from the token against request forgery:")
        for e in exemptions:
            out.print(f"  {e.path}  until {e.expires} · {e.reason} · {e.owner}", markup=False)
