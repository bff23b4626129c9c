"""Access tokens: signed in with, and seen, made, replaced and revoked by their owner or an administrator."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

from sqlalchemy import RowMapping

from bylaw.controls import errors, roles, tokens
from bylaw.controls.sessions.owing import first
from bylaw.controls.tokens import Settings, form
from bylaw.identity import OWING, SIGNED_IN, AccessRule
from bylaw.operations import administering, bearing, bootstrap
from bylaw.operations import tokens as verbs
from bylaw.operations.minting import Given
from bylaw.pages import arriving
from bylaw.pages.endpoints import Call, Done, Endpoint, Show
from bylaw.pages.forms import Field
from bylaw.reasons import Refused

_DAY: Final = 86400
_TERMS: Final = (7, 30, 90, 365)
"""Days that a page offers, as far as the policy allows them."""
NEVER: Final = "never"


# Signed in with


def _show_sign_in(call: Call) -> Show:
    return Show("sign_in_with_token.html", {"next": arriving.back(call)})


def _sign_in(call: Call) -> Done:
    opened = bearing.sign_in(
        call.house,
        token=call.values["token"],
        address=call.exchange.client,
        agent=arriving.agent(call),
    )
    return arriving.arrived(call, opened, to=arriving.back(call))


# The first administrator's


def _show_change(call: Call) -> Show | Done:
    if first(call.owes) != "token":
        return Done(arriving.back(call))
    return Show("change_token.html", {"next": arriving.back(call)}, data={"owes": call.owes.split()})


def _change(call: Call) -> Show | Done:
    if first(call.owes) != "token":
        return Done(arriving.back(call))
    given, opened = bootstrap.change(call.house, call.who, session=_session(call))
    done = arriving.went_on(call, opened, to=arriving.back(call))
    session = call.exchange.session
    if session is not None:
        # The page that is shown now belongs to the session under its new id: its forms bear a token of it.
        call.exchange.session = replace(session, digest=opened.digest, owes=opened.owes)
        if not opened.owes:
            call.exchange.identity = session.identity
    return _shown(call, given, to=done.to, more=done.data)


def _session(call: Call) -> str:
    """The digest of the session that is being used."""
    if call.exchange.session is None:
        raise RuntimeError("whoever asks has a session: the rule has seen to it")
    found: str = call.exchange.session.digest
    return found


# One's own


def _show_own(call: Call) -> Show:
    return _listed(call, call.who.id, "tokens.html", {"notice": call.query("notice")})


def _listed(call: Call, user_id: str, template: str, context: dict[str, Any]) -> Show:
    house = call.house
    listed = [_token(call, row) for row in verbs.of_user(house, call.who, user_id)]
    settings = house.policy.of(Settings)
    return Show(
        template,
        {
            "tokens": listed,
            "terms": _terms(settings),
            "longest": settings.lifetime // _DAY,
            "never": settings.never,
            "most": tokens.MOST,
            "full": sum(not each["expired"] for each in listed) >= tokens.MOST,
            "name_limit": tokens.MAX_NAME,
            **context,
        },
        data={"tokens": listed},
    )


def _terms(settings: Settings) -> list[int]:
    """Days to choose from: none is longer than the policy allows, and the longest is one of them."""
    most = settings.lifetime // _DAY
    return sorted({*(days for days in _TERMS if days <= most), *((most,) if most else ())})


def _token(call: Call, row: RowMapping) -> dict[str, Any]:
    """What is shown of a token: never what it is, nor its digest."""
    now = call.house.now()
    return {
        **{name: row[name] for name in ("id", "name", "created_at", "expires_at", "used_at")},
        "by_oneself": row["created_by"] == row["user_id"],
        "from_environment": bool(row["origin"]),
        "expired": not verbs.good(row, now),
        "soon": verbs.soon(row, now),
    }


def _act_on_own(call: Call) -> Show | Done:
    which = call.values["token"]
    if call.values["action"] == "replace":
        given = verbs.replace(
            call.house, call.who, which, user_id=call.who.id, session=_of_token(call, which)
        )
        return _shown(call, given, to=call.urls["tokens"])
    verbs.revoke(call.house, call.who, which, user_id=call.who.id)
    return Done(f"{call.urls['tokens']}?notice=revoked", {"message": "Revoked; its sessions have ended."})


def _of_token(call: Call, token_id: str) -> str | None:
    """The digest of this session where the token opened it: whoever replaces it stays signed in."""
    return _session(call) if bearing.opened_by(call.house, _session(call)) == token_id else None


def _new(call: Call) -> Show:
    given = verbs.issue(call.house, call.who, call.who.id, name=call.values["name"], **_term(call))
    return _shown(call, given, to=call.urls["tokens"])


def _term(call: Call) -> dict[str, Any]:
    """For how long a token is asked for: days, `never`, or as long as the policy allows. Raises Refused."""
    days = call.values["days"]
    if days == NEVER:
        return {"never": True}
    if not days:
        return {}
    if not (days.isascii() and days.isdigit() and len(days) < 6 and int(days)):
        raise Refused(errors.INVALID, fields={"days": f"a number of days, or {NEVER}"})
    return {"lifetime": int(days) * _DAY}


def _shown(call: Call, given: Given, *, to: str, whose: str = "", more: dict[str, Any] | None = None) -> Show:
    """The page that shows a new token, this once, and leads to `to`."""
    data = {"id": given.id, "token": given.secret, "name": given.name, "expires_at": given.expires_at}
    context = {"given_token": given, "grouped": form.grouped(given.secret), "to": to, "whose": whose}
    return Show("token_shown.html", context, {**data, **(more or {})}, status=201)


# Somebody else's


def _show_theirs(call: Call) -> Show:
    user = administering.find(call.house, call.who, call.argument)
    return _listed(
        call,
        user.id,
        "user_tokens.html",
        {"notice": call.query("notice"), "user": _user(user), "oneself": user.id == call.who.id},
    )


def _user(user: Any) -> dict[str, Any]:
    return {"id": user.id, "email": user.email, "name": user.name, "disabled": user.disabled_at is not None}


def _act_on_theirs(call: Call) -> Show | Done:
    user = administering.find(call.house, call.who, call.argument)
    here = f"{call.urls['user_tokens']}/{user.id}"
    which, reason = call.values["token"], call.values["reason"]
    if call.values["action"] == "replace":
        given = verbs.replace(call.house, call.who, which, user_id=user.id)
        return _shown(call, given, to=here, whose=user.name or user.email)
    verbs.revoke(call.house, call.who, which, user_id=user.id, reason=reason)
    return Done(f"{here}?notice=revoked", {"message": "Revoked; its sessions have ended."})


def _new_theirs(call: Call) -> Show:
    user = administering.find(call.house, call.who, call.argument)
    given = verbs.issue(call.house, call.who, user.id, name=call.values["name"], **_term(call))
    return _shown(call, given, to=f"{call.urls['user_tokens']}/{user.id}", whose=user.name or user.email)


_SIGN_IN = AccessRule("public", because="whoever signs in is nobody yet")
_ADMINISTRATOR = AccessRule("permission", roles.MANAGE_USERS)
_NEXT = Field("next", required=False, limit=2000)
_ACTION = Field("action", choices=("revoke", "replace"))
_WHICH = Field("token", limit=22)
_NEW = (Field("name", "Name", limit=tokens.MAX_NAME), Field("days", "Good for", required=False, limit=8))

ENDPOINTS: tuple[Endpoint, ...] = (
    Endpoint(
        "sign_in_token",
        verbs.SIGN_IN,
        "api_sign_in_token",
        _SIGN_IN,
        _show_sign_in,
        _sign_in,
        (Field("token", "Access token", secret=True), _NEXT),
        "Sign in with an access token",
        needs=tokens.used,
    ),
    Endpoint(
        "change_token",
        "change-token",
        "api_change_token",
        OWING,
        _show_change,
        _change,
        (_NEXT,),
        "Change the token of the first start",
        finishes=("token",),
        needs=tokens.used,
    ),
    Endpoint(
        "tokens",
        "tokens",
        "api_tokens",
        SIGNED_IN,
        _show_own,
        _act_on_own,
        (_ACTION, _WHICH),
        "Your access tokens",
        needs=tokens.used,
    ),
    Endpoint(
        "token_new",
        "tokens/new",
        "api_tokens/new",
        SIGNED_IN,
        None,
        _new,
        _NEW,
        "Make an access token",
        needs=tokens.used,
    ),
    Endpoint(
        "user_tokens",
        "users/tokens/",
        "api_users/tokens/",
        _ADMINISTRATOR,
        _show_theirs,
        _act_on_theirs,
        (_ACTION, _WHICH, Field("reason", "Reason", required=False, limit=500)),
        "A user's access tokens",
        needs=tokens.used,
    ),
    Endpoint(
        "user_token_new",
        "users/tokens/new/",
        "api_users/tokens/new/",
        _ADMINISTRATOR,
        None,
        _new_theirs,
        _NEW,
        "Make an access token for a user",
        needs=tokens.used,
    ),
)
