"""An account's roles: what it holds and held, given and taken; and why it may do something, or may not."""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import quote

from bylaw.controls import errors, roles, signup
from bylaw.identity import AccessRule
from bylaw.operations import administering, authority, explaining, granting
from bylaw.operations.explaining import Explanation
from bylaw.pages.endpoints import Call, Done, Endpoint, Show
from bylaw.pages.forms import Field, moment
from bylaw.reasons import Refused
from bylaw.store import users
from bylaw.store.assignments import Assignment

_RULE = AccessRule("permission", roles.MANAGE_USERS)
_ASKED: Final = ("permission", "owner", "within", "as_of")
_LONGEST: Final = 254


def _show(call: Call) -> Show:
    house, who, user_id = call.house, call.who, call.argument
    user = administering.find(house, who, user_id)
    asked = call.parameters(_ASKED)
    fault: dict[str, str] = {}
    told = None
    try:
        told = _explained(call, user_id, asked)
    except Refused as refused:
        if call.api:
            raise
        fault = refused.fields or {"permission": refused.reason.title}
    ever = granting.roles_of(house, who, user_id, ended=True)
    named = administering.addresses(
        house, who, {each for row in ever for each in (row.granted_by, row.ended_by) if each}
    )
    now = house.now()
    held = [_row(each, named) for each in ever if _holds(each, now)]
    past = [_row(each, named) for each in ever if not _holds(each, now)][::-1]
    permissions = _effective(call, [each for each in ever if _holds(each, now)])
    here = f"{call.urls['user_roles']}/{quote(user_id)}"
    return Show(
        "user_roles.html",
        {
            "user": {
                "id": user.id,
                "email": user.email,
                "name": user.name,
                "disabled": user.disabled_at is not None,
            },
            "held": held,
            "past": past,
            "permissions": permissions,
            "known_roles": sorted(house.policy.of(roles.Settings).grants),
            "asked": asked,
            "asked_faults": fault,
            "told": told,
            "page": here,
            "notice": call.query("notice"),
        },
        data={
            "held": held,
            "ended": past,
            "permissions": permissions,
            "explanation": None if told is None else told.as_json(),
        },
    )


def _holds(each: Assignment, now: float) -> bool:
    return each.ended_at is None and (each.expires_at is None or each.expires_at > now)


def _row(each: Assignment, named: dict[str, str]) -> dict[str, Any]:
    """An assignment with those it names by their address, and its moments for people and programs."""
    ended = each.ended_at if each.ended_at is not None else each.expires_at
    by = "" if each.ended_by is None else named.get(each.ended_by, each.ended_by)
    return {
        "role": each.role,
        "within": each.scope,
        "granted_by": named.get(each.granted_by or "", each.granted_by or ""),
        "since": each.granted_at,
        "until": each.expires_at,
        "because": each.because,
        "ended": ended,
        "ended_by": by,
        "expired": each.ended_at is None or each.ended_at == each.expires_at,
    }


def _effective(call: Call, held: list[Assignment]) -> list[dict[str, Any]]:
    """Every permission that the account has, with the roles that it comes from: a union."""
    grants = call.house.policy.of(roles.Settings).grants
    found: dict[tuple[str, str], list[str]] = {}
    for each in held:
        for pattern in grants.get(each.role, ()):
            found.setdefault((each.scope, pattern), []).append(granting.label(each))
    return [
        {"permission": pattern, "within": scope, "by": by} for (scope, pattern), by in sorted(found.items())
    ]


def _explained(call: Call, user_id: str, asked: dict[str, str]) -> Explanation | None:
    if not asked["permission"]:
        return None
    return explaining.explain(
        call.house,
        call.who,
        user_id,
        asked["permission"],
        owner=_owner(call, asked["owner"]),
        within=granting.object_named(asked["within"]),
        at=_seconds("as_of", asked["as_of"]),
    )


def _owner(call: Call, text: str) -> str:
    """Whose object it is, by address or id."""
    if not text:
        return ""
    if "@" not in text:
        return administering.find(call.house, call.who, text).id
    with call.house.store.reading() as connection:
        found = users.by_email(connection, signup.address(text))
    if found is None:
        raise Refused(roles.NO_SUCH_USER, fields={"owner": "an address or id that is somebody's"})
    return found.id


def _seconds(name: str, text: str) -> float | None:
    """A moment, to the second, in seconds since 1970. Raises Refused."""
    at = moment(name, text)
    return None if at is None else at.replace(microsecond=0).timestamp()


def _change(call: Call) -> Done:
    house, who, user_id, values = call.house, call.who, call.argument, call.values
    role, within, reason = values["role"], values["within"], values["reason"]
    if values["action"] == "grant":
        until = _seconds("until", values["until"])
        granting.grant(house, who, user_id, role, within=within, until=until, because=reason)
    elif values["until"]:
        raise Refused(errors.INVALID, fields={"until": "nothing that revoke takes"})
    else:
        granting.revoke(house, who, user_id, role, within=within, because=reason)
    return Done(
        f"{call.urls['user_roles']}/{quote(user_id)}?notice={values['action']}",
        {"held": granting.labels(granting.roles_of(house, who, user_id))},
    )


ENDPOINTS: tuple[Endpoint, ...] = (
    Endpoint(
        "user_roles",
        "users/roles/",
        "api_users/roles/",
        _RULE,
        _show,
        _change,
        (
            Field("action", choices=("grant", "revoke")),
            Field("role", "Role", limit=64),
            Field("within", "Within", required=False, limit=120),
            Field("until", "Until", required=False, limit=40),
            Field("reason", "Reason", required=False, limit=authority.MAX_REASON),
        ),
        "A user's roles",
    ),
)
