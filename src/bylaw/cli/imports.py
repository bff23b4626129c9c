"""bylaw import: what people import, from the command line."""

from __future__ import annotations

from typing import Any

import click

from bylaw.cli.common import POLICY, house_of, iso, json_line, spoken
from bylaw.operations.imports import faults, operating
from bylaw.operations.imports.telling import STATES
from bylaw.store.imports import Import

_SHOWN = 50


@click.group(
    "import",
    epilog="""\b
Examples:
  bylaw import list
  bylaw import show ID
  bylaw import cancel ID --reason "the wrong year"

Exit codes: 0 it is done; 1 it is not, and why is said; 2 the call itself was wrong.""",
)
def group() -> None:
    """Imports of tables: listed, looked at, cancelled."""


@group.command(
    "list",
    short_help="List imports.",
    epilog="\b\nExamples:\n  bylaw import list\n  bylaw import list --json --limit 10",
)
@click.option(
    "--limit", type=click.IntRange(1, 10_000), default=100, show_default=True, help="At most so many."
)
@POLICY
@click.option("--json", "as_json", is_flag=True, help="Print JSON for programs, one import on a line.")
@spoken
def list_(limit: int, policy: str | None, as_json: bool) -> None:
    """List everybody's imports, the newest first."""
    with house_of(policy) as house:
        found = operating.listed(house, limit=limit)
    for row in found:
        if as_json:
            json_line(_facts(row))
        else:
            click.echo(_line(row))
    if not found and not as_json:
        click.echo("no imports")


@group.command(
    short_help="Show one import, and why rows were not taken.",
    epilog="\b\nExamples:\n  bylaw import show ID\n  bylaw import show ID --json",
)
@click.argument("import_id", metavar="ID")
@POLICY
@click.option("--json", "as_json", is_flag=True, help="Print JSON for programs.")
@spoken
def show(import_id: str, policy: str | None, as_json: bool) -> None:
    """Show an import: its state, its counts, and the first rows that were not taken with what is wrong."""
    with house_of(policy) as house:
        row = operating.find(house, import_id)
        told = [faults.sentence(note) for note in operating.errors(house, row, limit=_SHOWN)]
    if as_json:
        json_line({**_facts(row), "told": told})
        return
    click.echo(_line(row))
    for line in filter(None, [row.because, *told]):
        click.echo(f"  {line}")


@group.command(
    short_help="Have an import end.",
    epilog='\b\nExamples:\n  bylaw import cancel ID --reason "the wrong year"',
)
@click.argument("import_id", metavar="ID")
@click.option("--reason", required=True, help="Why; it is recorded.")
@POLICY
@spoken
def cancel(import_id: str, reason: str, policy: str | None) -> None:
    """Have an import end between two batches. What it has imported until then stays, unless it was to take
    all rows or none."""
    with house_of(policy) as house:
        row = operating.cancel(house, import_id, reason=reason)
    click.echo("it ends with the batch that is under way" if row.under_way else STATES[row.state])


def _facts(row: Import) -> dict[str, Any]:
    counts = row.found.get("counts", {})
    return {
        "id": row.id,
        "importer": row.importer,
        "user_id": row.user_id,
        "name": row.name,
        "state": row.state,
        "mode": row.mode,
        "created": counts.get("created", 0),
        "updated": counts.get("updated", 0),
        "unchanged": counts.get("unchanged", 0),
        "errors": row.found.get("errors", 0),
        "skipped": row.found.get("skipped", 0),
        "because": row.because,
        "created_at": iso(row.created_at),
        "finished_at": iso(row.finished_at) or None,
    }


def _line(row: Import) -> str:
    facts = _facts(row)
    counts = f"{facts['created']} new, {facts['updated']} changed, {facts['errors']} not taken"
    return "  ".join((row.id, row.importer, row.name, STATES[row.state], counts, facts["created_at"]))
