"""Where an account is signed in."""

from __future__ import annotations

import json

import click

from bylaw.cli.common import JSON, POLICY, account, house_of, iso, json_line, out, spoken
from bylaw.cli.users.shown import REASON, examples
from bylaw.operations import administering
from bylaw.operations.administering import SYSTEM


@click.command(epilog=examples("sessions ann@acme.eu", "sessions ann@acme.eu --json"))
@click.argument("email")
@POLICY
@click.option("--json", "as_json", is_flag=True, help="Print JSON for programs, one session on a line.")
@spoken
def sessions(email: str, policy: str | None, as_json: bool) -> None:
    """List where an account is signed in, the last used first."""
    with house_of(policy) as house:
        rows = administering.sessions_of(house, SYSTEM, account(house, email).id)
    for row in rows:
        facts = {
            "id": row.id,
            "method": row.method,
            "address": row.address,
            "agent": row.agent,
            "created_at": iso(row.created_at),
            "seen_at": iso(row.seen_at),
            "acting": row.acting or "",
        }
        if as_json:
            json_line(facts)
        else:
            click.echo("  ".join(str(facts[k]) for k in ("id", "seen_at", "address", "agent") if facts[k]))
    if not as_json:
        click.echo(f"{len(rows)} session{'' if len(rows) == 1 else 's'}")


@click.command("end-sessions", epilog=examples("end-sessions ann@acme.eu"))
@click.argument("email")
@click.option("--id", "session_id", default="", help="This session only (see `bylaw user sessions`).")
@REASON
@POLICY
@JSON
@spoken
def end_sessions(email: str, session_id: str, reason: str, policy: str | None, as_json: bool) -> None:
    """End an account's sessions; its owner has to sign in anew."""
    with house_of(policy) as house:
        found = account(house, email)
        ended = administering.end_sessions(house, SYSTEM, found.id, session_id=session_id, reason=reason)
    if as_json:
        out.print_json(json.dumps({"email": found.email, "ended": ended}))
    else:
        out.print(f"{ended} session{'' if ended == 1 else 's'} ended", markup=False)
