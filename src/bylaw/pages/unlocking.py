"""Getting in while strangers guess at the account: a link by mail, and what it opens."""

from __future__ import annotations

from bylaw.controls import lockout, passwords
from bylaw.identity import AccessRule
from bylaw.operations import unlocking
from bylaw.pages.endpoints import Call, Done, Endpoint, Show
from bylaw.pages.forms import Field
from bylaw.reasons import Refused

_ASKED = "If signing in with this address is slowed down or shut, a mail with a link is on its way to it."
_OPENED = "This browser may try the password now."


def _show_ask(call: Call) -> Show:
    return Show("unlock.html", {"notice": call.query("notice")})


def _ask(call: Call) -> Done:
    unlocking.ask(call.house, email=call.values["email"], address=call.exchange.client)
    # Whoever the address belongs to: the answer is this one (C-41).
    return Done(f"{call.urls['unlock']}?notice=asked", {"message": _ASKED}, status=202)


def _show_link(call: Call) -> Show:
    """What the link would do: a mail scanner that opens it uses nothing up."""
    token = call.values.get("token") or call.query("token")
    if not unlocking.good(call.house, token):
        return _ended(call)
    return Show("unlock_link.html", {"token": token})


def _ended(call: Call) -> Show:
    """A calm page from which another link can be asked for; a program gets the reason."""
    if call.api:
        raise Refused(lockout.LINK)
    return Show("unlock_ended.html", status=lockout.LINK.status)


def _use_link(call: Call) -> Show | Done:
    try:
        unlocking.unlock(call.house, call.exchange, call.values["token"])
    except Refused as refused:
        if call.api or refused.reason is not lockout.LINK:
            raise
        return _ended(call)
    return Done(f"{call.urls['sign_in']}?notice=unlocked", {"message": _OPENED})


_ASKS = AccessRule("public", because="whoever is kept out by others' failures is nobody yet")
_USES = AccessRule("public", because="the mailed link is the proof, and it only lets a browser try")

ENDPOINTS: tuple[Endpoint, ...] = (
    Endpoint(
        "unlock",
        unlocking.ASK,
        "api_unlock",
        _ASKS,
        _show_ask,
        _ask,
        (Field("email", "Mail address"),),
        "Ask for a link to sign in while somebody guesses",
        needs=passwords.on,
    ),
    Endpoint(
        "unlock_link",
        unlocking.PAGE,
        "api_unlock_link",
        _USES,
        _show_link,
        _use_link,
        (Field("token", secret=True),),
        "Let this browser sign in while somebody guesses",
        needs=passwords.on,
    ),
)
