"""Accounts that are made: with a password, by invitation, for a program."""

from __future__ import annotations

import click

from bylaw.cli.common import JSON, POLICY, account, at_prompt, fail, house_of, spoken
from bylaw.cli.users.shown import OWN, PASSWORD, examples, tell
from bylaw.operations import administering, services
from bylaw.operations.administering import SYSTEM


@click.command(
    epilog=examples("add root@acme.eu --role admin --own", 'add ann@acme.eu --name "Ann" --role user')
)
@click.argument("email")
@click.option("--name", default="", help="What people call them.")
@click.option("--role", multiple=True, help="One of the policy's roles; may be given several times.")
@PASSWORD
@OWN
@click.option("--confirmed", is_flag=True, help="The address is known to be theirs.")
@POLICY
@JSON
@spoken
def add(
    email: str,
    name: str,
    role: tuple[str, ...],
    password: str | None,
    own: bool,
    confirmed: bool,
    policy: str | None,
    as_json: bool,
) -> None:
    """Make an account with a password.

    Its first sign-in asks for another one, unless its owner types it here (--own). To let the owner choose,
    see `bylaw user invite`.
    """
    with house_of(policy) as house:
        made = administering.create(
            house,
            SYSTEM,
            email=email,
            name=name,
            granted=role,
            password=at_prompt(password, "Password"),
            renew=not own,
            confirmed=confirmed,
        )
    tell(made, as_json=as_json)


@click.command(
    short_help="Make an account whose owner chooses the password.",
    epilog=examples("invite ann@acme.eu --role user", "invite ann@acme.eu --again"),
)
@click.argument("email")
@click.option("--name", default="", help="What people call them.")
@click.option("--role", multiple=True, help="One of the policy's roles; may be given several times.")
@click.option("--again", is_flag=True, help="Mail the link once more; earlier ones end.")
@POLICY
@JSON
@spoken
def invite(
    email: str, name: str, role: tuple[str, ...], again: bool, policy: str | None, as_json: bool
) -> None:
    """Make an account and mail its owner a link with which to choose the password."""
    with house_of(policy) as house:
        if again:
            if name or role:
                raise click.UsageError("--again changes neither name nor roles")
            made = account(house, email)
            if not administering.is_invited(made):
                fail(f"{made.email} is no invitation any more: bylaw user reset-link {made.email}")
            administering.send_link(house, SYSTEM, made.id)
        else:
            made = administering.invite(house, SYSTEM, email=email, name=name, granted=role)
    tell(made, as_json=as_json)


@click.command(
    short_help="Make an account for a program: it has API keys, and no way to sign in.",
    epilog=examples("service nightly --contact ops@acme.eu --role reader"),
)
@click.argument("name")
@click.option("--contact", required=True, help="The mail address of who answers for it.")
@click.option("--role", multiple=True, help="One of the policy's roles; may be given several times.")
@POLICY
@JSON
@spoken
def service(name: str, contact: str, role: tuple[str, ...], policy: str | None, as_json: bool) -> None:
    """Make a service account: it has API keys (`bylaw key new service:NAME`), and no way to sign in.

    The other commands know it as service:NAME.
    """
    with house_of(policy) as house:
        made = services.make(house, SYSTEM, name=name, contact=contact, granted=role)
    tell(made, as_json=as_json)
