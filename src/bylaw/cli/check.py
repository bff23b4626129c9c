"""bylaw check: whether the policy can be kept, and what is below today's standard."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import click
from rich.table import Table

from bylaw import pages
from bylaw import policy as policies
from bylaw.cli import beside
from bylaw.cli.common import JSON, bench, fail, out, policy_file, show_files, site, spoken
from bylaw.controls import CONTROLS, exemptions, passwords
from bylaw.controls.passwords import judging
from bylaw.errors import PolicyError
from bylaw.identity import AccessRule
from bylaw.policy import Policy
from bylaw.store import migrate
from bylaw.store import passwords as stored
from bylaw.verify import matrix as matrices


@click.command(short_help="Say whether the policy can be kept.")
@click.argument("policy", required=False)
@click.option("--strict", is_flag=True, help="Fail as well when a value is below the standard.")
@click.option(
    "--users", "with_users", is_flag=True, help="Count the accounts whose passwords meet other rules."
)
@click.option(
    "--beside",
    "other",
    metavar="OTHER",
    help="Compare with the policy of another application that shares its sign-ins.",
)
@JSON
@spoken
def check(policy: str | None, strict: bool, with_users: bool, other: str | None, as_json: bool) -> None:
    """Read POLICY (a file, or an application's module) as a start would.

    Every problem is reported at once. Values below today's standard are allowed, and listed with
    the source that says so. Exemptions are listed; an application's module is started in a laboratory,
    and what is public there is listed as well.

    --users reads the application's own database, and changes nothing in it: how many accounts have a
    password that was not judged by today's rules. It is judged again when its owner signs in.

    --beside OTHER fails where two applications behind one host name would not know each other's sign-ins, and
    lists what else they say differently, with what comes of it.
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
    routes, files, unread = _routes(policy, file)
    rows = exemptions.register(read, routes)
    judged = _judged(policy) if with_users else None
    two = _beside(read, other) if other is not None else None
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
                    "files": files,
                    **({"users": judged} if judged is not None else {}),
                    **(
                        {name: [asdict(each) for each in found] for name, found in two.items()} if two else {}
                    ),
                },
                default=str,
            )
        )
    else:
        _show(read, below)
        _show_exemptions(read, rows)
        show_files(files)
        if judged is not None:
            _show_judged(judged)
        if two is not None:
            _show_beside(two)
        if unread:
            out.print(f"\nWhat is public could not be read off the application: {unread}", markup=False)
    if two is not None and two["apart"]:
        fail(f"the two do not share their sign-ins: {', '.join(each.key for each in two['apart'])}")
    if strict and below:
        fail(f"{len(below)} values are below today's standard (--strict)")


def _beside(read: Policy, text: str) -> dict[str, list[beside.Difference]]:
    """What keeps two policies apart, and what else they say differently."""
    other = policies.load(policy_file(text), CONTROLS)
    return {
        "apart": list(beside.conflicts(read, other)),
        "different": list(beside.differences(read, other)),
    }


def _show_beside(two: dict[str, list[beside.Difference]]) -> None:
    for name, title in (
        ("apart", "\nMust be the same, and is not:"),
        ("different", "\nSign-ins are shared. Said differently:"),
    ):
        if not two[name] or (name == "different" and two["apart"]):
            continue
        out.print(title)
        table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
        for heading in ("what", "here", "there", "what comes of it"):
            table.add_column(heading, overflow="fold")
        for each in two[name]:
            table.add_row(each.key, each.here, each.there, each.why)
        out.print(table, soft_wrap=False)
    if not any(two.values()):
        out.print("\nSign-ins are shared, and nothing is said differently.")


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
Takings = list[dict[str, Any]]


def _routes(text: str | None, file: Path) -> tuple[Routes, Takings, str]:
    """The routes of the application that was named, and of bylaw's own pages in it; the files that they take;
    or why there are none.

    The application is started in a laboratory, as `bylaw matrix` does: on no database of anybody's. Raises
    PolicyError where it has a route that it could not start with.
    """
    if text is None or file == Path(text) or Path(text).exists():
        return [], [], ""  # a policy file has no routes
    try:
        with bench(text) as made, made.laboratory() as laboratory:
            return laboratory.routes(), matrices.takings(laboratory), ""
    except PolicyError:
        raise
    except LookupError as error:
        return [], [], str(error.args[0])
    except Exception as error:  # noqa: BLE001 - an application may fail in any way; its policy is still one
        return [], [], f"it does not start here ({type(error).__name__})"


_JUDGED: Final = {
    "length": "were asked for fewer characters",
    "kinds": "were not asked for every kind of character",
    "list": "were compared with an earlier list",
    "any": "were set elsewhere, or before there was a record",
}
"""Why a password is judged again, in words."""


def _judged(text: str | None) -> dict[str, Any]:
    """How many accounts have a password that today's rules were not asked of. Raises LookupError."""
    found = site(text)
    house = found.house
    try:
        engine, settings = house.store.engine, house.policy.of(passwords.Settings)
        file = engine.url.database if engine.dialect.name == "sqlite" else None
        # A look must not leave an empty database behind, nor bring one to another version.
        there = file is None or Path(file).exists()
        if not there or migrate.current(engine) != migrate.latest():
            raise LookupError("the database is not there, or of another version: bylaw db upgrade")
        with house.store.reading() as connection:
            held = stored.judged_by(connection)
    finally:
        found.close()
    again: Counter[str] = Counter()
    concerned = 0
    for rules, second, count in held:
        lacking = judging.uncovered(settings, rules, second=second)
        concerned += count if lacking else 0
        again.update(dict.fromkeys(lacking, count))
    return {
        "with_a_password": sum(count for *_, count in held),
        "judged_again": concerned,
        "because": {reason: again[reason] for reason in _JUDGED if again[reason]},
    }


def _show_judged(judged: dict[str, Any]) -> None:
    total, again = judged["with_a_password"], judged["judged_again"]
    out.print(f"\nPasswords: {total} accounts have one; {again} are judged again at the next sign-in.")
    if again:
        table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
        for title in ("accounts", "because they"):
            table.add_column(title, overflow="fold")
        for reason, count in judged["because"].items():
            table.add_row(str(count), _JUDGED[reason])
        out.print(table, soft_wrap=False)
        out.print("Whoever breaks today's rules then chooses another before anything else.")
