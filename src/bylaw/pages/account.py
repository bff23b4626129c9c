"""Coming and going: sign up, sign in, sign out."""

from __future__ import annotations

import re
from typing import Final

from bylaw.controls import cookies, email, lockout, passwords, reset, signup
from bylaw.identity import SIGNED_IN, AccessRule
from bylaw.keys import digest
from bylaw.operations import accounts, signing_in
from bylaw.pages import arriving, federated
from bylaw.pages.endpoints import Call, Done, Endpoint, Show
from bylaw.pages.forms import Field
from bylaw.pages.passwords import password_rules

_COOKIE: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,80}")
_ENDED: Final = 40
"""Cookies at most that one answer ends: a request must not make an answer that no proxy takes."""
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
            "open": call.house.policy.of(signup.Settings).open and "sign_up" in call.urls,
            "forgotten": not call.house.policy.of(reset.Settings).off and "forgot_password" in call.urls,
            "providers": federated.providers(call.house),
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
    return arriving.arrived(call, opened, to=arriving.back(call))


def _show_sign_up(call: Call) -> Show:
    signup.new_roles(call.house.policy)  # refuses where nobody may
    return Show(
        "sign_up.html", {**password_rules(call.house), "confirm": email.must_confirm(call.house.policy)}
    )


def _sign_up(call: Call) -> Done:
    accounts.sign_up(
        call.house, email=call.values["email"], password=call.values["password"], name=call.values["name"]
    )
    # Whoever the address belongs to: the answer is this one (C-41).
    if email.must_confirm(call.house.policy):
        notice, message = "look-at-mail", "Look at your mail: it says how to go on."
    else:
        notice, message = "signed-up", "If the address is free, the account is ready: sign in."
    return Done(f"{call.urls['sign_in']}?notice={notice}", {"message": message}, status=202)


def sign_out(call: Call) -> Done:
    secret = call.exchange.cookie(cookies.name(call.house.policy, cookies.SESSION))
    if call.exchange.session is None and secret is not None:
        signing_in.sign_out_replaced(call.house, digest(secret))
    arriving.leave(call)
    return gone(call, "signed-out", "Signed out.")


def gone(call: Call, notice: str, message: str) -> Done:
    """Whoever was here has left: what the browser keeps of it goes (ASVS 5.0.0 14.3.1).

    Each cookie is ended by its name: "cookies" would clear those of neighbouring hosts as well, and with
    the device's every person who signs out would be a stranger to the lockout again.
    """
    policy = call.house.policy
    for key in _theirs(call):
        call.exchange.set_cookie(cookies.complete(policy, f"{key}=; Path=/; Max-Age=0"))
    call.exchange.set_cookie(cookies.make(policy, cookies.SESSION, "", lifetime=0))
    return Done(
        f"{call.urls['sign_in']}?notice={notice}",
        {"message": message},
        headers=(("Clear-Site-Data", '"cache", "storage"'),),
    )


def _theirs(call: Call) -> list[str]:
    """Names of the application's cookies that came along, as far as an answer can hold them."""
    own = {cookies.name(call.house.policy, base) for base in cookies.OWN}
    parts = [part for header in call.exchange.headers.all("cookie") for part in header.split(";")]
    names = dict.fromkeys(part.partition("=")[0].strip(" \t") for part in parts)
    return [name for name in names if name not in own and _COOKIE.fullmatch(name)][:_ENDED]


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
        takes=passwords.on,
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
        needs=passwords.on,
    ),
    Endpoint("sign_out", "logout", "api_logout", _SIGN_OUT, None, sign_out, (), "Sign out"),
    Endpoint("me", "", "api_me", SIGNED_IN, _me, title="Who is signed in"),
)
