"""One's own password: changed, and judged before it is taken; how strong one is, while it is typed."""

from __future__ import annotations

from typing import Any

from bylaw.controls import lockout, passwords, signup
from bylaw.controls.passwords import judging
from bylaw.controls.sessions import owing
from bylaw.house import House
from bylaw.identity import OWING, AccessRule
from bylaw.operations import accounts, devices
from bylaw.pages import arriving
from bylaw.pages.endpoints import Call, Done, Endpoint, Show
from bylaw.pages.forms import Field
from bylaw.reasons import Refused
from bylaw.store import factors


def password_rules(house: House, *, user_id: str = "") -> dict[str, Any]:
    """What a page needs to say what a new password must be: of the account `user_id`, or of a new one."""
    settings = house.policy.of(passwords.Settings)
    return {
        "min_length": settings.least(second=_second(house, user_id)),
        "max_length": settings.max_length,
        "composition": [judging.SPOKEN[kind] for kind in settings.composition],
    }


def _second(house: House, user_id: str) -> bool:
    """Whether the account has a second factor."""
    if not user_id:
        return False
    with house.store.reading() as connection:
        return factors.enrolled(connection, user_id)


def _show_password(call: Call) -> Show | Done:
    owed = owing.first(call.owes)
    if owed not in ("", "password"):  # that comes first: one factor alone changes nothing
        return Done(call.urls[owing.PAGES[owed]])
    context = {
        **password_rules(call.house, user_id=call.who.id),
        "notice": call.query("notice"),
        "account": call.who.email,
        "owed": owed == "password",
        "next": arriving.back(call) if owed else "",
    }
    return Show("password.html", context)


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
    devices.stays(call.house, call.exchange, call.who)
    if opened.owes or call.owes:  # it was a step of signing in: on to the next, or to where he wanted
        return arriving.went_on(call, opened, to=arriving.back(call))
    done = arriving.went_on(call, opened, to=f"{call.urls['change_password']}?notice=changed")
    return Done(done.to, {"message": "The password is changed; other sessions have ended."})


def _measure(call: Call) -> Show:
    """How strong a password is that somebody is about to choose. It is looked at and forgotten: nothing is
    stored, counted by account, or asked of anybody else, and no account is looked for."""
    who = call.exchange.identity or call.exchange.partial
    known = (who.email, who.name) if who is not None else ()
    words = (call.values["email"], call.values["name"], *known, call.house.policy.app.name)
    settings = call.house.policy.of(passwords.Settings)
    second = _second(call.house, who.id if who is not None else "")
    needed = judging.faults(settings, call.values["password"], context=words, second=second)
    measured = judging.strength(settings, call.values["password"], context=words)
    return Show(
        data={
            "accepted": not needed,
            # What is not taken is not called good, however many guesses it would stand.
            "score": min(measured.score, 1) if needed else measured.score,
            "label": "Not yet" if needed else measured.label,
            "needed": needed,
            "advice": list(measured.advice),
        }
    )


_MEASURE = AccessRule("public", because="it tells how strong a password is, of whoever chooses one")

ENDPOINTS: tuple[Endpoint, ...] = (
    Endpoint(
        "change_password",
        "password",
        "api_password",
        OWING,
        _show_password,
        _change_password,
        (
            Field("current", "Current password", secret=True),
            Field("password", "Password", secret=True),
            Field("next", required=False, limit=2000),
        ),
        "Change the password",
        finishes=("password",),
        needs=passwords.on,
    ),
    Endpoint(
        "password_strength",
        "",
        "api_password_strength",
        _MEASURE,
        None,
        _measure,
        (
            Field("password", "Password", secret=True),
            Field("email", "Mail address", required=False),
            Field("name", "Name", required=False, limit=signup.MAX_NAME),
        ),
        "Measure a password's strength",
        needs=passwords.on,
    ),
)
