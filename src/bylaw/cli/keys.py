"""bylaw key: API keys, from the command line."""

from __future__ import annotations

import json
from typing import Any

import click

from bylaw.cli.common import JSON, POLICY, account, house_of, iso, json_line, out, spoken
from bylaw.operations import api_keys as operations
from bylaw.operations.api_keys import Made
from bylaw.operations.authority import SYSTEM

REASON = click.option("--reason", default="", help="Why. Recorded with what is done.")


@click.group(
    epilog="""\b
Examples:
  bylaw key new service:nightly --name import --scope lot:read --scope report:create
  bylaw key list
  bylaw key rotate 4jygev846d8 --overlap 24h
  bylaw key revoke 4jygev846d8 --reason "found in a repository"

A key is named by its id: what stands behind bylaw_key_ up to the next _.

Exit codes: 0 it is done; 1 it is not, and why is said; 2 the call itself was wrong."""
)
def key() -> None:
    """API keys of programs: made, listed, rotated, revoked."""


def _show(made: Made, *, as_json: bool) -> None:
    """The key itself on a line of its own, for a pipe; what there is to say of it beside, for people."""
    if as_json:
        facts = {
            "id": made.id,
            "key": made.text,
            "name": made.name,
            "scopes": list(made.scopes),
            "expires_at": iso(made.expires_at, "never"),
            "replaces": made.replaces,
            "old_until": iso(made.old_until) or None,
        }
        click.echo(json.dumps(facts))
        return
    click.echo(made.text)
    click.echo(f"shown this once; it ends: {iso(made.expires_at, 'never')}", err=True)
    if made.replaces:
        click.echo(f"key {made.replaces} ends by itself: {iso(made.old_until, 'never')}", err=True)


@key.command(
    short_help="Make a key; it is shown once.",
    epilog="""\b
Examples:
  bylaw key new service:nightly --name import --scope lot:read
  bylaw key new ann@acme.eu --name laptop --scope "report:*" --lifetime 30d --network 192.0.2.0/24
  bylaw key new service:nightly --name import --scope lot:read > key.txt""",
)
@click.argument("owner")
@click.option("--name", required=True, help="What it is for.")
@click.option("--scope", multiple=True, required=True, help="A permission; may be given several times.")
@click.option("--lifetime", default="", help='How long it is good for, e.g. 30d, or "never".')
@click.option("--network", multiple=True, help="Where it may be used from; may be given several times.")
@click.option("--rate", default="", help="A limit of its own, e.g. 100/hour.")
@POLICY
@JSON
@spoken
def new(
    owner: str,
    name: str,
    scope: tuple[str, ...],
    lifetime: str,
    network: tuple[str, ...],
    rate: str,
    policy: str | None,
    as_json: bool,
) -> None:
    """Make a key for a service account, or for a person, who is told by mail.

    OWNER is a mail address, or `service:` and the name of a service account. The key is printed this once.
    """
    with house_of(policy) as house:
        made = operations.make(
            house,
            SYSTEM,
            name=name,
            scopes=scope,
            lifetime=lifetime,
            networks=network,
            rate=rate,
            owner=account(house, owner).id,
        )
    _show(made, as_json=as_json)


@key.command(
    "list",
    short_help="List the keys that are good.",
    epilog="""\b
Examples:
  bylaw key list
  bylaw key list service:nightly --json
  bylaw key list --never""",
)
@click.argument("owner", required=False)
@click.option("--never", is_flag=True, help="Those alone that never expire.")
@POLICY
@click.option("--json", "as_json", is_flag=True, help="Print JSON for programs, one key on a line.")
@spoken
def list_(owner: str | None, never: bool, policy: str | None, as_json: bool) -> None:
    """List the keys that are good: everybody's, or one account's. No key itself is in the list."""
    with house_of(policy) as house:
        if owner is None:
            rows = operations.everybodys(house, SYSTEM)
        else:
            found = account(house, owner)
            listed = operations.of_account(house, SYSTEM, found.id)
            rows = [{**row, "email": found.email} for row in listed]
    rows = [row for row in rows if not never or row["expires_at"] is None]
    for row in rows:
        if as_json:
            json_line(_facts(row))
        else:
            click.echo(_line(row))
    if not as_json:
        click.echo(f"{len(rows)} key{'' if len(rows) == 1 else 's'}")


def _facts(row: dict[str, Any]) -> dict[str, Any]:
    moments = ("created_at", "expires_at", "used_at")
    return {**row, **{name: iso(row[name]) or None for name in moments}}


def _line(row: dict[str, Any]) -> str:
    used = f"used {iso(row['used_at'])}" if row["used_at"] else "never used"
    ends = f"ends {iso(row['expires_at'])}" if row["expires_at"] else "never ends"
    return "  ".join((row["id"], row["email"], row["name"], " ".join(row["scopes"]), used, ends))


@key.command(
    short_help="Make a key's successor; the old one ends by itself.",
    epilog="""\b
Examples:
  bylaw key rotate 4jygev846d8
  bylaw key rotate 4jygev846d8 --overlap 1h""",
)
@click.argument("key_id", metavar="ID")
@click.option("--overlap", default="24h", show_default=True, help="How long the old key is still good.")
@POLICY
@JSON
@spoken
def rotate(key_id: str, overlap: str, policy: str | None, as_json: bool) -> None:
    """Make the successor of a key, and print it this once. The old one ends by itself after the overlap."""
    with house_of(policy) as house:
        owner = operations.owner_of(house, key_id)
        made = operations.rotate(house, SYSTEM, key_id, overlap=overlap, owner=owner)
    _show(made, as_json=as_json)


@key.command(
    short_help="End a key now.",
    epilog="""\b
Examples:
  bylaw key revoke 4jygev846d8 --reason "found in a repository\"""",
)
@click.argument("key_id", metavar="ID")
@REASON
@POLICY
@JSON
@spoken
def revoke(key_id: str, reason: str, policy: str | None, as_json: bool) -> None:
    """End a key now. Every process refuses it within the policy's revocation bound."""
    with house_of(policy) as house:
        owner = operations.owner_of(house, key_id)
        operations.revoke(house, SYSTEM, key_id, owner=owner, reason=reason)
    if as_json:
        click.echo(json.dumps({"id": key_id, "revoked": True}))
    else:
        out.print("revoked", markup=False)
