"""bylaw user: accounts, from the command line."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any, TypeVar

import click

from bylaw.cli.common import JSON, POLICY, account, at_prompt, fail, house_of, out, spoken
from bylaw.controls import roles as roles_control
from bylaw.house import House
from bylaw.operations import administering, granting, services
from bylaw.operations.administering import SYSTEM
from bylaw.pages import telling
from bylaw.reasons import Refused
from bylaw.store.users import User, Wanted

F = TypeVar("F", bound=Callable[..., Any])
REASON = click.option("--reason", default="", help="Why. Recorded with what is done.")
PASSWORD = click.option("--password", help="Asked for when absent: an argument stays in the shell's history.")
OWN = click.option(
    "--own",
    is_flag=True,
    help="Whoever types it owns the account: the first sign-in asks for no other password.",
)


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


def _examples(*lines: str) -> str:
    return "\b\nExamples:\n" + "\n".join(f"  bylaw user {line}" for line in lines)


def _find(house: House, email: str) -> User:
    return account(house, email)


def _iso(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds")


def _as_dict(found: User) -> dict[str, object]:
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
        "created_at": _iso(found.created_at),
    }


def _state(found: User) -> str:
    if found.disabled_at is not None:
        return "disabled"
    if found.service:
        return "service"
    if administering.is_invited(found):
        return "invited"
    return "new password asked for" if found.renew_password else "enabled"


def _show(found: User, *, as_json: bool) -> None:
    if as_json:
        out.print_json(json.dumps(_as_dict(found)))
        return
    out.print(
        f"{found.email}  {', '.join(sorted(found.roles)) or 'no role'}  {_state(found)}  {found.id}",
        markup=False,
    )


def _line(values: dict[str, Any]) -> None:
    """One line of JSON: thousands of them are printed as they come."""
    click.echo(json.dumps(values, ensure_ascii=False))


# Made


@user.command(
    epilog=_examples("add root@acme.eu --role admin --own", 'add ann@acme.eu --name "Ann" --role user')
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
    _show(made, as_json=as_json)


@user.command(
    short_help="Make an account whose owner chooses the password.",
    epilog=_examples("invite ann@acme.eu --role user", "invite ann@acme.eu --again"),
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
            made = _find(house, email)
            if not administering.is_invited(made):
                fail(f"{made.email} is no invitation any more: bylaw user reset-link {made.email}")
            administering.send_link(house, SYSTEM, made.id)
        else:
            made = administering.invite(house, SYSTEM, email=email, name=name, granted=role)
    _show(made, as_json=as_json)


@user.command(
    short_help="Make an account for a program: it has API keys, and no way to sign in.",
    epilog=_examples("service nightly --contact ops@acme.eu --role reader"),
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
    _show(made, as_json=as_json)


# Found


@user.command(
    "list",
    short_help="List accounts by their address.",
    epilog=_examples("list --search ann", "list --role admin --json", "list --without-factor --role admin"),
)
@click.option("--search", default="", help="What the address or the name begins with.")
@click.option("--anywhere", is_flag=True, help="The search may stand anywhere in them (slower).")
@click.option("--role", default="", help="Who holds this role.")
@click.option("--disabled", is_flag=True, help="Who is disabled.")
@click.option("--unconfirmed", is_flag=True, help="Whose address nobody has confirmed.")
@click.option("--without-factor", is_flag=True, help="Who has no second factor.")
@POLICY
@click.option("--json", "as_json", is_flag=True, help="Print JSON for programs, one account on a line.")
@spoken
def list_(
    search: str,
    anywhere: bool,
    role: str,
    disabled: bool,
    unconfirmed: bool,
    without_factor: bool,
    policy: str | None,
    as_json: bool,
) -> None:
    """List accounts by their address. They are printed as they are found: a million need no memory."""
    wanted = Wanted(search, anywhere, role, disabled, unconfirmed, without_factor)
    with house_of(policy) as house:
        _known(house, role)
        count = 0
        for found in _all(house, wanted):
            count += 1
            if as_json:
                _line(_as_dict(found))
                continue
            fields = [found.email, ", ".join(sorted(found.roles)) or "no role", _state(found), found.name]
            click.echo("  ".join(filter(None, fields)))
    if not as_json:
        click.echo(f"{count} account{'' if count == 1 else 's'}")


def _known(house: House, role: str) -> None:
    if role and not roles_control.known(house.policy, role):
        raise Refused(roles_control.NO_SUCH_ROLE, fields={"role": "one of the policy's roles"})


def _all(house: House, wanted: Wanted) -> Iterator[User]:
    after = ""
    while True:
        page = administering.listing(house, SYSTEM, wanted, after=after)
        yield from page.users
        after = page.after
        if not after:
            return


@user.command(epilog=_examples("show ann@acme.eu", "show ann@acme.eu --json"))
@click.argument("email")
@POLICY
@JSON
@spoken
def show(email: str, policy: str | None, as_json: bool) -> None:
    """Show one account, and what it can sign in with."""
    with house_of(policy) as house:
        found = _find(house, email)
        held = administering.factors_of(house, SYSTEM, found.id)
        live = len(administering.sessions_of(house, SYSTEM, found.id))
    if as_json:
        facts = {"password": found.password_hash is not None, "factors": held, "sessions": live}
        out.print_json(json.dumps({**_as_dict(found), **facts}))
        return
    _show(found, as_json=False)
    ways = ["password"] if found.password_hash is not None else []
    ways += [f"{number} {kind}" for kind, number in held.items() if number]
    out.print(f"  signs in with: {', '.join(ways) or 'nothing yet'}", markup=False)
    out.print(f"  sessions: {live}", markup=False)


@user.command(
    short_help="Print what was done to an account and by it.",
    epilog=_examples(
        "history ann@acme.eu",
        "history ann@acme.eu --since 2026-11-01 --action user_disabled",
        "history ann@acme.eu --json > ann.jsonl",
    ),
)
@click.argument("email")
@click.option("--action", default="", help="Records of this action only.")
@click.option("--since", type=click.DateTime(), help="From this moment on, in UTC.")
@click.option("--until", type=click.DateTime(), help="Before this moment, in UTC.")
@POLICY
@click.option("--json", "as_json", is_flag=True, help="Print the records as JSON, one on a line.")
@spoken
def history(
    email: str,
    action: str,
    since: datetime | None,
    until: datetime | None,
    policy: str | None,
    as_json: bool,
) -> None:
    """Print what was done to an account and by it, the newest first."""
    with house_of(policy) as house:
        found = _find(house, email)
        before: int | None = None
        while True:
            rows = administering.history(
                house,
                SYSTEM,
                found.id,
                action=action,
                since=since.replace(tzinfo=UTC) if since else None,
                until=until.replace(tzinfo=UTC) if until else None,
                before=before,
            )
            for row in rows:
                if as_json:
                    _line(telling.as_json(row))
                else:
                    at = row["timestamp"].isoformat(timespec="seconds")
                    outcome = "" if row["outcome"] == "success" else f" [{row['outcome']}]"
                    click.echo(f"{at}  {telling.sentence(row)}{outcome}")
            if len(rows) < administering.PAGE:
                return
            before = rows[-1]["id"]


# Standing


@user.command(
    short_help="Give an account exactly these roles.",
    epilog=_examples("roles ann@acme.eu user editor", "roles ann@acme.eu --none"),
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
        granting.set_roles(house, SYSTEM, _find(house, email).id, role, reason=reason)
        _show(_find(house, email), as_json=as_json)


@user.command(epilog=_examples('disable ann@acme.eu --reason "left the company"'))
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
        administering.disable(house, SYSTEM, _find(house, email).id, reason=reason)
        _show(_find(house, email), as_json=as_json)


@user.command(epilog=_examples("enable ann@acme.eu"))
@click.argument("email")
@REASON
@POLICY
@JSON
@spoken
def enable(email: str, reason: str, policy: str | None, as_json: bool) -> None:
    """Open a shut account again. Nothing that it held before comes back."""
    with house_of(policy) as house:
        administering.enable(house, SYSTEM, _find(house, email).id, reason=reason)
        _show(_find(house, email), as_json=as_json)


@user.command(
    short_help="Let strangers try an account's password again.", epilog=_examples("unlock ann@acme.eu")
)
@click.argument("email")
@REASON
@POLICY
@JSON
@spoken
def unlock(email: str, reason: str, policy: str | None, as_json: bool) -> None:
    """Forget an account's wrong passwords: nobody has to wait, and one that was shut is open again."""
    with house_of(policy) as house:
        administering.unlock(house, SYSTEM, _find(house, email).id, reason=reason)
        _show(_find(house, email), as_json=as_json)


# Credentials


@user.command(
    short_help="Set a new password; its sessions end.",
    epilog=_examples("password ann@acme.eu", "password root@acme.eu --own"),
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
        found = _find(house, email)
        given = at_prompt(password, "New password")
        administering.set_password(house, SYSTEM, found.id, given, renew=not own, reason=reason)
        found = _find(house, email)
    if as_json:
        _show(found, as_json=True)
    else:
        out.print("set; all sessions have ended")


@user.command(
    "renew-password",
    short_help="Have the next sign-in ask for another password.",
    epilog=_examples('renew-password ann@acme.eu --reason "it was shared"'),
)
@click.argument("email")
@REASON
@POLICY
@JSON
@spoken
def renew_password(email: str, reason: str, policy: str | None, as_json: bool) -> None:
    """Have the next sign-in ask for another password; the account's sessions end, and its owner is told."""
    with house_of(policy) as house:
        administering.require_password(house, SYSTEM, _find(house, email).id, reason=reason)
        _show(_find(house, email), as_json=as_json)


@user.command(
    "reset-link",
    short_help="Mail the owner a link to choose a new password.",
    epilog=_examples("reset-link ann@acme.eu"),
)
@click.argument("email")
@REASON
@POLICY
@JSON
@spoken
def reset_link(email: str, reason: str, policy: str | None, as_json: bool) -> None:
    """Mail the owner a link to choose a new password; earlier links end. Nobody else sees it."""
    with house_of(policy) as house:
        found = _find(house, email)
        sent = administering.send_link(house, SYSTEM, found.id, reason=reason)
    if as_json:
        out.print_json(json.dumps({"email": found.email, "sent": sent}))
    else:
        kind = "an invitation" if sent == "invitation" else "a link to choose a new password"
        out.print(f"{kind} for {found.email} is waiting to be mailed", markup=False)


@user.command(
    "reset-factors",
    short_help="Remove an account's second factors.",
    epilog=_examples('reset-factors ann@acme.eu --reason "lost her phone, seen in person"'),
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
        found = _find(house, email)
        if not yes:
            click.confirm(f"Remove every second factor of {found.email}?", abort=True, err=True)
        administering.reset_factors(house, SYSTEM, found.id, reason=reason)
        _show(_find(house, email), as_json=as_json)


# Sessions


@user.command(epilog=_examples("sessions ann@acme.eu", "sessions ann@acme.eu --json"))
@click.argument("email")
@POLICY
@click.option("--json", "as_json", is_flag=True, help="Print JSON for programs, one session on a line.")
@spoken
def sessions(email: str, policy: str | None, as_json: bool) -> None:
    """List where an account is signed in, the last used first."""
    with house_of(policy) as house:
        rows = administering.sessions_of(house, SYSTEM, _find(house, email).id)
    for row in rows:
        facts = {
            "id": row.id,
            "method": row.method,
            "address": row.address,
            "agent": row.agent,
            "created_at": _iso(row.created_at),
            "seen_at": _iso(row.seen_at),
            "acting": row.acting or "",
        }
        if as_json:
            _line(facts)
        else:
            click.echo("  ".join(str(facts[k]) for k in ("id", "seen_at", "address", "agent") if facts[k]))
    if not as_json:
        click.echo(f"{len(rows)} session{'' if len(rows) == 1 else 's'}")


@user.command("end-sessions", epilog=_examples("end-sessions ann@acme.eu"))
@click.argument("email")
@click.option("--id", "session_id", default="", help="This session only (see `bylaw user sessions`).")
@REASON
@POLICY
@JSON
@spoken
def end_sessions(email: str, session_id: str, reason: str, policy: str | None, as_json: bool) -> None:
    """End an account's sessions; its owner has to sign in anew."""
    with house_of(policy) as house:
        found = _find(house, email)
        ended = administering.end_sessions(house, SYSTEM, found.id, session_id=session_id, reason=reason)
    if as_json:
        out.print_json(json.dumps({"email": found.email, "ended": ended}))
    else:
        out.print(f"{ended} session{'' if ended == 1 else 's'} ended", markup=False)
