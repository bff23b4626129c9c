"""Coming and going: sign up, sign in, sign out."""

from __future__ import annotations

from bylaw.controls import cookies, lockout, signup
from bylaw.identity import SIGNED_IN, AccessRule
from bylaw.operations import accounts, signing_in
from bylaw.pages import arriving
from bylaw.pages.endpoints import Call, Done, Endpoint, Show
from bylaw.pages.forms import Field
from bylaw.pages.passwords import password_rules

_EMAIL = Field("email", "Mail address")
_PASSWORD = Field("password", "Password", secret=True)
_NAME = Field("name", "Name", required=False, limit=signup.MAX_NAME)
_NEXT = Field("next", required=False, limit=2000)


def _show_sign_in(call: Call) -> Show:
    return Show(
        "sign_in.html",
        {
            "next": arriving.back(call),
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
        agent=arriving.agent(call),
        device=lockout.whence(call.house, call.exchange).device,
    )
    return arriving.arrived(call, opened, email=call.values["email"], to=arriving.back(call))


def _show_sign_up(call: Call) -> Show:
    signup.new_roles(call.house.policy)  # refuses where nobody may
    return Show("sign_up.html", password_rules(call.house))


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


def sign_out(call: Call) -> Done:
    arriving.leave(call)
    call.exchange.set_cookie(cookies.make(call.house.policy, cookies.SESSION, "", lifetime=0))
    return Done(
        f"{call.urls['sign_in']}?notice=signed-out",
        {"message": "Signed out."},
        headers=(("Clear-Site-Data", '"cache", "cookies", "storage"'),),
    )


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
    Endpoint("sign_out", "logout", "api_logout", _SIGN_OUT, None, sign_out, (), "Sign out"),
    Endpoint("me", "", "api_me", SIGNED_IN, _me, title="Who is signed in"),
)
