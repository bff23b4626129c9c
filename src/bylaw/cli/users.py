"""bylaw user: accounts, from the command line."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import click
from rich.table import Table

from bylaw.cli.common import JSON, POLICY, at_prompt, house_of, out, spoken
from bylaw.controls import signup
from bylaw.house import House
from bylaw.operations import administering
from bylaw.store import users as store
from bylaw.store.users import User


@click.group()
def user() -> None:
    """Accounts: made, listed, changed, shut."""


def _find(house: House, email: str) -> User:
    with house.store.reading() as connection:
        found = store.by_email(connection, signup.address(email))
    if found is None:
        raise LookupError(f"there is no account {email}")
    return found


def _as_dict(found: User) -> dict[str, object]:
    return {
        "id": found.id,
        "email": found.email,
        "name": found.name,
        "roles": sorted(found.roles),
        "disabled": found.disabled_at is not None,
        "created_at": datetime.fromtimestamp(found.created_at, UTC).isoformat(),
    }


def _show(found: User, *, as_json: bool) -> None:
    if as_json:
        out.print_json(json.dumps(_as_dict(found)))
        return
    state = "disabled" if found.disabled_at else "enabled"
    out.print(
        f"{found.email}  {', '.join(sorted(found.roles)) or 'no role'}  {state}  {found.id}", markup=False
    )


@user.command()
@click.argument("email")
@click.option("--name", default="", help="What people call them.")
@click.option("--role", multiple=True, help="One of the policy's roles; may be given several times.")
@click.option("--password", help="Asked for when absent: an argument stays in the shell's history.")
@POLICY
@JSON
@spoken
def create(
    email: str,
    name: str,
    role: tuple[str, ...],
    password: str | None,
    policy: str | None,
    as_json: bool,
) -> None:
    """Make an account."""
    with house_of(policy) as house:
        made = administering.create(
            house,
            administering.SYSTEM,
            email=email,
            name=name,
            granted=role,
            password=at_prompt(password, "Password"),
        )
    _show(made, as_json=as_json)


@user.command("list")
@click.option("--search", default="", help="Part of the address or the name.")
@POLICY
@JSON
@spoken
def list_(search: str, policy: str | None, as_json: bool) -> None:
    """List accounts by their address."""
    found: list[User] = []
    with house_of(policy) as house:
        while page := administering.listing(
            house, administering.SYSTEM, search=search, after=found[-1].email if found else ""
        ):
            found += page
    if as_json:
        out.print_json(json.dumps([_as_dict(each) for each in found]))
        return
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for title in ("address", "name", "roles", "state"):
        table.add_column(title, overflow="fold")
    for each in found:
        table.add_row(
            each.email, each.name, ", ".join(sorted(each.roles)), "disabled" if each.disabled_at else ""
        )
    out.print(table, soft_wrap=False)
    out.print(f"{len(found)} account{'' if len(found) == 1 else 's'}")


@user.command()
@click.argument("email")
@POLICY
@JSON
@spoken
def show(email: str, policy: str | None, as_json: bool) -> None:
    """Show one account."""
    with house_of(policy) as house:
        _show(_find(house, email), as_json=as_json)


@user.command(short_help="Give an account exactly these roles.")
@click.argument("email")
@click.argument("role", nargs=-1)
@POLICY
@JSON
@spoken
def roles(email: str, role: tuple[str, ...], policy: str | None, as_json: bool) -> None:
    """Give an account exactly these roles (none: takes all away). Holds at its next request."""
    with house_of(policy) as house:
        administering.set_roles(house, administering.SYSTEM, _find(house, email).id, role)
        _show(_find(house, email), as_json=as_json)


@user.command()
@click.argument("email")
@POLICY
@JSON
@spoken
def disable(email: str, policy: str | None, as_json: bool) -> None:
    """Shut an account, and end all that it holds.

    Every process heeds it within the policy's revocation bound.
    """
    with house_of(policy) as house:
        administering.disable(house, administering.SYSTEM, _find(house, email).id)
        _show(_find(house, email), as_json=as_json)


@user.command()
@click.argument("email")
@POLICY
@JSON
@spoken
def enable(email: str, policy: str | None, as_json: bool) -> None:
    """Open a shut account again. Nothing that it held before comes back."""
    with house_of(policy) as house:
        administering.enable(house, administering.SYSTEM, _find(house, email).id)
        _show(_find(house, email), as_json=as_json)


@user.command(short_help="Let strangers try an account's password again.")
@click.argument("email")
@POLICY
@JSON
@spoken
def unlock(email: str, policy: str | None, as_json: bool) -> None:
    """Forget an account's wrong passwords: nobody has to wait, and one that was shut is open again."""
    with house_of(policy) as house:
        administering.unlock(house, administering.SYSTEM, _find(house, email).id)
        _show(_find(house, email), as_json=as_json)


@user.command()
@click.argument("email")
@click.option("--password", help="Asked for when absent: an argument stays in the shell's history.")
@POLICY
@spoken
def password(email: str, password: str | None, policy: str | None) -> None:
    """Set a new password; the account's sessions end."""
    with house_of(policy) as house:
        administering.set_password(
            house, administering.SYSTEM, _find(house, email).id, at_prompt(password, "New password")
        )
    out.print("set; all sessions have ended")
