"""One's own password: changed, and judged before it is taken."""

from __future__ import annotations

from typing import Any

from bylaw.controls import lockout, passwords
from bylaw.house import House
from bylaw.identity import OWING
from bylaw.operations import accounts
from bylaw.pages import arriving
from bylaw.pages.endpoints import Call, Done, Endpoint, Show
from bylaw.pages.forms import Field
from bylaw.reasons import Refused


def password_rules(house: House) -> dict[str, Any]:
    """What a page needs to say what a new password must be."""
    settings = house.policy.of(passwords.Settings)
    return {
        "min_length": settings.min_length,
        "max_length": settings.max_length,
        "composition": [passwords.SPOKEN[kind] for kind in settings.composition],
    }


def _show_password(call: Call) -> Show:
    return Show("password.html", {**password_rules(call.house), "notice": call.query("notice")})


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
    if opened.owes or call.owes:  # it was a step of signing in: on to the next, or to where he wanted
        return arriving.went_on(call, opened, to=arriving.back(call))
    done = arriving.went_on(call, opened, to=f"{call.urls['change_password']}?notice=changed")
    return Done(done.to, {"message": "The password is changed; other sessions have ended."})


ENDPOINTS: tuple[Endpoint, ...] = (
    Endpoint(
        "change_password",
        "password",
        "api_password",
        OWING,
        _show_password,
        _change_password,
        (Field("current", "Current password", secret=True), Field("password", "Password", secret=True)),
        "Change the password",
    ),
)
