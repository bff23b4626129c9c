"""bylaw user: accounts, from the command line."""

from __future__ import annotations

import click

from bylaw.cli.users import credentials, finding, making, sessions, standing


@click.group(
    epilog="""\b
Examples:
  bylaw user add root@acme.eu --role admin --own     the first administrator
  bylaw user invite ann@acme.eu --role user          the owner chooses the password
  bylaw user list --role admin
  bylaw user disable ann@acme.eu --reason "left the company"

Exit codes: 0 it is done; 1 it is not, and why is said; 2 the call itself was wrong."""
)
def user() -> None:
    """Accounts: made, listed, changed, shut."""


for command in (
    making.add,
    making.invite,
    making.service,
    finding.list_,
    finding.show,
    finding.history,
    standing.roles,
    standing.disable,
    standing.enable,
    standing.unlock,
    credentials.password,
    credentials.renew_password,
    credentials.reset_link,
    credentials.reset_factors,
    sessions.sessions,
    sessions.end_sessions,
):
    user.add_command(command)
