"""What an account may do, and whether it may do anything."""

from __future__ import annotations

import click

from bylaw.cli.common import JSON, POLICY, account, house_of, spoken
from bylaw.cli.users.shown import REASON, examples, tell
from bylaw.operations import administering, granting
from bylaw.operations.administering import SYSTEM


@click.command(
    short_help="Give an account exactly these roles.",
    epilog=examples("roles ann@acme.eu user editor", "roles ann@acme.eu --none"),
)
@click.argument("email")
@click.argument("role", nargs=-1)
@click.option("--none", "nothing", is_flag=True, help="Take all roles away.")
@REASON
@POLICY
@JSON
@spoken
def roles(
    email: str, role: tuple[str, ...], nothing: bool, reason: str, policy: str | None, as_json: bool
) -> None:
    """Give an account exactly these roles. Holds at its next request."""
    if nothing == bool(role):
        raise click.UsageError("name the roles that it is to have, or --none")
    with house_of(policy) as house:
        granting.set_roles(house, SYSTEM, account(house, email).id, role, reason=reason)
        tell(account(house, email), as_json=as_json)


@click.command(epilog=examples('disable ann@acme.eu --reason "left the company"'))
@click.argument("email")
@REASON
@POLICY
@JSON
@spoken
def disable(email: str, reason: str, policy: str | None, as_json: bool) -> None:
    """Shut an account, and end all that it holds.

    Every process heeds it within the policy's revocation bound.
    """
    with house_of(policy) as house:
        administering.disable(house, SYSTEM, account(house, email).id, reason=reason)
        tell(account(house, email), as_json=as_json)


@click.command(epilog=examples("enable ann@acme.eu"))
@click.argument("email")
@REASON
@POLICY
@JSON
@spoken
def enable(email: str, reason: str, policy: str | None, as_json: bool) -> None:
    """Open a shut account again. Nothing that it held before comes back."""
    with house_of(policy) as house:
        administering.enable(house, SYSTEM, account(house, email).id, reason=reason)
        tell(account(house, email), as_json=as_json)


@click.command(
    short_help="Let strangers try an account's password again.", epilog=examples("unlock ann@acme.eu")
)
@click.argument("email")
@REASON
@POLICY
@JSON
@spoken
def unlock(email: str, reason: str, policy: str | None, as_json: bool) -> None:
    """Forget an account's wrong passwords: nobody has to wait, and one that was shut is open again."""
    with house_of(policy) as house:
        administering.unlock(house, SYSTEM, account(house, email).id, reason=reason)
        tell(account(house, email), as_json=as_json)
