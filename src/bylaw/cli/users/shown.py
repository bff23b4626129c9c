"""What the commands about accounts share: their options, and how an account is shown."""

from __future__ import annotations

import json

import click

from bylaw.cli.common import iso, out
from bylaw.operations import administering
from bylaw.store.users import User

REASON = click.option("--reason", default="", help="Why. Recorded with what is done.")
PASSWORD = click.option("--password", help="Asked for when absent: an argument stays in the shell's history.")
OWN = click.option(
    "--own",
    is_flag=True,
    help="Whoever types it owns the account: the first sign-in asks for no other password.",
)


def examples(*lines: str) -> str:
    return "\b\nExamples:\n" + "\n".join(f"  bylaw user {line}" for line in lines)


def as_dict(found: User) -> dict[str, object]:
    return {
        "id": found.id,
        "email": found.email,
        "name": found.name,
        "roles": sorted(found.roles),
        "disabled": found.disabled_at is not None,
        "confirmed": found.confirmed_at is not None,
        "invited": administering.is_invited(found),
        "renew_password": found.renew_password,
        **({"contact": found.contact} if found.service else {}),
        "created_at": iso(found.created_at),
    }


def state(found: User) -> str:
    if found.disabled_at is not None:
        return "disabled"
    if found.service:
        return "service"
    if administering.is_invited(found):
        return "invited"
    return "new password asked for" if found.renew_password else "enabled"


def tell(found: User, *, as_json: bool) -> None:
    if as_json:
        out.print_json(json.dumps(as_dict(found)))
        return
    out.print(
        f"{found.email}  {', '.join(sorted(found.roles)) or 'no role'}  {state(found)}  {found.id}",
        markup=False,
    )
