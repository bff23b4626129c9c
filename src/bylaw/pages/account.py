"""A person's own account: sign up, sign in, sign out, password, sessions."""

from __future__ import annotations

from typing import Any

from bylaw.controls import cookies, lockout, passwords, signup
from bylaw.identity import SIGNED_IN, AccessRule
from bylaw.operations import accounts, signing_in
from bylaw.pages.endpoints import Call, Done, Endpoint, Show
from bylaw.pages.forms import Field
from bylaw.pages.rendering import local_path
from bylaw.reasons import Refused
from bylaw.store.sessions import SessionRow

_EMAIL = Field("email", "Mail address")
_PASSWORD = Field("password", "Password", secret=True)
_NAME = Field("name", "Name", required=False, limit=signup.MAX_NAME)
_NEXT = Field("next", required=False, limit=2000)


def _back(call: Call) -> str:
    home = call.house.policy.pages.home
    return local_path(str(call.values.get("next") or call.query("next")), home)


def _show_sign_in(call: Call) -> Show:
    return Show(
        "sign_in.html",
        {
            "next": _back(call),
            "notice": call.query("notice"),
            "open": call.house.policy.of(signup.Settings).open,
        },
    )


def _sign_in(call: Call) -> Done:
    opened = signing_in.sign_in(
        call.house,
        email=call.values["email"],
        password=call.values["password"],
        address=call.exchange.client,
        agent=_agent(call),
        device=lockout.whence(call.house, call.exchange).device,
    )
    _leave(call)
    call.exchange.set_cookie(cookies.make(call.house.policy, cookies.SESSION, opened.secret))
    lockout.remember(call.house, call.exchange, call.values["email"])
    return Done(_back(call), {"session": opened.id})


def _agent(call: Call) -> str:
    agents = call.exchange.headers.all("user-agent")
    return agents[0] if agents else ""


def _leave(call: Call) -> None:
    """End the session that was there before: signing in anew replaces it."""
    if call.exchange.session is not None and call.exchange.identity is not None:
        signing_in.sign_out(call.house, call.exchange.identity, call.exchange.session.digest)
    call.exchange.session = None
    call.exchange.identity = None


def _show_sign_up(call: Call) -> Show:
    signup.new_roles(call.house.policy)  # refuses where nobody may
    return Show("sign_up.html", password_rules(call))


def password_rules(call: Call) -> dict[str, Any]:
    """What a page needs to say what a new password must be."""
    settings = call.house.policy.of(passwords.Settings)
    return {
        "min_length": settings.min_length,
        "max_length": settings.max_length,
        "composition": [passwords.SPOKEN[kind] for kind in settings.composition],
    }


def _sign_up(call: Call) -> Done:
    accounts.sign_up(
        call.house, email=call.values["email"], password=call.values["password"], name=call.values["name"]
    )
    # Whoever the address belongs to: the answer is this one (C-41).
    return Done(
        f"{call.urls['sign_in']}?notice=signed-up",
        {"message": "If the address is free, the account is ready: sign in."},
        status=202,
    )


def _sign_out(call: Call) -> Done:
    _leave(call)
    call.exchange.set_cookie(cookies.make(call.house.policy, cookies.SESSION, "", lifetime=0))
    return Done(
        f"{call.urls['sign_in']}?notice=signed-out",
        {"message": "Signed out."},
        headers=(("Clear-Site-Data", '"cache", "cookies", "storage"'),),
    )


def _show_password(call: Call) -> Show:
    return Show("password.html", {**password_rules(call), "notice": call.query("notice")})


def _change_password(call: Call) -> Done:
    try:
        opened = accounts.change_password(
            call.house,
            call.who,
            digest=call.exchange.session.digest,
            current=call.values["current"],
            new=call.values["password"],
            whence=lockout.whence(call.house, call.exchange),
        )
    except Refused as refused:
        if refused.reason is not passwords.WRONG:
            raise
        # Signing in says no more than that; whoever is signed in may know which of the two it was.
        raise Refused(
            passwords.WRONG,
            detail="The password was not changed.",
            fields={"current": "not your current password"},
        ) from None
    call.exchange.set_cookie(cookies.make(call.house.policy, cookies.SESSION, opened.secret))
    return Done(
        f"{call.urls['change_password']}?notice=changed",
        {"message": "The password is changed; other sessions have ended."},
    )


def _show_sessions(call: Call) -> Show:
    rows = signing_in.own_sessions(call.house, call.who)
    listed = [_session(row, call.who.session) for row in rows]
    return Show(
        "sessions.html", {"sessions": listed, "notice": call.query("notice")}, data={"sessions": listed}
    )


def _session(row: SessionRow, mine: str) -> dict[str, Any]:
    return {
        "id": row.id,
        "current": row.id == mine,
        "method": row.method,
        "address": row.address,
        "agent": row.agent,
        "created_at": row.created_at,
        "seen_at": row.seen_at,
        "expires_at": row.expires_at,
    }


def _end_session(call: Call) -> Done:
    which = call.values["session"]
    if which == "others":
        signing_in.end_other_sessions(call.house, call.who, call.exchange.session.digest)
    elif which == call.who.session:
        return _sign_out(call)
    else:
        signing_in.end_session(call.house, call.who, which)
    return Done(f"{call.urls['sessions']}?notice=ended", {"message": "Ended."})


def _me(call: Call) -> Show:
    who = call.who
    return Show(
        data={
            "id": who.id,
            "email": who.email,
            "name": who.name,
            "roles": sorted(who.roles),
            "method": who.method,
            "authenticated_at": who.authenticated_at,
            "session": who.session,
        }
    )


_SIGN_IN = AccessRule("public", because="whoever signs in is nobody yet")
_SIGN_UP = AccessRule("public", because="whoever signs up is nobody yet; closed where the policy says so")
_SIGN_OUT = AccessRule("public", because="whoever is not signed in any more gets the same calm answer")

ENDPOINTS: tuple[Endpoint, ...] = (
    Endpoint(
        "sign_in",
        "login",
        "api_login",
        _SIGN_IN,
        _show_sign_in,
        _sign_in,
        (_EMAIL, _PASSWORD, _NEXT),
        "Sign in",
    ),
    Endpoint(
        "sign_up",
        "signup",
        "api_signup",
        _SIGN_UP,
        _show_sign_up,
        _sign_up,
        (_EMAIL, _NAME, _PASSWORD),
        "Make an account",
    ),
    Endpoint("sign_out", "logout", "api_logout", _SIGN_OUT, None, _sign_out, (), "Sign out"),
    Endpoint(
        "change_password",
        "password",
        "api_password",
        SIGNED_IN,
        _show_password,
        _change_password,
        (Field("current", "Current password", secret=True), _PASSWORD),
        "Change the password",
    ),
    Endpoint(
        "sessions",
        "sessions",
        "api_sessions",
        SIGNED_IN,
        _show_sessions,
        _end_session,
        (Field("session"),),
        "Where you are signed in",
    ),
    Endpoint("me", "", "api_me", SIGNED_IN, _me, title="Who is signed in"),
)
