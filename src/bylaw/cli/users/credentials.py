"""What an account signs in with, as an administrator changes it."""

from __future__ import annotations

import json

import click

from bylaw.cli.common import JSON, POLICY, account, at_prompt, house_of, out, spoken
from bylaw.cli.users.shown import OWN, PASSWORD, REASON, examples, tell
from bylaw.operations import administering
from bylaw.operations.administering import SYSTEM


@click.command(
    short_help="Set a new password; its sessions end.",
    epilog=examples("password ann@acme.eu", "password root@acme.eu --own"),
)
@click.argument("email")
@PASSWORD
@OWN
@REASON
@POLICY
@JSON
@spoken
def password(
    email: str, password: str | None, own: bool, reason: str, policy: str | None, as_json: bool
) -> None:
    """Set a new password; the account's sessions end.

    The next sign-in asks for another one, unless its owner types it here (--own). Better: `bylaw user
    reset-link`, and nobody else ever knows it.
    """
    with house_of(policy) as house:
        found = account(house, email)
        given = at_prompt(password, "New password")
        administering.set_password(house, SYSTEM, found.id, given, renew=not own, reason=reason)
        found = account(house, email)
    if as_json:
        tell(found, as_json=True)
    else:
        out.print("set; all sessions have ended")


@click.command(
    "renew-password",
    short_help="Have the next sign-in ask for another password.",
    epilog=examples('renew-password ann@acme.eu --reason "it was shared"'),
)
@click.argument("email")
@REASON
@POLICY
@JSON
@spoken
def renew_password(email: str, reason: str, policy: str | None, as_json: bool) -> None:
    """Have the next sign-in ask for another password; the account's sessions end, and its owner is told."""
    with house_of(policy) as house:
        administering.require_password(house, SYSTEM, account(house, email).id, reason=reason)
        tell(account(house, email), as_json=as_json)


@click.command(
    "reset-link",
    short_help="Mail the owner a link to choose a new password.",
    epilog=examples("reset-link ann@acme.eu"),
)
@click.argument("email")
@REASON
@POLICY
@JSON
@spoken
def reset_link(email: str, reason: str, policy: str | None, as_json: bool) -> None:
    """Mail the owner a link to choose a new password; earlier links end. Nobody else sees it."""
    with house_of(policy) as house:
        found = account(house, email)
        sent = administering.send_link(house, SYSTEM, found.id, reason=reason)
    if as_json:
        out.print_json(json.dumps({"email": found.email, "sent": sent}))
    else:
        kind = "an invitation" if sent == "invitation" else "a link to choose a new password"
        out.print(f"{kind} for {found.email} is waiting to be mailed", markup=False)


@click.command(
    "reset-factors",
    short_help="Remove an account's second factors.",
    epilog=examples('reset-factors ann@acme.eu --reason "lost her phone, seen in person"'),
)
@click.argument("email")
@REASON
@click.option("--yes", is_flag=True, help="Do not ask first.")
@POLICY
@JSON
@spoken
def reset_factors(email: str, reason: str, yes: bool, policy: str | None, as_json: bool) -> None:
    """Remove an account's authenticator apps, passkeys and recovery codes.

    Its sessions end, and its owner is told. For somebody who has shown by another way who they are:
    attackers ask for this too.
    """
    with house_of(policy) as house:
        found = account(house, email)
        if not yes:
            click.confirm(f"Remove every second factor of {found.email}?", abort=True, err=True)
        administering.reset_factors(house, SYSTEM, found.id, reason=reason)
        tell(account(house, email), as_json=as_json)
