"""A forgotten password: asking for a link, opening it, and choosing another password."""

from __future__ import annotations

from bylaw.controls import cookies, passwords, reset
from bylaw.identity import AccessRule
from bylaw.operations import recovering
from bylaw.pages.endpoints import Call, Done, Endpoint, Show
from bylaw.pages.forms import Field
from bylaw.pages.passwords import password_rules
from bylaw.quantities import spoken
from bylaw.reasons import Refused

_NO_REFERRER = (("Referrer-Policy", "no-referrer"),)
"""No page that a link leads to tells another where it was (WSTG-ATHN-09)."""


def _show_forgot(call: Call) -> Show:
    settings = call.house.policy.of(reset.Settings)
    if settings.off:
        raise Refused(reset.CLOSED)
    return Show(
        "forgot_password.html", {"notice": call.query("notice"), "lifetime": spoken(settings.lifetime)}
    )


def _ask(call: Call) -> Done:
    recovering.ask(call.house, email=call.values["email"], address=call.exchange.client)
    # Whoever the address belongs to: the answer is this one (C-41).
    return Done(
        f"{call.urls['forgot_password']}?notice=sent",
        {"message": "If there is an account with that address, a link is on its way."},
        status=202,
    )


def _open(call: Call) -> Show | Done:
    """The mailed link: its secret leaves the address bar before anything else is loaded (C-34)."""
    found = recovering.opened(call.house, call.argument)
    if found is None:
        return _ended(call)
    if call.exchange.method == "GET":  # HEAD is asked by programs alone
        recovering.begin(call.house, call.exchange, found)
    return Done(call.urls["reset_password"], headers=_NO_REFERRER)


def _show_reset(call: Call) -> Show:
    if call.api:
        return Show()  # a program has nothing open: it sends the secret along
    found = recovering.under_way(call.house, call.exchange)
    if found is None:
        return _ended(call)
    if _from_elsewhere(call):
        to = call.urls["reset_password"]
        return Show("reset_go_on.html", {"to": to}, headers=(*_NO_REFERRER, ("Refresh", f"0;url={to}")))
    return Show(
        "reset_password.html",
        {
            **password_rules(call.house, user_id=found.user.id),
            "account": found.user.email,
            "invited": found.purpose == "invitation",
        },
        headers=_NO_REFERRER,
    )


def _from_elsewhere(call: Call) -> bool:
    """Whether a page of mail led here and this browser has kept its Strict cookies to itself: the form would
    be made for a stranger and sent by somebody signed in, and its token would be another's (see csrf)."""
    strict = call.house.policy.of(cookies.Settings).same_site == "Strict"
    site = call.exchange.headers.one("sec-fetch-site")
    return strict and call.exchange.method == "GET" and site == "cross-site"


def _ended(call: Call) -> Show:
    """A calm page: the link was used, has run out, or never was one."""
    return Show(
        "reset_ended.html",
        {"open": not call.house.policy.of(reset.Settings).off},
        status=reset.ENDED.status,
        headers=_NO_REFERRER,
    )


def _choose(call: Call) -> Show | Done:
    """Set the password: with the secret itself, or in the browser that has opened the link."""
    token = call.values.get("token") or call.argument
    if token:
        found = recovering.opened(call.house, token)
    else:
        found = None if call.api else recovering.under_way(call.house, call.exchange)
    try:
        recovering.choose(call.house, found, password=call.values["password"])
    except Refused as refused:
        if call.api or refused.reason is not reset.ENDED:
            raise
        return _ended(call)
    if not call.api:
        call.exchange.set_cookie(cookies.make(call.house.policy, cookies.CEREMONY, "", lifetime=0))
    return Done(
        f"{call.urls['sign_in']}?notice=password-set",
        {"message": "The password is set; everything that the account held has ended. Sign in with it."},
    )


_FORGOT = AccessRule("public", because="whoever has forgotten the password cannot sign in")
_LINK = AccessRule("public", because="the mailed secret speaks for whoever has it, once")
_PASSWORD = Field("password", "New password", secret=True)

ENDPOINTS: tuple[Endpoint, ...] = (
    Endpoint(
        "forgot_password",
        "forgot-password",
        "api_forgot_password",
        _FORGOT,
        _show_forgot,
        _ask,
        (Field("email", "Mail address"),),
        "Ask for a link to choose a new password",
        needs=passwords.on,
    ),
    Endpoint(
        "reset_link",
        "reset-password/",
        "",
        _LINK,
        _open,
        _choose,
        (_PASSWORD,),
        "Open a mailed link",
        needs=passwords.on,
    ),
    Endpoint(
        "reset_password",
        "reset-password",
        "api_reset_password",
        _LINK,
        _show_reset,
        _choose,
        # Needed by programs; a browser that has opened the link has its ceremony instead.
        (Field("token", required=False, secret=True), _PASSWORD),
        "Choose a new password after a mailed link",
        needs=passwords.on,
    ),
)
