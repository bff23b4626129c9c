"""bylaw role: what the policy's roles may do."""

from __future__ import annotations

import json

import click

from bylaw import policy as policies
from bylaw.cli.common import JSON, POLICY, out, policy_file, spoken
from bylaw.cli.document import stand_ins
from bylaw.controls import CONTROLS
from bylaw.controls.roles import Settings
from bylaw.identity import permissions_of


@click.group()
def role() -> None:
    """Roles: what they may do.

    They are written in the policy's [roles] and given with `bylaw user roles`.
    """


def _grants(policy: str | None) -> dict[str, tuple[str, ...]]:
    file = policy_file(policy)
    return policies.load(file, CONTROLS, stand_ins(file)).of(Settings).grants


@role.command("list")
@click.argument("policy", required=False)
@JSON
@spoken
def list_(policy: str | None, as_json: bool) -> None:
    """List the roles of POLICY and what they may do."""
    grants = _grants(policy)
    if as_json:
        out.print_json(json.dumps({name: list(held) for name, held in grants.items()}))
        return
    for name, held in sorted(grants.items()):
        out.print(f"{name:<12} {', '.join(held)}", markup=False)


@role.command(short_help="Say whether a role holds a permission.")
@click.argument("name")
@click.argument("permission")
@POLICY
@spoken
def explain(name: str, permission: str, policy: str | None) -> None:
    """Say whether the role NAME holds PERMISSION, and by which line. Exit code 1 when it does not."""
    grants = _grants(policy)
    if name not in grants:
        raise LookupError(f"there is no role {name}; there are {', '.join(sorted(grants))}")
    for pattern in grants[name]:
        held = permissions_of(["one"], {"one": [pattern]})
        if held.allow(permission):
            out.print(f"yes: {name} holds {pattern!r}", markup=False)
            return
        if held.allow_own(permission):
            out.print(f"for its own objects: {name} holds {pattern!r}", markup=False)
            return
    out.print(f"no: {name} holds {', '.join(grants[name]) or 'nothing'}", markup=False)
    raise SystemExit(1)
