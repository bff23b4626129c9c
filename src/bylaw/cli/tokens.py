"""bylaw token: access tokens of people, from the command line."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterable
from typing import Any

import click

from bylaw.cli.common import JSON, POLICY, account, house_of, iso, json_line, spoken
from bylaw.controls import email as addresses
from bylaw.controls import tokens as control
from bylaw.operations import tokens
from bylaw.operations.authority import SYSTEM
from bylaw.operations.minting import Given
from bylaw.quantities import seconds
from bylaw.store import users
from bylaw.store.users import User

REASON = click.option("--reason", default="", help="Why. Recorded with what is done.")
NEVER = "never"


@click.group(
    epilog="""\b
Examples:
  bylaw token new ann@acme.eu --name phone
  bylaw token new --for "Participant 1" --role participant --lifetime 7d
  bylaw token list --never
  bylaw token rotate Irmr3iGhh-KlfkPJ
  bylaw token revoke Irmr3iGhh-KlfkPJ --reason "the card was lost"

A token is named by its id, which `bylaw token list` prints.

Exit codes: 0 it is done; 1 it is not, and why is said; 2 the call itself was wrong."""
)
def token() -> None:
    """Access tokens of people: made, listed, rotated, revoked."""


def _show(given: Given, *, as_json: bool) -> None:
    """The token itself on a line of its own, for a pipe; what there is to say of it beside, for people."""
    if as_json:
        facts = {"id": given.id, "token": given.secret, "name": given.name}
        click.echo(json.dumps({**facts, "expires_at": iso(given.expires_at, NEVER)}))
        return
    click.echo(given.secret)
    click.echo(f"shown this once; id {given.id}; it expires: {iso(given.expires_at, NEVER)}", err=True)


@token.command(
    short_help="Make a token; it is shown once.",
    epilog="""\b
Examples:
  bylaw token new ann@acme.eu --name phone
  bylaw token new ann@acme.eu --name workshop --lifetime 7d
  bylaw token new --for "Participant 1" --role participant > card.txt
  bylaw token new --first                     a value for ADMIN_TOKEN""",
)
@click.argument("owner", required=False)
@click.option("--for", "named", default="", help="Make an account without a mail address, called so.")
@click.option("--role", default="", help="The role of that account.")
@click.option("--name", default="", help="What the token is for.")
@click.option("--lifetime", default="", help='How long it is good for, e.g. 30d, or "never".')
@click.option("--first", is_flag=True, help="Print a value for [tokens] bootstrap; nothing is made.")
@POLICY
@JSON
@spoken
def new(
    owner: str | None,
    named: str,
    role: str,
    name: str,
    lifetime: str,
    first: bool,
    policy: str | None,
    as_json: bool,
) -> None:
    """Make a token for a person, who is told by mail.

    OWNER is a mail address, or an account's id. The token is printed this once.
    """
    if [owner is not None, bool(named), first].count(True) != 1:
        raise click.UsageError("name the owner, or --for somebody new, or --first")
    if bool(role) != bool(named):
        raise click.UsageError("--for and --role belong together: a new account has a role")
    if first:
        click.echo(_first())
        return
    life = _lifetime(lifetime)
    with house_of(policy) as house:
        if named:
            if life.get("never") or name:
                raise click.UsageError("--for takes no --name, and its token expires")
            until = house.now() + life["lifetime"] if life else None
            made = tokens.issue_many(house, SYSTEM, 1, role, names=[named], token_until=until)[0]
            row = tokens.of_user(house, SYSTEM, made.account_id)[0]
            given = Given(row["id"], made.secret, row["name"], row["expires_at"])
        else:
            given = tokens.issue(house, SYSTEM, account(house, owner or "").id, name=name, **life)
    _show(given, as_json=as_json)


def _first() -> str:
    """A value that a start takes: of a million random ones a few look as if they were not."""
    made = secrets.token_urlsafe(32)
    return made if control.weakness(made) is None else _first()


def _lifetime(text: str) -> dict[str, Any]:
    """What is asked for; nothing where nothing is, and the policy decides."""
    if not text:
        return {}
    if text == NEVER:
        return {"never": True}
    try:
        return {"lifetime": seconds(text)}
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--lifetime") from None


@token.command(
    "list",
    short_help="List the tokens that were not revoked.",
    epilog="""\b
Examples:
  bylaw token list
  bylaw token list ann@acme.eu --json
  bylaw token list --never                    what has no end, and how many
  bylaw token list --soon                     what its owner should replace""",
)
@click.argument("owner", required=False)
@click.option("--never", is_flag=True, help="Those alone that never expire.")
@click.option("--soon", is_flag=True, help="Those alone that are about to expire.")
@POLICY
@click.option("--json", "as_json", is_flag=True, help="Print JSON for programs, one token on a line.")
@spoken
def list_(owner: str | None, never: bool, soon: bool, policy: str | None, as_json: bool) -> None:
    """List the tokens that were not revoked: everybody's, or one account's. No token itself is in it."""
    with house_of(policy) as house:
        rows = tokens.everyone(house, SYSTEM, account(house, owner).id if owner else "")
        now = house.now()
        with house.store.reading() as connection:
            owners = {row["user_id"] for row in rows}
            called = {each: users.by_id(connection, each) for each in owners}
    shown = [
        (row, tokens.state(row, now))
        for row in rows
        if (not never or row["expires_at"] is None) and (not soon or tokens.soon(row, now))
    ]
    _print(((row, state, called[row["user_id"]]) for row, state in shown), as_json=as_json)
    if not as_json:
        click.echo(f"{len(shown)} token{'' if len(shown) == 1 else 's'}")


def _print(rows: Iterable[tuple[Any, str, User | None]], *, as_json: bool) -> None:
    for row, state, user in rows:
        whose = _whose(user)
        if as_json:
            facts = {name: row[name] for name in ("id", "user_id", "name")}
            times = {name: iso(row[name]) or None for name in ("created_at", "expires_at", "used_at")}
            json_line({**facts, "owner": whose, "state": state, **times})
            continue
        ends = f"until {iso(row['expires_at'], NEVER)}" if row["expires_at"] else "never expires"
        used = f"last used {iso(row['used_at'])}" if row["used_at"] else "never used"
        click.echo("  ".join([row["id"], whose, row["name"], state, ends, used]))


def _whose(user: User | None) -> str:
    if user is None:
        return ""
    return user.email if addresses.reachable(user.email) else f"{user.name} (no mail address)"


@token.command(
    short_help="End a token, and its sessions.",
    epilog='\b\nExamples:\n  bylaw token revoke Irmr3iGhh-KlfkPJ --reason "the card was lost"',
)
@click.argument("token_id")
@REASON
@POLICY
@spoken
def revoke(token_id: str, reason: str, policy: str | None) -> None:
    """End a token and every session that it opened.

    Every process heeds it within the policy's revocation bound.
    """
    with house_of(policy) as house:
        tokens.revoke(house, SYSTEM, token_id, reason=reason)
    click.echo("revoked; its sessions have ended")


@token.command(
    short_help="Put another token in a token's place.",
    epilog="\b\nExamples:\n  bylaw token rotate Irmr3iGhh-KlfkPJ\n  bylaw token list --soon",
)
@click.argument("token_id")
@POLICY
@JSON
@spoken
def rotate(token_id: str, policy: str | None, as_json: bool) -> None:
    """Make another token under the same name, and end the old one with its sessions, without a restart.

    There is no time in which both are good. The new one is printed this once.
    """
    with house_of(policy) as house:
        given = tokens.replace(house, SYSTEM, token_id)
    _show(given, as_json=as_json)
