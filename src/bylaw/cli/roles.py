"""bylaw role: what the policy's roles may do, who holds them, and why somebody may do something."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

import click

from bylaw import policy as policies
from bylaw import spreadsheet
from bylaw.cli.common import (
    JSON,
    POLICY,
    account,
    house_of,
    json_line,
    names_account,
    out,
    policy_file,
    spoken,
)
from bylaw.cli.document import stand_ins
from bylaw.controls import CONTROLS
from bylaw.controls.roles import Settings
from bylaw.house import House
from bylaw.identity import permissions_of
from bylaw.operations import access_review, explaining, granting
from bylaw.operations.access_review import Row
from bylaw.operations.authority import SYSTEM
from bylaw.operations.explaining import Explanation, Line
from bylaw.pages import telling
from bylaw.quantities import seconds
from bylaw.store.users import User

WITHIN = click.option("--within", default="", help="One object alone, e.g. planning:17.")
BECAUSE = click.option("--because", default="", help="Why. Kept with the role, and recorded.")


@click.group(
    epilog="""\b
Examples:
  bylaw role list
  bylaw role grant ann@acme.eu editor --until 2026-12-31 --because "stands in for Bob"
  bylaw role grant ann@acme.eu facilitator --within planning:17
  bylaw role explain ann@acme.eu note:delete --owner bob@acme.eu
  bylaw role review --format csv > review.csv

Exit codes: 0 yes, or it is done; 1 no; 2 the call itself was wrong."""
)
def role() -> None:
    """Roles: what they may do, who holds them, since when and why.

    What a role may do is written in the policy's [roles].
    """


def _examples(*lines: str) -> str:
    return "\b\nExamples:\n" + "\n".join(f"  bylaw role {line}" for line in lines)


def _grants(policy: str | None) -> dict[str, tuple[str, ...]]:
    file = policy_file(policy)
    return policies.load(file, CONTROLS, stand_ins(file)).of(Settings).grants


@role.command("list", epilog=_examples("list", "list apps.mtc --json"))
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


# Given and taken


@role.command(
    short_help="Give somebody a role.",
    epilog=_examples(
        'grant ann@acme.eu editor --for 30d --because "stands in for Bob"',
        "grant ann@acme.eu facilitator --within planning:17",
    ),
)
@click.argument("user")
@click.argument("name", metavar="ROLE")
@WITHIN
@click.option(
    "--until",
    type=click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S"]),
    help="When it ends, in UTC: a day (its beginning) or a moment.",
)
@click.option("--for", "lasting", metavar="30d", help="How long it holds from now on.")
@BECAUSE
@POLICY
@JSON
@spoken
def grant(
    user: str,
    name: str,
    within: str,
    until: datetime | None,
    lasting: str | None,
    because: str,
    policy: str | None,
    as_json: bool,
) -> None:
    """Give USER (an address or an id) the role ROLE: everywhere, or within one object; for good, or until a
    moment. One that is held already gets the new end and reason. Holds at the next request."""
    if until is not None and lasting is not None:
        raise click.UsageError("--until or --for, one of them")
    with house_of(policy) as house:
        ends = _moment(until)
        if lasting is not None:
            ends = house.now() + _duration(lasting)
        found = account(house, user)
        granting.grant(house, SYSTEM, found.id, name, within=within, until=ends, because=because)
        _show(house, found, as_json=as_json)


@role.command(
    short_help="Take a role from somebody.",
    epilog=_examples("revoke ann@acme.eu editor", "revoke ann@acme.eu facilitator --within planning:17"),
)
@click.argument("user")
@click.argument("name", metavar="ROLE")
@WITHIN
@BECAUSE
@POLICY
@JSON
@spoken
def revoke(user: str, name: str, within: str, because: str, policy: str | None, as_json: bool) -> None:
    """Take the role ROLE from USER (an address or an id). Holds at the next request, in every process within
    the policy's revocation bound."""
    with house_of(policy) as house:
        found = account(house, user)
        granting.revoke(house, SYSTEM, found.id, name, within=within, because=because)
        _show(house, found, as_json=as_json)


def _moment(at: datetime | None) -> float | None:
    return None if at is None else at.replace(tzinfo=UTC).timestamp()


def _duration(text: str) -> int:
    try:
        return int(str(seconds(text)))
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--for") from None


def _show(house: House, user: User, *, as_json: bool) -> None:
    held = granting.roles_of(house, SYSTEM, user.id)
    if as_json:
        values = [
            {
                "role": each.role,
                "within": each.scope,
                "since": explaining.iso(each.granted_at),
                "until": explaining.iso(each.expires_at),
                "because": each.because,
            }
            for each in held
        ]
        out.print_json(json.dumps({"id": user.id, "email": user.email, "roles": values}))
        return
    out.print(f"{user.email}  {'; '.join(granting.labels(held)) or 'no role'}", markup=False)


# Why


@role.command(
    short_help="Say whether and why somebody, or a role, may do something.",
    epilog=_examples(
        "explain ann@acme.eu note:delete",
        "explain ann@acme.eu note:delete --owner ann@acme.eu",
        "explain ann@acme.eu planning:run --within planning:17 --as-of 2026-11-01",
        "explain editor note:delete",
    ),
)
@click.argument("name", metavar="USER")
@click.argument("permission")
@click.option("--owner", default="", help="Whose object it is: an address or an id.")
@WITHIN
@click.option("--as-of", type=click.DateTime(), help="On this day or at this moment, in UTC.")
@POLICY
@JSON
@spoken
def explain(
    name: str,
    permission: str,
    owner: str,
    within: str,
    as_of: datetime | None,
    policy: str | None,
    as_json: bool,
) -> None:
    """Say whether USER (an address, an id, or a role of the policy) may PERMISSION, and why: each permission
    that has a say in it, from which role, given by whom, since when and until when. Permissions are a union:
    one that counts is enough, and none takes away what another gives. Exit code 1 when not."""
    grants = _grants(policy)
    if name in grants:
        if owner or within or as_of is not None:
            raise click.UsageError("--owner, --within and --as-of are about an account, not a role")
        _explain_role(name, grants[name], permission)
        return
    if not names_account(name):
        raise LookupError(f"there is no role {name}; there are {', '.join(sorted(grants))}")
    with house_of(policy) as house:
        told = explaining.explain(
            house,
            SYSTEM,
            account(house, name).id,
            permission,
            owner=account(house, owner).id if owner else "",
            within=granting.object_named(within),
            at=_moment(as_of),
        )
    if as_json:
        out.print_json(json.dumps(told.as_json()))
    else:
        for line in sentences(told):
            out.print(line, markup=False)
    if not told.allowed:
        raise SystemExit(1)


def _explain_role(name: str, held: Iterable[str], permission: str) -> None:
    for pattern in held:
        one = permissions_of(["one"], {"one": [pattern]})
        if one.allow(permission):
            out.print(f"yes: {name} holds {pattern!r}", markup=False)
            return
        if one.allow_own(permission):
            out.print(f"for its own objects: {name} holds {pattern!r}", markup=False)
            return
    out.print(f"no: {name} holds {', '.join(held) or 'nothing'}", markup=False)
    raise SystemExit(1)


def sentences(told: Explanation) -> Iterable[str]:
    """An explanation in words, a line each."""
    where = f" within {told.within}" if told.within else ""
    if told.owner:
        where += " on one's own" if told.owner == told.user_id else " on what is somebody else's"
    answer = "yes" if told.allowed else "no"
    yield f"{answer}: {told.email} {'may' if told.allowed else 'may not'} {told.permission}{where}"
    if told.disabled:
        yield "  the account is disabled: nobody is let in with it, whatever it holds"
    for line in told.lines:
        yield f"  {'+' if line.why == 'counts' else '-'} {_line(line)}"
    if not told.lines:
        yield "  no role that it holds or held has anything to do with it"
    for key in told.keys:
        may = "may" if key.allowed else "may not"
        yield f"  API key {key.name!r} {may}: its scopes are {', '.join(key.scopes) or 'none'}"


def _line(line: Line) -> str:
    within = f" within {line.within}" if line.within else ""
    ends = f", until {explaining.iso(line.until)}" if line.until is not None else ""
    because = f", because: {line.because}" if line.because else ""
    said = (
        f"{line.permission} of {line.role}{within}, given by {line.granted_by or 'the system'} "
        f"{explaining.iso(line.since)}{ends}{because}"
    )
    return said if line.why == "counts" else f"{said} [{line.why}]"


# The review


@role.command(
    short_help="List who has what, since when, and whether it is used.",
    epilog=_examples("review", "review --format csv > review.csv", 'review --done --note "with the board"'),
)
@click.option(
    "--format",
    "form",
    type=click.Choice(["table", "csv", "json"]),
    default="table",
    show_default=True,
    help="For people, for a spreadsheet, or for programs.",
)
@click.option("--unused", is_flag=True, help="Only what nobody has used since it was given.")
@click.option("--actions", is_flag=True, help="What administrators did since the last review, instead.")
@click.option("--done", is_flag=True, help="Record that the review was done; nothing is listed.")
@click.option("--note", default="", help="What to record with it.")
@POLICY
@spoken
def review(form: str, unused: bool, actions: bool, done: bool, note: str, policy: str | None) -> None:
    """List who has what: roles, access tokens and API keys, since when, given by whom and why, until when,
    and when it was last used. Printed as it is found: a hundred thousand accounts need no memory."""
    if done and (actions or unused or form != "table"):
        raise click.UsageError("--done records and lists nothing")
    if note and not done:
        raise click.UsageError("--note belongs to --done")
    if actions and form == "csv":
        raise click.UsageError("--actions: table or json")
    with house_of(policy) as house:
        if done:
            access_review.done(house, SYSTEM, note=note)
            out.print("recorded: the access review was done")
        elif actions:
            _actions(house, as_json=form == "json")
        else:
            _rows(access_review.everything(house, SYSTEM), form, unused=unused)


def _rows(rows: Iterable[Row], form: str, *, unused: bool) -> None:
    if form == "csv":
        click.echo(spreadsheet.line(access_review.COLUMNS), nl=False)
    before = ""
    for row in rows:
        if unused and not row.unused:
            continue
        if form == "csv":
            click.echo(spreadsheet.line(row.as_json().values()), nl=False)
        elif form == "json":
            json_line(row.as_json())
        else:
            if row.account != before:
                before = row.account
                state = "" if row.state == "open" else f"  {row.state}"
                click.echo(f"{row.account}{state}  last sign-in {row.last_sign_in or 'never'}")
            click.echo(f"  {_told(row)}")


def _told(row: Row) -> str:
    within = f" ({row.within})" if row.within else ""
    parts: list[Any] = [
        f"{row.kind} {row.what}{within}",
        f"since {row.since} by {row.granted_by}",
        f"until {row.expires}" if row.expires else "",
        "never used" if row.unused else f"last used {row.last_used}",
        f"because: {row.because}" if row.because else "",
    ]
    return ", ".join(filter(None, parts))


def _actions(house: House, *, as_json: bool) -> None:
    reviewed = access_review.last(house, SYSTEM)
    if not as_json:
        since = reviewed["timestamp"].isoformat(timespec="seconds") if reviewed else "the beginning"
        click.echo(f"since {since}:")
    for row in access_review.actions(house, SYSTEM):
        if as_json:
            json_line(telling.as_json(row))
        else:
            click.echo(f"{row['timestamp'].isoformat(timespec='seconds')}  {telling.sentence(row)}")
