"""Users and roles, for administrators."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import quote, urlencode

from bylaw.controls import cookies, errors, mfa, passwords, roles, sessions, signup
from bylaw.identity import AccessRule
from bylaw.operations import acting, administering, authority, devices, granting
from bylaw.pages import arriving, telling
from bylaw.pages.endpoints import Call, Done, Endpoint, Show
from bylaw.pages.forms import Field, moment
from bylaw.reasons import Refused
from bylaw.store.users import User, Wanted

_RULE = AccessRule("permission", roles.MANAGE_USERS)

STATES: Final = {
    "disabled": "disabled",
    "unconfirmed": "address not confirmed",
    "without_factor": "without a second factor",
}
"""What a listing may be narrowed to, in words."""
_MATCHES: Final = ("beginning", "anywhere")
_LIST: Final = ("search", "match", "role", "state", "after", "notice")
_HISTORY: Final = ("action", "since", "until", "before")


def _user(user: User) -> dict[str, Any]:
    """What an administrator sees of an account: no column that could be a secret."""
    return {
        "id": user.id,
        "email": user.email,
        "name": user.name,
        "roles": sorted(user.roles),
        "scoped_roles": sorted(user.scoped_roles - user.roles),
        "created_at": user.created_at,
        "disabled": user.disabled_at is not None,
        "confirmed": user.confirmed_at is not None,
        "invited": administering.is_invited(user),
        "renew_password": user.renew_password,
        "service": user.service,
        "contact": user.contact or "",
    }


def _told(call: Call, user: User) -> dict[str, Any]:
    """The same under this policy: nobody waits to choose a password where there are none."""
    told = _user(user)
    return {**told, "invited": told["invited"] and passwords.on(call.house.policy)}


def _known_roles(call: Call) -> list[str]:
    return sorted(call.house.policy.of(roles.Settings).grants)


def _one_of(name: str, value: str, accepted: Mapping[str, Any] | tuple[str, ...]) -> str:
    if value and value not in accepted:
        raise Refused(errors.INVALID, fields={name: f"one of {', '.join(accepted)}"})
    return value


def _list(call: Call) -> Show:
    asked = call.parameters(_LIST)
    state = _one_of("state", asked["state"], STATES)
    _one_of("match", asked["match"], _MATCHES)
    if asked["role"] and not roles.known(call.house.policy, asked["role"]):
        raise Refused(roles.NO_SUCH_ROLE, fields={"role": "one of the policy's roles"})
    wanted = Wanted(
        search=asked["search"],
        anywhere=asked["match"] == "anywhere",
        role=asked["role"],
        disabled=state == "disabled",
        unconfirmed=state == "unconfirmed",
        without_factor=state == "without_factor",
    )
    page = administering.listing(call.house, call.who, wanted, after=asked["after"])
    found = [_told(call, user) for user in page.users]
    kept = {name: asked[name] for name in ("search", "match", "role", "state") if asked[name]}
    here = call.urls["users"]
    return Show(
        "users.html",
        {
            "users": found,
            "asked": asked,
            "states": STATES,
            "narrowed": bool(kept.keys() - {"match"}),
            "after": asked["after"],
            "unfinished": page.unfinished,
            "first": f"{here}?{urlencode(kept)}" if kept else here,
            "more": f"{here}?{urlencode({**kept, 'after': page.after})}" if page.after else "",
            "known_roles": _known_roles(call),
            "notice": call.query("notice"),
        },
        data={"users": found, "after": page.after, "unfinished": page.unfinished},
    )


def _invite(call: Call) -> Done:
    user = administering.invite(
        call.house,
        call.who,
        email=call.values["email"],
        name=call.values["name"],
        granted=_granted(call),
    )
    return Done(f"{call.urls['users']}?notice={_welcomed(call)}", _told(call, user), status=201)


def _welcomed(call: Call) -> str:
    """What is said of a new account."""
    return "invited" if passwords.on(call.house.policy) else "made"


def _granted(call: Call) -> list[str]:
    """The roles that were sent. A form says by an empty one that it has none ticked; to a program, that is a
    role that there is not."""
    sent = call.values["role"] or []
    return sent if call.api else [role for role in sent if role]


# One account


def _show_user(call: Call) -> Show:
    house, who, user_id = call.house, call.who, call.argument
    found = administering.find(house, who, user_id)
    held = administering.factors_of(house, who, user_id)
    live = administering.sessions_of(house, who, user_id)
    listed = [
        {
            "id": row.id,
            "device": devices.described(row.agent),
            "method": row.method,
            "address": row.address,
            "created_at": row.created_at,
            "seen_at": row.seen_at,
            "acting": row.acting or "",
        }
        for row in live
    ]
    may_act = house.policy.of(sessions.Settings).impersonation and who.may(roles.IMPERSONATE)
    user = _told(call, found)
    return Show(
        "user.html",
        {
            "user": user,
            "factors": held,
            "sessions": listed[:_SHOWN],
            "further": max(0, len(listed) - _SHOWN),
            "known_roles": _known_roles(call),
            "notice": call.query("notice"),
            "oneself": user_id == who.id,
            "must_have_factor": mfa.required(house.policy, found.every_role),
            "may_act": may_act,
        },
        data={**user, "factors": held, "sessions": listed},
    )


_SHOWN: Final = 20
"""Sessions on an account's page; a program gets all of them."""
_TAKES: Final = {
    "roles": ("role",),
    "disable": (),
    "enable": (),
    "unlock": (),
    "send_link": (),
    "require_password": (),
    "reset_factors": (),
    "end_sessions": ("session",),
}
"""What may be done to an account, and what each takes besides a reason."""


def _change_user(call: Call) -> Done:
    house, who, user_id, reason = call.house, call.who, call.argument, call.values["reason"]
    action = call.values["action"]
    _no_more_than(call, action)
    notice = "saved"
    match action:
        case "roles":
            if call.values["role"] is None:
                raise Refused(errors.INVALID, fields={"role": "needed; an empty list takes all roles away"})
            granting.set_roles(house, who, user_id, _granted(call), reason=reason)
        case "disable":
            administering.disable(house, who, user_id, reason=reason)
        case "enable":
            administering.enable(house, who, user_id, reason=reason)
        case "unlock":
            administering.unlock(house, who, user_id, reason=reason)
        case "send_link":
            notice = administering.send_link(house, who, user_id, reason=reason)
        case "require_password":
            administering.require_password(house, who, user_id, reason=reason)
            notice = "renewal"
        case "reset_factors":
            administering.reset_factors(house, who, user_id, reason=reason)
            notice = "factors"
        case "end_sessions":
            administering.end_sessions(house, who, user_id, session_id=call.values["session"], reason=reason)
            notice = "ended"
    return Done(
        f"{call.urls['user']}/{user_id}?notice={notice}",
        _told(call, administering.find(house, who, user_id)),
    )


def _no_more_than(call: Call, action: str) -> None:
    """Refuse what an action does not take: whoever sends it expects something that would not happen."""
    unheard = {
        name: f"nothing that {action} takes"
        for name in ("role", "session")
        if name not in _TAKES[action] and call.values[name]
    }
    if unheard:
        raise Refused(errors.INVALID, fields=unheard)


def _act_as(call: Call) -> Done:
    """Go on as somebody else: the administrator's own session ends, and none comes back by itself."""
    opened = acting.begin(
        call.house,
        call.who,
        call.argument,
        reason=call.values["reason"],
        address=call.exchange.client,
        agent=arriving.agent(call),
    )
    arriving.leave(call)
    call.exchange.set_cookie(cookies.make(call.house.policy, cookies.SESSION, opened.secret))
    return Done(call.house.policy.pages.home, {"session": opened.id})


# History


def _history(call: Call) -> Show:
    asked = call.parameters(_HISTORY)
    user = administering.find(call.house, call.who, call.argument)
    rows = administering.history(
        call.house,
        call.who,
        call.argument,
        action=asked["action"],
        since=moment("since", asked["since"]),
        until=moment("until", asked["until"]),
        before=_number("before", asked["before"]),
    )
    told = [telling.as_json(row) for row in rows]
    more = told[-1]["id"] if len(told) == administering.PAGE else None
    kept = {name: asked[name] for name in ("action", "since", "until") if asked[name]}
    here = f"{call.urls['user_history']}/{quote(call.argument)}"
    return Show(
        "user_history.html",
        {
            "user": _told(call, user),
            "rows": [{**row, "at": row["timestamp"]} for row in told],
            "moments": {row["id"]: row["timestamp"].timestamp() for row in rows},
            "asked": asked,
            "actions": telling.SAID,
            "here": "user",
            "page": here,
            "first": f"{here}?{urlencode(kept)}" if kept else here,
            "more": f"{here}?{urlencode({**kept, 'before': more})}" if more else "",
        },
        data={"history": told, "before": more},
    )


def _number(name: str, text: str) -> int | None:
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and len(text) < 11 and int(text) <= _LAST):
        raise Refused(errors.INVALID, fields={name: "the number of a row"})
    return int(text)


_LAST: Final = 2**31 - 1
"""The largest number that a row can have."""
_ROLE = Field("role", "Roles", required=False, many=True, limit=64)
_REASON = Field("reason", "Reason", required=False, limit=authority.MAX_REASON)

ENDPOINTS: tuple[Endpoint, ...] = (
    Endpoint(
        "users",
        "users",
        "api_users",
        _RULE,
        _list,
        _invite,
        (Field("email", "Mail address"), Field("name", "Name", required=False, limit=signup.MAX_NAME), _ROLE),
        "Users",
    ),
    Endpoint(
        "user",
        "users/",
        "api_users/",
        _RULE,
        _show_user,
        _change_user,
        (
            Field("action", choices=tuple(_TAKES)),
            Field("role", "Roles", required=False, many=True, limit=64, told=True),
            Field("session", required=False, limit=22),
            _REASON,
        ),
        "A user",
    ),
    Endpoint(
        "user_history", "users/history/", "api_users/history/", _RULE, _history, title="A user's history"
    ),
    Endpoint(
        "act_as",
        "users/act-as/",
        "api_users/act-as/",
        AccessRule("permission", roles.IMPERSONATE),
        None,
        _act_as,
        (_REASON,),
        "Sign in as a user",
    ),
)
