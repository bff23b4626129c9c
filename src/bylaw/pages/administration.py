"""Users and roles, for administrators."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl

from bylaw.controls import errors, roles, signup
from bylaw.identity import AccessRule
from bylaw.operations import administering
from bylaw.pages.endpoints import Call, Done, Endpoint, Show
from bylaw.pages.forms import Field
from bylaw.pages.passwords import password_rules
from bylaw.reasons import Refused
from bylaw.store.users import User

_RULE = AccessRule("permission", roles.MANAGE_USERS)
_QUERY = frozenset({"search", "after", "notice"})


def _user(user: User) -> dict[str, Any]:
    """What an administrator sees of an account: no column that could be a secret."""
    return {
        "id": user.id,
        "email": user.email,
        "name": user.name,
        "roles": sorted(user.roles),
        "created_at": user.created_at,
        "disabled": user.disabled_at is not None,
    }


def _known_roles(call: Call) -> list[str]:
    return sorted(call.house.policy.of(roles.Settings).grants)


def _list(call: Call) -> Show:
    unknown = {k for k, _ in parse_qsl(call.exchange.query, keep_blank_values=True)} - _QUERY
    if unknown:
        raise Refused(errors.INVALID, status=400, detail="Known: search, after.")
    search, after = call.query("search")[:254], call.query("after")[:254]
    found = [_user(u) for u in administering.listing(call.house, call.who, search=search, after=after)]
    more = found[-1]["email"] if len(found) == administering.PAGE else ""
    return Show(
        "users.html",
        {
            "users": found,
            "search": search,
            "after": after,
            "more": more,
            "known_roles": _known_roles(call),
            "notice": call.query("notice"),
            **password_rules(call.house),
        },
        data={"users": found, "after": more},
    )


def _create(call: Call) -> Done:
    user = administering.create(
        call.house,
        call.who,
        email=call.values["email"],
        name=call.values["name"],
        password=call.values["password"],
        granted=call.values["role"],
    )
    return Done(f"{call.urls['users']}?notice=created", _user(user), status=201)


def _show_user(call: Call) -> Show:
    user = _user(administering.find(call.house, call.who, call.argument))
    return Show(
        "user.html",
        {"user": user, "known_roles": _known_roles(call), "notice": call.query("notice")},
        data=user,
    )


def _change_user(call: Call) -> Done:
    match call.values["action"]:
        case "roles":
            administering.set_roles(call.house, call.who, call.argument, call.values["role"])
        case "disable":
            administering.disable(call.house, call.who, call.argument)
        case "enable":
            administering.enable(call.house, call.who, call.argument)
        case "unlock":
            administering.unlock(call.house, call.who, call.argument)
        case _:
            raise Refused(errors.INVALID, fields={"action": "roles, disable, enable or unlock"})
    return Done(
        f"{call.urls['users']}/{call.argument}?notice=saved",
        _user(administering.find(call.house, call.who, call.argument)),
    )


_ROLE = Field("role", "Roles", required=False, many=True, limit=64)

ENDPOINTS: tuple[Endpoint, ...] = (
    Endpoint(
        "users",
        "users",
        "api_users",
        _RULE,
        _list,
        _create,
        (
            Field("email", "Mail address"),
            Field("name", "Name", required=False, limit=signup.MAX_NAME),
            Field("password", "First password", secret=True),
            _ROLE,
        ),
        "Users",
    ),
    Endpoint(
        "user", "users/", "api_users/", _RULE, _show_user, _change_user, (Field("action"), _ROLE), "A user"
    ),
)
