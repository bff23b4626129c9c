"""bylaw files: what people uploaded, from the command line."""

from __future__ import annotations

import json
from typing import Any

import click

from bylaw.cli.common import JSON, POLICY, err, fail, house_of, iso, json_line, spoken
from bylaw.operations import rescanning
from bylaw.operations.files import sweeping
from bylaw.operations.files.sweeping import Wrong
from bylaw.quantities import weighed
from bylaw.store import files as rows
from bylaw.store.files import StoredFile


@click.group(
    "files",
    epilog="""\b
Examples:
  bylaw files list
  bylaw files list --state held
  bylaw files verify
  bylaw files rescan
  bylaw files sweep

Exit codes: 0 it is done, and all is well; 1 it is not, and why is said; 2 the call itself was wrong.""",
)
def group() -> None:
    """Uploaded files: listed, compared, scanned anew, swept."""


@group.command(
    "list",
    short_help="List uploaded files.",
    epilog="\b\nExamples:\n  bylaw files list --subject process:17\n"
    "  bylaw files list --state refused --json",
)
@click.option("--subject", default="", help="Those alone that belong to this, e.g. process:17.")
@click.option(
    "--state",
    type=click.Choice([rows.HELD, rows.CLEAN, rows.REFUSED, rows.REMOVED, rows.ERASED]),
    help="Those alone in this state: held (still being checked), refused (something was found) …",
)
@click.option(
    "--limit", type=click.IntRange(1, 100_000), default=1000, show_default=True, help="At most so many."
)
@POLICY
@click.option("--json", "as_json", is_flag=True, help="Print JSON for programs, one file on a line.")
@spoken
def list_(subject: str, state: str | None, limit: int, policy: str | None, as_json: bool) -> None:
    """List uploaded files, the newest first."""
    with house_of(policy) as house, house.store.reading() as connection:
        found = rows.listed(connection, subject=subject, state=state or "", limit=limit)
        totals = rows.totals(connection)
    for file in found:
        if as_json:
            json_line(_facts(file))
        else:
            click.echo(_line(file))
    if not as_json:
        counted = (f"{count} {state} ({weighed(size)})" for state, (count, size) in sorted(totals.items()))
        click.echo(", ".join(counted) or "no files")


def _facts(file: StoredFile) -> dict[str, Any]:
    names = ("id", "subject", "name", "kind", "size", "digest", "state", "because", "user_id", "scanned_by")
    return {**{name: getattr(file, name) for name in names}, "created_at": iso(file.created_at)}


def _line(file: StoredFile) -> str:
    what = [file.id, file.subject or "(not attached)", file.name, weighed(file.size), file.state]
    return "  ".join(filter(None, [*what, file.because, iso(file.created_at)]))


@group.command(
    short_help="Compare every file with what was taken.", epilog="\b\nExamples:\n  bylaw files verify"
)
@POLICY
@JSON
@spoken
def verify(policy: str | None, as_json: bool) -> None:
    """Compare every file in storage with its SHA-256: after a back-up was put back, or now and then.

    Exit code 1 where one is missing or is not what was taken.
    """
    with house_of(policy) as house:
        seen = list(sweeping.verify(house))
    wrong = [found for found in seen if found is not None]
    if as_json:
        told = [{"id": each.file.id, "subject": each.file.subject, "why": each.why} for each in wrong]
        click.echo(json.dumps({"compared": len(seen), "wrong": told}))
    else:
        _say(wrong)
        click.echo(f"{len(seen)} compared, {len(wrong)} wrong")
    if wrong:
        raise SystemExit(1)


def _say(wrong: list[Wrong]) -> None:
    for each in wrong:
        err.print(f"{each.why}  {each.file.subject or '(not attached)'}  {each.file.name}")


@group.command(short_help="Clear away what is nobody's.", epilog="\b\nExamples:\n  bylaw files sweep")
@click.option("--orphans", is_flag=True, help="Bytes that no row names as well, however many they are.")
@POLICY
@spoken
def sweep(orphans: bool, policy: str | None) -> None:
    """Clear away files that nothing needed, bytes that were removed, and what a process that died left
    behind.

    Every process of the application does the same, all the time. After an older copy of the database was put
    back, files are in no row: they are kept until you call this with --orphans.
    """
    with house_of(policy) as house:
        swept = sweeping.sweep(house)
        more = sweeping.clear_all_orphans(house) if orphans else 0
    click.echo(
        f"{swept.unattached} that nothing needed, {swept.removed} removed, "
        f"{swept.orphans + more} without a row, {swept.parts} unfinished"
    )


@group.command(short_help="Scan every file anew.", epilog="\b\nExamples:\n  bylaw files rescan")
@POLICY
@JSON
@spoken
def rescan(policy: str | None, as_json: bool) -> None:
    """Have the scanner look at every file: held ones are released or withdrawn, clean ones looked at anew."""
    with house_of(policy) as house:
        seen = rescanning.everything(house)
    if as_json:
        click.echo(
            json.dumps({"looked": seen.looked, "released": seen.released, "withdrawn": seen.withdrawn})
        )
    else:
        click.echo(f"{seen.looked} looked at, {seen.released} released, {seen.withdrawn} withdrawn")
    if seen.away:
        fail(f"not every file was looked into: {seen.away}")
