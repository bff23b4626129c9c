"""Accounts that are looked for, one that is looked at, and what happened to it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime

import click

from bylaw.cli.common import JSON, POLICY, account, house_of, json_line, out, spoken
from bylaw.cli.users.shown import as_dict, examples, state, tell
from bylaw.controls import roles as roles_control
from bylaw.house import House
from bylaw.operations import administering
from bylaw.operations.administering import SYSTEM
from bylaw.pages import telling
from bylaw.reasons import Refused
from bylaw.store.users import User, Wanted


@click.command(
    "list",
    short_help="List accounts by their address.",
    epilog=examples("list --search ann", "list --role admin --json", "list --without-factor --role admin"),
)
@click.option("--search", default="", help="What the address or the name begins with.")
@click.option("--anywhere", is_flag=True, help="The search may stand anywhere in them (slower).")
@click.option("--role", default="", help="Who holds this role.")
@click.option("--disabled", is_flag=True, help="Who is disabled.")
@click.option("--unconfirmed", is_flag=True, help="Whose address nobody has confirmed.")
@click.option("--without-factor", is_flag=True, help="Who has no second factor.")
@POLICY
@click.option("--json", "as_json", is_flag=True, help="Print JSON for programs, one account on a line.")
@spoken
def list_(
    search: str,
    anywhere: bool,
    role: str,
    disabled: bool,
    unconfirmed: bool,
    without_factor: bool,
    policy: str | None,
    as_json: bool,
) -> None:
    """List accounts by their address. They are printed as they are found: a million need no memory."""
    wanted = Wanted(search, anywhere, role, disabled, unconfirmed, without_factor)
    with house_of(policy) as house:
        _known(house, role)
        count = 0
        for found in _all(house, wanted):
            count += 1
            if as_json:
                json_line(as_dict(found))
                continue
            fields = [found.email, ", ".join(sorted(found.roles)) or "no role", state(found), found.name]
            click.echo("  ".join(filter(None, fields)))
    if not as_json:
        click.echo(f"{count} account{'' if count == 1 else 's'}")


def _known(house: House, role: str) -> None:
    if role and not roles_control.known(house.policy, role):
        raise Refused(roles_control.NO_SUCH_ROLE, fields={"role": "one of the policy's roles"})


def _all(house: House, wanted: Wanted) -> Iterator[User]:
    after = ""
    while True:
        page = administering.listing(house, SYSTEM, wanted, after=after)
        yield from page.users
        after = page.after
        if not after:
            return


@click.command(epilog=examples("show ann@acme.eu", "show ann@acme.eu --json"))
@click.argument("email")
@POLICY
@JSON
@spoken
def show(email: str, policy: str | None, as_json: bool) -> None:
    """Show one account, and what it can sign in with."""
    with house_of(policy) as house:
        found = account(house, email)
        held = administering.factors_of(house, SYSTEM, found.id)
        live = len(administering.sessions_of(house, SYSTEM, found.id))
    if as_json:
        facts = {"password": found.password_hash is not None, "factors": held, "sessions": live}
        out.print_json(json.dumps({**as_dict(found), **facts}))
        return
    tell(found, as_json=False)
    ways = ["password"] if found.password_hash is not None else []
    ways += [f"{number} {kind}" for kind, number in held.items() if number]
    out.print(f"  signs in with: {', '.join(ways) or 'nothing yet'}", markup=False)
    out.print(f"  sessions: {live}", markup=False)


@click.command(
    short_help="Print what was done to an account and by it.",
    epilog=examples(
        "history ann@acme.eu",
        "history ann@acme.eu --since 2026-11-01 --action user_disabled",
        "history ann@acme.eu --json > ann.jsonl",
    ),
)
@click.argument("email")
@click.option("--action", default="", help="Records of this action only.")
@click.option("--since", type=click.DateTime(), help="From this moment on, in UTC.")
@click.option("--until", type=click.DateTime(), help="Before this moment, in UTC.")
@POLICY
@click.option("--json", "as_json", is_flag=True, help="Print the records as JSON, one on a line.")
@spoken
def history(
    email: str,
    action: str,
    since: datetime | None,
    until: datetime | None,
    policy: str | None,
    as_json: bool,
) -> None:
    """Print what was done to an account and by it, the newest first."""
    with house_of(policy) as house:
        found = account(house, email)
        before: int | None = None
        while True:
            rows = administering.history(
                house,
                SYSTEM,
                found.id,
                action=action,
                since=since.replace(tzinfo=UTC) if since else None,
                until=until.replace(tzinfo=UTC) if until else None,
                before=before,
            )
            for row in rows:
                if as_json:
                    json_line(telling.as_json(row))
                else:
                    at = row["timestamp"].isoformat(timespec="seconds")
                    outcome = "" if row["outcome"] == "success" else f" [{row['outcome']}]"
                    click.echo(f"{at}  {telling.sentence(row)}{outcome}")
            if len(rows) < administering.PAGE:
                return
            before = rows[-1]["id"]
